"""The recorder: takes results from the prober, stores and judges them, and does everything that time asks for."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine

from monitor import clock, flow
from monitor.config import Config, ConfigError, load
from monitor.core.codec import CodecError, loads_result
from monitor.core.model import Result
from monitor.delivery import LEASE_EVERY_S, Dispatcher
from monitor.flow.notices import outbox_counts
from monitor.gaps import missed_since
from monitor.link import Frame, open_link, pack, receive, watch_parent
from monitor.metrics import Counters, Seen, registry_for
from monitor.programs import split
from monitor.scrape import application, serve
from monitor.store import reads
from monitor.store.engine import AWAY, migrate, open_engine

log = logging.getLogger("chatwatch.recorder")

T = TypeVar("T")

SWEEP_EVERY_S = 5.0
CHECK_IN_EVERY_S = 5.0
SNAPSHOT_EVERY_S = 5.0
ROLL_UP_EVERY_S = 15.0
PRUNE_EVERY_S = 600.0
RETRY_S = 1.0
LATE = timedelta(minutes=5)
"""What is older when it is stored belongs to the past: it is judged, and nobody is paged for it."""
LAST_BATCHES_S = 8.0


def worker_id(location: str) -> str:
    """Return a name that tells workers apart without telling anybody the machine's name."""
    return f"{location}-{hashlib.sha256(platform.node().encode()).hexdigest()[:6]}"


