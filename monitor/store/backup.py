"""Consistent copies of the database, and back again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from sqlalchemy import Engine

from monitor.store.engine import StoreError, is_postgresql, open_engine, parsed_url
from monitor.store.schema import check_schema, migrate


def backup(engine: Engine, path: Path) -> None:
    """Write a consistent copy while everything goes on: SQLite by VACUUM INTO, PostgreSQL by pg_dump.

    The copy appears under its name only when it is complete. Raises :class:`StoreError`; never overwrites a file.
    """
    if path.exists():
        raise StoreError(f"{path} exists: name a file that does not")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        if is_postgresql(engine):
            _pg("pg_dump", engine, "--format=custom", f"--file={partial}")
        else:
            # VACUUM refuses to run inside a transaction, so the pooled connection is used below SQLAlchemy's.
            connection = engine.raw_connection()
            try:
                _driver(connection.driver_connection).execute("VACUUM INTO ?", (str(partial),))
            finally:
                connection.close()
        with partial.open("rb") as copy:
            os.fsync(copy.fileno())
        partial.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the backup could not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def restore(path: Path, url: str) -> None:
    """Put a backup in place of the database at ``url`` and bring its schema up to date.

    Stop the workers first. A SQLite file that is there is kept beside it as ``NAME.before-restore``; a PostgreSQL
    database must be empty. Raises :class:`StoreError`.
    """
    if not path.is_file():
        raise StoreError(f"there is no backup {path}")
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        _restore_file(path, Path(parsed.database))
        engine = open_engine(url)
    else:
        engine = open_engine(url)
        _pg("pg_restore", engine, "--exit-on-error", "--no-owner", str(path))
    try:
        migrate(engine)
        check_schema(engine)
    finally:
        engine.dispose()


def _restore_file(path: Path, target: Path) -> None:
    with sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True) as probe:
        try:
            sound = probe.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        except sqlite3.DatabaseError:
            sound = False
    probe.close()
    if not sound:
        raise StoreError(f"{path} is damaged or no backup of Chatwatch")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".restoring")
    shutil.copyfile(path, fresh)
    if target.exists():
        _fold(target)
        target.replace(target.with_name(target.name + ".before-restore"))
    # A log that belongs to the old file would be replayed into the new one.
    for ending in ("-wal", "-shm"):
        target.with_name(target.name + ending).unlink(missing_ok=True)
    fresh.replace(target)


def _fold(target: Path) -> None:
    """Fold the log into the old file, so that what is kept of it is whole."""
    connection = sqlite3.connect(target)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(f"{target} is in use or damaged ({error}): stop the workers, or move it away") from error
    finally:
        connection.close()


def _driver(connection: object) -> sqlite3.Connection:
    assert isinstance(connection, sqlite3.Connection)
    return connection


def _pg(program: str, engine: Engine, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; the password goes through the environment, never the command line."""
    found = shutil.which(program) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)), None
    )
    if found is None:
        raise StoreError(f"{program} is missing: on Debian run apt-get install postgresql-client")
    url = engine.url
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    target = [f"--dbname={plain}"]
    done = subprocess.run(  # noqa: S603 - a fixed program with our own arguments, no shell
        [found, *target, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StoreError(f"{program} failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else '?'}")
