"""A receiver of notices that keeps what it got: at times slow, at times broken, at times gone in mid-sentence."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOODS = ("well", "well", "well", "well", "well", "well", "slow", "broken", "cut", "half")


@dataclass
class Arrival:
    """One request. ``taken`` is its place among all arrivals and answers once 2xx went out whole, else None."""

    key: str
    alert: str
    type: str
    came: int
    taken: int | None = None
    body: dict[str, Any] = field(default_factory=dict)


@dataclass
class Received:
    """What came so far; ``moody`` lets the receiver misbehave."""

    rng: random.Random
    moody: bool = True
    arrivals: list[Arrival] = field(default_factory=list)
    url: str = ""
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tick(self) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def came(self, key: str, body: dict[str, Any]) -> tuple[Arrival, str]:
        arrival = Arrival(key, body["data"]["alert"]["id"], body["type"], self.tick(), body=body)
        with self._lock:
            self.arrivals.append(arrival)
            return arrival, self.rng.choice(MOODS) if self.moody else "well"


def _handler(received: Received) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            arrival, mood = received.came(self.headers["idempotency-key"], json.loads(body))
            if mood == "cut":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if mood == "slow":
                time.sleep(0.3)
            self.send_response(500 if mood == "broken" else 200)
            self.send_header("content-length", "9" if mood == "half" else "2")
            self.end_headers()
            self.wfile.write(b"ok")
            self.wfile.flush()
            self.close_connection = True
            if mood in ("well", "slow"):
                arrival.taken = received.tick()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            return

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that is killed in the middle is what this is for."""


@contextmanager
def receiving(seed: int) -> Iterator[Received]:
    """Serve on a loopback port for the time of the block."""
    received = Received(random.Random(seed))
    with _Server(("127.0.0.1", 0), _handler(received)) as server:
        received.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
