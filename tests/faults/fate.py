"""A month in minutes: faults strike at random, and a real recorder, its spool and its SQLite file live through them.

The wall clock jumps from tick to tick; each look is a real one at a simulated vendor on loopback, and what the recorder
does again and again is done between them. Two strokes of fate are drawn independently: the vendors' and our own.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine

from monitor import clock
from monitor.config.load import Config, load
from monitor.core.checks import pace
from monitor.core.checks.pace import Pace
from monitor.core.codec import dumps_result
from monitor.core.model.observations import Result, RunId
from monitor.core.model.reasons import Outcome, Reason
from monitor.prober.grid import Grid, missed
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.process import _tried
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.recorder import Recorder
from monitor.runtime.messages import Batch, ProberAlive
from monitor.runtime.places import quarantine_home, spool_directory
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from monitor.store import reads
from monitor.store.backup import restore
from monitor.store.connection.engine import open_engine
from monitor.store.reads.views import IncidentView
from monitor.wire import Wire
from tests.doors.running import KEY
from tests.faults.plugs import HARMS, copied

T0 = datetime(2026, 3, 1, tzinfo=UTC)
EVERY = timedelta(minutes=30)
HOUR = timedelta(hours=1)
CHANCE = 1 / 30
"""Of a fault to begin at a step, once for the vendors and once for us."""
QUIET_END = timedelta(hours=14)
"""Nothing begins so near the end, so that all can be mended and told."""
VENDORS = ("one", "two", "three")
HEAD = 'allow_networks: [127.0.0.0/8]\nchannels: {{hook: {{kind: webhook, url: "${{SIM_HOOK}}"}}}}\nservices:\n'
TAIL = "routes: [{id: all, channels: [hook], severities: [page, ticket, info]}]\n"
SERVICE = """\
  - id: {name}
    name: Vendor {name}
    components: [{{id: web, name: Web}}, {{id: api, name: API}}]
    probes:
      - {{id: page, component: web, kind: http, interval: 30m, timeout: 2s, options: {{url: "{url}/"}}}}
      - id: chat
        component: api
        kind: chat
        interval: 30m
        timeout: 2s
        options: {{base_url: "{url}/v1", model: simulated, key: "${{SIM_KEY}}"}}
"""
THEIRS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reset before the headers", {"fault": "reset"}),
    ("a status line that is none", {"fault": "garbage"}),
    ("3 bytes of a promised 100", {"fault": "short_body"}),
    ("8 MB of zeros in a small body", {"fault": "gzip_bomb"}),
    ("one header of 8 MB", {"fault": "huge_header"}),
    ("503", {"fault": "status", "status": 503}),
    ("every other look fails", {"fault": "status", "status": 500, "every": 2}),
    ("port closed", {}),
)


@dataclass
class Struck:
    """A fault that was played: at whom, from when to when, and when it was noticed by whatever tells of it."""

    fault: str
    service: str
    start: datetime
    end: datetime
    noticed: datetime | None = None
    mended: bool = False


@dataclass
class Month:
    """The state of the play."""

    home: Path
    config: Config
    vendors: dict[str, Vendor]
    receiver: Vendor
    traveller: time_machine.Traveller
    end: datetime
    rng: random.Random = field(default_factory=lambda: random.Random(11))
    struck: list[Struck] = field(default_factory=list)
    ours: list[Struck] = field(default_factory=list)
    sent: dict[RunId, Outcome] = field(default_factory=dict)
    """Everything that the recorder acknowledged."""
    paces: dict[str, Pace] = field(default_factory=dict)
    memories: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: int = 0
    restored: bool = False
    """A backup was put back, and the recorder has not taken it yet."""
    backed_up_at: datetime = T0
    given_up: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From each backup that was put back to the damage: what came between and was proven is gone."""

    @property
    def url(self) -> str:
        """Address of the database."""
        return f"sqlite:///{self.file}"

    @property
    def file(self) -> Path:
        """The database."""
        return self.home / "month.db"

    def recorder(self) -> Recorder:
        """Return a new recorder, as a worker that starts makes one."""
        settled, seen = self.config.settled(), Seen(clock.now)
        location = settled.settings.location
        spool, held = Spool(spool_directory(self.url, location)), Quarantine(quarantine_home(self.url) / location)
        made = Recorder(settled, open_engine(self.url), spool, held, seen, registry_for(seen)[1])
        made.apply(settled)
        return made


