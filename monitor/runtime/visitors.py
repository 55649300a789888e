"""Connections of visitors: how many a program holds, and which it lets go so that the next visitor is served.

A visitor who never ends a request, or never reads the answer, costs a place and nothing else. When places run out, the
connection that has waited longest for the end of a request goes, not the newcomer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from monitor import clock

HEAD_S = 10.0
"""From connecting, or from the end of an answer, to the last byte of a request's head."""
ANSWER_S = 60.0
"""From a request's head to the end of its answer, as far as that is ours or waits for a body."""
STALLED_S = 30.0
"""So long an answer may lie unread without one byte of progress."""
LONGEST_S = 600.0
"""So long an answer may take to be read at all: our largest file over 64 kbit/s."""
SWEEP_S = 1.0
HEAD_BYTES = 64 * 1024
"""Of a request's head."""
TOO_LARGE = b"431 Request Header Fields Too Large"
NO_PLACE = b"503 Service Unavailable\r\nRetry-After: 60"
FILES = 65_536
MOST = 12_000
FILES_OF_SESSION = 3
"""Open files that a session of Streamlit takes beside its websocket: an event loop of its own."""
SESSIONS_LEFT = 128
"""So many sessions Streamlit keeps for visitors who may come back."""
PER_ADDRESS = 256
"""Connections of one public address. Private ones may be a proxy, which stands for everybody."""


def raise_limit() -> int:
    """Raise the soft limit of open files as far as the hard one allows; returns what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return FILES if soft == resource.RLIM_INFINITY else soft


def source_of(address: str | None) -> str:
    """Return what a visitor's address counts as: an IPv4 address, the network of an IPv6 one, nothing for this machine.

    Whoever has one IPv6 address has 2**64 of them. A proxy on this machine that does not say for whom it asks makes all
    of its visitors one source.
    """
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return "" if found.is_loopback else str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
        found = found.ipv4_mapped
    return "" if found.is_loopback else str(found)


def _bounded_place(address: str | None) -> str:
    """Return the source of a public address; nothing for one that may be a proxy."""
    source = source_of(address)
    return source if source and ipaddress.ip_network(source).is_global else ""


class Doing(Enum):
    """What a connection is at."""

    HEAD = auto()
    """It waits for a request, or for the rest of one."""
    ANSWER = auto()
    OPEN = auto()
    """A websocket."""


class Seat:
    """One connection."""

    __slots__ = ("begun_s", "doing", "done", "place", "since_s", "transport", "unread")

    def __init__(self, transport: Any, place: str, now_s: float) -> None:
        self.transport = transport
        self.place = place
        self.doing = Doing.HEAD
        self.begun_s = self.since_s = now_s
        self.unread = 0
        self.done = False


class Crowd:
    """All connections of a program."""

    def __init__(
        self,
        most: int = MOST,
        per_address: int = PER_ADDRESS,
        monotonic: Callable[[], float] = clock.monotonic,
        most_open: int | None = None,
    ) -> None:
        self.most, self.per_address, self._monotonic = most, per_address, monotonic
        self.most_open = most // 2 if most_open is None else most_open
        """Of all connections so many may be websockets."""
        self.seats: dict[Any, Seat] = {}
        self._waiting: dict[Seat, None] = {}  # in the order in which they began to wait
        self._places: dict[str, dict[Seat, None]] = {}
        self._open = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self.seats)

    def keep_swept(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sweep from now on until everybody has left."""
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_S, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self.sweep()
        if self.seats:
            self.keep_swept(loop)

    def came(self, transport: Any) -> bool:
        """Take a connection in, and let one go for it if there are too many; False if it was this one."""
        peer = transport.get_extra_info("peername")
        place = _bounded_place(peer[0] if isinstance(peer, tuple) and peer else None)
        seat = Seat(transport, place, self._monotonic())
        near = self._places.get(place, {}) if place else {}
        if len(near) >= self.per_address:
            leaves = next((one for one in near if one.doing is Doing.HEAD), seat)
        elif len(self.seats) >= self.most:
            leaves = next(iter(self._waiting), seat)
        else:
            leaves = None
        if leaves is not None:
            self._drop(leaves)
            if leaves is seat:
                return False
        self.seats[transport] = seat
        self._waiting[seat] = None
        if place:
            self._places.setdefault(place, {})[seat] = None
        return True

    def left(self, transport: Any) -> None:
        """Forget a connection that is over."""
        seat = self.seats.pop(transport, None)
        if seat is None:
            return
        self._waiting.pop(seat, None)
        self._open -= seat.doing is Doing.OPEN
        if near := self._places.get(seat.place):
            near.pop(seat, None)
            if not near:
                del self._places[seat.place]

    def asked(self, transport: Any) -> None:
        """Note that a request's head is complete."""
        if seat := self.seats.get(transport):
            self._waiting.pop(seat, None)
            seat.doing, seat.done, seat.unread = Doing.ANSWER, False, 0
            seat.begun_s = seat.since_s = self._monotonic()

    def answered(self, transport: Any) -> None:
        """Note that an answer was handed to the transport; the visitor may still have to read it."""
        if (seat := self.seats.get(transport)) and seat.doing is Doing.ANSWER:
            seat.done = True
            if not transport.get_write_buffer_size():
                self._waits(seat)

    def upgraded(self, transport: Any) -> bool:
        """Note that a connection becomes a websocket; False if there are too many already."""
        seat = self.seats.get(transport)
        if seat is None or self._open >= self.most_open:
            return False
        self._waiting.pop(seat, None)
        seat.doing, seat.unread, seat.since_s = Doing.OPEN, 0, self._monotonic()
        self._open += 1
        return True

    def sweep(self) -> None:
        """Let go of requests without an end and of answers that nobody reads."""
        now_s = self._monotonic()
        for seat in list(self._waiting):
            if seat.since_s > now_s - HEAD_S:
                break  # those after it began to wait later
            self._drop(seat)
        for seat in [seat for seat in self.seats.values() if seat.doing is not Doing.HEAD]:
            unread = seat.transport.get_write_buffer_size()
            if (unread and unread < seat.unread) or not seat.unread:
                seat.since_s = now_s if unread else seat.since_s
            seat.unread = unread
            if not unread and seat.done:
                self._waits(seat)
            elif self._is_stuck(seat, now_s):
                self._drop(seat)

    @staticmethod
    def _is_stuck(seat: Seat, now_s: float) -> bool:
        if seat.unread and now_s - seat.since_s > STALLED_S:
            return True
        if seat.doing is Doing.OPEN:
            return False
        return now_s - seat.begun_s > (LONGEST_S if seat.unread else ANSWER_S)

    def _waits(self, seat: Seat) -> None:
        seat.doing, seat.since_s = Doing.HEAD, self._monotonic()
        self._waiting[seat] = None

    def _drop(self, seat: Seat) -> None:
        self.left(seat.transport)
        seat.transport.abort()


