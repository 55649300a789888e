"""Is it slower than usual for this hour of the week? A robust guess for people to look at; it never pages by itself.

Medians of past hours at the same place in the week, on a log scale, with the median absolute deviation as spread.
Hours with trouble are left out, or an outage would become the new normal. A finding needs a large deviation and a
difference that a person would feel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

HOURS_A_WEEK = 168
MIN_WEEKS = 3
MIN_LOOKS = 20
"""Fewer looks make no median worth keeping."""
Z_LIMIT = 6.0
MIN_RATIO = 1.25
MIN_EXTRA_S = 0.3
SPREAD_FLOOR = 0.05
"""Smallest spread on the log scale: equal hours would make any difference infinite."""


@dataclass(frozen=True, slots=True)
class Hour:
    """Median latency of one UTC hour. ``disturbed`` if an incident or maintenance touched it."""

    start: datetime
    p50_s: float
    looks: int
    disturbed: bool = False


@dataclass(frozen=True, slots=True)
class Unusual:
    """A latency that stands out, with what it was compared to."""

    now_s: float
    usual_s: float
    z: float
    weeks: int


def hour_of_week(at: datetime) -> int:
    """Return 0 (Monday 00:00 UTC) … 167."""
    return at.weekday() * 24 + at.hour


def unusual(now: Hour, past: Iterable[Hour]) -> Unusual | None:
    """Compare an hour with the same hour of earlier weeks; ``None`` if it is usual or there is too little to tell."""
    same = [
        hour.p50_s
        for hour in past
        if hour.start < now.start
        and hour_of_week(hour.start) == hour_of_week(now.start)
        and hour.looks >= MIN_LOOKS
        and not hour.disturbed
        and hour.p50_s > 0
    ]
    if len(same) < MIN_WEEKS or now.looks < MIN_LOOKS or now.p50_s <= 0:
        return None
    usual_s, z = _compare(now.p50_s, same)
    stands_out = z > Z_LIMIT and now.p50_s > MIN_RATIO * usual_s and now.p50_s - usual_s > MIN_EXTRA_S
    return Unusual(now.p50_s, usual_s, z, len(same)) if stands_out else None


def _compare(value_s: float, same: Sequence[float]) -> tuple[float, float]:
    logs = [math.log(item) for item in same]
    middle = median(logs)
    spread = 1.4826 * median(abs(item - middle) for item in logs)  # consistent with a normal's standard deviation
    return math.exp(middle), (math.log(value_s) - middle) / max(spread, SPREAD_FLOOR)
