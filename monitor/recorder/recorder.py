"""What the recorder does with results: store and judge them, keep them on disk while the database is away."""

from __future__ import annotations

import asyncio
import functools
import math
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar, assert_never

from sqlalchemy import Engine

from monitor import clock, flow
from monitor.config.settled import Settled
from monitor.core.catalogue import Probe
from monitor.core.checks.plausible import plausible
from monitor.core.codec import CodecError, loads_result
from monitor.core.model.observations import Result
from monitor.core.schedule import MICROSECOND, micros
from monitor.heap import give_back
from monitor.logs import Event, Room, hide
from monitor.recorder.contact import Contact, kind_of
from monitor.recorder.delivery import Dispatcher
from monitor.recorder.durability.guarding import Guard
from monitor.recorder.durability.missed_ticks import missed_since, newest_ticks
from monitor.recorder.durability.spool import Spool
from monitor.recorder.judging import Judging
from monitor.recorder.metrics import Counters, Kept, Seen
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.sharing import LATE_LOOK_S, ProbeMemorySync, Sharing, own_name, worker_id
from monitor.runtime.configured import heard
from monitor.runtime.messages import (
    Batch,
    Configured,
    FromProber,
    FromRecorder,
    JobReport,
    Own,
    ProberAlive,
    Refused,
    Remembered,
)
from monitor.store import reads
from monitor.store.connection.engine import (
    AWAY,
    JOURNAL_LIMIT_BYTES,
    CatalogueDamagedError,
    StoreError,
    fold_log,
    is_postgresql,
)
from monitor.store.connection.limits import answered_within

log = Room("recorder")

T = TypeVar("T")

_DONE = object()

RETRY_S = 1.0
REFUSED_RETRY_S = 5.0
ANSWER_S = 10.0
"""A statement that PostgreSQL leaves unanswered for so long ends; longer than any of them waits for a lock."""
WARN_EVERY_S = 60.0
REST_S = 0.02
PRUNE_STEPS = 100
"""What is older than its keeping time goes at most so fast: other chores wait meanwhile."""
LATE_LOOK = timedelta(seconds=3)
"""A tick of a probe that changed hands may still be looked at so much later, or up to half of its interval."""


