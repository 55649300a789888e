"""Readings → what we hold to be true of each way to sign up, and the word over all of them.

A reading changes nothing until it is repeated: two equal readings in a row from one source confirm it. Per method and
place the strongest fresh source wins (:class:`monitor.core.model.registration.Source`); two that weigh the same and
contradict each other make it unknown. Places that see different things are all kept. A source that cannot be read
gives no readings, and what is not renewed ages into unknown: nothing is ever closed because a look failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from monitor.core.catalogue import Policy
from monitor.core.components.health import ComponentHealth
from monitor.core.components.registration.claims import (
    Claim,
    age_limit,
    confirm,
    disputed,
    holds,
    judge,
    meaning,
    slot_of,
)
from monitor.core.components.registration.places import BADNESS, aged, differs, folded, over_places, troubled_places
from monitor.core.components.registration.rows import claim_from, claim_json, method_from, method_json
from monitor.core.entities import MethodState, RegistrationChange
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source, nobody_gets_in
from monitor.core.model.states import Health
from monitor.core.schedule import from_micros, micros

HEALTH = {
    Registration.OPEN: Health.OPERATIONAL,
    Registration.DELAYED: Health.DEGRADED,
    Registration.RESTRICTED: Health.PARTIAL,
    Registration.FAILING: Health.PARTIAL,
    Registration.CLOSED: Health.MAJOR,
    Registration.UNKNOWN: Health.UNKNOWN,
}
"""The component's health that follows from the word over all methods; failing is *major* where nobody gets in."""


