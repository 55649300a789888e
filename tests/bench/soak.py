"""Seventy-two hours in minutes: two million looks through the real flow into an SQLite file, with simulated ``now``.

Ticks come from the prober's own trigger, which is called late as a busy loop would call it. Outages, single blips,
looks that tell nothing and looks that were not made are strewn in; roll-ups, pruning, signs of life and the public
page go on beside. What should stay flat is sampled every simulated hour.
"""

from __future__ import annotations

import gc
import heapq
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Catalogue
from monitor.core.checks import pace
from monitor.core.checks.pace import Pace
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.prober.grid import Grid
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.bench.store import T0, catalogue

INTERVAL_S = 60
HOURS = 72
KEPT = timedelta(hours=6)
"""Raw results and evidence are kept so long here; a soak that never prunes would prove nothing about it."""
KEPT_MINUTES = timedelta(hours=3)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PHASES = Phases(0.01, 0.02, 0.03, 0.0001, 0.35, 0.8, 0.011, 0.0003, 0.001, True)
CHAT = ChatTimes(0.4, 0.41, None, 1.1, 0.05, 0.02, 0.02, 44.0, 32, 12, None, 0, 30, "stop", "model", "fp")
GOOD = Observation(Reason.OK, "", 200, "1.1", "192.0.2.1", 2048, PHASES, CHAT)
BAD = Observation(Reason.SERVER_ERROR, "HTTP 500", 500, "1.1", "192.0.2.1", 100, PHASES)
NOTHING = Observation(Reason.RATE_LIMIT, "our own limit", 429)
NOT_MADE = Observation(Reason.OVERRUN, "the look before still ran")


@dataclass(frozen=True)
class Sample:
    """One simulated hour's end."""

    resident_mb: float
    descriptors: int
    log_mb: float
    """Size of the write-ahead log."""
    file_mb: float
    free_mb: float
    """Pages of the file that hold nothing."""
    objects: int
    """Python objects that the collector knows."""


