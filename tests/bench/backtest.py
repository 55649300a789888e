"""What a backtest costs: ninety days of fifty probes judged twice, outages included, from a database file."""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine

from monitor import flow
from monitor.cli.past.passes import Pass, run
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Probe, Route, Service
from monitor.core.model.reasons import Reason
from monitor.core.replay import PastLook, fold, most_lag_s
from monitor.core.review import pages, with_policies
from monitor.core.schedule import micros as us
from monitor.core.schedule import slot
from monitor.store import reads
from monitor.store.connection.engine import begin, open_engine, reading
from monitor.store.reads.looks import series_names
from monitor.store.results import raw
from monitor.store.upgrade import migrate

T = TypeVar("T")
T0 = datetime(2026, 1, 1, tzinfo=UTC)
PROBES, SERVICES, INTERVAL_S = 50, 10, 60
BLIPS = 0.001
"""Share of looks that fail by themselves."""
OUTAGES, OUTAGE_MINUTES = 20, (5, 180)
"""In ninety days, each of a whole service, and how long one lasts."""
MOST_TWICE = 1_000_000
"""With more looks than this one process is not waited for as well."""


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


def sides(days: int) -> tuple[Pass, Pass]:
    """Return the policy in force and one that looks at other moments, for every probe."""
    known = catalogue()
    tried = with_policies(known, {probe.id: Policy(shortest_outage_s=60.0) for probe in known.probes})
    first = Pass(known, T0, T0 + timedelta(days=days))
    return first, replace(first, catalogue=tried, changed=frozenset(probe.id for probe in known.probes))


def main(quick: bool) -> None:
    """Print what a backtest costs: a look, both passes in one process and in two, and the quick way beside the long."""
    days, part = (3, 0.5) if quick else (90, 3)
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory, 'bench.db')}"
        engine = open_engine(url)
        migrate(engine)
        looks = fill(engine, days)
        read_s, _ = _cpu(lambda: sum(1 for _ in _past(engine, days)))
        print(f"read          {1e6 * read_s / looks:6.2f} µs CPU a look")
        long_s, long = _cpu(lambda: fold(catalogue(), _past(engine, part), quick=False))
        quick_s, short = _cpu(lambda: fold(catalogue(), _past(engine, part)))
        assert pages(long) == pages(short)
        print(f"quick / long  {quick_s / long_s:6.2f} of the CPU for {part:g} days, the same pages")
        engine.dispose()
        _both(url, days, looks)


def _both(url: str, days: int, looks: int) -> None:
    """Print what both policies cost, in two processes and, on the same machine at the same time of day, in one."""
    begun, before_s = time.perf_counter(), _children_s()
    found = run(url, sides(days), 2, "")
    apart_s, spent_s = time.perf_counter() - begun, _children_s() - before_s
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"two processes {1e6 * spent_s / looks / 2:6.2f} µs CPU a look and pass, {looks:,} looks twice")
    print(f"              {spent_s:6.1f} s CPU, {apart_s:.1f} s by the wall; at most {peak:.0f} MB in each")
    print(f"              {[len(side.pages) for side in found]} pages, {len(found[1].gaps)} gaps")
    if looks < MOST_TWICE:
        begun = time.perf_counter()
        assert run(url, sides(days), 1, "") == found
        print(f"two / one     {apart_s / (time.perf_counter() - begun):6.2f} of the time by the wall, the same result")


def _past(engine: Engine, days: float) -> Iterator[PastLook]:
    return reads.past(engine, T0, T0 + timedelta(days=days), most_lag_s(catalogue()))


def _cpu(work: Callable[[], T]) -> tuple[float, T]:
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
