"""A program says that it started once it listens, and in one line why it cannot."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from monitor.runtime.frames import PEER_GONE
from monitor.runtime.listening import ListenError, listener
from monitor.runtime.supervisor import Group, Program, Supervisor
from tests.doors.running import ROOT, free_port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


@pytest.mark.parametrize("door", ["web", "live", "console"])
def test_a_door_whose_address_is_taken_says_so_and_nothing_of_a_start(door: str, taken: int, tmp_path: Path) -> None:
    environ = os.environ | {"CHATWATCH_DATABASE": f"sqlite:///{tmp_path}/x.db", "CHATWATCH_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "dashboard.serve", door, "--port", str(taken)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["event"], line["program"]) == ("cannot_listen", door)
    assert line["message"] == (
        f"Program stopped: cannot listen at 127.0.0.1:{taken}: address already in use; end what uses it, "
        f"or give another address under listen: {door}: in probes.yaml or by --listen"
    )


@pytest.mark.parametrize("door", ["web", "live"])
def test_a_door_tells_its_start_once_visitors_can_come(door: str, tmp_path: Path) -> None:
    port = free_port()
    environ = os.environ | {"CHATWATCH_DATABASE": f"sqlite:///{tmp_path}/x.db", "CHATWATCH_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "dashboard.serve", door, "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stderr is not None
            line = json.loads(program.stderr.readline())
            assert line["event"] == "started", line
            socket.create_connection(("127.0.0.1", port)).close()
        finally:
            program.terminate()


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("999.1", 8500, "no address of this machine"),
        ("192.0.2.1", 8500, "cannot assign requested address"),
        ("127.0.0.1", 99_999, "no port beyond 65535"),
        ("::zz", 8500, "no address of this machine"),
    ],
)
def test_an_address_that_cannot_be_is_told_with_its_reason(host: str, port: int, why: str) -> None:
    with pytest.raises(ListenError, match=f": {why}; .* listen: metrics: in probes.yaml$"):
        listener("metrics", host, port)


def test_the_supervisor_blames_who_ended_first_and_says_when_it_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    slow = "import sys; from time import sleep; sys.stdin.read(); sleep(0.5); sys.exit(1)"
    pair = Group(
        (
            Program("prober", ("-c", f"import sys; sys.exit({PEER_GONE})")),
            Program("recorder", ("-c", slow)),
        )
    )

    def until_two_lines() -> None:
        while len(caplog.records) < 2:
            sleep(0.05)

    async def until_told_twice() -> None:
        supervisor = Supervisor([pair])
        running = asyncio.create_task(supervisor.run())
        await asyncio.to_thread(until_two_lines)
        supervisor.stop()
        await running

    with caplog.at_level(logging.ERROR, "chatwatch.supervisor"):
        asyncio.run(until_told_twice())
    assert [record.getMessage() for record in caplog.records][:2] == [
        "Restarting prober and recorder in 0.5 s: recorder (exit 1) ended",
        "Restarting prober and recorder in 1 s: recorder (exit 1) ended",
    ]
