"""The event stream parser: the examples of the standard, every way to cut the bytes, and the cap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes.chat.answer.sse import LINES, Event, KeepAlive, LineTooLong, Parser


def parse(*pieces: bytes, cap: int = 1 << 20) -> list[Event | KeepAlive]:
    parser = Parser(cap)
    return [item for number, piece in enumerate(pieces) for item in parser.feed(piece, float(number))]


def events(*pieces: bytes) -> list[tuple[str, str]]:
    return [(item.name, item.data) for item in parse(*pieces) if isinstance(item, Event)]


def test_the_examples_of_the_standard_come_out_as_it_says() -> None:
    assert events(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [("message", "YHOO\n+2\n10")]
    assert events(b"data\n\ndata\ndata\n\ndata:") == [("message", ""), ("message", "\n")]
    assert events(b"data:test\n\ndata: test\n\n") == [("message", "test"), ("message", "test")]
    assert events(b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n") == [
        ("message", "first event"),
        ("message", "second event"),
        ("message", " third event"),
    ]


def test_an_event_without_its_blank_line_is_thrown_away() -> None:
    assert events(b"data: whole\n\ndata: torn\n") == [("message", "whole")]


def test_a_name_without_data_makes_no_event_and_is_forgotten() -> None:
    assert events(b"event: ping\n\ndata: x\n\n") == [("message", "x")]


def test_a_byte_order_mark_is_dropped_once() -> None:
    assert events(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [("message", "a")]


def test_comments_and_stray_blank_lines_are_signs_of_life_and_the_end_of_an_event_is_none() -> None:
    items = parse(b"\n: keep-alive\n\ndata: x\n\n\n")
    assert [item.text for item in items if isinstance(item, KeepAlive)] == ["", "keep-alive", ""]


def test_an_event_carries_the_time_of_the_piece_that_completed_it() -> None:
    assert parse(b"data: x", b"\n", b"\n", b"data: y\n\n") == [Event("message", "x", 2.0), Event("message", "y", 3.0)]


def test_a_carriage_return_at_the_end_of_a_piece_ends_the_line_at_once() -> None:
    assert parse(b"data: x\r\r", b"\ndata: y\r\n\r\n") == [Event("message", "x", 0.0), Event("message", "y", 1.0)]


def test_a_line_or_an_event_over_the_cap_is_refused_after_what_came_before_it() -> None:
    items = Parser(10).feed(b"data: a\n\ndata: 123456789\n\n", 0.0)
    assert next(items) == Event("message", "a", 0.0)
    with pytest.raises(LineTooLong):
        next(items)
    with pytest.raises(LineTooLong):
        parse(*[b"x"] * 11, cap=10)
    with pytest.raises(LineTooLong):
        parse(*[b"data:1234\n"] * 3, cap=10)


def test_more_lines_than_any_answer_has_are_refused() -> None:
    stream = Parser()
    assert list(stream.feed(b"x\n" * LINES, 0.0)) == []
    with pytest.raises(LineTooLong):
        list(stream.feed(b"\n", 0.0))


WORDS = ["data: ", "data:", "event: e", ":", " ", "\n", "\r", "\r\n", "日本é", "x", "id: 1"]
PIECES = st.sampled_from([*(word.encode() for word in WORDS), b"\xe6\x97", b"\xff"])
STREAMS = st.lists(PIECES | st.binary(max_size=4), max_size=40).map(b"".join)


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_however_the_bytes_are_cut_the_same_comes_out(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    whole = [item._replace(at_s=0.0) for item in parse(stream)]
    assert [item._replace(at_s=0.0) for item in parse(*pieces)] == whole
    assert [item._replace(at_s=0.0) for item in parse(*[bytes([byte]) for byte in stream])] == whole


def reference(stream: bytes) -> list[tuple[str, str]]:
    """The standard's algorithm, read line by line from the decoded whole."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    found, data, name = [], "", ""
    for line in lines:
        if line == "":
            if data:
                found.append((name or "message", data.removesuffix("\n")))
            data, name = "", ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            data += value + "\n" if field == "data" else ""
            name = value if field == "event" else name
    return found


@given(stream=STREAMS)
def test_it_agrees_with_the_standards_own_algorithm(stream: bytes) -> None:
    if b"\x00" not in stream:
        assert events(stream) == reference(stream)
