"""Where a worker keeps what the database does not take: beside an SQLite file, else under ``var``."""

from __future__ import annotations

import fcntl
from pathlib import Path
from threading import Event

from monitor.clock import monotonic
from monitor.store.connection.engine import file_named

IN_USE = (
    "{} is in use by another worker: end it, or start this one with another --location "
    "(or with another database: results wait beside it)"
)


def spool_directory(database: str, location: str) -> Path:
    """Return where results wait for the database."""
    return spool_home(database) / location


def spool_home(database: str) -> Path:
    """Return the folder that has one folder a location with what waits."""
    return _home(database) / "spool"


def in_use(spool: Path, patience_s: float) -> bool:
    """Say whether another worker has a spool, and keeps it for so long; one that was told to end, or killed, may go."""
    end_s, pause = monotonic() + patience_s, Event()
    while not _is_free(spool / "lock"):
        if monotonic() > end_s:
            return True
        pause.wait(0.1)
    return False


def _is_free(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # there is none, or the worker itself will say what is wrong with it
    return True


def quarantine_home(database: str) -> Path:
    """Return the folder that has one folder a location with what cannot be judged."""
    return _home(database) / "quarantine"


def _home(database: str) -> Path:
    file = file_named(database)
    return file.parent if file is not None else Path("var")
