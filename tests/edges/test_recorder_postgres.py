"""The recorder over a PostgreSQL that is stopped, restarted, full of connections, read-only or locked by others."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, event

from monitor import clock, flow
from monitor.config.settled import Settled
from monitor.core.catalogue import Catalogue
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.recorder import Recorder
from monitor.store import reads
from monitor.store.connection.engine import AWAY, begin, open_engine
from monitor.store.connection.limits import answered_within
from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, publish
from tests.edges.test_recorder import alive, batch

pytestmark = pytest.mark.postgres

Play = Callable[[Recorder], Awaitable[None]]
SECOND = timedelta(seconds=1)


def recording(home: Path, url: str, play: Play, *, spool_bytes: int = 2**20, catalogue: Catalogue = CATALOGUE) -> None:
    """Run ``play`` with an opened recorder; results belong to the last minutes, so nothing is missed before them."""

    async def run() -> None:
        seen = Seen(clock.now)
        spool = Spool(home / "spool", max_bytes=spool_bytes, segment_bytes=spool_bytes // 8)
        config = Settled(catalogue)
        quarantine = Quarantine(home / "quarantine")
        recorder = Recorder(config, open_engine(url), spool, quarantine, seen, registry_for(seen)[1])
        recorder.apply(config)
        try:
            await recorder.open()
            await recorder.on_frame(alive(clock.now()))
            await play(recorder)
        finally:
            await recorder.close()

    asyncio.run(run())


def stored(url: str) -> list[Result]:
    engine = open_engine(url, read_only=True)
    try:
        return list(reads.results(engine, "oa-api"))
    finally:
        engine.dispose()


async def caught_up(recorder: Recorder) -> None:
    """Replay as the worker does, until nothing waits."""
    for _ in range(100):
        try:
            await recorder.replay()
        except AWAY:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("the recorder did not recover by itself")


def looks(start: datetime, count: int, reason: Reason = Reason.OK) -> list[Result]:
    return [look("oa-api", start + n * SECOND, reason) for n in range(count)]


def end_sessions(url: str) -> None:
    """End every other session of the database, in a transaction or not."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def take_all(server: Server, held: ExitStack) -> None:
    """Hold every connection that the server has left."""
    for _ in range(100):
        try:
            held.enter_context(psycopg.connect(server.url("postgres")))
        except psycopg.OperationalError:
            return
    raise AssertionError("the server takes any number of clients")


def test_ended_sessions_and_restarts_in_mid_transaction_cost_nothing(tmp_path: Path, postgres_server: Server) -> None:
    url, over = postgres_server.create(), threading.Event()
    wanted = looks(clock.now() - timedelta(seconds=100), 90)

    def trouble() -> None:
        for number in range(12):
            if over.wait(0.05):
                return
            if number in (4, 8):
                postgres_server.stop()
                postgres_server.start()
            else:
                end_sessions(url)

    async def play(recorder: Recorder) -> None:
        making = asyncio.create_task(asyncio.to_thread(trouble))
        spooled = 0
        for number, one in enumerate(wanted):
            await recorder.on_frame(batch(number, one))
            spooled += bool(len(recorder.spool))
            if number % 5 == 4 and len(recorder.spool):
                await caught_up(recorder)
        over.set()
        await making
        await caught_up(recorder)
        assert spooled

    recording(tmp_path, url, play)
    assert [one.run for one in stored(url)] == [one.run for one in wanted]


def test_a_server_without_a_free_connection_is_away_and_comes_back(tmp_path: Path, postgres_server: Server) -> None:
    url = postgres_server.create()
    wanted = looks(clock.now() - timedelta(seconds=30), 4)

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(batch(1, wanted[0]))
        with ExitStack() as others:
            recorder.engine.dispose()
            take_all(postgres_server, others)
            for number, one in enumerate(wanted[1:], 2):
                await recorder.on_frame(batch(number, one))
            assert recorder.seen.spooled == 3
        await caught_up(recorder)

    recording(tmp_path, url, play)
    assert [one.run for one in stored(url)] == [one.run for one in wanted]


def test_a_database_that_became_read_only_is_away_until_it_can_be_written(
    tmp_path: Path, postgres_server: Server
) -> None:
    url = postgres_server.create()
    wanted = looks(clock.now() - timedelta(seconds=30), 4)

    def read_only(value: str) -> None:
        with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
            name = url.rpartition("/")[2]
            connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'.encode())

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(batch(1, wanted[0]))
        read_only("on")
        end_sessions(url)  # as a failover does; the next server is a standby
        for number, one in enumerate(wanted[1:], 2):
            await recorder.on_frame(batch(number, one))
        assert recorder.seen.spooled == 3
        with pytest.raises(AWAY):
            await recorder.replay()
        read_only("off")
        await caught_up(recorder)  # nobody ends the sessions that were opened meanwhile

    recording(tmp_path, url, play)
    assert [one.run for one in stored(url)] == [one.run for one in wanted]


