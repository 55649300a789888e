"""The wire as its users see it: stream, fetch, connect; redirects followed one checked hop at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING

import httpx

from monitor import clock
from monitor.core.model.reasons import Reason
from monitor.wire.connection import Ground, Link
from monitor.wire.deadline import Deadline, Slots
from monitor.wire.dial import keep_stamps_on
from monitor.wire.guard import Guard
from monitor.wire.http.http1 import Target, parse, parse_anew
from monitor.wire.http.timed import Exchange, ask_http1
from monitor.wire.model import NO_HEADERS, Answer, Connection, Limits, Timing, WireError
from monitor.wire.resolve import Resolver, literal
from monitor.wire.tls import Trust

if TYPE_CHECKING:
    from email.message import EmailMessage

    from monitor.wire.http.http2 import Http2
    from monitor.wire.mail import MailServer
    from monitor.wire.names import NameAnswer

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
DATE_CHARS = 64
LOCATION_CHARS = 8000
"""RFC 9110, 4.1: what a client should at least support."""
NO_LIMITS = Limits()
ALWAYS_SECRET = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "anthropic-api-key"}
)
"""Never to another origin, however they were passed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, hop by hop."""

    method: str
    target: Target
    headers: Mapping[str, str] = field(repr=False)
    secret_headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    http2: bool

    @property
    def all_headers(self) -> Mapping[str, str]:
        """Both kinds together."""
        return {**self.headers, **self.secret_headers} if self.secret_headers else self.headers


class Wire:
    """One per process: holds the trust contexts, the guard, the resolver and the cap on handshakes."""

    def __init__(
        self,
        *,
        allow_networks: Sequence[str] = (),
        ca_file: str | None = None,
        handshakes: int = 16,
        resolver: Resolver | None = None,
    ) -> None:
        keep_stamps_on()
        self.ground = Ground(Guard(allow_networks), resolver or Resolver(), Trust(ca_file), Slots(handshakes))

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        secret_headers: Mapping[str, str] = NO_HEADERS,
        content: bytes = b"",
        limits: Limits = NO_LIMITS,
        redirects: int = 0,
        http2: bool = False,
    ) -> AbstractAsyncContextManager[Exchange]:
        """Send a request; the context holds the exchange once its headers are there. Raises ``WireError``."""
        return _Opening(self.ground, (method, url, headers, secret_headers, content, http2), limits, redirects)

    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        secret_headers: Mapping[str, str] = NO_HEADERS,
        content: bytes = b"",
        limits: Limits = NO_LIMITS,
        redirects: int = 0,
        http2: bool = False,
    ) -> Exchange:
        """As :meth:`stream`, for a caller that closes the exchange itself."""
        asked = (method, url, headers, secret_headers, content, http2)
        return await _Opening(self.ground, asked, limits, redirects).__aenter__()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        secret_headers: Mapping[str, str] = NO_HEADERS,
        content: bytes = b"",
        limits: Limits = NO_LIMITS,
        redirects: int = 0,
        http2: bool = False,
    ) -> Answer:
        """Send a request and read the whole bounded answer. Raises ``WireError``."""
        asked = (method, url, headers, secret_headers, content, http2)
        async with _Opening(self.ground, asked, limits, redirects) as exchange:
            return await exchange.read()

    async def connect(
        self, host: str, port: int, *, tls: bool, limits: Limits = NO_LIMITS, server_name: str | None = None
    ) -> Connection:
        """Connect, shake hands if *tls*, and close again. Raises ``WireError``."""
        deadline = Deadline(asyncio.get_running_loop(), limits.deadline_s)
        link = Link(self.ground, limits, deadline, Timing(clock.monotonic_ns()))
        try:
            stream = await link.connect(host, port, literal(host))
            if not tls:
                return Connection(link.address, link.finish(), warnings=link.warnings)
            secured = await link.secure(stream, self.ground.trust.verified, server_name or host)
            await secured.flush()
            cipher = secured.ssl.cipher()
            return Connection(
                link.address,
                link.finish(),
                link.certificate,
                secured.ssl.version() or "",
                cipher[0] if cipher else "",
                link.warnings,
            )
        except (WireError, OSError) as error:
            raise link.explain(error) from None
        finally:
            deadline.close()
            link.close()

    async def mail(
        self,
        server: MailServer,
        mail: EmailMessage,
        sender: str,
        recipients: Sequence[str],
        *,
        limits: Limits = NO_LIMITS,
    ) -> None:
        """Hand a mail to its server. Raises ``WireError``, and ``MailError`` when the server refuses it."""
        from monitor.wire.mail import hand_over  # late: only a mail channel needs it

        deadline = Deadline(asyncio.get_running_loop(), limits.deadline_s)
        link = Link(self.ground, limits, deadline, Timing(clock.monotonic_ns()))
        try:
            await hand_over(link, server, mail, sender, recipients)
        except (WireError, OSError) as error:
            raise link.explain(error) from None
        finally:
            deadline.close()
            link.close()

    async def ask_name(self, servers: Sequence[str], name: str, record: str, limit_s: float) -> Sequence[NameAnswer]:
        """Ask name servers for a name's records, the machine's own when none is named. Raises ``WireError``."""
        from monitor.wire.names import ask_all  # late: only the dns kind needs it

        return await ask_all(self.ground.guard, servers, name, record, limit_s)

    async def aclose(self) -> None:
        """Nothing stays open between exchanges; here for symmetry with other clients."""


class _Opening:
    """The context manager of :meth:`Wire.stream`."""

    def __init__(
        self,
        ground: Ground,
        asked: tuple[str, str, Mapping[str, str], Mapping[str, str], bytes, bool],
        limits: Limits,
        redirects: int,
    ) -> None:
        self._ground = ground
        self._asked = asked
        self._limits = limits
        self._redirects = min(redirects, MOST_REDIRECTS)
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Exchange:
        method, url, headers, secret_headers, content, http2 = self._asked
        deadline = Deadline(asyncio.get_running_loop(), self._limits.deadline_s)
        timing = Timing(clock.monotonic_ns())
        try:
            request = Request(method, parse(url), headers, secret_headers, content, http2)
            hop = 0
            while True:
                exchange = await self._hop(request, deadline, timing, hop)
                location = exchange.headers.get("location", "") if exchange.status in REDIRECTS else ""
                if not location or not self._redirects:
                    self._exchange = exchange
                    return exchange
                exchange.close()
                if hop == self._redirects:
                    raise _refusal(exchange, f"more than {hop} redirects")
                request = self._follow(request, exchange, location)
                hop += 1
        except BaseException:
            deadline.close()
            raise

    async def _hop(self, request: Request, deadline: Deadline, timing: Timing, hop: int) -> Exchange:
        link = Link(self._ground, self._limits, deadline, timing)
        try:
            ask = _ask_http2 if request.http2 else ask_http1
            talk = await ask(link, request.target, request.method, request.all_headers, request.content)
        except (WireError, OSError) as error:
            link.close()
            raise link.explain(error) from None
        except BaseException:
            link.close()
            raise
        exchange = Exchange(link, request.target, talk, hop)
        if request.target.scheme == "https" and (date := exchange.headers.get("date")):
            self._ground.time.heard(request.target.host, date[:DATE_CHARS], clock.monotonic())
        return exchange

    def _follow(self, request: Request, exchange: Exchange, location: str) -> Request:
        if len(location) > LOCATION_CHARS:
            raise _refusal(exchange, f"redirect to an address of more than {LOCATION_CHARS} characters")
        try:
            # The address comes from a foreign page, so it is not cached among the configured ones.
            target = parse_anew(str(httpx.URL(request.target.url).join(location)))
        except (WireError, httpx.InvalidURL, ValueError) as error:
            raise _refusal(exchange, "redirect to something that is not a web address") from error
        if request.target.scheme == "https" and target.scheme == "http":
            raise _refusal(exchange, "redirect from https to http")
        keeps_method = exchange.status in (307, 308) or request.method in ("GET", "HEAD")
        followed = replace(request, target=target)
        if not keeps_method:
            followed = replace(followed, method="GET", content=b"")
        if target.origin == request.target.origin:
            return followed
        if followed.content:
            raise _refusal(exchange, "redirect of a request body to another origin")
        kept = {name: value for name, value in request.headers.items() if name.lower() not in ALWAYS_SECRET}
        return replace(followed, headers=kept, secret_headers=NO_HEADERS)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange is not None:
            self._exchange.close()


def _refusal(exchange: Exchange, words: str) -> WireError:
    return WireError(
        Reason.REDIRECT,
        words,
        phases=exchange.phases,
        certificate=exchange.certificate,
        address=exchange.address,
        status=exchange.status,
    )


async def _ask_http2(link: Link, target: Target, method: str, headers: Mapping[str, str], content: bytes) -> Http2:
    from monitor.wire.http.http2 import ask_http2  # late: most targets are asked over HTTP/1.1

    return await ask_http2(link, target, method, headers, content)
