"""The prober: looks on the grid and hands results to the recorder. It holds nothing that could delay a look."""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent, JobSubmissionEvent
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from monitor import clock
from monitor.config.load import Config
from monitor.core.catalogue import Probe, service_of
from monitor.core.checks import pace
from monitor.core.checks.pace import Pace
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import OUT_OF_TURN, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.prober.grid import Grid, missed
from monitor.prober.self_check import SelfCheck
from monitor.probes import KINDS
from monitor.probes.base import Context, look, secrets_of
from monitor.probes.memory import Memories
from monitor.runtime.messages import JobReport, MemoryHandover, Own
from monitor.wire import Wire, from_environment

AT_ONCE_PER_SERVICE = 8
DRAIN_S = 5.0
CLOCK_EVERY_S = 1.0
MOVED_S = 0.001
"""The grid moves so far when the clock is set back."""
PACE = "pace"
"""Under this name the pace lies beside what a probe's kind remembers."""
LATEST_START_S = 5
"""A tick that is older waits for the next one: after a sleep all probes at once would be a stampede."""


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
    pace: Pace = pace.START
    """What decides when to look again."""
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a pause before a second look should end, and the look is not wanted any more."""
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
        self.self_check = SelfCheck(self._ask, clock.now, self._clock_ahead)
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

    def own(self, own: Own) -> None:
        """Look at these probes and no others. What is new begins after the last tick that is settled."""
        self._own = frozenset(own.probes)
        now = clock.now()
        self._settle({name: since or now for name, since in own.probes.items()})

    def carry(self, carried: MemoryHandover) -> None:
        """Take what a probe remembers that another worker looked at before.

        Reports of jobs come by another way; after a cut one may have been lost.
        """
        if (watched := self._watched.get(carried.probe)) is None:
            return
        now, theirs, kind = clock.now(), carried.memory, KINDS[watched.probe.kind]
        memory = watched.memory
        found = self.memories.join(carried.probe, kind, dict(memory), theirs.at.timestamp(), theirs.body, now)
        if carried.cut_off:
            kind.memory.cut_off(found, watched.options, now)
            kind.memory.begin(found, watched.options, now)
        if (suspected := found.pop(PACE, None)) is not None:
            watched.pace = pace.from_json(suspected)
        memory.clear()
        memory.update(found)
        self._keep(watched, now)

    def _settle(self, since: Mapping[str, datetime]) -> None:
        for name, watched in self._watched.items():
            if name in since and not watched.owned:
                watched.owned, watched.leaving, watched.last = True, False, since[name]
                # A tick that another worker did not come to may still be looked at as late as we were told.
                age_s = math.ceil((clock.now() - watched.last).total_seconds())
                self._schedule(watched, watched.last, max(0, age_s) + LATEST_START_S)
            elif name not in since and watched.owned:
                watched.owned, watched.leaving = False, watched.looking
                watched.hurry.set()
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
            self._watched.pop(gone).hurry.set()
        for name, probe in wanted.items():
            before = self._watched.get(name)
            if before is None or (before.probe.interval_s, before.probe.kind) != (probe.interval_s, probe.kind):
                memory = self._memory(probe, before)
                owned = self._own is None or name in self._own
                if before is not None:
                    before.hurry.set()
                suspected = pace.from_json(memory.pop(PACE, None)) if before is None else before.pace
                watched = Watched(
                    probe, config.looks[name], Grid(probe), memory, clock.now(), pace=suspected, owned=owned
                )
                self._watched[name] = watched
                if watched.runs:
                    self._schedule(watched)
            else:
                before.probe, before.options = probe, config.looks[name]
            hooks, anew = KINDS[probe.kind].memory, self._watched[name] is not before
            (hooks.begin if anew else hooks.go_on)(self._watched[name].memory, config.looks[name], clock.now())
        self.memories.forget(wanted)
        self.self_check.watch(replace(config.catalogue, probes=tuple(wanted.values())))

    def _memory(self, probe: Probe, before: Watched | None) -> dict[str, Any]:
        """Return what a probe remembers: of this process if its kind is the same, else of the one before."""
        if before is not None:
            return before.memory if before.probe.kind == probe.kind else {}
        return self.memories.of(probe.id, probe.kind)

    def take_report(self, report: JobReport) -> None:
        """Take a job's report that the recorder received."""
        watched = self._watched.get(report.probe)
        take = KINDS[watched.probe.kind].take_report if watched is not None else None
        if watched is not None and take is not None:
            take(watched.memory, report.at.timestamp(), failed=report.failed, text=report.text)

    async def stop(self) -> None:
        """Stop looking; what is under way gets a few seconds, the rest is recorded as not looked at.

        What is idle is given up at once, so that another worker need not wait for the last look of all.
        """
        self._scheduler.remove_all_jobs()
        for name, watched in self._watched.items():
            if watched.owned and watched.looking:
                watched.owned, watched.leaving = False, True
            elif watched.owned:
                watched.owned = False
                self.leave(name)
        for watched in self._watched.values():
            watched.hurry.set()
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
        """Put every job on the grid again after the wall clock was set by ``step_s``, up to a second ago.

        What came due within that second is looked at now, but for a probe that is looking already.
        """
        now = clock.now()
        for watched in self._watched.values():
            since = now if watched.looking else now - timedelta(seconds=CLOCK_EVERY_S)
            if step_s < 0:
                watched.grid.move(MOVED_S)
                if watched.looking:  # a tick that just passed moves ahead of us, and would be due beside this look
                    since += timedelta(seconds=MOVED_S)
            watched.last = min(watched.last, since)
            if watched.runs:
                self._schedule(watched, since)

    def _unschedule(self, name: str) -> None:
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)

    def _schedule(self, watched: Watched, since: datetime | None = None, late_s: int = LATEST_START_S) -> None:
        self._scheduler.add_job(
            self._fire,
            watched.grid,
            args=(watched.probe.id,),
            id=watched.probe.id,
            next_run_time=watched.grid.get_next_fire_time(None, since or clock.now()),
            misfire_grace_time=max(1, min(watched.probe.interval_s, late_s)),
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
            await self._look_until_sure(watched, RunId(name, self.config.settings.location, tick))
        except asyncio.CancelledError:
            # The task ends here in any case; APScheduler would report the cancellation as an error.
            self._keep(watched, clock.now())
            self._hand_over(
                missed(
                    RunId(name, self.config.settings.location, tick),
                    Reason.NOT_RUNNING,
                    coded(MessageCode.WORKER_STOPPED),
                )
            )
        finally:
            self._looking.discard(task)
            watched.looking = False
            for result in watched.held:
                self._deliver(replace(result, started_at=clock.now()))
            watched.held.clear()
            if watched.leaving:
                watched.leaving = False
                self.leave(name)

    async def _look_until_sure(self, watched: Watched, run: RunId) -> None:
        """Look, and after a failure look again within seconds until it is confirmed or was a blip."""
        late_s, began_s = (clock.now() - run.tick).total_seconds(), clock.monotonic()
        watched.hurry.clear()
        while True:
            probe = watched.probe
            slots = self._slots.setdefault(service_of(probe.component), asyncio.Semaphore(AT_ONCE_PER_SERVICE))
            async with slots:
                limit_s = pace.deadline_s(probe, run.attempt, late_s + clock.monotonic() - began_s)
                looked = await self._look(watched, run, limit_s)
                if pace.was_cut(probe, limit_s, looked.outcome, looked.duration_s):
                    return  # nobody knows what it would have found with the time that it is due
                result = await self.self_check.judge(looked)
            self._deliver(result)
            elapsed_s = late_s + clock.monotonic() - began_s
            before = watched.pace
            watched.pace, pause_s = pace.after(before, probe, result, elapsed_s)
            if watched.pace.suspicion is not before.suspicion:
                self._keep(watched, result.started_at)
            if pause_s is None:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(watched.hurry.wait(), pause_s)
            if watched.hurry.is_set():
                return
            run = replace(run, attempt=run.attempt + 1)

    async def _look(self, watched: Watched, run: RunId, limit_s: float | None = None) -> Result:
        """Look once, for ``limit_s`` at most; for the probe's deadline if that is not said."""
        probe, started_at, started_s = watched.probe, clock.now(), clock.monotonic()
        context = Context(
            wire=self.wire,
            location=run.location,
            timeout_s=probe.timeout_s if limit_s is None else limit_s,
            attempt=run.attempt,
            now=started_at,
            rng=self._rng,
            memory=watched.memory,
        )
        observation = await look(KINDS[probe.kind], watched.options, context)
        self._keep(watched, started_at)
        return Result(run, started_at, clock.monotonic() - started_s, observation)

    def _keep(self, watched: Watched, at: datetime) -> None:
        """Remember what the kind and the pace must not forget: a probe that is down has to be seen to recover."""
        secrets, suspected = secrets_of(watched.options), pace.to_json(watched.pace)
        memory = watched.memory if suspected is None else {**watched.memory, PACE: suspected}
        self.memories.keep(watched.probe.id, watched.probe.kind, memory, secrets, at.timestamp())

    def _clock_ahead(self) -> timedelta | None:
        """Return by how much our clock is ahead of what servers say, if enough of them said it."""
        return self.wire.ground.time.ahead(clock.now(), clock.monotonic())

    async def _ask(self, probe: Probe) -> Result:
        """Look at a control target out of turn, as a further attempt of its last tick.

        It is handed over, good or bad: to the rules it is a witness for our own side, or against it.
        """
        watched = self._watched.get(probe.id)
        if watched is None:
            return missed(RunId(probe.id, self.config.settings.location, clock.now()), Reason.NOT_RUNNING)
        watched.attempts += 1
        run = RunId(probe.id, self.config.settings.location, watched.last, OUT_OF_TURN + watched.attempts)
        result = await self._look(watched, run)
        self._deliver(result)
        return result

    def _deliver(self, result: Result) -> None:
        """Hand a result over, unless its probe was removed while it looked or belongs to another worker."""
        watched = self._watched.get(result.run.probe)
        if watched is not None and (watched.owned or watched.leaving):
            self._hand_over(result)

    def _fill(self, watched: Watched, tick: datetime) -> None:
        """Record the ticks that nobody came to: a blocked loop, a stopped process, a machine asleep."""
        if tick - watched.last <= timedelta(seconds=watched.probe.interval_s):
            return
        for gone in watched.grid.between(watched.last, tick):
            run = RunId(watched.probe.id, self.config.settings.location, gone)
            self._skip(watched, missed(run, Reason.LATE, coded(MessageCode.SCHEDULER_LATE)))
            watched.last = max(watched.last, gone)

    def _skip(self, watched: Watched, result: Result) -> None:
        if watched.looking:
            watched.held.append(result)
        else:
            self._deliver(result)

    def _on_missed(self, event: JobExecutionEvent) -> None:
        self._record_missed(event.job_id, [event.scheduled_run_time], Reason.LATE, coded(MessageCode.SCHEDULER_LATE))

    def _on_overrun(self, event: JobSubmissionEvent) -> None:
        self._record_missed(event.job_id, event.scheduled_run_times, Reason.OVERRUN, coded(MessageCode.LOOK_OVERRAN))

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
    settings = config.settings
    return Wire(allow_networks=settings.allow_networks, ca_file=settings.ca_file, proxies=from_environment(os.environ))