async def seen_at(month: Month, wire: Wire, name: str, tick: datetime) -> list[Result]:
    """Look at a tick, and again as long as the pace asks for it; the clock goes on between."""
    probe = next(probe for probe in month.config.catalogue.probes if probe.id == name)
    kind, run, found = KINDS[probe.kind], RunId(name, month.config.settings.location, tick), list[Result]()
    while True:
        at, began_s, memory = clock.now(), clock.monotonic(), month.memories.setdefault(name, {})
        context = Context(wire, run.location, probe.timeout_s, run.attempt, at, month.rng, memory)
        observation = await look(kind, month.config.looks[name], context)
        found.append(Result(run, at, clock.monotonic() - began_s, observation))
        elapsed_s = (at - tick).total_seconds() + found[-1].duration_s
        known, pause_s = pace.after(month.paces.get(name, pace.START), probe, found[-1], elapsed_s)
        month.paces[name] = known
        if pause_s is None:
            return found
        month.traveller.shift(pause_s)
        run = replace(run, attempt=run.attempt + 1)


async def hand_over(month: Month, recorder: Recorder, results: list[Result]) -> None:
    """Give results to the recorder and note what it acknowledged."""
    month.batches += 1
    await recorder.on_frame(Batch(month.batches, lines=tuple(dumps_result(result) for result in results)))
    month.sent.update({result.run: result.outcome for result in results})
    _notice(month, recorder)


def _notice(month: Month, recorder: Recorder) -> None:
    """Note when the recorder came upon what was done to its database."""
    if recorder.guard.lost and month.ours and month.ours[-1].noticed is None and month.ours[-1].fault in dict(HARMS):
        month.ours[-1].noticed = clock.now()


async def keep_house(recorder: Recorder, step: int) -> None:
    """Do what the recorder does again and again, at the pace of the story."""
    await _tried("proof", recorder, recorder.guard.step)
    if recorder.guard.adopted.is_set():
        recorder.guard.adopted.clear()
        await recorder.open()
    if not recorder.opened.is_set():
        return
    await _tried("replay", recorder, recorder.replay)
    await _tried("sign_of_life", recorder, recorder.sign_of_life)
    await _tried("sweep", recorder, recorder.sweep)
    await _tried("delivery", recorder, recorder.dispatcher.step)
    if step % 4 == 0 and not recorder.guard.lost:
        await _tried("roll_up", recorder, recorder.roll_up)
        await _tried("snapshot", recorder, recorder.look_around)


async def vendors_fate(month: Month) -> None:
    """Let a fault of a vendor begin or end, by the dice."""
    now = clock.now()
    for one in month.struck:
        if not one.mended and one.end <= now:
            one.mended = True
            month.vendors[one.service].set("", web={"fault": "none"}, chat={"fault": "none"})
            if one.fault == "port closed" and not _offline(month):
                await month.vendors[one.service].listen()
    going = any(not one.mended for one in month.struck)
    if going or month.rng.random() > CHANCE or now < T0 + HOUR or now > month.end - QUIET_END:
        return
    fault, trouble = month.rng.choice(THEIRS)
    service = month.rng.choice(VENDORS)
    length = EVERY * month.rng.randint(3, 8)
    month.struck.append(Struck(fault, service, now, now + length))
    if trouble:
        month.vendors[service].set("", web=trouble, chat=trouble)
    elif not _offline(month):
        await month.vendors[service].refuse()


def _offline(month: Month) -> bool:
    return any(one.fault == "own network lost" and not one.mended for one in month.ours)


async def our_fate(month: Month, recorder: Recorder) -> Recorder:
    """Let something happen to us, by the dice; returns the recorder that goes on."""
    now = clock.now()
    if month.ours and not month.ours[-1].mended:
        await _mend(month, recorder, month.ours[-1])
        return recorder
    if month.rng.random() > CHANCE or now < T0 + HOUR or now > month.end - QUIET_END:
        return recorder
    kinds = [fault for fault, _ in HARMS] + ["worker away", "machine asleep", "own network lost", "receiver away"]
    fault = kinds[len(month.ours) % len(kinds)] if len(month.ours) < len(kinds) else month.rng.choice(kinds)
    length = EVERY * month.rng.randint(2, 12)
    month.ours.append(Struck(fault, "", now, now + length))
    if harm := dict(HARMS).get(fault):
        harm(month.file)
    elif fault == "worker away":
        await recorder.close()
        month.traveller.shift(length.total_seconds())
        recorder = month.recorder()
        await recorder.on_frame(ProberAlive(since=clock.now()))
        await recorder.open()
        month.ours[-1].noticed = clock.now()
    elif fault == "machine asleep":
        month.traveller.shift(length.total_seconds())
        month.ours[-1].noticed = clock.now()
    elif fault == "own network lost":
        for vendor in month.vendors.values():
            await vendor.refuse()
    else:
        await month.receiver.refuse()
    return recorder


