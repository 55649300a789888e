"""What each source holds of a way to sign up, as seen from one place, and what follows from all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.core.entities import MethodState
from monitor.core.model.registration import Method, MethodReading, PlaceWord, Registration, Source, nobody_gets_in

AGE_LIMIT_S: Mapping[Source, int] = {
    Source.ATTEMPT: 21_600,
    Source.CONFIG_ENDPOINT: 3600,
    Source.PROTOCOL: 3600,
    Source.OFFICIAL_TEXT: 3600,
    Source.PAGE_TEXT: 3600,
    Source.NEWS: 86_400,
}
"""How long a reading holds without being renewed, in seconds."""
CONFIRM_READINGS = 2
SHARE_STEP = 0.2
"""By how much a share of failed attempts must move to be news; an outage is not a line for every percent."""

Slot = tuple[Method, Source, str, str]


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
    place: str = ""
    """The location that read it; empty in rows from before places were told apart."""


def slot_of(reading: MethodReading, place: str) -> Slot:
    """Return what a claim is kept under: no place overwrites what another one read."""
    return reading.method, reading.source, reading.url, place


def meaning(item: MethodState | MethodReading | PlaceWord) -> tuple[object, ...]:
    """Return what has to be the same for two readings to be equal; a share of failures beside :func:`is_close`."""
    return (
        item.state,
        tuple(sorted(item.country_codes)),
        tuple(sorted(item.email_domains)),
        item.invite_required,
        item.approval_required,
        nobody_gets_in(item.state, item.failed_ratio),
    )


def is_close(one: float | None, other: float | None) -> bool:
    """Say whether two shares are the same but for chance."""
    return one == other or (one is not None and other is not None and abs(one - other) < SHARE_STEP)


def is_same(one: MethodReading, other: MethodReading) -> bool:
    """Say whether a reading repeats another one."""
    return meaning(one) == meaning(other) and is_close(one.failed_ratio, other.failed_ratio)


def confirm(claim: Claim | None, reading: MethodReading, at: datetime, place: str) -> Claim:
    """Hold a new reading as candidate until it is repeated; the very first counts at once.

    A share that moved a little stays as it was told, so that everything that tells of it agrees.
    """
    if claim is None:
        return Claim(reading, at, at, place=place)
    if is_same(claim.reading, reading):
        return Claim(replace(reading, failed_ratio=claim.reading.failed_ratio), claim.since, at, place=place)
    again = claim.candidate is not None and is_same(claim.candidate, reading)
    first = claim.candidate_since or at if again else at
    repeats = claim.repeats + 1 if again else 1
    if repeats >= CONFIRM_READINGS:
        return Claim(reading, first, at, place=place)
    return replace(claim, candidate=reading, candidate_since=first, repeats=repeats)


def age_limit(source: Source) -> timedelta:
    """Return how long a reading of this source holds."""
    return timedelta(seconds=AGE_LIMIT_S[source])


def holds(claim: Claim, now: datetime) -> bool:
    """Say whether a claim is young enough."""
    return now - claim.read_at <= age_limit(claim.reading.source)


def speaking(claims: Sequence[Claim], method: Method, now: datetime) -> list[Claim]:
    """Return the fresh claims of one place on a method that decide: all of one weight, unless they are disputed.

    The strongest source says who may sign up. Whether that works is another question, which a source of policy cannot
    answer: there the strongest that can wins, and "failing" stands beside any policy but "closed".
    """
    known = [c for c in claims if c.reading.method is method and c.reading.state is not Registration.UNKNOWN]
    held = [claim for claim in known if holds(claim, now)]
    tried = [claim for claim in held if claim.reading.source is Source.ATTEMPT]
    told = [claim for claim in held if claim.reading.source is not Source.ATTEMPT]
    if tried and not _fails(tried):  # it works: what says otherwise is over, or of elsewhere
        return _heaviest([claim for claim in told if not _fails([claim])]) or tried
    best, broken = _heaviest(told), tried or _heaviest([claim for claim in told if _fails([claim])])
    if not broken or any(claim.reading.state is Registration.CLOSED for claim in best):
        return best
    weight = broken[0].reading.source.weight
    seen = [claim for claim in told if not claim.reading.source.knows_policy_only and not _fails([claim])]
    against = [claim for claim in seen if claim.reading.source.weight >= weight]
    if any(claim.reading.source.weight > weight for claim in against):
        return best
    return [*broken, *against]


def judge(method: Method, claims: Sequence[Claim], at: datetime) -> MethodState:
    """Verdict of the claims of one place that decide: unknown if they contradict each other or there are none."""
    best = sorted(speaking(claims, method, at), key=lambda claim: claim.read_at)
    if not best:
        newest = max(claims, key=lambda claim: claim.read_at, default=None)
        source = newest.reading.source if newest else Source.NEWS
        return MethodState(method, Registration.UNKNOWN, at, newest.read_at if newest else at, source)
    reading, read_at = best[-1].reading, best[-1].read_at
    if len({meaning(claim.reading) for claim in best}) > 1:
        return MethodState(
            method, Registration.UNKNOWN, at, read_at, reading.source, excerpt=reading.excerpt, url=reading.url
        )
    return MethodState(
        method,
        reading.state,
        since=min(claim.since for claim in best),
        read_at=read_at,
        source=reading.source,
        country_codes=reading.country_codes,
        email_domains=reading.email_domains,
        invite_required=reading.invite_required,
        approval_required=reading.approval_required,
        excerpt=reading.excerpt,
        url=reading.url,
        failed_ratio=max((r for claim in best if (r := claim.reading.failed_ratio) is not None), default=None),
    )


def disputed(claims: Sequence[Claim], method: Method, now: datetime) -> bool:
    """Say whether, at some place, sources of the same weight contradict each other."""
    for place in {claim.place for claim in claims}:
        best = speaking([claim for claim in claims if claim.place == place], method, now)
        if len({meaning(claim.reading) for claim in best}) > 1:
            return True
    return False


def _fails(claims: Sequence[Claim]) -> bool:
    return any(claim.reading.state is Registration.FAILING for claim in claims)


def _heaviest(claims: Sequence[Claim]) -> list[Claim]:
    weight = max((claim.reading.source.weight for claim in claims), default=0)
    return [claim for claim in claims if claim.reading.source.weight == weight]
