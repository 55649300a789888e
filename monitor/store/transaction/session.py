"""SQLModel's session, for what a person asks for or does; looks and their judgement go by Core statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlmodel import Session


@contextmanager
def session_on(connection: Connection) -> Iterator[Session]:
    """Yield a session in the connection's own transaction; what changed is written when the block ends.

    Committing stays with whoever began the transaction, so a block that raises leaves nothing of it. Core statements on
    the same connection see a change only after the block. A row to be changed is read ``with_for_update``: on
    PostgreSQL another session may have taken it away otherwise, and the session then raises ``StaleDataError``.
    """
    with Session(connection) as session:
        yield session
        session.flush()
