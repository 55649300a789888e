"""A real server on loopback for as long as it is asked, and the bytes of its answers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "corpus.example"
IDLE_S = 2.5
"""Nothing more comes after so long."""


class MissingServerError(Exception):
    """A server that is to be captured is not installed."""


@dataclass(frozen=True)
class Wish:
    """One answer that is wanted."""

    id: str
    request: bytes
    kind: str = "http"
    """How Chatwatch looks at it: ``http``, ``chat``, ``anthropic``, ``dns``, ``tls``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    port: str = "main"
    """Which of the server's ports is asked."""


@dataclass(frozen=True)
class Server:
    """A server and what is asked of it."""

    name: str
    needs: str
    """What has to be installed, for people."""
    version: Callable[[], str]
    """Returns the version that runs."""
    start: Callable[[Path], Any]
    """Starts it in a folder; a context manager that yields its ports by name."""
    wishes: tuple[Wish, ...]
    idle_s: float = IDLE_S
    ask: Callable[[int, bytes, float], bytes] | None = None
    """How to ask, where it is not over TCP."""


def program(name: str, *folders: str) -> str:
    """Return the path of a program, looked for in PATH and in *folders*."""
    found = shutil.which(name) or next((f"{one}/{name}" for one in folders if Path(one, name).exists()), "")
    if not found:
        raise MissingServerError(f"{name} is not installed")
    return found


def output(*command: str, cwd: Path | None = None) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd)
    return (done.stdout + done.stderr).strip()


def debian(package: str) -> Callable[[], str]:
    """Return what tells the version of a Debian package."""
    return lambda: output("dpkg-query", "-W", "-f=${Version} (Debian)", package)


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def running(
    command: list[str], *ports: int, env: Mapping[str, str] | None = None, cwd: Path | None = None, wait_s: float = 90
) -> Iterator[None]:
    """Run a server until the block ends; it is there when it accepts on *ports*."""
    log = (cwd or Path()) / "server.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        for port in ports:
            _await(port, process, log, wait_s)
        yield
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
                break


def _await(port: int, process: subprocess.Popen[bytes], log: Path, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise MissingServerError(f"{process.args!r} does not run: {log.read_text(errors='replace')[-2000:]}")


def over_tcp(port: int, request: bytes, idle_s: float) -> bytes:
    """Send a request and return every byte that comes until the server closes or falls silent."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock, suppress(ConnectionError):
        sock.sendall(request)
        while True:
            sock.settimeout(idle_s if data else max(idle_s, 45))
            try:
                more = sock.recv(65536)
            except TimeoutError:
                return data
            if not more:
                return data
            data += more
    return data


def over_udp(port: int, request: bytes, idle_s: float) -> bytes:
    """Send a datagram and return the one that comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(max(idle_s, 10))
        sock.sendto(request, ("127.0.0.1", port))
        return sock.recv(65535)


def http(method: str, path: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    """Return a request."""
    lines = [f"{method} {path} {version}", f"Host: {HOST}", "User-Agent: corpus", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
