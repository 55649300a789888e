"""The prober: looks on the grid and hands results to the recorder. It holds nothing that could delay a look."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import random
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent, JobSubmissionEvent
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from monitor import clock
from monitor.config import Config, ConfigError, load
from monitor.core.catalogue import Probe
from monitor.core.health import needs_second_look
from monitor.core.model import Observation, Outcome, Reason, Result, RunId
from monitor.core.schedule import count_between, next_tick, slot, ticks_between
from monitor.handover import Handover
from monitor.link import open_link, watch_parent
from monitor.probes import KINDS, heartbeat
from monitor.probes.base import Context, look, secrets_of
from monitor.probes.memory import Memories, memory_path
from monitor.sight import Sight
from monitor.store.engine import parsed_url
from monitor.wire import Wire

log = logging.getLogger("chatwatch.prober")

AT_ONCE_PER_SERVICE = 8
RECORDER_SILENT_S = 60.0
MOST_MISSED = 200
"""Missed ticks written out after one gap of one probe."""
DRAIN_S = 5.0
FLUSH_S = 2.0
CLOCK_STEP_S = 1.0
CLOCK_EVERY_S = 1.0
LATEST_START_S = 5
"""A tick that is older waits for the next one: after a sleep all probes at once would be a stampede."""
COLLECT_EVERY_S = 5.0
COLLECT_BY_FORCE = 100_000
ALIVE_EVERY_S = 1.0
ALONE_AFTER_S = 8.0
"""So long a prober of a shared database waits to be told which probes are its own."""
LAG_EVERY_S = 0.1
REMEMBER_EVERY_S = 10.0


class Grid(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """APScheduler's view of a probe's grid. Ticks older than one interval are skipped here and recorded elsewhere."""

    def __init__(self, probe: Probe) -> None:
        self._interval_s = probe.interval_s
        self._slot_s = slot(probe.id, probe.interval_s)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the next tick after the previous one, but none from a long sleep."""
        now = now.astimezone(UTC)  # sums and comparisons within one local zone overlook summer time
        oldest = now - timedelta(seconds=self._interval_s)
        after = now if previous_fire_time is None else max(previous_fire_time.astimezone(UTC), oldest)
        return next_tick(self._interval_s, self._slot_s, after)

    def move(self, by_s: float) -> None:
        """Move the grid a little, so that ticks of a time that is lived twice differ."""
        self._slot_s += by_s

    def latest(self, now: datetime) -> datetime:
        """Return the newest tick at or before ``now``."""
        return next_tick(self._interval_s, self._slot_s, now - timedelta(seconds=self._interval_s))

    def between(self, after: datetime, before: datetime) -> list[datetime]:
        """Return the newest ticks strictly between two ticks, at most :data:`MOST_MISSED`."""
        until = before - timedelta(microseconds=1)
        extra = count_between(self._interval_s, self._slot_s, after, until) - MOST_MISSED
        start = after + timedelta(seconds=max(0, extra) * self._interval_s)
        return list(ticks_between(self._interval_s, self._slot_s, start, until))


def missed(run: RunId, reason: Reason, detail: str = "") -> Result:
    """Return the record of a look that was not made."""
    return Result(run, run.tick, 0.0, Observation(reason, detail))


@dataclass(slots=True)
class Watched:
    """A probe that runs."""

    probe: Probe
    options: Any
    grid: Grid
    memory: dict[str, Any]
    last: datetime
    """The newest tick that was looked at or recorded as missed."""
    attempts: int = 0
    """Looks out of turn since that tick."""
    before: Outcome | None = None
    """How the last look ended: a failure that goes on needs no second look."""
    looking: bool = False
    held: list[Result] = field(default_factory=list)
    """Missed ticks that wait for the look before them: results of one probe arrive in the order of their ticks."""
    owned: bool = True
    """False while another worker of the location holds it: only a control target is looked at then, for our sight."""
    leaving: bool = False
    """Given up during a look, whose result is still ours."""

    @property
    def runs(self) -> bool:
        """True when it is on the schedule."""
        return self.owned or self.probe.control


