"""PostgreSQL's day partitions of the raw results."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from monitor.core.schedule import from_micros as when
from monitor.store.codec import DAY
from monitor.store.connection.engine import is_postgresql

_LOCK = 5_426_002
"""Key of the advisory lock that keeps two makers of a partition apart."""


def ensure_partitions(connection: Connection, times_us: Iterable[int]) -> None:
    """Create the day partitions of ``result`` for these times where the database is PostgreSQL.

    To be called before anything else in the transaction: it locks the table, and a lock taken late can deadlock. The
    table is attached, not created in place: that lets readers be, as a pg_dump that takes an hour.
    """
    if not is_postgresql(connection):
        return
    for day in sorted({at - at % DAY for at in times_us}):
        name = partition_name(day)
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            # Another worker may have created it meanwhile. PostgreSQL remembers the miss above, so ask the catalogue.
            if connection.scalar(text("SELECT count(*) FROM pg_class WHERE relname = :name"), {"name": name}):
                continue
            bounds = f"FROM ({day}) TO ({day + DAY})"
            connection.execute(text(f"CREATE TABLE {name} (LIKE result INCLUDING DEFAULTS INCLUDING INDEXES)"))
            connection.execute(text(f"ALTER TABLE result ATTACH PARTITION {name} FOR VALUES {bounds}"))


def partition_name(day_us: int) -> str:
    """Return the name of the partition that holds the day which starts at ``day_us``."""
    return f"result_{when(day_us):%Y%m%d}"
