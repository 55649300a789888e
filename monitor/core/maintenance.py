"""Planned work: single and recurring windows laid over the health of components.

A recurring window keeps its wall-clock time in its own time zone: 02:00 stays 02:00 when daylight saving begins or
ends. A start that does not exist that night moves to the first moment after the gap; one that exists twice means
the earlier.

A repeat is one of ``daily``, ``weekly``, ``monthly`` (on the day of the first window), ``monthly on 15`` and
``monthly on first sunday`` (… fourth, last). A month without that day has its window on its last day. Where the first
window begins in a gap, ``at 02:30`` at the end says what the clock shall show when it can: its start no longer does.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

EARLIEST, LATEST = datetime(1999, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Work is planned after the one and before the other; what lies beyond is a slip of the keyboard."""
DAYS = {"daily": 1, "weekly": 7}
MONTHLY = "monthly"
BY_FILE = "(configuration)"
"""Who announced what the configuration holds; no person may have such a name."""
LEFT_FILE = "(configuration, changed)"
"""Who announced what the configuration held before; it ended when that changed."""
ORDINALS = ("first", "second", "third", "fourth", "last")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


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


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "Factory"})


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name. Raises ``ValueError`` that says how one is written.

    A folder of zones, a file beside them and the machine's own zone are found by that name as well, so what is asked is
    whether the database lists it.
    """
    known = _zones()
    if name not in known:
        inside = sorted(zone for zone in known if name and zone.startswith(f"{name.rstrip('/')}/"))
        hint = f"; name one in it, as {inside[-1]}" if inside else "; write it as Europe/Berlin or UTC"
        raise ValueError(f"there is no time zone {name or 'without a name'}{hint}")
    return ZoneInfo(name)


def repeat_fault(item: Maintenance) -> str:
    """Say why an announcement's repeat or time zone cannot work; empty when it can."""
    try:
        zone = zone_of(item.time_zone)
    except ValueError as error:
        return str(error)
    if item.ends_at >= LATEST:
        return f"planned work ends before {LATEST:%Y}"
    first = item.starts_at.astimezone(zone).date()
    if not item.repeat:
        return ""
    try:
        repeat, wall = _split(item)
        own = _date(repeat, first, 0)
    except ValueError:
        return (
            f'maintenance repeats daily, weekly, monthly, "monthly on 15" or "monthly on first sunday", '
            f"not {item.repeat!r}"
        )
    if own != first:
        return f"the first window begins on {first:%A, %d %B}, which is not {repeat.removeprefix('monthly on ')}"
    if repeat != item.repeat and existing(datetime.combine(first, wall), zone) != item.starts_at:
        return f"the first window does not begin at {wall:%H:%M}, where a repeat says so"
    if item.repeat_until is not None and item.repeat_until < item.starts_at:
        return "the repeats end before the first window begins"
    if item.ends_at - item.starts_at >= timedelta(days=DAYS.get(repeat, 28)):
        return "a window is longer than the time until the next"
    return ""


def windows(item: Maintenance, since: datetime, until: datetime) -> Iterator[Window]:
    """Yield the occurrences that overlap ``[since, until)``, oldest first. Raises ``ValueError`` on a wrong repeat."""
    zone, length = ZoneInfo(item.time_zone), item.ends_at - item.starts_at
    first, number = item.starts_at.astimezone(zone).date(), 0
    repeat, wall = _split(item)
    if repeat and since > item.ends_at:
        number = max(0, (since - item.ends_at) // timedelta(days=DAYS.get(repeat, 31)) - 1)
    while True:
        day = _date(repeat, first, number) if repeat else first
        start = existing(datetime.combine(day, wall), zone) if repeat else item.starts_at
        if start >= until or (item.repeat_until is not None and start > item.repeat_until):
            return
        if start + length > since:
            yield Window(start, start + length, item.service, item.components, item.id)
        if not item.repeat:
            return
        number += 1


def _split(item: Maintenance) -> tuple[str, time]:
    """Return the repeat without its time, and the time by the clock on the wall; raises ``ValueError``."""
    repeat, at, text = item.repeat.partition(" at ")
    if at:
        return repeat, time.fromisoformat(text)
    return repeat, item.starts_at.astimezone(ZoneInfo(item.time_zone)).time()


def _date(repeat: str, first: date, number: int) -> date:
    """Return the day of the window so many repeats after the first; raises ``ValueError`` on what is no repeat."""
    if repeat in DAYS:
        return first + timedelta(days=DAYS[repeat] * number)
    month = first.year * 12 + first.month - 1 + number
    year, month = month // 12, month % 12 + 1
    weekday_of_first, length = monthrange(year, month)
    words = repeat.split()
    if words[:1] != [MONTHLY] or (len(words) > 1 and words[1] != "on") or len(words) not in (1, 3, 4):
        raise ValueError(repeat)
    if len(words) == 4:
        before = (WEEKDAYS.index(words[3]) - weekday_of_first) % 7
        weeks = (length - 1 - before) // 7 if words[2] == "last" else ORDINALS.index(words[2])
        return date(year, month, 1 + before + 7 * weeks)
    day = int(words[2]) if len(words) == 3 else first.day
    if not 1 <= day <= 31:
        raise ValueError(repeat)
    return date(year, month, min(day, length))


def existing(wall: datetime, zone: ZoneInfo) -> datetime:
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


def held(
    item: Maintenance, announced_at: datetime, called_off_at: datetime | None, since: datetime, until: datetime
) -> Iterator[Window]:
    """Yield the windows of ``[since, until)`` that were held: what was called off counts until then."""
    for window in windows(item, since, until):
        if window.ends_at <= announced_at:
            continue  # the repetition began before it was announced
        if called_off_at is None or window.ends_at <= called_off_at:
            yield window
        elif window.starts_at < called_off_at:
            yield replace(window, ends_at=called_off_at)


def around(at: datetime) -> tuple[datetime, datetime]:
    """Return the time whose windows matter to judgement: two days before the hour of ``at`` until two hours after."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour - timedelta(days=2), hour + timedelta(hours=2)


def covering(items: Iterable[Window], component: str, at: datetime) -> Window | None:
    """Return the window the component is in at that moment, the longest-lasting if there are several."""
    found = [window for window in items if window.covers(component, at)]
    return max(found, key=lambda window: window.ends_at, default=None)
