"""From the states of probes to components, registration and incidents, at one moment of event time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.alerts.conditions import Condition, alerts_for, registration_changed
from monitor.core.catalogue import ComponentKind
from monitor.core.components import baseline
from monitor.core.components.health import ComponentHealth
from monitor.core.components.registration import rules as registration
from monitor.core.entities import ComponentChange, Incident, RegistrationChange
from monitor.core.incidents import correlation
from monitor.core.incidents.rules import Facts, decide
from monitor.core.incidents.witness import is_quoted, unquoted
from monitor.core.model.incident_events import Cause, EventKind
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.state_store import ComponentRow, StateStore


def shown_health(row: ComponentRow, seen: ComponentHealth, at: datetime) -> ComponentHealth:
    """Join what the looks say with the word over all ways to sign up: the worse of the two is shown.

    A word that is still young enough says nothing about looks that ran out: then the component is unknown. What
    works, but is slower than usual for the hour of the week, is shown as degraded; incidents never rest on it.
    """
    if row.registration is not None and row.registration.methods:
        word = registration.verdict(row.registration, at)
        if word.health.rank > seen.health.rank or seen.health is word.health is Health.OPERATIONAL:
            return word
        return seen
    return baseline.laid_over(seen, row.unusual, at) if row.unusual else seen


def judge(store: StateStore, row: ComponentRow, at: datetime) -> ComponentChange | None:
    """Write down a component's verdict of now; returns the change if there is one."""
    seen = row.seen(at)
    verdict = shown_health(row, seen, at)
    before, was_unusual = row.health, row.reason == Reason.UNUSUAL
    if (verdict.reason.value, verdict.detail) != (row.reason, row.detail):
        row.reason, row.detail, row.changed = verdict.reason.value, verdict.detail, True
    seen_at = verdict.observed_at
    if before is Health.UNKNOWN and row.known_at is None and seen_at is not None and seen_at >= row.span_at:
        row.known_at, row.changed = seen_at, True
    if verdict.health is before:
        return None
    start = verdict.since or at
    if was_unusual and verdict.health is Health.OPERATIONAL:
        start = at  # it worked all the time, only more slowly than usual
    elif verdict.health.severity < before.severity:
        start = max(start, seen.changed_at or start)  # improved: the new state begins where the worse one ended
    if before is Health.UNKNOWN and row.known_at is not None:
        start = max(start, row.known_at)  # the time before stays unknown, whatever is observed later
    set_health(store, row, verdict.health, start, at)
    row.since = row.span_at
    known = verdict.health is Health.UNKNOWN and seen_at is not None and seen_at >= row.span_at
    row.known_at = row.span_at if known else None
    return ComponentChange(
        row.component.id,
        before,
        verdict.health,
        at,
        row.since,
        verdict.reason,
        verdict.detail,
        verdict.agreeing,
    )


def set_health(store: StateStore, row: ComponentRow, health: Health, start: datetime, at: datetime) -> None:
    """Close the stretch before ``start`` and begin one of another health; never reach back before the last."""
    start = min(max(start, row.span_at), max(at, row.span_at))
    store.close_span(row, start)
    row.span_at, row.health, row.changed = start, health, True


def nobody_watched(store: StateStore, last: datetime, now: datetime, gap: timedelta) -> None:
    """Write the time in which no worker lived as unknown, where it is longer than ``gap``."""
    store.load(store.index.services)
    for service in store.index.services:
        for row in store.of_service(service):
            evidence = (s.state.evidence_at for s in row.series if s.state.evidence_at is not None)
            silent = max(last, max(evidence, default=last))
            if row.health is not Health.UNKNOWN and now - silent > gap:
                set_health(store, row, Health.UNKNOWN, silent, now)
                row.since, row.reason, row.detail = row.span_at, Reason.NOT_RUNNING.value, ""
                # The next span begins now: a later verdict must not reach back into the unobserved time.
                set_health(store, row, Health.UNKNOWN, now, now)


