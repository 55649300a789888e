"""Doors under siege: requests without an end, answers that nobody reads, too many at once; what browsers are told."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import serve
from dashboard.starting import ALWAYS, streamlit_policy
from monitor import clock
from monitor.runtime import visitors
from monitor.runtime.visitors import (
    ANSWER_S,
    FILES_OF_SESSION,
    HEAD_S,
    MOST,
    STALLED_S,
    Crowd,
    Doing,
    Seat,
    places,
    speaking_http,
)
from tests.doors import seeded
from tests.doors.running import free_port
from tests.doors.serving import served

HALF = b"GET / HTTP/1.1\r\nHost: x\r\nX: "
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LARGE = b"x" * 32 * 2**20


async def page(request: Request) -> Response:
    """Answer at once, at length, or only after a body."""
    if request.url.path == "/large":
        return Response(LARGE)
    with suppress(ClientDisconnect):
        return Response(await request.body() if request.method == "POST" else b"served")
    return Response(status_code=400)


APP = Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST"])])


class Siege:
    """A served crowd with a clock of its own, and the connections to it."""

    def __init__(self, crowd: Crowd, port: int, now_s: list[float], held: ExitStack) -> None:
        self.crowd, self.port, self._now_s, self._held = crowd, port, now_s, held

    def sends(self, data: bytes = HALF) -> socket.socket:
        """Connect and send; returns once the crowd knows of it."""
        line = self._held.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=60))
        line.sendall(data)
        mine = line.getsockname()
        wait_until(lambda: any(one.get_extra_info("peername") == mine for one in list(self.crowd.seats)) or gone(line))
        return line

    def passes(self, seconds: float) -> None:
        """Let time pass; the next sweep sees it."""
        self._now_s[0] += seconds

    def was_read(self, before: dict[Seat, int]) -> bool:
        """Say whether less of some answer is unread than before."""
        return any(seat.unread < before.get(seat, 0) for seat in list(self.crowd.seats.values()))

    def visitor(self) -> bytes:
        """Return what a visitor is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line:
            line.sendall(WHOLE)
            return line.recv(100)


def wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if true():
            return
        pause.wait(0.02)
    pytest.fail("it did not come")


def gone(line: socket.socket) -> bool:
    """Say whether the other side has hung up."""
    line.setblocking(False)
    try:
        return line.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        line.setblocking(True)


@contextmanager
def besieged(most: int = 20, per_address: int = visitors.PER_ADDRESS) -> Iterator[Siege]:
    now_s = [1000.0]
    crowd = Crowd(most, per_address, monotonic=lambda: now_s[0])
    with served(APP, http=speaking_http(crowd, visitors.HEAD_BYTES)) as client, ExitStack() as held:
        yield Siege(crowd, client.base_url.port or 0, now_s, held)


def test_the_longest_half_open_request_goes_when_places_run_out_and_the_newcomer_is_served() -> None:
    with besieged(most=20) as siege:
        lines = [siege.sends() for _ in range(50)]
        assert len(siege.crowd) <= 20
        assert siege.visitor().startswith(b"HTTP/1.1 200")
        wait_until(lambda: all(gone(line) for line in lines[:30]))
        assert not gone(lines[-1])


