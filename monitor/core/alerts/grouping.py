"""Many alerts at once: the first few are sent one by one, the rest as a digest, an alert of its own per route.

An alert that joins a digest stays in it until it ends, so that a route hears of a storm of any size in a bounded
number of notices; each alert is kept and shown, and the decision *grouped* says why nobody was told of it singly.
The digest lives as long as any of its alerts: its end is told when the last of them is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.core.alerts.conditions import Condition
from monitor.core.entities import Alert, Decision
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity, Why

DIGEST = Rule.DIGEST
"""Rule of the alert that stands for many."""
GROUP_AFTER = 5
"""Alerts of one severity that a route is told of singly within the window; what comes on top is told together."""
GROUP_WINDOW_S = 300.0
WINDOW = timedelta(seconds=GROUP_WINDOW_S)
DIGEST_HOLD_S = 30.0
"""A digest waits so long for the others before it is sent; it is sent again when it has grown to twice the size."""
Lately = dict[tuple[str, Severity], int]
"""(Route, severity) → alerts that it was told of singly within the window."""


@dataclass(frozen=True, slots=True)
class NotificationLog:
    """What a route was told about an alert so far."""

    triggered_at: datetime | None = None
    last_at: datetime | None = None
    severity: Severity | None = None
    resolved_at: datetime | None = None
    last_why: Why | None = None
    """The newest stored decision, sent or not: the same answer is not stored twice."""
    grouped_at: datetime | None = None
    """Since when it is part of a digest."""
    size: int = 0
    """How many alerts a digest stood for when it was told."""


NOTHING = NotificationLog()
NAMED = 10
"""Alerts that a digest names; the console lists all."""
Held = tuple[Alert, Mapping[str, NotificationLog]]
"""An alert and what each route was told of it."""


def lately(items: Iterable[Held], now: datetime) -> Lately:
    """Count what each route was told singly in the newest minutes, by severity."""
    since = now - WINDOW
    found: Lately = {}
    for alert, told in items:
        for route, heard in told.items():
            if alert.rule != DIGEST and heard.triggered_at is not None and heard.triggered_at > since:
                key = (route, heard.severity or alert.severity)
                found[key] = found.get(key, 0) + 1
    return found


def count(counts: Lately, decision: Decision, alert: Alert) -> None:
    """Count a decision that was just made, in place."""
    if decision.send and decision.why not in (Why.RESOLVED, Why.REPEAT, Why.WORSE) and alert.rule != DIGEST:
        key = (decision.route, alert.severity)
        counts[key] = counts.get(key, 0) + 1


def stands_for(found: Iterable[Alert], items: Iterable[Held]) -> list[Alert]:
    """Return the open alerts behind those of these that are digests: whoever takes a digest takes them."""
    held = list(items)
    return [
        member
        for alert in found
        if alert.rule == DIGEST
        for member in members(held, str(alert.summary.get("route", "")), alert.severity)
    ]


def members(items: Iterable[Held], route: str, severity: Severity) -> list[Alert]:
    """Return the open alerts that the route is told of only as a digest, oldest first."""
    found = [
        alert
        for alert, told in items
        if alert.severity is severity
        and alert.state is not AlertState.RESOLVED
        and told.get(route, NOTHING).grouped_at is not None
        and told.get(route, NOTHING).triggered_at is None
    ]
    return sorted(found, key=lambda alert: (alert.fired_at, alert.component, alert.id))


def digests(items: Iterable[Held], standing: Iterable[Alert]) -> tuple[Condition, ...]:
    """Return a condition for each route and severity with a digest, and the end of digests that are over."""
    kept = list(items)
    wanted = {
        (route, alert.severity)
        for alert, told in kept
        for route, heard in told.items()
        if heard.grouped_at is not None and alert.state is not AlertState.RESOLVED
    }
    before = {(str(alert.summary.get("route", "")), alert.severity) for alert in standing if alert.rule == DIGEST}
    return tuple(_condition(route, loud, members(kept, route, loud)) for route, loud in sorted(wanted | before))


def _condition(route: str, severity: Severity, found: list[Alert]) -> Condition:
    scope = f"{route}/{severity}"
    if not found:
        return Condition(DIGEST, "", "", False, severity, None, scope)
    rules = Counter(str(alert.rule) for alert in found)
    names = list(dict.fromkeys(alert.component or alert.service or str(alert.rule) for alert in found))
    facts = {
        "route": route,
        "count": len(found),
        "names": names[:NAMED],
        "services": len({alert.service for alert in found}),
        "rules": dict(rules.most_common(5)),
    }
    since = min(alert.started_at for alert in found)
    return Condition(DIGEST, "", "", True, severity, since, scope, summary=facts)
