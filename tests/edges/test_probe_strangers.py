"""Whatever a stranger answers, a look ends at its deadline, holds nobody up, and reads no more than its bounds.

Time is driven (:mod:`tests.edges.driven`) and work is counted; what it costs in seconds and megabytes beside plain
reading is printed by ``python -m tests.bench strangers``.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from monitor import clock
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes.base import Context
from tests.edges import driven
from tests.edges.hostile import CHUNKED, OK_HEAD, Behave, drips, request_of, says, serve, silent
from tests.edges.probing import context, look_once
from tests.edges.strangers import READERS, answers_for

DEADLINE_S = 0.3
SLACK_S = 0.1
HELD_UP_STEPS = 500_000
"""Calls between two turns of the loop: 20,000 events of a chat in one piece are 400,000, all else is below 200,000."""
APART_STEPS = 6_000_000
"""Calls in a thread, which nobody can stop: half a megabyte of nothing but tags is 5,400,000."""
KERNELS_BYTES = 12 * 2**20
"""What the two ends of a connection may hold between them."""


class Cost(NamedTuple):
    seen: Observation
    took_s: float
    steps: driven.Steps


@cache
def usual() -> Context:
    """Return a context whose wire has read the machine's authorities already: that is no part of a look."""
    return context(timeout_s=DEADLINE_S)


def options_for(name: str, port: int) -> dict[str, Any]:
    options = dict(READERS[name])
    for address in ("base_url", "balance_url") if "base_url" in options else ("url",):
        if address != "balance_url" or address in options:
            options[address] = f"http://127.0.0.1:{port}"
    return options


async def cost(kind: str, **options: Any) -> Cost:
    ctx, started_s = replace(usual(), memory={}), clock.monotonic()
    with driven.Steps() as steps:
        seen = await look_once(kind, ctx, **options)
    return Cost(seen, clock.monotonic() - started_s, steps)


async def cost_of(name: str, port: int) -> Cost:
    return await cost(name.split()[0], **options_for(name, port))


async def costs_of(name: str, answers: Mapping[str, bytes]) -> dict[str, Cost]:
    found, said = {}, b""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(said)
        await writer.drain()

    async with serve(behave) as port:
        for what, said in answers.items():  # noqa: B007 - the server says it
            found[what] = await cost_of(name, port)
    return found


@pytest.mark.parametrize("name", READERS)
def test_reading_whatever_it_is_costs_a_bounded_number_of_steps_and_holds_nobody_up(name: str) -> None:
    for what, (seen, took_s, steps) in driven.run(costs_of(name, answers_for(name))).items():
        assert steps.longest < HELD_UP_STEPS, what
        assert steps.apart < APART_STEPS, what
        assert took_s < DEADLINE_S, (what, "nothing had to be waited for")
        assert seen.reason is not Reason.INTERNAL, (what, seen.detail)


HINT = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
WAITING: dict[str, Behave] = {
    "says nothing": silent,
    "drips its headers": drips(OK_HEAD + b"x: ", b"a", 0.05),
    "drips its body": drips(OK_HEAD + b"content-type: application/json\r\n\r\n", b"[", 0.05),
    "drips chunks": drips(CHUNKED, b"1\r\n \r\n", 0.05),
    "drips hints": drips(b"", HINT, 0.05),
    "redirects for ever": says(b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n", then=5),
}


@pytest.mark.parametrize("what", WAITING)
def test_waiting_for_whomever_ends_at_the_deadline_for_every_kind_at_once(what: str) -> None:
    async def look(name: str, port: int) -> tuple[Observation, float]:
        ctx, started_s = replace(usual(), memory={}), clock.monotonic()
        seen = await look_once(name.split()[0], ctx, **options_for(name, port))
        return seen, clock.monotonic() - started_s

    async def main() -> list[tuple[Observation, float]]:
        async with serve(WAITING[what]) as port:
            return await asyncio.gather(*(look(name, port) for name in READERS))

    for name, (seen, took_s) in zip(READERS, driven.run(main()), strict=True):
        assert took_s < DEADLINE_S + SLACK_S, name
        assert seen.outcome in (Outcome.FAILED, Outcome.UNKNOWN), name
        assert seen.reason is not Reason.INTERNAL, (name, seen.detail)


ENDLESS = {
    "http": 4,
    "login": 4,
    "registration page_text": 4,
    "upstream google_cloud": 6,
    "chat": 4,
    "chat whole": 4,
}
"""Reader → megabytes after which it hangs up, at most."""


@pytest.mark.parametrize("name", ENDLESS)
def test_a_body_without_end_is_cut_by_its_size(name: str) -> None:
    piece, taken = b"[" * 65536, 0

    async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await request_of(reader)
        writer.write(OK_HEAD + b"content-type: application/json\r\n\r\n")
        while True:
            writer.write(piece)
            await writer.drain()
            taken += len(piece)

    async def main() -> Cost:
        async with serve(body) as port:
            return await cost_of(name, port)

    seen, took_s, _ = driven.run(main())
    assert took_s < DEADLINE_S, "cut by its size and not by the deadline"
    assert taken < ENDLESS[name] * 2**20 + KERNELS_BYTES
    assert seen.outcome in (Outcome.FAILED, Outcome.UNKNOWN)


def dns_answer(kind: str, number: int, asked: bytes) -> bytes:
    """Return a datagram that answers *asked* with *number* records of one sort."""
    question = asked[12 : asked.index(b"\0", 12) + 5]
    head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, number, 0, 0) + question
    if kind == "types":
        return head + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1000 + n, 1, 60, 0) for n in range(number))
    if kind == "addresses":
        return head + b"".join(b"\xc0\x0c" + struct.pack("!HHIHI", 1, 1, 60, 4, 2**24 + n) for n in range(number))
    if kind == "aliases":
        names = [b"\xc0\x0c", *(b"\x05c%04d\0" % n for n in range(number))]
        return head + b"".join(one + struct.pack("!HHIH", 5, 1, 60, len(to)) + to for one, to in pairwise(names))
    if kind == "a loop":
        return head + b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 2) + b"\xc0\x0c"
    assert kind == "pointers"
    return head + struct.pack("!H", 0xC000 + len(head)) + struct.pack("!HHIH", 1, 1, 60, 4)


