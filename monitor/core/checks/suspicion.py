"""Is it down? One sequential test over the looks of a probe at one location, for hard and for partial failures.

A failed look adds points, a good one takes one away; :mod:`monitor.core.checks.sequential` says how many and why.

* Above nought something is suspected, and the next look comes early.
* A suspicion younger than the span cannot go beyond one failure below the limit (*blip cap*): what is over within the
  span pages nobody. Once one more failure would decide, the next look falls exactly on the end of the span (*decisive
  look*): a hard outage is found as soon as it may be.
* While it is down the same is counted the other way round, with a limit of its own, so that two good looks in the
  midst of an outage are no recovery.

How bad it is follows from the share of failed looks since the suspicion began: nearly all of them are an outage, fewer
a partial one. Recorder, prober and replay fold the same looks into the same state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.core.checks.masks import MASK, MASK_BITS, newest
from monitor.core.checks.sequential import Rule

EARLY_BY = timedelta(milliseconds=50)
"""A decisive look that a timer woke so much too soon is still decisive."""
WINDOW = 20
"""How bad it is shows in so many of the newest looks."""
MAJOR_SHARE = 0.8
"""Share of them that failed from which on it is no partial outage any more."""
ALL_FAIL = 10
"""So many failures in a row are an outage whatever was before."""
PARTIAL_WINDOW, PARTIAL_SHARE = 40, 0.5
"""An outage is called a partial one again when of so many looks so few failed: far apart from the other limit, so that
a failure rate between the two does not go to and fro."""
FURTHEST_BACK = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is kept between looks; the blank one suspects nothing."""

    score: int = 0
    """Points against the service; while it is down, points for its recovery."""
    began_at: datetime | None = None
    """Start of the first failed look, kept until all is well again."""
    down: bool = False
    """The limit was reached: an outage, partial or not."""
    major: bool = False
    """Nearly every look fails."""
    mask: int = 0
    """The newest looks since it began as bits, newest lowest, 1 for failed."""
    looks: int = 0
    """How many the mask holds, at most 64."""


CALM = Suspicion()


def failed(before: Suspicion, rule: Rule, at: datetime) -> Suspicion:
    """Fold a failed look that began at ``at``."""
    began_at = before.began_at or at
    mask, looks = (before.mask << 1 | 1) & MASK, min(before.looks + 1, MASK_BITS)
    if before.down:
        major = _stays_major(mask, looks) if before.major else _is_major(mask, looks)
        return Suspicion(max(0, before.score - rule.failure), began_at, True, major, mask, looks)
    score, young = before.score + rule.failure, is_young(began_at, rule, at)
    if young:
        score = min(score, rule.cap)
    elif score >= rule.limit:
        return Suspicion(0, began_at, True, _is_major(mask, looks), mask, looks)
    return Suspicion(score, began_at, mask=mask, looks=looks)


def good(before: Suspicion, rule: Rule) -> Suspicion:
    """Fold a good look; as many as ``rule.up`` end an outage, as many as there are points a suspicion."""
    if before is CALM:
        return before
    score = before.score + 1 if before.down else before.score - 1
    if (before.down and score >= rule.up) or (not before.down and score <= 0):
        return CALM
    return replace(before, score=score, mask=before.mask << 1 & MASK, looks=min(before.looks + 1, MASK_BITS))


def interrupted(before: Suspicion) -> Suspicion:
    """Break off what was counted before a long time without evidence; an outage stays one."""
    return replace(before, score=0) if before.down else CALM


def is_young(began_at: datetime, rule: Rule, at: datetime) -> bool:
    """Say whether a suspicion is too young to be an outage."""
    return at - began_at + EARLY_BY < timedelta(seconds=rule.span_s)


def likely_start(known: Suspicion, rule: Rule, not_before: datetime | None) -> datetime | None:
    """Estimate when it began: if a share q of looks fails, the first failure is met about I (1 / q - 1 / 2) late.

    With every look failing that is the first failed look itself: nothing red without evidence. Else q is estimated
    from the looks since then, without the failure that began the suspicion (that one had to be there) and with one
    good look more than were seen, for the fewer there happened to be the sooner it was found: the measured mean is then
    right at 50 % (``python -m tests.bench detection``). Nothing is moved before ``not_before``, nor by more than
    :data:`FURTHEST_BACK`: the bars of a day that is over are fixed an hour after it.
    """
    if known.began_at is None:
        return None
    failures = known.mask.bit_count()
    good = known.looks - failures
    if not good:
        return known.began_at
    late_s = rule.interval_s * ((good + 1) / max(1, failures - 1) + 0.5)
    at = known.began_at - min(FURTHEST_BACK, timedelta(seconds=late_s))
    return at if not_before is None else min(known.began_at, max(at, not_before))


def next_look_s(known: Suspicion, rule: Rule, *, failed: bool, at: datetime) -> float | None:
    """Return the seconds from the start of this look, at ``at``, to that of the next; ``None``: on the next tick."""
    if known.down:
        wait_s = rule.down_every_s if failed else rule.early_up_s
        return wait_s if rule.early_looks and wait_s < rule.interval_s else None
    if not known.score or known.began_at is None or not rule.early_looks:
        return None
    decides = known.score + rule.failure >= rule.limit
    if decides and is_young(known.began_at, rule, at):
        return (known.began_at - at).total_seconds() + rule.span_s
    return rule.early_s if rule.early_s < rule.interval_s else None


def _is_major(mask: int, looks: int) -> bool:
    seen = min(looks, WINDOW)
    run = newest(mask, ALL_FAIL)
    return newest(mask, seen).bit_count() >= MAJOR_SHARE * seen or (looks >= ALL_FAIL and run == (1 << ALL_FAIL) - 1)


def _stays_major(mask: int, looks: int) -> bool:
    """Say whether an outage is one still; decided at failed looks only, so that a recovery is no partial outage."""
    return looks < PARTIAL_WINDOW or newest(mask, PARTIAL_WINDOW).bit_count() > PARTIAL_SHARE * PARTIAL_WINDOW
