"""Empty databases in numbers: migrated once, then copied."""

from __future__ import annotations

import itertools
import shutil
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
    pattern, numbers = folder / "empty.db", itertools.count()
    engine = fast(f"sqlite:///{pattern}")
    migrate(engine)
    engine.dispose()

    def fresh() -> str:
        for old in folder.glob("case-*"):
            old.unlink()
        path = folder / f"case-{next(numbers)}.db"
        shutil.copy(pattern, path)
        return f"sqlite:///{path}"

    yield fresh


@contextmanager
def postgres_databases(server: Server) -> Iterator[Fresh]:
    """Yield what makes databases of a PostgreSQL server."""
    pattern, last = server.create(), ""
    engine = fast(pattern)
    migrate(engine)
    engine.dispose()

    def fresh() -> str:
        nonlocal last
        name = f"case{next(numbers)}"
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            if last:
                connection.execute(f'DROP DATABASE "{last}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{pattern.rpartition("/")[2]}"'.encode())
        last = name
        return server.url(name)

    numbers = itertools.count()
    yield fresh
