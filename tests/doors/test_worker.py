"""The worker as people run it: two processes, a real database, a simulated vendor over loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from monitor import clock
from monitor.core.model.reasons import Outcome, Reason
from monitor.logs import Event
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from tests.doors.running import KEY, ROOT, Worker, alive, leaks, worker

pytestmark = pytest.mark.slow

UP, DOWN = (lambda value: value == 0.0), (lambda value: (value or 0) >= 2)


def results(running: Worker, probe: str) -> list[tuple[Outcome, Reason]]:
    engine = open_engine(running.database, read_only=True)
    try:
        now = clock.now()
        found = reads.results(engine, probe, now - timedelta(hours=1), now)
        return [(result.outcome, result.reason) for result in found]
    finally:
        engine.dispose()


async def settled(running: Worker) -> None:
    await running.until('chatwatch_component_health{component="sim/web"', UP)
    await running.until('chatwatch_component_health{component="sim/api"', UP)


def test_an_outage_is_seen_told_and_ended(tmp_path: Path) -> None:
    async def play() -> Vendor:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await settled(running)
            assert (await running.get("/-/ready"))[0] == 200
            vendor.set(chat={"fault": "status", "status": 503})
            await running.until('chatwatch_component_health{component="sim/api"', DOWN)
            await running.until('chatwatch_incidents{impact="critical"', lambda value: value is not None)
            vendor.set(chat={"fault": "none"})
            await running.until('chatwatch_component_health{component="sim/api"', UP)
            await running.until('chatwatch_outbox_notices{state="due"}', lambda value: value == 0)
            for _ in range(600):
                if any(body["data"]["alert"]["state"] == "resolved" for body in vendor.inbox):
                    break
                await asyncio.sleep(0.2)
            assert await running.stop() == 0
            return vendor

    vendor = asyncio.run(play())
    assert leaks(tmp_path, KEY) == []
    told = [body["data"]["alert"]["state"] for body in vendor.inbox]
    assert told[0] == "firing"
    assert "resolved" in told


@pytest.mark.parametrize("victim", ["prober", "recorder"])
def test_killing_either_process_restarts_the_pair_and_the_gap_is_missed(tmp_path: Path, victim: str) -> None:
    async def play() -> list[tuple[Outcome, Reason]]:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await settled(running)
            before = running.children()
            stored = len(results(running, "sim-page"))
            os.kill(before[victim], signal.SIGKILL)
            await asyncio.sleep(1)
            await running.until('chatwatch_results_total{outcome="ok"}', lambda value: (value or 0) > 3)
            await running.until('chatwatch_results_total{outcome="ok"}', lambda value: (value or 0) > 6)
            after = running.children()
            assert not set(before.values()) & set(after.values())
            found = results(running, "sim-page")
            assert len(found) >= stored + 2
            assert await running.stop() == 0
            return found

    found = asyncio.run(play())
    assert (Outcome.MISSED, Reason.NOT_RUNNING) in found
    assert Outcome.FAILED not in {outcome for outcome, _ in found}


def test_sigterm_ends_everything_by_itself_in_the_middle_of_looks(tmp_path: Path) -> None:
    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await settled(running)
            children = running.children().values()
            vendor.set(chat={"fault": "hang"}, web={"fault": "hang"})
            await asyncio.sleep(1.5)
            assert await running.stop() == 0
            assert not alive(children)
            assert running.log.count(f"event={Event.STOPPED}") == 3, "each of the three ended by itself"
            assert str(Event.PROGRAM_KILLED) not in running.log

    asyncio.run(play())


def test_the_pair_ends_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await settled(running)
            children = running.children().values()
            running.process.kill()
            for _ in range(1200):
                if not alive(children):
                    return
                await asyncio.sleep(0.1)
            raise AssertionError("a process outlived its supervisor")

    asyncio.run(play())


def test_reload_takes_a_sound_configuration_and_keeps_the_old_for_a_faulty_one(tmp_path: Path) -> None:
    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await settled(running)
            before = running.children()
            sound = running.probes.read_text()
            running.probes.write_text(sound.replace("interval: 1s", "interval: 1"))
            running.process.send_signal(signal.SIGHUP)
            for _ in range(1200):
                if "P013" in running.log and "kept" in running.log:
                    break
                await asyncio.sleep(0.1)
            assert "kept" in running.log
            assert await running.metric('probe_success{component="sim/web",instance="sim-page"') == 1.0
            running.probes.write_text(sound.replace("id: page", "id: front"))
            running.process.send_signal(signal.SIGHUP)
            await running.until('probe_success{component="sim/web",instance="sim-front"', lambda value: value == 1.0)
            assert await running.metric('probe_success{component="sim/web",instance="sim-page"') is None
            assert running.children() == before

    asyncio.run(play())


def test_the_recorder_imports_no_probe_and_the_prober_only_the_kinds_that_are_named(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests/doors/telling'}", "CHATWATCH_TEST_TOLD": str(tmp_path)}

    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url, environ=environ) as running:
            await settled(running)
            running.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(2)
            assert await running.stop() == 0

    asyncio.run(play())
    recorder, prober = (set((tmp_path / f"{name}.modules").read_text().split()) for name in ("recorder", "prober"))
    assert "monitor.recorder.process" in recorder
    unwanted = ("monitor.probes", "monitor.prober", "monitor.config.load", "yaml", "apscheduler")
    assert [name for name in recorder if name.startswith(unwanted)] == []
    assert {"monitor.probes.http", "monitor.probes.chat.probe"} <= prober
    others = ("tcp", "tls", "dns", "login", "heartbeat", "registration", "upstream")
    assert [name for name in prober if name.startswith(tuple(f"monitor.probes.{kind}" for kind in others))] == []


def test_without_any_network_the_worker_is_blind_and_opens_no_incident(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a network namespace is needed: run as root with util-linux installed")
    database = f"sqlite:///{tmp_path / 'test.db'}"

    async def play() -> None:
        probes = Path(__file__).parents[2].joinpath("probes.yaml").read_text()
        quick = probes.replace("{", "{{").replace("}", "}}").replace("127.0.0.1:8503", "127.0.0.1:{metrics}")
        async with worker(tmp_path, "http://192.0.2.1", prefix=[unshare, "-n"], probes=quick) as running:
            for _ in range(1800):
                await asyncio.sleep(0.1)
                if (tmp_path / "test.db").exists() and await asyncio.to_thread(blind, database):
                    break
            await asyncio.sleep(3)
            assert await running.stop() == 0, running.log

    asyncio.run(play())
    engine = open_engine(database, read_only=True)
    snapshot = reads.snapshot(engine, clock.now(), public=True)
    engine.dispose()
    assert snapshot.blind_since is not None
    assert snapshot.workers[0].blind_reason
    assert snapshot.open_incidents == ()
    assert {service.health.value for service in snapshot.services} == {"unknown"}


def blind(database: str) -> bool:
    """Say whether a worker told the database that it is blind."""
    engine = open_engine(database, read_only=True)
    try:
        workers = reads.snapshot(engine, clock.now(), public=True).workers
        return any(one.blind_since for one in workers)
    except Exception:
        return False
    finally:
        engine.dispose()


JOB = """\
allow_networks: [127.0.0.0/8]
listen: {{metrics: "127.0.0.1:{metrics}"}}
services:
  - id: sim
    name: Simulated at {url}
    components: [{{id: backup, name: Backup}}]
    probes:
      - id: job
        component: backup
        kind: heartbeat
        interval: 1s
        timeout: 1s
        options: {{name: backup, every_s: 3s, grace_s: 1s, token: "${{SIM_KEY}}"}}
