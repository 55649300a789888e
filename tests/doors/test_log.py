"""What an operator reads of an outage, of calm and of a reload: real programs, and every line of their logs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor import clock
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from tests.doors.running import KEY, PROBES, ROOT, Worker, free_port, worker

pytestmark = pytest.mark.slow

GONE = 'gone: {{kind: webhook, url: "${{GONE}}"}}'
OFF = 'off: {{kind: webhook, url: "${{NOT_SET}}"}}'
THREE_CHANNELS = PROBES.replace("channels: {{hook:", f"channels: {{{{{OFF}, {GONE}, hook:").replace(
    "channels: [hook]", "channels: [hook, gone, off]"
)
STORY = [
    "incident_opened",
    "alert_fired",
    "delivery_sent",
    "incident_recovering",
    "incident_resolved",
    "alert_ended",
    "delivery_sent",
]
UP, DOWN = (lambda value: value == 0.0), (lambda value: (value or 0) >= 2)
API = 'chatwatch_component_health{component="sim/api"'


def of_json(log: str) -> list[dict[str, Any]]:
    """Read the JSON form; whatever is no line of it fails."""
    return [json.loads(line) for line in log.splitlines()]


def of_ours(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what a busy machine may add to any log."""
    return [line for line in found if line["event"] not in ("transaction_slow", "clock_stepped")]


def of_text(log: str) -> list[dict[str, Any]]:
    """Read the text form; whatever is no line of it fails."""
    form = r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) +[a-z/.]+ .*?  (event=\w+.*)"
    lines = [re.fullmatch(form, line) for line in log.splitlines()]
    return [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line[2])) for line in lines if line] if all(lines) else []


async def resolved(vendor: Vendor, running: Worker) -> None:
    for _ in range(600):
        if any(body["data"]["alert"]["state"] == "resolved" for body in vendor.inbox):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(running.log)


async def until(running: Worker, event: str) -> None:
    """Wait for a line."""
    for _ in range(1200):
        if re.search(rf'event"?[:=]"?{event}', running.log):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{event} never came\n{running.log}")


@pytest.mark.parametrize(("form", "read"), [("json", of_json), ("text", of_text)])
def test_an_outage_is_a_story_in_the_log_and_no_secret_is_part_of_it(
    tmp_path: Path, form: str, read: Callable[[str], list[dict[str, Any]]]
) -> None:
    dead = f"http://127.0.0.1:{free_port()}/canary-of-an-address"

    async def play() -> str:
        environ = {"CHATWATCH_LOG_FORMAT": form, "GONE": dead}
        async with serve() as vendor, worker(tmp_path, vendor.url, probes=THREE_CHANNELS, environ=environ) as running:
            await running.until(API, UP)
            vendor.set(chat={"fault": "status", "status": 503})
            await running.until(API, DOWN)
            await until(running, "delivery_sent")
            vendor.set(chat={"fault": "none"})
            await running.until(API, UP)
            await resolved(vendor, running)
            assert await running.stop() == 0
            return running.log

    log = asyncio.run(play())
    found = of_ours(read(log))
    assert found, log
    events = [line["event"] for line in found]
    assert events[:3] == ["started"] * 3
    assert events[-1] == "stopped"
    assert events.count("stopped") == 3
    assert KEY not in log
    assert "_inbox" not in log
    assert "canary" not in log

    opened = next(line for line in found if line["event"] == "incident_opened")
    assert (opened["service"], opened["component"], opened["impact"]) == ("sim", "sim/api", "critical")
    told = [line for line in found if line.get("incident") == opened["incident"]]
    assert [line["event"] for line in told if line.get("channel", "hook") == "hook"] == STORY, log
    by_channel = {(line["channel"], line["event"]) for line in found if "channel" in line}
    assert {("gone", "delivery_retried"), ("off", "delivery_given_up")} <= by_channel
    fired = next(line for line in told if line["event"] == "alert_fired")
    assert (fired["rule"], fired["severity"]) == ("component_down", "page")
    assert {line["alert"] for line in told if "alert" in line} == {fired["alert"]}


