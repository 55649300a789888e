"""When a probe looks again: on its next tick, or sooner because something is not settled yet.

Prober, scenarios and benchmarks ask :func:`after` at the end of every look and keep the :class:`Pace` it gives back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.catalogue import Probe
from monitor.core.checks import suspicion
from monitor.core.checks.sequential import Rule, rule_of
from monitor.core.checks.steps import counted, is_gap
from monitor.core.checks.suspicion import CALM, Suspicion
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.schedule import from_micros, micros

NO_EARLY_LOOK = frozenset({Reason.THROTTLED})
"""Looking again at once would be part of the trouble."""
SHORTEST_PAUSE_S = 1.0
"""Between the end of a look and the start of the next, however long the look took."""
KEY_TRUST = timedelta(hours=1)
LEAST_S = 10.0
"""An early look has so long before the next tick at least, or its deadline if that is shorter: what failed at once
mostly fails at once again, however long an answer may take."""
REFUSAL_S = 5.0
"""The same where a key was refused: that comes at once."""
TICK_MARGIN_S = 0.25
"""An early look that is cut short for the next tick ends so much before it."""
ROUNDING_S = 1e-6
EARLY_TIMER_S = 0.01
"""A timer of the event loop may be so much too soon."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is kept of a probe at one location between looks to choose the moment of the next.

    The prober cannot know what the recorder makes of a look. Where the two may differ, as with a refused key that a
    second witness may confirm, it counts the look as failed: the worst that comes of it are a few looks too many.
    """

    suspicion: Suspicion = CALM
    throttled_in_a_row: int = 0
    worked_at: datetime | None = None
    """Start of the newest good look that used our key, if there is one."""
    seen_at: datetime | None = None
    """Start of the newest look that told something."""


START = Pace()


def after(pace: Pace, probe: Probe, result: Result, elapsed_s: float) -> tuple[Pace, float | None]:
    """Return the pace after a look, and the seconds from its end until the next; ``None``: on the next tick.

    ``elapsed_s`` is the time from the look's tick to its end. An early look follows where it has :data:`LEAST_S`
    before the next tick; how long it may last says :func:`deadline_s`.
    """
    rule = rule_of(probe)
    known, failed = _folded(pace, probe, rule, result)
    if failed is None or result.reason in NO_EARLY_LOOK:
        return known, None
    wait_s = suspicion.next_look_s(known.suspicion, rule, failed=failed, at=result.started_at)
    least_s = REFUSAL_S if result.reason is Reason.AUTH else LEAST_S
    return known, pause_before(probe, wait_s, result.duration_s, elapsed_s, least_s)


def pause_before(
    probe: Probe, wait_s: float | None, took_s: float, elapsed_s: float, least_s: float = LEAST_S
) -> float | None:
    """Return the pause before a look that should begin ``wait_s`` after this one, which ``took_s`` long, began.

    ``least_s`` is what it must have before the next tick, if its deadline is not shorter.
    """
    if wait_s is None:
        return None
    pause_s = max(SHORTEST_PAUSE_S, wait_s - took_s)
    return pause_s if elapsed_s + pause_s + min(least_s, probe.timeout_s) <= probe.interval_s + ROUNDING_S else None


def deadline_s(probe: Probe, attempt: int, since_tick_s: float) -> float:
    """Return how long a look that begins so long after its tick may last: no early one runs over the next tick."""
    left_s = probe.interval_s - since_tick_s
    if attempt == 1 or left_s + ROUNDING_S >= probe.timeout_s:
        return probe.timeout_s
    return max(SHORTEST_PAUSE_S, left_s - TICK_MARGIN_S)


def was_cut(probe: Probe, limit_s: float, outcome: Outcome, took_s: float) -> bool:
    """Say whether a look was cut short by the next tick: it found nothing, for it might have been answered later."""
    over = limit_s < probe.timeout_s and took_s >= limit_s - EARLY_TIMER_S
    return over and outcome not in (Outcome.OK, Outcome.SLOW)


def early_wait_s(probe: Probe) -> float:
    """Return the seconds from a look to an early one that somebody wrote down although none was due."""
    return rule_of(probe).early_s


def _folded(pace: Pace, probe: Probe, rule: Rule, result: Result) -> tuple[Pace, bool | None]:
    """Return the pace with a look folded in, and whether it failed; ``None`` if it told nothing."""
    reason, at = counted(result.observation, probe.policy), result.started_at
    if is_gap(probe, pace.seen_at, at):
        pace = replace(pace, suspicion=suspicion.interrupted(pace.suspicion), seen_at=None)
    if reason is Reason.THROTTLED:
        row = pace.throttled_in_a_row + 1
        pace = replace(pace, throttled_in_a_row=row)
        if row < probe.policy.throttled_after:
            return pace, None
        return replace(pace, suspicion=suspicion.failed(pace.suspicion, rule, at), seen_at=at), True
    refused = reason is Reason.AUTH and pace.worked_at is not None and at - pace.worked_at <= KEY_TRUST
    refused = refused or (reason is Reason.AUTH and pace.suspicion.began_at is not None)
    if reason.outcome is Outcome.FAILED or refused:
        return Pace(suspicion.failed(pace.suspicion, rule, at), 0, pace.worked_at, at), True
    if reason.outcome in (Outcome.OK, Outcome.SLOW):
        worked_at = at if result.observation.with_key else pace.worked_at
        return Pace(suspicion.good(pace.suspicion, rule), 0, worked_at, at), False
    return pace, None


def to_json(pace: Pace) -> dict[str, Any] | None:
    """Return what a prober that starts again has to know; ``None`` while nothing is suspected."""
    known = pace.suspicion
    if known is CALM or known.began_at is None:
        return None
    return {
        "score": known.score,
        "began": micros(known.began_at),
        "down": known.down,
        "worked": micros(pace.worked_at) if pace.worked_at is not None else None,
        "seen": micros(pace.seen_at) if pace.seen_at is not None else None,
    }


def from_json(data: Any) -> Pace:
    """Inverse of :func:`to_json`; what makes no sense is a fresh start."""
    try:
        worked, seen = (from_micros(data[name]) if data[name] is not None else None for name in ("worked", "seen"))
        known = Suspicion(int(data["score"]), from_micros(data["began"]), bool(data["down"]))
    except (TypeError, KeyError, ValueError, OverflowError):
        return START
    return Pace(known if known.score >= 0 else CALM, 0, worked, seen)
