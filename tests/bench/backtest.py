"""What a backtest costs: ninety days of fifty probes judged twice, outages included, from a database file."""

from __future__ import annotations

import random
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Probe, Route, Service
from monitor.core.model.reasons import Reason
from monitor.core.replay import fold, most_lag_s
from monitor.core.schedule import micros as us
from monitor.core.schedule import slot
from monitor.store import reads
from monitor.store.connection.engine import begin, open_engine, reading
from monitor.store.reads.looks import series_names
from monitor.store.results import raw
from monitor.store.upgrade import migrate

T0 = datetime(2026, 1, 1, tzinfo=UTC)
PROBES, SERVICES, INTERVAL_S = 50, 10, 60
BLIPS = 0.001
"""Share of looks that fail by themselves."""
OUTAGES, OUTAGE_MINUTES = 20, (5, 180)
"""In ninety days, each of a whole service, and how long one lasts."""


def catalogue() -> Catalogue:
    """Return fifty probes of ten services."""
    names = [f"s{i % SERVICES}/c{i}" for i in range(PROBES)]
    return Catalogue(
        tuple(Service(f"s{i}", f"Service {i}") for i in range(SERVICES)),
        tuple(Component(name, name.partition("/")[0], name, ComponentKind.API) for name in names),
        tuple(Probe(f"p{i}", name, "http", INTERVAL_S, 10.0) for i, name in enumerate(names)),
        (Route("oncall", ("pager",)),),
    )


def fill(engine: Engine, days: int) -> int:
    """Write the looks of so many days, one minute at a time; returns how many."""
    flow.publish_catalogue(engine, catalogue(), T0)
    rng, outages = random.Random(1), _outages(days)
    offsets = sorted((round(slot(f"p{i}", INTERVAL_S) * 1e6), i) for i in range(PROBES))
    with reading(engine) as connection:
        ids = {probe: key for key, (probe, _) in series_names(connection).items()}
    rows: list[tuple[int | None, ...]] = []
    number, blank = 0, (None,) * (len(raw.COLUMNS) - 9)
    for minute in range(days * 1440):
        down = {service for service, start, end in outages if start <= minute < end}
        for offset, i in offsets:
            number += 1
            at = us(T0) + minute * 60_000_000 + offset
            failed = i % SERVICES in down or rng.random() < BLIPS
            reason, status = (Reason.SERVER_ERROR.code, 500) if failed else (Reason.OK.code, 200)
            rows.append((number, ids[f"p{i}"], at, 1, at, 400_000, reason, 0, status, *blank))
        if len(rows) >= 100_000 or minute == days * 1440 - 1:
            with begin(engine) as connection:
                raw.append(connection, rows)
            rows = []
    return number


def _outages(days: int) -> list[tuple[int, int, int]]:
    """Return (service, first minute, minute after the last)."""
    rng = random.Random(2)
    found = []
    for _ in range(max(1, OUTAGES * days // 90)):
        start = rng.randrange(60, days * 1440 - 200)
        found.append((rng.randrange(SERVICES), start, start + rng.randint(*OUTAGE_MINUTES)))
    return found


def main(quick: bool) -> None:
    """Print what judging the recorded past once costs a look."""
    days = 3 if quick else 90
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{Path(directory, 'bench.db')}")
        migrate(engine)
        looks = fill(engine, days)
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in reads.past(engine, T0, T0 + timedelta(days=days), most_lag_s(catalogue())):
            pass
        print(f"read          {1e6 * (time.process_time() - cpu) / looks:6.2f} µs CPU a look")
        cpu, wall = time.process_time(), time.perf_counter()
        judge = fold(catalogue(), reads.past(engine, T0, T0 + timedelta(days=days), most_lag_s(catalogue())))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        engine.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"read, judged  {1e6 * cpu / looks:6.2f} µs CPU a look, {looks:,} in {cpu:.1f} s CPU, {wall:.1f} s by the wall"
    )
    print(f"{len(judge.fired)} alerts, {len(judge.store.incidents)} incidents; at most {peak:.0f} MB in this process")
