"""A small internet on loopback, and our own way into it, which can break: vendors with certificates, a name server.

Every vendor is a TLS server with a name, an address and a certificate of its own. Between it and the watcher lies our
line (:class:`Way`), which passes bytes on, or does what a broken line, an interceptor, a portal or a proxy does.

OpenSSL asks the machine for the time, whatever a test says it is. So when our clock is said to be wrong, the
certificates are issued as far from the machine's time as true ones would be from the wrong clock; the ``Date`` headers
tell the true time, and the clock of the program under test is really set.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from monitor import clock
from tests.edges.driven import START_S, WALL
from tests.edges.hostile_tls import DAY, Authority

Pump = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NAMES = ("www.alpha.example", "www.beta.example", "www.gamma.example")
CONTROL = "check.control.example"
PORTAL = "login.portal.example"
BODY = "<html><head><title>{0}</title></head><body><div id='root'>" + "{0} answers. " * 900 + "</div></body></html>"
FIRST_BYTES = 4000
"""What a line that is full lets through of a connection at first: a handshake."""


def true_time() -> datetime:
    """Return what a right clock says now."""
    return WALL + timedelta(seconds=clock.monotonic() - START_S)


async def read_head(reader: asyncio.StreamReader) -> str:
    """Return the target of a request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    return head.split(" ")[1]


def page(status: str, body: str, *headers: str) -> bytes:
    """Return a whole answer with the true date."""
    lines = (f"HTTP/1.1 {status}", f"Date: {format_datetime(true_time(), usegmt=True)}", "Content-Type: text/html")
    more = (f"Content-Length: {len(body.encode())}", "Connection: close", *headers)
    return ("\r\n".join((*lines, *more)) + "\r\n\r\n" + body).encode()


class Vendor:
    """A web server with a name; ``down`` makes it answer 503."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.down = False
        self.asked = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        self.asked += 1
        if self.down:
            writer.write(page("503 Service Unavailable", BODY.format("Nobody")))
        else:
            writer.write(page("200 OK", BODY.format(self.name)))


class Portal:
    """Somebody between us and everybody, who answers for all of them."""

    def __init__(self, status: str, *headers: str) -> None:
        self._status, self._headers = status, headers

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(page(self._status, "<html><title>Welcome</title>Please sign in</html>", *self._headers))


class Way:
    """Our line as it should be: what a name server says is true, and bytes are passed on as they are."""

    def resolve(self, host: str, address: str) -> list[tuple[int, str]]:
        return [(socket.AF_INET, address)]

    async def connected(
        self, vendor: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve a connection of ours to a vendor."""
        await relay(vendor, reader, writer)


@dataclass
class Town:
    """The vendors and the control target, behind one line of ours."""

    authority: Authority
    stranger: Authority
    """Signs what an interceptor shows; nobody trusts it."""
    names: Sequence[str] = NAMES
    port: int = 0
    vendors: dict[str, Vendor] = field(default_factory=dict)
    way: Way = field(default_factory=Way)
    _addresses: dict[str, str] = field(default_factory=dict)
    _closing: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _relays: set[asyncio.Task[None]] = field(default_factory=set)
    _certificates: dict[str, ssl.SSLContext] = field(default_factory=dict)

    async def open(self) -> None:
        """Put every server in its place: 127.1.0.x is the vendor's own address, 127.2.0.x our line to it."""
        for number, name in enumerate((*self.names, CONTROL), 1):
            vendor, address = Vendor(name), f"127.2.0.{number}"
            self.vendors[name], self._addresses[name] = vendor, address
            self._certificates[name] = self.authority.server(names=(name,))
            behind = await self.serve(f"127.1.0.{number}", 0, vendor.answer, self._certificates.__getitem__)
            await self._listen(address, self.port, self._line_to(behind))
            self.port = self.port or self._last_port
        self._addresses[PORTAL] = "127.3.0.1"

    def _line_to(self, vendor: tuple[str, int]) -> Pump:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)
            with contextlib.suppress(OSError):
                await self.way.connected(vendor, reader, writer)

        return connected

    async def serve(
        self, address: str, port: int, answer: Pump, certificate: Callable[[str], ssl.SSLContext]
    ) -> tuple[str, int]:
        """Serve somewhere, with the certificate that is in force for a name when somebody asks; returns where."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
                await answer(reader, writer)
                await writer.drain()
            writer.close()

        def named(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = certificate(name or "")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = named
        await self._listen(address, port, connected, context)
        return address, self._last_port

    async def _listen(self, address: str, port: int, connected: Pump, context: ssl.SSLContext | None = None) -> None:
        server = await asyncio.start_server(connected, address, port, ssl=context)
        await self._closing.enter_async_context(server)
        self._last_port = int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for task in self._relays:
            task.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        await self._closing.aclose()

    def issue_anew(self, by: timedelta) -> None:
        """Let every certificate be as it looks to a clock that is ahead by so much."""
        for name in self.vendors:
            leaf = self.authority.server(names=(name,), starts_in=-30 * DAY - by, ends_in=60 * DAY - by)
            self._certificates[name] = leaf

    def lookup(self, host: str, _: int) -> list[tuple[int, str]]:
        """Answer as our name server does; it runs in a thread."""
        return self.way.resolve(host, self._addresses[host])


Passing = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on as they come, and their end."""
    while piece := await reader.read(16384):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def relay(
    to: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: Passing = pass_on
) -> None:
    """Connect a client with a server; ``back`` is what becomes of the server's bytes."""
    their_reader, their_writer = await asyncio.open_connection(*to)
    outward = asyncio.create_task(pass_on(reader, their_writer))
    try:
        await back(their_reader, writer)
    finally:
        outward.cancel()
        for end in (writer, their_writer):
            end.close()


