"""Cookies between the hops of one look: back to whom they are from, and to nobody else."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest

from monitor.core.model.reasons import Reason
from monitor.wire import Answer, Wire, WireError
from monitor.wire.http.client import whatwg_reference
from monitor.wire.http.cookies import COOKIE_BYTES, Jar
from monitor.wire.http.http1 import parse, request_head
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, serve
from tests.edges.probing import look_at

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAIN, SECURE = ("http", "chat.example", 80), ("https", "chat.example", 443)

KEPT: list[tuple[str, str]] = [
    ("a=1", "a=1"), ("a=1; Path=/", "a=1"), ("a = 1 ; HttpOnly; SameSite=Lax", "a=1"), ('a="x y"', 'a="x y"'),
    ("a=1; Path=/deep", "a=1"), ("a=1; Path=/deep/page", "a=1"), ("a=1; Path=odd", "a=1"), ("a=b=c", "a=b=c"),
    ("a=", "a="), ("a", "a"), ("a=1; Domain=chat.example", "a=1"), ("a=1; Domain=.example.com", ""),
    ("a=1; domain=CHAT.example.", "a=1"), ("a=1; Domain=other.example", ""), ("a=1; Domain=example", ""),
    ("a=1; Path=/dee", ""), ("a=1; Path=/deep/page/x", ""), ("a=1; Max-Age=0", ""), ("a=1; Max-Age=-5", ""),
    ("a=1; Max-Age=60", "a=1"), ("a=1; Max-Age=nonsense", "a=1"), ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
    ("a=1; Expires=Thu, 01-Jan-1970 00:00:01 GMT", ""), ("a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "a=1"),
    ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", "a=1"), ("a=1; Expires=soon", "a=1"),
    ("a=1; Secure", ""), ("__Host-a=1; Path=/", ""), ("__Secure-a=1", ""), ("a\x01=1", ""), ("=", ""), ("", ""),
    ("a=" + "x" * COOKIE_BYTES, ""),
]  # fmt: skip


@pytest.mark.parametrize(("line", "sent"), KEPT)
def test_a_cookie_is_kept_as_a_browser_would(line: str, sent: str) -> None:
    jar = Jar()
    jar.take(PLAIN, "/deep/page?x=/y", [line.encode("latin-1")], NOW)
    assert jar.header(PLAIN, "/deep/page") == sent


@pytest.mark.parametrize("line", ["a=1; Secure", "__Host-a=1; Secure; Path=/", "__Secure-a=1; Secure"])
def test_over_https_secure_cookies_are_kept(line: str) -> None:
    jar = Jar()
    jar.take(SECURE, "/", [line.encode()], NOW)
    assert jar.header(SECURE, "/") == line.partition(";")[0]


def test_the_newest_counts_and_the_deepest_comes_first() -> None:
    jar = Jar()
    jar.take(PLAIN, "/", [b"a=1", b"b=2; Path=/deep", b"a=3", b"c=4", b"c=; Max-Age=0"], NOW)
    assert jar.header(PLAIN, "/deep/") == "b=2; a=3"
    assert jar.header(PLAIN, "/deep/", "own=5; a=9") == "own=5; b=2; a=3"
    assert jar.header(SECURE, "/deep/", "own=5") == "own=5"
    assert jar.header(("http", "chat.example", 81), "/deep/") == ""


@pytest.mark.parametrize("line", ["gate=café".encode(), "gate=café".encode("latin-1"), b"gate=\xff\xfe"])
def test_a_cookie_goes_back_byte_for_byte(line: bytes) -> None:
    jar = Jar()
    jar.take(PLAIN, "/", [line], NOW)
    head = request_head("GET", parse("http://chat.example/"), {"cookie": jar.header(PLAIN, "/")}, b"")
    assert b"\r\ncookie: " + line + b"\r\n" in head


class Gate:
    """Sets a cookie and sends on, shows its page to who brings the cookie back; keeps what each request brought."""

    def __init__(self, away: str = "") -> None:
        self.cookies: list[str] = []
        self.away = away

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"(?im)^cookie: (.*)\r$", head)
        self.cookies.append(found[1] if found else "")
        page = "Welcome" if "gate=open" in self.cookies[-1] else ""
        place = self.away or head.split()[1]
        status = "200 OK" if page else f"302 Found\r\nLocation: {place}\r\nSet-Cookie: gate=open; Path=/"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode())
        await writer.drain()


def test_a_gate_that_sets_a_cookie_is_passed_and_the_next_look_starts_without() -> None:
    gate = Gate()
    for _ in range(2):
        assert look_at("http", gate, redirects=2, contains="Welcome").reason is Reason.OK
    assert gate.cookies == ["", "gate=open"] * 2


def test_a_cookie_of_ours_goes_along_and_one_of_the_same_name_is_replaced() -> None:
    gate = Gate()
    seen = look_at("http", gate, redirects=2, secret_headers={"Cookie": "gate=shut; own=1"}, contains="Welcome")
    assert seen.reason is Reason.OK
    assert gate.cookies == ["gate=shut; own=1", "own=1; gate=open"]


def test_no_cookie_goes_to_another_origin_or_comes_back_from_it() -> None:
    async def main() -> tuple[list[str], list[str]]:
        other = Gate()
        async with serve(other) as port:
            first = Gate(away=f"http://127.0.0.1:{port}/")
            async with serve(first) as own:
                other.away = f"http://127.0.0.1:{own}/"
                wire = Wire(allow_networks=LOOPBACK)
                answer = await wire.fetch(
                    "GET", f"http://127.0.0.1:{own}/", redirects=4, secret_headers={"cookie": "own=1"}
                )
                assert answer.body == b"Welcome"
        return first.cookies, other.cookies

    first, other = driven.run(main())
    assert first == ["own=1", "gate=open"]
    assert other == [""]


PLACES = {
    b"/next": "/next", b"  /next \t": "/next", b"/ne\txt": "/next", b"\\next": "/next", b"/a?b=\\c": "/a?b=\\c",
    b"/a#\\": "/a#\\", "/wé".encode(): "/wé", b"/w\xe9": "/w%E9", b"http:\\\\a\\b": "http://a/b",
}  # fmt: skip


@pytest.mark.parametrize("given", PLACES)
def test_an_address_in_a_header_is_read_as_browsers_read_it(given: bytes) -> None:
    assert whatwg_reference(given) == PLACES[given]


REDIRECTS: dict[str, tuple[str, Reason | int]] = {
    "the same place twice": ("Location: /page\r\nLocation: /page", 200),
    "white space around it": ("Location:   /page \t", 200),
    "backslashes": ("Location: \\page", 200),
    "a tab in it": ("Location: /pa\tge", 200),
    "a fragment with a space": ("Location: /page#x y", 200),
    "no place": ("X: y", 302),
    "an empty place": ("Location:", 302),
    "two places": ("Location: /page\r\nLocation: /other", Reason.REDIRECT),
    "port 99999": ("Location: http://127.0.0.1:99999/", Reason.REDIRECT),
    "port 0": ("Location: http://127.0.0.1:0/", Reason.REDIRECT),
    "a port that is no number": ("Location: http://127.0.0.1:http/", Reason.REDIRECT),
    "a port below nothing": ("Location: http://127.0.0.1:-1/", Reason.REDIRECT),
    "a port and no host": ("Location: http://:80/page", Reason.REDIRECT),
    "an empty label": ("Location: http://a..example/", Reason.REDIRECT),
    "a label of 64 letters": (f"Location: http://{'a' * 64}.example/", Reason.REDIRECT),
    "one slash, as on the same scheme": ("Location: http:/page", 200),
    "three slashes lead to a host": ("Location: http:///127.0.0.1:1/page", Reason.CONNECT),
    "so do three without a scheme": ("Location: ///127.0.0.1:1/page", Reason.CONNECT),
    "an app": ("Location: myapp://open", Reason.REDIRECT),
    "a script": ("Location: javascript:alert(1)", Reason.REDIRECT),
    "no host": ("Location: http://", Reason.REDIRECT),
    "half an IPv6 address": ("Location: http://[::1", Reason.REDIRECT),
    "a mail": ("Location: mailto:a@b.example", Reason.REDIRECT),
}


def test_a_redirect_leads_where_a_browser_goes_and_a_broken_one_is_the_services() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        lines = "" if path == "/page" else list(REDIRECTS.values())[int(path[1:])][0] + "\r\n"
        writer.write(f"HTTP/1.1 {302 if lines else 200} X\r\n{lines}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async def main() -> dict[str, Reason | int]:
        wire = Wire(allow_networks=LOOPBACK)
        found: dict[str, Reason | int] = {}
        async with serve(behave) as port:
            for number, name in enumerate(REDIRECTS):
                try:
                    answer: Answer = await wire.fetch("GET", f"http://127.0.0.1:{port}/{number}", redirects=3)
                    found[name] = answer.status
                except WireError as error:
                    found[name] = error.reason
        return found

    assert driven.run(main()) == {name: right for name, (_, right) in REDIRECTS.items()}


def test_what_was_sloppy_on_the_way_is_told_at_its_end() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        away = b"302 Found\r\nLocation: /page\r\nContent-Length: 0\r\nContent-Length: 0"
        writer.write(
            b"HTTP/1.1 " + (b"200 OK\r\nContent-Length: 2\r\n\r\nok" if path == b"/page" else away + b"\r\n\r\n")
        )
        await writer.drain()

    told = look_at("http", behave, redirects=2).warnings
    assert told == ("protocol.odd_length: the same length more than once",)
    assert look_at("http", behave, redirects=2, strict=True).reason is Reason.PROTOCOL
