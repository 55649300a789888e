"""The only reader of time.

Everything below takes ``now`` as an argument; the programs call these two functions and pass the answer down.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

CLOSE_NS = 20_000
"""Two clock readings this close together count as one moment."""


def now() -> datetime:
    """Return the current time as an aware UTC ``datetime``."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds on a clock that never steps; only differences mean anything."""
    return time.monotonic()


def monotonic_ns() -> int:
    """Return nanoseconds on the clock of :func:`monotonic`."""
    return time.monotonic_ns()


def wall_offset_ns() -> int:
    """Return wall clock minus monotonic clock: carries a kernel stamp over to our clock, and shows a clock step.

    Being put to sleep between the two readings would show as a step, so the tightest of three tries counts.
    """
    best_ns, tightest_ns = 0, CLOSE_NS + 1
    for _ in range(3):
        before_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        spread_ns = time.monotonic_ns() - before_ns
        if spread_ns < tightest_ns or not best_ns:
            best_ns, tightest_ns = wall_ns - before_ns - spread_ns // 2, spread_ns
        if spread_ns <= CLOSE_NS:
            break
    return best_ns