async def _mend(month: Month, recorder: Recorder, stroke: Struck) -> None:
    """Note when we noticed, and undo what was done once it is over."""
    lost, over = recorder.guard.lost, stroke.end <= clock.now()
    if stroke.fault in dict(HARMS):
        _notice(month, recorder)
        if over and lost and not month.restored:
            source = recorder.guard.rescued or month.file.with_name("older.db")
            if recorder.guard.rescued is None:
                month.given_up.append((month.backed_up_at, stroke.start))
            await asyncio.to_thread(restore, source, month.url, replace=True)
            month.restored = True
        stroke.mended = over and not lost
        month.restored = month.restored and not stroke.mended
        return
    stroke.mended = over
    if not over:
        return
    if stroke.fault == "own network lost":
        refused = {one.service for one in month.struck if one.fault == "port closed" and not one.mended}
        for name in month.vendors.keys() - refused:
            await month.vendors[name].listen()
    elif stroke.fault == "receiver away":
        await month.receiver.listen()


async def play(month: Month) -> Recorder:
    """Let the month pass."""
    recorder = month.recorder()
    wire = Wire(allow_networks=month.config.settings.allow_networks)
    await recorder.on_frame(ProberAlive(since=clock.now()))
    await recorder.open()
    grids = {probe.id: Grid(probe) for probe in month.config.catalogue.probes}
    last = {name: grid.latest(clock.now()) for name, grid in grids.items()}
    due = [(grid.get_next_fire_time(None, clock.now()), name) for name, grid in grids.items()]
    heapq.heapify(due)
    step = T0
    while due[0][0] < month.end:
        tick, name = heapq.heappop(due)
        if tick > clock.now():
            month.traveller.move_to(tick)
        if tick >= step + EVERY:
            step = tick
            await recorder.on_frame(ProberAlive(since=recorder.started_at))
            await keep_house(recorder, int((step - T0) / EVERY))
            await vendors_fate(month)
            recorder = await our_fate(month, recorder)
            if not recorder.guard.lost and all(one.mended for one in month.ours) and month.rng.random() < 1 / 3:
                month.backed_up_at = clock.now()
                await asyncio.to_thread(copied, month.url, month.file.with_name("older.db"))
        newest = grids[name].latest(clock.now())
        gone = [] if newest < recorder.started_at else grids[name].between(max(last[name], recorder.started_at), newest)
        results = [missed(RunId(name, month.config.settings.location, one), Reason.LATE) for one in gone]
        if newest > last[name] and newest > recorder.started_at:
            results += await seen_at(month, wire, name, newest)
        last[name] = max(newest, last[name])
        if results:
            await hand_over(month, recorder, results)
        heapq.heappush(due, (grids[name].get_next_fire_time(last[name], clock.now()), name))
    for _ in range(3):
        month.traveller.shift(EVERY.total_seconds())
        await keep_house(recorder, 0)
    await wire.aclose()
    return recorder


async def run(home: Path, days: int) -> tuple[Month, list[Result], list[IncidentView]]:
    async with AsyncExitStack() as stack:
        vendors = {name: await stack.enter_async_context(serve()) for name in VENDORS}
        receiver = await stack.enter_async_context(serve())
        for vendor in vendors.values():
            vendor.set("", latency_s=0.0, ttft_s=0.0, chunk_gap_s=0.0)
        services = "".join(SERVICE.format(name=name, url=vendor.url) for name, vendor in vendors.items())
        path = home / "probes.yaml"
        path.write_text(HEAD.format() + services + TAIL)
        config = load(path, {"SIM_KEY": KEY, "SIM_HOOK": f"{receiver.url}/_inbox"}, None)
        traveller = stack.enter_context(time_machine.travel(T0, tick=False))
        month = Month(home, config, vendors, receiver, traveller, T0 + timedelta(days=days))
        recorder = await play(month)
        await recorder.close()
        engine = open_engine(month.url, read_only=True)
        results, incidents = list(reads.results(engine)), list(reads.incidents(engine, public=False, limit=10_000))
        engine.dispose()
        return month, results, incidents
