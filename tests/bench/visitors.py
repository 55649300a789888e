"""How many slow visitors at once the public page bears: each sends its request byte by byte or reads nothing.

Only visitors in a hurry are measured: whoever asks properly while all the slow ones are there.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import subprocess
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from dashboard import serve
from monitor import clock
from monitor.runtime.visitors import raise_limit
from tests.doors import seeded

HEAD = b"GET / HTTP/1.1\r\nHost: status.example\r\nX-Slow: " + b"x" * 1000
ROUNDS = 20


def main(quick: bool) -> None:
    """Print how long a proper visitor waits beside none, many half-open and many unread connections."""
    wanted = 1_000 if quick else 10_000
    files = raise_limit()
    count = min(wanted, files - 500)
    print(f"{count:,} slow visitors at once on loopback ({files:,} open files allowed)")
    with tempfile.TemporaryDirectory() as home, ExitStack() as held:
        port = _free_port()
        environ = {**os.environ, "CHATWATCH_DATABASE": seeded.database(Path(home), clock.now(), trouble=True)}
        command = serve.arguments("web", "127.0.0.1", port)
        process = held.enter_context(subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL))
        held.callback(process.terminate)
        _until_it_answers(port)
        _tell("nobody else", _waits(port), process.pid)
        slow = [_opened(held, port) for _ in range(count)]
        _tell("one byte a second", _waits(port, slow), process.pid, _alive(slow))
        for line in slow:
            line.close()
        unread = [_opened(held, port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(count)]
        _tell("read nothing", _waits(port), process.pid)
        del unread


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _until_it_answers(port: int) -> None:
    end_s = clock.monotonic() + 120
    while clock.monotonic() < end_s:
        try:
            _wait_s(port)
        except OSError:
            threading.Event().wait(0.2)
        else:
            return
    raise SystemExit("the door did not open within two minutes")


def _opened(held: ExitStack, port: int, data: bytes = HEAD[:20]) -> socket.socket:
    line = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
    line.sendall(data)
    return line


def _waits(port: int, slow: list[socket.socket] | None = None) -> list[float]:
    found = []
    for number in range(ROUNDS):
        for line in slow or ():
            try:
                line.send(HEAD[20 + number : 21 + number])
            except OSError:
                line.close()
        found.append(_wait_s(port))
        threading.Event().wait(0.5)
    return found


def _wait_s(port: int) -> float:
    begun_s = clock.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = line.recv(12)
        while line.recv(65_536):
            pass
    if head != b"HTTP/1.1 200":
        raise OSError(f"answered {head!r}")
    return clock.monotonic() - begun_s


def _alive(lines: list[socket.socket]) -> int:
    """Return how many connections the door still holds."""
    gone = 0
    with selectors.DefaultSelector() as selector:
        for line in lines:
            if line.fileno() >= 0:
                line.setblocking(False)
                selector.register(line, selectors.EVENT_READ)
        for key, _ in selector.select(0):
            assert isinstance(key.fileobj, socket.socket)
            try:
                gone += key.fileobj.recv(1, socket.MSG_PEEK) == b""
            except OSError:
                gone += 1
        return len(selector.get_map()) - gone


def _tell(name: str, waits_s: list[float], pid: int, alive: int | None = None) -> None:
    status = Path(f"/proc/{pid}/status").read_text()
    rss_mb = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    left = "" if alive is None else f"; {alive:,} of them still held"
    median, worst = statistics.median(waits_s) * 1e3, max(waits_s) * 1e3
    print(f"{name:<20} page in {median:7.1f} ms median, {worst:7.1f} ms worst; {rss_mb:5.0f} MB{left}")
