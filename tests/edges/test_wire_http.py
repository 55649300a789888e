"""HTTP/1.1 as real servers speak it: bodies, codings, early answers, requests that must not be sent."""

from __future__ import annotations

import asyncio
import gc
import gzip
import zlib
from contextlib import suppress
from itertools import pairwise

import httpx
import pytest

from monitor.core.model.reasons import Reason
from monitor.wire import Answer, Chunk, Limits, TimedTransport, Wire, WireError, text_of
from tests.edges import driven
from tests.edges.hostile import (
    CHUNKED,
    LOOPBACK,
    OK_HEAD,
    Behave,
    Recorder,
    request_of,
    resets_after,
    says,
    serve,
    with_length,
)


def fetch(behave: Behave, method: str = "GET", limits: Limits = Limits(deadline_s=3), content: bytes = b"") -> Answer:  # noqa: B008 - frozen
    async def main() -> Answer:
        async with serve(behave) as port:
            wire = Wire(allow_networks=LOOPBACK)
            return await wire.fetch(method, f"http://127.0.0.1:{port}/path?q=1", limits=limits, content=content)

    return driven.run(main())


def test_a_response_is_read_whole() -> None:
    answer = fetch(says(with_length(b"hello", b"X-Thing: one", b"x-thing: two")))
    assert (answer.status, answer.body, answer.http_version) == (200, b"hello", "HTTP/1.1")
    assert answer.headers["X-THING"] == "one, two"
    assert answer.address == "127.0.0.1"
    assert answer.redirects == 0


