"""Is the service slower than it may be? k of the newest n looks degrade a probe, looks that are not slow end it.

A slow look is good evidence: slowness neither opens nor closes an outage. An episode that is over is forgotten, and the
next one has to be confirmed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.core.checks.masks import MASK, MASK_BITS, newest

SLOW_LOOKS, WINDOW_LOOKS = 3, 5
"""So many of the newest looks were slow: degraded."""
FAST_TICKS = 2
"""Good looks in a row that were not slow, on different ticks, end it."""


@dataclass(frozen=True, slots=True)
class Slowness:
    """What is kept of slow looks; part of :class:`monitor.core.checks.probe_state.ProbeState`."""

    degraded: bool = False
    slow_mask: int = 0
    """Newest evidence as bits, 1 for slow; emptied when slowness ends."""
    slow_since: datetime | None = None
    """First slow look of those that still count."""
    fast_in_a_row: int = 0
    """Good looks in a row that were not slow, on different ticks."""
    fast_since: datetime | None = None
    """Start of the first of them."""


NOT_SLOW = Slowness()


def step(before: Slowness, *, slow: bool, new_tick: bool, at: datetime) -> Slowness:
    """Record a good look that began at ``at``; ``new_tick`` says that it is the first good one of its tick."""
    mask = (before.slow_mask << 1 | slow) & MASK
    if slow:
        late = newest(mask, WINDOW_LOOKS).bit_count() >= SLOW_LOOKS
        return Slowness(before.degraded or late, mask, before.slow_since or at)
    row = before.fast_in_a_row + new_tick
    fast_since = before.fast_since or at
    degraded, slow_since = before.degraded, before.slow_since
    if degraded and row >= FAST_TICKS:
        degraded, mask, slow_since = False, 0, None
    elif not degraded and not newest(mask, WINDOW_LOOKS):
        slow_since = None
    return Slowness(degraded, mask, slow_since, min(row, MASK_BITS), fast_since)


def failed(before: Slowness) -> Slowness:
    """Record a failed look: it is not slow, and it ends the row of fast ones."""
    if before is NOT_SLOW:
        return before
    return Slowness(before.degraded, before.slow_mask << 1 & MASK, before.slow_since)


def interrupted(before: Slowness) -> Slowness:
    """Record a gap so long that the good looks before and after it are no row."""
    return Slowness(before.degraded, before.slow_mask, before.slow_since)
