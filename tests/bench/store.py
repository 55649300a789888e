"""What memory costs: results per second with judgement, bytes written per check, and the page over 90 days.

Everything on one SQLite file in a temporary directory, in one process; CPU and bytes are this process's own.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, insert, text

from monitor import flow
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Probe, Route, Service
from monitor.core.components import sketch
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.schedule import micros as us
from monitor.core.schedule import slot
from monitor.store import reads, tables
from monitor.store.codec import DAY
from monitor.store.connection.engine import begin, open_engine
from monitor.store.results.rolling import set_mark
from monitor.store.tables import table
from monitor.store.upgrade import migrate

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90


def catalogue(probes: int, interval_s: int = 60) -> Catalogue:
    """Return so many chat probes, one component each, ten components a service."""
    services = tuple(Service(f"s{i}", f"Service {i}") for i in range((probes + 9) // 10))
    names = [f"s{i // 10}/c{i}" for i in range(probes)]
    components = tuple(Component(name, name.split("/")[0], name, ComponentKind.API) for name in names)
    made = tuple(Probe(f"p{i}", names[i], "chat", interval_s, 10.0) for i in range(probes))
    return Catalogue(services, components, made, (Route("oncall", ("pager",)),))


def looks(probes: int, ticks: int, interval_s: int = 60, failing: int = 0) -> Iterator[Result]:
    """Yield good looks of all probes, tick by tick; the first ``failing`` probes fail in the second half."""
    phases = Phases(0.01, 0.02, 0.03, 0.0001, 0.35, 0.8, 0.011, 0.0003, 0.001, True)
    chat = ChatTimes(0.4, 0.41, None, 1.1, 0.05, 0.02, 0.02, 44.0, 32, 12, None, 0, 30, "stop", "model", "fp")
    good = Observation(Reason.OK, "", 200, "1.1", "192.0.2.1", 2048, phases, chat)
    bad = Observation(Reason.SERVER_ERROR, "HTTP 500", 500, "1.1", "192.0.2.1", 100, phases)
    for number in range(ticks):
        at, tick = T0 + timedelta(seconds=number * interval_s), []
        for i in range(probes):
            seen = bad if i < failing and number * 2 >= ticks else good
            started = at + timedelta(seconds=slot(f"p{i}", interval_s))
            tick.append(Result(RunId(f"p{i}", "local", started), started, 0.5, seen))
        yield from sorted(tick, key=lambda result: result.started_at)


def fresh(directory: str, probes: int, interval_s: int = 60) -> Engine:
    """Return an engine over an empty database that watches so many probes."""
    engine = open_engine(f"sqlite:///{directory}/bench.db")
    migrate(engine)
    flow.publish_catalogue(engine, catalogue(probes, interval_s), T0)
    return engine


def written_bytes() -> int:
    """Return how many bytes this process has caused to be written to the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def recording(probes: int, batch: int, total: int, failing: int = 0) -> str:
    """Record ``total`` results in batches and say what one cost."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        engine = fresh(directory, probes)
        whole = list(looks(probes, total // probes + 1, failing=failing))
        flow.record(engine, whole[:probes], whole[probes - 1].started_at)  # the first look at everything is not typical
        stream = whole[probes:]
        bytes_before, cpu, wall = written_bytes(), time.process_time(), time.perf_counter()
        for start in range(0, len(stream), batch):
            part = stream[start : start + batch]
            flow.record(engine, part, part[-1].started_at + timedelta(seconds=1))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        engine.dispose()  # folds the log back, which is written as well
        each = (written_bytes() - bytes_before) / len(stream)
        size = Path(directory, "bench.db").stat().st_size / len(stream)
    what = f"{probes} probes, batches of {batch}" + (f", {failing} failing" if failing else "")
    return (
        f"| record: {what} | {len(stream) / wall:,.0f} results/s | {cpu / len(stream) * 1e6:.0f} µs CPU | "
        f"{each:.0f} B written, {size:.0f} B kept a result |"
    )


def seed(engine: Engine, probes: int, results: int) -> None:
    """Give the database 90 days of closed days, day and hour buckets, and as many raw results as asked for."""
    day, bars, hour = table(tables.RollupDay), table(tables.ComponentDay), table(tables.RollupHour)
    blob = sketch.encode(sketch.of(0.2 + i % 97 / 100 for i in range(2880)))
    start = us(T0)
    with begin(engine) as connection:
        counts = json.dumps({"0": 2870, "24": 10})
        base = {"counts": counts, "response": blob, "ttft": blob, "tokens_out": 0, "cost_micro_usd": 0}
        keys = [(start + d * DAY, s) for d in range(DAYS) for s in range(1, probes + 1)]
        connection.execute(insert(day), [base | {"bucket_us": at, "series": s} for at, s in keys])
        last = start + (DAYS - 1) * DAY
        small = base | {"counts": json.dumps({"0": 120})}
        hours = [(last + h * 3_600_000_000, s) for h in range(24) for s in range(1, probes + 1)]
        connection.execute(insert(hour), [small | {"bucket_us": at, "series": s} for at, s in hours])
        names = [component.id for component in catalogue(probes).components]
        rows = [
            {"component": name, "day_us": start + d * DAY, "operational_us": DAY - 600_000_000, "degraded_us": 0}
            | {"partial_us": 0, "major_us": 600_000_000, "maintenance_us": 0, "unknown_us": 0}
            for name in names
            for d in range(DAYS - 1)
        ]
        connection.execute(insert(bars), rows)
        connection.execute(text("UPDATE component SET days_revision = abs(random()) | 1"))
    template = "INSERT INTO result (series, tick_us, attempt, at_us, duration_us, reason, flags, wait_us, ttft_us) "
    step = DAYS * DAY // max(1, results // probes)
    source = (
        "WITH RECURSIVE n(i) AS (SELECT :low UNION ALL SELECT i + 1 FROM n WHERE i < :high) "
        "SELECT i % :probes + 1, :start + i / :probes * :step, 1, :start + i / :probes * :step, 500000, 0, 6, "
        "200000 + i % 1000, 300000 + i % 999 FROM n"
    )
    for low in range(0, results, 1_000_000):
        values = {"low": low, "high": min(low + 1_000_000, results) - 1, "probes": probes, "start": start, "step": step}
        with begin(engine) as connection:
            connection.execute(text(template + source), values)


def page(probes: int, results: int) -> str:
    """Time a whole public snapshot with 90 days of bars, uptime and latency."""
    now = T0 + timedelta(days=DAYS - 1, hours=23)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        engine = fresh(directory, probes)
        seed(engine, probes, results)
        last = [
            Result(RunId(f"p{i}", "local", now), now, 0.5, Observation(Reason.OK, phases=Phases(wait_s=0.2)))
            for i in range(probes)
        ]
        flow.record(engine, last, now)
        with begin(engine) as connection:
            newest = connection.scalar(text("SELECT max(id) FROM result"))
            set_mark(connection, "minute", newest)
            set_mark(connection, "hour", us(now))
        flow.roll_up(engine, now)
        flow.check_in(engine, "w", "local", now)
        times = []
        for _ in range(9):
            begun = time.process_time()
            shot = reads.snapshot(engine, now, public=True)
            times.append(time.process_time() - begun)
        assert sum(len(view.days) for service in shot.services for view in service.components) == probes * DAYS
        size = Path(directory, "bench.db").stat().st_size / 1e9
        engine.dispose()
    median = sorted(times)[len(times) // 2]
    return (
        f"| page: {probes} probes × {DAYS} days over {results / 1e6:.0f} M results ({size:.1f} GB) | "
        f"{median * 1e3:.0f} ms warm (median of 9) | first {times[0] * 1e3:.0f} ms | |"
    )


def main(quick: bool) -> None:
    """Print the table; ``quick`` uses fewer results."""
    total = 20_000 if quick else 100_000
    print("| what | rate or time | CPU | size |\n|---|---|---|---|")
    print(recording(1000, 1000, total))
    print(recording(1000, 250, total))
    print(recording(200, 200, total))
    print(recording(1000, 25, total // 4))
    print(recording(1000, 1000, total, failing=50))
    print(page(200, 1_000_000 if quick else 50_000_000))


if __name__ == "__main__":
    main(quick=True)
