"""Good looks in calm time: many of them folded at once, to the same state as one by one.

Nearly every look of a recorded past is like the one before it. Calm is what :func:`monitor.core.checks.steps.step`
itself shows to be: a plain look that changed nothing but the times and the counts that :func:`later` changes. The next
one, being alike, then does the same, whatever the rules are made of; only their memory of the newest looks must not
hold anything else, and :func:`is_calm` sees that it does not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from monitor.core.catalogue import Policy
from monitor.core.checks.masks import MASK_BITS
from monitor.core.checks.probe_state import ProbeState
from monitor.core.checks.steps import counted
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.schedule import from_micros


class Calm:
    """Looks of a series in calm time that are not folded into its state yet. Times in microseconds."""

    __slots__ = ("at_us", "limit_us", "looks", "tick_us")

    def __init__(self, tick_us: int, at_us: int, limit_us: int) -> None:
        self.looks = 0
        self.tick_us = tick_us
        """Of the newest look, as ``at_us`` is its start."""
        self.at_us = at_us
        self.limit_us = limit_us
        """Longest time between two looks without a gap in the evidence."""

    def take(self, tick_us: int, at_us: int) -> bool:
        """Count a plain look; False if it is not a later tick, or came so late that the evidence before was stale."""
        if tick_us <= self.tick_us or not 0 <= at_us - self.at_us <= self.limit_us:
            return False
        self.looks += 1
        self.tick_us, self.at_us = tick_us, at_us
        return True

    def folded(self, state: ProbeState) -> ProbeState:
        """Return the state with the looks that wait; after that none does."""
        looks, self.looks = self.looks, 0
        return later(state, looks, from_micros(self.tick_us), from_micros(self.at_us))


def is_plain(result: Result, policy: Policy) -> bool:
    """Say whether a look was good and there is nothing more to say of it."""
    seen = result.observation
    return (
        seen.reason is Reason.OK
        and result.run.attempt == 1
        and not (seen.detail or seen.warnings or seen.registration)
        and seen.certificate is None
        and seen.upstream is None
        and counted(seen, policy) is Reason.OK
    )


def is_calm(before: ProbeState, after: ProbeState) -> bool:
    """Say whether more plain looks do no more than the one that led from ``before`` to ``after``."""
    return (
        after.tick is not None
        and after.evidence_at is not None
        and after.health is Health.OPERATIONAL
        and before.good_in_a_row > 0
        and after == later(before, 1, after.tick, after.evidence_at)
    )


def later(state: ProbeState, looks: int, tick: datetime, at: datetime) -> ProbeState:
    """Return the state after so many plain looks on ticks of their own, the last on ``tick`` and begun at ``at``."""
    slowness, fast = state.slowness, min(state.slowness.fast_in_a_row + looks, MASK_BITS)
    if fast != slowness.fast_in_a_row:
        slowness = replace(slowness, fast_in_a_row=fast)
    return replace(
        state,
        tick=tick,
        attempt=1,
        slowness=slowness,
        good_tick=tick,
        good_in_a_row=min(state.good_in_a_row + looks, MASK_BITS),
        evidence_at=at,
        key_worked_at=at,
        answered_at=at,
    )