class Recorder:
    """Stores what the prober saw. What writes runs in one thread, one after the other; the event loop never waits."""

    def __init__(
        self, config: Settled, engine: Engine, spool: Spool, quarantine: Quarantine, seen: Seen, counters: Counters
    ) -> None:
        self.config = config
        self.engine = engine
        self.spool = spool
        self.seen = seen
        self.counters = counters
        self.started_at = clock.now()
        self.opened = asyncio.Event()
        self.contact = Contact()
        self.ending = False
        """We were told to stop, so it is no news that the prober does."""
        self._thread = ThreadPoolExecutor(1, "database")
        self._side = ThreadPoolExecutor(1, "chores")
        self._leases = ThreadPoolExecutor(1, "leases")
        location, self._shared = config.settings.location, is_postgresql(engine)
        # Beside an SQLite file there is one spool, so one worker; elsewhere its directory tells a worker from others.
        self.worker = worker_id(location, own_name(spool.directory) if self._shared else "")
        self.sharing = Sharing(engine, self.worker, location)
        self._memory_sync = ProbeMemorySync(engine, self.sharing)
        self.guard = Guard(engine, spool, seen, counters, self._in_thread)
        self.guard.opened, self.guard.on_loss = self.opened.is_set, self._lost
        self.judging = Judging(engine, quarantine, seen, counters, lambda: self.sharing.claim if self._shared else None)
        self.tell: Callable[[FromRecorder], None] = lambda _: None
        """Sends a message to the prober."""
        self._told: frozenset[str] | None = None
        self._renewed = asyncio.Event()
        self._left: set[str] = set()
        self.dispatcher = Dispatcher(engine, self.database, f"{self.worker}/{os.getpid()}", config, self._sent)
        self._spooling = False
        """Results went to the disk because the database was away, and it has not caught up yet."""
        self._dropped = 0
        self._given_up = 0, 0
        """Results that the spool gave up, and damaged ones, as far as they are counted."""
        self._warned_s = -math.inf
        self._closing = threading.Event()
        self._watched_since: datetime | None = None
        self._gaps_filled = False

    async def database(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a verb of the flow in the database's thread; a server that hangs is away, so that the spool is used."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: _answered(self._mended, work, *arguments, **named))

    async def _in_thread(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run in the database's thread what must be done also while the database is lost."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: _answered(work, *arguments, **named))

    def _mended(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Do the work; if the catalogue in the database proves damaged, write it again and do it once more."""
        self.guard.admit()
        try:
            try:
                return work(*arguments, **named)
            except CatalogueDamagedError:
                self._mend()
                return work(*arguments, **named)
        except AWAY as error:
            self.guard.failed(error)
            raise

    def _lost(self) -> None:
        """Open the database again before anything is stored, and take what waits then for the end of an absence."""
        self.opened.clear()
        self._spooling = True

    def _mend(self) -> None:
        """Put our catalogue in force if the stored one is gone or cannot be read: the configuration knows it."""
        label = self.config.settings.label
        flow.mend_catalogue(self.engine, self.config.catalogue, clock.now(), label=label)

    async def aside(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run what may take long and must not hold up recording."""
        self.guard.admit()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._side, lambda: work(*arguments, **named))

    def apply(self, config: Settled) -> None:
        """Take a configuration into what the metrics show and where notices go."""
        self.config = config
        self.dispatcher.apply(config)
        self.judging.apply(config)
        self.seen.catalogue = config.catalogue
        self.seen.location = config.settings.location
        known = {probe.id for probe in config.catalogue.probes}
        self.seen.newest = {name: result for name, result in self.seen.newest.items() if name in known}

    async def open(self) -> None:
        """Bring the database up to date, however long it stays away; results wait on disk meanwhile."""
        while True:
            try:
                await self.aside(self.guard.migrated)  # may take long
                await self.publish()
                await self.share()
                await self.share_out()
                await self.database(self._take_up)
            except AWAY as error:
                await self._in_thread(self.guard.failed, error)
                self.contact.failed("open", kind_of(error))
                await asyncio.sleep(RETRY_S)
            except StoreError as error:
                await self._in_thread(self.guard.refused, error)
                await asyncio.sleep(REFUSED_RETRY_S)
            else:
                self.guard.answered()
                self.contact.answered("open")
                self.opened.set()
                return

    def _take_up(self) -> None:
        """Store what an earlier process had stored and not proven, unless newer results wait behind it anyway.

        What the database lacks before all that waits was lost with it: nobody knows of those ticks any more.
        """
        probes = [probe.id for probe in self.config.catalogue.probes if not probe.disabled]
        if not self._shared and (firsts := self.spool.firsts(probes)):
            earliest = min(firsts.values())
            self._take_missed({name: firsts.get(name, earliest) - MICROSECOND for name in probes})
            self._gaps_filled = False
        if not self._spooling and not self.spool.untaken:
            self.spool.replay(self._store)

    async def publish(self) -> None:
        """Put the configuration's catalogue in force."""
        label = self.config.settings.label
        await self.database(flow.publish_catalogue, self.engine, self.config.catalogue, clock.now(), label=label)
        self.seen.stored_at = clock.now()

    async def share(self) -> None:
        """Renew the leases, whatever else waits for the database, and pass on what jobs reported to other workers."""
        if not self._shared:
            return
        loop = asyncio.get_running_loop()
        location, probes = self.config.settings.location, self.config.catalogue.probes
        here = [probe for probe in probes if not probe.disabled and location in probe.locations]
        # Without control targets a worker that gave up all its probes would never notice that its network is back.
        blind = bool(self.seen.blind) and any(probe.control for probe in here)
        renew = functools.partial(_answered, self.sharing.renew, [probe.id for probe in here], blind=blind)
        await loop.run_in_executor(self._leases, renew)
        self._renewed.set()
        jobs = [probe.id for probe in here if probe.reports_in]
        for report in await loop.run_in_executor(self._leases, _answered, self._memory_sync.exchange, jobs):
            self.tell(report)

    async def share_out(self) -> None:
        """Tell the prober which probes are its own, once that has changed; what nobody looked at is missed."""
        if not self._shared:
            return
        self._renewed.clear()
        own = self.sharing.own
        if own == self._told:
            return
        gained = own - (self._told or frozenset())
        since: dict[str, datetime] = {}
        if self._told is not None or self._watched_since is None:
            since = await self.database(self._fill, gained)
        for carried in await self.database(self._memory_sync.give, gained):
            self.tell(carried)
        self.tell(Own(dict.fromkeys(own) | since))
        self._told = own

    async def shared_out(self) -> None:
        """Wait for the next renewal and then do as :meth:`share_out`."""
        await self._renewed.wait()
        await self.share_out()

    def retire(self) -> None:
        """Take over nothing any more and hand everything on: the worker is about to end."""
        self.sharing.retire()

    def report(self, report: JobReport) -> None:
        """Take a job's report to the prober, and to the other workers."""
        self.tell(report)
        if self._shared:
            self._memory_sync.report(report)

    def _fill(self, gained: Collection[str]) -> dict[str, datetime]:
        """Record the ticks of new probes that nobody came to; returns from when on to look."""
        if len(self.spool):
            self.spool.replay(self._store)
            self.seen.spooled = len(self.spool)
        self._left.difference_update(gained)
        location, now = self.config.settings.location, clock.now()
        until = {probe.id: now - _late_look(probe) for probe in self.config.catalogue.probes if probe.id in gained}
        self._take_missed(until)
        newest = newest_ticks(self.engine, location)
        return {name: max(until[name], newest.get(name, now)) for name in until}

    def _give_back(self, left: Collection[str]) -> None:
        """Let others have probes whose last results are judged; while those wait on disk the lease stays."""
        self._left.update(left)
        try:
            done = {name for name in self._left if not self.judging.holds(name)}
            if done and self._shared and not len(self.spool):
                self._memory_sync.store()
                self.sharing.give_back(done)
                self._left -= done
        except AWAY as error:
            self.contact.failed("leases", kind_of(error))
        else:
            self.contact.answered("leases")

    def _remember(self, news: Mapping[str, Remembered]) -> None:
        """Keep for the next worker what probes remember, not before the results that it follows from."""
        self._memory_sync.take(news)
        try:
            if self.opened.is_set() and not len(self.spool):
                self._memory_sync.store()
        except AWAY as error:
            self.contact.failed("memory", kind_of(error))
        else:
            self.contact.answered("memory")

    async def on_frame(self, message: FromProber) -> None:
        """Handle one message of the prober; a batch is safe on disk when this returns."""
        match message:
            case ProberAlive():
                self._on_heartbeat(message)
            case Batch():
                await self._take_batch(message)
            case Configured():
                hide(message.secrets)
                self.apply(heard(message))
                self.seen.reload_ok = True
            case Refused():
                self.seen.reload_ok = False
            case _:
                assert_never(message)

    async def _take_batch(self, batch: Batch) -> None:
        results = [result for line in batch.lines if (result := self._read(line)) is not None]
        self.counters.count(results)
        for result in results:
            self.seen.take(result)
        await self._in_thread(self._persist, results)
        if batch.memories:
            await self._in_thread(self._remember, batch.memories)
        if batch.ending:
            self.retire()
        if batch.left:
            await self._in_thread(self._give_back, batch.left)

    def _on_heartbeat(self, alive: ProberAlive) -> None:
        self.seen.prober_heard_at = clock.now()
        self.seen.blind = alive.blind
        self.seen.prober_lag_s = alive.lag_s
        self.counters.dropped.inc(max(0, alive.dropped - self._dropped))
        self._dropped = alive.dropped
        self._watched_since = self._watched_since or alive.since

    def _read(self, line: bytes) -> Result | None:
        """Return a result as it can be judged; of one that cannot be, the operator hears."""
        try:
            told = loads_result(line)
        except CodecError as error:
            log.error(Event.RESULT_UNREADABLE, "Prober sent an unreadable result: %s", error)
            self.judging.leave_out({self.config.settings.location: 1})
            return None
        result = plausible(told)
        if result is None:
            self.judging.leave_out({told.run.probe: 1})
        return result

    def _persist(self, results: Sequence[Result]) -> None:
        """Store results, or put them on the spool; after a spooled one everything goes there, so that order holds."""
        went_away = False
        if self.opened.is_set() and not len(self.spool):
            try:
                self._mended(self._store, results)
            except AWAY as error:
                self.contact.failed("record", kind_of(error))
                went_away, self._spooling = not self._spooling, True
            else:
                self.guard.answered()
                self._keep(results)
                self.seen.kept = Kept.DATABASE
                return
        self.spool.append(results)
        if went_away:
            log.warning(Event.SPOOL_BEGAN, "Storing results on disk until the database takes them")
        self.seen.kept = Kept.DISK
        self._tell_of_spool()

    def _keep(self, results: Sequence[Result]) -> None:
        try:
            self.spool.keep(results)
        except OSError:  # no room for a second copy is no reason to refuse the first
            self.counters.failures.labels("keep").inc()

    def _tell_of_spool(self) -> None:
        """Bring the metrics of the spool up to date; once nothing waits, the database takes results again."""
        self.seen.spooled, self.seen.spool_bytes = len(self.spool), self.spool.size_bytes
        given_up, torn = self.spool.dropped - self._given_up[0], self.spool.torn - self._given_up[1]
        if given_up or torn:
            self.counters.given_up.inc(given_up)
            self.counters.torn.inc(torn)
            text = "Spool dropped %d results and skipped %d damaged ones"
            log.error(Event.SPOOL_DAMAGED, text, given_up, torn, count=given_up + torn)
            self._given_up = self.spool.dropped, self.spool.torn
        if not self.seen.spooled and self.opened.is_set():
            self.guard.answered()
            self.seen.kept = Kept.DATABASE
            if self._spooling:
                self._spooling = False
                log.info(Event.SPOOL_ENDED, "Everything on disk is in the database; storing there again")

    def _store(self, results: Sequence[Result]) -> None:
        """Store results of before the start, then what was missed until it, then what came after it."""
        since = self._watched_since or self.started_at
        new = [result for result in results if result.run.tick >= since]
        if new and not self._gaps_filled:
            self.judging.take([result for result in results if result.run.tick < since])
            self._take_missed(since)
            results = new
        self.judging.take(results)
        self.contact.answered("record")

    def _take_missed(self, until: datetime | Mapping[str, datetime]) -> None:
        """Record the ticks that nobody came to, up to a moment; a mapping says it for some probes only."""
        missed = missed_since(self.engine, self.config.catalogue, self.config.settings.location, until)
        self.judging.take(self.judging.without_held(missed))
        self._gaps_filled = True

    async def replay(self) -> None:
        """Store what waits on the spool, oldest first."""
        if len(self.spool):
            await self.database(self.spool.replay, self._store)
            self._tell_of_spool()
        if self._memory_sync.waits:
            await self.database(self._remember, {})
        if self._left:
            await self.database(self._give_back, ())

    async def try_held(self) -> None:
        """Judge again what is held in quarantine, when it is time or a person asks; results go on between its steps."""
        for service, request in self.judging.due(clock.monotonic()).items():
            steps = self.judging.retry(service, request)
            while await self.database(next, steps, _DONE) is not _DONE:
                pass

    async def sweep(self) -> None:
        """Judge what follows from time alone."""
        await self.database(flow.sweep, self.engine, clock.now())

    async def roll_up(self) -> None:
        """Close minutes, hours and days that are over."""
        await self.aside(flow.roll_up, self.engine, clock.now())

    async def prune(self) -> None:
        """Let go of what is past its keeping time."""
        ages = self.config.settings.keep.ages()
        await self.aside(flow.prune, self.engine, clock.now(), rest=self._rest, steps=PRUNE_STEPS, **ages)
        await self.aside(give_back)

    def _rest(self) -> None:
        """Let go of the database between two steps; nobody waits for this once we are told to end."""
        self._closing.wait(REST_S)

    async def look_around(self) -> None:
        """Read the snapshot that the metrics show."""
        self.seen.snapshot = await self.aside(reads.snapshot, self.engine, clock.now(), public=False, history=False)
        self.seen.snapshot_at = clock.now()
        self.seen.outbox = await self.aside(flow.outbox_counts, self.engine)
        self.seen.log_bytes = await self.aside(fold_log, self.engine)
        if (self.seen.log_bytes or 0) > JOURNAL_LIMIT_BYTES and clock.monotonic() - self._warned_s > WARN_EVERY_S:
            self._warned_s = clock.monotonic()
            size_mb = (self.seen.log_bytes or 0) / 1e6
            text = "Write-ahead log of the database at %.0f MB and growing: a reader holds it open"
            log.error(Event.DATABASE_LOG_GROWS, text, size_mb)

    async def sign_of_life(self) -> None:
        """Tell the database that this worker lives, and how."""
        if self.seen.prober_heard_at is None:
            return
        location = self.config.settings.location
        await self.database(self._mend)  # we keep what we once read: that it is damaged, only other programs would see
        await self.database(self.guard.refuse_older)
        now = clock.now()
        await self.database(
            flow.check_in,
            self.engine,
            self.worker,
            location,
            now,
            blind=self.seen.blind,
            spooled=self.spool.untaken,
            loop_lag_s=self.seen.prober_lag_s,
            held=self.judging.alert(),
            started_at=self.started_at,
        )
        self.guard.signed(self.worker, micros(now))
        self.seen.stored_at = clock.now()

    def _sent(self, channel: str, ended: str) -> None:
        self.counters.notices.labels(channel, ended).inc()

    async def close(self) -> None:
        """Let deliveries end and the database go."""
        self._closing.set()
        await self.dispatcher.close()
        self._leases.shutdown()
        if self.opened.is_set() and self._shared:
            await self.database(self._remember, {})
            await self.database(self.sharing.end)
        self.guard.close()
        self._thread.shutdown()
        self._side.shutdown()
        self.spool.close()
        self.judging.quarantine.close()
        self.engine.dispose()


def _answered(work: Callable[..., T], *arguments: Any, **named: Any) -> T:
    with answered_within(ANSWER_S):
        return work(*arguments, **named)


def _late_look(probe: Probe) -> timedelta:
    return max(LATE_LOOK, timedelta(seconds=min(probe.interval_s / 2, LATE_LOOK_S)))
