"""Alerts → who is notified, and the named reason when nobody is.

:func:`reconcile` opens and ends alerts as their conditions (:mod:`monitor.core.alerts.conditions`) come and go.
:func:`decide_routes` asks the stages in order for each route; the first one that answers decides, and its word is
stored either way: *why was I not paged?* has an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from monitor.core.alerts.conditions import LOUDNESS, Condition
from monitor.core.alerts.grouping import DIGEST, DIGEST_HOLD_S, GROUP_AFTER, NOTHING, NotificationLog
from monitor.core.catalogue import Catalogue, Policy, Route
from monitor.core.entities import Alert, Decision
from monitor.core.maintenance import Window, covering
from monitor.core.model.alert_rules import Audience, Rule, is_operators, row
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.core.model.states import Health


def reconcile(alerts: Iterable[Alert], conditions: Iterable[Condition], now: datetime) -> tuple[Alert, ...]:
    """Return the alerts that are new or changed. ``alerts`` are those not yet resolved, one per key at most."""
    standing = {alert.key: alert for alert in alerts if alert.state is not AlertState.RESOLVED}
    changed: dict[str, Alert] = {}
    for condition in conditions:
        alert = standing.get(condition.key)
        if alert is None:
            if condition.holds:
                standing[condition.key] = changed[condition.key] = _fire(condition, now)
            continue
        new = (
            _update(alert, condition) if condition.holds else replace(alert, state=AlertState.RESOLVED, resolved_at=now)
        )
        if new != alert:
            changed[condition.key] = new
            standing[condition.key] = new
            if not condition.holds:
                del standing[condition.key]
    return tuple(changed.values())


def _fire(condition: Condition, now: datetime) -> Alert:
    started = condition.since or now
    return Alert(
        id=f"{now:%Y%m%dT%H%M%S}-{hashlib.sha256(f'{condition.key}|{now.isoformat()}'.encode()).hexdigest()[:10]}",
        key=condition.key,
        rule=condition.rule,
        severity=condition.severity,
        state=AlertState.FIRING,
        service=condition.service,
        component=condition.component,
        started_at=started,
        fired_at=now,
        incident=condition.incident,
        summary=condition.summary,
    )


def _update(alert: Alert, condition: Condition) -> Alert:
    """Update an alert from its condition; severity never falls, so that a brown-out after an outage is no new page."""
    louder = LOUDNESS[condition.severity] > LOUDNESS[alert.severity]
    return replace(
        alert,
        severity=condition.severity if louder else alert.severity,
        incident=alert.incident or condition.incident,
        summary={**condition.summary, **_worst(alert, condition)},
    )


def _worst(alert: Alert, condition: Condition) -> Mapping[str, str]:
    """Return how bad a component's trouble was at its worst, once it is less: what its end is told by."""
    held = [state for state in map(_health_of, (alert.summary.get("worst"), alert.summary.get("health"))) if state]
    worst, now = max(held, key=lambda state: state.severity, default=None), _health_of(condition.summary.get("health"))
    return {"worst": worst.value} if worst and now and worst.severity > now.severity else {}


def _health_of(fact: object) -> Health | None:
    return next((health for health in Health if health.value == fact), None)