def _hang_up(transport: asyncio.Transport, status: bytes) -> None:
    """Say why in one line of HTTP and close, unless something said so already."""
    if not transport.is_closing():
        transport.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n")
        transport.close()


def speaking_http(crowd: Crowd, body_bytes: int) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol of HTTP with its connections in a crowd; ``body_bytes`` is the longest body."""

    class Counted(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            self.heads, self.unread_bytes, self.most_bytes = 0, 0, HEAD_BYTES
            super().connection_made(transport)
            crowd.came(transport)
            crowd.keep_swept(self.loop)

        def connection_lost(self, exc: Exception | None) -> None:
            crowd.left(self.transport)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Take it; once it is too much answer 431 and hang up: the parser holds a head however long it grows."""
            if self.transport.is_closing():
                return
            heads = self.heads
            super().data_received(data)
            # A piece that ends a head may begin a body, of which no more is known yet than that it is due.
            self.unread_bytes += len(data) * (self.heads == heads)
            if self.unread_bytes > self.most_bytes:
                _hang_up(self.transport, TOO_LARGE)

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self.heads += 1
            self.unread_bytes, self.most_bytes = 0, body_bytes
            crowd.asked(self.transport)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.most_bytes = HEAD_BYTES

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self.pipeline:
                crowd.answered(self.transport)

        def handle_websocket_upgrade(self) -> None:
            if crowd.upgraded(self.transport):
                super().handle_websocket_upgrade()
            else:
                _hang_up(self.transport, NO_PLACE)

    return Counted


def speaking_websocket(crowd: Crowd) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol of websockets with its connections in a crowd."""
    from uvicorn.protocols.websockets import websockets_sansio_impl as sansio  # late: only Streamlit needs it

    class Counted(sansio.WebSocketsSansIOProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            crowd.left(self.transport)
            super().connection_lost(exc)

    return Counted


def places(files: int, *, websockets: bool) -> tuple[int, int, int]:
    """Return how many connections fit below a limit of open files, how many of them as websockets, and what is spare.

    Half of the files at most goes to websockets and what their sessions open.
    """
    spare = max(256, files // 8)  # the database, the log, and what one round of accepting brings before it is counted
    spare += FILES_OF_SESSION * SESSIONS_LEFT if websockets else 0
    left = max(64, files - spare)
    most_open = min(MOST // 2, left // 2 // (1 + FILES_OF_SESSION)) if websockets else 0
    return min(MOST, left - FILES_OF_SESSION * most_open), most_open, spare


def prepare(config: Config, body_bytes: int = HEAD_BYTES, *, websockets: bool = False) -> Crowd:
    """Make a server that was not loaded yet count its visitors, name itself to nobody, and hold as many as it can."""
    most, most_open, spare = places(raise_limit(), websockets=websockets)
    crowd = Crowd(most, most_open=most_open)
    config.http = speaking_http(crowd, body_bytes)
    config.ws = speaking_websocket(crowd) if websockets else "none"
    config.backlog = max(64, min(2048, spare // 2))
    config.server_header = False
    return crowd
