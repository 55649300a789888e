"""Rolling up and ageing out, in small steps that never hold up a result for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, MetaData, Table, delete, func, insert, select, text, update

from monitor.core import sketch
from monitor.core.model import Health
from monitor.flow.burning import watch_budgets
from monitor.flow.unusual import watch_latency
from monitor.flow.working import COMPONENT, COMPONENT_DAY, days_changed
from monitor.store import raw, tables
from monitor.store.bars import STATES, Line, one_day
from monitor.store.catalogues import load_index
from monitor.store.codec import DAY, pack, us, when
from monitor.store.engine import begin, is_postgresql, reading
from monitor.store.maintenances import held_windows
from monitor.store.partitions import ensure_partitions, partition_name
from monitor.store.reads_results import latency_points, speaking_series
from monitor.store.rolling import (
    HOUR,
    HOUR_US,
    MINUTE,
    STEP,
    Bucket,
    add_results,
    close_level,
    level_rows,
    mark,
    read_bucket,
    set_mark,
)
from monitor.store.tables import table
from monitor.store.views import Latency

SPAN = table(tables.Span)
LATENCY_EVERY_S = 60
DAY_GRACE = timedelta(hours=1)
"""A day's bar is fixed so long after midnight: a failure is confirmed after it began."""
PRUNE_STEP = 5_000


def roll_up(engine: Engine, now: datetime) -> None:
    """Bring minutes, hours, days, day bars and the latency of components up to date."""
    with begin(engine) as connection:
        settled = raw.settled_id(connection)
    while _one_step(engine, settled) == STEP:
        pass
    for level in ("hour", "day"):
        while _close(engine, level, now):
            pass
    _close_days(engine, now)
    if _latencies(engine, now):
        watch_budgets(engine, now)
    watch_latency(engine, now)
    with begin(engine) as connection:
        ensure_partitions(connection, [us(now), us(now) + DAY])


def _one_step(engine: Engine, settled: int) -> int:
    with begin(engine) as connection:
        return add_results(connection, settled)


def _close(engine: Engine, level: str, now: datetime) -> bool:
    with begin(engine) as connection:
        return close_level(connection, level, us(now))


def _close_days(engine: Engine, now: datetime) -> None:
    """Fix the bars of days that are over."""
    limit = us(now - DAY_GRACE)
    with begin(engine) as connection:
        mark(connection, "day", lock=True)
        windows = None
        done = dict(
            connection.execute(
                select(COMPONENT_DAY.c.component, func.max(COMPONENT_DAY.c.day_us)).group_by(COMPONENT_DAY.c.component)
            ).all()
        )
        rows = []
        for part in connection.execute(select(COMPONENT)):
            first = done.get(part.id, part.created_us - part.created_us % DAY - DAY) + DAY
            if first + DAY > limit:
                continue
            if windows is None:
                windows = list(held_windows(connection, when(first), now))
            line = Line(part.id, part.created_us, part.span_us, Health(part.health), us(now))
            spans = _spans_of(connection, part.id, first)
            for day in range(first, limit - DAY + 1, DAY):
                share = one_day(line, spans, windows, day, day + DAY)
                states = {name: getattr(share, name) for name in STATES}
                rows.append({"component": part.id, "day_us": day, **states})
        if rows:
            connection.execute(insert(COMPONENT_DAY), rows)
        for component in sorted({row["component"] for row in rows}):
            days_changed(connection, component)


def _spans_of(connection: Connection, component: str, since_us: int) -> list[tuple[int, int, Health]]:
    query = select(SPAN.c.start_us, SPAN.c.end_us, SPAN.c.health)
    rows = connection.execute(query.where(SPAN.c.component == component, SPAN.c.end_us > since_us))
    return [(row.start_us, row.end_us, Health(row.health)) for row in rows]


