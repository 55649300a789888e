"""Which store a connection belongs to: a file may be replaced under its name, a server under its address."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

_STORE = "chatwatch_store"


class StoreChangedError(Exception):
    """Another store than before answers under the address, or the one that answers must not be used now."""


def file_identity(path: Path) -> str:
    """Return what tells a file from another of its name; empty when there is none."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def follow_file(engine: Engine, path: Path) -> None:
    """Leave a file that lost its name: whatever was still written to it would be gone with the last connection."""

    @event.listens_for(engine, "connect")
    def _opened(_connection: Any, record: Any) -> None:
        record.info[_STORE] = file_identity(path)

    @event.listens_for(engine, "checkout")
    def _used(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info[_STORE] != file_identity(path):
            raise DisconnectionError(f"{os.fspath(path)} is another file now")


def follow_server(engine: Engine) -> None:
    """Note with every connection which start of which server it leads to."""

    @event.listens_for(engine, "connect")
    def _opened(connection: Any, record: Any) -> None:
        (started,) = connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()
        connection.rollback()
        record.info[_STORE] = started


class Expected:
    """Lets an engine reach one store only: the first that answers, and after :meth:`forget` the next.

    Another file under the name of ours is not even opened: SQLite would read the log of ours as its own and fold it
    into that file, and what the log held would be gone for whoever still has ours open.
    """

    def __init__(self, engine: Engine, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._path = path
        self.store: str | None = None
        event.listen(engine, "checkout", self._check)
        if path is not None:
            event.listen(engine, "checkout", self._before, insert=True)
            event.listen(engine, "connect", self._before, insert=True)

    def _before(self, connection: Any, _record: Any, _proxy: Any = None) -> None:
        """Refuse before anything is read; a new connection of SQLite opens its file at its first statement."""
        assert self._path is not None
        with self._lock:
            if self.store is None or file_identity(self._path) == self.store:
                return
        if _proxy is None:
            connection.close()
        raise StoreChangedError("the database is another file now")

    def forget(self) -> None:
        """Take whatever answers next."""
        with self._lock:
            self.store = None

    def _check(self, _connection: Any, record: Any, _proxy: Any) -> None:
        found = record.info[_STORE]
        with self._lock:
            if self.store is None:
                self.store = found
            if found != self.store:
                raise StoreChangedError("another store answers under the address of the database")
