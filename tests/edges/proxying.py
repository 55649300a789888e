"""A proxy on loopback that forwards, tunnels and misbehaves as it is told, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class ProxyServer:
    """``answer`` replaces what a request would get; ``silent`` keeps quiet."""

    answer: bytes = b""
    silent: bool = False
    hosts: dict[str, str] = field(default_factory=dict)
    """Names that only this proxy knows → the address behind them."""
    heads: list[bytes] = field(default_factory=list)
    seen: bytearray = field(default_factory=bytearray)
    """Every byte that a client sent."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self.seen += head
        if self.silent:
            await asyncio.sleep(60)
        if self.answer:
            writer.write(self.answer)
            await writer.drain()
            return
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        place = target if method == "CONNECT" else target.split("/")[2]
        host, _, port = place.rpartition(":")
        host = host.strip("[]")
        there, back = await asyncio.open_connection(self.hosts.get(host, host), int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = "/" + target.split("/", 3)[3]
            back.write(head.replace(target.encode(), path.encode(), 1))
        up = asyncio.create_task(self._pump(reader, back, keep=True))
        try:
            await self._pump(there, writer)
        finally:
            up.cancel()
            back.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, keep: bool = False) -> None:
        with suppress(ConnectionError, OSError):
            while data := await source.read(65536):
                if keep:
                    self.seen += data
                sink.write(data)
                await sink.drain()
