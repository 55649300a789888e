"""Hostile servers: each costs at most its deadline plus 100 ms of driven time, and is called by its right name."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

import pytest

from monitor.clock import monotonic
from monitor.core.model.reasons import Reason
from monitor.wire import Answer, Limits, Resolver, Wire, WireError
from tests.edges import driven, hostile
from tests.edges.hostile import (
    CHUNKED,
    LOOPBACK,
    OK_HEAD,
    drips,
    request_of,
    resets_after,
    says,
    serve,
    with_length,
)

SLACK_S = 0.1
DEADLINE_S = 0.8
KERNELS_BYTES = 12 * 2**20
"""What the two ends of a connection may hold between them."""


class Cost(NamedTuple):
    end: WireError | Answer
    took_s: float

    @property
    def error(self) -> WireError:
        assert isinstance(self.end, WireError), f"the exchange succeeded: {self.end.status}"
        return self.end


async def measure(wire: Wire, url: str, limits: Limits, http2: bool = False) -> Cost:
    started = monotonic()
    try:
        end: WireError | Answer = await wire.fetch("GET", url, limits=limits, http2=http2)
    except WireError as error:
        end = error
    return Cost(end, monotonic() - started)


def look(behave: hostile.Behave, limits: Limits, http2: bool = False) -> Cost:
    async def main() -> Cost:
        async with serve(behave) as port:
            return await measure(Wire(allow_networks=LOOPBACK), f"http://127.0.0.1:{port}/", limits, http2)

    return driven.run(main())


ROWS: dict[str, tuple[Callable[[], hostile.Behave], Reason]] = {
    "says nothing": (lambda: hostile.silent, Reason.TIMEOUT_HEADERS),
    "resets before the headers": (lambda: resets_after(b""), Reason.PROTOCOL),
    "resets in the headers": (lambda: resets_after(OK_HEAD + b"a: b"), Reason.PROTOCOL),
    "resets after the headers": (lambda: resets_after(OK_HEAD + b"content-length: 9\r\n\r\n"), Reason.PROTOCOL),
    "resets in the body": (lambda: resets_after(OK_HEAD + b"content-length: 9\r\n\r\nab"), Reason.PROTOCOL),
    "hangs up without a word": (says, Reason.PROTOCOL),
    "hangs up in the headers": (lambda: says(OK_HEAD + b"a: b\r\n"), Reason.PROTOCOL),
    "sends a short body": (lambda: says(OK_HEAD + b"content-length: 100\r\n\r\nabc"), Reason.PROTOCOL),
    "cuts a chunked body": (lambda: says(CHUNKED + b"5\r\nhello\r\n"), Reason.PROTOCOL),
    "sends a bad chunk size": (lambda: says(CHUNKED + b"zz\r\nhello\r\n"), Reason.PROTOCOL),
    "sends two lengths": (
        lambda: says(OK_HEAD + b"content-length: 3\r\ncontent-length: 5\r\n\r\nabcde"),
        Reason.PROTOCOL,
    ),
    "sends a length and chunks that are none": (
        lambda: says(OK_HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc"),
        Reason.PROTOCOL,
    ),
    "sends garbage": (lambda: says(b"\x16\x03\x01\x00\xff hello\r\n\r\n"), Reason.PROTOCOL),
    "sends a garbage status": (lambda: says(b"HTTP/1.1 abc OK\r\n\r\n"), Reason.PROTOCOL),
    "speaks SSH": (lambda: says(b"SSH-2.0-OpenSSH_9.2\r\n"), Reason.PROTOCOL),
    "drips its headers": (lambda: drips(OK_HEAD + b"x: ", b"a", 0.05), Reason.TIMEOUT_HEADERS),
    "drips its body": (lambda: drips(OK_HEAD + b"content-length: 9999\r\n\r\n", b"a", 0.05), Reason.TIMEOUT_TOTAL),
    "drips empty chunks of trailers": (lambda: drips(CHUNKED + b"0\r\n", b"a: b\r\n", 0.05), Reason.TIMEOUT_TOTAL),
    "streams without end": (lambda: drips(CHUNKED, b"10000\r\n" + bytes(65536) + b"\r\n", 0), Reason.TOO_LARGE),
    "streams without end or length": (lambda: drips(OK_HEAD + b"\r\n", bytes(65536), 0), Reason.TOO_LARGE),
    "sends a gzip bomb": (
        lambda: says(with_length(hostile.gzip_bomb(300), b"content-encoding: gzip")),
        Reason.TOO_LARGE,
    ),
    "sends bad gzip": (lambda: says(with_length(b"not gzip at all", b"content-encoding: gzip")), Reason.PROTOCOL),
    "cuts its gzip": (
        lambda: says(with_length(hostile.gzip_bomb(1)[:-12], b"content-encoding: gzip")),
        Reason.PROTOCOL,
    ),
    "sends brotli unasked": (lambda: says(with_length(b"\x0b\x02\x80", b"content-encoding: br")), Reason.PROTOCOL),
    "sends gzip in gzip": (lambda: says(with_length(b"x", b"content-encoding: gzip, gzip")), Reason.PROTOCOL),
    "sends an 8 MB header": (lambda: says(OK_HEAD + b"x: " + b"a" * 8 * 2**20 + b"\r\n\r\n"), Reason.PROTOCOL),
    "sends headers without end": (lambda: drips(OK_HEAD, b"x: " + b"a" * 9000 + b"\r\n", 0), Reason.PROTOCOL),
    "sends 20,000 headers": (
        lambda: says(OK_HEAD + b"".join(b"h%d: v\r\n" % n for n in range(20_000)) + b"\r\n"),
        Reason.PROTOCOL,
    ),
    "sends early hints for ever": (
        lambda: drips(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", 0.05),
        Reason.TIMEOUT_HEADERS,
    ),
    "floods early hints": (
        lambda: drips(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 100, 0),
        Reason.PROTOCOL,
    ),
    "switches protocols": (
        lambda: says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
        Reason.PROTOCOL,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_server_costs_its_deadline_at_most_and_is_named(name: str) -> None:
    make, reason = ROWS[name]
    cost = look(make(), Limits(deadline_s=DEADLINE_S))
    assert cost.error.reason is reason, cost.error.detail
    assert cost.took_s < DEADLINE_S + SLACK_S


H2_ROWS = {
    name: ROWS[name][0] for name in ("says nothing", "sends garbage", "drips its body", "resets before the headers")
}


@pytest.mark.parametrize("name", H2_ROWS)
def test_the_http_2_path_costs_no_more(name: str) -> None:
    cost = look(H2_ROWS[name](), Limits(deadline_s=DEADLINE_S), http2=True)
    assert cost.error.reason in (Reason.PROTOCOL, Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_TOTAL)
    assert cost.took_s < DEADLINE_S + SLACK_S


class Endless:
    """A stream without end, which counts what was taken of it."""

    def __init__(self) -> None:
        self.taken = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(CHUNKED)
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()
            self.taken += 65536


def test_an_endless_stream_is_taken_no_further_than_the_longest_body() -> None:
    endless = Endless()
    error = look(endless, Limits()).error
    assert error.reason is Reason.TOO_LARGE
    assert endless.taken < Limits().body_bytes + KERNELS_BYTES


def test_a_stream_that_is_not_read_is_held_back_by_its_window() -> None:
    endless = Endless()

    async def main() -> tuple[int, int]:
        async with serve(endless) as port:
            wire = Wire(allow_networks=LOOPBACK)
            async with wire.stream("GET", f"http://127.0.0.1:{port}/"):
                await asyncio.sleep(0.3)
                before = endless.taken
                await asyncio.sleep(0.3)
                return before, endless.taken

    before, after = driven.run(main())
    assert before == after < KERNELS_BYTES


def test_a_refused_connection_is_told_at_once() -> None:
    async def main() -> Cost:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            return await measure(Wire(allow_networks=LOOPBACK), f"http://127.0.0.1:{port}/", Limits())

    cost = driven.run(main())
    assert cost.error.reason is Reason.CONNECT
    assert cost.error.detail == "connection refused"
    assert cost.took_s < 1


def test_a_black_hole_costs_the_connect_limit_and_delays_nobody_else() -> None:
    async def main() -> tuple[Cost, Cost]:
        async with hostile.black_hole() as hole, serve(says(with_length(b"fine"))) as port:
            wire = Wire(allow_networks=LOOPBACK)
            limits = Limits(deadline_s=5, connect_s=0.4)
            dark = asyncio.create_task(measure(wire, f"http://127.0.0.1:{hole}/", limits))
            await asyncio.sleep(0.05)
            good = await measure(wire, f"http://127.0.0.1:{port}/", limits)
            return await dark, good

    dark, good = driven.run(main())
    assert dark.error.reason is Reason.TIMEOUT_CONNECT
    assert 0.4 <= dark.took_s < 0.4 + SLACK_S
    assert isinstance(good.end, Answer)
    assert good.took_s < 0.2


def test_a_handshake_that_stalls_is_cut_and_gives_its_place_back() -> None:
    async def main() -> tuple[list[Cost], float]:
        async with serve(hostile.silent) as stalled:
            wire = Wire(allow_networks=LOOPBACK, handshakes=2)
            limits = Limits(deadline_s=1.5, connect_s=0.8)
            started = monotonic()
            url = f"https://127.0.0.1:{stalled}/"
            costs = await asyncio.gather(*(measure(wire, url, limits) for _ in range(4)))
            return list(costs), monotonic() - started

    costs, took_s = driven.run(main())
    assert {cost.error.reason for cost in costs} == {Reason.TIMEOUT_TLS}
    assert took_s < 1.5 + SLACK_S


def test_a_server_that_speaks_plain_http_on_its_tls_port_is_a_tls_failure() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def main() -> Cost:
        async with serve(plain) as port:
            return await measure(Wire(allow_networks=LOOPBACK), f"https://127.0.0.1:{port}/", Limits(deadline_s=1))

    assert driven.run(main()).error.reason is Reason.TLS


def test_a_hung_resolver_costs_the_limit_and_other_names_still_resolve() -> None:
    release = threading.Event()

    def lookup(host: str, port: int) -> list[tuple[int, str]]:
        if host == "hangs.example":
            release.wait(600)
        return [(socket.AF_INET, "127.0.0.1")]

    async def main() -> tuple[Cost, Cost]:
        async with serve(says(with_length(b"fine"))) as port:
            wire = Wire(allow_networks=LOOPBACK, resolver=Resolver(lookup, threads=2))
            limits = Limits(deadline_s=2, connect_s=0.3)
            hung = asyncio.gather(*(measure(wire, f"http://hangs.example:{port}/", limits) for _ in range(5)))
            await asyncio.sleep(0.02)
            good = await measure(wire, f"http://fine.example:{port}/", limits)
            costs = await hung
            release.set()
            await asyncio.sleep(0.05)
            return max(costs, key=lambda cost: cost.took_s), good

    hung, good = driven.run(main(), hung="hangs.example")
    assert hung.error.reason is Reason.DNS
    assert "timed out" in hung.error.detail
    assert hung.took_s < 0.3 + SLACK_S
    assert isinstance(good.end, Answer)


def test_a_resolver_whose_threads_are_all_taken_is_our_trouble_and_not_the_services() -> None:
    release = threading.Event()

    def lookup(host: str, port: int) -> list[tuple[int, str]]:
        release.wait(600)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    async def main() -> list[Cost]:
        wire = Wire(allow_networks=LOOPBACK, resolver=Resolver(lookup, threads=1))
        limits = Limits(deadline_s=2, connect_s=0.2)
        costs = await asyncio.gather(*(measure(wire, f"http://name{n}.example/", limits) for n in range(3)))
        release.set()
        await asyncio.sleep(0.05)
        return list(costs)

    reasons = [cost.error.reason for cost in driven.run(main(), hung=".example")]
    assert sorted(reasons) == sorted([Reason.DNS, Reason.NETWORK, Reason.NETWORK])


@pytest.mark.parametrize(
    ("code", "words"),
    [(socket.EAI_NONAME, "does not exist"), (socket.EAI_AGAIN, "SERVFAIL"), (socket.EAI_FAIL, "failed")],
)
def test_the_ways_a_name_can_fail_are_told_apart(code: int, words: str) -> None:
    def lookup(host: str, port: int) -> list[tuple[int, str]]:
        raise socket.gaierror(code, os.strerror(5))

    async def main() -> Cost:
        wire = Wire(resolver=Resolver(lookup))
        return await measure(wire, "http://name.example/", Limits())

    error = driven.run(main()).error
    assert error.reason is Reason.DNS
    assert words in error.detail


def test_a_name_that_does_not_exist_is_told_by_the_real_resolver_too() -> None:
    async def main() -> Cost:
        return await measure(Wire(), "http://nobody.invalid/", Limits(deadline_s=4))

    assert driven.run(main()).error.reason is Reason.DNS


def test_a_broken_ipv6_falls_back_to_ipv4_and_says_so() -> None:
    def lookup(host: str, port: int) -> list[tuple[int, str]]:
        return [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]

    async def main() -> tuple[Answer, Answer]:
        async with serve(says(with_length(b"fine"))) as port:
            wire = Wire(allow_networks=LOOPBACK, resolver=Resolver(lookup))
            refused = await wire.fetch("GET", f"http://name.example:{port}/")
            async with hostile.black_hole("::1", port):
                dropped = await wire.fetch("GET", f"http://name.example:{port}/")
            return refused, dropped

    for answer in driven.run(main()):
        assert answer.address == "127.0.0.1"
        assert answer.body == b"fine"
        assert any(warning.startswith("connect.fallback: ::1") for warning in answer.warnings)


def test_headers_may_have_a_limit_of_their_own() -> None:
    cost = look(says(b"", pause_s=3), Limits(deadline_s=3, headers_s=0.3))
    assert cost.error.reason is Reason.TIMEOUT_HEADERS
    assert cost.took_s < 0.3 + SLACK_S
    assert cost.error.phases is not None
    assert cost.error.phases.request_s is not None


@pytest.mark.parametrize(
    ("behave", "limits", "words"),
    [
        (drips(CHUNKED, b"1;" + b"a" * 9000 + b"\r\nx\r\n", 0), Limits(deadline_s=3, wire_bytes=60_000), "received"),
        (says(with_length(b"x" * 500)), Limits(deadline_s=3, body_bytes=100), "body larger than 100"),
        (says(with_length(b"x" * 500)), Limits(deadline_s=3, wire_bytes=100), "more than 100 bytes received"),
    ],
    ids=["more on the wire than in the body", "a body that came with its headers", "the same, counted on the wire"],
)
def test_each_cap_holds_by_itself(behave: hostile.Behave, limits: Limits, words: str) -> None:
    error = look(behave, limits).error
    assert error.reason is Reason.TOO_LARGE
    assert words in error.detail


@pytest.mark.parametrize(
    "answer",
    [
        OK_HEAD + b"a:b\r\n" * 1500 + b"content-length: 0\r\n\r\n",
        OK_HEAD + b"x: " + b"a" * 5000 + b"\r\ncontent-length: 0\r\n\r\n",
        CHUNKED + b"0\r\n" + b"trailer: value\r\n" * 1000 + b"\r\n",
    ],
    ids=["many small headers in one piece", "one long header in one piece", "trailers"],
)
def test_headers_are_capped_also_where_they_come_in_one_piece(answer: bytes) -> None:
    error = look(says(answer), Limits(deadline_s=3, header_bytes=4000 if b"x: " in answer else 12_000)).error
    assert error.reason is Reason.PROTOCOL
    assert "headers larger than the limit" in error.detail
