"""What both judges must agree upon, in plain values, and which rules, reasons, events and commands a case reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.core.commands import Command, CommandResult
from monitor.core.entities import Alert, IncidentEvent
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import Sending, Why
from monitor.core.model.incident_events import EventKind
from monitor.core.state_store import Notice
from monitor.store.codec import pack, unpack

Findings = Mapping[str, Any]
"""Name of what is compared → its plain values."""
ComponentNow = tuple[Any, ...]


@dataclass(slots=True)
class Sent:
    """A delivery and what became of it."""

    notice: Notice
    sending: Sending = Sending.DUE
    error: str = ""

    def plain(self) -> tuple[Any, ...]:
        one = self.notice
        return stored(one.alert), one.route, one.channel, one.why, self.sending


def stored(alert: Alert) -> Alert:
    """Return an alert as a database gives it back: what is a tuple in its facts is a list there."""
    return unpack(Alert, pack(Alert, alert))


@dataclass
class Reached:
    """What was reached so far."""

    events: set[EventKind] = field(default_factory=set)
    whys: set[Why] = field(default_factory=set)
    rules: set[Rule] = field(default_factory=set)
    commands: set[type[Command]] = field(default_factory=set)
    refused: set[type[Command]] = field(default_factory=set)

    def take(self, found: Findings) -> None:
        """Add what one judge found."""
        self.events |= {event.kind for event in found["events"]}
        self.whys |= {decision.why for decision in found["decisions"]}
        told = [*found["alerts"], *(item[0] for item in found["notices"])]
        self.rules |= {alert.rule for alert in told if isinstance(alert.rule, Rule)}

    def carried(self, order: Command, outcome: CommandResult | str) -> None:
        """Add a command: one that was refused has not been reached."""
        (self.refused if isinstance(outcome, str) else self.commands).add(type(order))


def differences(memory: Findings, database: Findings) -> list[str]:
    """Return what the two judges do not agree upon, shortest description first."""
    assert memory.keys() == database.keys()
    return [line for name in memory for line in _differ(name, memory[name], database[name])]


def _differ(name: str, one: Any, other: Any) -> Iterable[str]:
    if one == other:
        return
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}, key=str):
            yield from _differ(f"{name}[{key}]", one.get(key), other.get(key))
    elif isinstance(one, list) and isinstance(other, list):
        place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
        if place is None:
            place = min(len(one), len(other))
        tails = [item[place : place + 1] for item in (one, other)]
        yield f"{name}: {len(one)} in memory, {len(other)} in the database; at {place}\n    {tails[0]}\n    {tails[1]}"
    else:
        yield f"{name}:\n    {one}\n    {other}"


def by_alert(log: Iterable[tuple[str, datetime, str, str, Mapping[str, object]]]) -> dict[str, list[Any]]:
    """Return alert → its history."""
    found: dict[str, list[Any]] = {}
    for alert, at, kind, by, data in log:
        found.setdefault(alert, []).append((at, kind, by, dict(data)))
    return found


def in_order(events: Iterable[IncidentEvent]) -> list[IncidentEvent]:
    """Return events by incident and number."""
    return sorted(events, key=lambda event: (event.incident, event.seq))
