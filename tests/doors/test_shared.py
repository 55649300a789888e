"""Several real workers over one PostgreSQL: shared probes, takeover, fencing, outages of the database."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, select

from monitor import clock, flow
from monitor.config import Config, load
from monitor.core.health import ProbeState, new_probe_state, step
from monitor.core.model import Outcome, Reason, Result
from monitor.core.schedule import slot, ticks_between
from monitor.sharing import LEASE_S, SHARE_EVERY_S
from monitor.simulator import serve
from monitor.store import reads, tables
from monitor.store.engine import begin, migrate, open_engine
from monitor.store.leases import PRESENCE
from monitor.store.states import load_state
from monitor.store.tables import table
from tests.doors.running import KEY, Worker, worker
from tests.edges.databases import Server, private_server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

PLACES = ("berlin", "tokyo")
PROBES = (
    """\
allow_networks: [127.0.0.0/8]
listen: {{metrics: "127.0.0.1:{metrics}"}}
locations: [berlin, tokyo]
policies: {{default: {{recovery_window: 2s}}}}
services:
  - id: sim
    name: Simulated
    components:
      - {{id: web, name: Web chat, kind: web}}
      - {{id: api, name: API, kind: api}}
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
)


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


async def shared(engine: Engine, location: str, workers: int, limit_s: float = 40.0) -> None:
    """Wait until so many workers hold all probes of a location, none of them more than its share."""
    end_s = clock.monotonic() + limit_s
    while True:
        held = await asyncio.to_thread(owners, engine, location)
        if len(held) == workers and "" not in held and max(held.values()) == 6 // workers:
            return
        assert clock.monotonic() < end_s, f"{location}: {held} after {limit_s} s"
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


def verdicts_are_those_of_one_worker(engine: Engine, results: Sequence[Result], config: Config) -> None:
    """Fold what was recorded, alone and in order, and find the stored state of every probe and place."""
    policies = {probe.id: probe.policy for probe in config.catalogue.probes}
    folded: dict[tuple[str, str], ProbeState] = {}
    for result in sorted(results, key=lambda result: (result.run.tick, result.run.attempt)):
        key = (result.run.probe, result.run.location)
        before = folded.get(key) or new_probe_state(*key)
        folded[key] = step(before, result, policies[result.run.probe])
    with begin(engine) as connection:
        rows = connection.execute(select(table(tables.Series))).all()
    stored = {(r.probe, r.location): load_state(r.state, r.probe, r.location, r.tick_us, r.attempt) for r in rows}
    for key, state in folded.items():  # words that no evidence was kept of are not stored with every look
        assert replace(stored[key], detail="", last_detail="") == replace(state, detail="", last_detail="")
    assert stored.keys() >= folded.keys()


def alone(home: Path, results: Sequence[Result], config: Config) -> list[tuple[str, str, object]]:
    """Record everything again as a single worker would, and return its incidents."""
    engine = open_engine(f"sqlite:///{home / 'alone.db'}")
    migrate(engine)
    flow.publish_catalogue(engine, config.catalogue, min(r.started_at for r in results))
    for result in sorted(results, key=lambda r: (r.started_at + timedelta(seconds=r.duration_s), r.run.attempt)):
        flow.record(engine, [result], result.started_at + timedelta(seconds=result.duration_s))
    found = incidents(engine)
    engine.dispose()
    return found


def incidents(engine: Engine) -> list[tuple[str, str, object]]:
    found = reads.incidents(engine, public=False)
    return [(item.service, str(item.cause), item.started_at) for item in found]


def test_four_workers_in_two_places_survive_kills_and_stops_and_judge_as_one(tmp_path: Path, server: Server) -> None:
    database = server.create()
    engine = open_engine(database)
    migrate(engine)

    async def play() -> None:
        async with (
            serve() as vendor,
            crew(tmp_path, vendor.url, database, ["berlin", "berlin", "tokyo", "tokyo"]) as crewed,
        ):
            for place in PLACES:
                await shared(engine, place, 2)
            stopped, doomed = pids(crewed[1]), pids(crewed[3])
            send(crewed[0].children().values(), signal.SIGKILL)  # a pair: its supervisor starts the next one
            send(stopped, signal.SIGSTOP)
            send(doomed, signal.SIGKILL)
            await asyncio.sleep(LEASE_S / 2)
            vendor.set(chat={"fault": "status", "status": 503})
            for place in PLACES:
                await shared(engine, place, 1, LEASE_S + 2 * SHARE_EVERY_S)
            send(stopped, signal.SIGCONT)
            vendor.set(chat={"fault": "none"})
            await shared(engine, "berlin", 2)
            await asyncio.sleep(3)
            assert [await one.stop() for one in crewed[:3]] == [0, 0, 0]

    asyncio.run(play())
    results = list(reads.results(engine))
    config = load(tmp_path / "tokyo-2" / "probes.yaml", {"SIM_KEY": KEY}, "tokyo")
    lost = every_tick_once(results, config, PLACES)
    assert sum(lost.values()) > 0
    assert max(lost.values()) <= (LEASE_S + 3 * SHARE_EVERY_S) / 2 + 2
    verdicts_are_those_of_one_worker(engine, results, config)
    assert {r.reason for r in results if r.run.probe.startswith("page")} <= {Reason.OK, Reason.NOT_RUNNING, Reason.LATE}
    found = incidents(engine)
    assert len(found) == 1
    assert found == alone(tmp_path, results, config)
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
            await asyncio.sleep(3)
            with psycopg.connect(database, autocommit=True) as connection:
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                connection.execute(f"{ended} AND pid <> pg_backend_pid()")
            await asyncio.sleep(3)
            await asyncio.to_thread(server.stop)
            try:
                await asyncio.sleep(6)
                assert await one.metric("chatwatch_spooled_results") != 0
            finally:
                await asyncio.to_thread(server.start)
            await one.until("chatwatch_spooled_results", lambda value: value == 0)
            await asyncio.sleep(3)
            assert await one.stop() == 0

    asyncio.run(play())
    results = list(reads.results(engine))
    config = load(tmp_path / "berlin-0" / "probes.yaml", {"SIM_KEY": KEY}, "berlin")
    assert sum(every_tick_once(results, config, ["berlin"]).values()) == 0
    assert {result.outcome for result in results} <= {Outcome.OK, Outcome.SLOW}
    assert reads.incidents(engine, public=False) == ()
    verdicts_are_those_of_one_worker(engine, results, config)
    engine.dispose()
