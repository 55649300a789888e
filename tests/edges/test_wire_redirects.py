"""Redirects: off by default, checked at every hop, and no secret ever reaches another origin."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from monitor.core.model.reasons import Reason
from monitor.wire import Answer, Limits, Wire, WireError
from monitor.wire.http import http1
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, Recorder, says, serve
from tests.edges.hostile_tls import Authority

CANARY = "sk-canary-5150"
SECRETS = {"x-api-key": CANARY, "authorization": f"Bearer {CANARY}"}


def sends_to(location: str, status: int = 302) -> bytes:
    return b"HTTP/1.1 %d Found\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % (status, location.encode())


def follow(
    location: str, *, status: int = 302, redirects: int = 3, method: str = "GET", content: bytes = b""
) -> tuple[Answer | WireError, list[bytes]]:
    """Ask a server that redirects to *location* ("{other}" is a recording second origin)."""
    recorder = Recorder()

    async def main() -> Answer | WireError:
        async with serve(recorder) as other:
            head = sends_to(location.format(other=f"http://127.0.0.1:{other}"), status)
            async with serve(says(head)) as port:
                try:
                    return await Wire(allow_networks=LOOPBACK).fetch(
                        method,
                        f"http://127.0.0.1:{port}/start",
                        headers={"cookie": f"session={CANARY}", "x-plain": "kept"},
                        secret_headers=SECRETS,
                        content=content,
                        limits=Limits(deadline_s=2),
                        redirects=redirects,
                    )
                except WireError as error:
                    return error

    return driven.run(main()), recorder.heard


def test_redirects_are_off_by_default() -> None:
    end, heard = follow("{other}/next", redirects=0)
    assert isinstance(end, Answer)
    assert end.status == 302
    assert heard == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_second_host_never_sees_the_canary_key(status: int) -> None:
    end, heard = follow("{other}/next", status=status)
    assert isinstance(end, Answer)
    assert end.redirects == 1
    assert end.body == b"recorded"
    assert len(heard) == 1
    assert CANARY.encode() not in heard[0]
    assert b"x-plain: kept" in heard[0]


def test_a_secret_in_a_body_is_not_carried_to_another_origin_either() -> None:
    end, heard = follow("{other}/next", status=307, method="POST", content=CANARY.encode())
    assert isinstance(end, WireError)
    assert end.reason is Reason.REDIRECT
    assert heard == []


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirected_post_becomes_a_get_without_its_body(status: int) -> None:
    end, heard = follow("{other}/next", status=status, method="POST", content=CANARY.encode())
    assert isinstance(end, Answer)
    assert heard[0].startswith(b"GET /next ")
    assert CANARY.encode() not in heard[0]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", Reason.REDIRECT),
        ("javascript:alert(1)", Reason.REDIRECT),
        ("http://", Reason.REDIRECT),
        *((f"http://127.0.0.1:{port}/", Reason.REDIRECT) for port in ("99999", "65536", "0", "-1", "1e3", "9" * 40)),
        ("http://169.254.169.254/latest/meta-data/", Reason.ADDRESS),
        ("http://[::ffff:169.254.169.254]/", Reason.ADDRESS),
        ("http://10.0.0.1/", Reason.ADDRESS),
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_refused(location: str, reason: Reason) -> None:
    end, heard = follow(location)
    assert isinstance(end, WireError)
    assert end.reason is reason
    assert heard == []


def test_a_redirect_loop_ends() -> None:
    end, _ = follow("/start")
    assert isinstance(end, WireError)
    assert end.reason is Reason.REDIRECT
    assert end.phases is not None
    assert end.status == 302


def test_a_redirect_to_itself_keeps_the_secrets_because_the_origin_is_the_same() -> None:
    recorder = Recorder()
    asked = 0

    async def main() -> None:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            asked += 1
            await (recorder(reader, writer) if asked > 1 else says(sends_to("/next"))(reader, writer))

        async with serve(behave) as port:
            wire = Wire(allow_networks=LOOPBACK)
            await wire.fetch("GET", f"http://127.0.0.1:{port}/", secret_headers=SECRETS, redirects=1)

    driven.run(main())
    assert CANARY.encode() in recorder.heard[0]


def test_https_never_redirects_down_to_http(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    recorder = Recorder()

    async def main() -> WireError:
        async with serve(recorder) as plain:
            head = sends_to(f"http://127.0.0.1:{plain}/")
            async with serve(says(head), authority.server()) as port:
                wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
                with pytest.raises(WireError) as caught:
                    await wire.fetch("GET", f"https://127.0.0.1:{port}/", redirects=2)
                return caught.value

    error = driven.run(main())
    assert error.reason is Reason.REDIRECT
    assert error.certificate is not None
    assert recorder.heard == []


def test_the_deadline_covers_all_hops_together() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        await says(sends_to("/again"))(reader, writer)

    async def main() -> WireError:
        async with serve(slow) as port:
            url = f"http://127.0.0.1:{port}/"
            with pytest.raises(WireError) as caught:
                await Wire(allow_networks=LOOPBACK).fetch("GET", url, limits=Limits(deadline_s=0.7), redirects=5)
            return caught.value

    assert driven.run(main()).reason is Reason.TIMEOUT_HEADERS


def test_no_error_says_a_secret_or_a_path() -> None:
    end, _ = follow("http://10.0.0.1/?key=" + CANARY)
    assert isinstance(end, WireError)
    assert CANARY not in f"{end} {end!r} {end.detail}"


def test_a_redirect_to_a_huge_address_is_refused_and_a_strangers_addresses_are_not_kept() -> None:
    end, heard = follow("{other}/" + "a" * 9000)
    assert isinstance(end, WireError)
    assert end.reason is Reason.REDIRECT
    assert heard == []
    before = http1.parse.cache_info().currsize
    followed, _ = follow("{other}/one-of-many")
    assert isinstance(followed, Answer)
    assert http1.parse.cache_info().currsize == before + 1, "only the address that was asked for is remembered"
