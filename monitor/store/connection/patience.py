"""A PostgreSQL connection with a time limit: a suspended server keeps its connections open and never answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from monitor import clock
from monitor.store.connection.limits import answer_limit

T = TypeVar("T")


class Patient(psycopg.Connection[Any]):
    """Waits for an answer as long as :func:`monitor.store.connection.limits.answered_within` allows, then is closed."""

    def wait(self, gen: PQGen[T], *arguments: Any, **named: Any) -> T:
        """Raise ``psycopg.OperationalError`` when a statement, a commit or a ping is not answered in time."""
        limit_s = answer_limit()
        if limit_s is None:
            return super().wait(gen, *arguments, **named)
        return super().wait(self._until(gen, clock.monotonic() + limit_s), *arguments, **named)

    def _until(self, gen: PQGen[T], end_s: float) -> PQGen[T]:
        """Pass on what ``gen`` waits for; psycopg sends a falsy "nothing yet" every tenth of a second."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and clock.monotonic() > end_s:
                    # A late answer must not be read as the answer to the next statement, so the connection is dropped.
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server does not answer")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # of a generator that ends: what it returned


def connected(tried: Sequence[dict[str, Any]], options: str) -> Patient:
    """Connect by the first of several sets of parameters that leads anywhere; raises the error of the last.

    ``options`` of the session are ours: they come after what a person set, and win.
    """
    for number, named in enumerate(tried, 1):
        try:
            return Patient.connect(**named | {"options": f"{named.get('options') or ''} {options}".strip()})
        except psycopg.OperationalError:
            if number == len(tried):
                raise
    raise psycopg.InterfaceError("nothing to connect to")
