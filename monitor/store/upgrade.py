"""Brings a database up to date; quick where nothing is to be done, since that is at nearly every start."""

from __future__ import annotations

from sqlalchemy import Engine, inspect, text

from monitor.store.connection.engine import reading

HEAD = "0007"
"""The schema version this program was written for: the newest migration's."""


def is_known(version: str) -> bool:
    """Say whether this program can use a schema, once it is brought up to date."""
    return "" < version <= HEAD


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; see :func:`monitor.store.schema.migrate`."""
    with reading(engine) as connection:
        there = inspect(connection).has_table("alembic_version")
        if there and connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD:
            return
    from monitor.store import schema  # late: Alembic takes 10 MB and a tenth of a second, and is needed once

    schema.migrate(engine)
