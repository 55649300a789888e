"""Truth of the DNS phase: a name server that knows its delay, asked through the machine's own resolver.

The clients and the exporter run in a mount namespace of their own in which ``/etc/resolv.conf`` names that server; each
probe has a name of its own, so that nobody can know an answer already. As a program it is the server: it answers
``pID.dDELAY.test`` after so many milliseconds and tells anybody who connects over TCP how long each name took, from
the kernel's stamp of the first question to the last answer.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SO_TIMESTAMPNS = 35
ADDRESS = ("127.0.0.77", 53)
A = 1


@contextmanager
def name_server(folder: Path) -> Iterator[list[str] | None]:
    """Start the server; yields what goes before a command that is to use it, ``None`` where that cannot be done."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        yield None
        return
    config = folder / "resolv.conf"
    config.write_text(f"nameserver {ADDRESS[0]}\n")
    command = ["taskset", "-c", "1", sys.executable, "-m", "tests.bench.wire_names"]
    server = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        ready = server.stdout.readline().strip() == "ready"
        mount = f'mount --bind {config} /etc/resolv.conf && exec "$@"'
        yield ["unshare", "--mount", "sh", "-c", mount, "sh"] if ready else None
    finally:
        server.terminate()
        server.wait(5)
        assert server.stdout is not None
        server.stdout.close()


def truth() -> dict[str, float]:
    """Return how long each name took, in seconds, and let the server forget."""
    with socket.create_connection(ADDRESS, timeout=10) as sock:
        told = b"".join(iter(lambda: sock.recv(65536), b""))
    return dict(json.loads(told))


class Names:
    """The server."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(ADDRESS)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self.door = socket.create_server(ADDRESS)
        self.due: list[tuple[int, bytes, tuple[str, int], str]] = []
        self.open: dict[str, tuple[int, int]] = {}
        """Name → kernel stamp of its first question, and how many of its questions wait for an answer."""
        self.took: dict[str, float] = {}

    def run(self) -> None:
        """Serve until killed."""
        while True:
            wait_s = max(0.0, (self.due[0][0] - time.monotonic_ns()) / 1e9) if self.due else 1.0
            readable, _, _ = select.select([self.sock, self.door], [], [], wait_s)
            if self.sock in readable:
                self._asked()
            if self.door in readable:
                self._tell()
            while self.due and self.due[0][0] <= time.monotonic_ns():
                self._answer(*heapq.heappop(self.due))

    def _asked(self) -> None:
        data, extras, _, sender = self.sock.recvmsg(4096, socket.CMSG_SPACE(16))
        offset_ns = time.time_ns() - time.monotonic_ns()
        at_ns = time.monotonic_ns()
        for _, kind, body in extras:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack_from("qq", body)
                at_ns = seconds * 1_000_000_000 + nanoseconds - offset_ns
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii").lower())
            at += 1 + data[at]
        (kind_asked,) = struct.unpack_from("!H", data, at + 1)
        question, is_a = data[12 : at + 5], kind_asked == A and len(labels) == 3
        head = data[:2] + struct.pack("!HHHHH", 0x8180, 1, int(is_a), 0, 0)
        record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 0, 4) + socket.inet_aton("127.0.0.1")
        delay_ms = int(labels[1][1:]) if len(labels) == 3 else 0
        first_ns, waiting = self.open.get(labels[0], (at_ns, 0))
        self.open[labels[0]] = first_ns, waiting + 1
        answer = head + question + record * is_a
        heapq.heappush(self.due, (at_ns + delay_ms * 1_000_000, answer, sender, labels[0]))

    def _answer(self, _due_ns: int, answer: bytes, sender: tuple[str, int], name: str) -> None:
        sent_ns = time.monotonic_ns()
        self.sock.sendto(answer, sender)
        first_ns, waiting = self.open.pop(name)
        if waiting > 1:
            self.open[name] = first_ns, waiting - 1
        self.took[name[1:]] = (sent_ns - first_ns) / 1e9

    def _tell(self) -> None:
        sock, _ = self.door.accept()
        with sock:
            sock.sendall(json.dumps(self.took).encode())
        self.took = {}


if __name__ == "__main__":
    try:
        server = Names()
    except OSError as error:
        sys.exit(f"no name server: {error}")
    print("ready", flush=True)
    server.run()
