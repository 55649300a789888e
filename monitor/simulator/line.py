"""One connection of a client to the simulated vendor: plain HTTP/1.1, with every right to break it.

Written on bare streams because a well-behaved server library refuses to send a torn answer.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HEAD_BYTES = 64 * 1024
BODY_BYTES = 4 * 2**20
JSON = "application/json"
HTML = "text/html; charset=utf-8"


class BadRequestError(Exception):
    """The client sent something that is no HTTP/1.1 request we care to read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """Return the body as an object; anything else is an empty one."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def prefers_chinese(self) -> bool:
        """Tell the language by ``?lang=zh`` or by what Accept-Language puts first."""
        return self.query.get("lang", self.headers.get("accept-language", "")).lower().startswith("zh")


class Line:
    """The answering side of one connection. ``open`` turns false once no further request can be read from it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.open = True

    async def read(self) -> Request | None:
        """Read the next request; ``None`` when the client has gone."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except asyncio.LimitOverrunError as error:
            raise BadRequestError("the head of the request is too long") from error
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        try:
            method, target, _version = first.split(" ")
            headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            length = int(headers.get("content-length", "0"))
        except ValueError as error:
            raise BadRequestError("the head of the request cannot be read") from error
        if "transfer-encoding" in headers or not 0 <= length <= BODY_BYTES:
            raise BadRequestError("send a body of at most 4 MB with a Content-Length")
        body = await self._reader.readexactly(length)
        self.open = headers.get("connection", "").lower() != "close"
        parts = urlsplit(target)
        return Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body)

    async def send(
        self, status: int, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer whole."""
        await self.raw(
            head(status, {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})})
        )
        await self.raw(body)

    async def send_json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        await self.send(status, json.dumps(value, ensure_ascii=False).encode(), JSON, headers)

    async def start(self, status: int, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Begin a chunked answer; follow with :meth:`chunk` and :meth:`end`."""
        await self.raw(head(status, {"Content-Type": content_type, "Transfer-Encoding": "chunked", **(headers or {})}))

    async def chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked answer."""
        if data:
            await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        """End a chunked answer properly."""
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def gone(self) -> None:
        """Wait until the client hangs up."""
        while await self._reader.read(4096):
            pass

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self.open = False
        connection = self._writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """Hang up in an orderly way (FIN), wherever the answer stands."""
        self.open = False
        self._writer.close()


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return status line and headers of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Simulated"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
