"""A note beside the spool that a database was here: a worker whose database is gone begins no empty one in its place.

The note is a JSON object with the database's name (of another one it says nothing) and, of SQLite, its id: a number in
the file's head that backups keep, and which file it is, for who else would write to it. It is removed by a person who
wants to begin anew.
"""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect

from monitor.core.model.message_codes import MessageCode, coded
from monitor.logs import Event, Room
from monitor.plain_files import text_of
from monitor.recorder.durability.records import rewrite
from monitor.runtime.trouble import MOST_BYTES, NOTE
from monitor.store.connection.engine import StoreError, begin, file_of, reading, server_of
from monitor.store.connection.identity import file_identity
from monitor.store.proof import Fault

log = Room("recorder")


class MissingError(StoreError):
    """There was a database, and now there is none, or an empty one; the text is a message: what to do."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A file that was lost, and what tells it from another: the newest sign of life in it, the stamp of its restore."""

    fault: Fault
    todo: str
    worker: str
    signed_us: int
    stamp: int


def _lost_of(found: Any) -> Lost | None:
    with suppress(ValueError, TypeError, KeyError):
        told = str(found["todo"]), str(found["worker"]), int(found["signed_us"]), int(found["stamp"])
        return Lost(Fault(found["fault"]), *told)
    return None


class Marker:
    """The note of one worker about one database. Its methods raise what ``AWAY`` lists, and ``OSError``."""

    def __init__(self, directory: Path, engine: Engine) -> None:
        self.path = directory / NOTE
        self._engine, self._file = engine, file_of(engine)
        self._name = self._file.name if self._file else _server_name(engine)
        self._noted_file = ""
        self._lost: Lost | None = None

    def refuse_missing(self) -> None:
        """Raise :class:`MissingError` where an empty database would be begun although there was one before."""
        if self._known() is None or self._is_there():
            return
        self._engine.dispose()  # a restore wants an empty file to itself
        raise MissingError(coded(MessageCode.RESTORE_OR_BEGIN, file=str(self.path)))

    def note(self) -> None:
        """Write down which database is used; say so if it is another than before."""
        known, found = self._known(), self._id()
        if known and known != found:
            log.warning(Event.STORE_MOVED, "This is another database than before; results go there from now on")
        file = file_identity(self._file) if self._file is not None else ""
        if known != found or file != self._noted_file or self._lost:
            self._lost = None
            rewrite(self.path, [json.dumps({"database": self._name, "id": found, "file": file}).encode()])

    def note_lost(self, lost: Lost) -> None:
        """Add what makes the next process wait for the same file, should this one end before it is back."""
        known, file = self._known(), self._noted_file
        if known is not None and lost != self._lost:
            self._lost = lost
            body = {"database": self._name, "id": known, "file": file, "lost": asdict(lost)}
            rewrite(self.path, [json.dumps(body).encode()])

    def found_lost(self) -> Lost | None:
        """Return what an earlier process had lost and nobody has put back since."""
        self._known()
        return self._lost

    def _known(self) -> str | None:
        """Return the id in the note, empty when it cannot be read; None where there is no note about this database."""
        self._noted_file, self._lost = "", None
        try:
            note = json.loads(text_of(self.path, MOST_BYTES))
            self._noted_file = str(note.get("file", ""))
            self._lost = _lost_of(note.get("lost"))
            return str(note["id"]) if note["database"] == self._name else None
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):
            return ""
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EFBIG):  # a pipe, a device, something large: no note of ours
                return ""
            raise

    def _is_there(self) -> bool:
        if self._file is not None and not self._file.exists():
            return False  # asking SQLite would make one
        with reading(self._engine) as connection:
            return inspect(connection).has_table("alembic_version")

    def _id(self) -> str:
        """Return the id of an SQLite database, and give it one if it has none; PostgreSQL is known by its address."""
        if self._file is None:
            return "postgresql"
        with reading(self._engine) as connection:
            found = int(connection.exec_driver_sql("PRAGMA application_id").scalar() or 0)
        if not found:
            found = 1 + secrets.randbelow(2**31 - 1)
            with begin(self._engine) as connection:
                connection.exec_driver_sql(f"PRAGMA application_id = {found}")
        return f"{found:08x}"


def _server_name(engine: Engine) -> str:
    """Return what stands for a PostgreSQL database in the note, and tells no address."""
    known = server_of(engine)
    where = [str(known.get(key, "")) for key in ("service", "host", "hostaddr", "port", "dbname")]
    return hashlib.sha256(json.dumps(where).encode()).hexdigest()[:16]
