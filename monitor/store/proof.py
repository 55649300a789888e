"""Whether an SQLite file is what it was: there, whole, sound, and not older than what we last wrote to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from sqlmodel import SQLModel

from monitor.store import tables as _declared  # noqa: F401  # declares what SQLModel's metadata lists
from monitor.store.connection.identity import file_identity
from monitor.store.upgrade import HEAD

_MAGIC = b"SQLite format 3\0"
_PATIENCE_S = 5.0


class Fault(StrEnum):
    """What is wrong with a store. Members are part of a metric's labels: never rename one."""

    VANISHED = "vanished"
    SWAPPED = "swapped"
    CUT = "cut"
    DAMAGED = "damaged"
    ROLLED_BACK = "rolled_back"
    MISSING = "missing"
    """At the start of a worker: there was a database, and there is none, or an empty one."""
    READ_ONLY = "read_only"
    NEWER = "newer"

    @property
    def is_loss(self) -> bool:
        """Say whether the store must not be used until another is put in place.

        The other faults end as soon as it takes results again.
        """
        return self not in (Fault.MISSING, Fault.READ_ONLY, Fault.NEWER)


class UnsoundError(Exception):
    """A store must not be used."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sound file says of itself."""

    version: str
    """Of the schema."""
    stamp: int
    """Changes with every ``chatwatch restore``."""
    signed_us: int | None
    """When the worker asked for last recorded a sign of life."""


def error_name(error: BaseException) -> str:
    """Return SQLite's name of an error, also of one that SQLAlchemy wrapped; empty for others."""
    return str(getattr(getattr(error, "orig", None) or error, "sqlite_errorname", ""))


def fault_of(error: BaseException) -> Fault | None:
    """Return which fault of the file an error of SQLite tells, None when it may have other causes."""
    cause, name = getattr(error, "orig", None) or error, error_name(error)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR_SHORT_READ")):
        return Fault.DAMAGED
    if name == "SQLITE_ERROR" and "no such table" in str(cause):
        return Fault.DAMAGED
    return Fault.READ_ONLY if name.startswith("SQLITE_READONLY") else None


def writable(path: Path) -> bool:
    """Say whether a file and its folder may be written to; false as well where the file system became read-only.

    Of a file that is gone it says nothing.
    """
    files = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]
    return os.access(path.parent, os.W_OK) and all(os.access(one, os.W_OK) for one in files if one.exists())


def misplaced(path: Path, identity: str | None) -> Fault | None:
    """Say whether a file is gone, or another one than ``identity`` says; None expects nothing but a file."""
    found = file_identity(path)
    if not found:
        return Fault.READ_ONLY if _hidden(path) else Fault.VANISHED
    return Fault.SWAPPED if identity is not None and found != identity else None


def _hidden(path: Path) -> bool:
    """Say whether we lack the right to look whether a file is there."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def is_cut(path: Path) -> bool:
    """Say whether a file is shorter than its head says; true for a moment while its log is folded back."""
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100:
        return True
    if not head.startswith(_MAGIC):
        return False
    page_bytes = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    return path.stat().st_size < (65_536 if page_bytes == 1 else page_bytes) * pages


def examined(path: Path, identity: str | None = None, *, worker: str = "", deep: bool = True) -> Facts:
    """Read a file through a connection of its own; raises :class:`UnsoundError`, or ``sqlite3.Error`` when it is busy.

    ``deep`` reads all of it. A flipped bit inside a value that no index holds is not found: SQLite keeps no checksums.
    """
    if (fault := misplaced(path, identity)) is not None:
        raise UnsoundError(fault)
    try:
        with closing(_opened(path)) as connection:
            if deep and connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                raise UnsoundError(_cut_or(path, Fault.DAMAGED))
            (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
            (stamp,) = connection.execute("PRAGMA user_version").fetchone()
            row = connection.execute("SELECT seen_us FROM worker WHERE id = ?", (worker,)).fetchone()
            named = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if version == HEAD and not named >= set(SQLModel.metadata.tables):
                raise UnsoundError(Fault.DAMAGED)  # somebody took a table away
    except sqlite3.DatabaseError as error:
        if (fault := misplaced(path, identity)) is not None:
            raise UnsoundError(fault) from None
        if "no such table" in str(error):
            raise UnsoundError(_cut_or(path, Fault.ROLLED_BACK)) from None
        if fault_of(error) is Fault.DAMAGED:
            raise UnsoundError(_cut_or(path, Fault.DAMAGED)) from None
        raise
    return Facts(str(version), int(stamp), row[0] if row else None)


def _opened(path: Path) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _cut_or(path: Path, other: Fault) -> Fault:
    try:
        return Fault.CUT if is_cut(path) else other
    except OSError:
        return Fault.VANISHED
