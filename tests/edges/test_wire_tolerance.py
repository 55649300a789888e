"""Sloppy answers, and what browsers make of each: Chromium 14x and curl 8 were asked for every row of these tables."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from typing import Any

import brotli
import pytest

from monitor.core.model.reasons import Reason
from monitor.wire import Answer, Limits, Wire, WireError
from monitor.wire.http.chunks import Chunks
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, serve
from tests.edges.probing import look_at, replays

BODY = b"<html><body>Welcome to the chat</body></html>"
LENGTH = b"Content-Length: 45"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"2d\r\n" + BODY + b"\r\n0\r\n\r\n"
ZIPPED = gzip.compress(BODY)


def answer(*lines: bytes, body: bytes = BODY, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, b"Content-Type: text/html", *lines]) + b"\r\n\r\n" + body


def coded(coding: bytes, body: bytes) -> bytes:
    return answer(b"Content-Encoding: " + coding, b"Content-Length: %d" % len(body), body=body)


def chunks(body: bytes) -> bytes:
    return answer(CHUNKED, body=body)


def fails_after() -> bytes:
    return answer(b"Content-Length: 1", body=b"x", status=b"HTTP/1.1 500 Late")


CLEAN: dict[str, bytes] = {
    "white space around values": answer(b"X-N:  \t a \t ", LENGTH + b"  "),
    "bare line feeds": answer(LENGTH).replace(b"\r\n", b"\n"),
    "a status without words": answer(LENGTH, status=b"HTTP/1.1 200"),
    "latin-1 in a value": answer(b"X-N: caf\xe9", LENGTH),
    "an upgrade that is offered": answer(LENGTH, b"Upgrade: h2,h2c", b"Connection: Upgrade"),
    "chunks with extensions": chunks(b'2D;x=y;z="q"\r\n' + BODY + b"\r\n000\r\n\r\n"),
    "spaces after a chunk's size": chunks(b"2d  \r\n" + BODY + b"\r\n0\r\n\r\n"),
    "more than its length": answer(LENGTH, body=BODY + b"extra"),
    "another answer behind it": answer(LENGTH, body=BODY + fails_after()),
    "another answer behind its chunks": answer(CHUNKED, body=CHUNKS + fails_after()),
    "an empty coding": answer(b"Content-Encoding:", LENGTH),
    "identity": answer(b"Content-Encoding: identity", LENGTH),
    "a header of 200 KB": answer(b"X-Big: " + b"a" * 200_000, LENGTH),
    "2,000 headers": answer(*(b"X-%d: a" % n for n in range(2000)), LENGTH),
}
"""Read, and nothing to say of it."""

SLOPPY: dict[str, tuple[bytes, str]] = {
    "the same length twice": (answer(LENGTH, LENGTH), "protocol.odd_length"),
    "the same length three times in a list": (answer(LENGTH, b"Content-Length: 45,45"), "protocol.odd_length"),
    "a length that is a word": (answer(b"Content-Length: abc"), "protocol.odd_length"),
    "a length below nothing": (answer(b"Content-Length: -1"), "protocol.odd_length"),
    "a length with a sign": (answer(b"Content-Length: +45"), "protocol.odd_length"),
    "an empty length": (answer(b"Content-Length:"), "protocol.odd_length"),
    "a length of 23 digits": (answer(b"Content-Length: " + b"9" * 23), "protocol.odd_length"),
    "a length and chunks": (answer(LENGTH, CHUNKED, body=CHUNKS), "protocol.odd_length"),
    "chunks and a wrong length": (answer(CHUNKED, b"Content-Length: 3", body=CHUNKS), "protocol.odd_length"),
    "chunked twice": (answer(CHUNKED, CHUNKED, body=CHUNKS), "protocol.odd_length"),
    "chunked and unknown": (answer(b"Transfer-Encoding: xyz, chunked", body=CHUNKS), "protocol.odd_length"),
    "identity as a transfer coding": (answer(b"Transfer-Encoding: identity", LENGTH), "protocol.odd_length"),
    "an unknown transfer coding": (answer(b"Transfer-Encoding: xyz", LENGTH), "protocol.odd_length"),
    "chunks with bare line feeds": (chunks(b"2d\n" + BODY + b"\n0\n\n"), "protocol.odd_length"),
    "spaces around an extension": (chunks(b"2d ; a\r\n" + BODY + b"\r\n0\r\n\r\n"), "protocol.odd_length"),
    "a trailer that is none": (chunks(b"2d\r\n" + BODY + b"\r\n0\r\nbad trailer\r\n\r\n"), "protocol.odd_length"),
    "a control character": (answer(b"X-N: a\x01b", LENGTH), "protocol.odd_header"),
    "a space in a name": (answer(b"X Note: a", LENGTH), "protocol.odd_header"),
    "quotes around a name": (answer(b'"X": a', LENGTH), "protocol.odd_header"),
    "a name that is no ASCII": (answer("X-Ü: a".encode(), LENGTH), "protocol.odd_header"),
    "a name that is empty": (answer(b": a", LENGTH), "protocol.odd_header"),
    "no colon": (answer(b"garbage", LENGTH), "protocol.odd_header"),
    "a space before the colon": (answer(b"Content-Length : 45"), "protocol.odd_header"),
    "a folded line": (answer(b"X-N: a\r\n  b", LENGTH), "protocol.odd_header"),
    "a folded length": (answer(b"Content-Length:\r\n 45"), "protocol.odd_header"),
    "a folded line in the first place": (answer(LENGTH, status=b"HTTP/1.1 200 OK\r\n folded"), "protocol.odd_header"),
    "an odd line in early hints": (
        b"HTTP/1.1 103 Early Hints\r\nbad line\r\nLink: </a>\r\n\r\n" + answer(LENGTH),
        "protocol.odd_header",
    ),
    "a protocol in small letters": (answer(LENGTH, status=b"http/1.1 200 OK"), "protocol.odd_header"),
    "two spaces in the status line": (answer(LENGTH, status=b"HTTP/1.1  200 OK"), "protocol.odd_header"),
    "HTTP/2 without a dot": (answer(LENGTH, status=b"HTTP/2 200"), "protocol.odd_header"),
    "a version of three digits": (answer(LENGTH, status=b"HTTP/1.10 200 OK"), "protocol.odd_header"),
    "a type in the coding's place": (coded(b"text/html", BODY), "protocol.unknown_coding"),
    "no version": (answer(LENGTH, status=b"HTTP 200 OK"), "protocol.odd_header"),
    "words glued to the status": (answer(LENGTH, status=b"HTTP/1.1 200OK"), "protocol.odd_header"),
    "no status at all": (answer(LENGTH, status=b"HTTP/1.1"), "protocol.odd_header"),
    "blank lines first, and a bad line": (b"\r\n\r\n" + answer(b"garbage", LENGTH), "protocol.odd_header"),
    "early hints, and odd chunks": (
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + chunks(b"2d ; a\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "protocol.odd_length",
    ),
    "blank lines first, and odd chunks": (
        b"\r\n\r\n" + chunks(b"2d ; a\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "protocol.odd_length",
    ),
    "three bytes of rubbish first": (b"abc" + answer(LENGTH), "protocol.odd_header"),
    "none": (coded(b"none", BODY), "protocol.unknown_coding"),
    "UTF-8": (coded(b"UTF-8", BODY), "protocol.unknown_coding"),
    "aws-chunked": (coded(b"aws-chunked", BODY), "protocol.unknown_coding"),
    "compress": (coded(b"compress", BODY), "protocol.unknown_coding"),
    "gzip": (coded(b"gzip", ZIPPED), "protocol.unasked_coding"),
    "GZIP": (coded(b"GZIP", ZIPPED), "protocol.unasked_coding"),
    "x-gzip": (coded(b"x-gzip", ZIPPED), "protocol.unasked_coding"),
    "gzip in gzip": (coded(b"gzip, gzip", gzip.compress(ZIPPED)), "protocol.unasked_coding"),
    "gzip and something after it": (coded(b"gzip", ZIPPED + b"xxxx"), "protocol.unasked_coding"),
    "deflate": (coded(b"deflate", zlib.compress(BODY)), "protocol.unasked_coding"),
    "deflate without a head": (coded(b"deflate", zlib.compress(BODY)[2:-4]), "protocol.unasked_coding"),
    "br": (coded(b"br", brotli.compress(BODY)), "protocol.unasked_coding"),
    "br in deflate": (coded(b"br, deflate", zlib.compress(brotli.compress(BODY))), "protocol.unasked_coding"),
    "zstd": (
        coded(b"zstd", bytes.fromhex("28b52ffd202d690100") + BODY),
        "protocol.unasked_coding",
    ),
    "a redirect that breaks": (
        answer(b"Location: /0", b"Content-Length: 60", status=b"HTTP/1.1 307 Moved"),
        "protocol.odd_length",
    ),
    "a charset that does not exist": (
        answer(LENGTH).replace(b"text/html", b"text/html; charset=utf-8-sig"),
        "protocol.odd_charset",
    ),
}
"""Read, with a warning."""

REFUSED: dict[str, bytes] = {
    "two lengths": answer(b"Content-Length: 9", LENGTH),
    "two lengths in a list": answer(b"Content-Length: 9, 45"),
    "a length and a word": answer(b"Content-Length: abc", LENGTH),
    "a length and nothing": answer(b"Content-Length: 45,"),
    "the same number, written otherwise": answer(b"Content-Length: 045", LENGTH),
    "a body that is too short": answer(b"Content-Length: 60"),
    "a body that is too short, twice": answer(b"Content-Length: 60", b"Content-Length: 60"),
    "a NUL": answer(b"X-N: a\0b", LENGTH),
    "five bytes of rubbish first": b"abcde" + answer(LENGTH),
    "no head": BODY,
    "101": answer(LENGTH, status=b"HTTP/1.1 101 Switching"),
    "a header of 300 KB": answer(b"X-Big: " + b"a" * 300_000, LENGTH),
    "a chunk's size with 0x": chunks(b"0x2d\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a space before a chunk's size": chunks(b" 2d\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk that is too long": chunks(b"2c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "no last chunk": chunks(b"2d\n" + BODY + b"\n"),
    "gzip that is none": coded(b"gzip", BODY),
    "deflate in gzip's place": coded(b"gzip", zlib.compress(BODY)),
    "gzip in deflate's place": coded(b"deflate", ZIPPED),
    "a redirect to nowhere that breaks": answer(b"Content-Length: 60", status=b"HTTP/1.1 302 Found"),
    "gzip cut short": coded(b"gzip", ZIPPED[:-12]),
    "br that is none": coded(b"br", BODY),
    "br cut short": coded(b"br", brotli.compress(BODY * 100)[:-2]),
    "zstd that is none": coded(b"zstd", BODY),
    "a star for a coding": coded(b"*", BODY),
    "a coding in quotes": coded(b'"gzip"', ZIPPED),
    "a coding with a weight": coded(b"gzip;q=1", ZIPPED),
}
"""No browser shows it, and most libraries give up."""


def asked(rows: Mapping[str, bytes], method: str = "GET") -> dict[str, Answer | WireError]:
    """Ask for each row once, over one server and in one loop."""
    names = list(rows)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(rows[names[int(head.split()[1][1:])]])
        await writer.drain()

    async def main() -> dict[str, Answer | WireError]:
        wire = Wire(allow_networks=LOOPBACK)
        found: dict[str, Answer | WireError] = {}
        async with serve(behave) as port:
            for number, name in enumerate(names):
                try:
                    address = f"http://127.0.0.1:{port}/{number}"
                    found[name] = await wire.fetch(method, address, limits=Limits(deadline_s=3))
                except WireError as error:
                    found[name] = error
        return found

    return driven.run(main())


def shown(found: Mapping[str, Answer | WireError]) -> dict[str, Any]:
    return {
        name: one.reason if isinstance(one, WireError) else [(one.body == BODY), *one.warnings]
        for name, one in found.items()
    }


def test_a_redirect_is_one_whatever_coding_its_body_claims() -> None:
    wrong = answer(b"Location: /0", b"Content-Encoding: gzip", LENGTH, status=b"HTTP/1.1 302 Found")
    found = asked({"wrong": wrong})["wrong"]
    assert isinstance(found, Answer), found
    codes = ["protocol.unasked_coding", "protocol.odd_length"]
    assert (found.status, [str(note).partition(":")[0] for note in found.warnings]) == (302, codes)


def test_what_is_merely_unusual_is_read_without_a_word() -> None:
    assert shown(asked(CLEAN)) == {name: [True] for name in CLEAN}


def test_what_browsers_put_up_with_is_read_and_told() -> None:
    found = shown(asked({name: raw for name, (raw, _) in SLOPPY.items()}))
    assert {name: isinstance(one, list) and one[0] for name, one in found.items()} == dict.fromkeys(SLOPPY, True)
    told = {name: {str(warning).partition(":")[0] for warning in one[1:]} for name, one in found.items()}
    assert told == {name: {code} for name, (_, code) in SLOPPY.items()}


def test_what_browsers_refuse_is_refused() -> None:
    assert shown(asked(REFUSED)) == dict.fromkeys(REFUSED, Reason.PROTOCOL)


def test_no_body_is_framed_where_there_is_none() -> None:
    rows = {name: SLOPPY[name][0] for name in ("a length and chunks", "the same length twice", "a folded line")}
    found = asked(rows, "HEAD")
    assert {name: isinstance(one, Answer) and one.body for name, one in found.items()} == dict.fromkeys(rows, b"")


def test_a_folded_value_is_joined_and_a_bad_line_left_out() -> None:
    found = asked({"": answer(b"X-N: a \r\n\t b\r\n c", b"X Bad: x", b"X-Last: z ", LENGTH)})[""]
    assert isinstance(found, Answer)
    assert found.headers["x-n"] == "a b c"
    assert found.headers["x-last"] == "z"
    assert len(found.headers) == 4


@pytest.mark.parametrize("cut", [1, 2, 7, 45])
def test_odd_chunks_mean_the_same_however_they_are_cut(cut: int) -> None:
    raw = b"5 ;x\nhello\n0006\r\n world\r\n0\nrubbish\n\r\n"
    taken = Chunks()
    body = b"".join(piece for at in range(0, len(raw), cut) for piece in taken.feed(raw[at : at + cut]))
    assert (body, taken.complete) == (b"hello world", True)


@pytest.mark.parametrize("parts", [1, 3, 10])
def test_chunks_that_turn_odd_in_the_middle_lose_and_repeat_nothing(parts: int) -> None:
    raw = b"5\r\nhello\r\n" * 4 + b"5 ; x\r\nworld\r\n0\r\n\r\n"
    size = -(-len(raw) // parts)
    sent = [answer(CHUNKED, body=b""), *(raw[at : at + size] for at in range(0, len(raw), size))]
    behave = replays(*sent, pauses=dict.fromkeys(range(1, len(sent)), 0.005))
    seen = look_at("http", behave, regex="^(hello){4}world$")
    assert (seen.reason, seen.warnings) == (Reason.OK, ("protocol.odd_length: chunks of an odd form",)), seen.detail


def test_who_wants_it_strict_is_told_of_the_first_odd_thing() -> None:
    odd = replays(answer(LENGTH, LENGTH))
    assert look_at("http", odd, contains="Welcome").reason is Reason.OK
    seen = look_at("http", odd, contains="Welcome", strict=True)
    assert seen.reason is Reason.PROTOCOL
    assert "the same length more than once" in seen.detail
    assert look_at("http", replays(answer(LENGTH)), contains="Welcome", strict=True).reason is Reason.OK
