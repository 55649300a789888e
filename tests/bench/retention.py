"""Letting go of ten million old results while new ones are recorded: how long a step holds the database, and who waits.

The old results are built by one INSERT … SELECT (not looked at, and not timed); taking them out is the real verb, with
the rests that the recorder makes. Beside it two hundred probes are recorded four times a second, as a thousand would
be that look every five seconds. On PostgreSQL a day is a partition, and is dropped.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from monitor import flow
from monitor.core.model.observations import Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.schedule import micros as us
from monitor.recorder.recorder import REST_S
from monitor.store.codec import DAY
from monitor.store.connection.engine import begin, open_engine
from monitor.store.results.partitions import ensure_partitions
from monitor.store.results.rolling import set_mark
from monitor.store.upgrade import migrate
from tests.bench.store import T0, catalogue, fresh, seed
from tests.edges.databases import private_server

PROBES, EVERY_S = 200, 0.25
NOW = T0 + timedelta(days=200)
SEEN = Observation(Reason.OK, "", 200, "1.1", "192.0.2.1", 2048, Phases(wait_s=0.2))


class Recording(threading.Thread):
    """Records a batch each quarter of a second and keeps how long each took."""

    def __init__(self, engine: Engine, since: datetime) -> None:
        super().__init__()
        self.engine, self.at, self.took_s, self.over = engine, since, list[float](), threading.Event()

    def run(self) -> None:
        """Go on until told that it is over."""
        while not self.over.wait(EVERY_S):
            self.at += timedelta(seconds=1)
            looks = [Result(RunId(f"p{i}", "local", self.at), self.at, 0.2, SEEN) for i in range(PROBES)]
            begun_s = time.perf_counter()
            flow.record(self.engine, looks, self.at + timedelta(seconds=1))
            self.took_s.append(time.perf_counter() - begun_s)


@contextmanager
def recording(engine: Engine, since: datetime) -> Iterator[Recording]:
    """Record beside what is done."""
    thread = Recording(engine, since)
    thread.start()
    try:
        yield thread
    finally:
        thread.over.set()
        thread.join()


def row(
    what: str, gone: int, took_s: float, steps_s: list[float], alone: list[float], beside: list[float]
) -> list[str]:
    """Return a line of the table."""
    steps_s.sort()
    longest = f"{steps_s[len(steps_s) // 2] * 1e3:.0f} / {steps_s[-1] * 1e3:.0f}" if steps_s else "-"
    waits = [
        f"{sorted(times)[len(times) // 2] * 1e3:.0f} / {max(times) * 1e3:.0f}" if times else "-"
        for times in (alone, beside)
    ]
    return [what, f"{gone:,}", f"{took_s:.1f}", f"{gone / took_s:,.0f}", longest, *waits]


def timed(engine: Engine, what: str) -> list[str]:
    """Prune everything old, with a recorder beside; first the recorder alone."""
    with recording(engine, NOW) as alone:
        time.sleep(5)
    steps_s: list[float] = []
    pause = threading.Event()
    with recording(engine, alone.at) as beside:
        begun_s = last_s = time.perf_counter()

        def rest() -> None:
            nonlocal last_s
            steps_s.append(time.perf_counter() - last_s)
            pause.wait(REST_S)
            last_s = time.perf_counter()

        gone = flow.prune(engine, NOW, rest=rest)
        took_s = time.perf_counter() - begun_s
    return row(what, gone, took_s, steps_s, alone.took_s, beside.took_s)


def sqlite(results: int) -> list[str]:
    """Build and prune an SQLite file."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        engine = fresh(directory, PROBES)
        seed(engine, PROBES, results)
        with begin(engine) as connection:
            set_mark(connection, "minute", connection.scalar(text("SELECT max(id) FROM result")) or 0)
            connection.execute(text("DELETE FROM rollup_hour"))
        found = timed(engine, "SQLite, steps of 5,000 rows")
        engine.dispose()
    return found


def postgresql(results: int, days: int = 4) -> list[str]:
    """Build and drop days of a private PostgreSQL."""
    with private_server() as server:
        engine = open_engine(server.create())
        migrate(engine)
        flow.publish_catalogue(engine, catalogue(PROBES), NOW)
        start = us(T0) - us(T0) % DAY
        with begin(engine) as connection:
            ensure_partitions(connection, [start + day * DAY for day in range(days)])
        statement = text(
            "INSERT INTO result (id, series, tick_us, attempt, at_us, duration_us, reason, flags, wait_us) SELECT "
            "nextval('result_id_seq'), i % :probes + 1, :at + i / :probes, 1, :at + i / :probes, 500000, 0, 2, 200000 "
            "FROM generate_series(1, :many) AS i"
        )
        for day in range(days):
            with begin(engine) as connection:
                values = {"probes": PROBES, "at": start + day * DAY, "many": results // days}
                connection.execute(statement, values)
        with begin(engine) as connection:
            set_mark(connection, "minute", connection.scalar(text("SELECT max(id) FROM result")) or 0)
        found = timed(engine, f"PostgreSQL, {days} days dropped")
        engine.dispose()
    return found


def main(quick: bool) -> None:
    """Print the table."""
    results = 300_000 if quick else 10_000_000
    heads = ("pruned beside a recorder", "results", "s", "results/s", "step ms, median / longest")
    table = Table(*heads, "a batch of 200 alone, ms", "beside it, ms, median / longest")
    table.add_row(*sqlite(results))
    table.add_row(*postgresql(results))
    Console(width=150).print(table)
