"""HTTP/2 for targets that need it: httpx's own engine (httpcore) over the same link, guard, deadline and stamps."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from typing import Any

import h2.exceptions
import httpcore

from monitor import clock
from monitor.core.model.reasons import Reason
from monitor.wire.connection import Link
from monitor.wire.deadline import Step
from monitor.wire.dial import Stream
from monitor.wire.http.http1 import HEADER_COST, Target, checked_headers
from monitor.wire.http.timed import Head
from monitor.wire.http.tunnel import reach
from monitor.wire.model import WireError, longer
from monitor.wire.tls import TlsStream

for _name in ("httpcore", "hpack"):  # at DEBUG they write headers, and with them keys, into the log
    logging.getLogger(_name).setLevel(logging.INFO)

FAULTS = (httpcore.ProtocolError, httpcore.NetworkError, h2.exceptions.H2Error)
HEAD_BYTES = 9
FRAMES_AT_ONCE = 250
"""The engine takes some 20 µs a frame, and one reading may hold seven thousand."""


class Frames:
    """Hands on what was received in portions of few frames, and counts them (RFC 9113, 4.1: a frame's length is first).

    PING, SETTINGS, RST_STREAM and empty DATA cost the sender a dozen bytes and us a thousand times as much work as the
    bytes do, so a cap on bytes does not bound them.
    """

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._data = b""
        self._skip = 0
        """Bytes of the frame at hand that the portions so far did not hold."""

    def take(self, data: bytes) -> None:
        """Take what was received."""
        self._data += data

    def portion(self) -> bytes:
        """Return what may be handed on at once, ``b""`` when more must be received; raises ``WireError(TOO_LARGE)``."""
        data, at, frames = self._data, self._skip, 0
        while frames < FRAMES_AT_ONCE and at + HEAD_BYTES <= len(data):
            at += HEAD_BYTES + int.from_bytes(data[at : at + 3], "big")
            frames += 1
        self._left -= frames
        if self._left < 0:
            raise WireError(Reason.TOO_LARGE, f"more than {self._most} HTTP/2 frames")
        end = len(data) if at > len(data) else at
        self._skip, self._data = at - end, data[end:]
        return data[:end]


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects through the link, so that every address is checked; the link's deadline replaces httpcore's timeouts."""

    def __init__(self, link: Link, target: Target) -> None:
        self._link = link
        self._target = target
        self.stream: _Stream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _Stream:
        del host, timeout, local_address, socket_options  # all of them are in the target
        target = self._target
        plain = await reach(self._link, target.scheme, target.host, port, target.literal, tunnel=True)
        self._link.deadline.enter(Step.HEADERS, self._link.limits.headers_s)
        self.stream = _Stream(self._link, self._target, plain)
        return self.stream


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, link: Link, target: Target, plain: Stream | TlsStream) -> None:
        self._link = link
        self._target = target
        self._plain = plain
        self._stream: Stream | TlsStream = plain
        self._frames: Frames | None = None
        self.received = 0
        self.read_ns = self.written_ns = clock.monotonic_ns()
        self.stamped = False

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> _Stream:
        del server_hostname, timeout
        self._stream = tls = await self._link.secure(self._plain, ssl_context, self._target.host)
        self._frames = Frames(self._link.limits.events) if tls.ssl.selected_alpn_protocol() == "h2" else None
        self._link.deadline.enter(Step.HEADERS, self._link.limits.headers_s)
        return self

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del max_bytes, timeout
        if self._frames is None:
            return await self._receive()
        await asyncio.sleep(0)  # yields to other looks between portions
        while not (portion := self._frames.portion()):
            if not (data := await self._receive()):
                return b""
            self._frames.take(data)
        return portion

    async def _receive(self) -> bytes:
        piece = await self._stream.read()
        if piece is None:
            return b""
        self.received += len(piece.data)
        if self.received > self._link.limits.wire_bytes + self._link.limits.header_bytes:
            raise WireError(Reason.TOO_LARGE, f"more than {self._link.limits.wire_bytes} bytes received")
        self.read_ns, self.stamped = piece.at_ns, piece.stamped
        return piece.data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self.written_ns = await self._stream.write(buffer) or self.written_ns

    async def aclose(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.ssl if info == "ssl_object" and isinstance(self._stream, TlsStream) else None


class Http2:
    """One request over a connection of its own, HTTP/2 if the server agrees and HTTP/1.1 if not."""

    def __init__(self, link: Link, target: Target) -> None:
        self.head = Head(0, [], "")
        self._link = link
        self._backend = _Backend(link, target)
        self._response: httpcore.Response | None = None
        self._connection: httpcore.AsyncHTTPConnection | None = httpcore.AsyncHTTPConnection(
            httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port),
            link.trust.http2,
            http2=True,
            network_backend=self._backend,
        )

    @property
    def received(self) -> int:
        """Bytes off the wire so far."""
        return self._backend.stream.received if self._backend.stream is not None else 0

    async def ask(self, request: httpcore.Request) -> None:
        """Send the request and read up to the end of the response's headers."""
        link = self._link
        request.extensions["trace"] = self._trace
        assert self._connection is not None
        try:
            self._response = await self._connection.handle_async_request(request)
        except FAULTS as error:
            raise _failure(error, "before the headers") from error
        link.deadline.enter(Step.BODY)
        version = self._response.extensions["http_version"].decode("ascii")
        self.head = Head(self._response.status, list(self._response.headers), version)
        if sum(len(name) + len(value) + HEADER_COST for name, value in self.head.headers) > link.limits.header_bytes:
            raise WireError(Reason.PROTOCOL, "response headers larger than the limit")

    async def _trace(self, name: str, _: Mapping[str, Any]) -> None:
        stream, timing = self._backend.stream, self._link.timing
        if stream is None:
            return
        if name.endswith("send_request_headers.started"):
            timing.sent_ns = clock.monotonic_ns()
        elif name.endswith("send_request_body.complete"):
            timing.request_s = longer(timing.request_s, stream.written_ns - timing.sent_ns)
            timing.sent_ns = stream.written_ns
        elif name.endswith("receive_response_headers.complete"):
            timing.first_byte(stream.read_ns, stream.stamped)

    async def body(self) -> AsyncGenerator[tuple[bytes, int], None]:
        """As :class:`monitor.wire.http.timed.Conversation`."""
        response, stream, timing = self._response, self._backend.stream, self._link.timing
        assert response is not None
        assert stream is not None
        try:
            async for data in response.aiter_stream():
                timing.last_ns = stream.read_ns
                yield data, stream.read_ns
        except FAULTS as error:
            raise _failure(error, "in the middle of the body") from error
        finally:
            with suppress(Exception):  # the answer is over either way, and the link closes the socket
                await response.aclose()

    def whole(self) -> None:
        """As :class:`monitor.wire.http.timed.Conversation`."""

    def close(self) -> None:
        """As :class:`monitor.wire.http.timed.Conversation`."""
        self._response = self._connection = None


def _failure(error: Exception, where: str) -> WireError:
    """Return what went wrong, without the library's words: those may hold a header's value."""
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    if isinstance(error, httpcore.LocalProtocolError) and not isinstance(cause, h2.exceptions.H2Error):
        return WireError(Reason.CONFIG, "the request holds what HTTP forbids")
    return WireError(Reason.PROTOCOL, f"http/2 broken {where}: {type(cause).__name__}")


async def ask_http2(link: Link, target: Target, method: str, headers: Mapping[str, str], content: bytes) -> Http2:
    """Connect to *target* and ask over HTTP/2 where the server speaks it."""
    fields = checked_headers(method, target, headers, content)
    fields.pop("connection")
    url = httpcore.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    encoded = [(name.encode("ascii"), value.encode("utf-8", "surrogateescape")) for name, value in fields.items()]
    request = httpcore.Request(method.encode("ascii"), url, headers=encoded, content=content)
    talk = Http2(link, target)
    try:
        await talk.ask(request)
    except BaseException:
        talk.close()
        raise
    finally:
        request.extensions.clear()
    return talk
