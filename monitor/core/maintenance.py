"""Planned work: single and recurring windows laid over the health of components.

A recurring window keeps its wall-clock time in its own time zone: 02:00 stays 02:00 when daylight saving begins or
ends. A start that does not exist that night moves to the first moment after the gap; one that exists twice means
the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

REPEATS = {"": None, "daily": timedelta(days=1), "weekly": timedelta(days=7)}
"""The words a recurrence may be; ``""`` is a single window."""


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of maintenance, ``[starts_at, ends_at)`` in UTC. ``components`` empty means the whole service."""

    starts_at: datetime
    ends_at: datetime
    service: str
    components: tuple[str, ...] = ()
    maintenance: str = ""

    def covers(self, component: str, at: datetime) -> bool:
        """Say whether the component is under maintenance at that moment."""
        return self.starts_at <= at < self.ends_at and self.concerns(component)

    def concerns(self, component: str) -> bool:
        """Say whether the window is about the component, at whatever time."""
        return component in self.components or (not self.components and component.startswith(self.service + "/"))


@dataclass(frozen=True, slots=True)
class Maintenance:
    """An announcement. ``starts_at`` and ``ends_at`` are the first occurrence."""

    id: str
    service: str
    components: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    repeat: str = ""
    time_zone: str = "UTC"
    repeat_until: datetime | None = None


def windows(item: Maintenance, since: datetime, until: datetime) -> Iterator[Window]:
    """Yield the occurrences that overlap ``[since, until)``, oldest first."""
    step = REPEATS[item.repeat]
    zone, length = ZoneInfo(item.time_zone), item.ends_at - item.starts_at
    wall, number = item.starts_at.astimezone(zone).replace(tzinfo=None), 0
    if step is not None and since > item.ends_at:
        number = max(0, (since - item.ends_at) // step - 1)
    while True:
        start = _existing(wall + number * step if step else wall, zone)
        if start >= until or (item.repeat_until is not None and start > item.repeat_until):
            return
        if start + length > since:
            yield Window(start, start + length, item.service, item.components, item.id)
        if step is None:
            return
        number += 1


def _existing(wall: datetime, zone: ZoneInfo) -> datetime:
    """UTC moment of a wall-clock time; one inside a daylight-saving gap becomes the end of the gap."""
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == wall:
        return at
    # PEP 495: fold=1 in a gap uses the offset after it, which is the distance we have to go back.
    after = wall.replace(tzinfo=zone, fold=1).utcoffset() or timedelta(0)
    before = wall.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0)
    low, high = wall.replace(tzinfo=UTC) - max(before, after), wall.replace(tzinfo=UTC) - min(before, after)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if middle.astimezone(zone).utcoffset() == after else (middle, high)
    return high.replace(microsecond=0)


def covering(items: Iterable[Window], component: str, at: datetime) -> Window | None:
    """Return the window the component is in at that moment, the longest-lasting if there are several."""
    found = [window for window in items if window.covers(component, at)]
    return max(found, key=lambda window: window.ends_at, default=None)
