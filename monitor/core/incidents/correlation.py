"""Outages of several services that began together: a hint for people that they share a cause. It merges nothing.

An incident is asked once, two minutes after it was detected, when the others are known as well; if it stood alone
then, once more when even the latest of its like must be known. It says what it found in one line of its timeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from monitor.core.entities import Incident
from monitor.core.incidents.transitions import is_open
from monitor.core.model.incident_events import Cause

TOGETHER_S = 300.0
SETTLE_S = 120.0
SLACK_S = 600.0
"""The last question is still asked so long after its time."""
LISTED = 20
"""Most others that are named in an event."""


def due(incident: Incident | None, now: datetime) -> datetime | None:
    """Return the moment as of which an incident is to be asked; ``None`` while, or when no longer, it is not."""
    if incident is None or not is_open(incident) or incident.cause is not Cause.OUTAGE or incident.related:
        return None
    age_s = (now - incident.detected_at).total_seconds()
    last_s = TOGETHER_S + SETTLE_S
    if not SETTLE_S <= age_s <= last_s + SLACK_S:
        return None
    return incident.detected_at + timedelta(seconds=SETTLE_S if age_s < last_s else last_s)


def related(incident: Incident, others: Iterable[Incident], asked_at: datetime) -> tuple[Incident, ...]:
    """Return the outages of other services that began together with this one and were known then, nearest first."""
    near = [
        item
        for item in others
        if item.cause is Cause.OUTAGE
        and item.service != incident.service
        and item.detected_at <= asked_at
        and _apart_s(item, incident) <= TOGETHER_S
    ]
    return tuple(sorted(near, key=lambda item: (_apart_s(item, incident), item.service, item.id)))


def _apart_s(one: Incident, other: Incident) -> float:
    return abs((one.started_at - other.started_at).total_seconds())


def within_s(incident: Incident, found: Iterable[Incident]) -> float:
    """Return how far apart they began at most."""
    return max((_apart_s(incident, item) for item in found), default=0.0)