"""


def test_a_job_reports_in_fails_and_falls_silent(tmp_path: Path) -> None:
    async def post(running: Worker, token: str, body: bytes) -> int:
        async with httpx.AsyncClient() as client:
            address = f"http://127.0.0.1:{running.port}/heartbeat/sim-job"
            return (await client.post(address, headers={"Authorization": f"Bearer {token}"}, content=body)).status_code

    async def seen(running: Worker, reason: Reason) -> None:
        for _ in range(600):
            if reason in {found for _, found in results(running, "sim-job")[-1:]}:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{reason} never came: {results(running, 'sim-job')}\n{running.log}")

    async def play() -> None:
        async with worker(tmp_path, "nowhere", probes=JOB) as running:
            await running.until('chatwatch_results_total{outcome="unknown"', lambda value: (value or 0) >= 1)
            # What is received before the database is open waits on disk: there is no table to read from yet.
            await running.until("chatwatch_stored_timestamp_seconds", lambda value: value is not None)
            assert await post(running, "guess-guess-guess-guess", b"") == 401
            assert await post(running, KEY, b"") == 202
            await seen(running, Reason.OK)
            assert await post(running, KEY, b'{"failed": true, "text": "disk full"}') == 202
            await seen(running, Reason.CONTENT)
            await seen(running, Reason.NO_HEARTBEAT)
            assert await post(running, KEY, b"done") == 202
            await seen(running, Reason.OK)
            assert await running.stop() == 0

    asyncio.run(play())
    assert leaks(tmp_path, KEY) == []
    assert leaks(tmp_path / "spool", KEY) == []
