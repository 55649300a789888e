"""Several real workers over one PostgreSQL: shared probes, takeover, fencing, outages of the database."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import Engine, select

from monitor import clock, flow
from monitor.config.load import Config, load
from monitor.core.checks.probe_state import ProbeState
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.schedule import slot, ticks_between
from monitor.simulator.play import serve
from monitor.store import reads, tables
from monitor.store.connection.engine import begin, open_engine
from monitor.store.leases import PRESENCE
from monitor.store.probe_memory import load_memories
from monitor.store.tables import table
from monitor.store.transaction.states import load_state
from monitor.store.upgrade import migrate
from tests.doors.running import KEY, Worker, worker
from tests.edges.databases import Server, private_server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

PLACES = ("berlin", "tokyo")
INTERVAL_S = 2
AT_HANDOVERS = 4
"""Ticks that a probe may lose besides: at each of two handovers the look not recorded yet, and the first after."""
PROBES = (
    """\
allow_networks: [127.0.0.0/8]
listen: {{metrics: "127.0.0.1:{metrics}"}}
locations: [berlin, tokyo]
policies:
  default: {{recovery_window: 2s, shortest_outage: 1s, failure_ratio: 0.45, false_pages_per_year: 1000}}
services:
  - id: sim
    name: Simulated
    components:
      - {{id: web, name: Web chat, kind: web}}
      - {{id: api, name: API, kind: api}}
      - {{id: backup, name: Backup}}
    probes:
"""
    + "".join(
        f"      - {{{{id: page{n}, component: web, kind: http, interval: 2s, timeout: 1s,"
        ' options: {{url: "{url}/"}}}}\n'
        for n in range(4)
    )
    + "".join(
        f"      - {{{{id: chat{n}, component: api, kind: chat, interval: 2s, timeout: 2s,"
        ' options: {{base_url: "{url}/v1", model: simulated, key: "${{SIM_KEY}}"}}}}\n'
        for n in range(2)
    )
    + """\
      - id: job
        component: backup
        kind: heartbeat
        interval: 2s
        timeout: 1s
        options: {{name: backup, every_s: 1h, token: "${{SIM_KEY}}"}}
