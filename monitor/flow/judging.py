"""From the states of probes to components, registration and incidents, at one moment of event time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select

from monitor.core import baseline, correlation, registration
from monitor.core.catalogue import ComponentKind
from monitor.core.event_json import decode
from monitor.core.events import Cause, ComponentChange, EventKind, Incident, RegistrationChange
from monitor.core.health import ComponentHealth, component_health
from monitor.core.incident_events import UpstreamSaid
from monitor.core.incidents import Facts, decide
from monitor.core.model import Health, Observation, Reason, Result, RunId
from monitor.core.witness import is_quoted, unquoted
from monitor.flow.working import INCIDENT, INCIDENT_EVENT, Part, Track, Working
from monitor.store.codec import unpack, us, when


def shown_health(part: Part, seen: ComponentHealth, at: datetime) -> ComponentHealth:
    """Join what the looks say with the word over all ways to sign up: the worse of the two is shown.

    What works, but is slower than usual for the hour of the week, is shown as degraded; incidents never rest on it.
    """
    if part.registration is not None and part.registration.methods:
        word = registration.verdict(part.registration, at)
        return seen if seen.health.severity > word.health.severity else word
    return baseline.laid_over(seen, part.unusual, at) if part.unusual else seen


def judge(work: Working, part: Part, at: datetime) -> ComponentChange | None:
    """Write down a component's verdict of now; returns the change if there is one."""
    seen = component_health(part.pairs, at)
    verdict = shown_health(part, seen, at)
    before, was_unusual = part.health, part.reason == Reason.UNUSUAL
    if (verdict.reason.value, verdict.detail) != (part.reason, part.detail):
        part.reason, part.detail, part.changed = verdict.reason.value, verdict.detail, True
    seen_us = us(verdict.observed_at) if verdict.observed_at else 0
    if before is Health.UNKNOWN and part.known_us is None and seen_us >= part.span_us:
        part.known_us, part.changed = seen_us, True
    if verdict.health is before:
        return None
    start = verdict.since or at
    if was_unusual and verdict.health is Health.OPERATIONAL:
        start = at  # it worked all the while, but late
    elif verdict.health.severity < before.severity:
        start = max(start, seen.changed_at or start)  # better than before: not since ever, but since that ended
    if before is Health.UNKNOWN and part.known_us is not None:
        start = max(start, when(part.known_us))  # nothing is known of the time before, whatever comes after it
    work.set_health(part, verdict.health, start, at)
    part.since = when(part.span_us)
    part.known_us = part.span_us if verdict.health is Health.UNKNOWN and seen_us >= part.span_us else None
    return ComponentChange(
        part.component.id,
        before,
        verdict.health,
        at,
        part.since,
        verdict.reason,
        verdict.detail,
        verdict.agreeing,
    )


def read_registration(
    work: Working, part: Part, result: Result, track: Track, at: datetime
) -> tuple[RegistrationChange, ...]:
    """Take the readings of a look into the registration state of its component; returns the confirmed changes."""
    state = part.registration or registration.new_state(part.component.id)
    after, changes = registration.step(state, result.observation.registration, at, track.probe.policy)
    if after != state:
        part.registration, part.changed = after, True
    work.registrations.extend(changes)
    return changes


def tell(
    work: Working, service: str, at: datetime, changes: Sequence[RegistrationChange] = ()
) -> dict[str, ComponentHealth]:
    """Bring the incidents of a service up to date; returns the verdicts they rest on."""
    parts = list(work.of_service(service))
    removed = frozenset(part.component.id for part in parts if not any(not p.disabled for p, _ in part.pairs))
    looks = {part.component.id: component_health(part.pairs, at) for part in parts}
    words = {
        part.component.id: registration.verdict(part.registration, at)
        for part in parts
        if part.registration is not None and part.registration.methods
    }
    removed |= work.removed
    beside = _beside(work, service, at)
    logins = {
        part.component.id: looks[part.component.id] for part in parts if part.component.kind is ComponentKind.LOGIN
    }
    worse = frozenset(name for name, word in words.items() if word.health.severity)
    windows = tuple(work.windows())
    _decide(work, Facts(service, Cause.OUTAGE, looks, (), (), windows, removed, worse, beside, logins), at)
    if words or work.latest(service, Cause.REGISTRATION) is not None:
        facts = Facts(service, Cause.REGISTRATION, words, tuple(changes), (), windows, removed, logins=logins)
        _decide(work, facts, at)
    return looks


def _beside(work: Working, service: str, at: datetime) -> tuple[Incident, ...]:
    """Return incidents of other services around the start of this one's, when it is time to ask for them."""
    incident = work.latest(service, Cause.OUTAGE)
    if incident is None or correlation.due(incident, at) is None:
        return ()
    slack = timedelta(seconds=correlation.TOGETHER_S)
    began = INCIDENT.c.started_us.between(us(incident.started_at - slack), us(incident.started_at + slack))
    stored = (unpack(Incident, body) for body in work.connection.scalars(select(INCIDENT.c.body).where(began)))
    return tuple(({item.id: item for item in stored} | dict(work.touched)).values())


def _decide(work: Working, facts: Facts, at: datetime) -> None:
    incident = _append(work, facts, at)
    if incident is not None and is_quoted(incident, at):
        said = _new_sayings(work, incident)
        if said:
            _append(work, replace(facts, upstream=said, registration=()), at)


def _append(work: Working, facts: Facts, at: datetime) -> Incident | None:
    incident = work.latest(facts.service, facts.cause)
    events = decide(incident, facts, at, work.policy(facts.service))
    if events and events[0].kind is EventKind.OPENED:
        incident = None
    for event in events:
        # When it was written is ours to say; the rules only know when it happened.
        incident = work.happened(replace(event, recorded_at=max(work.now, at)), incident)
    return incident


def _new_sayings(work: Working, incident: Incident) -> tuple[UpstreamSaid, ...]:
    """Return the vendor's words about this incident that its timeline does not hold yet."""
    readings = work.upstream_readings(incident.service)
    if not readings:
        return ()
    said = EventKind.UPSTREAM_SAID.value
    query = select(INCIDENT_EVENT.c.data).where(INCIDENT_EVENT.c.incident == incident.id, INCIDENT_EVENT.c.kind == said)
    stored = [decode(said, json.loads(data)) for data in work.connection.scalars(query)]
    drafted = [event.what for event in work.events if event.incident == incident.id]
    heard = [(what.incident, what.said_at) for what in [*stored, *drafted] if isinstance(what, UpstreamSaid)]
    return tuple(said for reading in readings for said in unquoted(reading, incident, heard))


# Our own network


def last_looks(tracks: Iterable[Track]) -> list[Result]:
    """Return the newest look of each series as a bare result, as the blindness rule takes them."""
    return [
        Result(
            RunId(track.probe.id, track.location, track.state.tick, track.state.attempt),
            track.state.tick,
            0.0,
            Observation(track.state.last_reason),
        )
        for track in tracks
        if track.state.tick is not None
    ]
