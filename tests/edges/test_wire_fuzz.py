"""Whatever bytes come, however they are cut: the same answer or a named error, and never anything else."""

from __future__ import annotations

import zlib
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.reasons import Reason
from monitor.wire import Guard, WireError
from monitor.wire.http.decode import STEP_BYTES, Decoder
from monitor.wire.http.http1 import ResponseParser, parse

Outcome = tuple[int, list[tuple[bytes, bytes]], bytes] | Reason

HEAD = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 404 No\r\n",
        b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 204 None\r\n",
        b"HTTP/2 200\r\n",
        b"ICY 200 OK\r\n",
        b"HTTP/1.1 20\r\n",
    ]
)
FIELD = st.sampled_from(
    [
        b"content-length: 5\r\n",
        b"content-length: 500\r\n",
        b"content-length: -1\r\n",
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"connection: close\r\n",
        b"x: \xff\xfe\r\n",
        b"folded: a\r\n b\r\n",
        b": nameless\r\n",
        b"upgrade: h2c\r\n",
    ]
)
BODY = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"ffffffffff\r\n", b"0\r\n\r\n"])
)
RESPONSE = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda head, fields, body: head + b"".join(fields) + b"\r\n" + body, HEAD, st.lists(FIELD, max_size=4), BODY
    ),
)


def read(pieces: list[bytes], method: str) -> Outcome:
    parser = ResponseParser(method, header_bytes=4096)
    body = b""
    try:
        for piece in pieces:
            body += b"".join(parser.feed(piece))
        parser.end()
    except WireError as error:
        return error.reason
    finally:
        parser.close()
    return parser.status, parser.headers, body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(edges)]


@settings(max_examples=500, deadline=None)
@given(RESPONSE, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from(["GET", "HEAD"]))
def test_a_response_means_the_same_however_it_is_cut(data: bytes, places: list[int], method: str) -> None:
    whole, cut_up = read([data], method), read(cut(data, places), method)
    assert whole == cut_up
    if isinstance(whole, Reason):
        assert whole is Reason.PROTOCOL


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from(["gzip", "deflate"]), st.lists(st.integers(0, 10_000), max_size=8))
def test_decoding_gives_the_bytes_back_in_bounded_steps(data: bytes, coding: str, places: list[int]) -> None:
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    packed = packer.compress(data * 50) + packer.flush()
    decoder = Decoder([coding])
    steps = [step for piece in cut(packed, places) for step in decoder.feed(piece)]
    decoder.finish()
    assert b"".join(steps) == data * 50
    assert all(len(step) <= STEP_BYTES for step in steps)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_rubbish_is_a_protocol_error_or_nothing(data: bytes, coding: str) -> None:
    decoder, reason = Decoder([coding]), Reason.PROTOCOL
    try:
        for _ in decoder.feed(data):
            pass
        decoder.finish()
    except WireError as error:
        reason = error.reason
    assert reason is Reason.PROTOCOL


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_the_same_in_every_ipv6_wrapping(number: int) -> None:
    guard, plain = Guard(), IPv4Address(number)
    refusal = guard.refusal(str(plain))
    mapped, nat64 = IPv6Address((0xFFFF << 32) | number), IPv6Address((0x64FF9B << 96) | number)
    assert guard.refusal(str(mapped)) == refusal
    assert guard.refusal(str(nat64)) == refusal
    if refusal:
        assert guard.refusal(str(IPv6Address((0x2002 << 112) | (number << 80)))), "6to4"
        assert guard.refusal(str(IPv6Address((0x2A00_1450 << 96) | (0x5EFE << 32) | number))), "ISATAP"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_target_or_a_configuration_error(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/x"):
        target, reason = None, Reason.CONFIG
        try:
            target = parse(url)
        except WireError as error:
            reason = error.reason
        assert reason is Reason.CONFIG
        assert target is None or not set("\r\n\0 ") & set(target.path + target.authority)