@pytest.mark.slow
def test_what_another_session_locks_and_forgets_is_waited_for_on_disk(tmp_path: Path, postgres_server: Server) -> None:
    url = postgres_server.create()
    wanted = looks(clock.now() - timedelta(seconds=30), 4)

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(batch(1, wanted[0]))
        with psycopg.connect(url) as idle:
            idle.execute("SELECT * FROM series FOR UPDATE")
            async with asyncio.timeout(120):
                for number, one in enumerate(wanted[1:], 2):
                    await recorder.on_frame(batch(number, one))
            assert recorder.seen.spooled == 3
        await caught_up(recorder)

    recording(tmp_path, url, play)
    assert [one.run for one in stored(url)] == [one.run for one in wanted]


def test_a_long_reader_as_a_dump_does_not_keep_a_new_day_from_beginning(postgres_server: Server) -> None:
    url = postgres_server.create()
    engine = open_engine(url)
    migrate(engine)
    publish(engine)
    with psycopg.connect(url) as dump:
        dump.execute("LOCK TABLE result, series, component IN ACCESS SHARE MODE")
        for day in range(3):
            at = T0 + timedelta(days=day)
            assert flow.record(engine, [look("oa-api", at)], at + MINUTE).stored == 1
    with begin(engine) as connection:
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('result'::regclass, 'result_id'::regclass)"
        )
        assert found.scalar() == 2 * 3
    engine.dispose()


def test_a_server_that_is_gone_for_long_fills_the_spool_up_to_its_bound_and_no_further(
    tmp_path: Path, postgres_server: Server
) -> None:
    """The stop is short, the time is not: 100 minutes of a look a second."""
    url, bound = postgres_server.create(), 200_000
    start = clock.now() - timedelta(minutes=110)
    wanted = looks(start, 3000) + looks(start + 3000 * SECOND, 60, Reason.SERVER_ERROR)
    wanted += looks(start + 3060 * SECOND, 2940)

    async def play(recorder: Recorder) -> None:
        postgres_server.stop()
        for at in range(0, len(wanted), 200):
            await recorder.on_frame(batch(at, *wanted[at : at + 200]))
            assert recorder.spool.size_bytes <= bound
        assert recorder.seen.spooled == len(recorder.spool) > 100
        assert recorder.spool.dropped == len(wanted) - len(recorder.spool) > 0
        postgres_server.start()
        await caught_up(recorder)

    recording(tmp_path, url, play, spool_bytes=bound)
    kept = stored(url)
    assert len({one.run for one in kept}) == len(kept)
    assert [one.run.tick for one in kept] == sorted(one.run.tick for one in kept)
    assert kept[-1].run == wanted[-1].run
    ours = [one for one in kept if one.run.tick >= start]
    changes = [one.reason for at, one in enumerate(ours) if not at or ours[at - 1].reason is not one.reason]
    assert changes == [Reason.OK, Reason.SERVER_ERROR, Reason.OK]
    engine = open_engine(url)
    assert flow.lease_notices(engine, "a", clock.now()) == ()  # nobody is paged for the past
    engine.dispose()


@pytest.mark.parametrize(("hung_at", "stored_by_then"), [("begin", 0), ("commit", 1)])
def test_a_server_that_hangs_is_given_up_and_what_it_did_meanwhile_counts_once(
    postgres_server: Server, hung_at: str, stored_by_then: int
) -> None:
    """A stopped server process still takes what is sent, and carries it out once it goes on."""
    url = postgres_server.create()
    engine = open_engine(url)
    migrate(engine)
    publish(engine)
    hung: list[int] = []

    def stop(connection: Connection) -> None:
        if not hung:
            session = connection.connection.driver_connection
            assert isinstance(session, psycopg.Connection)
            hung.append(session.info.backend_pid)
            os.kill(hung[0], signal.SIGSTOP)

    def go_on() -> None:
        for process in hung:
            os.kill(process, signal.SIGCONT)

    event.listen(engine, hung_at, stop)
    unbounded = threading.Timer(120, go_on)  # fail then, rather than wait for ever
    unbounded.start()
    try:
        with pytest.raises(AWAY), answered_within(2):
            flow.record(engine, [look("oa-api", T0)], T0)
    finally:
        unbounded.cancel()
        go_on()
    with answered_within(120):
        again = flow.record(engine, [look("oa-api", T0)], T0)
    assert (again.stored, again.duplicates) == (1 - stored_by_then, stored_by_then)
    assert [one.run for one in stored(url)] == [look("oa-api", T0).run]
    engine.dispose()
