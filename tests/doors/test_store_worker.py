"""A real worker whose database is taken away under it, or is another worker's: told, waited for, and nothing lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from monitor import clock
from monitor.core.model.reasons import Outcome
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from tests.doors.running import ROOT, Worker, worker
from tests.edges.test_store_lost import vanish

pytestmark = pytest.mark.slow


def chatwatch(running: Worker, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the worker's database."""
    around = {"CHATWATCH_DATABASE": running.database, "PYTHONPATH": str(ROOT), "SIM_KEY": "k", "SIM_HOOK": "http://x"}
    command = [sys.executable, "-m", "monitor", *words]
    return subprocess.run(command, env=around, cwd=running.home, capture_output=True, text=True, check=False)


def told(vendor: Vendor) -> list[dict[str, Any]]:
    """Return the notices about the database that came."""
    return [body for body in vendor.inbox if body["data"]["alert"]["rule"] == "store"]


async def comes(is_so: Callable[[], bool], running: Worker) -> None:
    for _ in range(600):
        if is_so():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(running.log)


def test_a_deleted_file_pages_and_a_restore_brings_everything_back_also_over_a_restart(tmp_path: Path) -> None:
    async def play() -> list[Outcome]:
        async with serve() as vendor:
            async with worker(tmp_path, vendor.url) as running:
                await running.until('chatwatch_component_health{component="sim/web"', lambda value: value == 0.0)
                done = await asyncio.to_thread(chatwatch, running, "backup", "copy.db")
                assert done.returncode == 0, done.stderr
                vanish(tmp_path / "test.db")
                await comes(lambda: len(told(vendor)) == 1, running)
                assert (await running.get("/-/ready"))[0] == 503
                await running.stop()
            async with worker(tmp_path, vendor.url) as running:
                await running.until('chatwatch_store_fault{fault="vanished"}', lambda value: value == 1.0)
                assert not (tmp_path / "test.db").exists()
                code, said = await running.get("/-/ready")
                assert code == 503
                assert "chatwatch restore" in said
                done = await asyncio.to_thread(chatwatch, running, "restore", "copy.db")
                assert done.returncode == 0, done.stderr
                await comes(lambda: len(told(vendor)) == 2, running)
                await running.until('chatwatch_component_health{component="sim/web"', lambda value: value == 0.0)
                assert "Traceback" not in running.log
                await running.stop()
            assert [body["type"] for body in told(vendor)] == ["alert.firing", "alert.resolved"]
        engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}", read_only=True)
        now = clock.now()
        found = list(reads.results(engine, "sim-page", now - timedelta(hours=1), now))
        engine.dispose()
        ticks = [result.run.tick for result in found if result.run.attempt == 1]
        assert {later - tick for tick, later in pairwise(ticks)} == {timedelta(seconds=1)}, (
            "every tick stands there once"
        )
        return [result.outcome for result in found]

    assert set(asyncio.run(play())) <= {Outcome.OK, Outcome.MISSED}


def test_a_second_worker_on_one_file_ends_with_one_line(tmp_path: Path) -> None:
    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await running.until('chatwatch_component_health{component="sim/web"', lambda value: value == 0.0)
            second = await asyncio.to_thread(chatwatch, running, "worker")
            assert second.returncode == 1
            (line,) = second.stderr.splitlines()
            assert "is in use by another worker: end it" in line
            assert await running.metric('chatwatch_component_health{component="sim/web"') == 0.0
            assert running.log.count("event=started") == 3

    asyncio.run(play())


def test_what_does_not_belong_in_the_spool_costs_a_line_and_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "local"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "000000000001.spool").write_bytes(b"\x00torn" * 50)
    (folder / "000000000002.spool").mkdir()

    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await running.until('chatwatch_component_health{component="sim/web"', lambda value: value == 0.0)
            strange = [line for line in running.log.splitlines() if "event=spool_stray" in line]
            assert [line.partition("ignored: ")[2].split()[0] for line in strange] == [
                str(folder / "000000000002.spool"),
                str(folder / "notes.txt"),
            ]
            assert "Traceback" not in running.log

    asyncio.run(play())
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "000000000002.spool").is_dir()
