"""Fold looks, one by one, into the state of a probe at one location.

:func:`step` folds one result into a small state of fixed size. Only evidence (OK, SLOW, FAILED) moves a verdict;
UNKNOWN and MISSED move nothing but the watermark, so silence never heals and never harms; staleness is judged when
somebody reads (:mod:`monitor.core.components.health`). Whether it is down is the sequential test's to say
(:mod:`monitor.core.checks.suspicion`); numbers come from :class:`monitor.core.catalogue.Policy`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.catalogue import Policy, Probe
from monitor.core.checks import flapping, slowness, suspicion
from monitor.core.checks.masks import MASK_BITS
from monitor.core.checks.probe_state import ProbeState
from monitor.core.checks.sequential import rule_of
from monitor.core.model.depth import DOUBTED, OURS, is_answer
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Outcome, Reason, Scope

DETAIL_CHARS = 200
GOOD_TICKS = 2
"""Good looks in a row, on different ticks, after which the probe counts as up for its flapping."""
QUIET_REASONS = frozenset({Reason.CERTIFICATE_EXPIRING})
"""SLOW reasons that a visitor does not feel: they have alerts of their own and leave the health alone."""


def is_duplicate(state: ProbeState, run: RunId) -> bool:
    """Say whether the run is at or before the watermark: recorded before, or too late to matter (D3)."""
    return state.tick is not None and (run.tick, run.attempt) <= (state.tick, state.attempt)


def is_gap(probe: Probe, seen_at: datetime | None, at: datetime) -> bool:
    """Say whether the evidence before a look at ``at`` is so old that the two tell nothing together."""
    if seen_at is None:
        return False
    longest_s = probe.policy.stale_after_intervals * probe.interval_s + probe.timeout_s
    return at - seen_at > timedelta(seconds=longest_s)


def step(state: ProbeState, result: Result, probe: Probe) -> ProbeState:
    """Fold one result into the state; one at or before the watermark changes nothing."""
    run, policy = result.run, probe.policy
    if state.tick is not None and (run.tick, run.attempt) <= (state.tick, state.attempt):
        return state
    reason = counted(result.observation, policy)
    outcome = reason.outcome
    if outcome.is_evidence and is_gap(probe, state.evidence_at, result.started_at):
        state = replace(state, suspicion=suspicion.interrupted(state.suspicion))
    if outcome is Outcome.FAILED:
        if reason is Reason.THROTTLED and state.throttled_in_a_row + 1 < policy.throttled_after:
            return _throttled(state, result)
        held_back = policy.throttled_after - 1 if reason is Reason.THROTTLED and not state.failed_in_a_row else 0
        if reason is Reason.AUTH_BROKEN:
            held_back = min(state.key_refusals, MASK_BITS)
        for _ in range(held_back):  # they count after all
            state = _failed(state, result, reason, probe)
        return _failed(state, result, reason, probe)
    if outcome is Outcome.OK or outcome is Outcome.SLOW:
        return _good(state, result, reason, probe)
    return _inconclusive(state, result, reason, policy)


def counted(seen: Observation, policy: Policy) -> Reason:
    """Return the reason that a look counts as: what was taken while our own loop lagged is no evidence."""
    lagged = seen.phases is not None and seen.phases.loop_lag_s > policy.max_loop_lag_s
    return Reason.LAGGED if lagged and seen.reason.outcome.is_evidence else seen.reason


def _inconclusive(state: ProbeState, result: Result, reason: Reason, policy: Policy) -> ProbeState:
    """Record an inconclusive look; as many as make a probe stale break off the good evidence before them."""
    in_a_row = state.inconclusive_in_a_row + (result.run.attempt == 1)
    broken = in_a_row >= policy.stale_after_intervals
    refused = reason is Reason.AUTH
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        inconclusive_in_a_row=in_a_row,
        ours_at=result.started_at if reason in OURS else state.ours_at,
        key_refusals=state.key_refusals + refused,
        key_refused_at=state.key_refused_at or (result.started_at if refused else None),
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
        throttled_since=state.throttled_since or result.started_at,
        last_reason=Reason.THROTTLED,
        last_detail=result.observation.detail[:DETAIL_CHARS],
        answered_at=result.started_at,
    )


def _good(state: ProbeState, result: Result, reason: Reason, probe: Probe) -> ProbeState:
    """Record a good look, slow or not: enough of them end what lasted.

    The end of an outage lies in the middle between its last failed look and the first good one after that.
    """
    tick, at = result.run.tick, result.started_at
    is_slow = reason is not Reason.OK and reason not in QUIET_REASONS
    new_tick = tick != state.good_tick
    good_in_a_row = min(state.good_in_a_row + new_tick, MASK_BITS)
    good_since, since = state.good_since or at, state.since
    known = suspicion.good(state.suspicion, rule_of(probe))
    if state.suspicion.down and not known.down:
        last = state.last_failed_at or good_since
        since = good_since = last + (good_since - last) / 2
    slow = slowness.step(state.slowness, slow=is_slow, new_tick=new_tick, at=at)
    if state.slowness.degraded and not slow.degraded:
        good_since = slow.fast_since or at
        since = since if known.down else good_since
    elif slow.degraded and not state.slowness.degraded:
        since = since if known.down else slow.slow_since
    why = _why(state.reason, reason, down=known.down, degraded=slow.degraded)
    detail, with_key = result.observation.detail[:DETAIL_CHARS], result.observation.with_key
    flaps = state.flaps
    if new_tick:
        flaps = flapping.step(flaps, down=known.down and good_in_a_row < GOOD_TICKS, policy=probe.policy)
    return replace(
        state,
        tick=tick,
        attempt=result.run.attempt,
        suspicion=known,
        failed_in_a_row=0,
        failing_since=None,
        network_worked_at=state.network_worked_at if known.down else None,
        slowness=slow,
        flaps=flaps,
        since=since or at,
        good_since=good_since,
        good_tick=tick,
        good_in_a_row=good_in_a_row,
        inconclusive_in_a_row=0,
        throttled_in_a_row=0,
        throttled_since=None,
        key_refusals=0 if with_key else state.key_refusals,
        key_refused_at=None if with_key else state.key_refused_at,
        evidence_at=at,
        key_worked_at=at if with_key else state.key_worked_at,
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


def _failed(state: ProbeState, result: Result, reason: Reason, probe: Probe) -> ProbeState:
    """Record a failed look."""
    at, rule = result.started_at, rule_of(probe)
    began_at = state.throttled_since if reason is Reason.THROTTLED and state.throttled_since is not None else at
    if reason is Reason.AUTH_BROKEN and state.key_refused_at is not None:
        began_at = state.key_refused_at
    before = state.suspicion
    if before.began_at is None:
        before = replace(before, began_at=began_at)
    known = suspicion.failed(before, rule, at)
    since = state.since
    if known.down and not before.down:
        since = suspicion.likely_start(known, rule, state.since)
    in_a_row = state.failed_in_a_row + 1
    answered = known.down and reason not in DOUBTED
    flaps = state.flaps
    if result.run.tick != state.tick or known.down is not before.down:
        flaps = flapping.step(flaps, down=True if known.down else None, policy=probe.policy)
    return replace(
        state,
        tick=result.run.tick,
        attempt=result.run.attempt,
        suspicion=known,
        failed_in_a_row=min(in_a_row, MASK_BITS),
        failing_since=state.failing_since if state.failed_in_a_row else at,
        last_failed_at=at,
        network_worked_at=state.network_worked_at or (at if answered else None),
        slowness=slowness.failed(state.slowness),
        flaps=flaps,
        since=since or at,
        good_since=None,
        good_tick=None,
        good_in_a_row=0,
        inconclusive_in_a_row=0,
        throttled_in_a_row=state.throttled_in_a_row + 1 if reason is Reason.THROTTLED else 0,
        throttled_since=began_at if reason is Reason.THROTTLED else None,
        key_refusals=0,
        key_refused_at=None,
        evidence_at=at,
        answered_at=_answered(state, result),
        reason=reason if known.down else state.reason,
        detail=result.observation.detail[:DETAIL_CHARS] if known.down else state.detail,
        last_reason=reason,
        last_detail=result.observation.detail[:DETAIL_CHARS],
    )


def _answered(state: ProbeState, result: Result) -> datetime | None:
    """Return when the target last gave a whole answer, good or bad."""
    return result.started_at if is_answer(result) else state.answered_at
