"""Is our own clock right? Compared with the ``Date`` headers of servers whose certificates we believed.

A date that came over a verified connection was true when it came; from then on a clock that never steps carries it
forward. So a wall clock that is set wrong while we run is noticed although, from that moment on, no certificate can be
verified any more. Two servers at different registrable hosts have to agree, as one may be wrong itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from monitor.core.doubt.independence import registrable

FEWEST_HOSTS = 2
MOST_HOSTS = 64
WRONG = timedelta(minutes=10)
"""Dates have whole seconds, and caches may hand out old ones; certificates are not cut to minutes."""


class TrustedTime:
    """What servers said of the time, newest word per registrable host. Seconds are of a clock that never steps."""

    def __init__(self) -> None:
        self._began: dict[str, datetime] = {}

    def heard(self, host: str, date: str, at_s: float) -> None:
        """Take a ``Date`` header that came over a verified connection; one that makes no sense is left out."""
        try:
            said = parsedate_to_datetime(date)
            began = said.replace(tzinfo=said.tzinfo or UTC).astimezone(UTC) - timedelta(seconds=at_s)
        except (ValueError, OverflowError, TypeError, IndexError):
            return
        name = registrable(host)
        self._began.pop(name, None)
        self._began[name] = began
        if len(self._began) > MOST_HOSTS:
            del self._began[next(iter(self._began))]

    def ahead(self, now: datetime, at_s: float) -> timedelta | None:
        """Return by how much our clock is ahead of what servers said (negative: behind); None if too few said it."""
        if len(self._began) < FEWEST_HOSTS:
            return None
        zero = now - timedelta(seconds=at_s)
        apart = sorted((zero - began).total_seconds() for began in self._began.values())
        middle = apart[(len(apart) - 1) // 2 : len(apart) // 2 + 1]
        return timedelta(seconds=min(middle, key=abs))
