"""A real uvicorn on loopback for the length of a block."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from monitor import clock


@contextmanager
def served(app: Starlette, http: Any = "auto") -> Iterator[httpx.Client]:
    """Serve ``app`` on a free port and yield a client for it."""
    server = uvicorn.Server(
        uvicorn.Config(app, http=http, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        pause, deadline = threading.Event(), clock.monotonic() + 120
        try:
            while not server.started:
                assert clock.monotonic() < deadline, "the server did not start"
                assert thread.is_alive(), "the server ended at once"
                pause.wait(0.02)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(120)
