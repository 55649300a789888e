"""Children that are killed: a real recorder under the story's clock, a migration, a backup, a restore."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import time_machine

from monitor import clock, flow
from monitor.config.settled import Settled
from monitor.core.codec import dumps_result
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.schedule import next_tick, slot
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.recorder import Recorder
from monitor.runtime.messages import Batch, ProberAlive
from monitor.store.backup import backup, restore
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, readings
from tests.edges.killing import Pipe, Point, die_at

PROBES = ("ds-api", "oa-api", "ds-reg")
KEPT = timedelta(hours=2)
"""Raw results older than this are pruned."""
FAILING = {"ds-api": (30, range(10, 16)), "oa-api": (40, range(20, 24))}


def story(minute: int) -> list[Result]:
    """Return the looks of a minute, each on its probe's own second; in turns something fails."""
    results = []
    for probe in PROBES:
        tick = next_tick(60, slot(probe, 60), T0 + minute * MINUTE)
        period, bad = FAILING.get(probe, (60, range(0)))
        if probe == "ds-reg":
            way = Registration.RESTRICTED if minute % 60 in range(30, 45) else Registration.OPEN
            results.append(look(probe, tick, registration=readings(email=way)))
        elif minute % period in bad:
            results += [look(probe, tick, Reason.SERVER_ERROR), look(probe, tick, Reason.SERVER_ERROR, 2)]
        else:
            results.append(look(probe, tick))
    return results


def taken_at(minute: int) -> datetime:
    """Return when the looks of a minute reach the recorder."""
    return T0 + (minute + 1) * MINUTE + timedelta(seconds=1)


def frame(minute: int, results: Sequence[Result]) -> Batch:
    return Batch(minute, lines=tuple(dumps_result(result) for result in results))


def record(
    pipe: Pipe, point: Point | None, times: int, url: str, spool: Path, first: int, many: int, closed: int
) -> None:
    """Take minutes from ``first`` on, the first ``closed`` of them before the database is open; says each taken one."""
    die_at(point, times)
    with time_machine.travel(T0 + first * MINUTE, tick=False) as traveller:
        asyncio.run(_record(pipe, traveller, url, spool, range(first, first + many), closed))


async def _record(
    pipe: Pipe, traveller: time_machine.Traveller, url: str, spool: Path, minutes: range, closed: int
) -> None:
    seen, config = Seen(clock.now), Settled(CATALOGUE)
    kept = Spool(spool, segment_bytes=2_000)
    quarantine = Quarantine(spool.with_name(f"{spool.name}-quarantine"))
    recorder = Recorder(config, open_engine(url), kept, quarantine, seen, registry_for(seen)[1])
    recorder.apply(config)
    await recorder.on_frame(ProberAlive(since=clock.now()))
    for minute in minutes:
        traveller.move_to(taken_at(minute))
        await recorder.on_frame(frame(minute, story(minute)))
        pipe.send(minute)
        if minute - minutes[0] + 1 < closed:
            continue
        if not recorder.opened.is_set():
            await recorder.open()
        await recorder.replay()
        await recorder.guard.step()
        traveller.move_to(taken_at(minute) + timedelta(seconds=1))
        await recorder.sweep()
        if minute % 3 == 2:
            await recorder.roll_up()
        if minute % 6 == 5:
            await recorder.aside(flow.prune, recorder.engine, clock.now(), results=KEPT)
    await recorder.close()


def move_schema(pipe: Pipe, point: Point | None, times: int, url: str) -> None:
    """Bring a database to the newest schema."""
    die_at(point, times)
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


def copy(pipe: Pipe, point: Point | None, times: int, url: str, target: Path) -> None:
    """Write a backup."""
    die_at(point, times)
    engine = open_engine(url)
    backup(engine, target)
    engine.dispose()


def put_back(pipe: Pipe, point: Point | None, times: int, source: Path, url: str) -> None:
    """Put a backup in place."""
    die_at(point, times)
    restore(source, url, replace=True)


def keep(pipe: Pipe, point: Point | None, times: int, directory: Path) -> None:
    """Append to a spool, three results at a time; says how many are kept."""
    die_at(point, times)
    spool = Spool(directory, segment_bytes=3_000)
    for start in range(0, 100_000, 3):
        spool.append([look("ds-api", T0 + number * MINUTE) for number in range(start, start + 3)])
        pipe.send(start + 3)
