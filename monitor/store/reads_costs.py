"""What the chat probes used, from the stored results. None of this is public."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, func, select

from monitor.store import tables
from monitor.store.catalogues import load_index
from monitor.store.codec import DAY, us, when
from monitor.store.engine import reading
from monitor.store.raw import HAS_CHAT, RESULT
from monitor.store.reads_results import first_id
from monitor.store.tables import table
from monitor.store.views import CostView

SERIES = table(tables.Series)
PACE_WINDOW = timedelta(hours=6)
"""The pace is that of the questions of so long."""


def costs(engine: Engine, now: datetime, days: int = 2) -> tuple[CostView, ...]:
    """Return what each chat probe used at each location on each of the last UTC days, the newest day first.

    Tokens are the vendor's own count, without what an answer did not report. A day without a question is left out.
    """
    today_us = us(now) - us(now) % DAY
    start_us = today_us - (days - 1) * DAY
    with reading(engine) as connection:
        index = load_index(connection)
        chats = {probe.id for probe in index.catalogue.probes if probe.kind == "chat"}
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
        newest = (*asked, RESULT.c.at_us >= us(now - PACE_WINDOW))
        first, last = func.min(RESULT.c.at_us).label("first"), func.max(RESULT.c.at_us).label("last")
        query = select(RESULT.c.series, func.count().label("asks"), first, last).where(*newest)
        paces = {row.series: row for row in connection.execute(query.group_by(RESULT.c.series))}
    order = {probe.id: place for place, probe in enumerate(index.catalogue.probes)}
    found = [_view(row, series[row.series], index.probes, paces) for row in used]
    return tuple(sorted(found, key=lambda view: (-view.day.toordinal(), order[view.probe.id], view.location)))


def _view(row: Row[Any], series: Row[Any], probes: Mapping[str, Any], paces: Mapping[int, Row[Any]]) -> CostView:
    day: date = when(row.day_us).date()
    pace = paces.get(row.series)
    steady = pace is not None and pace.asks > 1 and when(pace.last).date() == day
    return CostView(
        probe=probes[series.probe],
        location=series.location,
        day=day,
        asks=row.asks,
        tokens_in=int(row.tokens_in),
        tokens_out=int(row.tokens_out),
        usd=None if row.nano_usd is None else int(row.nano_usd) / 1e9,
        pace_s=(pace.last - pace.first) / 1e6 / (pace.asks - 1) if pace is not None and steady else None,
    )
