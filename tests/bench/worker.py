"""A real worker over loopback: what a thousand probes cost in memory, CPU, disk and lateness.

Prober and recorder run as people run them (``chatwatch worker``, SQLite); the server that they look at is a third
process. All figures are the kernel's own (``/proc``) over the measured time, after every probe has looked once. The
database has a day of roll-ups, as it would have on the second day, and what was written is folded back from the log
into the file at the end of the measured time and counted: a worker does that only every few minutes, once for many.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, select, update

from monitor import clock
from monitor.core.components import sketch
from monitor.core.model.reasons import Outcome
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.connection.engine import begin, open_engine, reading
from monitor.store.results import raw
from tests.bench.store import written_bytes
from tests.doors.running import ROOT, Worker, worker

PROBES, PER_SERVICE = 1_000, 10
HOURS_SHOWN = 24
RSS_CLAIM_MB, WRITTEN_CLAIM_BYTES, LATE_CLAIM_MS = 200, 500, 5.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main(quick: bool) -> None:
    """Print the tables."""
    home = Path(tempfile.mkdtemp(prefix="chatwatch-bench-"))
    try:
        asyncio.run(measure(home, 20 if quick else 60))
    finally:
        shutil.rmtree(home)


@dataclass(frozen=True)
class Cost:
    """What a process has used so far."""

    cpu_s: float
    written: int
    resident_mb: float
    share_mb: float
    """Proportional set size: libraries that several processes map count once altogether."""


def cost_of(pid: int) -> Cost:
    """Read a process's counters."""
    home = Path(f"/proc/{pid}")
    stat = (home / "stat").read_text().rpartition(")")[2].split()
    io = dict(line.split(": ") for line in (home / "io").read_text().splitlines())
    lines = [line.split() for line in (home / "smaps_rollup").read_text().splitlines()[1:]]
    megabytes = {name: int(kilobytes) * 1024 / 1e6 for name, kilobytes, _ in lines}
    written = int(io["write_bytes"]) - int(io["cancelled_write_bytes"])
    return Cost((int(stat[11]) + int(stat[12])) / TICKS_PER_S, written, megabytes["Rss:"], megabytes["Pss:"])


