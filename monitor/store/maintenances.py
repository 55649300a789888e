"""Maintenance windows as they took place: a cancelled one counts until its cancellation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select

from monitor.core.maintenance import Maintenance, Window, held
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.codec import pack, unpack_or_none, us_or_none, when_or_none
from monitor.store.tables import table

MAINTENANCE = table(tables.Maintenance)
_HELD = (
    select(MAINTENANCE)
    .where(
        MAINTENANCE.c.starts_us < bindparam("until"),
        MAINTENANCE.c.until_us.is_(None) | (MAINTENANCE.c.until_us > bindparam("since")),
    )
    .order_by(MAINTENANCE.c.id)
)
"""Asked in every transaction, so built once."""


def held_windows(connection: Connection, since: datetime, until: datetime) -> Iterator[Window]:
    """Yield the occurrences of all maintenance that overlap ``[since, until)``."""
    for row in connection.execute(_HELD, {"since": us(since), "until": us(until)}):
        item = unpack_or_none(Maintenance, row.body, "planned work")
        if item is None:
            continue
        yield from held(item, when(row.starts_us), when_or_none(row.cancelled_us), since, until)


def maintenance_row(item: Maintenance, title: str, text: str, by: str) -> tables.Maintenance:
    """Return an announcement as a row."""
    end: datetime | None = item.ends_at
    if item.repeat:
        end = item.repeat_until and item.repeat_until + (item.ends_at - item.starts_at) + timedelta(days=2)
    return tables.Maintenance(
        id=item.id,
        service=item.service,
        starts_us=us(item.starts_at),
        until_us=us_or_none(end),
        title=title,
        text=text,
        body=pack(Maintenance, item),
        by=by,
    )
