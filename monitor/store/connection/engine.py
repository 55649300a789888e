"""The one engine factory: the defaults of SQLite and SQLAlchemy together lose updates without an error."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from monitor.plain_files import keep_private, private_file, private_folder
from monitor.store.connection.identity import StoreChangedError, follow_file, follow_server
from monitor.store.connection.server import is_server_address, parameters, sessions

BUSY_TIMEOUT_MS = 5_000
IDLE_WRITER_MS = 10_000
"""A worker that is stopped in the midst of a transaction keeps its rows from the others for so long."""
IDLE_READER_MS = 60_000
CHECKPOINT_PAGES = 4_000
JOURNAL_LIMIT_BYTES = 64 * 2**20
FOLD_WAIT_MS = 500
OWN_FOLDER = "var"
"""A folder of this name beside a program of ours is ours."""
_READING = "chatwatch_reading"
_FILE = "chatwatch_file"
_SERVER = "chatwatch_server"
_READ_ONLY_SQLSTATE = "25006"
_GONE = ("3F000", "42501", "42703", "42P01")
"""PostgreSQL's states for a schema, a right, a column and a table that is not there."""
_RAISED = "P0"
"""How PostgreSQL's states of PL/pgSQL begin."""
_LIMIT = "54"
"""… and those of something too large for it, as a text for an index."""
_SPELLINGS = (
    "write sqlite:///var/chatwatch.db or postgresql://user@host/name, with every special character of a password as %XX"
)


class StoreError(Exception):
    """The database cannot be used as it is. The text says what to do."""


class CatalogueDamagedError(StoreError):
    """The row that says what is watched cannot be read, so nothing can be judged until a worker writes it again."""


AWAY = (DBAPIError, ResourceClosedError, PoolTimeout, CatalogueDamagedError, StoreChangedError)
"""What a verb raises when the database cannot take it now: locked, full, read-only, down, lost, without its catalogue.
Spool and try again."""
REFUSED = (IntegrityError, DataError)
"""Those of :data:`AWAY` that the database raises for what it was given: tried again for ever they would hold up the
rest."""


def is_away(error: BaseException) -> bool:
    """Say whether an error means that the database is away, not that it refuses what it was given.

    A statement that makes no sense is a fault of ours as well, unless what it names is gone: a restore puts tables
    aside, and an administrator may take rights away. So is what a trigger of the database raises.
    """
    if not isinstance(error, AWAY) or isinstance(error, REFUSED):
        return False
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return state in _GONE if isinstance(error, ProgrammingError) else not state.startswith((_RAISED, _LIMIT))


def open_engine(url: str, *, read_only: bool = False, make: bool = True) -> Engine:
    """Return an engine for ``sqlite:///path`` or ``postgresql://…``; raises :class:`StoreError` for anything else.

    SQLite: write-ahead log, and every transaction of :func:`begin` starts with BEGIN IMMEDIATE. Without that the
    driver sends no BEGIN before a SELECT, and two read-then-write transactions overwrite each other without an error.
    Without ``make`` a file that is not there stays so.
    """
    if is_server_address(url):
        return _postgresql(url, read_only)
    parsed = _parsed(url)
    if (backend := parsed.get_backend_name()) == "sqlite":
        return _sqlite(parsed, read_only, make)
    raise StoreError(f"no support for {backend}: use sqlite:///PATH or postgresql://USER@HOST/NAME")


def file_named(url: str) -> Path | None:
    """Return the file that a database's address names, None for a server's; raises :class:`StoreError`."""
    if is_server_address(url):
        return None
    parsed = _parsed(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # The address may hold a password, and an @ or a slash in it shifts the parts, so nothing is repeated.
        raise StoreError(f"the database address is not readable: {_SPELLINGS}") from None


def _close_to_others(path: Path, make: bool) -> None:
    """Let nobody but our user read a database: the folder too, where it is ours alone (made by us, or called var)."""
    there = path.parent.exists()
    if (make and not there) or (there and path.parent.name == OWN_FOLDER):
        private_folder(path.parent)
    for ending in ("", "-wal", "-shm"):  # SQLite gives its logs the rights of the file
        keep_private(path.with_name(path.name + ending))


def _sqlite(url: URL, read_only: bool, make: bool) -> Engine:
    path = url.database
    if not path or path == ":memory:":
        raise StoreError("a database in memory is lost with its process: name a file, as in sqlite:///var/chatwatch.db")
    if not read_only:
        _close_to_others(Path(path), make)
    # A file that was there and is gone is never made anew: an empty one in its place would look like a first start.
    mode = "ro" if read_only else "rwc" if make else "rw"

    def connect() -> sqlite3.Connection:
        nonlocal mode
        _refuse_no_file(Path(path))
        address = f"file:{quote(str(Path(path).absolute()))}?mode={mode}"
        if mode == "rwc":
            with suppress(OSError):
                private_file(Path(path))
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
        )
        mode = mode.removesuffix("c")
        return connection

    engine = create_engine("sqlite://", creator=connect, pool_size=5, max_overflow=15, poolclass=_queue_pool())
    engine = engine.execution_options(**{_READING: read_only, _FILE: Path(path).absolute()})
    follow_file(engine, Path(path).absolute())

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        _pragmas(connection, read_only)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READING, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _refuse_no_file(path: Path) -> None:
    """Raise an error of SQLite for a pipe, which it would wait for without end, and what else is no file."""
    if path.exists() and not path.is_file():
        raise sqlite3.OperationalError(f"{path} is no file: move it away")