def settle(store: StateStore, row: ComponentRow, at: datetime) -> ComponentChange | None:
    """Expire what is known of one component: its registration readings and its evidence."""
    if row.registration is not None:
        settled = registration.settle(row.registration, at)
        if settled != row.registration:
            row.registration, row.changed = settled, True
    return judge(store, row, at)


def follow(
    store: StateStore, service: str, at: datetime, told_at: datetime, changes: Sequence[RegistrationChange] = ()
) -> list[Condition]:
    """Bring a service's incidents up to date and return the conditions that follow.

    ``at`` is when it happened, ``told_at`` when it became known.
    """
    verdicts = _tell(store, service, at, told_at, changes)
    conditions = list(alerts_for(verdicts, {service: store.latest(service, Cause.OUTAGE)}))
    incident = store.latest(service, Cause.REGISTRATION)
    for row in store.of_service(service):
        if row.registration is not None and incident is not None:
            word = registration.overall_state(row.registration, at)
            ways = registration.settle(row.registration, at).methods
            conditions += registration_changed(row.component.id, word, incident, ways)
    return conditions


def _tell(
    store: StateStore, service: str, at: datetime, told_at: datetime, changes: Sequence[RegistrationChange]
) -> dict[str, ComponentHealth]:
    """Bring the incidents of a service up to date; returns the verdicts they rest on."""
    rows = store.of_service(service)
    unwatched = {row.component.id for row in rows if all(series.probe.disabled for series in row.series)}
    looks = {row.component.id: row.seen(at) for row in rows}
    words = {
        row.component.id: registration.verdict(row.registration, at)
        for row in rows
        if row.registration is not None and row.registration.methods
    }
    removed = store.removed | unwatched
    windows = tuple(store.windows(at))
    worse = frozenset(name for name, word in words.items() if word.health is not Health.OPERATIONAL)
    logins = {row.component.id: looks[row.component.id] for row in rows if row.component.kind is ComponentKind.LOGIN}
    outage = Facts(service, Cause.OUTAGE, looks, (), (), windows, removed, worse, _beside(store, service, at), logins)
    _decide(store, outage, at, told_at)
    if words or store.latest(service, Cause.REGISTRATION) is not None:
        sign_up = Facts(service, Cause.REGISTRATION, words, tuple(changes), (), windows, removed, logins=logins)
        _decide(store, sign_up, at, told_at)
    return looks


def _beside(store: StateStore, service: str, at: datetime) -> tuple[Incident, ...]:
    """Return incidents of other services around the start of this one's, when it is time to ask for them."""
    incident = store.latest(service, Cause.OUTAGE)
    if incident is None or correlation.due(incident, at) is None:
        return ()
    slack = timedelta(seconds=correlation.TOGETHER_S)
    return tuple(store.incidents_begun(incident.started_at - slack, incident.started_at + slack))


def _decide(store: StateStore, facts: Facts, at: datetime, told_at: datetime) -> None:
    incident = _append(store, facts, at, told_at)
    if incident is None or not is_quoted(incident, at):
        return
    readings = store.upstream_readings(facts.service)
    if readings:
        heard = store.quoted(incident.id)
        ours = [store.index.components.get(component) for component in incident.components]
        kinds = {component.id: component.kind for component in ours if component is not None}
        said = tuple(item for reading in readings for item in unquoted(reading, incident, kinds, heard))
        if said:
            _append(store, replace(facts, upstream=said, registration=()), at, told_at)


def _append(store: StateStore, facts: Facts, at: datetime, told_at: datetime) -> Incident | None:
    incident = store.latest(facts.service, facts.cause)
    events = decide(incident, facts, at, store.index.policy(facts.service))
    if events and events[0].kind is EventKind.OPENED:
        incident = None
    for event in events:
        # The caller sets when it became known; the rules only know when it happened.
        incident = store.happened(replace(event, recorded_at=told_at), incident)
    return incident
