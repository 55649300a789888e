"""Retention: delete what is too old, in small steps with a rest between them, so that no result waits long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Engine, MetaData, Table, delete, func, select, text

from monitor.core.model.alerting import AlertState
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.codec import DAY
from monitor.store.connection.engine import begin, is_postgresql, reading
from monitor.store.results import raw
from monitor.store.results.partitions import partition_name
from monitor.store.results.rolling import HOUR, MINUTE, mark
from monitor.store.tables import table

STEP = 5_000
"""Raw results per transaction."""
STEP_WHOLE = 100
"""Incidents or alerts per transaction, each with all that belongs to it."""
STEP_SMALL = 2_000
"""Rows of other tables, which hold texts."""
LOCK_WAIT = "2s"
"""A day that somebody reads is dropped the next time: whoever waits for such a lock holds up everybody behind."""


def prune(
    engine: Engine,
    now: datetime,
    *,
    results: timedelta | None = timedelta(days=90),
    minutes: timedelta = timedelta(days=2),
    hours: timedelta = timedelta(days=400),
    evidence: timedelta | None = timedelta(days=30),
    incidents: timedelta | None = None,
    audit: timedelta | None = None,
    rest: Callable[[], object] = lambda: None,
    steps: int | None = None,
) -> int:
    """Delete what is older than its retention; returns how many raw results were deleted.

    Each step is a transaction of its own. ``rest`` is called after each: whoever waits for the database comes first.
    At most ``steps`` of them are made for each table. What has no age is kept for ever, and so are day buckets, spans
    and ranges of missed ticks; evidence stays as long as its incident.
    """
    gone = 0 if results is None else _run(_old_results(engine, us(now - results)), rest, steps)
    for level, age in ((MINUTE, minutes), (HOUR, hours)):
        _run(_old_buckets(engine, level, us(now - age)), rest, steps)
    if evidence is not None:
        _run(_old_evidence(engine, us(now - evidence)), rest, steps)
    if incidents is not None:
        _run(_old_incidents(engine, us(now - incidents)), rest, steps)
        _run(_old_alerts(engine, us(now - incidents)), rest, steps)
    if audit is not None:
        _run(_old_audit(engine, us(now - audit)), rest, steps)
    return gone


def _run(work: Iterable[int], rest: Callable[[], object], steps: int | None) -> int:
    total = 0
    for gone in islice(work, steps):
        total += gone
        rest()
    return total


def _old_results(engine: Engine, limit_us: int) -> Iterator[int]:
    """Drop whole partitions, or take rows from the old end; the newest row stays, so that ids are never used again."""
    if is_postgresql(engine):
        yield from _old_partitions(engine, limit_us)
        return
    while True:
        with begin(engine) as connection:
            rolled = mark(connection, "minute")
            query = select(raw.RESULT.c.id, raw.RESULT.c.at_us).order_by(raw.RESULT.c.id).limit(STEP)
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


def _old_partitions(engine: Engine, limit_us: int) -> Iterator[int]:
    """Drop days, one in a transaction: the lock keeps everybody out for as long as it lasts."""
    with reading(engine) as connection:
        days = connection.scalars(
            text(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON "
                "p.oid = i.inhparent WHERE p.relname = 'result' ORDER BY 1"
            )
        ).all()
    limit = partition_name(limit_us - limit_us % DAY)
    for name in days:
        if name < limit:
            with reading(engine) as connection:
                count = connection.scalar(select(func.count()).select_from(Table(name, MetaData()))) or 0
            with begin(engine) as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'"))
                connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
            yield count


def _old_buckets(engine: Engine, level: Table, limit_us: int) -> Iterator[int]:
    """Delete the oldest buckets, whole ones, until a step is full."""
    while True:
        with begin(engine) as connection:
            start = level.c.bucket_us
            query = select(start).where(start < limit_us).order_by(start).limit(1).offset(STEP_SMALL)
            following = connection.scalar(query)
            # Delete at least one whole bucket, or a large catalogue would make no progress.
            bound = start < limit_us if following is None else start <= following
            gone = connection.execute(delete(level).where(bound)).rowcount
        yield gone
        if following is None:
            return


def _old_evidence(engine: Engine, limit_us: int) -> Iterator[int]:
    evidence: Any = raw.EVIDENCE.c
    while True:
        with begin(engine) as connection:
            old = select(evidence.result_id).where(evidence.at_us < limit_us, evidence.incident == "")
            chosen = old.order_by(evidence.at_us).limit(STEP_SMALL)
            gone = connection.execute(delete(raw.EVIDENCE).where(evidence.result_id.in_(chosen))).rowcount
        yield gone
        if gone < STEP_SMALL:
            return


def _old_incidents(engine: Engine, limit_us: int) -> Iterator[int]:
    """Delete resolved incidents, each whole: its events and what it held of evidence go with it."""
    incident, event = table(tables.Incident), table(tables.IncidentEvent)
    while True:
        with begin(engine) as connection:
            old = select(incident.c.id).where(incident.c.resolved_us < limit_us).order_by(incident.c.resolved_us)
            ids = connection.scalars(old.limit(STEP_WHOLE)).all()
            for where in (raw.EVIDENCE.c.incident, event.c.incident, incident.c.id):
                connection.execute(delete(where.table).where(where.in_(ids)))
        yield len(ids)
        if len(ids) < STEP_WHOLE:
            return


def _old_alerts(engine: Engine, limit_us: int) -> Iterator[int]:
    """Delete resolved alerts, each with its history, decisions, deliveries and verdict."""
    alert = table(tables.Alert)
    beside = [table(one).c.alert for one in (tables.AlertEvent, tables.Decision, tables.Outbox, tables.Judgement)]
    while True:
        with begin(engine) as connection:
            over = (alert.c.state == AlertState.RESOLVED.value, alert.c.resolved_us < limit_us)
            ids = connection.scalars(select(alert.c.id).where(*over).order_by(alert.c.id).limit(STEP_WHOLE)).all()
            for where in (*beside, alert.c.id):
                connection.execute(delete(where.table).where(where.in_(ids)))
        yield len(ids)
        if len(ids) < STEP_WHOLE:
            return


def _old_audit(engine: Engine, limit_us: int) -> Iterator[int]:
    audit = table(tables.Audit)
    while True:
        with begin(engine) as connection:
            chosen = select(audit.c.id).where(audit.c.at_us < limit_us).order_by(audit.c.at_us).limit(STEP_SMALL)
            gone = connection.execute(delete(audit).where(audit.c.id.in_(chosen))).rowcount
        yield gone
        if gone < STEP_SMALL:
            return
