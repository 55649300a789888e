"""A worker's note, beside the spool, that its database must not be used: told to people, read by the doors.

It is the memory of an alert that the database cannot hold: what is wrong since when, and who was told. A JSON object
in ``trouble.json``; gone once everybody who heard of the trouble has heard of its end.

Nobody but the worker writes to a file that is not the one it uses. What lies in the place of a lost one is replaced by
the restore, and whatever was written to it goes with it; and who opens it beside the lost one's log takes that log for
its own.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from monitor.core.model.message_codes import MessageCode, coded
from monitor.plain_files import text_of
from monitor.runtime.places import in_use, spool_home
from monitor.store.connection.engine import file_of
from monitor.store.connection.identity import StoreChangedError, file_identity
from monitor.store.proof import Fault

NAME = "trouble.json"
MOST_BYTES = 64 * 1024
NOTE = "database"
"""The name of the note of a worker that says which database it uses (``recorder/durability/marker.py``)."""
LOST = "the worker has lost the database: nothing is written until it is restored"
OTHER = "another file than the worker's lies there: nothing is written until the worker has looked at it"


@dataclass(frozen=True, slots=True)
class Trouble:
    """See the module."""

    id: str
    """Of the alert."""
    fault: Fault
    todo: str
    """What a person is to do, as a text or a message."""
    since: datetime
    ended: datetime | None = None
    told: tuple[str, ...] = ()
    """Channels that were told of it and not yet of its end."""

    @property
    def what(self) -> str:
        """The message that says what is wrong."""
        return what_is_wrong(self.fault)


def what_is_wrong(fault: Fault) -> str:
    """Return the message that says a fault in words."""
    return coded(MessageCode(f"database_{fault}"))


@dataclass(slots=True)
class TroubleFile:
    """Keeps one trouble on disk; without room for it in memory only."""

    directory: Path
    kept: Trouble | None = field(init=False)

    def __post_init__(self) -> None:
        self.kept = _read(self.directory / NAME)

    def keep(self, trouble: Trouble | None) -> None:
        """Replace what is kept, or forget it; raises ``OSError`` when that could not be written down."""
        if trouble == self.kept:
            return
        self.kept, path = trouble, self.directory / NAME
        if trouble is None:
            path.unlink(missing_ok=True)
            return
        ended = trouble.ended.isoformat() if trouble.ended else None
        facts = {"id": trouble.id, "fault": trouble.fault, "todo": trouble.todo, "since": trouble.since.isoformat()}
        new = path.with_suffix(".new")
        new.write_text(json.dumps({**facts, "ended": ended, "told": list(trouble.told)}), "utf-8")
        new.replace(path)


def _read(path: Path) -> Trouble | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(text_of(path, MOST_BYTES))
        since = datetime.fromisoformat(found["since"])
        ended = datetime.fromisoformat(found["ended"]) if found["ended"] else None
        if since.tzinfo is not None and (ended is None or ended.tzinfo is not None):
            told = tuple(map(str, found["told"]))
            return Trouble(str(found["id"]), Fault(found["fault"]), str(found["todo"]), since, ended, told)
    return None


def trouble_of(database: str) -> Trouble | None:
    """Return what a worker on this machine says is wrong with a database now, the oldest first; None while all is well.

    A note that cannot be read says nothing.
    """
    with suppress(OSError):
        found = (_read(path) for path in spool_home(database).glob(f"*/{NAME}"))
        return min((one for one in found if one and one.ended is None), key=lambda one: one.since, default=None)
    return None


def why_not(url: str, file: Path) -> str:
    """Return why nobody but its worker may write to a file now, nothing while all is well or no worker runs."""
    with suppress(OSError):
        for folder in spool_home(url).iterdir():
            trouble = TroubleFile(folder).kept
            lost = trouble is not None and trouble.ended is None and trouble.fault.is_loss
            used = _used(folder)
            if (lost or (used and used != file_identity(file))) and in_use(folder, 0.0):
                return LOST if lost else OTHER
    return ""


def _used(folder: Path) -> str:
    with suppress(OSError, ValueError, TypeError, KeyError):
        return str(json.loads(text_of(folder / NOTE, MOST_BYTES))["file"])
    return ""


def keep_from_lost(engine: Engine, url: str) -> None:
    """Let every use of an SQLite engine raise :class:`StoreChangedError` while :func:`why_not` says something."""
    file = file_of(engine)
    if file is None:
        return

    def before(connection: Any, _record: Any, proxy: Any = None) -> None:
        """Refuse before anything is read: a new connection of SQLite opens its file at its first statement."""
        if why := why_not(url, file):
            if proxy is None:
                connection.close()
            raise StoreChangedError(why)

    event.listen(engine, "connect", before, insert=True)
    event.listen(engine, "checkout", before, insert=True)
