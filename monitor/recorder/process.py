"""The recorder process: takes batches from the prober, acknowledges them, and does everything that time asks for."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import assert_never

from sqlalchemy.exc import DBAPIError

from monitor import clock, flow
from monitor.config.settled import Settled
from monitor.logs import Event, Room, hide, shown_database
from monitor.recorder.alarm import StoreAlarm
from monitor.recorder.contact import kind_of
from monitor.recorder.delivery import LEASE_EVERY_S
from monitor.recorder.durability.guarding import PROVE_EVERY_S
from monitor.recorder.durability.spool import Spool, SpoolError
from monitor.recorder.durability.spool import strays as spool_strays
from monitor.recorder.metrics import Kept, Seen, registry_for
from monitor.recorder.quarantine import BusyError, Quarantine, strays
from monitor.recorder.recorder import RETRY_S, Recorder
from monitor.recorder.scrape import AlertIntake, Beats, application, serve
from monitor.recorder.sharing import SHARE_EVERY_S
from monitor.runtime.configured import heard
from monitor.runtime.frames import PEER_GONE, Inbox, from_prober, open_link, to_prober, watch_parent
from monitor.runtime.listening import listener
from monitor.runtime.messages import (
    Ack,
    Batch,
    Configured,
    FrameError,
    FromProber,
    ProberAlive,
    RecorderAlive,
    Refused,
)
from monitor.runtime.places import quarantine_home, spool_directory
from monitor.runtime.programs import split
from monitor.runtime.reports import tell_reloaded, tell_started
from monitor.runtime.trouble import TroubleFile
from monitor.store.connection.engine import AWAY, StoreError, open_engine

log = Room("recorder")

SWEEP_EVERY_S = 5.0
CHECK_IN_EVERY_S = 5.0
SNAPSHOT_EVERY_S = 5.0
REPLAY_EVERY_S = 2.0
HELD_EVERY_S = 1.0
ROLL_UP_EVERY_S = 60.0
PRUNE_EVERY_S = 60.0
LAST_BATCHES_S = 8.0
BEAT_EVERY_S = 5.0
ALARM_EVERY_S = 1.0
WEBHOOK_TOKEN = "CHATWATCH_WEBHOOK_TOKEN"  # noqa: S105  # the variable's name


async def run(descriptor: int, database: str) -> int:
    """Be the recorder process: 0 after a clean stop, :data:`PEER_GONE` when the prober is gone without one."""
    reader, writer = await open_link(descriptor)
    inbox, stopping, over = from_prober(reader), asyncio.Event(), asyncio.Event()
    _when_told_to_end(stopping.set)
    config = await _first(inbox, stopping)
    if config is None:
        writer.close()
        return 0 if stopping.is_set() else PEER_GONE
    hide(config.secrets)
    seen = Seen(clock.now)
    registry, counters = registry_for(seen)
    spool = Spool(spool_directory(database, config.settings.location))
    seen.spooled = len(spool)
    quarantine = Quarantine(quarantine_home(database) / config.settings.location)
    for name in spool_strays(spool.directory):
        log.warning(Event.SPOOL_STRAY, "Not a file of the spool, ignored: %s", spool.directory / name)
    for name in strays(quarantine.directory):
        log.warning(Event.QUARANTINE_STRAY, "Not a quarantine file, ignored: %s", quarantine.directory / name)
    at = listener("metrics", *split(config.settings.metrics))
    recorder = Recorder(config, open_engine(database), spool, quarantine, seen, counters)
    recorder.apply(config)
    recorder.tell = lambda message: writer.write(to_prober(message))
    _when_told_to_end(partial(_end, recorder, stopping))
    tell_started(log, "Recorder", config, database=shown_database(database), worker=recorder.worker)
    news = asyncio.Event()
    beats = Beats(lambda: recorder.config.tokens, recorder.report)
    tasks = [
        asyncio.create_task(serve(application(seen, registry, beats, alert_intake(recorder)), at, over)),
        asyncio.create_task(announce(recorder, news)),
        asyncio.create_task(_open(recorder)),
        *(asyncio.create_task(_again(name, *chore, recorder)) for name, chore in chores(recorder).items()),
    ]
    tasks.append(asyncio.create_task(_beat(writer)))
    alarm = StoreAlarm(TroubleFile(spool.directory), seen, counters, recorder.dispatcher, recorder.opened.is_set)
    tell = partial(_again, "alarm", ALARM_EVERY_S, lambda: alarm.step(recorder.config), recorder, at_once=True)
    tasks.append(asyncio.create_task(tell()))
    tasks.append(asyncio.create_task(_again("proof", PROVE_EVERY_S, recorder.guard.step, recorder, at_once=True)))
    intake = asyncio.create_task(_intake(recorder, inbox, writer, news))
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({intake, stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if stop in done and not intake.done():
        # The prober was told to stop as well: store what it still sends until it closes the connection.
        recorder.retire()
        await asyncio.wait({intake}, timeout=LAST_BATCHES_S)
    code = (0 if stopping.is_set() else PEER_GONE) if intake.done() else 1
    over.set()
    for task in (intake, stop, *tasks[1:]):
        task.cancel()
    for outcome in await asyncio.gather(intake, stop, *tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            _tell(outcome)
            code = 1
    writer.close()
    await recorder.close()
    log.info(Event.STOPPED, "Recorder stopped")
    return code


def _when_told_to_end(end: Callable[[], None]) -> None:
    """Call ``end``, and nothing that was given before, once a signal or the end of the supervisor tells us to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    watch_parent(end)


