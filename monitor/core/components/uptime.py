"""Uptime with its denominator: wall time split without remainder.

All sums are whole microseconds, so parts add up exactly, and splitting a window adds up to the window. Maintenance
lies over every health; where nothing is known the time is unknown, and neither of the two is in the ratio.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.core.maintenance import Window
from monitor.core.model.states import Health
from monitor.core.schedule import micros


@dataclass(frozen=True, slots=True)
class Shares:
    """Microseconds of a window per state; the six parts add up to the window."""

    operational_us: int = 0
    degraded_us: int = 0
    partial_us: int = 0
    major_us: int = 0
    maintenance_us: int = 0
    unknown_us: int = 0


_PARTS = ("operational_us", "degraded_us", "partial_us", "major_us", "maintenance_us", "unknown_us")
_PART_OF = {
    Health.OPERATIONAL: "operational_us",
    Health.DEGRADED: "degraded_us",
    Health.PARTIAL: "partial_us",
    Health.MAJOR: "major_us",
    Health.UNKNOWN: "unknown_us",
}


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of one health, ``[start, end)``."""

    start: datetime
    end: datetime
    health: Health


def shares(
    known: Sequence[Span], maintenance: Sequence[Window], component: str, since: datetime, until: datetime
) -> Shares:
    """Split ``[since, until)`` of one component. Spans must not overlap; what they leave out is unknown."""
    if until <= since:
        return Shares()
    low, high = micros(since), micros(until)
    planned = _union(
        (max(low, micros(w.starts_at)), min(high, micros(w.ends_at))) for w in maintenance if w.concerns(component)
    )
    parts = dict.fromkeys(_PARTS, 0)
    parts["maintenance_us"] = sum(end - start for start, end in planned)
    for span in known:
        start, end = max(low, micros(span.start)), min(high, micros(span.end))
        if start < end:
            covered = sum(max(0, min(end, b) - max(start, a)) for a, b in planned)
            parts[_PART_OF[span.health]] += end - start - covered
    parts["unknown_us"] += high - low - sum(parts.values())
    return Shares(**parts)


def _union(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge overlapping intervals, empty ones dropped."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(pair for pair in pairs if pair[0] < pair[1]):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out