def _latencies(engine: Engine, now: datetime) -> bool:
    """Work out the latency view of every component from the last 24 hours: read first, then write briefly.

    Returns False when the last time was less than :data:`LATENCY_EVERY_S` ago.
    """
    with reading(engine) as connection:
        if us(now) - mark(connection, "latency") < LATENCY_EVERY_S * 1_000_000:
            return False
        index = load_index(connection)
        found = []
        for component in index.catalogue.components:
            view = _latency(connection, speaking_series(connection, index, component.id), now)
            if view is not None:
                found.append((component.id, pack(Latency, view)))
    with begin(engine) as connection:
        for component_id, body in sorted(found):  # everybody locks components in this order
            connection.execute(update(COMPONENT).where(COMPONENT.c.id == component_id).values(latency=body))
        set_mark(connection, "latency", us(now))
    return True


def _latency(connection: Connection, series: Sequence[int], now: datetime) -> Latency | None:
    low = us(now) - us(now) % HOUR_US - 23 * HOUR_US
    rows = level_rows(connection, "hour", low, us(now) + 1, series)
    if not rows:
        return None
    whole = Bucket()
    for row in rows:
        whole.pour(read_bucket(row))
    shown = whole.ttft or whole.response
    return Latency(
        what="ttft" if whole.ttft else "response",
        window_s=(us(now) - low) / 1e6,
        p50_s=sketch.quantile(shown, 0.5),
        p95_s=sketch.quantile(shown, 0.95),
        looks=whole.looks,
        recent=latency_points(rows, HOUR_US),
    )


def prune(
    engine: Engine,
    now: datetime,
    *,
    results: timedelta = timedelta(days=90),
    minutes: timedelta = timedelta(days=2),
    hours: timedelta = timedelta(days=400),
    evidence: timedelta = timedelta(days=30),
) -> int:
    """Age out what is older than its limit, in small transactions; returns how many raw results went.

    Day buckets, spans, incidents, alerts and the audit are kept for ever; evidence as long as its incident.
    """
    gone = sum(_old_results(engine, us(now - results)))
    for level, age in ((MINUTE, minutes), (HOUR, hours)):
        with begin(engine) as connection:
            connection.execute(delete(level).where(level.c.bucket_us < us(now - age)))
    _old_evidence(engine, us(now - evidence))
    return gone


def _old_results(engine: Engine, limit_us: int) -> Iterator[int]:
    """Drop whole partitions, or take rows from the old end; the newest row stays, so that ids are never used again."""
    if is_postgresql(engine):
        yield _old_partitions(engine, limit_us)
        return
    while True:
        with begin(engine) as connection:
            rolled = mark(connection, "minute")
            query = select(raw.RESULT.c.id, raw.RESULT.c.at_us).order_by(raw.RESULT.c.id).limit(PRUNE_STEP)
            rows = connection.execute(query).all()
            if len(rows) < 2 or (rows[-1].at_us >= limit_us and rows[0].at_us >= limit_us):
                return
            last = max((row.id for row in rows if row.at_us < limit_us and row.id <= rolled), default=0)
            newest = connection.scalar(select(func.max(raw.RESULT.c.id))) or 0
            last = min(last, newest - 1)
            gone = connection.execute(delete(raw.RESULT).where(raw.RESULT.c.id <= last)).rowcount
        yield gone
        if not gone:
            return


def _old_partitions(engine: Engine, limit_us: int) -> int:
    gone = 0
    with begin(engine) as connection:
        days = connection.scalars(
            text(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON "
                "p.oid = i.inhparent WHERE p.relname = 'result' ORDER BY 1"
            )
        ).all()
        limit = partition_name(limit_us - limit_us % DAY)
        for name in days:
            if name < limit:
                gone += connection.scalar(select(func.count()).select_from(Table(name, MetaData()))) or 0
                connection.execute(text(f"DROP TABLE {name}"))
    return gone


def _old_evidence(engine: Engine, limit_us: int) -> None:
    with begin(engine) as connection:
        old = (raw.EVIDENCE.c.at_us < limit_us, raw.EVIDENCE.c.incident == "")
        connection.execute(delete(raw.EVIDENCE).where(*old))