def _end(recorder: Recorder, stopping: asyncio.Event) -> None:
    recorder.ending = True
    stopping.set()


def _tell(error: Exception) -> None:
    """Say in one line what a person can mend, and everything about a fault of ours."""
    if isinstance(error, StoreError | SpoolError | BusyError | OSError):
        log.error(Event.CRASHED, "Recorder cannot work: %s", error, error=type(error).__name__)
    else:
        log.error(Event.CRASHED, "Recorder failed", exc_info=error, error=type(error).__name__)


async def _open(recorder: Recorder) -> None:
    """Open the database, and once more after each loss of it."""
    while True:
        await recorder.open()
        await recorder.guard.adopted.wait()
        recorder.guard.adopted.clear()


async def _beat(writer: asyncio.StreamWriter) -> None:
    """Tell the prober that we live, also while the database keeps us waiting."""
    while True:
        writer.write(to_prober(RecorderAlive()))
        await asyncio.sleep(BEAT_EVERY_S)


async def _first(inbox: Inbox[FromProber], stopping: asyncio.Event) -> Settled | None:
    """Return what the prober says is in force; None when it goes without a word, or we are to end."""
    hearing, stop = asyncio.create_task(inbox.receive()), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({hearing, stop}, return_when=asyncio.FIRST_COMPLETED)
        message = hearing.result() if hearing.done() else None
        return heard(message) if isinstance(message, Configured) else None
    except FrameError as error:
        log.error(Event.BAD_FRAME, "Prober sent %s", error)
        return None
    finally:
        hearing.cancel()
        stop.cancel()


async def announce(recorder: Recorder, news: asyncio.Event) -> None:
    """Put each new catalogue in force, until cancelled.

    Not before the database is up to date: one that has no tables yet looks like one that is damaged.
    """
    while True:
        await news.wait()
        await recorder.opened.wait()
        news.clear()
        await _tried("publish", recorder, recorder.publish)
        await _tried("share", recorder, recorder.share)


