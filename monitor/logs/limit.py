"""Much happens at once: the first lines of an event are printed, the rest of its minute is counted."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 20
"""Lines of one event that are printed within :data:`WINDOW_S`."""
WINDOW_S = 60.0


@dataclass(slots=True)
class _Window:
    began_s: float
    printed: int = 0
    held: int = 0


class Limiter:
    """Counts lines by event; the time is an argument, on a clock that never steps."""

    def __init__(self, most: int = MOST, window_s: float = WINDOW_S) -> None:
        self._most, self._window_s = most, window_s
        self._windows: dict[str, _Window] = {}

    def admits(self, event: str, now_s: float) -> bool:
        """Say whether a line may be printed; call :meth:`over` before, so that windows that ended are told."""
        window = self._windows.setdefault(event, _Window(now_s))
        if window.printed < self._most:
            window.printed += 1
            return True
        window.held += 1
        return False

    @property
    def holds(self) -> bool:
        """Say whether lines were counted that nobody was told of."""
        return any(item.held for item in self._windows.values())

    def over(self, now_s: float) -> dict[str, int]:
        """Forget the windows that ended; returns event → lines that were not printed, where there were any."""
        ended = {event: item for event, item in self._windows.items() if now_s - item.began_s >= self._window_s}
        for event in ended:
            del self._windows[event]
        return {event: item.held for event, item in ended.items() if item.held}

    def rest(self) -> dict[str, int]:
        """Forget everything: the process ends."""
        held = {event: item.held for event, item in self._windows.items() if item.held}
        self._windows.clear()
        return held
