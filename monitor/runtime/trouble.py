"""A worker's note, beside the spool, that its database must not be used: told to people, read by the doors.

It is the memory of an alert that the database cannot hold: what is wrong since when, and who was told. A JSON object
in ``trouble.json``; gone once everybody who heard of the trouble has heard of its end.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from monitor.core.model.message_codes import MessageCode, coded
from monitor.plain_files import text_of
from monitor.runtime.places import spool_home
from monitor.store.proof import Fault

NAME = "trouble.json"
MOST_BYTES = 64 * 1024


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
