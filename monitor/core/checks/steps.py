"""Fold looks, one by one, into the state of a probe at one location.

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
from monitor.core.checks import flapping, slowness
from monitor.core.checks.masks import MASK, MASK_BITS, newest
from monitor.core.checks.probe_state import ProbeState
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Outcome, Reason, Scope

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
    """Say whether the run is at or before the watermark: recorded before, or too late to matter (D3)."""
    return state.tick is not None and (run.tick, run.attempt) <= (state.tick, state.attempt)


def needs_second_look(probe: Probe, result: Result, failed_before: int = 0, elapsed_s: float | None = None) -> bool:
    """Say whether the probe should look again in the same tick, ``second_look_after_s`` after the end of this look.

    ``failed_before`` is how many looks in a row failed before this one: once k did there is nothing left to confirm.
    A look that might not be over in time for the next tick is left to that tick; ``elapsed_s`` is the time since the
    tick, if the look began late or something else followed it.
    """
    policy, run = probe.policy, result.run
    if not policy.confirm_at_once or result.outcome is not Outcome.FAILED or result.reason in NO_SECOND_LOOK:
        return False
    if failed_before + 1 >= policy.open_after_failures:
        return False
    if elapsed_s is None:
        elapsed_s = (result.started_at - run.tick).total_seconds() + result.duration_s
    return elapsed_s + policy.second_look_after_s * 2 + probe.timeout_s <= probe.interval_s + ROUNDING_S


def count_failed_in_a_row(before: int, result: Result) -> int:
    """Count the failed looks in a row with this one; an inconclusive one, or our own limit, leaves it."""
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
        if reason is Reason.THROTTLED and state.throttled_in_a_row + 1 < policy.throttled_after:
            return _throttled(state, result)
        held_back = policy.throttled_after - 1 if reason is Reason.THROTTLED and not state.failed_in_a_row else 0
        for _ in range(held_back):  # they count after all
            state = _failed(state, result, reason, policy)
        return _failed(state, result, reason, policy)
    if outcome is Outcome.OK or outcome is Outcome.SLOW:
        return _good(state, result, reason, policy)
    return _inconclusive(state, result, reason, policy)


def counted(seen: Observation, policy: Policy) -> Reason:
    """Return the reason that a look counts as: what was taken while our own loop lagged is no evidence."""
    lagged = seen.phases is not None and seen.phases.loop_lag_s > policy.max_loop_lag_s
    return Reason.LAGGED if lagged and seen.reason.outcome.is_evidence else seen.reason


def _inconclusive(state: ProbeState, result: Result, reason: Reason, policy: Policy) -> ProbeState:
    """Record an inconclusive look; as many as make a probe stale break off the good evidence before them."""
    in_a_row = state.inconclusive_in_a_row + (result.run.attempt == 1)
    broken = in_a_row >= policy.stale_after_intervals
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        inconclusive_in_a_row=in_a_row,
        key_refusals=state.key_refusals + (reason is Reason.AUTH and result.run.attempt == 1),
        good_since=None if broken else state.good_since,
        good_in_a_row=0 if broken else state.good_in_a_row,
        slowness=slowness.interrupted(state.slowness) if broken else state.slowness,
        last_reason=reason,
        last_detail=result.observation.detail[:DETAIL_CHARS],
        answered_at=_answered(state, result),
    )


def _throttled(state: ProbeState, result: Result) -> ProbeState:
    """Record a 429 that does not count yet; if more follow, the failure began with it."""
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        throttled_in_a_row=state.throttled_in_a_row + 1,
        suspect_since=state.suspect_since or result.started_at,
        last_reason=Reason.THROTTLED,
        last_detail=result.observation.detail[:DETAIL_CHARS],
        answered_at=result.started_at,
    )


def _good(state: ProbeState, result: Result, reason: Reason, policy: Policy) -> ProbeState:
    """Record a good look, slow or not: enough of them in a row, on different ticks, end what lasted."""
    tick, at = result.run.tick, result.started_at
    is_slow = reason is not Reason.OK and reason not in QUIET_REASONS
    new_tick = tick != state.good_tick
    good_in_a_row = state.good_in_a_row + new_tick
    good_since = state.good_since or at
    failed_mask = state.failed_mask << 1 & MASK
    since_recovery = min(state.looks_since_recovery + 1, MASK_BITS)
    down, partial, since = state.down, state.partial, state.since
    if down and good_in_a_row >= policy.close_after_successes:
        down, since_recovery, since = False, 0, good_since
    if partial and not down and not _rate_holds(failed_mask, policy):
        partial, since = False, good_since
    slow = slowness.step(state.slowness, slow=is_slow, new_tick=new_tick, at=at, policy=policy)
    if state.slowness.degraded and not slow.degraded:
        good_since = slow.fast_since or at
        since = since if down or partial else good_since
    elif slow.degraded and not state.slowness.degraded:
        since = since if down or partial else slow.slow_since
    why = _why(state.reason, reason, down=down or partial, degraded=slow.degraded)
    detail = result.observation.detail[:DETAIL_CHARS]
    window = min(policy.window_looks, since_recovery)
    return replace(
        state,
        tick=tick,
        attempt=result.run.attempt,
        failed_mask=failed_mask,
        mask_looks=min(state.mask_looks + 1, MASK_BITS),
        looks_since_recovery=since_recovery,
        failed_in_a_row=0,
        failing_since=None,
        network_worked_at=state.network_worked_at if down or partial else None,
        suspect_since=state.suspect_since if failed_mask and newest(failed_mask, window) else None,
        down=down,
        partial=partial,
        slowness=slow,
        flaps=flapping.step(state.flaps, down=down, policy=policy),
        since=since or at,
        good_since=good_since,
        good_tick=tick,
        good_in_a_row=min(good_in_a_row, MASK_BITS),
        inconclusive_in_a_row=0,
        throttled_in_a_row=0,
        key_refusals=0,
        evidence_at=at,
        key_worked_at=at,
        answered_at=at,
        reason=why,
        detail=detail if why is reason else state.detail if why is state.reason else "",
        last_reason=reason,
        last_detail=detail,
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
    """Record a failed look: k of the newest n confirm an outage, a high rate a partial one."""
    at, k = result.started_at, policy.open_after_failures
    suspect_since = state.suspect_since or at
    since_recovery = min(state.looks_since_recovery + 1, MASK_BITS)
    failed_mask, mask_looks, failed_at = state.failed_mask, state.mask_looks, state.failed_at
    counts = not state.down and state.failed_in_a_row < k
    if counts:
        failed_mask = (failed_mask << 1 | 1) & MASK
        mask_looks = min(mask_looks + 1, MASK_BITS)
        failed_at = (*failed_at, at)[-KEPT_FAILURES:]
    in_a_row = state.failed_in_a_row + 1
    down, partial, since = state.down, state.partial, state.since
    if not down and _confirms(failed_mask, since_recovery, in_a_row, partial, policy):
        down, since = True, suspect_since
        extra = min(in_a_row, k) - 1
        failed_mask, mask_looks = failed_mask >> extra, mask_looks - extra
        failed_at = failed_at[: max(1, len(failed_at) - extra)]
    if not partial and counts and (start := _rate_opens(failed_mask, mask_looks, failed_at, policy)) is not None:
        partial, since = True, since if down else _after_recovery(start, state, failed_at)
    is_bad = down or partial
    answered = is_bad and not reason.is_network_class
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        failed_mask=failed_mask,
        mask_looks=mask_looks,
        looks_since_recovery=since_recovery,
        failed_in_a_row=min(in_a_row, MASK_BITS),
        failing_since=state.failing_since if state.failed_in_a_row else at,
        failed_at=failed_at,
        last_failed_at=at,
        network_worked_at=state.network_worked_at or (at if answered else None),
        suspect_since=suspect_since,
        down=down,
        partial=partial,
        slowness=slowness.failed(state.slowness),
        flaps=flapping.step(state.flaps, down=True if is_bad else None, policy=policy),
        since=since or at,
        good_since=None,
        good_tick=None,
        good_in_a_row=0,
        inconclusive_in_a_row=0,
        throttled_in_a_row=state.throttled_in_a_row + 1 if reason is Reason.THROTTLED else 0,
        key_refusals=0,
        evidence_at=at,
        answered_at=_answered(state, result),
        reason=reason if is_bad else state.reason,
        detail=result.observation.detail[:DETAIL_CHARS] if is_bad else state.detail,
        last_reason=reason,
        last_detail=result.observation.detail[:DETAIL_CHARS],
    )


def _answered(state: ProbeState, result: Result) -> datetime | None:
    """Return when the target last answered: any HTTP status counts, and any reason that takes a target to give."""
    answered = result.observation.http_status is not None or result.reason in ANSWERS
    return result.started_at if answered else state.answered_at


def _confirms(failed_mask: int, since_recovery: int, in_a_row: int, partial: bool, policy: Policy) -> bool:
    """Say whether k of the newest n failed; during partial failures only an unbroken row is an outage."""
    if partial:
        return in_a_row >= max(2 * policy.open_after_failures, policy.window_looks + 1)
    return newest(failed_mask, min(policy.window_looks, since_recovery)).bit_count() >= policy.open_after_failures


def _rate_opens(failed_mask: int, mask_looks: int, failed_at: Sequence[datetime], policy: Policy) -> datetime | None:
    """Failure-rate rule: start of the failures if the ratio is reached over any of the newest m … 3m looks.

    At least three failures, and more than k, must be there, all within ``rate_window_s``; a confirmed outage is one.
    """
    fewest = max(RATE_FEWEST, policy.open_after_failures + 1)
    if failed_mask.bit_count() < fewest or mask_looks < policy.rate_min_looks:
        return None
    for n in range(policy.rate_min_looks, min(3 * policy.rate_min_looks, mask_looks) + 1):
        failures = newest(failed_mask, n).bit_count()
        if failures >= max(fewest, math.ceil(policy.rate_open_ratio * n - 1e-9)):
            start = failed_at[-min(failures, len(failed_at))]
            return start if failed_at[-1] - start <= timedelta(seconds=policy.rate_window_s) else None
    return None


def _after_recovery(start: datetime, state: ProbeState, failed_at: Sequence[datetime]) -> datetime:
    """Return the first failed look since the probe last recovered: an outage that was over did not last until now."""
    if state.degraded or state.since is None or start >= state.since:
        return start
    return next((at for at in failed_at if at >= state.since), start)


def _rate_holds(failed_mask: int, policy: Policy) -> bool:
    n = 2 * policy.rate_min_looks
    return newest(failed_mask, n).bit_count() > policy.rate_close_ratio * n
