"""The brake on guessing passwords: by name and source, so that a stranger's tries hold up nobody but the stranger."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock

from monitor import clock

PAIR_TRIES, PAIR_S = 5, 60.0
"""So many wrong passwords for one name from one source, then that source waits with that name."""
SOURCE_TRIES, SOURCE_S = 20, 600.0
"""So many wrong ones from one source under whatever names, then it waits with every name that it never got right."""
WRITTEN_PER_S = 1.0
MOST_KEYS = 10_000
"""Pairs and sources remembered; of more the newest."""
Tries = OrderedDict[tuple[str, str], deque[float]]


class Brake:
    """Counts tries before the password is looked at, so that many at once are no way around it."""

    def __init__(self, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._tries: Tries = OrderedDict()
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._written_s = 0.0

    def take(self, name: str, source: str) -> float:
        """Count a try; returns 0, or for how many seconds no try is taken, which was not counted then."""
        now, pair = self._monotonic(), (name, source)
        with self._lock:
            wait_s = self._wait_s(name, source, now)
            if not wait_s:
                self._of(pair, PAIR_TRIES).append(now)
                if source:
                    self._of(("", source), SOURCE_TRIES).append(now)
        return wait_s

    def wait_s(self, name: str, source: str) -> float:
        """Return for how many seconds no try is taken for this name from there."""
        with self._lock:
            return self._wait_s(name, source, self._monotonic())

    def succeeded(self, name: str, source: str) -> None:
        """Forget the tries for a name from a source: the password was right."""
        pair = name, source
        with self._lock:
            self._tries.pop(pair, None)
            if source and (tries := self._tries.get(("", source))):
                tries.pop()
            self._good[pair] = None
            self._good.move_to_end(pair)
            while len(self._good) > MOST_KEYS:
                self._good.popitem(last=False)

    def to_be_written(self) -> bool:
        """Say whether a refused try may have a line of the audit: no flood of tries fills the disk."""
        now = self._monotonic()
        with self._lock:
            self._written_s = max(self._written_s, now - 60.0)
            if self._written_s > now:
                return False
            self._written_s += WRITTEN_PER_S
        return True

    def _wait_s(self, name: str, source: str, now: float) -> float:
        wait_s = self._left(self._tries.get((name, source)), PAIR_TRIES, PAIR_S, now)
        if source and (name, source) not in self._good:
            wait_s = max(wait_s, self._left(self._tries.get(("", source)), SOURCE_TRIES, SOURCE_S, now))
        return wait_s

    @staticmethod
    def _left(tries: deque[float] | None, most: int, within_s: float, now: float) -> float:
        if tries is None or len(tries) < most:
            return 0.0
        return max(0.0, tries[0] + within_s - now)

    def _of(self, key: tuple[str, str], most: int) -> deque[float]:
        tries = self._tries.setdefault(key, deque(maxlen=most))
        self._tries.move_to_end(key)
        while len(self._tries) > MOST_KEYS:
            self._tries.popitem(last=False)
        return tries
