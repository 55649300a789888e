"""Brings a database up to date; quick where nothing is to be done, since that is at nearly every start."""

from __future__ import annotations

from sqlalchemy import Engine, inspect, text

from monitor.store import tables
from monitor.store.connection.engine import StoreError, reading
from monitor.store.tables import table

HEAD = "0007"
"""The schema version this program was written for: the newest migration's."""


class UnversionedError(StoreError):
    """A database has our tables and does not say of which schema: nothing can be told of it but that it is damaged."""


def is_known(version: str) -> bool:
    """Say whether this program can use a schema, once it is brought up to date."""
    return "" < version <= HEAD


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; see :func:`monitor.store.schema.migrate`. Raises :class:`UnversionedError`."""
    with reading(engine) as connection:
        there = inspect(connection).has_table("alembic_version")
        found = connection.scalar(text("SELECT version_num FROM alembic_version")) if there else None
        if found == HEAD:
            return
        if found is None and inspect(connection).has_table(table(tables.Result).name):
            raise UnversionedError(
                "the database has tables and no schema version, so it is damaged: put a backup in its place with "
                "chatwatch restore BACKUP --force"
            )
    from monitor.store import schema  # late: Alembic takes 10 MB and a tenth of a second, and is needed once

    schema.migrate(engine)
