"""The recorded past in the order in which its looks ended, without holding it in memory.

Looks are stored in nearly that order; what was spooled comes later, up to a day. So a day of rows is held and sorted.
Most looks are plain (:func:`monitor.core.checks.calm.is_plain`) and cross as a few integers; the others are decoded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.replay import PastLook
from monitor.core.schedule import micros as us
from monitor.store.codec import DAY
from monitor.store.connection.engine import is_postgresql, reading
from monitor.store.reads.looks import complete, first_id, series_names
from monitor.store.results import raw
from monitor.store.results.raw import RESULT

PAGE = 20_000
"""Rows per read transaction."""
BESIDE = raw.HAS_REGISTRATION | raw.HAS_UPSTREAM | raw.HAS_EVIDENCE
IDS = 500
_LOOKS = (
    "SELECT at_us + duration_us, id, series, tick_us, at_us,"  # noqa: S608 - integers of ours are filled in
    f" CASE WHEN reason = {Reason.OK.code} AND attempt = 1 AND (flags & {BESIDE}) = 0"
    " AND coalesce(lag_us, 0) <= {lag:d} THEN 1 ELSE 0 END"
    f" FROM result WHERE {{where}} ORDER BY id LIMIT {PAGE}"
)


def past(engine: Engine, since: datetime, until: datetime, lag_s: float) -> Iterator[PastLook]:
    """Yield the looks that began in ``[since, until)``, oldest end first; ``lag_s`` is the most lag of a plain look.

    A look that was stored more than a day late comes where it was stored.
    """
    return chain.from_iterable(_in_order(engine, us(since), us(until), round(lag_s * 1e6)))


def about(engine: Engine, since: datetime) -> int:
    """Return about how many looks began at ``since`` or later."""
    with reading(engine) as connection:
        last = connection.scalar(select(func.max(RESULT.c.id))) or 0
        return max(0, int(last) - first_id(connection, us(since)) + 1) if last else 0


def _in_order(engine: Engine, low: int, high: int, lag_us: int) -> Iterator[list[PastLook]]:
    carried: dict[int, raw.Readings] = {}
    held: list[PastLook] = []
    by_end = itemgetter(0)
    with reading(engine) as connection:
        at = first_id(connection, low) - 1
        names = dict(series_names(connection))
    while True:
        with reading(engine) as connection:
            rows = _page(connection, at, low, high, lag_us)
            if not rows:
                break
            at = rows[-1][1]
            told = [row[1] for row in rows if not row[5] and low <= row[4] < high and row[2] in names]
            found = _decoded(connection, told, carried)
        # Hot path, one row per look. What ends together stays as it was stored.
        held += [
            (end, names[key], tick, start, None if plain else found[number])
            for end, number, key, tick, start, plain in rows
            if low <= start < high and key in names
        ]
        held.sort(key=by_end)
        newest = max(row[4] for row in rows)
        ready = bisect_left(held, newest - DAY, key=by_end)
        yield held[:ready]
        del held[:ready]
        if min(row[4] for row in rows) >= high + DAY:
            break
    yield held


def _page(connection: Connection, after: int, low: int, high: int, lag_us: int) -> list[Any]:
    """Return rows of (end, id, series, tick, start, plain), oldest id first."""
    # Hot path, one row per look: the driver's own tuples, because SQLAlchemy's rows would cost more than judging them.
    where = f"id > {after:d}"
    if is_postgresql(connection):
        where += f" AND at_us >= {low:d} AND at_us < {high + DAY:d}"
    statement = _LOOKS.format(where=where, lag=lag_us)
    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor()
    try:
        cursor.execute(statement)
        rows: list[Any] = cursor.fetchall()
    finally:
        cursor.close()
    return rows


def _decoded(connection: Connection, ids: list[int], carried: dict[int, raw.Readings]) -> dict[int, Result]:
    """Return the looks of these rows, without what no rule reads."""
    found: dict[int, Result] = {}
    for start in range(0, len(ids), IDS):
        chosen = select(RESULT).where(RESULT.c.id.in_(ids[start : start + IDS])).order_by(RESULT.c.id)
        rows = list(connection.execute(chosen).all())
        known = [row.id for row in rows]
        found.update(zip(known, complete(connection, rows, carried), strict=True))
    return found
