"""What nobody looked at while the worker was down, from the watermarks in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Engine, select

from monitor.core.catalogue import Catalogue, Probe
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.schedule import count_between, slot, ticks_between
from monitor.core.schedule import from_micros as when
from monitor.store import tables
from monitor.store.connection.engine import reading
from monitor.store.tables import table

MOST_TICKS = 500
"""Missed ticks written out for one probe; of a longer absence the newest."""
MOST_RESULTS = 50_000


def newest_ticks(engine: Engine, location: str) -> dict[str, datetime]:
    """Return the newest tick that was recorded of each probe at a location."""
    series = table(tables.Series)
    with reading(engine) as connection:
        rows = connection.execute(
            select(series.c.probe, series.c.tick_us).where(series.c.location == location, series.c.tick_us > 0)
        )
        return {probe: when(tick_us) for probe, tick_us in rows}


def missed_since(
    engine: Engine, catalogue: Catalogue, location: str, until: datetime | Mapping[str, datetime]
) -> list[Result]:
    """Return MISSED results for the ticks between each probe's newest look and ``until``, oldest first.

    A mapping says it for some probes only.
    """
    newest = newest_ticks(engine, location)
    ends = until if isinstance(until, Mapping) else dict.fromkeys(newest, until)
    found: list[Result] = []
    for probe in catalogue.probes:
        if probe.id in newest and probe.id in ends and not probe.disabled and location in probe.locations:
            found += _missed(probe, location, newest[probe.id], ends[probe.id])
    return sorted(found, key=lambda result: result.run.tick)[-MOST_RESULTS:]


def _missed(probe: Probe, location: str, after: datetime, until: datetime) -> list[Result]:
    offset_s = slot(probe.id, probe.interval_s)
    extra = count_between(probe.interval_s, offset_s, after, until) - MOST_TICKS
    start = after + timedelta(seconds=max(0, extra) * probe.interval_s)
    seen = Observation(Reason.NOT_RUNNING, coded(MessageCode.WORKER_NOT_RUNNING))
    ticks = ticks_between(probe.interval_s, offset_s, start, until)
    return [Result(RunId(probe.id, location, tick), tick, 0.0, seen) for tick in ticks]
