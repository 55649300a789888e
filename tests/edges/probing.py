"""One look at a server on loopback, for the tests of the probe kinds."""

from __future__ import annotations

import asyncio
import random
import re
from datetime import UTC, datetime
from typing import Any

from monitor.core.model.observations import Observation
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.wire import Wire
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, Behave, serve

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
KEY = "sk-test-0123456789abcdef"
SUM = re.compile(rb"What is (\d+) \+ (\d+)")


def context(
    memory: dict[str, Any] | None = None, *, timeout_s: float = 2.0, now: datetime = NOW, **wire: Any
) -> Context:
    return Context(
        wire=Wire(**({"allow_networks": LOOPBACK} | wire)),
        location="local",
        timeout_s=timeout_s,
        attempt=1,
        now=now,
        rng=random.Random(7),
        memory={} if memory is None else memory,
    )


async def look_once(kind: str, ctx: Context, **options: Any) -> Observation:
    row = KINDS[kind]
    # Recorded answers tell the model that they were recorded of, whatever a test asks.
    usual: dict[str, Any] = {"answers_as": "*"} if kind == "chat" else {}
    return await look(row, row.options(**(usual | options)), ctx)


def look_at(kind: str, behave: Behave, ctx: Context | None = None, *, url: str = "", **options: Any) -> Observation:
    """Look once at *behave*; *url* names the option that takes the server's address."""

    async def main() -> Observation:
        async with serve(behave) as port:
            address = {url or "url": f"http://127.0.0.1:{port}"}
            return await look_once(kind, ctx or context(), **(address | options))

    return driven.run(main())


def chat(behave: Behave, ctx: Context | None = None, **options: Any) -> Observation:
    """Ask *behave* as a chat model."""
    usual = {"model": "m-1", "key": KEY, "stall_s": "300ms"}
    return look_at("chat", behave, ctx, url="base_url", **(usual | options))


async def whole_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read a request; return its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    return head, await reader.readexactly(int(found[1])) if found else b""


def replays(*parts: bytes, pauses: dict[int, float] | None = None, then: float = 0.0) -> Behave:
    """Send recorded bytes, ``@SUM@`` in them replaced by the right answer; sleep before the parts named in *pauses*."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await whole_request(reader)
        asked = SUM.search(body)
        answer = str(int(asked[1]) + int(asked[2])).encode() if asked else b"?"
        for number, part in enumerate(parts):
            await asyncio.sleep((pauses or {}).get(number, 0.0))
            writer.write(part.replace(b"@SUM@", answer))
            await writer.drain()
        await asyncio.sleep(then)

    return behave


def http(status: int, body: bytes | str = b"", *headers: str, kind: str = "application/json") -> bytes:
    """Return a whole response."""
    data = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
"""Head of a streamed answer that ends when the connection is closed in order."""
CHUNKED_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return a piece of a chunked body; the recorded bytes must hold no ``@SUM@`` then."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
