"""Incidents that began together: a hint for people that several services share a cause. It merges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from monitor.core.events import Incident

TOGETHER_S = 300.0


def together(incidents: Iterable[Incident], within_s: float = TOGETHER_S) -> list[tuple[Incident, ...]]:
    """Return groups of incidents of at least two services whose starts form a chain of steps within ``within_s``."""
    groups: list[list[Incident]] = []
    for incident in sorted(incidents, key=lambda item: (item.started_at, item.id)):
        near = groups and incident.started_at - groups[-1][-1].started_at <= timedelta(seconds=within_s)
        if near:
            groups[-1].append(incident)
        else:
            groups.append([incident])
    return [tuple(group) for group in groups if len({item.service for item in group}) > 1]


def related(incident: Incident, others: Iterable[Incident], within_s: float = TOGETHER_S) -> tuple[Incident, ...]:
    """Return the incidents of other services that began together with this one."""
    group = next((g for g in together([incident, *others], within_s) if incident in g), ())
    return tuple(item for item in group if item.service != incident.service)
