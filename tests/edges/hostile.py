"""Servers that break the rules on purpose: real sockets on loopback, one behaviour each."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOOPBACK = ["127.0.0.0/8", "::1/128"]
OK_HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK_HEAD + b"transfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def serve(
    behave: Behave, context: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Serve *behave* on loopback; yields the port. A handler that still runs at the end is cancelled."""
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError, OSError):
            await behave(reader, writer)
        running.discard(task)
        writer.transport.abort() if writer.transport.is_closing() else writer.close()
        with suppress(ConnectionError, ssl.SSLError, OSError):
            await writer.wait_closed()

    def quiet(loop: asyncio.AbstractEventLoop, told: dict[str, object]) -> None:
        if not isinstance(told.get("exception"), (ConnectionError, ssl.SSLError, OSError)):
            loop.default_exception_handler(told)

    asyncio.get_running_loop().set_exception_handler(quiet)
    server = await asyncio.start_server(handle, host, port, ssl=context, limit=2**20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0.01)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """Read a request's head."""
    return await reader.readuntil(b"\r\n\r\n")


def says(*parts: bytes, pause_s: float = 0.0, then: float = 0.0) -> Behave:
    """Answer with *parts*, *pause_s* apart, stay *then* seconds, close."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        if then:
            await asyncio.sleep(then)

    return behave


def drips(head: bytes, drop: bytes, pause_s: float) -> Behave:
    """Answer *head* and then *drop* for ever."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return behave


def resets_after(sent: bytes) -> Behave:
    """Send *sent*, give it time to arrive, and reset the connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        if sent:
            writer.write(sent)
            await writer.drain()
            await asyncio.sleep(0.05)
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept and say nothing."""
    await asyncio.sleep(3600)


def gzip_bomb(megabytes: int) -> bytes:
    """Return zeros that grow a thousandfold."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def with_length(body: bytes, *headers: bytes) -> bytes:
    """Return a 200 response with its length and further headers."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return OK_HEAD + lines + b"content-length: %d\r\n\r\n" % len(body) + body


@dataclass
class Recorder:
    """Answers everything with 200 and keeps what it heard."""

    heard: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await request_of(reader)
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.heard.append(head + await reader.readexactly(length))
        writer.write(with_length(b"recorded"))
        await writer.drain()


@asynccontextmanager
async def black_hole(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """A port whose SYNs the kernel drops: a listener with a full queue that nobody accepts from."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((host, port))
    listener.listen(0)
    port = listener.getsockname()[1]
    fillers = []
    for _ in range(4):
        filler = socket.socket(family)
        filler.setblocking(False)
        filler.connect_ex((host, port))
        fillers.append(filler)
    await asyncio.sleep(0.05)
    try:
        yield port
    finally:
        for one in (*fillers, listener):
            one.close()