class Diverted(Way):
    """Every connection ends at somebody else: an interceptor, a portal, a proxy of ours."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to

    async def connected(
        self, vendor: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await relay(self._to, reader, writer)


class Full(Way):
    """A line that is full: most answers wait for ever before or after their handshake, some are cut, a few get through.

    ``through`` says how many connections there are to each that gets through; 0: none does.
    """

    def __init__(self, through: int = 0) -> None:
        self._through, self._count = through, 0

    async def connected(
        self, vendor: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._count += 1
        if self._through and self._count % self._through == 0:
            await relay(vendor, reader, writer)
            return
        allowed = (1000, FIRST_BYTES, FIRST_BYTES)[self._count % 3]

        async def stop_short(theirs: asyncio.StreamReader, ours: asyncio.StreamWriter) -> None:
            left = allowed
            while left > 0 and (piece := await theirs.read(min(left, 500))):
                left -= len(piece)
                ours.write(piece)
            if self._count % 3:
                await asyncio.sleep(60)

        await relay(vendor, reader, writer, stop_short)


class Hijacked(Way):
    """A name server that answers one address for every name."""

    def __init__(self, address: str) -> None:
        self._address = address

    def resolve(self, host: str, address: str) -> list[tuple[int, str]]:
        return [(socket.AF_INET, self._address)]


class Nameless(Way):
    """A name server that is away."""

    def resolve(self, host: str, address: str) -> list[tuple[int, str]]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class BlackHole(Way):
    """IPv6 that leads nowhere; with ``both`` there is IPv4 behind it."""

    def __init__(self, *, both: bool) -> None:
        self._both = both

    def resolve(self, host: str, address: str) -> list[tuple[int, str]]:
        fourth = [(int(socket.AF_INET), address)] if self._both else []
        return [(socket.AF_INET6, "::1"), *fourth]


@contextlib.contextmanager
def dropping(port: int) -> Iterator[None]:
    """Let [::1]:port drop whoever knocks: nobody takes what waits, and there is no room for more."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket(socket.AF_INET6))
        listener.bind(("::1", port))
        listener.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket(socket.AF_INET6))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(("::1", port))
        yield


@asynccontextmanager
async def town(authorities: tuple[Authority, Authority], names: Sequence[str] = NAMES) -> AsyncIterator[Town]:
    """Open a town, and close it in the end."""
    found = Town(*authorities, names)
    await found.open()
    try:
        yield found
    finally:
        await found.close()


def authorities(folder: Path) -> tuple[Authority, Authority]:
    """Return whom everybody trusts and whom nobody does, by the machine's time."""
    trusted, stranger = folder / "trusted", folder / "stranger"
    for home in (trusted, stranger):
        home.mkdir()
    always = 1500 * DAY
    return (
        Authority(trusted, starts_in=-always, ends_in=always),
        Authority(stranger, starts_in=-always, ends_in=always, name="Somebody on the Line"),
    )
