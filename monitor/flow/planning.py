"""Maintenance of the configuration → the rows that people's announcements are kept in, too.

Announcements of people are never touched. One of the file that a person called off stays so until the file changes
it. What leaves the file, or changes in it, ends now: the windows that were held stay part of the past.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection
from sqlmodel import select

from monitor.core.catalogue import Planned
from monitor.core.maintenance import BY_FILE, LEFT_FILE, Maintenance
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.codec import pack, unpack
from monitor.store.maintenances import maintenance_row
from monitor.store.session import session_on


def put_planned(connection: Connection, wanted: Iterable[Planned], now: datetime) -> None:
    """Make the announcements of the file the ones in force; nothing that is over begins anew because of it."""
    known = {_key(item): item for item in wanted}
    in_force = select(tables.Maintenance).where(tables.Maintenance.by == BY_FILE)
    with session_on(connection) as session:
        for row in session.exec(in_force.with_for_update()).all():
            window = unpack(Maintenance, row.body)
            if known.pop(_key(Planned(replace(window, id=_id(row.id)), row.title, row.text)), None) is None:
                row.by, row.cancelled_us = LEFT_FILE, row.cancelled_us or us(now)
        for item in known.values():
            window = replace(item.window, id=f"{item.window.id}.{us(now)}")
            new = maintenance_row(window, item.title, item.text, BY_FILE)
            new.starts_us = max(new.starts_us, us(now))
            session.add(new)


def _id(row_id: str) -> str:
    return row_id.partition(".")[0]


def _key(item: Planned) -> str:
    return pack(Planned, item)