def test_a_worker_that_sees_nothing_wrong_says_nothing_between_its_start_and_its_end(tmp_path: Path) -> None:
    async def play() -> str:
        async with serve() as vendor, worker(tmp_path, vendor.url, environ={"CHATWATCH_LOG_FORMAT": "json"}) as running:
            await running.until('chatwatch_results_total{outcome="ok"}', lambda value: (value or 0) >= 60)
            assert await running.stop() == 0
            return running.log

    found = of_ours(of_json(asyncio.run(play())))
    assert [line["event"] for line in found] == ["started"] * 3 + ["stopped"] * 3
    assert {line["program"] for line in found} == {"supervisor", "prober", "recorder"}
    start = found[0]
    assert start["version"]
    assert start["configuration"].endswith("probes.yaml")
    assert re.fullmatch("[0-9a-f]{16}", start["configuration_version"])
    assert start["database"].startswith("sqlite:///")
    assert start["metrics"].startswith("http://127.0.0.1:")


def test_a_reload_and_a_prober_that_dies_are_told_and_a_level_leaves_out_what_is_milder(tmp_path: Path) -> None:
    async def play() -> str:
        environ = {"CHATWATCH_LOG_FORMAT": "json"}
        async with serve() as vendor, worker(tmp_path, vendor.url, environ=environ) as running:
            await running.until(API, UP)
            sound = running.probes.read_text()
            running.probes.write_text(sound.replace("interval: 1s", "interval: 1").replace("kind: chat", "kind: chta"))
            running.process.send_signal(signal.SIGHUP)
            await until(running, "reload_refused")
            running.probes.write_text(sound.replace("id: page", "id: front"))
            running.process.send_signal(signal.SIGHUP)
            await until(running, "reloaded")
            os.kill(running.children()["prober"], signal.SIGKILL)
            await until(running, "program_ended")
            assert await running.stop() == 0
            return running.log

    found = of_json(asyncio.run(play()))
    refused = next(line for line in found if line["event"] == "reload_refused")
    faults = [line for line in found if line["event"] == "configuration_fault"]
    assert refused["count"] == len(faults) == 2
    assert "P013" in faults[0]["message"] + faults[1]["message"]
    first, after = found[0], next(line for line in found if line["event"] == "reloaded")
    assert after["configuration_version"] != first["configuration_version"]
    lost = next(line for line in found if line["event"] == "peer_disconnected")
    assert (lost["program"], lost["message"]) == ("recorder", "Prober disconnected; restarting")
    assert "SIGKILL" in next(line["message"] for line in found if line["event"] == "program_ended")


def test_only_what_is_as_bad_as_the_level_is_logged(tmp_path: Path) -> None:
    async def play() -> str:
        environ = {"CHATWATCH_LOG_FORMAT": "json", "CHATWATCH_LOG_LEVEL": "warning"}
        async with serve() as vendor, worker(tmp_path, vendor.url, environ=environ) as running:
            await running.until(API, UP)
            vendor.set(chat={"fault": "status", "status": 503})
            await until(running, "alert_fired")
            assert await running.stop() == 0
            return running.log

    assert [line["event"] for line in of_ours(of_json(asyncio.run(play())))] == ["incident_opened", "alert_fired"]


@pytest.mark.parametrize("door", ["web", "live", "console"])
def test_a_door_logs_in_the_same_form_from_its_first_line(tmp_path: Path, door: str) -> None:
    port = free_port()
    environ = {
        **os.environ,
        "CHATWATCH_DATABASE": f"sqlite:///{tmp_path / 'none.db'}",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "dashboard.serve", door, "--port", str(port), "--log-format", "json"]
    with (tmp_path / "door.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL, env=environ, cwd=tmp_path)
    try:
        end_s = clock.monotonic() + 120
        while not answers(port):
            assert process.poll() is None, (tmp_path / "door.log").read_text()
            assert clock.monotonic() < end_s
    finally:
        process.terminate()
        process.wait()
    (line,) = of_json((tmp_path / "door.log").read_text())
    assert (line["program"], line["event"]) == (door, "started")
    assert str(port) in line["message"]


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
