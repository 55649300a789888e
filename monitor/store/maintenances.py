"""Planned work as it was held: a window that was called off counts until then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select

from monitor.core.maintenance import Maintenance, Window, windows
from monitor.store import tables
from monitor.store.codec import unpack, us, when, when_or_none
from monitor.store.tables import table

MAINTENANCE = table(tables.Maintenance)


def held_windows(connection: Connection, since: datetime, until: datetime) -> Iterator[Window]:
    """Yield the occurrences of all maintenance that overlap ``[since, until)``."""
    query = select(MAINTENANCE).where(
        MAINTENANCE.c.starts_us < us(until),
        MAINTENANCE.c.until_us.is_(None) | (MAINTENANCE.c.until_us > us(since)),
    )
    for row in connection.execute(query):
        called_off, announced = when_or_none(row.cancelled_us), when(row.starts_us)
        for window in windows(unpack(Maintenance, row.body), since, until):
            if window.ends_at <= announced:
                continue  # it repeats since before it was announced
            if called_off is None or window.ends_at <= called_off:
                yield window
            elif window.starts_at < called_off:
                yield replace(window, ends_at=called_off)
