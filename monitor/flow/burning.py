"""Error budgets from the roll-ups: alerts when one burns too fast over a long and a short window."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Engine, Table, or_, select

from monitor.core.catalogue import Probe
from monitor.core.conditions import Condition, burn_rate
from monitor.core.events import Alert
from monitor.core.model import Outcome
from monitor.core.rules import Rule
from monitor.core.slo import Count, burning, objective
from monitor.core.told import Told
from monitor.flow.paging import ALERT, Paging
from monitor.flow.working import SERIES, Working
from monitor.store.codec import unpack, us
from monitor.store.engine import begin, reading
from monitor.store.raw import outcome_of
from monitor.store.rolling import HOUR, MINUTE, mark

SECOND_US = 1_000_000
FINE_S = 7_200
"""Windows up to this length are counted in minutes, longer ones in hours."""
LONGEST_S = 259_200
Span = tuple[int, int]
Looks = tuple[int, int, int]
"""Start of the bucket in microseconds, looks, failed."""


def watch_budgets(engine: Engine, now: datetime) -> int:
    """Fire and end the burn-rate alerts of every component; returns how many notices became due."""
    with reading(engine) as connection:
        probes = Working(connection, now).index.probes
        fine = _tally(connection, MINUTE, us(now) - FINE_S * SECOND_US, probes)
        coarse = _tally(connection, HOUR, us(now) - LONGEST_S * SECOND_US, probes)
    with begin(engine) as connection:
        mark(connection, "latency", lock=True)  # one worker at a time, or two would fire the same alert
        work = Working(connection, now)
        paging = Paging(work)
        told = _told(connection, us(now) - LONGEST_S * SECOND_US, us(now))
        conditions: list[Condition] = []
        for component in work.catalogue.components:
            target = objective(work.index.probes_of.get(component.id, ()))
            if target is not None:
                minutes, hours = fine.get(component.id, []), coarse.get(component.id, [])
                if not _count(minutes, hours, us(now), FINE_S).looks:
                    continue  # no looks are no recovery
                spans = told.get(component.id, ())
                counts = partial(_count, _outside(minutes, 60, spans), _outside(hours, 3600, spans), us(now))
                conditions.append(burn_rate(component.id, burning(counts, target), now))
        paging.meet(conditions, now)
        paging.decide()
    return paging.notices


def _told(connection: Connection, since_us: int, now_us: int) -> Mapping[str, list[Span]]:
    """Return component → outages that ended since then, or last, and that somebody was told of."""
    recent = or_(ALERT.c.resolved_us.is_(None), ALERT.c.resolved_us >= since_us)
    query = select(ALERT.c.body, ALERT.c.told).where(ALERT.c.rule == Rule.COMPONENT_DOWN.value, recent)
    found: dict[str, list[Span]] = {}
    for row in connection.execute(query):
        alert, told = unpack(Alert, row.body), unpack(dict[str, Told], row.told)
        if any(heard.triggered_at is not None or heard.grouped_at is not None for heard in told.values()):
            end_us = us(alert.resolved_at) if alert.resolved_at else now_us
            found.setdefault(alert.component, []).append((us(alert.started_at), end_us))
    return found


def _outside(buckets: list[Looks], size_s: int, spans: Sequence[Span]) -> list[Looks]:
    """Leave out the buckets that an outage touches."""
    size_us = size_s * SECOND_US
    return [item for item in buckets if not any(low < item[0] + size_us and item[0] <= high for low, high in spans)]


def _tally(
    connection: Connection, source: Table, since_us: int, probes: Mapping[str, Probe]
) -> Mapping[str, list[Looks]]:
    """Return the looks of every component in the buckets since then."""
    speaking = {
        row.id: probes[row.probe].component
        for row in connection.execute(select(SERIES.c.id, SERIES.c.probe))
        if row.probe in probes and not (probes[row.probe].witness or probes[row.probe].control)
    }
    found: dict[str, list[Looks]] = {}
    query = select(source.c.bucket_us, source.c.series, source.c.counts).where(source.c.bucket_us >= since_us)
    for bucket_us, series, counts in connection.execute(query).all():
        if series in speaking:
            looks, failed = _parse(counts)
            found.setdefault(speaking[series], []).append((bucket_us, looks, failed))
    return found


_PARSED: dict[str, tuple[int, int]] = {}


def _parse(counts: str) -> tuple[int, int]:
    """Return (looks that told something, failed); most buckets read alike, so the answers are kept."""
    if counts not in _PARSED:
        if len(_PARSED) > 10_000:
            _PARSED.clear()
        outcomes = [(outcome_of(int(code)), amount) for code, amount in json.loads(counts).items()]
        looks = sum(amount for outcome, amount in outcomes if outcome.is_evidence)
        _PARSED[counts] = looks, sum(amount for outcome, amount in outcomes if outcome is Outcome.FAILED)
    return _PARSED[counts]


def _count(fine: list[Looks], coarse: list[Looks], now_us: int, length_s: int) -> Count:
    """Count the newest ``length_s`` seconds: whole hours that are closed, and minutes for what came after."""
    since = now_us - length_s * SECOND_US
    if length_s <= FINE_S:
        chosen = [item for item in fine if item[0] >= since]
    else:
        closed = max((start for start, _, _ in coarse), default=0) + 3600 * SECOND_US
        chosen = [item for item in coarse if item[0] >= since]
        chosen += [item for item in fine if item[0] >= max(since, closed if coarse else 0)]
    return Count(sum(looks for _, looks, _ in chosen), sum(failed for _, _, failed in chosen))
