"""Whether the database answers, told once when it stops and once when all that failed has worked again."""

from __future__ import annotations

import threading

from monitor import clock
from monitor.logs import Event, Room

log = Room("recorder")


class Contact:
    """Several threads report here; which of their tasks fail is remembered by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._since_s = 0.0

    def failed(self, task: str, why: str) -> None:
        """Note that the database refused a task."""
        with self._lock:
            first = not self._failing
            self._failing.add(task)
            if first:
                self._since_s = clock.monotonic()
        if first:
            log.warning(Event.DATABASE_AWAY, "Database away (%s): %s", task, why, error=why)
        else:
            log.debug(Event.DATABASE_AWAY, "Database still away (%s): %s", task, why, error=why)

    def answered(self, task: str) -> None:
        """Note that a task succeeded; it is called after every success, so it costs nothing while all is well."""
        if task not in self._failing:
            return
        with self._lock:
            self._failing.discard(task)
            if self._failing:
                return
            away_s = clock.monotonic() - self._since_s
        log.info(Event.DATABASE_BACK, "Database back after %.0f s", away_s, seconds=round(away_s, 1))


def kind_of(error: BaseException) -> str:
    """Name an error without its text, which may hold a statement's values or an address with a password."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorname", "")
    return f"{type(cause).__name__} {code}".strip()
