"""Day bars: closed days from ``component_day``, the rest worked out from the spans. Parts add up to the second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from monitor.core.components.uptime import Shares, Span, shares
from monitor.core.maintenance import Window
from monitor.core.model.states import Health
from monitor.core.schedule import from_micros as when
from monitor.store import tables
from monitor.store.codec import DAY
from monitor.store.tables import table

COMPONENT_DAY, SPAN = table(tables.ComponentDay), table(tables.Span)
Parts = tuple[int, ...]
"""Microseconds per state, in the order of :data:`STATES`. Plain tuples: a page over 90 days reads many thousands."""
STATES = ("operational_us", "degraded_us", "partial_us", "major_us", "maintenance_us", "unknown_us")


@dataclass(frozen=True, slots=True)
class Line:
    """What is needed to draw one component's bars: the open stretch, and from when to when something is known."""

    component: str
    created_us: int
    span_us: int
    health: Health
    known_until_us: int
    """The end of knowledge: now, or the last sign of life of the workers."""
    revision: int = 0
    """Changes with every change of the component's closed days; 0 is never kept."""


def day_parts(
    connection: Connection, lines: Sequence[Line], windows: Sequence[Window], since_us: int, until_us: int
) -> dict[str, dict[int, Parts]]:
    """Return component → start of day → how the day (or the part of it before ``until_us``) was spent."""
    first = since_us - since_us % DAY
    closed = _closed(connection, first, lines)
    today = until_us - until_us % DAY
    open_since = {line.component: _first_open(line, closed[line.component], first, today) for line in lines}
    spans = _spans(connection, min(open_since.values(), default=today), open_since)
    found: dict[str, dict[int, Parts]] = {}
    for line in lines:
        days = closed[line.component]
        start = open_since[line.component]
        for day in range(start, today + DAY, DAY):
            if day not in days:
                share = one_day(line, spans[line.component], windows, day, min(day + DAY, until_us))
                days[day] = tuple(getattr(share, name) for name in STATES)
        found[line.component] = dict(sorted(days.items()))
    return found


def day_totals(
    connection: Connection, lines: Sequence[Line], windows: Sequence[Window], since_us: int, until_us: int
) -> dict[str, Parts]:
    """Return the sums of :func:`day_parts` alone, without holding the days: a tenth of the memory."""
    first, end = since_us - since_us % DAY, until_us - until_us % DAY + DAY
    closed = _closed_sums(connection, first, lines)
    start = {
        line.component: max(first, line.created_us - line.created_us % DAY, closed[line.component][0]) for line in lines
    }
    spans = _spans(connection, min(start.values(), default=end), start)
    found: dict[str, Parts] = {}
    for line in lines:
        parts = [closed[line.component][1]]
        for day in range(start[line.component], end, DAY):
            share = one_day(line, spans[line.component], windows, day, min(day + DAY, until_us))
            parts.append(tuple(getattr(share, name) for name in STATES))
        found[line.component] = total(parts)
    return found


def one_day(
    line: Line, spans: Sequence[tuple[int, int, Health]], windows: Sequence[Window], day_us: int, until_us: int
) -> Shares:
    """Return how ``[day_us, until_us)`` of a component was spent; nothing is known before it was first watched."""
    start_us = max(day_us, line.created_us)
    known = [Span(when(a), when(b), health) for a, b, health in spans if a < until_us and b > start_us]
    if line.span_us < line.known_until_us:
        known.append(Span(when(line.span_us), when(line.known_until_us), line.health))
    near = [window for window in windows if window.concerns(line.component)]
    return shares(known, near, line.component, when(start_us), when(until_us))


_KEPT: dict[int, dict[int, Parts]] = {}
"""Revision → a component's closed days as they were read under it."""
_MOST_KEPT = 10_000


def _closed(connection: Connection, first: int, lines: Sequence[Line]) -> dict[str, dict[int, Parts]]:
    """Return the closed days of each component; what did not change since the last time is not read again."""
    found = {
        line.component: {day: parts for day, parts in _KEPT.get(line.revision, {}).items() if day >= first}
        for line in lines
    }
    wanted = {line.component: line.revision for line in lines if line.revision and line.revision not in _KEPT}
    if not wanted:
        return found
    query = select(COMPONENT_DAY.c.component, COMPONENT_DAY.c.day_us, *(COMPONENT_DAY.c[name] for name in STATES))
    query = query.where(COMPONENT_DAY.c.day_us >= first)
    if len(wanted) <= 100:
        query = query.where(COMPONENT_DAY.c.component.in_(sorted(wanted)))
    for component, day_us, *parts in connection.execute(query).all():
        if component in wanted:
            found[component][day_us] = tuple(parts)
    if len(_KEPT) > _MOST_KEPT:
        _KEPT.clear()
    _KEPT.update({revision: dict(found[component]) for component, revision in wanted.items()})
    return found


_SUMS: dict[int, tuple[int, int, Parts]] = {}
"""Revision → (first day, end of the last closed day, sum) as last read; closed days have no gaps."""


def _closed_sums(connection: Connection, first: int, lines: Sequence[Line]) -> dict[str, tuple[int, Parts]]:
    stale = [line for line in lines if line.revision and _SUMS.get(line.revision, (None,))[0] != first]
    if stale:
        by_name = {line.component: line.revision for line in stale}
        sums = [func.sum(COMPONENT_DAY.c[name]) for name in STATES]
        query = select(COMPONENT_DAY.c.component, func.max(COMPONENT_DAY.c.day_us), *sums)
        query = query.where(COMPONENT_DAY.c.day_us >= first).group_by(COMPONENT_DAY.c.component)
        if len(_SUMS) > _MOST_KEPT:
            _SUMS.clear()
        _SUMS.update(dict.fromkeys(by_name.values(), (first, 0, (0,) * len(STATES))))
        for component, last, *parts in connection.execute(query):
            if component in by_name:
                _SUMS[by_name[component]] = (first, last + DAY, tuple(map(int, parts)))
    nothing = (first, 0, (0,) * len(STATES))
    return {line.component: _SUMS.get(line.revision, nothing)[1:] for line in lines}


def _first_open(line: Line, days: Mapping[int, Parts], first: int, today: int) -> int:
    """Return the first day that is not worked out yet."""
    day = max(first, line.created_us - line.created_us % DAY)
    while day in days and day < today:
        day += DAY
    return day


def _spans(
    connection: Connection, since_us: int, open_since: Mapping[str, int]
) -> defaultdict[str, list[tuple[int, int, Health]]]:
    query = select(SPAN.c.component, SPAN.c.start_us, SPAN.c.end_us, SPAN.c.health).where(SPAN.c.end_us > since_us)
    found: defaultdict[str, list[tuple[int, int, Health]]] = defaultdict(list)
    for component, start_us, end_us, health in connection.execute(query):
        if component in open_since:
            found[component].append((start_us, end_us, Health(health)))
    return found


def total(days: Iterable[Parts]) -> Parts:
    """Return the sum of days."""
    return tuple(map(sum, zip(*days, strict=True))) or (0,) * len(STATES)