def test_chunked_close_delimited_and_bare_line_feed_bodies_are_read() -> None:
    assert fetch(says(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\ntrailer: x\r\n\r\n")).body == b"abcde"
    assert fetch(says(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")).body == b"until the end"
    assert fetch(says(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok")).body == b"ok"


def test_answers_without_a_body_end_at_once() -> None:
    assert fetch(says(OK_HEAD + b"content-length: 999\r\n\r\n", then=5), "HEAD").body == b""
    assert fetch(says(OK_HEAD + b"content-encoding: br\r\ncontent-length: 0\r\n\r\n", then=5)).body == b""
    assert fetch(says(b"HTTP/1.1 204 No Content\r\n\r\n", then=5)).status == 204
    assert fetch(says(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", then=5)).status == 304


def test_early_hints_come_before_the_answer_and_are_not_it() -> None:
    answer = fetch(says(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", with_length(b"ok", b"a: b"), pause_s=0.1))
    assert (answer.status, answer.body) == (200, b"ok")
    assert "link" not in answer.headers
    assert answer.phases.wait_s is not None
    assert answer.phases.wait_s >= 0.09


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"hello " * 50_000)),
        ("x-gzip", gzip.compress(b"hello " * 50_000)),
        ("gzip", gzip.compress(b"hello " * 25_000) + gzip.compress(b"hello " * 25_000)),
        ("gzip", gzip.compress(b"hello " * 50_000) + b"trailing rubbish"),
        ("deflate", zlib.compress(b"hello " * 50_000)),
        ("deflate", zlib.compress(b"hello " * 50_000, wbits=-15)),
        ("identity", b"hello " * 50_000),
    ],
)
def test_a_coded_body_is_decoded(coding: str, body: bytes) -> None:
    assert fetch(says(with_length(body, b"content-encoding: " + coding.encode()))).body == b"hello " * 50_000


def test_the_request_says_what_it_should() -> None:
    recorder = Recorder()
    fetch(recorder, "POST", content=b"question")
    head, _, body = recorder.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /path?q=1 HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"accept-encoding: identity" in head
    assert b"content-length: 8" in head
    assert body == b"question"


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {"x": "a\r\nevil: 1"}), ("GET", {"x\r\ny": "a"}), ("GET", {"": "a"}), ("GET / HTTP/1.1\r\nx:", {})],
)
def test_a_header_cannot_smuggle_another(method: str, headers: dict[str, str]) -> None:
    async def main() -> WireError:
        recorder = Recorder()
        async with serve(recorder) as port:
            with pytest.raises(WireError) as caught:
                await Wire(allow_networks=LOOPBACK).fetch(method, f"http://127.0.0.1:{port}/", headers=headers)
        assert recorder.heard == []
        return caught.value

    assert driven.run(main()).reason is Reason.CONFIG


def test_an_answer_that_comes_before_the_whole_request_was_sent_counts() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)

    answer = fetch(hasty, "POST", content=bytes(20 * 2**20))
    assert answer.status == 413


def test_a_large_request_body_is_sent_whole() -> None:
    recorder = Recorder()
    fetch(recorder, "POST", content=bytes(5 * 2**20))
    assert recorder.heard[0].endswith(bytes(100))
    assert len(recorder.heard[0]) > 5 * 2**20


def test_leaving_a_stream_early_closes_it_and_keeps_its_phases() -> None:
    async def main() -> None:
        async with serve(says(CHUNKED, *[b"1\r\na\r\n"] * 50, pause_s=0.02)) as port:
            wire = Wire(allow_networks=LOOPBACK)
            async with wire.stream("GET", f"http://127.0.0.1:{port}/") as exchange:
                async for chunk in exchange.chunks():
                    assert chunk.data == b"a"
                    break
            assert not exchange.complete
            assert exchange.phases.wait_s is not None

    driven.run(main())


def test_a_cancelled_look_leaves_nothing_open() -> None:
    async def main() -> None:
        async with serve(says(then=10)) as port:
            wire = Wire(allow_networks=LOOPBACK)
            for delay_s in (0, 0.001, 0.05):
                task = asyncio.create_task(wire.fetch("GET", f"http://127.0.0.1:{port}/"))
                await asyncio.sleep(delay_s)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    driven.run(main())


def test_httpx_speaks_through_the_wire() -> None:
    async def main() -> tuple[httpx.Response, list[bytes]]:
        recorder = Recorder()
        body = gzip.compress(b"through httpx")
        async with serve(recorder) as first, serve(says(with_length(body, b"content-encoding: gzip"))) as second:
            transport = TimedTransport(Wire(allow_networks=LOOPBACK), Limits(deadline_s=2))
            async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
                await client.post(f"http://127.0.0.1:{first}/a", json={"b": 1})
                return await client.get(f"http://127.0.0.1:{second}/"), recorder.heard

    response, heard = driven.run(main())
    assert heard[0].startswith(b"POST /a HTTP/1.1")
    assert heard[0].endswith(b'{"b":1}')
    assert response.text == "through httpx"
    assert response.extensions["exchange"].phases.wait_s > 0


def test_httpx_is_guarded_too() -> None:
    async def main() -> WireError:
        transport = TimedTransport(Wire(), Limits(deadline_s=2))
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            with pytest.raises(WireError) as caught:
                await client.get("http://169.254.169.254/")
        return caught.value

    assert driven.run(main()).reason is Reason.ADDRESS


def test_chunks_carry_the_time_they_arrived() -> None:
    async def main() -> list[Chunk]:
        async with serve(says(CHUNKED, *[b"1\r\na\r\n"] * 4, b"0\r\n\r\n", pause_s=0.05)) as port:
            wire = Wire(allow_networks=LOOPBACK)
            async with wire.stream("GET", f"http://127.0.0.1:{port}/") as exchange:
                return [chunk async for chunk in exchange.chunks()]

    times = [chunk.at_s for chunk in driven.run(main())]
    assert len(times) == 4
    assert all(0.03 < later - earlier < 0.2 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    "behave",
    [
        says(with_length(b"whole")),
        says(CHUNKED, b"1\r\na\r\n", b"0\r\n\r\n", pause_s=0.01),
        says(b"rubbish\r\n\r\n"),
        resets_after(b""),
        resets_after(CHUNKED + b"1\r\na\r\n"),
    ],
)
def test_a_look_leaves_nothing_to_the_garbage_collector(behave: Behave) -> None:
    """The prober runs without automatic collection, so a cycle per look would be a leak."""

    wire = Wire(allow_networks=LOOPBACK)

    async def main() -> None:
        async with serve(behave) as port:
            for deadline_s in (3.0, 3.0, 0.001):
                with suppress(WireError):
                    await wire.fetch("GET", f"http://127.0.0.1:{port}/", limits=Limits(deadline_s=deadline_s))

    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        driven.run(main())
        gc.collect()
        left = [type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("monitor.wire")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


@pytest.mark.timeout(60)
def test_text_is_decoded_by_a_charset_of_the_web_and_by_no_other() -> None:
    assert text_of({"content-type": "text/html; charset=GBK"}, "注册".encode("gbk")) == "注册"
    assert text_of({"content-type": 'text/html; CHARSET="Shift_JIS"; a=b'}, "登録".encode("shift_jis")) == "登録"
    bomb = b"a-" + b"b9" * 3_000_000  # takes Python's decoder a quarter of an hour: it is quadratic
    for name in ("punycode", "idna", "unicode_escape", "utf-7", "rot13", "hex", "nonsense", "²", "a" * 70_000):
        assert text_of({"content-type": f"text/html; charset={name}"}, bomb) == bomb.decode()