class Prober:
    """Runs the probes of one location; ``hand_over`` takes each result."""

    def __init__(self, config: Config, hand_over: Callable[[Result], None], memories: Memories | None = None) -> None:
        self._hand_over = hand_over
        self.leave: Callable[[str], None] = lambda _: None
        """Told the name of a probe that another worker may have: its last result was handed over."""
        self._own: frozenset[str] | None = None
        """Probes that are ours; None for all of the location."""
        self.alone_since: datetime | None = None
        """When all of them became ours because nobody said otherwise."""
        self.memories = memories or Memories()
        self._watched: dict[str, Watched] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._rng = random.SystemRandom()
        self.lag_s = 0.0
        self.started_at = clock.now()
        self.config = config
        self.wire = _wire(config)
        self.sight = Sight(self._ask, clock.now)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_listener(self._on_missed, EVENT_JOB_MISSED)
        self._scheduler.add_listener(self._on_overrun, EVENT_JOB_MAX_INSTANCES)

    def start(self, *, alone: bool = True) -> None:
        """Begin to look; ticks before this moment are not ours. Unless ``alone``, wait for :meth:`own`."""
        self.started_at = clock.now()
        self.alone_since, self._own = (self.started_at, None) if alone else (None, frozenset())
        self._scheduler.start()
        self.apply(self.config)

    def begin_alone(self) -> None:
        """Look at everything from now on: nobody can say what is ours."""
        self.alone_since = clock.now()
        self._settle(dict.fromkeys(self._watched, self.alone_since))
        self._own = None

    def own(self, since: Mapping[str, Any]) -> None:
        """Look at these probes and no others. What is new begins after the last tick that is settled (Unix seconds)."""
        self._own = frozenset(since)
        self._settle({name: datetime.fromtimestamp(float(at_s), UTC) for name, at_s in since.items()})

    def _settle(self, since: Mapping[str, datetime]) -> None:
        for name, watched in self._watched.items():
            if name in since and not watched.owned:
                watched.owned, watched.leaving, watched.last = True, False, since[name]
                self._schedule(watched, watched.last)
            elif name not in since and watched.owned:
                watched.owned, watched.leaving = False, watched.looking
                self._unschedule(name)
                if watched.probe.control:
                    self._schedule(watched)
                if not watched.looking:
                    self.leave(name)

    def apply(self, config: Config) -> None:
        """Take a configuration: probes that did not change keep their memory and their place on the grid."""
        if _network(config) != _network(self.config):
            self.wire = _wire(config)
        self.config = config
        here = config.settings.location
        wanted = {p.id: p for p in config.catalogue.probes if p.id in config.looks and here in p.locations}
        for gone in self._watched.keys() - wanted.keys():
            self._unschedule(gone)
            del self._watched[gone]
        for name, probe in wanted.items():
            before = self._watched.get(name)
            if before is None or (before.probe.interval_s, before.probe.kind) != (probe.interval_s, probe.kind):
                memory = self._memory(probe, before)
                owned = self._own is None or name in self._own
                watched = Watched(probe, config.looks[name], Grid(probe), memory, clock.now(), owned=owned)
                self._watched[name] = watched
                if watched.runs:
                    self._schedule(watched)
            else:
                before.probe, before.options = probe, config.looks[name]
            memory, anew = self._watched[name].memory, self._watched[name] is not before
            heartbeat.listen(memory, config.looks[name], clock.now(), anew=anew)
        self.memories.forget(wanted)
        self.sight.watch(wanted)

    def _memory(self, probe: Probe, before: Watched | None) -> dict[str, Any]:
        """Return what a probe remembers: of this process if its kind is the same, else of the one before."""
        if before is not None:
            return before.memory if before.probe.kind == probe.kind else {}
        return self.memories.of(probe.id, probe.kind)

    def take_beat(self, beat: Mapping[str, Any]) -> None:
        """Take a job's report that the recorder received."""
        watched = self._watched.get(str(beat.get("probe")))
        if watched is not None:
            at, text = float(beat["at"]), str(beat.get("text", ""))
            heartbeat.take(watched.memory, at, failed=bool(beat.get("failed")), text=text)

    async def stop(self) -> None:
        """Stop looking; what is under way gets a few seconds, the rest is recorded as not looked at."""
        self._scheduler.remove_all_jobs()
        if self._looking:
            _, late = await asyncio.wait(self._looking, timeout=DRAIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._scheduler.shutdown(wait=False)
        await self.wire.aclose()

    @property
    def idle(self) -> bool:
        """True while no look is under way."""
        return not self._looking

    def rearm(self, step_s: float) -> None:
        """Put every job on the grid again after the wall clock was set by ``step_s``, up to a second ago."""
        since = clock.now() - timedelta(seconds=CLOCK_EVERY_S)
        for watched in self._watched.values():
            if step_s < 0:
                watched.grid.move(0.001)
            watched.last = min(watched.last, since)
            if watched.runs:
                self._schedule(watched, since)

    def _unschedule(self, name: str) -> None:
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)

    def _schedule(self, watched: Watched, since: datetime | None = None) -> None:
        self._scheduler.add_job(
            self._fire,
            watched.grid,
            args=(watched.probe.id,),
            id=watched.probe.id,
            next_run_time=watched.grid.get_next_fire_time(None, since or clock.now()),
            misfire_grace_time=min(watched.probe.interval_s, LATEST_START_S),
            coalesce=True,
            max_instances=1,
            replace_existing=True,
        )

    async def _fire(self, name: str) -> None:
        watched = self._watched.get(name)
        if watched is None:
            return
        tick = watched.grid.latest(clock.now())
        self._fill(watched, tick)
        if tick <= watched.last:
            return
        watched.last, watched.attempts = tick, 0
        task = asyncio.current_task()
        assert task is not None
        self._looking.add(task)
        watched.looking = True
        try:
            await self._look_twice(watched, RunId(name, self.config.settings.location, tick))
        except asyncio.CancelledError:
            # The task ends here in any case; APScheduler would report the cancellation as an error.
            self._hand_over(missed(RunId(name, self.config.settings.location, tick), Reason.NOT_RUNNING, "stopped"))
        finally:
            self._looking.discard(task)
            watched.looking = False
            for result in watched.held:
                self._deliver(replace(result, started_at=clock.now()))
            watched.held.clear()
            if watched.leaving:
                watched.leaving = False
                self.leave(name)

    async def _look_twice(self, watched: Watched, run: RunId) -> None:
        """Look, and after a first failure look again at once."""
        probe = watched.probe
        async with self._slots.setdefault(probe.component.partition("/")[0], asyncio.Semaphore(AT_ONCE_PER_SERVICE)):
            first = await self.sight.judge(await self._look(watched, run))
            self._deliver(first)
            before, watched.before = watched.before, first.outcome
            if needs_second_look(probe, first, before) and self._watched.get(probe.id) is watched:
                again = RunId(run.probe, run.location, run.tick, attempt=2)
                self._deliver(await self.sight.judge(await self._look(watched, again)))

    async def _look(self, watched: Watched, run: RunId) -> Result:
        probe, started_at, started_s = watched.probe, clock.now(), clock.monotonic()
        context = Context(
            wire=self.wire,
            location=run.location,
            timeout_s=probe.timeout_s,
            attempt=run.attempt,
            now=started_at,
            rng=self._rng,
            memory=watched.memory,
        )
        observation = await look(KINDS[probe.kind], watched.options, context)
        self.memories.keep(probe.id, probe.kind, watched.memory, secrets_of(watched.options))
        return Result(run, started_at, clock.monotonic() - started_s, observation)

    async def _ask(self, probe: Probe) -> Result:
        """Look at a control target out of turn, as a further attempt of its last tick.

        An answer is handed over: it proves to the rules that the network worked when something else did not.
        """
        watched = self._watched.get(probe.id)
        if watched is None:
            return missed(RunId(probe.id, self.config.settings.location, clock.now()), Reason.NOT_RUNNING)
        watched.attempts += 1
        run = RunId(probe.id, self.config.settings.location, watched.last, 2 + watched.attempts)
        result = await self._look(watched, run)
        if not result.reason.is_network_class:
            self._deliver(result)
        return result

    def _deliver(self, result: Result) -> None:
        """Hand a result over, unless its probe was removed while it looked or belongs to another worker."""
        watched = self._watched.get(result.run.probe)
        if watched is not None and (watched.owned or watched.leaving):
            self._hand_over(result)

    def _fill(self, watched: Watched, tick: datetime) -> None:
        """Record the ticks that nobody came to: a blocked loop, a stopped process, a machine asleep."""
        for gone in watched.grid.between(watched.last, tick):
            run = RunId(watched.probe.id, self.config.settings.location, gone)
            self._skip(watched, missed(run, Reason.LATE, "the scheduler came too late"))
            watched.last = max(watched.last, gone)

    def _skip(self, watched: Watched, result: Result) -> None:
        if watched.looking:
            watched.held.append(result)
        else:
            self._deliver(result)

    def _on_missed(self, event: JobExecutionEvent) -> None:
        self._record_missed(event.job_id, [event.scheduled_run_time], Reason.LATE, "the scheduler came too late")

    def _on_overrun(self, event: JobSubmissionEvent) -> None:
        self._record_missed(event.job_id, event.scheduled_run_times, Reason.OVERRUN, "the look before still ran")

    def _record_missed(self, name: str, times: list[datetime], reason: Reason, detail: str) -> None:
        watched = self._watched.get(name)
        if watched is None:
            return
        for at in times:
            tick = at.astimezone(UTC)
            self._fill(watched, tick)
            if tick > watched.last:
                watched.last = tick
                self._skip(watched, missed(RunId(name, self.config.settings.location, tick), reason, detail))


