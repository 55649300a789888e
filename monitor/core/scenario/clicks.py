"""What people do in a scenario, as commands: clicks on incidents, planned work, silences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.core.commands import (
    Command,
    HideIncident,
    PostUpdate,
    PublishIncident,
    ResolveIncident,
    ScheduleMaintenance,
    Silence,
    WritePostmortem,
)
from monitor.core.maintenance import Maintenance, repeat_fault
from monitor.core.model.incident_events import EventKind
from monitor.core.model.states import Impact, IncidentStatus
from monitor.core.scenario.notation import ScenarioError, seconds


def order(click: Mapping[str, Any], incident: str) -> Command:
    """Return what a person commanded about an incident."""
    text = str(click.get("text", ""))
    orders: dict[EventKind, Callable[[], Command]] = {
        EventKind.NOTE: lambda: PostUpdate(
            incident,
            text,
            IncidentStatus(click["status"]) if click.get("status") else None,
            Impact(click["impact"]) if click.get("impact") else None,
            str(click.get("title", "")),
        ),
        EventKind.RESOLVED: lambda: ResolveIncident(incident),  # a text beside it would be a note of its own
        EventKind.PUBLISHED: lambda: PublishIncident(incident),
        EventKind.HIDDEN: lambda: HideIncident(incident),
        EventKind.POSTMORTEM: lambda: WritePostmortem(incident, text),
    }
    found = orders.get(click["do"])
    if found is None:
        raise ScenarioError(f"clicks: a person cannot do {click['do']!r}: one of {', '.join(sorted(orders))}")
    return found()


def maintenance(scenario: Mapping[str, Any], start: datetime) -> Iterator[Command]:
    """Yield the planned work that a scenario announces."""
    for item in scenario.get("maintenance", ()):
        begins, ends = (start + timedelta(seconds=seconds(item[name])) for name in ("from", "to"))
        planned = Maintenance(
            "",
            item["service"],
            tuple(item.get("components", ())),
            begins,
            ends,
            item.get("repeat", ""),
            item.get("time_zone", "UTC"),
        )
        if why := repeat_fault(planned):
            raise ScenarioError(f"maintenance: {why}")
        yield ScheduleMaintenance(
            planned.service, planned.components, "", begins, ends, "", planned.repeat, planned.time_zone
        )


def silences(scenario: Mapping[str, Any], start: datetime) -> Iterator[Command]:
    """Yield the silences that a scenario begins with."""
    for item in scenario.get("silences", ()):
        begins, ends = (start + timedelta(seconds=seconds(item[name])) for name in ("from", "to"))
        about = item.get("service", ""), item.get("component", ""), item.get("rule", "")
        if ends > max(begins, start):
            yield Silence(ends, *about, starts_at=begins, everything=not any(about))