def configuration() -> str:
    """Return a thousand HTTP probes, half of them every 10 s and half every 20 s, as a template of ``worker``."""
    lines = ["allow_networks: [127.0.0.0/8]", 'listen: {{metrics: "127.0.0.1:{metrics}"}}', "services:"]
    for service in range(PROBES // PER_SERVICE):
        lines += [f"  - id: s{service}", f"    name: Service {service}", "    components:"]
        numbers = range(service * PER_SERVICE, (service + 1) * PER_SERVICE)
        lines += [f"      - {{{{id: c{n}, name: Component {n}, kind: api}}}}" for n in numbers]
        lines.append("    probes:")
        for n in numbers:
            every = "10s" if n % 2 else "20s"
            options = f'options: {{{{url: "{{url}}/{n}"}}}}'
            lines.append(
                f"      - {{{{id: p{n}, component: c{n}, kind: http, interval: {every}, timeout: 5s, {options}}}}}"
            )
    return "\n".join(lines) + "\n"


async def measure(home: Path, run_s: int) -> None:
    """Run the worker for so long and print what it cost."""
    command = [sys.executable, "-m", "tests.bench.worker"]
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(await server.stdout.readline())}"
        async with worker(home, url, probes=configuration()) as running:
            start = clock.now()
            await running.until('chatwatch_results_total{outcome="ok"}', lambda count: (count or 0) >= PROBES, 90)
            a_day_before(home)
            await running.until("chatwatch_blind", lambda _: all_shown(home), 150)  # any sample: the database says it
            await asyncio.sleep(25)  # each probe has looked, and what is made only once is made
            fold_back(home)
            pids, began = running.children(), clock.now()
            before = {name: cost_of(pid) for name, pid in pids.items()}
            load = os.getloadavg()[0]
            scrapes = []
            for _ in range(run_s // 5):
                await asyncio.sleep(5)
                scrapes.append(await scrape(running))
            ended, after = clock.now(), {name: cost_of(pid) for name, pid in pids.items()}
            folded = fold_back(home)
            await running.stop()
            report(home, (start, began, ended), before, after, scrapes, load, folded)
    finally:
        server.terminate()
        await server.wait()


def a_day_before(home: Path) -> None:
    """Give every series the hours of the last day, so that views of latency have the size that they have in use."""
    engine, hour_us = open_engine(f"sqlite:///{home / 'test.db'}"), 3_600_000_000
    blob = sketch.encode(sketch.of(0.0001 + i % 97 / 1e6 for i in range(360)))
    with begin(engine) as connection:
        now_us = us(clock.now())
        this = now_us - now_us % hour_us
        series = connection.scalars(select(tables.table(tables.Series).c.id)).all()
        base = {"counts": '{"0":360}', "response": blob, "ttft": b"", "tokens_out": 0, "cost_micro_usd": 0}
        rows = [
            base | {"bucket_us": this - back * hour_us, "series": one}
            for back in range(1, HOURS_SHOWN)
            for one in series
        ]
        connection.execute(insert(tables.table(tables.RollupHour)), rows)
        connection.execute(update(tables.table(tables.Component)).values(latency=""))
    engine.dispose()


def all_shown(home: Path) -> bool:
    """Say whether every view of latency holds the day before."""
    engine = open_engine(f"sqlite:///{home / 'test.db'}", read_only=True)
    with reading(engine) as connection:
        views = connection.scalars(select(tables.table(tables.Component).c.latency)).all()
    engine.dispose()
    return all(view.count('"at"') >= HOURS_SHOWN - 1 for view in views)


def fold_back(home: Path) -> int:
    """Bring what is in the log into the database file; returns how many bytes that wrote."""
    before = written_bytes()
    connection = sqlite3.connect(home / "test.db", timeout=10)
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    connection.close()
    return written_bytes() - before


async def scrape(running: Worker) -> tuple[float, int]:
    """Return seconds and bytes of one scrape."""
    began_s = clock.monotonic()
    status, text = await running.get("/metrics")
    assert status == 200, running.log
    return clock.monotonic() - began_s, len(text)


def report(
    home: Path,
    times: tuple[datetime, datetime, datetime],
    before: Mapping[str, Cost],
    after: Mapping[str, Cost],
    scrapes: list[tuple[float, int]],
    load: float,
    folded: int,
) -> None:
    """Print what came of it."""
    start, began, ended = times
    late_ms, outcomes, rows = stored(home, began, ended)
    looks, wall_s = len(late_ms), (ended - began) / timedelta(seconds=1)
    title = f"{PROBES:,} HTTP probes every 10 and 20 s, SQLite: {looks:,} looks in {wall_s:.0f} s ({outcomes})"
    table = Table(
        "process", "RSS MB", "its share MB", "CPU ms / look", "CPU of a core", "written B / look", title=title
    )
    resident = share = written = 0.0
    for name, one in after.items():
        cpu_s = one.cpu_s - before[name].cpu_s
        each = (one.written - before[name].written) / looks
        resident, share, written = resident + one.resident_mb, share + one.share_mb, written + each
        memory = (f"{one.resident_mb:.0f}", f"{one.share_mb:.0f}")
        table.add_row(name, *memory, f"{cpu_s / looks * 1e3:.2f}", f"{cpu_s / wall_s:.1%}", f"{each:,.0f}")
    file_bytes = (home / "test.db").stat().st_size
    times_ms = sorted(seconds * 1e3 for seconds, _ in scrapes)
    late_ms.sort()
    p99 = late_ms[int(looks * 0.99)]
    claims = Table("what", "value", "claim", title="The pair as a whole")
    claims.add_row("RSS of both", f"{resident:.0f} MB", claim(resident, RSS_CLAIM_MB, "MB"))
    claims.add_row("the same, shared libraries once", f"{share:.0f} MB", claim(share, RSS_CLAIM_MB, "MB"))
    in_all = written + folded / looks
    both = f"{in_all:,.0f} B / look: {written:,.0f} into the log, {folded / looks:,.0f} folded back"
    claims.add_row("bytes written", both, claim(in_all, WRITTEN_CLAIM_BYTES, "B"))
    late = f"{late_ms[looks // 2]:.1f} / {p99:.1f} / {late_ms[-1]:.1f} ms"
    claims.add_row("starts late, p50 / p99 / max", late, claim(p99, LATE_CLAIM_MS, "ms"))
    whole = f"{file_bytes / rows:.0f} B / result ({file_bytes / 1e6:.1f} MB, {rows:,} results, roll-ups and states)"
    claims.add_row("database file", whole, "")
    size = f"{scrapes[-1][1] / 1e3:.0f} KB"
    claims.add_row("/metrics, median / max", f"{times_ms[len(times_ms) // 2]:.0f} / {times_ms[-1]:.0f} ms, {size}", "")
    claims.add_row("from the start to the measurement", f"{(began - start) / timedelta(seconds=1):.0f} s", "")
    console = Console(width=140)
    console.print(table)
    console.print(claims)
    console.print(f"load of the machine meanwhile: {load:.1f} on {os.cpu_count()} cores, server and scraper included")


def claim(value: float, limit: float, unit: str) -> str:
    """Say whether a claim holds."""
    return f"≤ {limit:g} {unit}: {'holds' if value <= limit else 'FAILS'}"


def stored(home: Path, began: datetime, ended: datetime) -> tuple[list[float], str, int]:
    """Return how late each stored look of the measured time started (ms), their outcomes in words, and all rows."""
    engine = open_engine(f"sqlite:///{home / 'test.db'}", read_only=True)
    columns = raw.RESULT.c
    with reading(engine) as connection:
        found = connection.execute(select(columns.tick_us, columns.at_us, columns.attempt, columns.reason)).all()
    engine.dispose()
    inside = [row for row in found if us(began) <= row.at_us < us(ended) and row.attempt == 1]
    seen = [raw.outcome_of(row.reason) for row in inside]
    words = ", ".join(f"{seen.count(outcome):,} {outcome}" for outcome in Outcome if outcome in seen)
    looked = [row for row, outcome in zip(inside, seen, strict=True) if outcome is not Outcome.MISSED]
    return [(row.at_us - row.tick_us) / 1e3 for row in looked], words, len(found)


class Server(asyncio.Protocol):
    """Answers every request with a small page and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 500\r\n\r\n"
            self._transport.write(head + b"x" * 500)
            self._transport.close()


async def serve() -> None:
    """Be the server: print the port, serve until ended."""
    listener = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=2048)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