"""
)
LEASES = 7
"""Probes of a place."""


@pytest.fixture
def server() -> Iterator[Server]:
    with private_server() as started:
        yield started


@asynccontextmanager
async def crew(home: Path, url: str, database: str, places: Sequence[str]) -> AsyncIterator[list[Worker]]:
    """Run a worker per place, each in a directory of its own."""
    async with AsyncExitStack() as stack:
        found = []
        for number, place in enumerate(places):
            (own := home / f"{place}-{number}").mkdir()
            made = worker(own, url, probes=PROBES, database=database, location=place)
            found.append(await stack.enter_async_context(made))
        yield found


def pids(one: Worker) -> list[int]:
    return [one.process.pid, *one.children().values()]


def send(targets: Iterable[int], number: signal.Signals) -> None:
    for pid in targets:
        os.kill(pid, number)


def owners(engine: Engine, location: str) -> Counter[str]:
    """Return how many probes each worker of a location holds."""
    lease = table(tables.Lease)
    with begin(engine) as connection:
        rows = connection.execute(select(lease.c.probe, lease.c.owner).where(lease.c.location == location)).all()
    return Counter(row.owner for row in rows if not row.probe.startswith(PRESENCE))


def present(engine: Engine, location: str) -> set[str]:
    """Return the workers of a location that have a place: those that live, and those that died without a word."""
    lease = table(tables.Lease)
    with begin(engine) as connection:
        places = connection.scalars(select(lease.c.probe).where(lease.c.location == location))
        return {place.removeprefix(PRESENCE) for place in places if place.startswith(PRESENCE)}


async def shared(engine: Engine, location: str, workers: int, limit_s: float = 120.0) -> None:
    """Wait until so many workers hold all probes of a location, none of them more than its share."""
    end_s = clock.monotonic() + limit_s
    while True:
        held = await asyncio.to_thread(owners, engine, location)
        if len(held) == workers and "" not in held and max(held.values()) == -(-LEASES // workers):
            return
        assert clock.monotonic() < end_s, f"{location}: {held} after {limit_s} s"
        await asyncio.sleep(0.3)


async def report(to: Worker) -> None:
    """Let a job report in at one of the workers."""
    async with httpx.AsyncClient() as client:
        address = f"http://127.0.0.1:{to.port}/heartbeat/sim-job"
        assert (await client.post(address, headers={"Authorization": f"Bearer {KEY}"})).status_code == 202


async def opened(engine: Engine, limit_s: float = 120.0) -> None:
    """Wait until there is an incident."""
    end_s = clock.monotonic() + limit_s
    while not await asyncio.to_thread(incidents, engine):
        assert clock.monotonic() < end_s, f"no incident after {limit_s} s"
        await asyncio.sleep(0.3)


def every_tick_once(results: Sequence[Result], config: Config, places: Sequence[str]) -> dict[tuple[str, str], int]:
    """Assert that each tick of each probe and place has one record; returns how many of them were missed."""
    assert len({result.run for result in results}) == len(results)
    lost: dict[tuple[str, str], int] = {}
    for probe in config.catalogue.probes:
        for place in places:
            mine = [r for r in results if (r.run.probe, r.run.location, r.run.attempt) == (probe.id, place, 1)]
            ticks = sorted(result.run.tick for result in mine)
            offset_s = slot(probe.id, probe.interval_s)
            wanted = list(ticks_between(probe.interval_s, offset_s, ticks[0] - timedelta(microseconds=1), ticks[-1]))
            assert ticks == wanted, (probe.id, place)
            lost[probe.id, place] = sum(result.outcome is Outcome.MISSED for result in mine)
    return lost


def verdicts_are_those_of_one_worker(
    home: Path, engine: Engine, results: Sequence[Result], config: Config
) -> list[tuple[str, str, object]]:
    """Record everything again in a database of one worker and find the same course of every verdict and incident.

    Returns the incidents. While a place is silent the verdict also hangs on when a sweep noticed it, which no look
    tells: so a service should not change while nobody looks at it.
    """
    single = open_engine(f"sqlite:///{home / 'single.db'}")
    migrate(single)
    flow.publish_catalogue(single, config.catalogue, min(r.started_at for r in results))
    for result in results:  # in the order in which the workers recorded them
        flow.record(single, [result], result.started_at + timedelta(seconds=result.duration_s))
    assert states(single) == states(engine)
    assert course(single) == course(engine)
    found = incidents(single)
    assert found == incidents(engine)
    single.dispose()
    return found


def states(engine: Engine) -> dict[tuple[str, str], ProbeState]:
    """Return the state of every probe and place; words that no evidence was kept of are not stored with every look."""
    with begin(engine) as connection:
        rows = connection.execute(select(table(tables.Series)).where(table(tables.Series).c.tick_us > 0)).all()
    found = {(r.probe, r.location): load_state(r.state, r.probe, r.location, r.tick_us, r.attempt) for r in rows}
    return {key: replace(state, detail="", last_detail="") for key, state in found.items()}


def course(engine: Engine) -> dict[str, list[tuple[str, int]]]:
    """Return how each component's verdict went: every health with its start, from the first known one on."""
    span, component = table(tables.Span), table(tables.Component)
    found: dict[str, list[tuple[str, int]]] = {}
    with begin(engine) as connection:
        ended = select(span.c.component, span.c.health, span.c.start_us)
        going = select(component.c.id, component.c.health, component.c.span_us)
        rows = [tuple(row) for query in (ended, going) for row in connection.execute(query)]
    for name, health, start_us in sorted(rows, key=lambda row: (row[0], row[2])):
        steps = found.setdefault(name, [])
        if (steps or health != "unknown") and (not steps or steps[-1][0] != health):
            steps.append((health, start_us))
    return found


def incidents(engine: Engine) -> list[tuple[str, str, object]]:
    found = reads.incidents(engine, public=False)
    return [(item.service, str(item.cause), item.started_at) for item in found]


def nothing_is_spent_unseen(engine: Engine, results: Sequence[Result], config: Config) -> None:
    """Assert that the ledger that went from worker to worker holds at least all that was spent today."""
    today = clock.now().date()
    for probe in config.catalogue.probes:
        mine = [r for r in results if r.run.probe == probe.id and r.observation.chat and r.started_at.date() == today]
        for place, memory in ((p, load_memories(engine, p, [probe.id])) for p in PLACES if mine):
            timings = [r.observation.chat for r in mine if r.run.location == place and r.observation.chat]
            spent = sum((t.input_tokens or 0) + (t.output_tokens or 0) for t in timings)
            ledger = json.loads(memory[probe.id].body)["memory"]["ledger"]
            assert ledger["tokens"] >= spent > 0 or ledger["day"] != today.isoformat()


