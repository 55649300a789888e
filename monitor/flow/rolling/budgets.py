"""Error budgets from the roll-ups: the counted looks that :mod:`monitor.core.alerts.budgets` judges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, Engine, Table, select

from monitor.core.alerts.budgets import FINE_S, LONGEST_S, SECOND_US, Bucket, Tally
from monitor.core.catalogue import Probe
from monitor.core.evaluation import Evaluation
from monitor.core.model.reasons import Outcome
from monitor.core.schedule import micros as us
from monitor.flow.telling import news_of, tell
from monitor.store.catalogues import load_index
from monitor.store.connection.engine import begin, reading
from monitor.store.results.raw import outcome_of
from monitor.store.results.rolling import HOUR, MINUTE, mark
from monitor.store.transaction.store import SERIES, SqlStore


def watch_budgets(engine: Engine, now: datetime) -> int:
    """Fire and end the burn-rate alerts of every component; returns how many notices became due."""
    with reading(engine) as connection:
        probes = load_index(connection).probes
        fine = _tally(connection, MINUTE, us(now) - FINE_S * SECOND_US, probes)
        coarse = _tally(connection, HOUR, us(now) - LONGEST_S * SECOND_US, probes)
    with begin(engine) as connection:
        mark(connection, "latency", lock=True)  # one worker at a time, or two would fire the same alert
        store = SqlStore(connection, now)
        tallies = {name: Tally(minutes, coarse.get(name, ())) for name, minutes in fine.items()}
        Evaluation(store).on_budgets(tallies, now)
        store.flush()
    tell(news_of(store))
    return store.notices


def _tally(
    connection: Connection, source: Table, since_us: int, probes: Mapping[str, Probe]
) -> Mapping[str, list[Bucket]]:
    """Return the looks of every component in the buckets since then."""
    speaking = {
        row.id: probes[row.probe].component
        for row in connection.execute(select(SERIES.c.id, SERIES.c.probe))
        if row.probe in probes and not (probes[row.probe].witness or probes[row.probe].control)
    }
    found: dict[str, list[Bucket]] = {}
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
