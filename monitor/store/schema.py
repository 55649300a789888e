"""The version of the schema: bring it up to date, refuse a newer one. Imported late, for Alembic is heavy."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from monitor.store.connection.engine import StoreError, begin, is_postgresql, reading

_LOCK = 5_426_001
"""Key of the advisory lock that keeps two migrations apart."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def versions() -> tuple[str, ...]:
    """Return the schema versions that this program knows, oldest first."""
    script = ScriptDirectory.from_config(_config())
    return tuple(reversed([revision.revision for revision in script.walk_revisions()]))


def current(connection: Connection) -> str | None:
    """Return the schema version of the database; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine, target: str = "head") -> None:
    """Bring the schema up to date in one transaction: an interrupted one leaves everything as it was.

    Raises :class:`StoreError` when it is newer than the program, or than ``target``: no way leads back.
    """
    with begin(engine) as connection:
        if is_postgresql(connection):
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # another process that is migrating may take long
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = current(connection)
        refuse_newer(found)
        known = versions()
        if found is not None and target in known and known.index(target) < known.index(found):
            raise StoreError(
                f"schema {found} cannot be taken back to {target}: restore a backup of that time with chatwatch restore"
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, target)


def check_schema(engine: Engine) -> None:
    """Raise :class:`StoreError`, with what to do, unless the schema is exactly the one this program was written for."""
    with reading(engine) as connection:
        found = current(connection)
    refuse_newer(found)
    if found != versions()[-1]:
        raise StoreError(
            f"the database has schema {found or 'none'} and {versions()[-1]} is needed: run chatwatch migrate"
        )


def refuse_newer(found: str | None) -> None:
    """Raise :class:`StoreError`, with what to do, for a schema version that this program does not know."""
    known = versions()
    if found is not None and found not in known:
        raise StoreError(
            f"the database has schema {found}, newer than {known[-1]} of this program: install the version of "
            "Chatwatch that wrote it, or restore an older backup with chatwatch restore"
        )
