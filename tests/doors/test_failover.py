"""A PostgreSQL with a standby: the primary is killed with its newest moments, the standby takes over."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from monitor.config.load import load
from monitor.core.model.reasons import Outcome
from monitor.simulator.play import serve
from monitor.store import reads
from monitor.store.backup import backup, restore
from monitor.store.connection.engine import StoreError, open_engine
from monitor.store.upgrade import migrate
from tests.doors.running import KEY
from tests.doors.test_shared import INTERVAL_S, crew, every_tick_once, shared
from tests.edges.databases import Server, private_server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary and a standby that follows it."""
    with private_server() as primary, private_server(primary) as standby:
        yield primary, standby


def both(pair: tuple[Server, Server], database: str, spelling: str) -> str:
    """Return the address of a database on either server, the standby named first."""
    name, (primary, standby) = database.rsplit("/", 1)[1], pair
    first, second = f"127.0.0.1:{standby.port}", f"127.0.0.1:{primary.port}"
    return spelling.format(name=name, first=first, second=second, ports=f"{standby.port},{primary.port}")


def caught_up(pair: tuple[Server, Server]) -> None:
    """Wait until the standby holds what the primary has written so far."""
    primary, standby = pair
    with psycopg.connect(primary.url("postgres")) as connection:
        (written,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone() or ("0/0",)
    with psycopg.connect(standby.url("postgres"), autocommit=True) as connection:
        for _ in range(1200):
            if connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written]).fetchone() == (True,):
                return
            time.sleep(0.05)
    pytest.fail("the standby does not follow")


SPELLINGS = (
    "postgresql://chatwatch@{first},{second}/{name}?target_session_attrs=read-write",
    "postgres://chatwatch@{first},{second}/{name}?target_session_attrs=primary",
    "postgresql+psycopg://chatwatch@{first},{second}/{name}",
    "postgresql://chatwatch@/{name}?host={first}&host={second}",
    "postgresql:///{name}?user=chatwatch&host=127.0.0.1,127.0.0.1&port={ports}",
    "host=127.0.0.1,127.0.0.1 port={ports} dbname={name} user=chatwatch target_session_attrs='read-write'",
)


def test_every_spelling_of_two_servers_leads_to_the_one_that_can_be_written_to(
    pair: tuple[Server, Server], tmp_path: Path
) -> None:
    for number, spelling in enumerate(SPELLINGS):
        address = both(pair, pair[0].create(), spelling)
        caught_up(pair)
        for read_only in (False, True):
            engine = open_engine(address, read_only=read_only)
            if not read_only:
                migrate(engine)
            with engine.connect() as connection:
                assert not connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar(), spelling
            engine.dispose()
        copy = tmp_path / f"{number}.dump"
        engine = open_engine(address)
        backup(engine, copy)
        engine.dispose()
        assert restore(copy, address, replace=True) is not None


def test_a_reader_takes_a_standby_where_that_is_asked_for_or_nothing_else_is_there(pair: tuple[Server, Server]) -> None:
    primary = pair[0]
    database = primary.create()
    caught_up(pair)
    for wanted in ("standby", "prefer-standby", "read-only"):
        engine = open_engine(both(pair, database, SPELLINGS[2]) + f"?target_session_attrs={wanted}", read_only=True)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar(), wanted
        engine.dispose()
        with pytest.raises(StoreError, match="take no writes: use read-write"):
            open_engine(both(pair, database, SPELLINGS[2]) + f"?target_session_attrs={wanted}")
    primary.stop()
    engine = open_engine(both(pair, database, SPELLINGS[2]), read_only=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar()
    engine.dispose()


def test_no_tick_is_lost_or_doubled_when_the_primary_is_killed_and_the_standby_lacks_its_newest_moments(
    pair: tuple[Server, Server], tmp_path: Path
) -> None:
    primary, standby = pair
    address = both(pair, primary.create(), "postgresql://chatwatch@{second},{first}/{name}")
    engine = open_engine(address)
    migrate(engine)
    lacking: list[int] = []

    async def play() -> None:
        async with serve() as vendor, crew(tmp_path, vendor.url, address, ["berlin", "berlin"]) as crewed:
            await shared(engine, "berlin", 2)
            await crewed[0].until('chatwatch_results_total{outcome="ok"', bool)
            with psycopg.connect(primary.url("postgres"), autocommit=True) as connection:
                (sender,) = connection.execute("SELECT pid FROM pg_stat_replication").fetchone() or (0,)
            os.kill(sender, signal.SIGSTOP)  # what is recorded from now on never reaches the standby
            await asyncio.sleep(2 * INTERVAL_S)
            with engine.connect() as connection:
                taken = connection.exec_driver_sql("SELECT count(*) FROM result").scalar() or 0
            await asyncio.to_thread(primary.kill)
            await asyncio.sleep(INTERVAL_S)
            await asyncio.to_thread(standby.promote)
            with psycopg.connect(standby.url(address.rsplit("/", 1)[1])) as connection:
                (held,) = connection.execute("SELECT count(*) FROM result").fetchone() or (0,)
            lacking.append(taken - held)
            for one in crewed:
                await one.until("chatwatch_spooled_results", lambda value: value == 0)
            await asyncio.sleep(2 * INTERVAL_S)
            assert [await one.stop() for one in crewed] == [0, 0]

    asyncio.run(play())
    results = list(reads.results(engine))
    config = load(tmp_path / "berlin-0" / "probes.yaml", {"SIM_KEY": KEY}, "berlin")
    assert lacking[0] > 0, "the standby took over without the newest results"
    assert sum(every_tick_once(results, config, ["berlin"]).values()) == 0
    assert {r.outcome for r in results if r.run.probe != "sim-job"} <= {Outcome.OK, Outcome.SLOW}
    engine.dispose()


def test_a_server_without_a_free_connection_costs_nothing(tmp_path: Path) -> None:
    with private_server() as server:
        admin = server.create()
        address = admin.replace("chatwatch@", "watcher@")

        def done(*statements: str) -> None:
            with psycopg.connect(admin, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())

        name = admin.rsplit("/", 1)[1]
        done(
            "CREATE ROLE watcher LOGIN",
            f"ALTER DATABASE {name} OWNER TO watcher",
            "ALTER SCHEMA public OWNER TO watcher",
        )
        engine = open_engine(address)
        migrate(engine)

        async def play() -> None:
            async with serve() as vendor, crew(tmp_path, vendor.url, address, ["berlin"]) as (one,):
                await one.until('chatwatch_results_total{outcome="ok"', bool)
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'watcher'"
                await asyncio.to_thread(done, "ALTER ROLE watcher CONNECTION LIMIT 0", ended)
                await one.until("chatwatch_spooled_results", bool)
                await asyncio.sleep(INTERVAL_S)
                await asyncio.to_thread(done, "ALTER ROLE watcher CONNECTION LIMIT -1")
                await one.until("chatwatch_spooled_results", lambda value: value == 0)
                assert await one.stop() == 0

        asyncio.run(play())
        results = list(reads.results(engine))
        config = load(tmp_path / "berlin-0" / "probes.yaml", {"SIM_KEY": KEY}, "berlin")
        assert sum(every_tick_once(results, config, ["berlin"]).values()) == 0
        engine.dispose()