def _network(config: Config) -> tuple[object, ...]:
    return config.settings.allow_networks, config.settings.ca_file


def _wire(config: Config) -> Wire:
    return Wire(allow_networks=config.settings.allow_networks, ca_file=config.settings.ca_file)


async def run(path: Path, location: str | None, descriptor: int, database: str) -> int:
    """Be the prober process: 0 after a clean stop, 1 when the recorder is gone or the configuration is faulty."""
    config = load(path, os.environ, location)
    handover = Handover(*await open_link(descriptor))
    prober = Prober(config, handover.put, Memories(memory_path(database, config.settings.location)))
    handover.on_beat, handover.on_own, prober.leave = prober.take_beat, prober.own, handover.leave
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, prober, path, location)
    watch_parent(stopping.set)
    prober.start(alone=parsed_url(database).get_backend_name() == "sqlite")
    gc.collect()
    gc.freeze()
    gc.disable()
    listening = asyncio.create_task(handover.listen())
    chores = [
        asyncio.create_task(chore)
        for chore in (
            handover.send(),
            _report(prober, handover),
            _wait_for_shares(prober, handover),
            _measure_lag(prober),
            _watch_clock(prober),
            _collect(prober),
            _remember(prober),
        )
    ]
    ending = [asyncio.create_task(stopping.wait()), asyncio.create_task(_recorder_hangs(handover)), listening]
    await asyncio.wait([*ending, *chores], return_when=asyncio.FIRST_COMPLETED)
    clean = stopping.is_set()
    await prober.stop()
    await remember(prober.memories)
    if not listening.done():
        await handover.flush(FLUSH_S)
    for task in (*chores, *ending):
        task.cancel()
    outcomes = await asyncio.gather(*chores, *ending, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            log.error("the prober failed", exc_info=outcome)
            clean = False
    return 0 if clean else 1


def _reload(prober: Prober, path: Path, location: str | None) -> None:
    try:
        prober.apply(load(path, os.environ, location))
    except ConfigError as error:
        log.error("the new configuration is faulty, the running one is kept:\n%s", error)


async def _wait_for_shares(prober: Prober, handover: Handover) -> None:
    """Look at everything if nobody says in time what is ours: the database is away, and somebody has to look."""
    if prober.alone_since is None:
        await asyncio.sleep(ALONE_AFTER_S)
        if not handover.shared:
            log.warning("no word on how probes are shared after %.0f s: looking at all of them", ALONE_AFTER_S)
            prober.begin_alone()
    await asyncio.Event().wait()


async def _report(prober: Prober, handover: Handover) -> None:
    """Tell the recorder that we live, and how."""
    while True:
        since = prober.alone_since.timestamp() if prober.alone_since else None
        alive = {"blind": prober.sight.reason, "lag_s": round(prober.lag_s, 4), "since": since}
        await handover.tell({"alive": alive | {"pending": handover.pending, "dropped": handover.dropped}})
        await asyncio.sleep(ALIVE_EVERY_S)


async def _measure_lag(prober: Prober) -> None:
    """Keep the worst lateness of the loop within about the last ten seconds."""
    worst: deque[float] = deque(maxlen=round(10 / LAG_EVERY_S))
    while True:
        due_s = clock.monotonic() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        worst.append(max(0.0, clock.monotonic() - due_s))
        prober.lag_s = max(worst)


async def _watch_clock(prober: Prober) -> None:
    """Notice a step of the wall clock by comparing it with the one that never steps."""
    offset_ns = clock.wall_offset_ns()
    while True:
        await asyncio.sleep(CLOCK_EVERY_S)
        step_s = (clock.wall_offset_ns() - offset_ns) / 1e9
        if abs(step_s) > CLOCK_STEP_S:
            log.warning("the clock was set by %+.1f s; the schedule is laid out again", step_s)
            prober.rearm(step_s)
        offset_ns = clock.wall_offset_ns()


async def _collect(prober: Prober) -> None:
    """Collect garbage between looks: a collection in the middle of one would be measured as the vendor's delay."""
    while True:
        await asyncio.sleep(COLLECT_EVERY_S)
        if prober.idle or gc.get_count()[0] > COLLECT_BY_FORCE:
            gc.collect()


async def _remember(prober: Prober) -> None:
    while True:
        await asyncio.sleep(REMEMBER_EVERY_S)
        await remember(prober.memories)


async def remember(memories: Memories) -> None:
    """Write down what the probes remember, if there is anything new; the loop does not wait for the disk."""
    content = memories.copy()
    if content is None:
        return
    try:
        await asyncio.to_thread(memories.write, content)
    except OSError as error:
        memories.failed()
        log.warning("what the probes remember cannot be kept: %s", error.strerror or type(error).__name__)


async def _recorder_hangs(handover: Handover) -> None:
    """Return when the recorder hangs. Asked three times: after a stop of ours its answers only wait to be read."""
    found = 0
    while True:
        await asyncio.sleep(1)
        found = found + 1 if handover.silent_s > RECORDER_SILENT_S else 0
        if found == 3:
            log.error("the recorder has not answered for %.0f s", handover.silent_s)
            return


def main(path: Path, location: str | None, descriptor: int, database: str) -> int:
    """Run the prober on the quickest loop there is."""
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        make_loop = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(run(path, location, descriptor, database))
