"""One look after another → the state of a probe at one location.

:func:`step` folds one result into a small state of fixed size. Only evidence (OK, SLOW, FAILED) moves a verdict;
UNKNOWN and MISSED move nothing but the watermark, so silence never heals and never harms; staleness is judged when
somebody reads (:mod:`monitor.core.components.health`). Numbers come from :class:`monitor.core.catalogue.Policy`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.catalogue import Policy, Probe
from monitor.core.checks.flapping import FLAP_MASK, is_flapping
from monitor.core.checks.probe_state import ProbeState
from monitor.core.model import Observation, Outcome, Reason, Result, RunId, Scope

MASK_BITS = 64
MASK = (1 << MASK_BITS) - 1
KEPT_FAILURES = 8
RATE_FEWEST = 3
DETAIL_CHARS = 200
QUIET_REASONS = frozenset({Reason.CERTIFICATE_EXPIRING})
"""SLOW reasons that a visitor does not feel: they have alerts of their own and leave the health alone."""
NO_SECOND_LOOK = frozenset({Reason.THROTTLED})
"""Looking again at once would be part of the trouble."""
ROUNDING_S = 1e-6
ANSWERS = frozenset(
    reason
    for reason in Reason
    if reason.scope in (Scope.SERVICE, Scope.ACCOUNT)
    and not reason.is_network_class
    and reason not in (Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_TOTAL, Reason.TLS, Reason.NO_HEARTBEAT)
) | {Reason.BLOCKED, Reason.POLICY, Reason.MODEL_RETIRED}
"""Reasons that only somebody who was reached can give."""


def is_duplicate(state: ProbeState, run: RunId) -> bool:
    """Say whether the run is at or before the watermark: it was taken in already, or came too late to matter."""
    return state.tick is not None and (run.tick, run.attempt) <= (state.tick, state.attempt)


def needs_second_look(probe: Probe, result: Result, failed_row: int = 0, elapsed_s: float | None = None) -> bool:
    """Say whether the probe should look again in the same tick, ``second_look_after_s`` after the end of this look.

    ``failed_row`` is how many looks in a row failed before this one: once k did there is nothing left to confirm.
    A look that might not be over in time for the next tick is left to that tick; ``elapsed_s`` is the time since the
    tick, if the look began late or something else followed it.
    """
    policy, run = probe.policy, result.run
    if not policy.confirm_at_once or result.outcome is not Outcome.FAILED or result.reason in NO_SECOND_LOOK:
        return False
    if failed_row + 1 >= policy.open_after_failures:
        return False
    if elapsed_s is None:
        elapsed_s = (result.started_at - run.tick).total_seconds() + result.duration_s
    return elapsed_s + policy.second_look_after_s * 2 + probe.timeout_s <= probe.interval_s + ROUNDING_S


def failed_in_a_row(before: int, result: Result) -> int:
    """Count the failed looks in a row with this one; a look that told nothing, or may be our own limit, leaves it."""
    if result.outcome is Outcome.FAILED and result.reason not in NO_SECOND_LOOK:
        return before + 1
    return 0 if result.outcome in (Outcome.OK, Outcome.SLOW) else before


def step(state: ProbeState, result: Result, policy: Policy) -> ProbeState:
    """Fold one result into the state; one at or before the watermark changes nothing."""
    run = result.run
    if state.tick is not None and (run.tick, run.attempt) <= (state.tick, state.attempt):
        return state
    reason = counted(result.observation, policy)
    outcome = reason.outcome
    if outcome is Outcome.FAILED:
        if reason is Reason.THROTTLED and state.throttled + 1 < policy.throttled_after:
            return _throttled(state, result)
        held_back = policy.throttled_after - 1 if reason is Reason.THROTTLED and not state.failed_row else 0
        for _ in range(held_back):  # they were failures all along
            state = _failed(state, result, reason, policy)
        return _failed(state, result, reason, policy)
    if outcome is Outcome.OK or outcome is Outcome.SLOW:
        return _good(state, result, reason, policy)
    return _blank(state, result, reason, policy)


def counted(seen: Observation, policy: Policy) -> Reason:
    """Return the reason that a look counts as: what was taken while our own loop lagged is no evidence."""
    lagged = seen.phases is not None and seen.phases.loop_lag_s > policy.max_loop_lag_s
    return Reason.LAGGED if lagged and seen.reason.outcome.is_evidence else seen.reason


def _blank(state: ProbeState, result: Result, reason: Reason, policy: Policy) -> ProbeState:
    """Take in a look that told nothing; as many as make a probe stale break off the good evidence before them."""
    blank = state.blank + (result.run.attempt == 1)
    broken = blank >= policy.stale_after_intervals
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        blank=blank,
        refused=state.refused + (reason is Reason.AUTH and result.run.attempt == 1),
        good_since=None if broken else state.good_since,
        good_row=0 if broken else state.good_row,
        brisk_row=0 if broken else state.brisk_row,
        brisk_since=None if broken else state.brisk_since,
        last_reason=reason,
        last_detail=result.observation.detail[:DETAIL_CHARS],
        answered_at=_answered(state, result),
    )


def _throttled(state: ProbeState, result: Result) -> ProbeState:
    """Take in a 429 that does not count yet, but will be the start if it goes on."""
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        throttled=state.throttled + 1,
        suspect_since=state.suspect_since or result.started_at,
        last_reason=Reason.THROTTLED,
        last_detail=result.observation.detail[:DETAIL_CHARS],
        answered_at=result.started_at,
    )


def _good(state: ProbeState, result: Result, reason: Reason, policy: Policy) -> ProbeState:
    slow = reason is not Reason.OK and reason not in QUIET_REASONS
    tick, at, n = result.run.tick, result.started_at, policy.window_looks
    new_tick = tick != state.good_tick
    good_row = state.good_row + new_tick
    brisk_row = 0 if slow else state.brisk_row + new_tick
    brisk_since = None if slow else (state.brisk_since or at)
    good_since = state.good_since or at
    looks, slows = state.looks << 1 & MASK, (state.slow << 1 | slow) & MASK
    fresh = min(state.fresh + 1, MASK_BITS)
    down, partial, degraded, since = state.down, state.partial, state.degraded, state.since
    if down and good_row >= policy.close_after_successes:
        down, fresh, since = False, 0, good_since
    if partial and not down and not _rate_holds(looks, policy):
        partial, since = False, good_since
    slow_since = (state.slow_since or at) if slow else (state.slow_since if degraded or _newest(slows, n) else None)
    if degraded and brisk_row >= policy.close_after_successes:
        degraded, slows, slow_since = False, 0, None
        good_since = brisk_since or at
        since = since if down or partial else good_since
    elif not degraded and slow and _newest(slows, n).bit_count() >= policy.open_after_failures:
        degraded, since = True, since if down or partial else slow_since
    flips = (state.flips << 1 | down) & FLAP_MASK
    why = _why(state.reason, reason, down=down or partial, degraded=degraded)
    detail = result.observation.detail[:DETAIL_CHARS]
    return replace(
        state,
        tick=tick,
        attempt=result.run.attempt,
        looks=looks,
        seen=min(state.seen + 1, MASK_BITS),
        slow=slows,
        fresh=fresh,
        failed_row=0,
        down=down,
        partial=partial,
        degraded=degraded,
        flapping=is_flapping(flips, state.flapping, policy) if flips or state.flapping else False,
        since=since or at,
        suspect_since=state.suspect_since if looks and _newest(looks, min(n, fresh)) else None,
        slow_since=slow_since,
        good_since=good_since,
        good_tick=tick,
        good_row=min(good_row, MASK_BITS),
        brisk_row=min(brisk_row, MASK_BITS),
        brisk_since=brisk_since,
        blank=0,
        refused=0,
        throttled=0,
        flips=flips,
        evidence_at=at,
        row_since=None,
        cleared_at=state.cleared_at if down or partial else None,
        reason=why,
        detail=detail if why is reason else state.detail if why is state.reason else "",
        last_reason=reason,
        last_detail=detail,
        key_worked_at=at,
        answered_at=at,
    )


def _why(before: Reason, reason: Reason, *, down: bool, degraded: bool) -> Reason:
    """Return why the health is what it is after a good look with this reason."""
    if down:
        return before
    if not degraded:
        return Reason.OK
    if reason.scope is Scope.DEGRADED and reason not in QUIET_REASONS:
        return reason
    return before if before.scope is Scope.DEGRADED else Reason.SLOW


def _failed(state: ProbeState, result: Result, reason: Reason, policy: Policy) -> ProbeState:
    at, k = result.started_at, policy.open_after_failures
    suspect_since = state.suspect_since or at
    fresh = min(state.fresh + 1, MASK_BITS)
    looks, seen, failed_at = state.looks, state.seen, state.failed_at
    counted = not state.down and state.failed_row < k
    if counted:
        looks = (looks << 1 | 1) & MASK
        seen = min(seen + 1, MASK_BITS)
        failed_at = (*failed_at, at)[-KEPT_FAILURES:]
    failed_row = state.failed_row + 1
    down, partial, since = state.down, state.partial, state.since
    if not down and _confirms(looks, fresh, failed_row, partial, policy):
        down, since = True, suspect_since
        extra = min(failed_row, k) - 1
        looks, seen = looks >> extra, seen - extra
        failed_at = failed_at[: max(1, len(failed_at) - extra)]
    if not partial and counted and (start := _rate_opens(looks, seen, failed_at, policy)) is not None:
        partial, since = True, since if down else _after_recovery(start, state, failed_at)
    flips = (state.flips << 1 | 1) & FLAP_MASK if down or partial else state.flips
    answered = (down or partial) and not reason.is_network_class
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        looks=looks,
        seen=seen,
        slow=state.slow << 1 & MASK,
        fresh=fresh,
        failed_row=min(failed_row, MASK_BITS),
        failed_at=failed_at,
        bad_at=at,
        row_since=state.row_since if state.failed_row else at,
        cleared_at=state.cleared_at or (at if answered else None),
        down=down,
        partial=partial,
        flapping=is_flapping(flips, state.flapping, policy),
        since=since or at,
        suspect_since=suspect_since,
        good_since=None,
        good_tick=None,
        good_row=0,
        brisk_row=0,
        brisk_since=None,
        blank=0,
        refused=0,
        throttled=state.throttled + 1 if reason is Reason.THROTTLED else 0,
        flips=flips,
        evidence_at=at,
        reason=reason if down or partial else state.reason,
        detail=result.observation.detail[:DETAIL_CHARS] if down or partial else state.detail,
        last_reason=reason,
        last_detail=result.observation.detail[:DETAIL_CHARS],
        answered_at=_answered(state, result),
    )


def _answered(state: ProbeState, result: Result) -> datetime | None:
    """Take any HTTP status, or a refusal that only a target can utter, as an answer."""
    said = result.observation.http_status is not None or result.reason in ANSWERS
    return result.started_at if said else state.answered_at


def _newest(mask: int, n: int) -> int:
    return mask & ((1 << n) - 1)


def _confirms(looks: int, fresh: int, failed_row: int, partial: bool, policy: Policy) -> bool:
    """Say whether k of the newest n failed; while failures are partial already, only an unbroken row is an outage."""
    if partial:
        return failed_row >= max(2 * policy.open_after_failures, policy.window_looks + 1)
    return _newest(looks, min(policy.window_looks, fresh)).bit_count() >= policy.open_after_failures


def _rate_opens(looks: int, seen: int, failed_at: Sequence[datetime], policy: Policy) -> datetime | None:
    """Failure-rate rule: start of the failures if the ratio is reached over any of the newest m … 3m looks.

    At least three failures, and more than k, must be there, all within ``rate_window_s``; a confirmed outage is one.
    """
    fewest = max(RATE_FEWEST, policy.open_after_failures + 1)
    if looks.bit_count() < fewest or seen < policy.rate_min_looks:
        return None
    for n in range(policy.rate_min_looks, min(3 * policy.rate_min_looks, seen) + 1):
        failures = _newest(looks, n).bit_count()
        if failures >= max(fewest, math.ceil(policy.rate_open_ratio * n - 1e-9)):
            start = failed_at[-min(failures, len(failed_at))]
            return start if failed_at[-1] - start <= timedelta(seconds=policy.rate_window_s) else None
    return None


def _after_recovery(start: datetime, state: ProbeState, failed_at: Sequence[datetime]) -> datetime:
    """Return the first failed look since the probe last recovered: an outage that was over did not last until now."""
    if state.degraded or state.since is None or start >= state.since:
        return start
    return next((at for at in failed_at if at >= state.since), start)


def _rate_holds(looks: int, policy: Policy) -> bool:
    n = 2 * policy.rate_min_looks
    return _newest(looks, n).bit_count() > policy.rate_close_ratio * n