def _queue_pool() -> Any:
    from sqlalchemy.pool import QueuePool

    return QueuePool


_TEXT = partial(str, encoding="utf-8", errors="replace")
"""A byte that is no UTF-8 spoils its own text and not the statement, which would read as an absent database."""


def _pragmas(connection: sqlite3.Connection, read_only: bool) -> None:
    connection.text_factory = _TEXT
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys=ON")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
        return
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    # Rows that change with every look are folded back a quarter as often as by default.
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit={JOURNAL_LIMIT_BYTES}")


def _postgresql(address: str, read_only: bool) -> Engine:
    try:
        from monitor.store.connection.patience import connected
    except ImportError:
        raise StoreError("PostgreSQL needs the psycopg driver: pip install 'chatwatch[postgres]'") from None
    try:
        tried = sessions(parameters(address), read_only=read_only)
    except ValueError as error:
        raise StoreError(f"the database address cannot be used: {error}") from None
    # A worker's thread waits for another session's locks no longer than with SQLite.
    idle_ms = IDLE_READER_MS if read_only else IDLE_WRITER_MS
    options = f"-c timezone=UTC -c idle_in_transaction_session_timeout={idle_ms} -c lock_timeout={BUSY_TIMEOUT_MS}"
    if read_only:
        options += " -c default_transaction_read_only=on"
    # A worker that is stopped, or cut off, must not hold its locks for the hours TCP would give it.
    ours = {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 20_000}
    engine = create_engine("postgresql+psycopg://", pool_pre_ping=True, pool_size=5, max_overflow=15, pool_timeout=10)

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, _arguments: Any, named: dict[str, Any]) -> Any:
        return connected([named | ours | wanted for wanted in tried], options)

    follow_server(engine)

    @event.listens_for(engine, "handle_error")
    def _moved(context: ExceptionContext) -> None:
        # A standby, or a database closed to writers, refuses for as long as the session lives: ask for another one.
        if getattr(context.original_exception, "sqlstate", "") == _READ_ONLY_SQLSTATE and not read_only:
            context.is_disconnect = True

    return engine.execution_options(**{_READING: read_only, _SERVER: tried[0]})


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """Write in one transaction: committed when the block ends, rolled back when it raises."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read from one consistent snapshot without holding up any writer. Keep it short: an open reader grows the log."""
    with engine.connect() as plain:
        connection = plain.execution_options(**{_READING: True})
        if is_postgresql(engine):
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def fold_log(engine: Engine) -> int | None:
    """Return the bytes of SQLite's write-ahead log, None for PostgreSQL; one beyond its limit is folded back first.

    The ordinary folding never ends the log while readers overlap. This one waits :data:`FOLD_WAIT_MS` for them, and
    whoever writes waits with it; a reader that stays longer keeps the log growing.
    """
    if is_postgresql(engine):
        return None
    with closing(engine.raw_connection()) as connection:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        path = Path(driver.execute("PRAGMA database_list").fetchone()[2] + "-wal")
        size = path.stat().st_size if path.exists() else 0
        if size <= JOURNAL_LIMIT_BYTES:
            return size
        driver.execute(f"PRAGMA busy_timeout={FOLD_WAIT_MS}")
        with suppress(sqlite3.OperationalError):  # locked, or no room for what it folds: the size tells
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        return path.stat().st_size


def file_of(engine: Engine) -> Path | None:
    """Return the file of an SQLite database, None for PostgreSQL."""
    path = engine.get_execution_options().get(_FILE)
    assert path is None or isinstance(path, Path)
    return path


def server_of(engine: Engine) -> dict[str, Any]:
    """Return libpq's parameters of a PostgreSQL database, secrets included."""
    return dict(engine.get_execution_options()[_SERVER])


def is_postgresql(engine: Engine | Connection) -> bool:
    """Return True when the database is PostgreSQL, False when it is SQLite."""
    return engine.dialect.name == "postgresql"