def health_of(state: Registration, failed_ratio: float | None = None) -> Health:
    """Return the health that one way's state stands for."""
    return Health.MAJOR if nobody_gets_in(state, failed_ratio) else HEALTH[state]


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """Registration of one component. ``methods`` are the verdicts, ``claims`` what each source holds at each place."""

    component: str
    methods: tuple[MethodState, ...] = ()
    claims: tuple[Claim, ...] = ()
    known: tuple[MethodState, ...] = ()
    """The last known verdict per method, kept while it is unknown, so that a change is told from what it was."""
    seen_at: datetime | None = None
    seen: Mapping[str, datetime] = field(default_factory=dict)
    """Place → its newest look that told something; what comes later and is older changes nothing."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, times as microseconds."""
        return {
            "component": self.component,
            "methods": [method_json(item) for item in self.methods],
            "known": [method_json(item) for item in self.known],
            "claims": [claim_json(claim) for claim in self.claims],
            "seen_at": micros(self.seen_at) if self.seen_at else None,
        } | ({"seen": {place: micros(at) for place, at in self.seen.items()}} if self.seen else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RegistrationState:
        """Inverse of :meth:`to_json`."""
        return cls(
            data["component"],
            tuple(method_from(item) for item in data["methods"]),
            tuple(claim_from(item) for item in data["claims"]),
            tuple(method_from(item) for item in data["known"]),
            from_micros(data["seen_at"]) if data["seen_at"] is not None else None,
            {place: from_micros(at) for place, at in data.get("seen", {}).items()},
        )


def new_state(component: str) -> RegistrationState:
    """Return the state of a component whose registration nobody has read yet."""
    return RegistrationState(component)


def step(
    state: RegistrationState,
    readings: Sequence[MethodReading],
    at: datetime,
    policy: Policy,
    place: str = "",
    *,
    listened: bool = False,
) -> tuple[RegistrationState, tuple[RegistrationChange, ...]]:
    """Record the readings of one look at one place; readings older than what that place told change nothing.

    With ``listened`` an announcement about a way of which nothing was known is a change from unknown: whoever read
    the source before and heard nothing knows that it is new.
    """
    del policy  # the threshold is fixed by the rule and not configurable
    last_at = state.seen.get(place, None if state.seen else state.seen_at)
    if not readings or (last_at is not None and at <= last_at):
        return settle(state, at) if not readings else state, ()
    now = at if state.seen_at is None else max(at, state.seen_at)
    kept = tuple(
        claim for claim in _told(state, readings, at, place) if holds(claim, now) or claim.candidate is not None
    )
    before = {item.method: item for item in state.methods}
    known = {item.method: item for item in state.known}
    methods: list[MethodState] = []
    changes: list[RegistrationChange] = []
    for method in dict.fromkeys([*before, *(claim.reading.method for claim in kept)]):
        old, last = before.get(method), known.get(method)
        new, is_change = _followed(old, last, _judged(method, old, kept, place, now))
        if is_change:
            changes.append(RegistrationChange(state.component, now, last or _unheard(new, listened), new))
        if new.state is not Registration.UNKNOWN:
            known[method] = new
        methods.append(new)
    seen = {**state.seen, place: at} if place else state.seen
    return RegistrationState(state.component, tuple(methods), kept, tuple(known.values()), now, seen), tuple(changes)


def _unheard(new: MethodState, listened: bool) -> MethodState | None:
    """Return what was before an announcement that was listened for; ``None`` for what may have been so for years."""
    if not listened or new.source not in (Source.OFFICIAL_TEXT, Source.NEWS):
        return None
    return MethodState(new.method, Registration.UNKNOWN, new.since, new.read_at, new.source)


def _told(state: RegistrationState, readings: Sequence[MethodReading], at: datetime, place: str) -> list[Claim]:
    """Return the claims with the new readings. Those from before places were told apart are this first place's."""
    former = state.claims if state.seen else tuple(replace(claim, place=place) for claim in state.claims)
    claims = {slot_of(claim.reading, claim.place): claim for claim in former}
    for reading in readings:
        slot = slot_of(reading, place)
        claims[slot] = confirm(claims.get(slot), reading, at, place)
    return list(claims.values())


def _judged(method: Method, old: MethodState | None, claims: Sequence[Claim], place: str, now: datetime) -> MethodState:
    """Return what follows for one method from the claims of every place."""
    mine = [claim for claim in claims if claim.reading.method is method]
    places = sorted({claim.place for claim in mine}) or [place]
    return over_places({at: judge(method, [c for c in mine if c.place == at], now) for at in places}, old, now)


def _followed(old: MethodState | None, last: MethodState | None, new: MethodState) -> tuple[MethodState, bool]:
    """Return the new state with since when it holds, and whether it is a change of what was known last."""
    if old is not None and _meaning(old) == _meaning(new):
        return replace(new, since=old.since), False
    if new.state is Registration.UNKNOWN:
        return new, False
    if last is not None and _meaning(last) == _meaning(new):
        return replace(new, since=last.since), False
    if old is not None and not old.places:  # a weaker source may have said so before, but did not count then
        new = replace(new, since=max(new.since, old.since if old.state is Registration.UNKNOWN else old.read_at))
    return new, True


def settle(state: RegistrationState, now: datetime) -> RegistrationState:
    """Expire verdicts: those whose evidence is too old become unknown. Time changes nothing else here."""
    methods = tuple(_settled(item, now) for item in state.methods)
    return state if methods == state.methods else replace(state, methods=methods)


def _settled(item: MethodState, now: datetime) -> MethodState:
    if item.places:
        places = aged(item.places, now)
        if places == item.places:
            return item
        new = folded(replace(item, places=places), now)
        return replace(new, since=item.since) if _meaning(new) == _meaning(item) else new
    over = item.read_at + age_limit(item.source)
    if item.state is Registration.UNKNOWN or now <= over:
        return item
    return MethodState(item.method, Registration.UNKNOWN, over, item.read_at, item.source, url=item.url)


def overall_state(state: RegistrationState, now: datetime) -> Registration:
    """One word over all methods: closed only if every known method is; restricted if some work under a condition.

    A method of which nothing is known has no voice, unless it holds the word back (:func:`_holding_back`): then what
    is open elsewhere does not make it open, and the word is unknown.
    """
    word = _word({item.state for item in _effective(state, now)})
    return Registration.UNKNOWN if word is Registration.OPEN and _holding_back(state, now) else word


def _effective(state: RegistrationState, now: datetime) -> list[MethodState]:
    """Return the known methods that the word is made of.

    A stronger word about registration as a whole speaks for all of them. If sign-up fails as a whole, what is only
    known to be allowed by one way fails with it.
    """
    known = {item.method: item for item in settle(state, now).methods if item.state is not Registration.UNKNOWN}
    whole = known.get(Method.ANY)
    if whole is None:
        return list(known.values())
    others = [item for item in known.values() if item.method is not Method.ANY]
    if all(whole.source.weight > item.source.weight for item in others):
        return [whole]
    if whole.state is Registration.FAILING:
        others = [item for item in others if not item.source.knows_policy_only]
    return [whole, *others]


def _word(found: set[Registration]) -> Registration:
    if not found:
        return Registration.UNKNOWN
    if found == {Registration.CLOSED}:
        return Registration.CLOSED
    if Registration.FAILING in found:
        return Registration.FAILING
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
        is_disputed = disputed(state.claims, item.method, now)
        source = before.source if before is not None and not is_disputed else item.source
        spoken_for = any(
            other.source.weight >= source.weight
            for other in known
            if (other.method is Method.ANY) is not (item.method is Method.ANY)
        )
        if not spoken_for and (is_disputed or (before is not None and BADNESS[before.state])):
            found.append(item)
    return found


def overall(state: RegistrationState, now: datetime) -> Health:
    """Return the health that follows from the word over all methods, as :data:`HEALTH` maps it."""
    word = overall_state(state, now)
    if word is not Registration.FAILING:
        return HEALTH[word]
    known = [item for item in settle(state, now).methods if item.state is not Registration.UNKNOWN]
    failing = [item for item in known if item.state is Registration.FAILING]
    nobody = all(nobody_gets_in(item.state, item.failed_ratio) for item in failing)
    whole = any(item.method is Method.ANY for item in failing)
    others = [item for item in known if item.state not in (Registration.FAILING, Registration.CLOSED)]
    return Health.MAJOR if nobody and (whole or not others) else HEALTH[word]


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
    """Say whether fewer people can sign up than before.

    A first reading is no change for the worse, as a door may have been shut for years; but nothing fails by policy.
    """
    old, new = change.before, change.after
    if old is None:
        return new.state is Registration.FAILING
    before, after = BADNESS[old.state], BADNESS[new.state]
    if after != before:
        return after > before
    if troubled_places(new) - troubled_places(old):
        return bool(old.differing)
    if new.state is Registration.FAILING:
        return nobody_gets_in(new.state, new.failed_ratio) and not nobody_gets_in(old.state, old.failed_ratio)
    return new.state is Registration.RESTRICTED and _limits(old) != _limits(new) and _is_narrower(old, new)


def _limits(item: MethodState) -> tuple[object, ...]:
    return item.country_codes, item.email_domains, item.invite_required, item.approval_required


def _is_narrower(before: MethodState, after: MethodState) -> bool:
    """Fewer codes or domains, or a new condition; empty codes mean any."""
    for old, new in ((before.country_codes, after.country_codes), (before.email_domains, after.email_domains)):
        if new and (not old or set(new) < set(old)):
            return True
    return after.invite_required > before.invite_required or after.approval_required > before.approval_required


def _meaning(item: MethodState) -> tuple[object, ...]:
    return *meaning(item), differs(item)
