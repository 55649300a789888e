"""A hold on an SQLite file that outlives its name: what lost its name, or its log, is copied while we have it open."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote

from monitor import clock
from monitor.plain_files import private_folder
from monitor.store.connection.identity import file_identity
from monitor.store.proof import UnsoundError, examined


class Anchor:
    """See the module. :meth:`hold` may be called again and again; nothing here raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._logs: dict[Path, str] = {}

    def hold(self) -> None:
        """Keep the file and its log reachable should their names be taken away."""
        if self._connection is None:
            self._connection = _held(self._path)
        logs = (self._path.with_name(self._path.name + ending) for ending in ("-wal", "-shm"))
        self._logs = {path: file_identity(path) for path in logs}

    @property
    def lost_its_log(self) -> bool:
        """Say whether the log is gone, or another lies in its place; the file without it lacks its newest moments."""
        return any(identity and file_identity(path) != identity for path, identity in self._logs.items())

    def rescue(self, worker: str, signed_us: int) -> Path | None:
        """Copy what we still have open beside the file; None unless the copy is whole and holds a sign of life."""
        if self._connection is None:
            return None
        with suppress(sqlite3.Error, OSError, UnsoundError):
            if not self._path.parent.exists():
                private_folder(self._path.parent)
            name = f"{self._path.name}.rescued-{clock.now():%Y%m%dT%H%M%S}"
            names = (name + (f"-{number}" if number else "") for number in count())
            rescued = next(path for path in map(self._path.with_name, names) if not path.exists())
            if self._copied(rescued) and (examined(rescued, worker=worker).signed_us or 0) >= signed_us:
                return rescued
            rescued.unlink(missing_ok=True)
        return None

    def _copied(self, rescued: Path) -> bool:
        assert self._connection is not None
        try:
            self._connection.execute("VACUUM INTO ?", (str(rescued),))
        except sqlite3.Error:
            return False
        rescued.chmod(0o600)
        return True

    def part_from_log(self) -> None:
        """Take the lost file's log aside: SQLite would read it as the log of whatever file lies there next."""
        for path, identity in self._logs.items():
            if identity and file_identity(path) == identity:
                with suppress(OSError):
                    path.replace(path.with_name(f"{path.name}.lost"))

    def drop(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _held(path: Path) -> sqlite3.Connection | None:
    before = file_identity(path)
    with suppress(sqlite3.Error):
        address = f"file:{quote(str(path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        with suppress(sqlite3.Error):
            connection.execute("SELECT count(*) FROM alembic_version").fetchone()
            if before and file_identity(path) == before:
                return connection
        connection.close()
    return None
