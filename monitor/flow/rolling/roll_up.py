"""Rolling up, in small steps that never hold up a result for long."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, func, insert, select

from monitor.core.model.states import Health
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.flow.rolling.budgets import watch_budgets
from monitor.flow.rolling.latencies import renew_latencies
from monitor.flow.rolling.latency_unusual import watch_latency
from monitor.store import tables
from monitor.store.codec import DAY
from monitor.store.connection.engine import begin
from monitor.store.maintenances import held_windows
from monitor.store.reads.bars import STATES, Line, one_day
from monitor.store.results import raw
from monitor.store.results.partitions import ensure_partitions
from monitor.store.results.rolling import STEP, add_results, close_level, mark
from monitor.store.tables import table
from monitor.store.transaction.store import COMPONENT, COMPONENT_DAY, days_changed

SPAN = table(tables.Span)
DAY_GRACE = timedelta(hours=1)
"""A day's bar is fixed so long after midnight: a failure is confirmed after it began."""


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
    if renew_latencies(engine, now):
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