@dataclass
class Soak:
    """What came of it."""

    looks: int = 0
    wall_s: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    outages: set[tuple[str, datetime]] = field(default_factory=set)
    """(service, minute of the first failed look) of the outages that were played."""
    incidents: set[tuple[str, datetime]] = field(default_factory=set)
    """The same of the incidents that the database holds."""
    unresolved: int = 0
    drift_s: float = 0.0
    """Largest distance between the number of ticks that a probe had and the time that went by."""
    rows: dict[str, int] = field(default_factory=dict)

    def grown(self, what: str, begin: float = 0.5) -> float:
        """Return by how much something grew from the quarter after ``begin`` to the last quarter (medians)."""
        values = [float(getattr(sample, what)) for sample in self.samples]
        quarter, start = max(1, len(values) // 4), int(len(values) * begin)
        return statistics.median(values[-quarter:]) - statistics.median(values[start : start + quarter])


class World:
    """The looks of everybody, in the order of time."""

    def __init__(self, world: Catalogue, hours: int, interval_s: int, seed: int = 1) -> None:
        self.interval_s = interval_s
        self.probes = {probe.id: probe for probe in world.probes}
        self.grids = {name: Grid(probe) for name, probe in self.probes.items()}
        self.rng = random.Random(seed)
        self.end = T0 + timedelta(hours=hours)
        self.ticks = dict.fromkeys(self.probes, 0)
        self.newest: dict[str, datetime] = {}
        self.blips: dict[str, datetime] = {}
        self.paces: dict[str, Pace] = {}
        self.outages = self._outages(hours)

    def _outages(self, hours: int) -> dict[str, list[tuple[datetime, datetime]]]:
        """Every six hours one service is down for twenty minutes, by its first probe."""
        first = [name for number, name in enumerate(self.probes) if number % 10 == 0]
        found: dict[str, list[tuple[datetime, datetime]]] = {}
        for number in range(hours // 6):
            start = T0 + (6 * number + 3) * HOUR
            found.setdefault(first[number % len(first)], []).append((start, start + 20 * MINUTE))
        return found

    def looks(self) -> Iterator[list[Result]]:
        """Yield the looks of each probe at each tick, second looks included."""
        due = [(grid.get_next_fire_time(None, T0), name) for name, grid in self.grids.items()]
        heapq.heapify(due)
        while due[0][0] < self.end:
            tick, name = due[0]
            late = timedelta(seconds=self.rng.expovariate(50))
            following = self.grids[name].get_next_fire_time(tick, tick + late)
            heapq.heapreplace(due, (following, name))
            self.ticks[name], self.newest[name] = self.ticks[name] + 1, tick
            yield list(self._at(name, tick, tick + late))

    def _at(self, name: str, tick: datetime, at: datetime) -> Iterator[Result]:
        down = any(start <= tick < end for start, end in self.outages.get(name, ()))
        luck = self.rng.random()
        seen = GOOD if luck > 0.01 else NOTHING if luck > 0.005 else NOT_MADE if luck > 0.002 else BAD
        if seen is BAD:  # two blips close together would be evidence
            seen = BAD if at - self.blips.get(name, T0) > 2 * HOUR else GOOD
            self.blips[name] = at
        first = Result(RunId(name, "local", tick), at, 0.4, BAD if down else seen)
        yield first
        known, look = self.paces.get(name, pace.START), first
        while True:
            elapsed_s = (look.started_at - tick).total_seconds() + look.duration_s
            known, pause_s = pace.after(known, self.probes[name], look, elapsed_s)
            if pause_s is None:
                break
            again = look.started_at + timedelta(seconds=look.duration_s + pause_s)
            run = RunId(name, "local", tick, look.run.attempt + 1)
            look = Result(run, again, 0.4, BAD if down else GOOD)
            yield look
        self.paces[name] = known


def play(folder: Path, probes: int, hours: int = HOURS, interval_s: int = INTERVAL_S) -> Soak:
    """Let so many hours pass for so many probes, and sample."""
    engine = open_engine(f"sqlite:///{folder / 'soak.db'}")
    migrate(engine)
    known, soak = catalogue(probes, interval_s), Soak()
    flow.publish_catalogue(engine, known, T0)
    world, batch, minute, began = World(known, hours, interval_s), list[Result](), 0, time.perf_counter()
    for looks in world.looks():
        while looks[0].run.tick >= T0 + (minute + 1) * MINUTE:
            minute += 1
            flow.record(engine, batch, T0 + minute * MINUTE)
            soak.looks += len(batch)
            batch = []
            keep_house(engine, minute)
            if minute % 60 == 0:
                soak.samples.append(sample(engine, folder / "soak.db"))
        batch += looks
    soak.looks += len(batch)
    flow.record(engine, batch, world.end)
    flow.sweep(engine, world.end)
    soak.wall_s = time.perf_counter() - began
    conclude(engine, world, soak)
    engine.dispose()
    soak.rows = rows_of(folder / "soak.db")
    return soak


def keep_house(engine: Engine, minute: int) -> None:
    """Do what the recorder does beside recording; a sweep is made every five minutes instead of every five seconds."""
    now = T0 + minute * MINUTE
    flow.check_in(engine, "w", "local", now)
    if minute % 5 == 0:
        flow.sweep(engine, now)
    if minute % 15 == 0:
        flow.roll_up(engine, now)
    if minute % 60 == 0:
        flow.prune(engine, now, results=KEPT, minutes=KEPT_MINUTES, evidence=KEPT)
        reads.snapshot(engine, now, public=True)


def sample(engine: Engine, file: Path) -> Sample:
    """Measure what should stay flat."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    log = file.with_name(file.name + "-wal")
    with engine.connect() as connection:
        free = connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0
    sizes = (log.stat().st_size if log.exists() else 0, file.stat().st_size, free * 4096)
    descriptors = len(list(Path("/proc/self/fd").iterdir())) - 1
    log_mb, file_mb, free_mb = (size / 1e6 for size in sizes)
    return Sample(resident / 1e6, descriptors, log_mb, file_mb, free_mb, len(gc.get_objects()))


def conclude(engine: Engine, world: World, soak: Soak) -> None:
    """Compare the incidents with the outages, and the ticks with the time."""
    for name, spans in world.outages.items():
        for start, _ in spans:
            first = world.grids[name].get_next_fire_time(None, start - timedelta(microseconds=1))
            soak.outages.add((world.probes[name].component.partition("/")[0], first.replace(second=0, microsecond=0)))
    for view in reads.incidents(engine, public=False, limit=1000):
        soak.incidents.add((view.service, view.started_at.replace(second=0, microsecond=0)))
        soak.unresolved += view.resolved_at is None
    for name, count in world.ticks.items():
        begin = world.grids[name].get_next_fire_time(None, T0)
        told = begin + (count - 1) * timedelta(seconds=world.interval_s)
        soak.drift_s = max(soak.drift_s, abs((world.newest[name] - told).total_seconds()))


def rows_of(file: Path) -> dict[str, int]:
    """Count the rows of every table that has any."""
    with sqlite3.connect(file) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in names}
    connection.close()
    return {name: count for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count}


def main(quick: bool) -> None:
    """Print the table."""
    probes, interval_s = (12, INTERVAL_S) if quick else (240, INTERVAL_S // 2)
    with tempfile.TemporaryDirectory() as folder:
        soak = play(Path(folder), probes, interval_s=interval_s)
    title = f"{HOURS} h of {probes} probes every {interval_s} s: {soak.looks:,} looks in {soak.wall_s:.0f} s"
    table = Table("what", "after 12 h", "36 h", "72 h", "most", "second half, change", title=title)
    shown = {
        "resident_mb": "RSS MB",
        "objects": "Python objects",
        "descriptors": "file descriptors",
        "log_mb": "write-ahead log MB",
        "file_mb": "database MB",
        "free_mb": "of it free MB",
    }
    for name, words in shown.items():
        values = [getattr(one, name) for one in soak.samples]
        cells = (values[11], values[35], values[-1], max(values), soak.grown(name))
        table.add_row(words, *(f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for value in cells))
    console = Console(width=140)
    console.print(table)
    matching = "the same" if soak.incidents == soak.outages else "NOT the same"
    console.print(f"outages {len(soak.outages)}, incidents {len(soak.incidents)}: {matching}; open {soak.unresolved}")
    console.print(f"drift of the grid: {soak.drift_s:g} s")
    console.print("rows: " + ", ".join(f"{name} {count:,}" for name, count in soak.rows.items()))
