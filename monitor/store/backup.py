"""Consistent copies of the database, and back again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from sqlalchemy import Connection, Engine, func, inspect, select, text, update

from monitor import clock
from monitor.core.model.alerting import Sending
from monitor.core.schedule import from_micros as when
from monitor.plain_files import opened, private_file, private_folder
from monitor.store import tables
from monitor.store.connection.engine import (
    AWAY,
    StoreError,
    begin,
    file_named,
    is_postgresql,
    open_engine,
    reading,
    server_of,
)
from monitor.store.connection.server import of_programs
from monitor.store.proof import Fault, error_name, fault_of, writable
from monitor.store.schema import check_schema, migrate, refuse_newer
from monitor.store.tables import table

KEPT = "before_restore"
"""The PostgreSQL schema that what was there before a restore is kept in."""
SQLITE_HEAD, POSTGRESQL_HEAD = b"SQLite format 3\0", b"PGDMP"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a database holds, for somebody about to replace it."""

    results: int
    newest: datetime | None
    """When the newest look was recorded."""
    incidents: int
    alerts: int
    damaged: bool = False
    """Nothing of it can be read."""

    def __str__(self) -> str:
        if self.damaged:
            return "nothing that can be read, for it is damaged"
        until = f" up to {self.newest:%Y-%m-%d %H:%M:%S} UTC" if self.newest else ""
        return f"{self.results:,} results{until}, {self.incidents:,} incidents, {self.alerts:,} alerts"


