"""Maintenance of the configuration → the rows that people's announcements are kept in, too.

Announcements of people are never touched. One of the file that a person called off stays so until the file changes
it. What leaves the file, or changes in it, ends now: the windows that were held stay part of the past.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from monitor.core.catalogue import Planned
from monitor.core.maintenance import BY_FILE, LEFT_FILE, Maintenance
from monitor.core.schedule import micros as us
from monitor.store.codec import pack, unpack
from monitor.store.maintenances import MAINTENANCE, maintenance_row


def put_planned(connection: Connection, wanted: Iterable[Planned], now: datetime) -> None:
    """Make the announcements of the file the ones in force; nothing that is over begins anew because of it."""
    known = {_key(item): item for item in wanted}
    for row in connection.execute(select(MAINTENANCE).where(MAINTENANCE.c.by == BY_FILE)):
        window = unpack(Maintenance, row.body)
        if known.pop(_key(Planned(replace(window, id=_id(row.id)), row.title, row.text)), None) is None:
            values = {"by": LEFT_FILE, "cancelled_us": row.cancelled_us or us(now)}
            connection.execute(update(MAINTENANCE).where(MAINTENANCE.c.id == row.id).values(values))
    for item in known.values():
        window = replace(item.window, id=f"{item.window.id}.{us(now)}")
        values = maintenance_row(window, item.title, item.text, BY_FILE)
        connection.execute(insert(MAINTENANCE).values(values | {"starts_us": max(values["starts_us"], us(now))}))


def _id(row_id: str) -> str:
    return row_id.partition(".")[0]


def _key(item: Planned) -> str:
    return pack(Planned, item)
