"""How late looks start, and what starting them costs: our scheduling beside APScheduler's own and a bare heap.

Every engine makes the same look (nothing but the frame that each look of ours has) on one pinned core, in a process of
its own. ``spread`` lays the starts evenly over the interval, ``burst`` lays all of them on one moment. Late is start
minus due; a timer of the event loop is itself rounded to a millisecond.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from rich.console import Console
from rich.table import Table

from monitor import clock
from monitor.config.load import Config
from monitor.config.settled import Settings
from monitor.core.model.observations import Observation, Result
from monitor.core.model.reasons import Reason
from monitor.prober.prober import Prober
from monitor.probes import KINDS
from monitor.probes.base import Context, Kind, Options, look
from monitor.wire import Wire
from tests.bench.store import catalogue

ROOT = Path(__file__).parents[2]
INTERVAL_S = 10
CLAIM_MS = 5.0
WARM_S = 3.0
ENGINES = {
    "prober": "ours: grid, APScheduler, dispatch",
    "interval": "APScheduler interval jobs, its defaults",
    "jitter": "the same with jitter 1 s",
    "heap": "one heap and call_at",
}


class Nothing(Options):
    """Options of a look that does nothing."""


async def nothing(_options: Nothing, _context: Context) -> Observation:
    """Look at nothing."""
    return Observation(Reason.OK)


KIND = Kind("nothing", Nothing, nothing)


def main(quick: bool) -> None:
    """Print the table."""
    sizes = [(10_000, "spread"), (10_000, "burst")] if quick else []
    sizes = sizes or [(n, phases) for n in (1_000, 10_000) for phases in ("spread", "burst")]
    title = f"Starts of probes every {INTERVAL_S} s: late in ms as p50 / p99 / max, CPU of a core, × the bare heap"
    table = Table("engine", "probes", "phases", "late", "p99 ×", "starts", "CPU", "CPU ×", "claim", title=title)
    for probes, phases in sizes:
        told = {engine: measure(engine, probes, phases, 1 if quick else 2) for engine in ENGINES}
        for engine, name in ENGINES.items():
            one, late = told[engine], told[engine]["late_ms"]
            p99 = late[int(len(late) * 0.99)]
            verdict = ""
            if engine == "prober" and phases == "spread":
                verdict = f"p99 < {CLAIM_MS:g} ms: {'holds' if p99 < CLAIM_MS else 'FAILS'}"
            shape = f"{late[len(late) // 2]:.1f} / {p99:.1f} / {late[-1]:.1f}"
            starts = f"{len(late):,} of {one['due']:,}"
            heap = told["heap"]
            slower = p99 / heap["late_ms"][int(len(heap["late_ms"]) * 0.99)]
            cost = (f"{one['cpu']:.1%}", f"{one['cpu'] / heap['cpu']:.1f}")
            table.add_row(name, f"{probes:,}", phases, shape, f"{slower:.1f}", starts, *cost, verdict)
    console = Console(width=140)
    console.print(table)
    console.print(f"load of the machine while it ran: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def measure(engine: str, probes: int, phases: str, intervals: int) -> dict[str, Any]:
    """Run one engine in a process of its own, pinned."""
    job = json.dumps({"engine": engine, "probes": probes, "phases": phases, "intervals": intervals})
    command = ["taskset", "-c", "0", sys.executable, "-m", "tests.bench.schedule", job]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout))


class Tally:
    """Starts that are due within the measured time."""

    def __init__(self, engine: str, probes: int, phases: str, intervals: int) -> None:
        self.engine, self.probes, self.burst = engine, probes, phases == "burst"
        self.run_s = intervals * INTERVAL_S
        self.late_ms: list[float] = []
        self.wire = Wire()
        # Phases are laid from the start of the measured time, which is far enough off for everything to be set up.
        now = clock.now().timestamp()
        self.begin = datetime.fromtimestamp((now + WARM_S) // INTERVAL_S * INTERVAL_S + INTERVAL_S, UTC)
        self.end = self.begin + timedelta(seconds=self.run_s)

    def phase(self, number: int) -> timedelta:
        """Return where in the interval a probe's starts lie; the burst lies in the middle."""
        share = 0.5 if self.burst else number / self.probes
        return timedelta(seconds=INTERVAL_S * share)

    def started(self, due: datetime, at: datetime) -> None:
        """Count one start."""
        if self.begin <= due < self.end:
            self.late_ms.append((at - due) / timedelta(milliseconds=1))

    async def look(self, due: datetime) -> None:
        """Make the look that everybody makes."""
        at, rng = clock.now(), random.SystemRandom()
        await look(KIND, Nothing(), Context(self.wire, "local", 5.0, 1, at, rng, {}))
        self.started(due, at)