def backup(engine: Engine, path: Path) -> None:
    """Write a consistent copy while everything goes on: SQLite by VACUUM INTO, PostgreSQL by pg_dump.

    The copy appears under its name only when it is complete. Raises :class:`StoreError`; never overwrites a file.
    """
    if path.exists():
        raise StoreError(f"{path} exists: name a file that does not")
    partial = path.with_name(path.name + ".partial")
    try:
        if not path.parent.exists():
            private_folder(path.parent)
        partial.unlink(missing_ok=True)
        private_file(partial)
        if is_postgresql(engine):
            _pg("pg_dump", engine, "--format=custom", f"--exclude-schema={KEPT}*", f"--file={partial}")
        else:
            # VACUUM refuses to run inside a transaction, so the pooled connection is used below SQLAlchemy's.
            with closing(engine.raw_connection()) as connection:
                _driver(connection.driver_connection).execute("VACUUM INTO ?", (str(partial),))
        with partial.open("rb") as copy:
            os.fsync(copy.fileno())
        partial.replace(path)
    except (OSError, sqlite3.Error, *AWAY) as error:
        raise StoreError(f"the backup could not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def holdings(engine: Engine) -> Holdings | None:
    """Return what a database holds; None when it is empty or none of ours. Raises what ``AWAY`` lists."""
    result, incident, alert = table(tables.Result), table(tables.Incident), table(tables.Alert)
    with reading(engine) as connection:
        if not inspect(connection).has_table(result.name):
            return None
        newest = connection.scalar(select(func.max(result.c.at_us)))
        counts = [connection.scalar(select(func.count()).select_from(one)) or 0 for one in (result, incident, alert)]
    return Holdings(counts[0], _moment(newest), counts[1], counts[2])


def _moment(stored: object) -> datetime | None:
    """Return a stored moment, and nothing for what a damaged page makes of one: a text, a blob, a year without end."""
    try:
        return when(stored) if isinstance(stored, int) and stored else None
    except OverflowError:
        return None


def holdings_at(url: str) -> Holdings | None:
    """Return what the database at ``url`` holds, without making one that is not there; raises :class:`StoreError`."""
    file = file_named(url)
    if file is not None and not os.path.lexists(file):
        return None
    if file is not None and not file.is_file():
        return Holdings(0, None, 0, 0, damaged=True)
    engine = open_engine(url, read_only=True)
    try:
        return holdings(engine)
    except AWAY as error:
        if fault_of(error) is Fault.DAMAGED or _cannot_open(error, file):
            return Holdings(0, None, 0, 0, damaged=True)
        raise StoreError(f"the database cannot be read ({type(error).__name__}): start it, or move it away") from error
    finally:
        engine.dispose()


def restore(path: Path, url: str, *, replace: bool = False) -> Holdings | None:
    """Put a backup in place of the database at ``url`` and bring its schema up to date; returns what it holds now.

    A database that holds anything is refused unless ``replace`` is set; then it is kept: an SQLite file beside it as
    ``NAME.before-restore``, PostgreSQL's tables in the schema :data:`KEPT`; what was kept there before gets a number.
    Nothing changes when the backup is no good or other programs use the database. Raises :class:`StoreError`.
    """
    file = file_named(url)
    _refuse_other_kinds(path, is_file=file is not None)
    there = holdings_at(url)
    if there is not None and not replace:
        raise StoreError(f"the database holds {there}: say that it is to be replaced, or name another")
    if file is not None:
        return _restore_file(path, file)
    engine = open_engine(url)
    try:
        with _set_aside(engine):
            _pg("pg_restore", engine, "--single-transaction", "--exit-on-error", "--no-owner", str(path))
        return _made_ready(engine)
    finally:
        engine.dispose()


def _made_ready(engine: Engine) -> Holdings | None:
    migrate(engine)
    check_schema(engine)
    _forget_notices(engine)
    _stamp(engine)
    return holdings(engine)


def _refuse_other_kinds(path: Path, *, is_file: bool) -> None:
    try:
        with opened(path) as file:
            head = file.read(len(SQLITE_HEAD))
    except OSError as error:
        raise StoreError(f"{path} is no backup: {error.strerror}") from None
    wanted, other = (SQLITE_HEAD, POSTGRESQL_HEAD) if is_file else (POSTGRESQL_HEAD, SQLITE_HEAD)
    if head.startswith(other):
        made = "PostgreSQL" if is_file else "SQLite"
        raise StoreError(
            f"{path} is a backup of {made}, and the database is not: CHATWATCH_DATABASE names another kind"
        )
    if not head.startswith(wanted):
        raise StoreError(f"{path} is damaged or no backup of Chatwatch")


def _forget_notices(engine: Engine) -> None:
    """Send nothing that was due when the backup was made: it was sent since, or is of no use any more."""
    outbox = table(tables.Outbox)
    due = outbox.c.sending.in_((Sending.DUE.value, Sending.RETRYING.value))
    with begin(engine) as connection:
        connection.execute(
            update(outbox).where(due).values(sending=Sending.DEAD.value, error="of a restored backup: not sent again")
        )


def _stamp(engine: Engine) -> None:
    """Tell a worker that lost the file that a person put this one in its place."""
    if not is_postgresql(engine):
        with begin(engine) as connection:
            connection.exec_driver_sql(f"PRAGMA user_version = {int(clock.now().timestamp())}")


def _restore_file(path: Path, target: Path) -> Holdings | None:
    """Put a copy in place once it is all that it is to be: a worker that waits for a file takes it the moment it is."""
    _refuse_unsound(path)
    fresh = target.with_name(target.name + ".restoring")
    try:
        if not target.parent.exists():
            private_folder(target.parent)
        _remove_all(fresh)  # of a restore that was killed: its log would be read as the copy's
        private_file(fresh)
        shutil.copyfile(path, fresh)
        engine = open_engine(f"sqlite:///{fresh}")
        try:
            held = _made_ready(engine)
        finally:
            engine.dispose()
        with closing(sqlite3.connect(fresh)) as copy:
            copy.execute("PRAGMA journal_mode=DELETE")  # whatever is left of its log belongs into it
        with fresh.open("rb") as copied:
            os.fsync(copied.fileno())
        if target.is_file():
            _close_file(target)
            _keep(target)
        elif os.path.lexists(target):  # a folder, a pipe, a link that leads nowhere
            target.replace(_free(_kept(target)))
        # A log that belongs to the old file would be replayed into the new one.
        for log in (target.with_name(target.name + ending) for ending in ("-wal", "-shm")):
            if log.is_dir() and not log.is_symlink():
                log.replace(_free(_kept(log)))
            log.unlink(missing_ok=True)
        fresh.replace(target)
        return held
    except (OSError, *AWAY) as error:
        raise StoreError(f"the backup could not be put in place: {error}") from error
    finally:
        _remove_all(fresh)


def _remove_all(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _kept(path: Path) -> Path:
    return path.with_name(path.name + ".before-restore")


def _free(path: Path) -> Path:
    """Return a path, or the first with a number behind it, under which nothing lies."""
    names = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return path if not os.path.lexists(path) else next(name for name in names if not os.path.lexists(name))


def _cannot_open(error: BaseException, file: Path | None) -> bool:
    """Say whether SQLite cannot open a file although nobody forbids it: its log is no file."""
    return file is not None and error_name(error).startswith("SQLITE_CANTOPEN") and writable(file)


def _keep(target: Path) -> None:
    """Give the old file a second name; its own goes to the new file in one step, so that it is never without one.

    What an earlier restore kept gets a number: after one that was cut off it may be the only copy of that.
    """
    kept = _kept(target)
    if kept.exists():
        kept.replace(_free(kept))
    try:
        os.link(target, kept)
    except OSError:  # a file system without second names
        partial = kept.with_name(kept.name + ".partial")
        private_file(partial)
        shutil.copyfile(target, partial)
        partial.replace(kept)


def _refuse_unsound(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{path.absolute()}?mode=ro&immutable=1", uri=True)) as copy:
            sound = copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (version,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.DatabaseError, TypeError):
        sound = False
    if not sound:
        raise StoreError(f"{path} is damaged or no backup of Chatwatch")
    refuse_newer(version)


def _close_file(target: Path) -> None:
    """Fold the log into the old file, so that what is kept of it is whole; impossible while anybody has it open."""
    with closing(sqlite3.connect(target)) as connection:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.Error as error:
            if fault_of(error) is Fault.DAMAGED or _cannot_open(error, target):
                return  # kept as it is
            raise StoreError(f"{target} is in use ({error}): stop every program that uses it") from error
    if mode != "delete":
        raise StoreError(f"{target} is in use: stop every program that uses it")


@contextmanager
def _set_aside(engine: Engine) -> Iterator[None]:
    """Rename the schema for the time of the block and keep it; put it back when the block fails.

    What an earlier restore kept gets a number: after one that was killed it is the only copy of that.
    """
    with begin(engine) as connection:
        if using := _others(connection):
            raise StoreError(f"{using} other connections use the database: stop every program that uses it")
        schema = connection.scalar(text("SELECT quote_ident(current_schema())"))
        schemas = set(connection.scalars(text("SELECT nspname FROM pg_namespace")))
        if KEPT in schemas:
            free = next(name for number in count(2) if (name := f"{KEPT}_{number}") not in schemas)
            connection.execute(text(f"ALTER SCHEMA {KEPT} RENAME TO {free}"))
        connection.execute(text(f"ALTER SCHEMA {schema} RENAME TO {KEPT}"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield
    except BaseException:
        with begin(engine) as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
            connection.execute(text(f"ALTER SCHEMA {KEPT} RENAME TO {schema}"))
        raise


def _others(connection: Connection) -> int:
    """Return how many others use the database; a program that was just stopped gets two seconds to go."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    found = 0
    for _ in range(20):
        found = connection.scalar(text(f"{query} AND backend_type = 'client backend'")) or 0
        if not found:
            break
        connection.execute(text("SELECT pg_sleep(0.1), pg_stat_clear_snapshot()"))
    return found


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
    found_at, environment = server_of(engine), dict(os.environ)
    if found_at.get("password"):
        environment["PGPASSWORD"] = str(found_at["password"])
    try:
        target = f"--dbname={of_programs(found_at)}"
    except ValueError as error:
        raise StoreError(f"{program} cannot be run: {error}") from None
    done = subprocess.run(  # noqa: S603 - a fixed program with our own arguments, no shell
        [found, target, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it does not say why"]
        raise StoreError(f"{program} failed: {next((line for line in said if 'error:' in line), said[-1])}")
