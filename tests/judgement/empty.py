"""Empty databases in numbers: migrated once, then copied, each to the place of the one before.

So engines may stay over the cases (:func:`tests.judgement.database.fast`): to compile all statements anew for each case
takes a fifth of the time.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.judgement.database import fast

Fresh = Callable[[], str]
"""Returns the address of an empty, migrated database; the one before is no longer needed."""


@contextmanager
def sqlite_files(folder: Path) -> Iterator[Fresh]:
    """Yield what makes SQLite files, one at a time."""
    pattern, path = folder / "empty.db", folder / "case.db"
    engine = fast(f"sqlite:///{pattern}")
    migrate(engine)
    engine.dispose()

    def fresh() -> str:
        for old in folder.glob("case.db*"):
            old.unlink()
        shutil.copy(pattern, path)
        return f"sqlite:///{path}"

    yield fresh


@contextmanager
def postgres_databases(server: Server) -> Iterator[Fresh]:
    """Yield what makes databases of a PostgreSQL server."""
    pattern, name = server.create(), f"case{uuid.uuid4().hex[:12]}"
    engine = fast(pattern)
    migrate(engine)
    engine.dispose()

    def fresh() -> str:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{pattern.rpartition("/")[2]}"'.encode())
        return server.url(name)

    yield fresh