def test_four_workers_in_two_places_survive_kills_and_stops_and_judge_as_one(tmp_path: Path, server: Server) -> None:
    """A pair killed, a worker killed for good, one stopped in its looks and woken, one told to end.

    Meanwhile a vendor fails, and a job reports to one of the workers.
    """
    database = server.create()
    engine = open_engine(database)
    migrate(engine)

    async def play() -> float:
        async with (
            serve() as vendor,
            crew(tmp_path, vendor.url, database, ["berlin", "berlin", "tokyo", "tokyo"]) as crewed,
        ):
            for place in PLACES:
                await shared(engine, place, 2)
            await report(crewed[2])
            killed_s = clock.monotonic()
            send([crewed[1].children()["recorder"]], signal.SIGSTOP)
            send(crewed[0].children().values(), signal.SIGKILL)  # a pair: its supervisor starts the next one
            send(pids(crewed[3]), signal.SIGKILL)
            await asyncio.sleep(2 * INTERVAL_S)  # looks of the other's prober wait for its recorder
            send(stopped := pids(crewed[1]), signal.SIGSTOP)
            for place in PLACES:
                await shared(engine, place, 1)
            alone_s = clock.monotonic() - killed_s
            vendor.set(chat={"fault": "status", "status": 503})
            await opened(engine)
            send(stopped, signal.SIGCONT)
            await crewed[1].until("chatwatch_results_refused_total", bool)
            vendor.set(chat={"fault": "none"})
            await shared(engine, "berlin", 2)
            two = set(owners(engine, "berlin"))
            told_s = clock.monotonic()
            crewed[0].process.send_signal(signal.SIGTERM)
            await shared(engine, "berlin", 1)
            alone_s += clock.monotonic() - told_s
            await asyncio.sleep(INTERVAL_S)
            assert [await crewed[0].process.wait(), await crewed[1].stop(), await crewed[2].stop()] == [0, 0, 0]
            assert not two & present(engine, "berlin"), "given back, not run out"
            return alone_s

    alone_s = asyncio.run(play())
    results = list(reads.results(engine))
    config = load(tmp_path / "tokyo-2" / "probes.yaml", {"SIM_KEY": KEY}, "tokyo")
    lost = every_tick_once(results, config, PLACES)
    assert sum(lost.values()) > 0
    gone = Counter((r.run.probe, r.run.location) for r in results if r.reason is Reason.NOT_RUNNING)
    assert max(gone.values()) <= alone_s / INTERVAL_S + AT_HANDOVERS, "only while nobody had taken them over"
    assert {r.reason for r in results if r.run.probe.startswith("page")} <= {Reason.OK, Reason.NOT_RUNNING, Reason.LATE}
    assert len(verdicts_are_those_of_one_worker(tmp_path, engine, results, config)) == 1
    nothing_is_spent_unseen(engine, results, config)
    heard = {r.run.location for r in results if r.run.probe == "sim-job" and r.reason is Reason.OK}
    assert heard == set(PLACES)  # the report counts wherever it arrived
    engine.dispose()


def test_an_outage_of_the_database_is_bridged_on_disk_and_nobody_is_paged_for_it(
    tmp_path: Path, server: Server
) -> None:
    database = server.create()
    engine = open_engine(database)
    migrate(engine)

    async def play() -> None:
        async with serve() as vendor, crew(tmp_path, vendor.url, database, ["berlin"]) as (one,):
            await shared(engine, "berlin", 1)
            await one.until('chatwatch_results_total{outcome="ok"', bool)
            with psycopg.connect(database, autocommit=True) as connection:
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                connection.execute(f"{ended} AND pid <> pg_backend_pid()")
            await asyncio.sleep(INTERVAL_S)
            await asyncio.to_thread(server.stop)
            try:
                await one.until("chatwatch_spooled_results", bool)
                await asyncio.sleep(INTERVAL_S)
            finally:
                await asyncio.to_thread(server.start)
            await one.until("chatwatch_spooled_results", lambda value: value == 0)
            await asyncio.sleep(INTERVAL_S)
            assert await one.stop() == 0

    asyncio.run(play())
    results = list(reads.results(engine))
    config = load(tmp_path / "berlin-0" / "probes.yaml", {"SIM_KEY": KEY}, "berlin")
    assert sum(every_tick_once(results, config, ["berlin"]).values()) == 0
    looks = {result.outcome for result in results if result.run.probe != "sim-job"}
    assert looks <= {Outcome.OK, Outcome.SLOW}
    assert verdicts_are_those_of_one_worker(tmp_path, engine, results, config) == []
    engine.dispose()
