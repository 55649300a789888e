"""The prober's process: its link to the recorder, its chores, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from monitor import clock
from monitor.config.faults import ConfigError
from monitor.config.load import Config, load
from monitor.heap import give_back
from monitor.logs import Event, Room, hide
from monitor.prober.discovery import DISCOVER_EVERY_S, discover
from monitor.prober.prober import CLOCK_EVERY_S, Prober
from monitor.prober.uplink import BATCH_EVERY_S, Handover
from monitor.probes import KINDS
from monitor.probes.memory import Memories, memory_path
from monitor.runtime.configured import told
from monitor.runtime.frames import PEER_GONE, open_link, watch_parent
from monitor.runtime.messages import ProberAlive, Refused, Remembered
from monitor.runtime.refusals import tell_refused
from monitor.runtime.reports import tell_started

log = Room("prober")

RECORDER_SILENT_S = 60.0
FLUSH_S = 2.0
CLOCK_STEP_S = 1.0
COLLECT_EVERY_S = 2.0
COLLECT_BY_FORCE = 100_000
ALIVE_EVERY_S = 1.0
ALONE_AFTER_S = 8.0
"""So long a prober of a shared database waits to be told which probes are its own."""
LAG_EVERY_S = 0.1
REMEMBER_EVERY_S = 10.0


async def run(path: Path, location: str | None, descriptor: int, database: str) -> int:
    """Be the prober process: 0 after a clean stop, 1 when the recorder is gone or the configuration is faulty."""
    config = load(path, os.environ, location)
    settled = config.settled()
    hide(settled.secrets)
    handover = Handover(*await open_link(descriptor))
    handover.settle(told(settled))
    warm(config)
    prober = Prober(config, handover.put, Memories(memory_path(database, config.settings.location)))
    handover.on_report, handover.on_own, prober.leave = prober.take_report, prober.own, handover.leave
    handover.batch_every_s = batch_every_s(config)
    handover.on_memory, shared = prober.carry, not database.startswith("sqlite")
    if shared:
        handover.news = partial(_news, prober.memories)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, prober, handover, path, location)
    watch_parent(stopping.set)
    prober.start(alone=not shared)
    tell_started(log, "Prober", settled)
    give_back()
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
            _discover(prober, path, partial(_reload, prober, handover, path, location)),
        )
    ]
    ending = [asyncio.create_task(stopping.wait()), asyncio.create_task(_recorder_hangs(handover)), listening]
    await asyncio.wait([*ending, *chores], return_when=asyncio.FIRST_COMPLETED)
    handover.ending = stopping.is_set()
    code = 0 if stopping.is_set() else PEER_GONE if listening.done() else 1
    await prober.stop()
    await remember(prober.memories)
    if not listening.done():
        await handover.flush(FLUSH_S)
    for task in (*chores, *ending):
        task.cancel()
    outcomes = await asyncio.gather(*chores, *ending, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            log.error(Event.CRASHED, "Prober failed", exc_info=outcome, error=type(outcome).__name__)
            code = 1
    if not stopping.is_set() and listening.done():
        log.warning(Event.PEER_DISCONNECTED, "Recorder disconnected; restarting")
    log.info(Event.STOPPED, "Prober stopped")
    return code


def warm(config: Config) -> None:
    """Import what these probes need now: in the middle of a look it would hold up the loop."""
    looks = ((KINDS[probe.kind], config.looks.get(probe.id)) for probe in config.catalogue.probes)
    wanted = {name for kind, options in looks if options is not None for name in kind.wanted(options)}
    for name in sorted(wanted):
        importlib.import_module(name)


def _news(memories: Memories) -> dict[str, Remembered]:
    return {name: Remembered(datetime.fromtimestamp(at, UTC), text) for name, (at, text) in memories.news().items()}


def batch_every_s(config: Config) -> float:
    """Return how long a look may wait for others: never so long that the newest of a quick probe seems stale."""
    return min([BATCH_EVERY_S, *(probe.interval_s for probe in config.catalogue.probes)])


def _reload(prober: Prober, handover: Handover, path: Path, location: str | None) -> None:
    try:
        config = load(path, os.environ, location)
        settled = config.settled()
        hide(settled.secrets)
        warm(config)
        prober.apply(config)
        handover.batch_every_s = batch_every_s(config)
        handover.settle(told(settled))
    except ConfigError as error:
        handover.settle(Refused())
        tell_refused(log, error)


async def _wait_for_shares(prober: Prober, handover: Handover) -> None:
    """Look at everything if nobody says in time what is ours: the database is away, and somebody has to look."""
    if prober.alone_since is None:
        await asyncio.sleep(ALONE_AFTER_S)
        if not handover.shared:
            text = "No shares assigned after %.0f s; running all probes"
            log.warning(Event.LOOKING_ALONE, text, ALONE_AFTER_S)
            prober.begin_alone()
    await asyncio.Event().wait()


async def _report(prober: Prober, handover: Handover) -> None:
    """Tell the recorder that we live, and how."""
    while True:
        blind, lag_s, since = prober.self_check.reason, round(prober.lag_s, 4), prober.alone_since
        await handover.tell(ProberAlive(blind, lag_s, since, handover.pending, handover.dropped))
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
            text = "Clock stepped by %+.1f s; schedule rebuilt"
            log.warning(Event.CLOCK_STEPPED, text, step_s, seconds=round(step_s, 1))
            prober.rearm(step_s)
        offset_ns = clock.wall_offset_ns()


async def _collect(prober: Prober) -> None:
    """Collect garbage between looks: a collection in the middle of one would be measured as the vendor's delay."""
    while True:
        await asyncio.sleep(COLLECT_EVERY_S)
        if prober.idle or gc.get_count()[0] > COLLECT_BY_FORCE:
            gc.collect()


async def _discover(prober: Prober, path: Path, reload: Callable[[], None]) -> None:
    """Read the lists of models that are to be found, at the start and then rarely."""
    while True:
        try:
            if prober.config.lists and await discover(prober.config, path, prober.wire, clock.now()):
                log.info(Event.RELOADED, "Lists of models changed; reading the configuration again")
                reload()
        except OSError as error:
            text = "Lists of models cannot be kept: %s"
            log.warning(Event.CONFIGURATION_FAULT, text, error.strerror, error=type(error).__name__)
        await asyncio.sleep(DISCOVER_EVERY_S)


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
        why = error.strerror or type(error).__name__
        log.warning(Event.MEMORY_NOT_KEPT, "Probe memory not saved: %s", why, error=why)


async def _recorder_hangs(handover: Handover) -> None:
    """Return when the recorder hangs. Asked three times: after a stop of ours its answers only wait to be read."""
    found = 0
    while True:
        await asyncio.sleep(1)
        found = found + 1 if handover.silent_s > RECORDER_SILENT_S else 0
        if found == 3:
            text = "Recorder silent for %.0f s; restarting"
            log.error(Event.PEER_SILENT, text, handover.silent_s, seconds=round(handover.silent_s, 1))
            return


def main(path: Path, location: str | None, descriptor: int, database: str) -> int:
    """Run the prober on the quickest loop there is."""
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        make_loop = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(run(path, location, descriptor, database))
