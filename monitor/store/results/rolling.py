"""Rolling results up into minutes, hours and days, each result exactly once.

A mark per level says how far it has come; buckets and mark are written in one transaction. Hours and days are merged
from the level below once they are over; what arrives later goes straight into every level that is closed already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, insert, select, update

from monitor.core.components import sketch
from monitor.core.model.reasons import Outcome, Reason
from monitor.store.codec import DAY
from monitor.store.results import tables
from monitor.store.results.raw import REASONS, RESULT
from monitor.store.results.tables import table

MINUTE, HOUR, DAYS = table(tables.RollupMinute), table(tables.RollupHour), table(tables.RollupDay)
MARK = table(tables.Mark)
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
STEP = 20_000
"""Results taken per transaction."""
GRACE_US = 5 * MINUTE_US
"""A bucket is closed so long after its end."""
LEVELS = ((MINUTE, MINUTE_US), (HOUR, HOUR_US), (DAYS, DAY))
_LENGTHS = ("dns_us", "connect_us", "tls_us", "request_us", "wait_us", "transfer_us")
Key = tuple[int, int]


@dataclass(slots=True)
class Bucket:
    """Counts per reason code and two sketches (seconds) of one series in one stretch of time."""

    counts: dict[int, int] = field(default_factory=dict)
    response: sketch.Sketch = field(default_factory=dict)
    ttft: sketch.Sketch = field(default_factory=dict)
    tokens_out: int = 0
    cost_micro_usd: int = 0

    @property
    def looks(self) -> int:
        """Looks that are evidence about the service."""
        return sum(count for code, count in self.counts.items() if _reason(code).outcome.is_evidence)

    @property
    def failures(self) -> dict[str, int]:
        """Reason value → count, of everything but OK."""
        return {_reason(code).value: count for code, count in self.counts.items() if code != Reason.OK.code}

    def pour(self, other: Bucket) -> None:
        """Add another bucket's looks."""
        for code, count in other.counts.items():
            self.counts[code] = self.counts.get(code, 0) + count
        self.response = sketch.merge([self.response, other.response])
        self.ttft = sketch.merge([self.ttft, other.ttft])
        self.tokens_out += other.tokens_out
        self.cost_micro_usd += other.cost_micro_usd


def _reason(code: int) -> Reason:
    return REASONS.get(code, Reason.INTERNAL)


_MARK = select(MARK.c.value).where(MARK.c.name == bindparam("mark"))
_LOCKED_MARK = _MARK.with_for_update()
_SET_MARK, _NEW_MARK = update(MARK).where(MARK.c.name == bindparam("mark")), insert(MARK)


def mark(connection: Connection, name: str, *, lock: bool = False) -> int:
    """Return how far a piece of housekeeping has come; ``lock`` keeps other workers from doing the same piece."""
    return connection.scalar(_LOCKED_MARK if lock else _MARK, {"mark": name}) or 0


def set_mark(connection: Connection, name: str, value: int) -> None:
    """Record how far a housekeeping task has come."""
    if not connection.execute(_SET_MARK, {"mark": name, "value": value}).rowcount:
        connection.execute(_NEW_MARK, {"name": name, "value": value})


def read_bucket(row: Row[Any]) -> Bucket:
    """Return the bucket of a row."""
    return Bucket(
        {int(code): count for code, count in json.loads(row.counts).items()},
        sketch.decode(row.response),
        sketch.decode(row.ttft),
        row.tokens_out,
        row.cost_micro_usd,
    )


def add_results(connection: Connection, settled: int, limit: int = STEP) -> int:
    """Roll the next results up to id ``settled`` into minutes; returns how many there were."""
    at = mark(connection, "minute", lock=True)
    rows = connection.execute(_after(at).where(RESULT.c.id <= settled).limit(limit)).all()
    if not rows:
        return 0
    deltas: dict[Key, Bucket] = {}
    for row in rows:
        start = row.tick_us - row.tick_us % MINUTE_US
        _count(deltas.setdefault((start, row.series), Bucket()), row)
    pour(connection, MINUTE, deltas)
    for (level, size), name in zip(LEVELS[1:], ("hour", "day"), strict=True):
        closed = mark(connection, name, lock=True)
        late = [(key, bucket) for key, bucket in deltas.items() if key[0] < closed]
        pour(connection, level, merge(late, size))
    set_mark(connection, "minute", rows[-1].id)
    return len(rows)


def _after(at: int) -> Any:
    names = (
        "id",
        "series",
        "tick_us",
        "attempt",
        "reason",
        "duration_us",
        *_LENGTHS,
        "ttft_us",
        "output_tokens",
        "cost_nano_usd",
    )
    return select(*(RESULT.c[name] for name in names)).where(RESULT.c.id > at).order_by(RESULT.c.id)


