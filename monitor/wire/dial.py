"""A raw TCP connection: happy eyeballs over checked addresses, then reads with the kernel's receive stamps."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from monitor import clock
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode, WarningText, detailed
from monitor.wire.deadline import Deadline
from monitor.wire.model import Timing, WireError, longer

STAGGER_S = 0.25
"""RFC 8305's connection attempt delay."""
MOST_ATTEMPTS = 6
READ_BYTES = 65536
HIGH_WATER_BYTES = 262_144
"""Unread bytes at which the kernel's window does the waiting."""
STEP_NS = 1_000_000
"""A wall clock that moved by more than this against the monotonic one was stepped; its stamps are not used."""

SO_TIMESTAMPNS = 35  # Linux, asm-generic/socket.h; the socket module does not name it
STAMPS = sys.platform == "linux"
"""Elsewhere the user clock serves."""
TIMESPEC = struct.Struct("qq")
STAMP_SPACE = socket.CMSG_SPACE(TIMESPEC.size)
TCP_INFO_BYTES = 104
TCP_INFO_RTT_US, TCP_INFO_TOTAL_RETRANS = 68, 100  # byte offsets in struct tcp_info, linux/tcp.h


@cache
def keep_stamps_on() -> int:
    """Keep the kernel's stamping switched on for the life of the process; return the file descriptor that does it.

    Linux stamps packets only while some socket wants it, and turns that on too late for a quick first answer.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if STAMPS:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return sock.detach()


class Piece(NamedTuple):
    """Bytes with the moment they arrived."""

    data: bytes
    at_ns: int
    stamped: bool


class Attempt(NamedTuple):
    """A socket that is connecting or connected."""

    sock: socket.socket
    address: str
    started_ns: int


class Dialled(NamedTuple):
    """A connected socket and what connecting told."""

    sock: socket.socket
    peer: tuple[int, str, int]
    """Family, address and port."""
    warnings: tuple[WarningText, ...]


class _Race:
    """Attempts one address after another, a stagger apart or at once after a failure; the first to connect wins."""

    def __init__(self, addresses: Sequence[tuple[int, str]], port: int, deadline: Deadline) -> None:
        self.loop = deadline.loop
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.winner: Attempt | None = None
        self.failures: list[tuple[str, OSError]] = []
        self._port = port
        self._waiting = deque(addresses)
        self._running: list[Attempt] = []
        self._timer: asyncio.TimerHandle | None = None

    def start_next(self) -> None:
        """Start the next attempt, or end the race when none is left and none is running."""
        self._cancel_timer()
        while self._waiting:
            family, address = self._waiting.popleft()
            try:
                self._start(family, address)
            except OSError as error:
                self.failures.append((address, error))
                continue
            if self._waiting:
                self._timer = self.loop.call_later(STAGGER_S, self.start_next)
            return
        if not self._running and not self.done.done():
            self.done.set_result(None)

    def _start(self, family: int, address: str) -> None:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if STAMPS:
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            attempt = Attempt(sock, address, clock.monotonic_ns())
            code = sock.connect_ex((address, self._port))
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except BaseException:
            sock.close()
            raise
        self._running.append(attempt)
        self.loop.add_writer(sock, self._on_writable, attempt)

    def _on_writable(self, attempt: Attempt) -> None:
        self.loop.remove_writer(attempt.sock)
        self._running.remove(attempt)
        code = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            attempt.sock.close()
            self.failures.append((attempt.address, OSError(code, os.strerror(code))))
            self.start_next()
        elif self.done.done():
            attempt.sock.close()
        else:
            self.winner = attempt
            self.done.set_result(None)

    def close(self) -> None:
        """End every attempt but the winner's."""
        self._cancel_timer()
        for attempt in self._running:
            self.loop.remove_writer(attempt.sock)
            attempt.sock.close()
            if self.winner is not None:
                self.failures.append((attempt.address, OSError(errno.ETIMEDOUT, "slower than the other address")))
        self._running.clear()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def dial(addresses: Sequence[tuple[int, str]], port: int, deadline: Deadline, timing: Timing) -> Dialled:
    """Connect to the first address that answers; raises ``WireError`` with CONNECT, NETWORK or TIMEOUT_CONNECT.

    The connect phase is the kernel's round trip of the handshake where it can be had: our loop's lag is not in it.
    """
    started_ns = clock.monotonic_ns()
    race = _Race(_interleaved(addresses), port, deadline)
    try:
        race.start_next()
        await deadline.wait(race.done)
    except WireError:
        timing.connect_s = longer(timing.connect_s, clock.monotonic_ns() - started_ns)
        raise
    except BaseException:
        if race.winner is not None:
            race.winner.sock.close()
        raise
    finally:
        race.close()
    now_ns = clock.monotonic_ns()
    if race.winner is None:
        timing.connect_s = longer(timing.connect_s, now_ns - started_ns)
        raise refusal(race.failures)
    sock, address, attempted_ns = race.winner
    timing.rtt_s, clean = _round_trip(sock)
    took_s = (now_ns - attempted_ns) / 1e9
    if timing.rtt_s is not None and clean:
        timing.lag_s = max(timing.lag_s, took_s - timing.rtt_s)
        took_s = min(took_s, timing.rtt_s)
    timing.connect_s = longer(timing.connect_s, attempted_ns - started_ns + took_s * 1e9)
    warnings = tuple(
        detailed(WarningCode.CONNECT_FALLBACK, f"{failed}: {error.strerror}") for failed, error in race.failures
    )
    return Dialled(sock, (sock.family, address, port), warnings)


