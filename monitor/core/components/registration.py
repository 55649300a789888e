"""Readings → what we hold to be true of each way to sign up, and the word over all of them.

A reading changes nothing until it is repeated: two equal readings in a row from one source confirm it. Per method the
strongest fresh source wins (:class:`monitor.core.model.registration.Source`); two that weigh the same and contradict
each other make it unknown. A source that cannot be read gives no readings, and what is not renewed ages into unknown:
nothing is ever closed because a look failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.catalogue import Policy
from monitor.core.components.health import ComponentHealth
from monitor.core.entities import MethodState, RegistrationChange
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import Health
from monitor.core.schedule import from_micros, micros

AGE_LIMIT_S: Mapping[Source, int] = {
    Source.CONFIG_ENDPOINT: 3600,
    Source.PROTOCOL: 3600,
    Source.OFFICIAL_TEXT: 3600,
    Source.PAGE_TEXT: 3600,
    Source.NEWS: 86_400,
}
"""How long a reading holds without being renewed, in seconds."""
CONFIRM_READINGS = 2
BADNESS = {
    Registration.UNKNOWN: 0,
    Registration.OPEN: 0,
    Registration.DELAYED: 1,
    Registration.RESTRICTED: 2,
    Registration.CLOSED: 3,
}
HEALTH = {
    Registration.OPEN: Health.OPERATIONAL,
    Registration.DELAYED: Health.DEGRADED,
    Registration.RESTRICTED: Health.PARTIAL,
    Registration.CLOSED: Health.MAJOR,
    Registration.UNKNOWN: Health.UNKNOWN,
}
"""The component's health that follows from the word over all methods."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one source says of one method, as last confirmed, and the reading that may replace it."""

    reading: MethodReading
    since: datetime
    """When it was read for the first time."""
    read_at: datetime
    candidate: MethodReading | None = None
    candidate_since: datetime | None = None
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """Registration of one component. ``methods`` are the verdicts, ``claims`` what each source holds."""

    component: str
    methods: tuple[MethodState, ...] = ()
    claims: tuple[Claim, ...] = ()
    known: tuple[MethodState, ...] = ()
    """The last known verdict per method, kept while it is unknown, so that a change is told from what it was."""
    seen_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, times as microseconds."""
        return {
            "component": self.component,
            "methods": [_method_json(item) for item in self.methods],
            "known": [_method_json(item) for item in self.known],
            "claims": [_claim_json(claim) for claim in self.claims],
            "seen_at": micros(self.seen_at) if self.seen_at else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RegistrationState:
        """Inverse of :meth:`to_json`."""
        return cls(
            data["component"],
            tuple(_method_state(item) for item in data["methods"]),
            tuple(_claim(item) for item in data["claims"]),
            tuple(_method_state(item) for item in data["known"]),
            from_micros(data["seen_at"]) if data["seen_at"] is not None else None,
        )


def new_state(component: str) -> RegistrationState:
    """Return the state of a component whose registration nobody has read yet."""
    return RegistrationState(component)


def step(
    state: RegistrationState, readings: Sequence[MethodReading], at: datetime, policy: Policy
) -> tuple[RegistrationState, tuple[RegistrationChange, ...]]:
    """Record the readings of one look; readings older than what is known change nothing."""
    del policy  # the threshold is fixed by the rule and not configurable
    if not readings or (state.seen_at is not None and at <= state.seen_at):
        return settle(state, at) if not readings else state, ()
    claims = {_slot(claim.reading): claim for claim in state.claims}
    for reading in readings:
        claims[_slot(reading)] = _confirm(claims.get(_slot(reading)), reading, at)
    kept = tuple(claim for claim in claims.values() if _holds(claim, at) or claim.candidate is not None)
    before = {item.method: item for item in state.methods}
    known = {item.method: item for item in state.known}
    methods: list[MethodState] = []
    changes: list[RegistrationChange] = []
    for method in dict.fromkeys([*before, *(claim.reading.method for claim in kept)]):
        old, new = before.get(method), _judge(method, [c for c in kept if c.reading.method is method], at)
        if old is not None and _meaning(old) == _meaning(new):
            new = replace(new, since=old.since)
        elif new.state is not Registration.UNKNOWN:
            last = known.get(method)
            if last is not None and _meaning(last) == _meaning(new):
                new = replace(new, since=last.since)
            else:
                if old is not None:  # a weaker source may have said so before, but did not count then
                    new = replace(
                        new, since=max(new.since, old.since if old.state is Registration.UNKNOWN else old.read_at)
                    )
                changes.append(RegistrationChange(state.component, at, last, new))
        if new.state is not Registration.UNKNOWN:
            known[method] = new
        methods.append(new)
    return RegistrationState(state.component, tuple(methods), kept, tuple(known.values()), at), tuple(changes)


def settle(state: RegistrationState, now: datetime) -> RegistrationState:
    """Expire verdicts: those whose evidence is too old become unknown. Time changes nothing else here."""
    if not any(_expired(item, now) for item in state.methods):
        return state
    return replace(state, methods=tuple(_aged(item) if _expired(item, now) else item for item in state.methods))


def overall_state(state: RegistrationState, now: datetime) -> Registration:
    """One word over all methods: closed only if every known method is; restricted if some work under a condition.

    A method of which nothing is known has no voice, unless it holds the word back (:func:`_holding_back`): then what
    is open elsewhere does not make it open, and the word is unknown.
    """
    word = _word(state, now)
    return Registration.UNKNOWN if word is Registration.OPEN and _holding_back(state, now) else word


def _word(state: RegistrationState, now: datetime) -> Registration:
    words = {item.method: item.state for item in settle(state, now).methods if item.state is not Registration.UNKNOWN}
    weights = {item.method: item.source.weight for item in state.methods}
    if Method.ANY in words and all(
        weights[Method.ANY] > weights[method] for method in words if method is not Method.ANY
    ):
        return words[Method.ANY]
    found = set(words.values())
    if not found:
        return Registration.UNKNOWN
    if found == {Registration.CLOSED}:
        return Registration.CLOSED
    if found & {Registration.CLOSED, Registration.RESTRICTED}:
        return Registration.RESTRICTED
    return Registration.DELAYED if Registration.DELAYED in found else Registration.OPEN


def _holding_back(state: RegistrationState, now: datetime) -> list[MethodState]:
    """Return the unknown methods that were not simply open when they were known last, or that sources dispute.

    Their silence is no opening. A word of the same weight or more about registration as a whole speaks for them, and
    single methods speak for the whole.
    """
    settled, last = settle(state, now).methods, {item.method: item for item in state.known}
    known = [item for item in settled if item.state is not Registration.UNKNOWN]
    found = []
    for item in (item for item in settled if item not in known):
        before = last.get(item.method)
        disputed = len({_meaning(claim.reading) for claim in _strongest(state.claims, item.method, now)}) > 1
        source = before.source if before is not None and not disputed else item.source
        spoken_for = any(
            other.source.weight >= source.weight
            for other in known
            if (other.method is Method.ANY) is not (item.method is Method.ANY)
        )
        if not spoken_for and (disputed or (before is not None and BADNESS[before.state])):
            found.append(item)
    return found


def _strongest(claims: Sequence[Claim], method: Method, now: datetime) -> list[Claim]:
    """Return the fresh claims on a method that no other outweighs."""
    known = (c for c in claims if c.reading.method is method and c.reading.state is not Registration.UNKNOWN)
    held = [claim for claim in known if _holds(claim, now)]
    weight = max((claim.reading.source.weight for claim in held), default=0)
    return [claim for claim in held if claim.reading.source.weight == weight]


def overall(state: RegistrationState, now: datetime) -> Health:
    """Return the health that follows from the word over all methods, as :data:`HEALTH` maps it."""
    return HEALTH[overall_state(state, now)]


def verdict(state: RegistrationState, now: datetime) -> ComponentHealth:
    """Return the same as a verdict that the rules of incidents take for the cause *registration*."""
    settled = settle(state, now)
    health = overall(settled, now)
    known = [item for item in settled.methods if item.state is not Registration.UNKNOWN]
    worst = max(known, key=lambda item: BADNESS[item.state], default=None)
    since = max((item.since for item in known if worst and item.state is worst.state), default=None)
    if health is Health.UNKNOWN:
        worst, since = None, max((item.since for item in _holding_back(state, now)), default=None)
    observed = max((item.read_at for item in settled.methods), default=None)
    return ComponentHealth(
        health,
        since=since,
        reason=Reason.UNREADABLE if health is Health.UNKNOWN else Reason.OK,
        detail=worst.excerpt[:200] if worst else "",
        observed_at=observed,
        good_since=since if health is Health.OPERATIONAL else None,
        agreeing=1,
        voters=1,
    )


def is_worse(change: RegistrationChange) -> bool:
    """Say whether fewer people can sign up than before; a first reading is no change for the worse."""
    if change.before is None:
        return False
    before, after = BADNESS[change.before.state], BADNESS[change.after.state]
    narrowed = change.after.state is Registration.RESTRICTED and _limits(change.before) != _limits(change.after)
    return after > before or (after == before and narrowed and _is_narrower(change.before, change.after))


def _limits(item: MethodState) -> tuple[object, ...]:
    return item.country_codes, item.email_domains, item.invite_required, item.approval_required


def _is_narrower(before: MethodState, after: MethodState) -> bool:
    """Fewer codes or domains, or a new condition; empty codes mean any."""
    for old, new in ((before.country_codes, after.country_codes), (before.email_domains, after.email_domains)):
        if new and (not old or set(new) < set(old)):
            return True
    return after.invite_required > before.invite_required or after.approval_required > before.approval_required


def _slot(reading: MethodReading) -> tuple[Method, Source, str]:
    return reading.method, reading.source, reading.url


def _meaning(item: MethodState | MethodReading) -> tuple[object, ...]:
    return (
        item.state,
        tuple(sorted(item.country_codes)),
        tuple(sorted(item.email_domains)),
        item.invite_required,
        item.approval_required,
    )


def _confirm(claim: Claim | None, reading: MethodReading, at: datetime) -> Claim:
    """Hold a new reading as candidate until it is repeated; the very first counts at once."""
    if claim is None:
        return Claim(reading, at, at)
    if _meaning(claim.reading) == _meaning(reading):
        return Claim(reading, claim.since, at)
    again = claim.candidate is not None and _meaning(claim.candidate) == _meaning(reading)
    first = claim.candidate_since or at if again else at
    repeats = claim.repeats + 1 if again else 1
    if repeats >= CONFIRM_READINGS:
        return Claim(reading, first, at)
    return replace(claim, candidate=reading, candidate_since=first, repeats=repeats)


def _holds(claim: Claim, now: datetime) -> bool:
    return now - claim.read_at <= timedelta(seconds=AGE_LIMIT_S[claim.reading.source])


def _judge(method: Method, claims: Sequence[Claim], at: datetime) -> MethodState:
    """Verdict of the strongest fresh claims, unknown if they contradict each other or there are none."""
    best = sorted(_strongest(claims, method, at), key=lambda c: c.read_at)
    if not best:
        newest = max(claims, key=lambda c: c.read_at, default=None)
        source = newest.reading.source if newest else Source.NEWS
        return MethodState(method, Registration.UNKNOWN, at, newest.read_at if newest else at, source)
    reading, read_at = best[-1].reading, best[-1].read_at
    if len({_meaning(c.reading) for c in best}) > 1:
        return MethodState(
            method, Registration.UNKNOWN, at, read_at, reading.source, excerpt=reading.excerpt, url=reading.url
        )
    return MethodState(
        method,
        reading.state,
        since=min(c.since for c in best),
        read_at=read_at,
        source=reading.source,
        country_codes=reading.country_codes,
        email_domains=reading.email_domains,
        invite_required=reading.invite_required,
        approval_required=reading.approval_required,
        excerpt=reading.excerpt,
        url=reading.url,
    )


def _expired(item: MethodState, now: datetime) -> bool:
    limit = timedelta(seconds=AGE_LIMIT_S[item.source])
    return item.state is not Registration.UNKNOWN and now - item.read_at > limit


def _aged(item: MethodState) -> MethodState:
    limit = timedelta(seconds=AGE_LIMIT_S[item.source])
    return MethodState(item.method, Registration.UNKNOWN, item.read_at + limit, item.read_at, item.source, url=item.url)


def _claim_json(item: Claim) -> list[Any]:
    return [
        _reading_json(item.reading),
        micros(item.since),
        micros(item.read_at),
        _reading_json(item.candidate) if item.candidate else None,
        micros(item.candidate_since) if item.candidate_since else None,
        item.repeats,
    ]


def _claim(data: Sequence[Any]) -> Claim:
    reading, since, read_at, candidate, candidate_since, repeats = data
    return Claim(
        _reading(reading),
        from_micros(since),
        from_micros(read_at),
        _reading(candidate) if candidate else None,
        from_micros(candidate_since) if candidate_since is not None else None,
        repeats,
    )


def _method_json(item: MethodState) -> list[Any]:
    return [
        item.method.value,
        item.state.value,
        micros(item.since),
        micros(item.read_at),
        item.source.value,
        list(item.country_codes),
        list(item.email_domains),
        item.invite_required,
        item.approval_required,
        item.excerpt,
        item.url,
    ]


def _method_state(data: Sequence[Any]) -> MethodState:
    method, state, since, read_at, source, codes, domains, invite, approval, excerpt, url = data
    return MethodState(
        Method(method),
        Registration(state),
        from_micros(since),
        from_micros(read_at),
        Source(source),
        tuple(codes),
        tuple(domains),
        invite,
        approval,
        excerpt,
        url,
    )


def _reading_json(item: MethodReading) -> list[Any]:
    return [
        item.method.value,
        item.state.value,
        item.source.value,
        list(item.country_codes),
        list(item.email_domains),
        item.invite_required,
        item.approval_required,
        item.excerpt,
        item.url,
    ]


def _reading(data: Sequence[Any]) -> MethodReading:
    method, state, source, codes, domains, invite, approval, excerpt, url = data
    return MethodReading(
        Method(method),
        Registration(state),
        Source(source),
        tuple(codes),
        tuple(domains),
        invite,
        approval,
        excerpt,
        url,
    )