class Recorder:
    """Stores what the prober saw. What writes runs in one thread, one after the other; the event loop never waits."""

    def __init__(self, config: Config, engine: Engine, seen: Seen, counters: Counters) -> None:
        self.config = config
        self.engine = engine
        self.seen = seen
        self.counters = counters
        self.started_at = clock.now()
        self.opened = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "database")
        self._side = ThreadPoolExecutor(1, "chores")
        owner = f"{worker_id(config.settings.location)}/{os.getpid()}"
        self.dispatcher = Dispatcher(engine, self.database, owner, config, self._sent)
        self._dropped = 0
        self._gaps_filled = False

    async def database(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a verb of the flow in the database's thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*arguments, **named))

    async def aside(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run what may take long and must not hold up recording."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._side, lambda: work(*arguments, **named))

    def apply(self, config: Config) -> None:
        """Take a configuration into what the metrics show."""
        self.config = config
        self.dispatcher.apply(config)
        self.seen.catalogue = config.catalogue
        self.seen.location = config.settings.location
        known = {probe.id for probe in config.catalogue.probes}
        self.seen.newest = {name: result for name, result in self.seen.newest.items() if name in known}

    async def open(self) -> None:
        """Bring the database up to date, however long it stays away; results wait on disk meanwhile."""
        while True:
            try:
                await self.database(migrate, self.engine)
                await self.publish()
                self.opened.set()
                return
            except AWAY as error:
                log.warning("the database is away: %s", _kind(error))
                await asyncio.sleep(RETRY_S)

    async def publish(self) -> None:
        """Put the configuration's catalogue in force."""
        await self.database(flow.publish_catalogue, self.engine, self.config.catalogue, clock.now())
        self.seen.stored_at = clock.now()

    async def take(self, frame: Frame) -> None:
        """Take one message of the prober; a batch is safe on disk when this returns."""
        alive = frame.head.get("alive")
        if isinstance(alive, Mapping):
            await self._hear(alive)
            return
        results = [result for line in frame.lines if (result := self._read(line)) is not None]
        self.counters.count(results)
        for result in results:
            self.seen.take(result)
        await self.keep(results)

    async def _hear(self, alive: Mapping[str, Any]) -> None:
        self.seen.prober_heard_at = clock.now()
        self.seen.blind = str(alive.get("blind", ""))
        self.seen.prober_lag_s = float(alive.get("lag_s", 0.0))
        dropped = int(alive.get("dropped", 0))
        self.counters.dropped.inc(max(0, dropped - self._dropped))
        self._dropped = dropped

    def _read(self, line: bytes) -> Result | None:
        try:
            return loads_result(line)
        except CodecError as error:
            log.error("the prober sent what is no result: %s", error)
            self.counters.dropped.inc()
            return None

    async def keep(self, results: Sequence[Result]) -> None:
        """Store results, however long the database stays away; the prober keeps the rest meanwhile."""
        while results:
            try:
                await self.store(results)
                return
            except AWAY as error:
                log.warning("the database is away: %s", _kind(error))
                await asyncio.sleep(RETRY_S)

    async def store(self, results: Sequence[Result]) -> None:
        """Judge and store; what is late is stored without paging anyone."""
        now = clock.now()
        old = [result for result in results if now - result.started_at > LATE]
        new = [result for result in results if now - result.started_at <= LATE]
        for part, backfill in ((old, True), (new, False)):
            if part:
                await self._record(part, now, backfill)
        self.seen.stored_at = clock.now()

    async def _record(self, results: Sequence[Result], now: datetime, backfill: bool) -> None:
        try:
            await self.database(flow.record, self.engine, results, now, backfill=backfill)
        except AWAY:
            raise
        except Exception:
            self.counters.failures.labels("record").inc()
            if len(results) == 1:
                log.exception("a result of %s cannot be stored and is dropped", results[0].run.probe)
                self.counters.dropped.inc()
                return
            for result in results:
                await self._record([result], now, backfill)

    async def fill_gaps(self) -> None:
        """Record what nobody looked at while the worker was down; once."""
        if self._gaps_filled:
            return
        gone = await self.database(
            missed_since, self.engine, self.config.catalogue, self.config.settings.location, self.started_at
        )
        await self.store(gone)
        self._gaps_filled = True

    async def sweep(self) -> None:
        """Judge what follows from time alone."""
        await self.database(flow.sweep, self.engine, clock.now())

    async def roll_up(self) -> None:
        """Close minutes, hours and days that are over."""
        await self.aside(flow.roll_up, self.engine, clock.now())

    async def prune(self) -> None:
        """Let go of what is past its keeping time."""
        await self.aside(flow.prune, self.engine, clock.now())

    async def look_around(self) -> None:
        """Read the snapshot that the metrics show."""
        self.seen.snapshot = await self.aside(reads.snapshot, self.engine, clock.now(), public=False)
        self.seen.snapshot_at = clock.now()
        self.seen.outbox = await self.aside(outbox_counts, self.engine)

    async def sign_of_life(self) -> None:
        """Tell the database that this worker lives, and how."""
        if self.seen.prober_heard_at is None:
            return
        await self.database(
            flow.check_in,
            self.engine,
            worker_id(self.config.settings.location),
            self.config.settings.location,
            clock.now(),
            blind=self.seen.blind,
            spooled=self.seen.spooled,
            loop_lag_s=self.seen.prober_lag_s,
            started_at=self.started_at,
        )
        self.seen.stored_at = clock.now()

    def _sent(self, channel: str, ended: str) -> None:
        self.counters.notices.labels(channel, ended).inc()

    async def close(self) -> None:
        """Let deliveries end and the database go."""
        await self.dispatcher.close()
        self._thread.shutdown()
        self._side.shutdown()
        self.engine.dispose()


def _kind(error: BaseException) -> str:
    """Name an error without its text, which may hold a statement's values or an address with a password."""
    cause = getattr(error, "orig", None) or error
    return type(cause).__name__


async def run(path: Path, location: str | None, descriptor: int, database: str) -> int:
    """Be the recorder process: 0 after a clean stop, 1 when the prober is gone without one."""
    config = load(path, os.environ, location)
    seen = Seen(clock.now)
    registry, counters = registry_for(seen)
    recorder = Recorder(config, open_engine(database), seen, counters)
    recorder.apply(config)
    reader, writer = await open_link(descriptor)
    stopping, over = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    watch_parent(stopping.set)
    reloading = Reloader(recorder, path, location)
    loop.add_signal_handler(signal.SIGHUP, reloading.asked.set)
    host, port = split(config.settings.metrics)
    tasks = [
        asyncio.create_task(serve(application(seen, registry), host, port, over)),
        asyncio.create_task(reloading.run()),
        *_chores(recorder),
    ]
    intake = asyncio.create_task(_intake(recorder, reader, writer))
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({intake, stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if stop in done and not intake.done():
        # The prober was told to stop as well: what it still hands over is stored, then it closes the link.
        await asyncio.wait({intake}, timeout=LAST_BATCHES_S)
    clean = stopping.is_set() and intake.done()
    over.set()
    for task in (intake, stop, *tasks[1:]):
        task.cancel()
    for outcome in await asyncio.gather(intake, stop, *tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("the recorder failed", exc_info=outcome)
            clean = False
    writer.close()
    await recorder.close()
    return 0 if clean else 1


async def _intake(recorder: Recorder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take frames until the prober is gone; a batch is acknowledged when it is safe."""
    await recorder.open()
    while (frame := await receive(reader)) is not None:
        await recorder.take(frame)
        batch = frame.head.get("batch")
        if batch is not None:
            writer.write(pack({"ack": batch}))
            with suppress(ConnectionError):
                await writer.drain()
    log.info("the prober is gone")


class Reloader:
    """Takes a new configuration when asked; a faulty one is reported and the running one kept."""

    def __init__(self, recorder: Recorder, path: Path, location: str | None) -> None:
        self.asked = asyncio.Event()
        self._recorder = recorder
        self._path = path
        self._location = location

    async def run(self) -> None:
        """Wait for wishes until cancelled."""
        while True:
            await self.asked.wait()
            self.asked.clear()
            try:
                config = load(self._path, os.environ, self._location)
            except ConfigError as error:
                self._recorder.seen.reload_ok = False
                log.error("the new configuration is faulty, the running one is kept:\n%s", error)
                continue
            self._recorder.apply(config)
            self._recorder.seen.reload_ok = True
            await _tried("publish", self._recorder, self._recorder.publish)


def _chores(recorder: Recorder) -> list[asyncio.Task[None]]:
    """Start everything that is done again and again."""
    every = {
        "fill_gaps": (1.0, recorder.fill_gaps),
        "sign_of_life": (CHECK_IN_EVERY_S, recorder.sign_of_life),
        "sweep": (SWEEP_EVERY_S, recorder.sweep),
        "snapshot": (SNAPSHOT_EVERY_S, recorder.look_around),
        "roll_up": (ROLL_UP_EVERY_S, recorder.roll_up),
        "prune": (PRUNE_EVERY_S, recorder.prune),
        "delivery": (LEASE_EVERY_S, recorder.dispatcher.step),
    }
    return [asyncio.create_task(_again(name, period_s, recorder, chore)) for name, (period_s, chore) in every.items()]


async def _again(name: str, period_s: float, recorder: Recorder, chore: Callable[[], Awaitable[None]]) -> None:
    await recorder.opened.wait()
    while True:
        await _tried(name, recorder, chore)
        await asyncio.sleep(period_s)


async def _tried(name: str, recorder: Recorder, chore: Callable[[], Awaitable[None]]) -> None:
    """Do one chore; a failure is counted and told, and the next time it is tried again."""
    try:
        await chore()
    except AWAY as error:
        recorder.counters.failures.labels(name).inc()
        log.warning("%s: the database is away: %s", name, _kind(error))
    except Exception:
        recorder.counters.failures.labels(name).inc()
        log.exception("%s failed", name)


def main(path: Path, location: str | None, descriptor: int, database: str) -> int:
    """Run the recorder."""
    with asyncio.Runner() as runner:
        return runner.run(run(path, location, descriptor, database))