def _interleaved(addresses: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Alternate the families, beginning with the resolver's first (RFC 8305, 4)."""
    if len(addresses) < 2:
        return list(addresses)
    first = [one for one in addresses if one[0] == addresses[0][0]]
    other = [one for one in addresses if one[0] != addresses[0][0]]
    mixed = [one for pair in zip(first, other, strict=False) for one in pair]
    shorter = min(len(first), len(other))
    return (mixed + first[shorter:] + other[shorter:])[:MOST_ATTEMPTS]


def _round_trip(sock: socket.socket) -> tuple[float | None, bool]:
    """Return the kernel's smoothed round trip in seconds, and whether nothing was sent twice."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        (rtt_us,) = struct.unpack_from("I", info, TCP_INFO_RTT_US)
        (again,) = struct.unpack_from("I", info, TCP_INFO_TOTAL_RETRANS)
    except (OSError, AttributeError, struct.error):
        return None, False
    return (rtt_us / 1e6 if rtt_us else None), not again


def _out_of_sockets(error: OSError) -> str:
    return coded(MessageCode.OUT_OF_SOCKETS, error=errno.errorcode.get(error.errno or 0, ""))


def refusal(failures: Sequence[tuple[str, OSError]]) -> WireError:
    """Return the error of a race that nobody won: the first address that told something of the other side counts."""
    ours = {
        errno.ENETUNREACH: coded(MessageCode.NO_ROUTE),
        errno.EADDRNOTAVAIL: coded(MessageCode.NO_LOCAL_PORT),
        errno.EAFNOSUPPORT: coded(MessageCode.NO_ADDRESS_FAMILY),
        errno.EPERM: coded(MessageCode.OWN_FIREWALL),
        errno.EACCES: coded(MessageCode.OWN_FIREWALL),
    }
    for address, error in failures:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            return WireError(Reason.INTERNAL, _out_of_sockets(error), address=address)
        if error.errno not in ours:
            return WireError(Reason.CONNECT, f"{error.strerror or error}".lower(), address=address)
    address, error = failures[0]
    return WireError(Reason.NETWORK, ours[error.errno or 0], address=address)


class Clocks:
    """Carries the kernel's wall-clock stamps over to the monotonic clock, unless the wall clock was stepped."""

    __slots__ = ("_at_ns", "_offset_ns")

    def __init__(self, at_ns: int, offset_ns: int) -> None:
        self._at_ns = at_ns
        self._offset_ns = offset_ns

    def carry(self, stamp_ns: int, now_ns: int, offset_ns: int) -> int | None:
        """Return the stamp in monotonic nanoseconds; ``None`` when a step or a stamp of the future discredits it.

        *offset_ns* is wall minus monotonic clock now. A clock that is slewed moves by 0.5 per mille at most.
        """
        moved_ns, elapsed_ns = abs(offset_ns - self._offset_ns), now_ns - self._at_ns
        self._at_ns, self._offset_ns = now_ns, offset_ns
        at_ns = stamp_ns - offset_ns
        return at_ns if moved_ns <= STEP_NS + elapsed_ns // 1000 and at_ns <= now_ns else None


class Stream:
    """Reads as soon as the kernel has something, stamps it, and keeps it until somebody asks."""

    __slots__ = (
        "_clocks",
        "_deadline",
        "_ended",
        "_error",
        "_loop",
        "_paused",
        "_pieces",
        "_room",
        "_size",
        "_waiter",
        "lag_ns",
        "peer",
        "sock",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, peer: tuple[int, str, int], deadline: Deadline, most_bytes: int = 2**62
    ) -> None:
        self.sock = sock
        self._room = most_bytes
        self.lag_ns = 0
        """Most time that lay between the kernel's stamp and our reading."""
        self._deadline = deadline
        self._loop = deadline.loop
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self.peer = peer
        self._paused = False
        self._ended = False
        self._error: OSError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._clocks = Clocks(clock.monotonic_ns(), clock.wall_offset_ns())
        self._loop.add_reader(sock, self._on_readable)

    def _on_readable(self) -> None:
        try:
            data, extras, _, _ = self.sock.recvmsg(READ_BYTES, STAMP_SPACE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if not data:
            self._end(None)
            return
        self._pieces.append(self._piece(data, extras))
        self._size += len(data)
        if self._size >= HIGH_WATER_BYTES:
            self._paused = True
            self._loop.remove_reader(self.sock)
        self._wake()

    def _piece(self, data: bytes, extras: Sequence[tuple[int, int, bytes]]) -> Piece:
        now_ns = clock.monotonic_ns()
        for level, kind, body in extras:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(body) >= TIMESPEC.size:
                seconds, nanoseconds = TIMESPEC.unpack_from(body)
                stamp_ns = seconds * 1_000_000_000 + nanoseconds
                at_ns = self._clocks.carry(stamp_ns, now_ns, clock.wall_offset_ns())
                if at_ns is not None:
                    self.lag_ns = max(self.lag_ns, now_ns - at_ns)
                    return Piece(data, at_ns, True)
        return Piece(data, now_ns, False)

    def _end(self, error: OSError | None) -> None:
        self._ended = True
        self._error = error
        self._loop.remove_reader(self.sock)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> Piece | None:
        """Return what arrived next, ``None`` at the end of the stream; raises ``OSError`` after a reset."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._waiter = self._loop.create_future()
            try:
                await self._deadline.wait(self._waiter)
            finally:
                self._waiter = None
        piece = self._pieces.popleft()
        self._size -= len(piece.data)
        self._room -= len(piece.data)
        if self._room < 0:
            raise WireError(Reason.TOO_LARGE, "far more bytes received than data was in them")
        self._deadline.admit(len(piece.data), piece.at_ns)
        if self._paused and self._size < HIGH_WATER_BYTES // 2 and not self._ended:
            self._paused = False
            self._loop.add_reader(self.sock, self._on_readable)
        return piece

    async def write(self, data: bytes) -> int:
        """Hand all of *data* to the kernel; return the moment of the last hand-over in monotonic nanoseconds."""
        view = memoryview(data)
        while True:
            at_ns = clock.monotonic_ns()
            try:
                view = view[self.sock.send(view) :]
            except (BlockingIOError, InterruptedError):
                await self._writable()
            if not view:
                return at_ns

    async def _writable(self) -> None:
        waiter = self._loop.create_future()
        self._loop.add_writer(self.sock, lambda: None if waiter.done() else waiter.set_result(None))
        try:
            await self._deadline.wait(waiter)
        finally:
            self._loop.remove_writer(self.sock)

    def close(self) -> None:
        """Close the socket; what was not read is gone."""
        if self.sock.fileno() >= 0:
            self._loop.remove_reader(self.sock)
            self.sock.close()
        self._pieces.clear()
        self._error = None  # its traceback leads back here, and the prober runs without garbage collection
