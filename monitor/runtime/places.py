"""Where a worker keeps what the database does not take: beside an SQLite file, else under ``var``."""

from __future__ import annotations

from pathlib import Path

from monitor.store.connection.engine import file_named


def spool_directory(database: str, location: str) -> Path:
    """Return where results wait for the database."""
    return spool_home(database) / location


def spool_home(database: str) -> Path:
    """Return the folder that has one folder a location with what waits."""
    return _home(database) / "spool"


def quarantine_home(database: str) -> Path:
    """Return the folder that has one folder a location with what cannot be judged."""
    return _home(database) / "quarantine"


def _home(database: str) -> Path:
    file = file_named(database)
    return file.parent if file is not None else Path("var")