def _count(bucket: Bucket, row: Row[Any]) -> None:
    if row.attempt == 1:  # early looks come in clusters about a failure: counted, they would weigh its time double
        bucket.counts[row.reason] = bucket.counts.get(row.reason, 0) + 1
    bucket.tokens_out += row.output_tokens or 0
    bucket.cost_micro_usd += round((row.cost_nano_usd or 0) / 1000)
    if _reason(row.reason).outcome not in (Outcome.OK, Outcome.SLOW):
        return  # how long a failure took says nothing about how long an answer takes
    parts = [row.dns_us, row.connect_us, row.tls_us, row.request_us, row.wait_us, row.transfer_us]
    known = [part for part in parts if part is not None]
    sketch.add(bucket.response, (sum(known) if known else row.duration_us) / 1e6)
    if row.ttft_us is not None:
        sketch.add(bucket.ttft, row.ttft_us / 1e6)


def merge(items: Iterable[tuple[Key, Bucket]], size_us: int) -> dict[Key, Bucket]:
    """Return the same looks in larger buckets."""
    found: dict[Key, Bucket] = {}
    for (start, series), bucket in items:
        found.setdefault((start - start % size_us, series), Bucket()).pour(bucket)
    return found


def pour(connection: Connection, level: Table, deltas: Mapping[Key, Bucket]) -> None:
    """Add buckets to what a level holds."""
    if not deltas:
        return
    held = _held(connection, level, sorted({start for start, _ in deltas}))
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for key, bucket in sorted(deltas.items(), key=lambda item: item[0]):
        before = held.get(key)
        if before is not None:
            bucket.pour(before)
        (fresh if before is None else changed).append(_row(key, bucket))
    if fresh:
        connection.execute(insert(level), fresh)
    for row in changed:
        where = (level.c.bucket_us == row.pop("bucket_us"), level.c.series == row.pop("series"))
        connection.execute(update(level).where(*where).values(row))


def _held(connection: Connection, level: Table, starts: Sequence[int]) -> dict[Key, Bucket]:
    found: dict[Key, Bucket] = {}
    for at in range(0, len(starts), 500):
        query = select(level).where(level.c.bucket_us.in_(starts[at : at + 500]))
        found |= {(row.bucket_us, row.series): read_bucket(row) for row in connection.execute(query)}
    return found


def _row(key: Key, bucket: Bucket) -> dict[str, Any]:
    return {
        "bucket_us": key[0],
        "series": key[1],
        "counts": json.dumps(bucket.counts, separators=(",", ":")),
        "response": sketch.encode(bucket.response),
        "ttft": sketch.encode(bucket.ttft),
        "tokens_out": bucket.tokens_out,
        "cost_micro_usd": bucket.cost_micro_usd,
    }


def close_level(connection: Connection, name: str, now_us: int) -> bool:
    """Merge the next closed bucket of a level from the one below; returns False when there is none."""
    (lower, _), (level, size) = (LEVELS[0], LEVELS[1]) if name == "hour" else (LEVELS[1], LEVELS[2])
    start = mark(connection, name, lock=True)
    limit = mark(connection, "hour") if name == "day" else now_us - GRACE_US
    query = select(lower.c.bucket_us).where(lower.c.bucket_us >= start).order_by(lower.c.bucket_us).limit(1)
    first = connection.scalar(query)
    over = limit - limit % size
    bucket = over if first is None else first - first % size
    if bucket + size > limit:
        if over > start:
            set_mark(connection, name, over)  # no older bucket is left
        return False
    rows = connection.execute(select(lower).where(lower.c.bucket_us >= bucket, lower.c.bucket_us < bucket + size))
    pour(connection, level, merge([((row.bucket_us, row.series), read_bucket(row)) for row in rows], size))
    set_mark(connection, name, bucket + size)
    return True


def level_rows(connection: Connection, level: str, low: int, high: int, series: Sequence[int]) -> list[Row[Any]]:
    """Return the buckets in ``[low, high)``: closed ones of ``hour`` or ``minute``, the rest from the minutes."""
    closed = mark(connection, "hour") if level == "hour" else low
    found: list[Row[Any]] = []
    for at in range(0, len(series), 500):
        some = series[at : at + 500]
        for source, start, end in ((HOUR, low, min(closed, high)), (MINUTE, max(low, closed), high)):
            if start < end and not (source is HOUR and level == "minute"):
                where = (source.c.bucket_us >= start, source.c.bucket_us < end, source.c.series.in_(some))
                found += connection.execute(select(source).where(*where)).all()
    return found
