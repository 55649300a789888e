"""How fast each component's error budget burns, from counted looks: the numbers behind ``slo``.

Looks are counted in minutes and hours of their ticks. Outages that somebody was told of are left out: what those burnt
is no news, and nobody is woken twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from monitor.core.alerts.grouping import NotificationLog
from monitor.core.catalogue import Index
from monitor.core.components.slo import Burning, Count, burning, objective
from monitor.core.entities import Alert
from monitor.core.schedule import micros

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 3_600 * SECOND_US
FINE_S = 7_200
"""Windows up to this length are counted in minutes, longer ones in hours."""
LONGEST_S = 259_200
LONGEST = timedelta(seconds=LONGEST_S)
Bucket = tuple[int, int, int]
"""Start in microseconds, looks that told something, how many of them failed."""
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tally:
    """The counted looks of one component: minutes of the newest :data:`FINE_S`, hours of :data:`LONGEST_S`."""

    minutes: Sequence[Bucket] = ()
    hours: Sequence[Bucket] = ()
    """Only hours that are closed."""


def budgets_burning(
    index: Index,
    tallies: Mapping[str, Tally],
    outages: Iterable[tuple[Alert, Mapping[str, NotificationLog]]],
    now: datetime,
) -> dict[str, tuple[Burning, ...]]:
    """Return the burn rules that fire, by component; a component without looks is left out: those are no recovery.

    ``outages`` are the alerts about outages that are not over, or ended within :data:`LONGEST_S`.
    """
    now_us = micros(now)
    told = told_of(outages, now)
    found: dict[str, tuple[Burning, ...]] = {}
    for component in index.catalogue.components:
        target, tally = objective(index.probes_of.get(component.id, ())), tallies.get(component.id)
        if target is None or tally is None or not _count(tally, now_us, FINE_S).looks:
            continue
        spans = told.get(component.id, ())
        new = Tally(_outside(tally.minutes, MINUTE_US, spans), _outside(tally.hours, HOUR_US, spans))
        found[component.id] = burning(partial(_count, new, now_us), target)
    return found


def told_of(
    outages: Iterable[tuple[Alert, Mapping[str, NotificationLog]]], now: datetime
) -> Mapping[str, Sequence[Span]]:
    """Return component → outages that somebody was told of, both ends in microseconds and included."""
    now_us = micros(now)
    found: dict[str, list[Span]] = {}
    for alert, told in outages:
        if any(heard.triggered_at is not None or heard.grouped_at is not None for heard in told.values()):
            end_us = micros(alert.resolved_at) if alert.resolved_at else now_us
            found.setdefault(alert.component, []).append((micros(alert.started_at), end_us))
    return found


def _outside(buckets: Sequence[Bucket], size_us: int, spans: Sequence[Span]) -> Sequence[Bucket]:
    """Leave out the buckets that an outage touches."""
    if not spans:
        return buckets
    return [item for item in buckets if not any(low < item[0] + size_us and item[0] <= high for low, high in spans)]


def _count(tally: Tally, now_us: int, length_s: int) -> Count:
    """Count the newest ``length_s`` seconds: whole hours that are closed, and minutes for what came after."""
    since = now_us - length_s * SECOND_US
    if length_s <= FINE_S:
        chosen = [item for item in tally.minutes if item[0] >= since]
    else:
        closed = max((start for start, _, _ in tally.hours), default=0) + HOUR_US
        chosen = [item for item in tally.hours if item[0] >= since]
        chosen += [item for item in tally.minutes if item[0] >= max(since, closed if tally.hours else 0)]
    return Count(sum(looks for _, looks, _ in chosen), sum(failed for _, _, failed in chosen))
