"""When a probe is due: ticks on a fixed grid.

The grid of a probe is ``epoch + slot + k * interval``. The slot comes from a hash of the probe's id, so that starts
are spread, and a restart or another machine finds the same grid: a tick is the middle part of a run's identity.
All arithmetic is in whole microseconds; nothing here depends on a local time zone, so daylight saving is no event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970 of an aware ``datetime``, exact (floats are not)."""
    return (at - EPOCH) // MICROSECOND


def from_micros(value: int) -> datetime:
    """Inverse of :func:`micros`, aware UTC."""
    return EPOCH + timedelta(microseconds=value)


def slot(probe_id: str, interval_s: int) -> float:
    """Offset of a probe's grid in seconds, 0 ≤ offset < interval, in whole milliseconds."""
    digest = int.from_bytes(hashlib.sha256(probe_id.encode()).digest()[:8], "big")
    return digest % (interval_s * 1000) / 1000


def next_tick(interval_s: int, slot_s: float, after: datetime) -> datetime:
    """Return the first tick strictly after ``after``."""
    step, offset = interval_s * 1_000_000, round(slot_s * 1_000_000)
    return from_micros(((micros(after) - offset) // step + 1) * step + offset)


def ticks_between(interval_s: int, slot_s: float, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the ticks with ``after < tick <= until``, oldest first. After a long sleep count before you list."""
    tick, step = next_tick(interval_s, slot_s, after), timedelta(seconds=interval_s)
    while tick <= until:
        yield tick
        tick += step


def skipped(probe_id: str, interval_s: int, last: datetime, tick: datetime) -> tuple[datetime, datetime, int] | None:
    """Return the first and the last tick strictly between two recorded ones, and how many there are; None for none."""
    if (tick - last) / MICROSECOND < 1.5e6 * interval_s:  # nearly always; the exact answer costs a hash
        return None
    offset_s = slot(probe_id, interval_s)
    count = count_between(interval_s, offset_s, last, tick - MICROSECOND)
    first = next_tick(interval_s, offset_s, last)
    return (first, first + timedelta(seconds=interval_s * (count - 1)), count) if count else None


def count_between(interval_s: int, slot_s: float, after: datetime, until: datetime) -> int:
    """How many ticks :func:`ticks_between` would yield, without listing them."""
    step, offset = interval_s * 1_000_000, round(slot_s * 1_000_000)
    return max(0, (micros(until) - offset) // step - (micros(after) - offset) // step)
