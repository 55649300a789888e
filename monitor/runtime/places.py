"""Where a worker keeps what the database does not take: beside an SQLite file, else under ``var``."""

from __future__ import annotations

from pathlib import Path

from monitor.store.connection.engine import parsed_url


def spool_directory(database: str, location: str) -> Path:
    """Return where results wait for the database."""
    return _home(database) / "spool" / location


def quarantine_home(database: str) -> Path:
    """Return the folder that has one folder a location with what cannot be judged."""
    return _home(database) / "quarantine"


def _home(database: str) -> Path:
    url = parsed_url(database)
    return Path(url.database).parent if url.get_backend_name() == "sqlite" and url.database else Path("var")
