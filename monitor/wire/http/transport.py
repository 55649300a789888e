"""The timed wire as an httpx transport, for code that speaks httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx

from monitor.wire.http.client import Wire
from monitor.wire.http.timed import Exchange
from monitor.wire.model import Limits


class _Body(httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._exchange.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk.data

    async def aclose(self) -> None:
        self._exchange.close()


class TimedTransport(httpx.AsyncBaseTransport):
    """Sends httpx's requests over the wire. Bodies come content-decoded; failures are :class:`WireError`.

    The response's ``extensions["exchange"]`` is the exchange with its phases, address and certificate.
    """

    def __init__(self, wire: Wire, limits: Limits, *, http2: bool = False) -> None:
        self._wire = wire
        self._limits = limits
        self._http2 = http2

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request over a connection of its own."""
        exchange = await self._wire.open(
            request.method,
            str(request.url),
            headers=dict(request.headers),
            content=await request.aread(),
            limits=self._limits,
            http2=self._http2,
        )
        headers = [(name, value) for name, value in exchange.raw_headers if name.lower() != b"content-encoding"]
        extensions = {"http_version": exchange.http_version.encode("ascii"), "exchange": exchange}
        return httpx.Response(exchange.status, headers=headers, stream=_Body(exchange), extensions=extensions)
