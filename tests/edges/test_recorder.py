"""The recorder while its database is away: nothing is lost, nothing is out of order, nobody is paged for the past."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from monitor import clock
from monitor.config.settled import Settled
from monitor.core.catalogue import Catalogue
from monitor.core.codec import dumps_result
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.schedule import next_tick, slot
from monitor.recorder.contact import kind_of
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.process import announce
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.recorder import Recorder
from monitor.recorder.sharing import worker_id
from monitor.runtime.messages import Batch, ProberAlive
from monitor.runtime.places import quarantine_home, spool_directory
from monitor.store import reads
from monitor.store.connection.engine import StoreError, open_engine
from tests.edges.flowing import CATALOGUE, look


def batch(number: int, *results: Result) -> Batch:
    return Batch(number, lines=tuple(dumps_result(result) for result in results))


def alive(since: datetime) -> ProberAlive:
    return ProberAlive(since=since)


def recording(home: Path, play: Callable[[Recorder], Awaitable[None]], catalogue: Catalogue = CATALOGUE) -> None:
    """Run ``play`` with a recorder over a real database under ``home``."""

    async def run() -> None:
        seen = Seen(clock.now)
        config = Settled(catalogue)
        url = f"sqlite:///{home / 'test.db'}"
        spool, quarantine = Spool(spool_directory(url, "local")), Quarantine(quarantine_home(url) / "local")
        recorder = Recorder(config, open_engine(url), spool, quarantine, seen, registry_for(seen)[1])
        recorder.apply(config)
        try:
            await play(recorder)
        finally:
            await recorder.close()

    asyncio.run(run())


def stored(home: Path, probe: str) -> list[Result]:
    engine: Engine = open_engine(f"sqlite:///{home / 'test.db'}", read_only=True)
    try:
        now = clock.now()
        return list(reads.results(engine, probe, now - timedelta(days=1), now + timedelta(minutes=1)))
    finally:
        engine.dispose()


def test_before_the_database_is_open_results_wait_on_disk_and_are_stored_in_order(tmp_path: Path) -> None:
    start = clock.now() - timedelta(minutes=2)

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.on_frame(batch(1, look("oa-api", start)))
        await recorder.on_frame(batch(2, look("oa-api", start + timedelta(minutes=1), Reason.CONNECT)))
        assert len(recorder.spool) == 2
        await recorder.open()
        await recorder.on_frame(batch(3, look("oa-api", start + timedelta(minutes=2))))
        assert len(recorder.spool) == 3
        await recorder.replay()
        assert len(recorder.spool) == 0
        await recorder.on_frame(batch(4, look("oa-api", start + timedelta(minutes=3))))
        assert len(recorder.spool) == 0

    recording(tmp_path, play)
    found = stored(tmp_path, "oa-api")
    assert [result.run.tick for result in found] == [start + timedelta(minutes=number) for number in range(4)]


def test_a_configuration_read_again_before_the_database_is_open_waits_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    published: list[str] = []

    async def play(recorder: Recorder) -> None:
        news = asyncio.Event()
        announcing = asyncio.create_task(announce(recorder, news))
        news.set()
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
        recorder.apply(Settled(replace(CATALOGUE, version="2")))
        await recorder.open()
        announcing.cancel()
        published.append(reads.catalogue(recorder.engine).version)

    recording(tmp_path, play)
    assert published == ["2"]


@pytest.mark.slow
def test_a_locked_database_costs_nothing_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "chatwatch.recorder")
    start = clock.now() - timedelta(minutes=1)

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        blocker = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        for number in (1, 2, 3):
            await recorder.on_frame(batch(number, look("oa-api", start + timedelta(seconds=number))))
        assert recorder.seen.spooled == 3
        blocker.execute("ROLLBACK")
        blocker.close()
        await recorder.replay()

    recording(tmp_path, play)
    assert len(stored(tmp_path, "oa-api")) == 3
    told = [str(vars(record)["event"]) for record in caplog.records]
    assert told == ["database_away", "spool_began", "database_back", "spool_ended"]


def test_what_waits_on_disk_survives_the_process_and_its_gap_is_missed(tmp_path: Path) -> None:
    probe = next(probe for probe in CATALOGUE.probes if probe.id == "oa-api")
    first = next_tick(probe.interval_s, slot(probe.id, probe.interval_s), clock.now() - timedelta(minutes=10))
    ticks = [first + timedelta(minutes=number) for number in range(8)]

    async def before(recorder: Recorder) -> None:
        await recorder.on_frame(alive(ticks[0]))
        await recorder.on_frame(batch(1, look("oa-api", ticks[0]), look("oa-api", ticks[1])))

    async def after(recorder: Recorder) -> None:
        await recorder.on_frame(alive(ticks[5] - timedelta(seconds=1)))
        await recorder.on_frame(batch(1, look("oa-api", ticks[5])))
        await recorder.open()
        await recorder.replay()

    recording(tmp_path, before)
    recording(tmp_path, after)
    found = stored(tmp_path, "oa-api")
    assert [result.run.tick for result in found] == ticks[:6]
    reasons = [result.reason for result in found]
    assert reasons == [Reason.OK, Reason.OK, *[Reason.NOT_RUNNING] * 3, Reason.OK]


def test_lines_that_are_no_result_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    start = clock.now()

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start - timedelta(seconds=5)))
        await recorder.open()
        await recorder.on_frame(Batch(1, lines=(b"{torn", dumps_result(look("oa-api", start)))))

    recording(tmp_path, play)
    assert len(stored(tmp_path, "oa-api")) == 1


def test_an_error_of_the_database_is_named_without_its_text() -> None:
    """Its text holds the statement with its values, and with some drivers the address."""
    cause = sqlite3.OperationalError("database is locked: postgresql://alice:secret@db")
    error = OperationalError("INSERT INTO evidence VALUES (?)", {"body": "secret"}, cause)
    assert "secret" in str(error)
    assert kind_of(error) == "OperationalError"
    assert kind_of(StoreError("cannot open postgresql://alice:secret@db")) == "StoreError"


def test_a_workers_name_tells_workers_apart_and_no_machine() -> None:
    import platform

    assert worker_id("fra") == worker_id("fra") != worker_id("sgp")
    assert platform.node() not in worker_id("fra")
