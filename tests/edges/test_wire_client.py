"""httpx's client over the guarded transport: nothing that the wire holds to is lost on the way through httpx."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from monitor import clock
from monitor.core.model.reasons import Reason
from monitor.wire import Answer, HttpClient, Limits, Wire, WireError, answered
from tests.edges import driven
from tests.edges.hostile import (
    CHUNKED,
    LOOPBACK,
    Behave,
    Recorder,
    drips,
    gzip_bomb,
    request_of,
    resets_after,
    says,
    serve,
    with_length,
)

CANARY = "sk-canary-5150"
SECRETS = {"x-api-key": CANARY, "authorization": f"Bearer {CANARY}", "cookie": CANARY, "x-own": CANARY, "host": CANARY}


async def ask(
    url: str, headers: dict[str, str] | None = None, *, limits: Limits | None = None, redirects: int = 0
) -> Answer:
    async with HttpClient(Wire(allow_networks=LOOPBACK), limits or Limits(deadline_s=2), redirects=redirects) as client:
        return answered(await client.get(url, headers=headers))


def asked(behave: Behave, limits: Limits | None = None, redirects: int = 0) -> Answer | WireError:
    async def main() -> Answer | WireError:
        async with serve(behave) as port:
            try:
                return await ask(f"http://127.0.0.1:{port}/", limits=limits, redirects=redirects)
            except WireError as error:
                return error

    return driven.run(main())


def sends_to(location: str, *more: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"location: {location}", *more))
    return f"HTTP/1.1 302 Found\r\n{lines}content-length: 0\r\n\r\n".encode()


def followed(play: Callable[[Recorder, str, Callable[[bytes], Behave]], Awaitable[None]]) -> list[bytes]:
    """Play something beside a recording server; return what that heard."""
    recorder = Recorder()

    async def main() -> None:
        async with serve(recorder) as port:
            await play(recorder, f"http://127.0.0.1:{port}", says)

    driven.run(main())
    return recorder.heard


def test_an_answer_comes_with_all_that_the_wire_knows_of_it() -> None:
    answer = asked(says(with_length(b"hello", b"X-Thing: one", b"set-cookie: a=b")))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.http_version) == (200, b"hello", "HTTP/1.1")
    assert (answer.headers["x-thing"], answer.headers["set-cookie"]) == ("one", "a=b")
    assert answer.address == "127.0.0.1"
    assert answer.phases.wait_s is not None


def test_a_request_is_written_as_the_wire_writes_its_own() -> None:
    recorder = Recorder()

    async def main() -> None:
        async with serve(recorder) as port:
            url = f"http://127.0.0.1:{port}/a?b=1"
            wire = Wire(allow_networks=LOOPBACK)
            await wire.fetch("GET", url)
            await ask(url)
            headers = {"X-Name": "first", "x-name": "Grüße"}
            await ask(url, headers)

    driven.run(main())
    own, client, named = ([*head.split(b"\r\n")] for head in recorder.heard)
    assert own[0] == client[0] == b"GET /a?b=1 HTTP/1.1"
    assert sorted(own) == sorted(client)
    assert sorted({*named} - {*client}) == ["x-name: Grüße".encode()]


def test_redirects_are_off_until_they_are_asked_for() -> None:
    end = asked(says(sends_to("/next")))
    assert isinstance(end, Answer)
    assert (end.status, end.redirects, end.headers["location"]) == (302, 0, "/next")


def test_the_second_host_sees_neither_secret_nor_cookie_nor_the_first_ones_name() -> None:
    async def play(recorder: Recorder, url: str, say: Callable[[bytes], Behave]) -> None:
        async with serve(say(sends_to(f"{url}/next", "set-cookie: session=canary; path=/"))) as port:
            given = {**SECRETS, "accept-language": "zh"}
            end = await ask(f"http://127.0.0.1:{port}/start", given, redirects=2)
            assert (end.body, end.redirects, end.url) == (b"recorded", 1, f"{url}/next")
            await ask(f"http://127.0.0.1:{port}/start", redirects=2)

    first, second = followed(play)
    for head in (first, second):
        assert CANARY.encode() not in head
        assert b"canary" not in head
        assert b"cookie" not in head.lower()
    assert b"accept-language: zh" in first


def test_no_cookie_is_kept_from_one_call_of_a_client_to_the_next() -> None:
    heard: list[bytes] = []

    async def main() -> None:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await request_of(reader))
            writer.write(with_length(b"", b"set-cookie: session=1"))

        async with (
            serve(behave) as port,
            HttpClient(Wire(allow_networks=LOOPBACK), Limits(deadline_s=2), redirects=1) as client,
        ):
            for _ in range(2):
                await client.get(f"http://127.0.0.1:{port}/")
            assert not client.cookies

    driven.run(main())
    assert all(b"cookie" not in head for head in heard)
    assert len(heard) == 2


@pytest.mark.parametrize("address", ["http://169.254.169.254/", "http://[::ffff:10.0.0.1]/", "http://10.0.0.1:9/"])
def test_the_guard_checks_the_first_address_and_every_later_one(address: str) -> None:
    with pytest.raises(WireError) as caught:
        driven.run(ask(address))
    assert caught.value.reason is Reason.ADDRESS
    end = asked(says(sends_to(address)), redirects=3)
    assert isinstance(end, WireError)
    assert end.reason is Reason.ADDRESS


def test_a_loop_of_redirects_ends_and_one_deadline_covers_all_hops() -> None:
    end = asked(says(sends_to("/again")), redirects=3)
    assert isinstance(end, WireError)
    assert (end.reason, end.status) == (Reason.REDIRECT, 302)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        await says(sends_to("/again"))(reader, writer)

    late = asked(slow, Limits(deadline_s=0.7), redirects=5)
    assert isinstance(late, WireError)
    assert late.reason is Reason.TIMEOUT_HEADERS


def test_one_deadline_covers_a_body_that_never_ends() -> None:
    async def main() -> tuple[WireError, float]:
        async with serve(drips(CHUNKED, b"1\r\na\r\n", 0.05)) as port:
            started_s = clock.monotonic()
            with pytest.raises(WireError) as caught:
                await ask(f"http://127.0.0.1:{port}/", limits=Limits(deadline_s=0.5))
            return caught.value, clock.monotonic() - started_s

    error, took_s = driven.run(main())
    assert error.reason is Reason.TIMEOUT_TOTAL
    assert took_s < 0.6


@pytest.mark.parametrize(
    "part",
    [
        with_length(gzip_bomb(3), b"content-encoding: gzip"),
        with_length(bytes(3 * 2**20)),
        CHUNKED + b"400000\r\n" + bytes(0x400000) + b"\r\n0\r\n\r\n",
    ],
)
def test_a_body_is_bounded_before_httpx_sees_it(part: bytes) -> None:
    end = asked(says(part))
    assert isinstance(end, WireError)
    assert end.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "location", ["http://[", "http://a:b:c/", "//", "/\x80\xff", "javascript:1", "http://x:99999999/"]
)
def test_a_strange_redirect_that_nobody_follows_is_an_answer_like_any_other(location: str) -> None:
    odd = ("set-cookie: a=b; expires=Thu, 99-Xxx-9999 99:99:99 GMT", "content-type: text/plain; charset=punycode")
    end = asked(says(sends_to(location, *odd)))
    assert isinstance(end, Answer)
    assert end.status == 302


@pytest.mark.parametrize(
    "address",
    ["http://[::1", f"http://user:{CANARY}@example.com/", CANARY, f"ftp://{CANARY}/", f"http://a:{CANARY}/", "http://"],
)
def test_a_bad_address_is_the_wires_error_and_not_repeated(address: str) -> None:
    with pytest.raises(WireError) as caught:
        driven.run(ask(address))
    assert caught.value.reason is Reason.CONFIG
    assert CANARY not in f"{caught.value!r} {caught.value.detail}"


def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"default login me password {CANARY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    recorder = Recorder()

    async def main() -> Answer:
        async with serve(recorder) as port:
            return await ask(f"http://127.0.0.1:{port}/")

    assert driven.run(main()).body == b"recorded"
    assert b"authorization" not in recorder.heard[0].lower()


def test_no_address_comes_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):

        async def main() -> None:
            async with serve(Recorder()) as port:
                await ask(f"http://127.0.0.1:{port}/{CANARY}")

        driven.run(main())
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "behave",
    [
        says(with_length(b"whole")),
        says(CHUNKED, b"1\r\na\r\n", b"0\r\n\r\n", pause_s=0.01),
        says(sends_to("/again", "set-cookie: a=b")),
        says(b"rubbish\r\n\r\n"),
        says(with_length(bytes(3 * 2**20))),
        resets_after(CHUNKED + b"1\r\na\r\n"),
    ],
)
def test_an_errand_leaves_nothing_to_the_garbage_collector(behave: Behave) -> None:
    """The prober runs without automatic collection, and httpx's response and its stream refer to each other."""

    wire = Wire(allow_networks=LOOPBACK)

    async def main() -> None:
        async with serve(behave) as port:
            for deadline_s in (3.0, 3.0, 0.001):
                with suppress(WireError):
                    async with HttpClient(wire, Limits(deadline_s=deadline_s), redirects=1) as client:
                        answered(await client.get(f"http://127.0.0.1:{port}/"))

    driven.run(main())  # what is imported and made once
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        driven.run(main())
        gc.collect()
        rooms = ("monitor.wire", "httpx", "http.cookiejar")
        left = [type(one).__name__ for one in gc.garbage if type(one).__module__.startswith(rooms)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []
