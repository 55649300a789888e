"""What must follow when a recorded incident is played again: the lines, clicks and windows beside its looks.

The looks are :mod:`monitor.core.scenario.export`'s. What is expected comes from what was recorded, never from a replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.core.alerts.routing import SilenceWindow
from monitor.core.catalogue import Catalogue
from monitor.core.entities import Alert, Decision, IncidentEvent
from monitor.core.incidents.event_json import encode
from monitor.core.maintenance import Window
from monitor.core.model.alert_rules import row
from monitor.core.model.incident_events import Cause, EventKind
from monitor.core.scenario.export import exact
from monitor.core.scenario.play import event_line, notice_line

SAID = ("text", "status", "impact", "title")


@dataclass(frozen=True, slots=True)
class Past:
    """One incident as it was recorded, and what stood around it."""

    service: str
    cause: Cause
    events: Sequence[IncidentEvent]
    alerts: Sequence[tuple[Alert, Sequence[Decision]]]
    """The incident's alerts with what each route was told."""
    windows: Sequence[Window] = ()
    silences: Sequence[SilenceWindow] = ()
    alone: bool = True
    """Nothing else was recorded in that time, so nothing else may come."""


def frame(past: Past, catalogue: Catalogue, start: datetime, end: datetime) -> dict[str, Any]:
    """Return the parts of a scenario that its looks do not tell, ``expect`` among them; ``end`` is its last moment."""
    within_s = 10 + 2 * max((probe.timeout_s for probe in catalogue.probes), default=0.0)
    expect: dict[str, Any] = {
        "within": f"{within_s:g}s",
        "timeline": [event_line(event, start, past.cause) for event in past.events if event.recorded_at <= end],
        "notices": _notices(past, start, end),
    }
    found: dict[str, Any] = {"routes": _routes(past.service, catalogue), "until": exact(end, start)}
    found |= {"maintenance": [_window(window, start) for window in past.windows]} if past.windows else {}
    found |= {"silences": [_silence(silence, start) for silence in past.silences]} if past.silences else {}
    clicks = sorted(_clicks(past, start, end), key=lambda click: float(click["at"].removesuffix("ms")))
    found |= {"clicks": clicks} if clicks else {}
    return found | {"expect": expect | ({} if past.alone else {"only": False})}


def _notices(past: Past, start: datetime, end: datetime) -> list[str]:
    sent = [
        (decision.at, notice_line(decision, alert, start))
        for alert, decisions in past.alerts
        for decision in decisions
        if decision.send and decision.at <= end and row(alert.rule).replayable
    ]
    return [line for _, line in sorted(sent, key=lambda item: item[0])]


def _routes(service: str, catalogue: Catalogue) -> dict[str, Any]:
    concerned = [route for route in catalogue.routes if not route.services or service in route.services]
    return {
        route.id: {"severities": [severity.value for severity in route.severities]}
        | ({"after": f"{route.escalate_after_s:g}s"} if route.escalate_after_s else {})
        for route in concerned
    }


def _window(window: Window, start: datetime) -> dict[str, Any]:
    times = {"from": exact(window.starts_at, start), "to": exact(window.ends_at, start)}
    return times | {"service": window.service, "components": list(window.components)}


def _silence(silence: SilenceWindow, start: datetime) -> dict[str, Any]:
    times = {"from": exact(silence.starts_at, start), "to": exact(silence.ends_at, start)}
    return times | {"service": silence.service, "component": silence.component, "rule": silence.rule}


def _clicks(past: Past, start: datetime, end: datetime) -> list[Mapping[str, Any]]:
    """Return what people did; opening an incident by hand is no click that a scenario knows."""
    told = [
        {"at": exact(event.recorded_at, start), "do": event.kind.value, "service": past.service}
        | {"cause": past.cause.value, "by": event.by}
        | {key: value for key, value in encode(event.what).items() if key in SAID and value}
        for event in past.events
        if event.by and event.kind is not EventKind.OPENED and event.recorded_at <= end
    ]
    taken = [
        {"at": exact(alert.acknowledged_at, start), "acknowledge": str(alert.rule), "by": alert.acknowledged_by}
        for alert, _ in past.alerts
        if alert.acknowledged_at is not None and alert.acknowledged_at <= end
    ]
    return [*told, *taken]
