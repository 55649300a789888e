"""Reads of raw results and of latency series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, select

from monitor.core.catalogue import Index
from monitor.core.components import sketch
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.catalogues import load_index
from monitor.store.codec import DAY, unpack_or_none
from monitor.store.connection.engine import is_postgresql, reading
from monitor.store.reads.views import LatencyPoint
from monitor.store.results import raw
from monitor.store.results.raw import RESULT
from monitor.store.results.rolling import HOUR_US, Bucket, level_rows, read_bucket
from monitor.store.tables import table

SERIES = table(tables.Series)
PAGE = 5_000
"""Rows per read transaction of an export: a long one would keep the log from being folded back."""


def results(
    engine: Engine, probe: str = "", since: datetime | None = None, until: datetime | None = None
) -> Iterator[Result]:
    """Yield stored results, oldest stored first, with what lies beside them; ``probe`` empty means all.

    Reads page by page, each page in a short transaction of its own.
    """
    at, low, high = 0, us(since) if since else None, us(until) if until else None
    carried: dict[int, raw.Readings] = {}
    with reading(engine) as connection:
        if low is not None:
            at = first_id(connection, low) - 1
    while True:
        with reading(engine) as connection:
            wanted = _series_ids(connection, probe) if probe else None
            query = select(RESULT).where(RESULT.c.id > at).order_by(RESULT.c.id).limit(PAGE)
            if is_postgresql(engine) and low is not None:
                query = query.where(RESULT.c.at_us >= low)
            rows = connection.execute(query).all()
            if not rows:
                return
            at = rows[-1].id
            inside = [
                row
                for row in rows
                if (wanted is None or row.series in wanted)
                and (low is None or row.at_us >= low)
                and (high is None or row.at_us < high)
            ]
            page = list(complete(connection, inside, carried))
            done = high is not None and min(row.at_us for row in rows) >= high + DAY
        yield from page
        if done:
            return


def _series_ids(connection: Connection, probe: str) -> set[int]:
    return set(connection.scalars(select(SERIES.c.id).where(SERIES.c.probe == probe)))


def first_id(connection: Connection, low_us: int) -> int:
    """Return an id at or before the first result that began at ``low_us``; ids follow time but for late arrivals."""
    if is_postgresql(connection):
        return int(connection.scalar(select(func.min(RESULT.c.id)).where(RESULT.c.at_us >= low_us)) or 1)
    first = connection.scalar(select(func.min(RESULT.c.id))) or 1
    last = connection.scalar(select(func.max(RESULT.c.id))) or 1
    while first < last:
        middle = (first + last) // 2
        query = select(RESULT.c.id, RESULT.c.at_us).where(RESULT.c.id >= middle).order_by(RESULT.c.id).limit(1)
        row = connection.execute(query).one()
        # A day of slack: what was spooled is stored later than what came after it.
        if row.at_us >= low_us - DAY:
            last = middle
        else:
            first = row.id + 1
    return int(first)


def read_rows(connection: Connection, query: Select[Any]) -> Iterator[tuple[int, Result]]:
    """Yield (id, result) for a query over the result table, without what lies beside them."""
    rows = connection.execute(query).all()
    runs, words = series_names(connection), _words(connection, rows)
    for row in rows:
        if row.series in runs:
            yield row.id, raw.decode(row, _run(row, runs), words)


def _run(row: Row[Any], names: Mapping[int, tuple[str, str]]) -> RunId:
    probe, location = names[row.series]
    return RunId(probe, location, when(row.tick_us), row.attempt)


def series_names(connection: Connection) -> Mapping[int, tuple[str, str]]:
    """Return (probe, location) of every series by its id."""
    query = select(SERIES.c.id, SERIES.c.probe, SERIES.c.location)
    return {row.id: (row.probe, row.location) for row in connection.execute(query)}


def _words(connection: Connection, rows: Iterable[Row[Any]]) -> Mapping[int, str]:
    ids = {value for row in rows for value in (row.address, row.finish_reason, row.chat_model, row.fingerprint)}
    wanted = sorted(value for value in ids if value is not None)
    found: dict[int, str] = {}
    for start in range(0, len(wanted), 500):
        query = select(raw.WORD).where(raw.WORD.c.id.in_(wanted[start : start + 500]))
        found |= {row.id: row.text for row in connection.execute(query)}
    return found


def complete(connection: Connection, rows: list[Row[Any]], carried: dict[int, raw.Readings]) -> Iterator[Result]:
    """Yield results with evidence, certificate words and readings; an unchanged reading is carried forward."""
    if not rows:
        return
    runs, words = series_names(connection), _words(connection, rows)
    low, high = rows[0].id, rows[-1].id
    beside = {
        row.result_id: row.body
        for row in connection.execute(select(raw.EVIDENCE).where(raw.EVIDENCE.c.result_id.between(low, high)))
    }
    said = {
        row.result_id: raw.unpack_readings(row.registration, row.upstream)
        for row in connection.execute(select(raw.READING).where(raw.READING.c.result_id.between(low, high)))
    }
    for row in rows:
        if row.series not in runs:
            continue
        result = raw.decode(row, _run(row, runs), words)
        seen = _with_evidence(result.observation, beside.get(row.id, ""))
        if row.flags & (raw.HAS_REGISTRATION | raw.HAS_UPSTREAM):
            if row.id in said:
                carried[row.series] = said[row.id]
            elif row.series not in carried:
                carried[row.series] = _reading_before(connection, row)
            registration, upstream = carried[row.series]
            seen = replace(seen, registration=registration, upstream=upstream)
        yield replace(result, observation=seen)


def _with_evidence(seen: Observation, body: str) -> Observation:
    if not body:
        return seen
    kept = unpack_or_none(Observation, body, "look's evidence")
    return seen if kept is None else replace(kept, phases=seen.phases, chat=seen.chat)


def _reading_before(connection: Connection, row: Row[Any]) -> raw.Readings:
    where = (raw.READING.c.series == row.series, raw.READING.c.result_id <= row.id)
    found = connection.execute(
        select(raw.READING).where(*where).order_by(raw.READING.c.result_id.desc()).limit(1)
    ).first()
    return raw.unpack_readings(found.registration, found.upstream) if found else ((), None)


def latency(engine: Engine, component: str, since: datetime, until: datetime, step_s: int) -> tuple[LatencyPoint, ...]:
    """Return a component's latency in buckets of ``step_s`` seconds (a multiple of 60), oldest first, gaps left out.

    Time to first token where its probes measure it, else the whole response.
    """
    step = max(60, step_s // 60 * 60) * 1_000_000
    low, high = us(since) - us(since) % step, us(until)
    with reading(engine) as connection:
        ids = speaking_series(connection, load_index(connection), component)
        rows = level_rows(connection, "minute" if step % HOUR_US else "hour", low, high, ids)
    return latency_points(rows, step)


def speaking_series(connection: Connection, index: Index, component: str) -> list[int]:
    """Return the series whose looks make up a component's latency."""
    speaking = [p.id for p in index.probes_of.get(component, ()) if not (p.witness or p.control)]
    return list(connection.scalars(select(SERIES.c.id).where(SERIES.c.probe.in_(speaking)))) if speaking else []


def latency_points(rows: Iterable[Row[Any]], step_us: int) -> tuple[LatencyPoint, ...]:
    """Merge rolled-up rows into points of ``step_us``: all of first tokens if there are any, else all of responses."""
    points: dict[int, Bucket] = {}
    for row in rows:
        points.setdefault(row.bucket_us - row.bucket_us % step_us, Bucket()).pour(read_bucket(row))
    chats = any(point.ttft for point in points.values())
    return tuple(_latency_point(at, points[at], chats) for at in sorted(points))


def _latency_point(at_us: int, point: Bucket, chats: bool) -> LatencyPoint:
    shown = point.ttft if chats else point.response
    return LatencyPoint(
        when(at_us), sketch.quantile(shown, 0.5), sketch.quantile(shown, 0.95), point.looks, point.failures
    )
