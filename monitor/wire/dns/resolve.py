"""Names to addresses, through the host's own resolver, in bounded threads that cannot hold up the loop."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address

from monitor import clock
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.wire.deadline import Deadline, Slots, Step
from monitor.wire.model import WireError

Lookup = Callable[[str, int], Sequence[tuple[int, str]]]
"""Host and port → (address family, address), in the order of preference; blocks, raises ``socket.gaierror``."""

NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def system_lookup(host: str, port: int) -> list[tuple[int, str]]:
    """Ask the host's resolver (hosts file, search domains, RFC 6724 order)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


class Resolver:
    """Runs a blocking lookup in at most *threads* threads; equal questions asked at once share one thread.

    A thread that hangs in the system's resolver keeps its place until it returns: the number stays bounded.
    Daemon threads, because the standard pool would wait for them at exit.
    """

    def __init__(self, lookup: Lookup = system_lookup, threads: int = 16) -> None:
        self._lookup = lookup
        self._slots = Slots(threads)
        self._asked: dict[tuple[str, int], _Question] = {}

    async def resolve(
        self, host: str, port: int, deadline: Deadline, limit_s: float
    ) -> tuple[Sequence[tuple[int, str]], float]:
        """Return the addresses and how long the lookup took; raises ``WireError(DNS)``."""
        deadline.enter(Step.RESOLVER, limit_s)
        question = self._asked.get((host, port))
        joined = clock.monotonic() if question is not None else None
        if question is None:
            question = self._asked[host, port] = _Question(deadline.loop)
            await self._start(host, port, question, deadline)
        deadline.enter(Step.DNS, limit_s)
        await question.wait(deadline)
        if question.error is not None:
            raise _error(question.error)
        took_s = question.took_s if joined is None else min(question.took_s, clock.monotonic() - joined)
        return question.found, took_s

    async def _start(self, host: str, port: int, question: _Question, deadline: Deadline) -> None:
        try:
            await self._slots.take(deadline)
        except BaseException:
            self._answer(host, port, question, OSError(coded(MessageCode.RESOLVERS_BUSY)))
            raise
        threading.Thread(
            target=self._run, args=(host, port, question, deadline.loop), name=f"resolve {host}", daemon=True
        ).start()

    def _run(self, host: str, port: int, question: _Question, loop: asyncio.AbstractEventLoop) -> None:
        started = clock.monotonic()
        error: Exception | None = None
        try:
            question.found = self._lookup(host, port)
        except Exception as caught:  # pass the error to the waiters: nothing catches what a thread raises
            error = caught
        question.took_s = clock.monotonic() - started
        with suppress(RuntimeError):  # the loop is closed, so nothing waits for the answer
            loop.call_soon_threadsafe(self._finish, host, port, question, error)

    def _finish(self, host: str, port: int, question: _Question, error: Exception | None) -> None:
        self._slots.give()
        self._answer(host, port, question, error)

    def _answer(self, host: str, port: int, question: _Question, error: Exception | None) -> None:
        self._asked.pop((host, port), None)
        question.settle(error)


class _Question:
    """One lookup under way and all who wait for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiters: list[asyncio.Future[None]] = []
        self._settled = False
        self.found: Sequence[tuple[int, str]] = ()
        self.error: Exception | None = None
        self.took_s = 0.0

    async def wait(self, deadline: Deadline) -> None:
        if not self._settled:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await deadline.wait(waiter)

    def settle(self, error: Exception | None) -> None:
        self._settled = True
        self.error = error
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _error(error: Exception) -> WireError:
    if isinstance(error, socket.gaierror):
        if error.errno in NO_SUCH_NAME:
            return WireError(Reason.DNS, "the name does not exist or has no address")
        if error.errno == socket.EAI_AGAIN:
            return WireError(Reason.DNS, "the resolver failed or did not answer (SERVFAIL)")
        return WireError(Reason.DNS, f"the resolver failed: {error.strerror}")
    if isinstance(error, UnicodeError):
        return WireError(Reason.CONFIG, "not a host name")
    return WireError(Reason.NETWORK, str(error))


def literal(host: str) -> tuple[int, str] | None:
    """Return family and address of an IP literal in its usual form; all other spellings go through the resolver."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (socket.AF_INET if address.version == 4 else socket.AF_INET6), str(address)


_LABEL = re.compile(r"[\w-]{1,63}")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def checked_host(text: str, *, old_spellings: bool = False) -> str:
    """Return a name or an IP address as it stands; raises ``ValueError`` for what is more, or neither.

    Old spellings (``127.1``, ``0x7f000001``) are addresses where browsers read them, in a web address.
    """
    text = text.strip()
    if literal(text.partition("%")[0]) is not None:
        return text
    hint = "write only the name or the address, as in chat.example.com, 192.0.2.1 or 2001:db8::1"
    if "://" in text or "/" in text:
        raise ValueError(f"is a web address and not a host: {hint}")
    if text.startswith("["):
        raise ValueError(f"has brackets, which belong into web addresses: {hint}")
    _, colon, port = text.rpartition(":")
    if colon and port.isdecimal():
        raise ValueError(f"has a port, which is an option of its own: {hint}")
    labels = text.removesuffix(".").split(".")
    if len(text) > 254 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"is no name that could be resolved: {hint}")
    if _NUMBER.fullmatch(labels[-1]) and not (old_spellings and _is_address(labels)):
        raise ValueError(f"looks like an address and is none: {hint}")
    return text


def _is_address(labels: Sequence[str]) -> bool:
    """Say whether browsers read the parts as an IPv4 address; each may be octal or hexadecimal, the last the rest."""
    try:
        numbers = [int(one, 16 if one[:2].lower() == "0x" else 8 if one.startswith("0") else 10) for one in labels]
    except ValueError:
        return False
    return len(numbers) <= 4 and all(one < 256 for one in numbers[:-1]) and numbers[-1] < 256 ** (5 - len(numbers))
