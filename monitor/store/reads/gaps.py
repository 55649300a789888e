"""Ticks that nobody came to: counted for ever, by reason where each has a result and as ranges where not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select

from monitor.core.model.reasons import Outcome, Reason
from monitor.core.schedule import from_micros as when
from monitor.store import tables
from monitor.store.connection.engine import reading
from monitor.store.results.raw import GAP
from monitor.store.results.rolling import DAYS, HOUR, MINUTE, mark, read_bucket
from monitor.store.tables import table


@dataclass(frozen=True, slots=True)
class GapView:
    """A range of ticks without a result each: the first, the last, and how many."""

    starts_at: datetime
    ends_at: datetime
    ticks: int


@dataclass(frozen=True, slots=True)
class MissedView:
    """What was not looked at by one probe at one location, since its first look."""

    probe: str
    location: str
    reasons: Mapping[str, int]
    """Reason → looks recorded as missed; of the last minutes not yet."""
    gaps: tuple[GapView, ...] = ()

    @property
    def ticks(self) -> int:
        """All ticks that nobody came to."""
        return sum(self.reasons.values()) + sum(gap.ticks for gap in self.gaps)


def missed(engine: Engine) -> tuple[MissedView, ...]:
    """Return what was not looked at, of every probe at every location that ever missed a tick.

    Each look counts once: day buckets as far as days are closed, then hours, then minutes. Days are kept for ever, and
    so are ranges.
    """
    series = table(tables.Series)
    reasons: dict[int, Counter[str]] = {}
    gaps: dict[int, list[GapView]] = {}
    with reading(engine) as connection:
        names = {row.id: row for row in connection.execute(select(series.c.id, series.c.probe, series.c.location))}
        for level, since in ((DAYS, 0), (HOUR, mark(connection, "day")), (MINUTE, mark(connection, "hour"))):
            for row in connection.execute(select(level).where(level.c.bucket_us >= since)):
                for name, count in read_bucket(row).failures.items():
                    if Reason(name).outcome is Outcome.MISSED:
                        reasons.setdefault(row.series, Counter())[name] += count
        for row in connection.execute(select(GAP).order_by(GAP.c.series, GAP.c.from_us)):
            gaps.setdefault(row.series, []).append(GapView(when(row.from_us), when(row.until_us), row.ticks))
    found = [
        MissedView(names[key].probe, names[key].location, dict(reasons.get(key, {})), tuple(gaps.get(key, ())))
        for key in names.keys() & (reasons.keys() | gaps.keys())
    ]
    return tuple(sorted(found, key=lambda view: (view.probe, view.location)))
