"""A real worker on small disks that fill up: it says so, loses nothing that was acknowledged, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from monitor import clock
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome
from monitor.simulator.play import serve
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from tests.doors.running import Worker, worker
from tests.edges.places import fill, mounted, small

pytestmark = pytest.mark.slow


def copied(running: Worker, inside: Path, home: Path) -> None:
    """Copy the database out of the worker's own file system while nothing writes to it."""
    recorder = running.children()["recorder"]
    os.kill(recorder, signal.SIGSTOP)
    for ending in ("", "-wal"):
        (home / f"copy.db{ending}").write_bytes((inside / f"test.db{ending}").read_bytes())
    os.kill(recorder, signal.SIGCONT)


def looks(database: Path, probe: str) -> list[Result]:
    engine = open_engine(f"sqlite:///{database}")
    try:
        now = clock.now()
        return list(reads.results(engine, probe, now - timedelta(hours=1), now))
    finally:
        engine.dispose()


def every_second_once_and_in_order(found: Sequence[Result]) -> None:
    ticks = [result.run.tick for result in found if result.run.attempt == 1]
    assert {later - tick for tick, later in pairwise(ticks)} == {timedelta(seconds=1)}
    assert {result.outcome for result in found} == {Outcome.OK}


async def ready(running: Worker) -> tuple[int, str]:
    return await running.get("/-/ready")


def test_full_disks_are_said_loudly_and_cost_nothing(tmp_path: Path) -> None:
    disk, spool = tmp_path / "disk", tmp_path / "disk" / "spool"

    async def play() -> None:
        prefix = mounted(small(disk, "8m"), small(spool, "64k"))
        database = f"sqlite:///{disk / 'test.db'}"
        async with serve() as vendor, worker(tmp_path, vendor.url, prefix=prefix, database=database) as running:
            await running.until('chatwatch_results_total{outcome="ok"}', lambda value: (value or 0) > 3)
            await running.until("chatwatch_database_up", lambda value: value == 1)
            inside = Path(f"/proc/{running.process.pid}/root{disk}")
            children = running.children()

            first = await asyncio.to_thread(fill, inside)
            await running.until("chatwatch_database_up", lambda value: value == 0)
            await running.until("chatwatch_spooled_results", lambda value: (value or 0) > 0)
            assert await ready(running) == (503, "The database takes nothing; results are kept on disk.\n")
            assert "SQLITE_FULL" in running.log

            second = await asyncio.to_thread(fill, inside / "spool")
            await running.until("chatwatch_spool_up", lambda value: value == 0)
            assert (await ready(running))[1].startswith("Neither the database nor the disk takes results")
            assert "Results can be stored nowhere, retrying: No space left on device" in running.log

            second.unlink()
            await running.until("chatwatch_spool_up", lambda value: value == 1)
            first.unlink()
            await running.until("chatwatch_database_up", lambda value: value == 1)
            assert await running.metric("chatwatch_spooled_results") == 0
            assert await ready(running) == (200, "Chatwatch is ready.\n")

            assert running.children() == children, running.log
            await asyncio.to_thread(copied, running, inside, tmp_path)
            assert await running.metric("chatwatch_results_dropped_total") == 0
            assert not list(vendor.inbox)  # nobody was told anything of the service
            assert await running.stop() == 0

    asyncio.run(play())
    every_second_once_and_in_order(looks(tmp_path / "copy.db", "sim-page"))
    with closing(sqlite3.connect(tmp_path / "copy.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
