"""The wire as its users see it: stream, fetch, connect; redirects followed one checked hop at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING

import httpx

from monitor import clock
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningText
from monitor.wire.connection import Ground, Link
from monitor.wire.deadline import Deadline, Slots
from monitor.wire.dial import keep_stamps_on
from monitor.wire.dns.resolve import Resolver, checked_host, literal
from monitor.wire.guard import Guard
from monitor.wire.http.cookies import Jar
from monitor.wire.http.http1 import Target, parse, parse_anew
from monitor.wire.http.timed import REDIRECTS, Exchange, ask_http1
from monitor.wire.http.tunnel import reach
from monitor.wire.http.ways import Way
from monitor.wire.model import NO_HEADERS, Answer, Connection, Limits, Timing, WireError
from monitor.wire.proxies import STRAIGHT, Proxies
from monitor.wire.tls import Trust

if TYPE_CHECKING:
    from email.message import EmailMessage

    from monitor.wire.dns.names import NameAnswer
    from monitor.wire.http.http2 import Http2
    from monitor.wire.mail import MailServer

MOST_REDIRECTS = 20
"""As browsers."""
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

    @property
    def is_secret(self) -> bool:
        """True when a proxy may not read it: keys, cookies, what is posted, and a query, which may hold a key."""
        return bool(
            self.secret_headers
            or self.content
            or "?" in self.target.path
            or any(name.lower() in ALWAYS_SECRET for name in self.headers)
        )


class Wire:
    """One per process: holds the trust contexts, the guard, the resolver and the cap on handshakes."""

    def __init__(
        self,
        *,
        allow_networks: Sequence[str] = (),
        ca_file: str | None = None,
        handshakes: int = 16,
        resolver: Resolver | None = None,
        proxies: Proxies = STRAIGHT,
    ) -> None:
        keep_stamps_on()
        trust, slots = Trust(ca_file), Slots(handshakes)
        self.ground = Ground(Guard(allow_networks), resolver or Resolver(), trust, slots, proxies)
        self.ways: dict[Way, tuple[tuple[int, ...], Wire]] = {}

    def by(self, way: Way) -> Wire:
        """Return this wire by another way out. Raises ``WireError(CONFIG)`` for one that cannot be gone."""
        stamp = way.stamp()
        stamped, found = self.ways.get(way, ((), None))
        if found is None or stamped != stamp:  # a certificate is renewed in its place
            found = Wire.__new__(Wire)
            found.ways, found.ground = {}, way.over(self.ground)
            self.ways[way] = stamp, found
        return found

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
        self,
        host: str,
        port: int,
        *,
        tls: bool,
        limits: Limits = NO_LIMITS,
        server_name: str | None = None,
        scheme: str = "",
    ) -> Connection:
        """Connect, shake hands if *tls*, and close again. Raises ``WireError``.

        TLS goes over the proxy that ``https`` has; without it only a *scheme* says that there may be one.
        """
        deadline = Deadline(asyncio.get_running_loop(), limits.deadline_s)
        link = Link(self.ground, limits, deadline, Timing(clock.monotonic_ns()))
        try:
            if not tls:
                if scheme:
                    await reach(link, scheme, host, port, literal(host), tunnel=True)
                else:
                    await link.connect(host, port, literal(host))
                return Connection(link.address, link.finish(), warnings=link.warnings)
            stream = await reach(link, "https", host, port, literal(host), tunnel=True)
            secured = await link.secure(stream, link.trust.verified, server_name or host)
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
    ) -> Mapping[str, int]:
        """Hand a mail to its server; return the recipients whom it refused, with the code, beside those whom it took.

        Raises ``WireError``, and ``MailError`` when the server refuses it for everybody.
        """
        from monitor.wire.mail import hand_over  # late: only a mail channel needs it

        deadline = Deadline(asyncio.get_running_loop(), limits.deadline_s)
        link = Link(self.ground, limits, deadline, Timing(clock.monotonic_ns()))
        try:
            return await hand_over(link, server, mail, sender, recipients)
        except (WireError, OSError) as error:
            raise link.explain(error) from None
        finally:
            deadline.close()
            link.close()

    async def ask_name(self, servers: Sequence[str], name: str, record: str, limit_s: float) -> Sequence[NameAnswer]:
        """Ask name servers for a name's records, the machine's own when none is named. Raises ``WireError``."""
        from monitor.wire.dns.names import ask_all  # late: only the dns kind needs it

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
            hop, jar, given = 0, None, _cookie_of(request)
            told: tuple[WarningText, ...] = ()
            while True:
                exchange = await self._hop(request, deadline, timing, hop)
                location = _location(exchange) if exchange.status in REDIRECTS else ""
                if not location or not self._redirects:
                    if told:
                        exchange.came_by(told)
                    self._exchange = exchange
                    return exchange
                exchange.close()
                told += exchange.warnings
                if hop == self._redirects:
                    raise _refusal(exchange, f"more than {hop} redirects")
                jar, origin = _collected(jar, request.target, exchange), request.target.origin
                request = self._follow(request, exchange, location)
                given = given if request.target.origin == origin else ""
                if jar is not None:
                    request = _with_cookies(request, jar, given)
                hop += 1
        except BaseException:
            deadline.close()
            raise

    async def _hop(self, request: Request, deadline: Deadline, timing: Timing, hop: int) -> Exchange:
        own = not hop or request.target.origin == parse(self._asked[1]).origin
        link = Link(self._ground, self._limits, deadline, timing, own=own)
        try:
            ask = _ask_http2 if request.http2 else ask_http1
            talk = await ask(
                link, request.target, request.method, request.all_headers, request.content, secret=request.is_secret
            )
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
            address = httpx.URL(request.target.url).join(_whole(request.target.scheme, location))
            # A name and a password that a stranger wrote into an address are not sent.
            target = parse_anew(str(address.copy_with(userinfo=b"") if address.userinfo else address))
            if target.literal is None:
                checked_host(target.host)
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


def _collected(jar: Jar | None, target: Target, exchange: Exchange) -> Jar | None:
    """Return the cookies of the look with those that a hop set; ``None`` as long as there are none."""
    lines = [value for name, value in exchange.raw_headers if name.lower() == b"set-cookie"]
    if not lines:
        return jar
    jar = jar or Jar()
    jar.take(target.origin, target.path, lines, clock.now())
    return jar


def _cookie_of(request: Request) -> str:
    return next((value for name, value in request.all_headers.items() if name.lower() == "cookie"), "")


def _with_cookies(request: Request, jar: Jar, given: str) -> Request:
    """Return the request with what its own origin set; what the look was *given* counts less, and stays a secret."""
    headers = {name: value for name, value in request.headers.items() if name.lower() != "cookie"}
    secret = {name: value for name, value in request.secret_headers.items() if name.lower() != "cookie"}
    if cookie := jar.header(request.target.origin, request.target.path, given):
        secret["cookie"] = cookie
    return replace(request, headers=headers, secret_headers=secret)


def _location(exchange: Exchange) -> str:
    """Return where a redirect leads, ``""`` for nowhere. Browsers refuse one that leads to two places, and so do we."""
    places = {value for name, value in exchange.raw_headers if name.lower() == b"location"}
    if len(places) > 1:
        exchange.close()
        raise _refusal(exchange, "redirect to two different places")
    return whatwg_reference(places.pop()) if places else ""


def whatwg_reference(value: bytes) -> str:
    """Return an address out of a header as browsers read it: no tabs, slashes for backslashes, odd bytes escaped."""
    value = re.sub(rb"[\t\r\n]", b"", value.strip(bytes(range(0x21))))
    address, mark, rest = re.fullmatch(rb"([^?#]*)([?#]?)(.*)", value, re.DOTALL).groups()  # type: ignore[union-attr]  # always matches
    value = address.replace(b"\\", b"/") + mark + rest
    try:
        return value.decode()
    except UnicodeDecodeError:
        return re.sub(rb"[\x80-\xff]", lambda odd: b"%%%02X" % odd[0][0], value).decode("ascii")


_ABSOLUTE = re.compile(r"(https?):(/*)(.*)|//+(.*)", re.IGNORECASE | re.DOTALL)


def _whole(scheme: str, location: str) -> str:
    """Return a redirect's address as the URL standard reads its slashes: too many or too few lead to a host as well.

    ``http:/a`` is a path where the page itself came over ``http``, and the host ``a`` where it came over ``https``.
    Raises ``ValueError`` for an address without a host.
    """
    found = _ABSOLUTE.fullmatch(location)
    if found is None:
        return location
    named, slashes, rest, host = found.groups()
    if host is None and named.lower() == scheme and len(slashes) < 2:
        return slashes + rest
    place = rest if host is None else host
    if not place or place[0] in ":?#":
        raise ValueError("no host")
    return f"{named or scheme}://{place}"


def _refusal(exchange: Exchange, words: str) -> WireError:
    return WireError(
        Reason.REDIRECT,
        words,
        phases=exchange.phases,
        certificate=exchange.certificate,
        address=exchange.address,
        status=exchange.status,
    )


async def _ask_http2(
    link: Link, target: Target, method: str, headers: Mapping[str, str], content: bytes, *, secret: bool
) -> Http2:
    del secret  # over a proxy it goes through a tunnel in any case
    from monitor.wire.http.http2 import ask_http2  # late: most targets are asked over HTTP/1.1

    return await ask_http2(link, target, method, headers, content)