def test_a_request_without_an_end_is_dropped_and_so_is_the_second_of_a_connection() -> None:
    with besieged() as siege:
        first = siege.sends()
        second = siege.sends(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert second.recv(8) == b"HTTP/1.1"
        second.sendall(HALF)
        siege.passes(HEAD_S - 1)
        assert siege.visitor().startswith(b"HTTP/1.1 200")
        assert not gone(first)
        siege.passes(2)
        wait_until(lambda: gone(first))
        wait_until(lambda: len(siege.crowd) == 0)


def test_a_body_that_never_comes_is_not_waited_for_for_ever() -> None:
    with besieged() as siege:
        line = siege.sends(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        wait_until(lambda: [seat.doing for seat in list(siege.crowd.seats.values())] == [Doing.ANSWER])
        siege.passes(ANSWER_S - 1)
        assert siege.visitor().startswith(b"HTTP/1.1 200")
        assert not gone(line)
        siege.passes(2)
        wait_until(lambda: gone(line))


def test_an_answer_that_nobody_reads_is_dropped_and_one_that_is_read_slowly_is_not() -> None:
    with besieged() as siege:
        asleep = siege.sends(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        awake = siege.sends(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: all(seat.unread for seat in list(siege.crowd.seats.values())))
        assert len(siege.crowd) == 2
        for _ in range(3):
            siege.passes(STALLED_S * 0.6)
            before = {seat: seat.unread for seat in list(siege.crowd.seats.values())}
            left = 4 * 2**20
            while left > 0:
                left -= len(awake.recv(left))
            wait_until(partial(siege.was_read, before))
        wait_until(lambda: len(siege.crowd) == 1)
        stays = next(iter(siege.crowd.seats))
        assert stays.get_extra_info("peername") == awake.getsockname()
        asleep.close()


def test_one_public_address_has_its_own_bound_and_a_proxy_of_ours_has_none() -> None:
    class Wire:
        """What a transport tells of itself."""

        def __init__(self, address: str) -> None:
            self.peer, self.aborted = (address, 1), False

        def get_extra_info(self, _: str) -> tuple[str, int]:
            return self.peer

        def abort(self) -> None:
            self.aborted = True

    crowd = Crowd(most=100, per_address=3)
    near = [Wire("203.0.113.5") for _ in range(3)]
    far = [Wire("2a00:1450:4001:800::1"), Wire("2a00:1450:4001:800:ffff::2"), Wire("2a00:1450:4001:800::3")]
    proxied = [Wire("10.0.0.7") for _ in range(20)]
    for wire in (*near, *far, *proxied):
        assert crowd.came(wire)
    assert crowd.came(Wire("2a00:1450:4001:800:2::9"))
    assert [wire.aborted for wire in far] == [True, False, False]
    assert not any(wire.aborted for wire in proxied)
    other = Crowd(most=100, per_address=2)
    busy = [Wire("93.184.216.34"), Wire("93.184.216.34")]
    for wire in busy:
        other.came(wire)
        other.asked(wire)
    late = Wire("93.184.216.34")
    assert not other.came(late), "all its connections are being answered"
    assert late.aborted
    other.left(busy[0])
    assert other.came(Wire("93.184.216.34"))


@pytest.mark.parametrize("files", [128, 1024, 4096, 20_000, 65_536])
def test_whoever_fills_all_places_with_sessions_leaves_files_to_spare(files: int) -> None:
    most, most_open, spare = places(files, websockets=True)
    assert most + FILES_OF_SESSION * most_open <= max(64, files - spare)
    assert most_open <= most / 2
    assert most_open >= min(MOST // 2, files // 25)
    without, none, others = places(files, websockets=False)
    assert (without, none) == (min(MOST, max(64, files - others)), 0)


def test_websockets_never_take_more_than_half_of_all_places() -> None:
    with besieged(most=4) as siege:
        for number in range(3):
            siege.sends()
            transport = list(siege.crowd.seats)[-1]
            assert siege.crowd.upgraded(transport) is (number < 2)


@contextmanager
def door(name: str, folder: Path, *, files: int = 0) -> Iterator[tuple[httpx.Client, Path]]:
    """Start a door over a database with a past; yields a client and its log."""
    url, port, log = seeded.database(folder, clock.now(), trouble=True), free_port(), folder / f"{name}.log"
    command = serve.arguments(name, "127.0.0.1", port)
    if files:
        command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
    environ = {**os.environ, "CHATWATCH_DATABASE": url}
    with log.open("wb") as out, subprocess.Popen(command, env=environ, stdout=out, stderr=out) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                wait_until(lambda: "started at" in log.read_text() or process.poll() is not None)
                assert process.poll() is None, log.read_text()
                yield client, log
        finally:
            process.terminate()
            process.wait(120)


@pytest.mark.slow
def test_a_thousand_half_open_requests_at_the_usual_limit_do_not_stop_the_page(tmp_path: Path) -> None:
    with door("web", tmp_path, files=1024) as (client, log), ExitStack() as held:
        port = client.base_url.port or 0
        for _ in range(1100):
            line = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            line.sendall(HALF)
        for _ in range(5):
            assert client.get("/", headers={"Connection": "close"}).status_code == 200
        said = log.read_text()
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1, said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["web", "live", "console"])
def test_every_answer_of_every_door_forbids_frames_and_names_no_server(tmp_path: Path, name: str) -> None:
    with door(name, tmp_path) as (client, _):
        for path in ("/", "/healthz", "/nothing/here", "/_stcore/health", "/robots.txt", "/session"):
            answer = client.get(path)
            assert answer.status_code < 500
            assert "server" not in answer.headers, path
            assert {key: answer.headers[key] for key in ALWAYS} == ALWAYS, path
            policy = answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy, path
            assert "default-src 'none'" in policy
            assert "'unsafe-eval'" not in policy
            assert not re.search(r"script-src[^;]*'unsafe-inline'", policy), path
            assert not re.search(r"https?:|\*", policy), path


def test_the_script_in_streamlits_first_page_is_allowed_by_its_hash_alone() -> None:
    policy = streamlit_policy("<html><script>let a = 1</script><script src='x.js'></script></html>")
    assert "script-src 'self' 'sha256-" in policy
    assert policy.count("sha256-") == 1


def websocket(port: int) -> socket.socket:
    """Open a websocket to a Streamlit door by hand."""
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    key = base64.b64encode(os.urandom(16)).decode()
    line.sendall(
        f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert line.recv(4096).startswith(b"HTTP/1.1 101")
    return line


MASK = b"\0\0\0\0"
FRAMES = {
    "an opcode that there is not": b"\xff\xff" + b"\x01" * 300,
    "a frame without its mask": b"\x82\x05hello",
    "bytes that are no message": b"\x82\x85" + MASK + b"hello",
    "a text": b"\x81\x85" + MASK + b"hello",
    "a text that is no UTF-8": b"\x81\x82" + MASK + b"\xff\xfe",
    "a frame of 2**63 bytes": b"\x82\xff" + b"\x7f" + b"\xff" * 7 + MASK,
    "a message of nothing": b"\x82\x80" + MASK,
    "a continuation of nothing": b"\x80\x85" + MASK + b"hello",
    "a close without sense": b"\x88\x81" + MASK + b"\x01",
    "sixteen kilobytes of noise": b"\x82\xfe\x40\x00" + MASK + bytes(range(256)) * 64,
}


@pytest.mark.slow
def test_a_corrupt_websocket_frame_costs_one_line_of_the_log_at_most(tmp_path: Path) -> None:
    with door("live", tmp_path) as (client, log):
        port = client.base_url.port or 0
        for name, frame in FRAMES.items():
            before = len(log.read_text().splitlines())
            with websocket(port) as line:
                line.sendall(frame)
                line.shutdown(socket.SHUT_WR)
                while line.recv(65536):
                    pass
            assert client.get("/_stcore/health").status_code == 200, name
            said = log.read_text().splitlines()[before:]
            assert len(said) <= 1, (name, said)
            assert "Traceback" not in "".join(said), name


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    code = "import resource; from monitor.runtime.visitors import raise_limit; print(raise_limit())"
    command = ["sh", "-c", 'ulimit -Sn 512; exec "$@"', "sh", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 512