async def run_prober(tally: Tally) -> None:
    """Run the prober as it is; only the kind of look is our own."""
    KINDS.add(KIND)
    world = catalogue(tally.probes, INTERVAL_S)
    world = replace(world, probes=tuple(replace(probe, kind="nothing") for probe in world.probes))
    looks = {probe.id: Nothing() for probe in world.probes}

    def take(result: Result) -> None:
        tally.started(result.run.tick, result.started_at)

    prober = Prober(Config(world, looks, {}, Settings()), take)
    prober.start()
    if tally.burst:
        for watched in prober._watched.values():
            watched.grid._slot_s = INTERVAL_S / 2
        prober.rearm(0.0)
    gc.collect()
    gc.freeze()
    gc.disable()
    await until(tally)
    await prober.stop()


async def run_interval(tally: Tally, jitter_s: int | None = None) -> None:
    """Run plain interval jobs; each knows its due time by counting, as the job is not told."""
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.start()

    async def fire(first: datetime) -> None:
        now = clock.now()
        await tally.look(first + (now - first) // timedelta(seconds=INTERVAL_S) * timedelta(seconds=INTERVAL_S))

    for number in range(tally.probes):
        first = tally.begin + tally.phase(number)
        scheduler.add_job(
            fire, "interval", seconds=INTERVAL_S, start_date=first, jitter=jitter_s, args=(first,), id=f"p{number}"
        )
    await until(tally)
    scheduler.shutdown(wait=False)


async def run_heap(tally: Tally) -> None:
    """Run one heap of due times and one timer."""
    loop = asyncio.get_running_loop()
    wall = clock.now().timestamp() - loop.time()
    heap = [((tally.begin + tally.phase(number)).timestamp(), number) for number in range(tally.probes)]
    heapq.heapify(heap)
    under_way: set[asyncio.Task[None]] = set()

    def fire() -> None:
        while heap[0][0] <= loop.time() + wall:
            due_s, number = heap[0]
            heapq.heapreplace(heap, (due_s + INTERVAL_S, number))
            task = loop.create_task(tally.look(datetime.fromtimestamp(due_s, UTC)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        loop.call_at(max(heap[0][0] - wall, loop.time() + 0.001), fire)  # a timer may come a little early

    fire()
    await until(tally)


async def until(tally: Tally) -> None:
    """Wait for the measured time, then print what came of it."""
    await asyncio.sleep((tally.begin - clock.now()).total_seconds() - 0.2)
    cpu_s, wall_s = time.process_time(), clock.monotonic()
    await asyncio.sleep(tally.run_s + 0.6)
    cpu = (time.process_time() - cpu_s) / (clock.monotonic() - wall_s)
    due = tally.probes * tally.run_s // INTERVAL_S
    print(json.dumps({"late_ms": sorted(tally.late_ms), "cpu": cpu, "due": due}))


def child(job: dict[str, Any]) -> None:
    """Be one engine."""
    logging.basicConfig(level=logging.WARNING)
    tally = Tally(**job)
    engines: dict[str, Callable[[], Any]] = {
        "prober": lambda: run_prober(tally),
        "interval": lambda: run_interval(tally),
        "jitter": lambda: run_interval(tally, 1),
        "heap": lambda: run_heap(tally),
    }
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(engines[tally.engine]())


if __name__ == "__main__":
    child(json.loads(sys.argv[1]))