async def _intake(
    recorder: Recorder, inbox: Inbox[FromProber], writer: asyncio.StreamWriter, news: asyncio.Event
) -> None:
    """Take frames until the prober is gone; a batch is acknowledged when it is safe."""
    try:
        while (message := await inbox.receive()) is not None:
            await _take(recorder, message)
            match message:
                case Batch(number):
                    writer.write(to_prober(Ack(number)))
                    with suppress(ConnectionError):
                        await writer.drain()
                case Configured():
                    tell_reloaded(log, recorder.config)
                    news.set()
                case ProberAlive() | Refused():
                    pass
                case _:
                    assert_never(message)
    except FrameError as error:
        log.error(Event.BAD_FRAME, "Prober sent %s", error)
    if not recorder.ending:
        log.warning(Event.PEER_DISCONNECTED, "Prober disconnected; restarting")


async def _take(recorder: Recorder, message: FromProber) -> None:
    """Take one message, however long database and disk refuse it."""
    while True:
        try:
            await recorder.on_frame(message)
            return
        except OSError as error:
            # Neither database nor spool: the prober keeps what is not acknowledged, up to its own bound.
            recorder.counters.failures.labels("spool").inc()
            recorder.seen.kept = Kept.NOWHERE
            why = error.strerror or type(error).__name__
            log.error(Event.NOTHING_STORED, "Results can be stored nowhere, retrying: %s", why, error=why)
            await asyncio.sleep(RETRY_S)


def alert_intake(recorder: Recorder, environ: Mapping[str, str] = os.environ) -> AlertIntake | None:
    """Return what takes Alertmanager's messages; None while no token is set."""
    token = environ.get(WEBHOOK_TOKEN, "")
    if not token:
        return None

    async def take_in(document: object) -> str:
        if not recorder.opened.is_set():
            raise StoreError("the database is not open yet")
        done = await recorder.database(flow.take_in, recorder.engine, document, clock.now())
        if done.left_out:
            text = "Ignored %d alerts of Alertmanager: too many are open"
            log.warning(Event.ALERTS_LEFT_OUT, text, done.left_out, count=done.left_out)
        return f"{done.taken} alerts taken, {done.left_out} left out"

    return AlertIntake(token, take_in, (StoreError, DBAPIError))


def chores(recorder: Recorder) -> dict[str, tuple[float, Callable[[], Awaitable[None]]]]:
    """Return everything that is done again and again: name → seconds between two times, and what is done."""
    return {
        "share": (SHARE_EVERY_S, recorder.share),
        "share_out": (0.0, recorder.shared_out),
        "replay": (REPLAY_EVERY_S, recorder.replay),
        "quarantine": (HELD_EVERY_S, recorder.try_held),
        "sign_of_life": (CHECK_IN_EVERY_S, recorder.sign_of_life),
        "sweep": (SWEEP_EVERY_S, recorder.sweep),
        "snapshot": (SNAPSHOT_EVERY_S, recorder.look_around),
        "roll_up": (ROLL_UP_EVERY_S, recorder.roll_up),
        "prune": (PRUNE_EVERY_S, recorder.prune),
        "delivery": (LEASE_EVERY_S, recorder.dispatcher.step),
    }


async def _again(
    name: str, period_s: float, chore: Callable[[], Awaitable[None]], recorder: Recorder, *, at_once: bool = False
) -> None:
    if not at_once:
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
        recorder.contact.failed(name, kind_of(error))
    except OSError as error:
        recorder.counters.failures.labels(name).inc()
        log.error(Event.CHORE_FAILED, "Chore %s failed: %s", name, error, error=type(error).__name__)
    except Exception:
        recorder.counters.failures.labels(name).inc()
        log.exception(Event.CHORE_FAILED, "Chore %s failed", name)
    else:
        recorder.contact.answered(name)


def main(descriptor: int, database: str) -> int:
    """Run the recorder."""
    # Both processes get the signal; the prober reads the configuration and sends it on.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with asyncio.Runner() as runner:
        try:
            return runner.run(run(descriptor, database))
        except (StoreError, SpoolError, BusyError, OSError) as error:
            _tell(error)
            return 1
