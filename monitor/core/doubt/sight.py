"""What one probe at one location tells of our own side: how far its newest look got, and since when it fails.

And what is said of a location that is blind, and of its looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.core.catalogue import Probe
from monitor.core.checks.probe_state import ProbeState
from monitor.core.model.depth import DOUBTED, GOT, OURS, Depth, is_answer, passes
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason

STEADY = timedelta(minutes=5)
"""A target that failed itself while another did is no witness before it was good for so long: a full line of ours lets
some looks through."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Times are the beginnings of looks."""

    at: datetime
    """The newest look."""
    reason: Reason
    failing_since: datetime | None = None
    """The first of the looks in a row that fail up to the newest; None when that did not, or was found to be ours."""
    failed_at: datetime | None = None
    """The newest look that failed."""
    good_at: datetime | None = None
    answered_at: datetime | None = None
    """The newest whole answer, good or bad."""
    good_since: datetime | None = None
    """Start of the good looks in a row up to the newest, so far as that is kept."""
    ours_at: datetime | None = None
    """The newest look that was found to be our own side's failure."""
    is_own: bool = False
    """It is in trouble that was proven to be its own: something independent passed meanwhile."""

    @property
    def is_steady(self) -> bool:
        """Say whether a target that was hit by our own trouble has been out of it for long enough to speak."""
        return self.ours_at is None or not timedelta(0) <= self.at - self.ours_at < STEADY

    def fails(self, gate: Depth) -> bool:
        """Say whether the newest look stopped at a gate or before it."""
        got = GOT[self.reason]
        return (self.reason in DOUBTED or self.reason in OURS) and got is not None and got < gate

    def fails_alike(self, gate: Depth) -> bool:
        """Say whether it stopped there as another look did, whose cause it may share.

        A full line of ours stops some looks early and some late; but who gets a whole bad answer has a line.
        """
        answered = GOT[self.reason] is Depth.ANSWERED or self.reason in OURS
        return self.fails(gate) and (gate is not Depth.SERVED or answered)

    def passed_at(self, probe: Probe, gate: Depth) -> datetime | None:
        """Return when a look of ``probe``, whose sight it is, last passed a gate, so far as that is kept."""
        if not passes(probe.reach, gate):
            return None
        got = GOT[self.reason]
        times = [self.good_at]
        if gate <= Depth.ANSWERED:
            times.append(self.answered_at)
        if got is not None and got >= gate:
            times.append(self.at)
        return max((at for at in times if at is not None), default=None)

    def is_fresh(self, probe: Probe, now: datetime) -> bool:
        """Say whether the newest look is not too old to speak: two intervals and a deadline."""
        return now - self.at <= timedelta(seconds=2 * probe.interval_s + probe.timeout_s)


def sight_of(state: ProbeState) -> Sight | None:
    """Return what a stored state tells; None before the first look."""
    if state.tick is None:
        return None
    evidence = state.last_reason.outcome.is_evidence
    at = state.evidence_at if evidence and state.evidence_at is not None else state.tick
    since = state.failing_since if state.last_reason in DOUBTED else None
    failed, good, answered = state.last_failed_at, state.key_worked_at, state.answered_at
    own = (state.down or state.partial) and state.network_worked_at is not None and not state.is_doubtful
    return Sight(at, state.last_reason, since, failed, good, answered, state.good_since, state.ours_at, own)


def seen(before: Sight | None, result: Result) -> Sight | None:
    """Fold a look, as the wire saw it; one that was not made changes nothing."""
    if result.outcome is Outcome.MISSED:
        return before
    at, reason = result.started_at, result.reason
    since, failed, good, answered, ours = None, None, None, None, None
    if before is not None:
        since, failed, good, answered = before.failing_since, before.failed_at, before.good_at, before.answered_at
        ours = before.ours_at
    got = GOT[reason]
    if reason in DOUBTED:
        since, failed = since or at, at
    elif got is not None:
        since = None
    if got is Depth.SERVED:
        good = at
    if is_answer(result):
        answered = at
    if reason in OURS:
        ours = at
    return Sight(at, reason, since, failed, good, answered, ours_at=ours)


@dataclass(frozen=True, slots=True)
class Blindness:
    """Why a location is blind, in words, and as the reason of its looks."""

    why: str = ""
    reason: Reason = Reason.NETWORK

    def __bool__(self) -> bool:
        return bool(self.why)


SEES = Blindness()


def found_ours(result: Result, why: Blindness) -> Result:
    """Return a look that failed because of our own side: it is no evidence, and says what was seen."""
    look = result.observation
    saw = f"{result.reason}: {look.detail}" if look.detail else str(result.reason)
    return replace(result, observation=replace(look, reason=why.reason, detail=f"{why.why}; {saw}"[:300]))