class NameServer(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for datagram in self._answer(data):
            self._transport.sendto(datagram, addr)


@asynccontextmanager
async def name_server(answer: Callable[[bytes], list[bytes]], over_tcp: Behave) -> AsyncIterator[int]:
    async with serve(over_tcp) as port:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(answer), local_addr=("127.0.0.1", port))
        try:
            yield port
        finally:
            transport.close()


def cut(asked: bytes) -> list[bytes]:
    """Say "ask me over TCP"."""
    return [asked[:2] + b"\x83\x80" + asked[4:]]


DNS: dict[str, tuple[Callable[[bytes], list[bytes]], Behave]] = {
    "nothing": (lambda asked: [], silent),
    "garbage": (lambda asked: [asked[:2] + b"\xff" * 60], silent),
    "strays without end": (lambda asked: [bytes((asked[0] ^ 1,)) + dns_answer("types", 600, asked)[1:]] * 200, silent),
    "answers to another question": (
        lambda asked: [dns_answer("types", 600, asked).replace(b"\x04chat", b"\x04chut")] * 200,
        silent,
    ),
    "4,000 addresses": (lambda asked: [dns_answer("addresses", 4000, asked)], silent),
    "500 addresses": (lambda asked: [dns_answer("addresses", 500, asked)], silent),
    "5,400 types": (lambda asked: [dns_answer("types", 5400, asked)], silent),
    "300 aliases": (lambda asked: [dns_answer("aliases", 300, asked)], silent),
    "an alias of itself": (lambda asked: [dns_answer("a loop", 1, asked)], silent),
    "a pointer at itself": (lambda asked: [dns_answer("pointers", 1, asked)], silent),
    "silence over TCP": (cut, silent),
    "a drip over TCP": (cut, drips(b"", b"\xff", 0.02)),
    "64 KB over TCP": (cut, drips(b"", b"\xff" * 65536, 0.0)),
}


@pytest.mark.parametrize("what", DNS)
def test_no_name_server_costs_more_than_its_deadline(what: str) -> None:
    answer, over_tcp = DNS[what]

    async def reads_anything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        feed = asyncio.StreamReader()
        feed.feed_data(b"\r\n\r\n")  # the servers of HTTP wait for the end of a request
        await over_tcp(feed, writer)

    async def main() -> Cost:
        async with name_server(answer, reads_anything) as port:
            return await cost("dns", name="chat.example.com", resolvers=[f"127.0.0.1:{port}"])

    seen, took_s, steps = driven.run(main())
    assert took_s < DEADLINE_S + SLACK_S
    assert steps.longest < HELD_UP_STEPS
    assert seen.reason in (Reason.NETWORK, Reason.DNS, Reason.OK)
    assert (seen.reason is Reason.OK) is (what == "500 addresses")


def test_strays_are_read_a_few_times_only() -> None:
    """A resolver that floods would otherwise use a core until the deadline."""
    seen = 0

    def strays(asked: bytes) -> list[bytes]:
        nonlocal seen
        seen += 1
        return [bytes((asked[0] ^ 1, asked[1])) + asked[2:]] * 500

    async def main() -> tuple[Observation, float]:
        async with name_server(strays, silent) as port:
            ctx = replace(usual(), memory={}, timeout_s=5.0)
            started_s = clock.monotonic()
            found = await look_once("dns", ctx, name="chat.example.com", resolvers=[f"127.0.0.1:{port}"])
            return found, clock.monotonic() - started_s

    found, took_s = driven.run(main())
    assert seen
    assert found.reason is Reason.NETWORK
    assert "no usable answer" in found.detail
    assert took_s < 4, "it ends with the number of strays and not with the deadline"


async def drips_a_record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")
    while True:
        writer.write(b"\x03")
        await writer.drain()
        await asyncio.sleep(0.02)


async def warns_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\x15\x03\x03\x00\x02\x01\x5a" * 5000)  # "user cancelled", a warning that ends nothing
        await writer.drain()


HANDSHAKES: dict[str, Behave] = {"says nothing": silent, "drips": drips_a_record, "warns for ever": warns_for_ever}


@pytest.mark.parametrize("what", HANDSHAKES)
def test_no_handshake_costs_more_than_its_deadline(what: str) -> None:
    async def main() -> Cost:
        async with serve(HANDSHAKES[what]) as port:
            return await cost("tls", host="127.0.0.1", port=port)

    seen, took_s, steps = driven.run(main())
    assert seen.reason in (Reason.TLS, Reason.TIMEOUT_TLS)
    assert took_s < DEADLINE_S + SLACK_S
    assert steps.longest < HELD_UP_STEPS
