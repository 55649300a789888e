"""What the chat probes used, from the stored results. None of this is public."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select

from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.catalogues import load_index
from monitor.store.codec import DAY
from monitor.store.connection.engine import reading
from monitor.store.reads.looks import first_id
from monitor.store.reads.views import CostView
from monitor.store.results.raw import HAS_CHAT, RESULT
from monitor.store.tables import table

SERIES = table(tables.Series)
PACE_WINDOW = timedelta(hours=6)
PACED = 12
"""The pace is the usual step between so many of the window's newest questions; no pause, no second look moves it."""


def costs(engine: Engine, now: datetime, days: int = 2) -> tuple[CostView, ...]:
    """Return what each chat probe used at each location on each of the last UTC days, the newest day first.

    Tokens are the vendor's own count, without what an answer did not report. A day without a question is left out.
    """
    today_us = us(now) - us(now) % DAY
    start_us = today_us - (days - 1) * DAY
    with reading(engine) as connection:
        index = load_index(connection)
        chats = {probe.id for probe in index.catalogue.probes if probe.asks_model}
        series = {row.id: row for row in connection.execute(select(SERIES)) if row.probe in chats}
        asked = (
            RESULT.c.id >= first_id(connection, start_us),
            RESULT.c.at_us >= start_us,
            RESULT.c.series.in_(series),
            RESULT.c.flags.op("&")(HAS_CHAT) != 0,
        )
        used = connection.execute(
            select(
                RESULT.c.series,
                func.min(RESULT.c.at_us).label("day_us"),
                func.count().label("asks"),
                func.coalesce(func.sum(RESULT.c.input_tokens), 0).label("tokens_in"),
                func.coalesce(func.sum(RESULT.c.output_tokens), 0).label("tokens_out"),
                func.sum(RESULT.c.cost_nano_usd).label("nano_usd"),
            )
            .where(*asked)
            .group_by(RESULT.c.series, RESULT.c.at_us - RESULT.c.at_us % DAY)
        ).all()
        times = asked_at(connection, (*asked, RESULT.c.at_us >= us(now - PACE_WINDOW)))
    order = {probe.id: place for place, probe in enumerate(index.catalogue.probes)}
    found = [_view(row, series[row.series], index.probes, times) for row in used]
    return tuple(sorted(found, key=lambda view: (-view.day.toordinal(), order[view.probe.id], view.location)))


def asked_at(connection: Connection, asked: Sequence[ColumnElement[bool]]) -> dict[int, list[int]]:
    """Return when the newest questions of each series were asked, oldest first."""
    age = func.row_number().over(partition_by=RESULT.c.series, order_by=RESULT.c.at_us.desc()).label("age")
    newest = select(RESULT.c.series, RESULT.c.at_us, age).where(*asked).subquery()
    found: dict[int, list[int]] = {}
    for row in connection.execute(select(newest).where(newest.c.age <= PACED).order_by(newest.c.at_us)):
        found.setdefault(row.series, []).append(row.at_us)
    return found


def _view(row: Row[Any], series: Row[Any], probes: Mapping[str, Any], asked: Mapping[int, Sequence[int]]) -> CostView:
    day: date = when(row.day_us).date()
    times = asked.get(row.series, ())
    steps = [after - before for before, after in pairwise(times)]
    steady = steps and when(times[-1]).date() == day
    return CostView(
        probe=probes[series.probe],
        location=series.location,
        day=day,
        asks=row.asks,
        tokens_in=int(row.tokens_in),
        tokens_out=int(row.tokens_out),
        usd=None if row.nano_usd is None else int(row.nano_usd) / 1e9,
        pace_s=median(steps) / 1e6 if steady else None,
    )
