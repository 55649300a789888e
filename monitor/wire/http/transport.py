"""The timed wire under httpx's own client, for everything that is no timed look.

Redirects, cookies, proxies and content codings are settled below the client, where guard, deadline and byte limits
hold for all of an exchange; the client is left nothing to follow, keep or undo.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import httpx

from monitor.wire.http.client import Wire
from monitor.wire.http.http1 import USER_AGENT, parse
from monitor.wire.http.timed import Exchange
from monitor.wire.model import Answer, Limits

logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes every address, and a webhook's is a secret

FOR_ANYBODY = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
"""Request headers that may follow a redirect to another origin; any other may hold a secret."""
SETTLED = frozenset({b"content-encoding", b"location", b"set-cookie", b"set-cookie2"})
"""Response headers that httpx would act upon, whatever a stranger wrote into them."""


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

    The response's ``extensions["exchange"]`` is the exchange with its last address, all headers, phases and
    certificate. ``redirects`` are followed as the wire does it, with one deadline for all hops.
    """

    def __init__(self, wire: Wire, limits: Limits, *, redirects: int = 0, http2: bool = False) -> None:
        self._wire = wire
        self._limits = limits
        self._redirects = redirects
        self._http2 = http2

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request over a connection of its own."""
        headers = dict(request.headers)
        if headers.get("host") == request.url.netloc.decode("ascii"):
            del headers["host"]  # the header would be sent to another host
        exchange = await self._wire.open(
            request.method,
            str(request.url),
            headers={name: value for name, value in headers.items() if name in FOR_ANYBODY},
            secret_headers={name: value for name, value in headers.items() if name not in FOR_ANYBODY},
            content=await request.aread(),
            limits=self._limits,
            redirects=self._redirects,
            http2=self._http2,
        )
        kept = [(name, value) for name, value in exchange.raw_headers if name.lower() not in SETTLED]
        extensions = {"http_version": exchange.http_version.encode("ascii"), "exchange": exchange}
        return httpx.Response(exchange.status, headers=kept, stream=_Body(exchange), extensions=extensions)


class HttpClient(httpx.AsyncClient):
    """httpx's client over the guarded transport: one for each errand, because *limits* are the errand's.

    Nothing of the environment is used (proxies, netrc) and no cookie kept. Raises :class:`WireError` and no error of
    httpx's; what an answer tells beyond status, headers and body is in :func:`answered`.
    """

    def __init__(self, wire: Wire, limits: Limits, *, redirects: int = 0) -> None:
        headers = {"accept-encoding": "identity", "user-agent": USER_AGENT}
        transport = TimedTransport(wire, limits, redirects=redirects)
        # No timeout of httpx's: it would hold for each reading, while the wire's deadline holds for the whole.
        super().__init__(transport=transport, headers=headers, trust_env=False, timeout=None)

    def build_request(self, method: str, url: httpx.URL | str, *, headers: Any = None, **parts: Any) -> httpx.Request:
        """As httpx; of names alike but for case the last counts. Raises ``WireError(CONFIG)`` for a bad address."""
        parse(str(url))
        given: Mapping[str, str] = headers or {}
        lower = {name.lower(): value for name, value in given.items()}
        return super().build_request(method, url, headers=httpx.Headers(lower, encoding="utf-8"), **parts)

    async def send(self, request: httpx.Request, *, stream: bool = False, **how: Any) -> httpx.Response:
        """As httpx."""
        response = await super().send(request, stream=True, **how)
        if stream:
            return response
        try:
            await response.aread()
        finally:
            await response.aclose()
            # Its stream refers back to it, and the prober runs without garbage collection.
            response.stream = httpx.ByteStream(b"")
        return response


def answered(response: httpx.Response) -> Answer:
    """Return a response that :class:`HttpClient` has read with all that the wire knows of it."""
    exchange: Exchange = response.extensions["exchange"]
    return exchange.answer(response.content)