@dataclass(frozen=True, slots=True)
class SilenceWindow:
    """A silence in force between two moments; empty fields match everything."""

    id: str
    starts_at: datetime
    ends_at: datetime
    service: str = ""
    component: str = ""
    rule: str = ""

    def matches(self, alert: Alert, now: datetime) -> bool:
        """Say whether it holds this alert's notices back now."""
        return self.starts_at <= now < self.ends_at and all(
            want in ("", have)
            for want, have in (
                (self.service, alert.service),
                (self.component, alert.component),
                (self.rule, alert.rule),
            )
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds back notices, the same for every alert of one round."""

    now: datetime
    policy: Policy
    silences: tuple[SilenceWindow, ...] = ()
    maintenance: tuple[Window, ...] = ()
    blind: str = ""
    down: frozenset[str] = frozenset()
    """Components that are down now, or came back just now (:func:`just_back`)."""
    up: frozenset[str] = frozenset()
    """Components that are known not to be down although their alert may not be over yet."""
    returning: frozenset[str] = frozenset()
    """Components that work again although that is not proven yet, or were not looked at since what they need does."""
    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    late: bool = False
    """True while the past is being recorded."""
    lately: Mapping[tuple[str, Severity], int] = field(default_factory=dict)
    """(Route, severity) → alerts that it was told of singly in the newest minutes."""


@dataclass(frozen=True, slots=True)
class Case:
    """One alert and one route, before the stages."""

    alert: Alert
    route: Route
    told: NotificationLog
    around: Surroundings


def _resolved(case: Case) -> Why | None:
    """Send a resolve to whoever got the trigger, and to nobody else, silenced or not."""
    if case.alert.state is not AlertState.RESOLVED:
        return None
    if case.told.triggered_at is None:
        return Why.NEVER_TRIGGERED
    return Why.ALREADY_SENT if case.told.resolved_at is not None else Why.RESOLVED


def _late_data(case: Case) -> Why | None:
    return Why.LATE_DATA if case.around.late else None


def _our_fault(case: Case) -> Why | None:
    reason = case.alert.summary.get("reason", "")
    ours = str(reason).startswith(("account", "probe", "missed"))
    return Why.NOT_SERVICE if ours and not is_operators(case.alert.rule) else None


def _blind(case: Case) -> Why | None:
    return Why.BLIND if case.around.blind and not is_operators(case.alert.rule) else None


def _in_maintenance(case: Case) -> Why | None:
    window = covering(case.around.maintenance, case.alert.component, case.around.now)
    return Why.IN_MAINTENANCE if window is not None and row(case.alert.rule).muted_by_maintenance else None


def _silenced(case: Case) -> Why | None:
    found = any(silence.matches(case.alert, case.around.now) for silence in case.around.silences)
    return Why.SILENCED if found else None


def _inhibited(case: Case) -> Why | None:
    """Inhibit children of a parent that is down; they are notified if they are still down once it has been up.

    A component that is down explains its own burning budget.
    """
    if case.alert.rule is Rule.BURN_RATE and case.alert.component in case.around.down:
        return Why.INHIBITED
    if case.alert.rule is not Rule.COMPONENT_DOWN:
        return None
    parents = case.around.depends_on.get(case.alert.component, ())
    if case.told.last_why is Why.INHIBITED and case.alert.component in case.around.up | case.around.returning:
        return Why.INHIBITED  # it recovered together with what it depends on, or is about to
    return Why.INHIBITED if any(parent in case.around.down for parent in parents) else None


def _worse(case: Case) -> Why | None:
    if case.told.triggered_at is None or case.told.severity is None:
        return None
    if case.alert.rule == DIGEST and _size(case.alert) >= 2 * max(1, case.told.size):
        return Why.WORSE
    return Why.WORSE if LOUDNESS[case.alert.severity] > LOUDNESS[case.told.severity] else None


def _acknowledged(case: Case) -> Why | None:
    return Why.ACKNOWLEDGED if case.alert.state is AlertState.ACKNOWLEDGED else None


def _flapping(case: Case) -> Why | None:
    """Send one notice, and no more, while it flaps."""
    return Why.FLAPPING if case.alert.summary.get("flapping") and case.told.triggered_at is not None else None


def _too_soon(case: Case) -> Why | None:
    """Hold a digest back until its group is complete; its alerts have passed the other stages already."""
    wait = timedelta(seconds=DIGEST_HOLD_S if case.alert.rule == DIGEST else case.route.escalate_after_s)
    if wait and case.told.triggered_at is None and case.around.now - case.alert.fired_at < wait:
        return Why.TOO_SOON
    return None


def _already_sent(case: Case) -> Why | None:
    if case.told.last_at is None:
        return None
    pause = timedelta(seconds=case.around.policy.repeat_page_s)
    repeated = case.alert.severity is Severity.PAGE and case.around.now - case.told.last_at >= pause
    return None if repeated else Why.ALREADY_SENT


def _grouped(case: Case) -> Why | None:
    """Group a burst of alerts into a digest; an alert that was in a digest is never sent singly."""
    if case.alert.rule == DIGEST or case.told.triggered_at is not None:
        return None
    many = case.around.lately.get((case.route.id, case.alert.severity), 0) >= GROUP_AFTER
    return Why.GROUPED if many or case.told.grouped_at is not None else None


def _tell(case: Case) -> Why:
    if case.told.triggered_at is not None:
        return Why.REPEAT
    if case.told.last_why is Why.SILENCED:
        return Why.SILENCE_OVER
    return Why.ESCALATED if case.route.escalate_after_s else Why.FIRST


STAGES = (
    _resolved,
    _late_data,
    _our_fault,
    _blind,
    _in_maintenance,
    _silenced,
    _inhibited,
    _worse,
    _acknowledged,
    _flapping,
    _too_soon,
    _already_sent,
    _grouped,
    _tell,
)
"""Asked in this order; the first answer decides."""
SENDS = frozenset({Why.FIRST, Why.SILENCE_OVER, Why.ESCALATED, Why.WORSE, Why.REPEAT, Why.RESOLVED})


def decide_routes(
    alert: Alert, routes: Sequence[Route], told: Mapping[str, NotificationLog], around: Surroundings
) -> tuple[Decision, ...]:
    """Return a decision per route that the alert concerns; what was decided the same way before is left out.

    ``told`` is by route id. An alert that no route wants gets one decision with the empty route: NO_ROUTE.
    """
    wanted = [route for route in routes if concerns(route, alert)]
    if not wanted:
        known = told.get("", NOTHING).last_why is Why.NO_ROUTE
        return () if known else (Decision(alert.id, "", False, Why.NO_ROUTE, around.now, alert.severity),)
    decisions = []
    for route in wanted:
        before = told.get(route.id, NOTHING)
        why = _why(Case(alert, route, before, around))
        told_already = why is Why.ALREADY_SENT and before.last_why in SENDS
        if why in SENDS or not (why is before.last_why or told_already):
            decisions.append(Decision(alert.id, route.id, why in SENDS, why, around.now, alert.severity))
    return tuple(decisions)


def _why(case: Case) -> Why:
    return next(why for stage in STAGES if (why := stage(case)) is not None)


def concerns(route: Route, alert: Alert) -> bool:
    """Say whether a route wants alerts of this service and severity; what is about ourselves has no service."""
    if row(alert.rule).audience is Audience.NOBODY:
        return False
    if alert.rule == DIGEST:
        return alert.summary.get("route") == route.id
    about = not route.services or not alert.service or alert.service in route.services
    return about and alert.severity in route.severities


def after(told: NotificationLog, decision: Decision, alert: Alert) -> NotificationLog:
    """Return what the route has been told after a decision was stored."""
    if not decision.send:
        grouped_at = told.grouped_at or (decision.at if decision.why is Why.GROUPED else None)
        return replace(told, last_why=decision.why, grouped_at=grouped_at)
    if decision.why is Why.RESOLVED:
        return replace(told, last_at=decision.at, resolved_at=decision.at, last_why=decision.why)
    first = told.triggered_at or decision.at
    told = replace(told, triggered_at=first, last_at=decision.at, severity=alert.severity, last_why=decision.why)
    return replace(told, size=_size(alert))


def _size(alert: Alert) -> int:
    """Return how many alerts a digest stands for; 0 for any other."""
    return int(alert.summary.get("count", 0)) if alert.rule == DIGEST else 0


def just_back(
    standing: Iterable[Alert], works_since: Mapping[str, datetime], now: datetime, policy: Callable[[str], Policy]
) -> frozenset[str]:
    """Return the components that were down and have not been back for their service's recovery window.

    What depends on them may come back a look later, and nobody is told of it until it had the time. ``works_since``
    are components that are not down.
    """
    return frozenset(
        alert.component
        for alert in standing
        if alert.rule is Rule.COMPONENT_DOWN
        and alert.severity is Severity.PAGE
        and alert.component in works_since
        and (now - works_since[alert.component]).total_seconds() < policy(alert.service).recovery_window_s
    )


def parents(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """Return every component's parents, and theirs, and so on; a cycle is followed once."""
    direct = {component.id: component.depends_on for component in catalogue.components}
    found: dict[str, tuple[str, ...]] = {}
    for start, first in direct.items():
        seen: dict[str, None] = {}
        todo = list(first)
        while todo:
            name = todo.pop(0)
            if name not in seen and name != start:
                seen[name] = None
                todo += direct.get(name, ())
        found[start] = tuple(seen)
    return found
