"""What every program says of a database that refuses it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from monitor.logs.hiding import LONGEST_VALUE, Hidden, of_environment, shown_database

DATABASE = "CHATWATCH_DATABASE"
_NO_WRITES = ("25006", "0A000")
"""PostgreSQL's states for a session that may only read, and for what a standby cannot do."""


def database_refused(error: DBAPIError, url: str) -> str:
    """Return in one line which database refused, without its password, why, and what to do."""
    hidden = Hidden()
    hidden.add(of_environment({DATABASE: url}))
    at = hidden.line(shown_database(url), LONGEST_VALUE)
    if getattr(error.orig, "sqlstate", None) in _NO_WRITES:
        return f"the database {at} takes no writes, as a standby does: name the primary, or both servers"
    if not isinstance(error, OperationalError | InterfaceError):  # its text may hold what a row holds
        return f"the database {at} cannot be used: {type(error.orig).__name__}; see chatwatch doctor"
    why = hidden.line(str(error.orig).partition("\n")[0], LONGEST_VALUE)
    return f"the database {at} cannot be used: {why}; start it, or correct {DATABASE}"
