"""Messages between prober and recorder survive the way, and what is none costs one error of one kind."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.config.settled import Settings
from monitor.runtime.frames import from_recorder, to_prober
from monitor.runtime.messages import (
    FROM_PROBER,
    FROM_RECORDER,
    Ack,
    Batch,
    Configured,
    FrameError,
    FromProber,
    FromRecorder,
    JobReport,
    MemoryHandover,
    Own,
    ProberAlive,
    Receiver,
    RecorderAlive,
    Refused,
    Remembered,
    UnknownKind,
)
from tests.edges.flowing import CATALOGUE

times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # zone follows
texts = st.text(max_size=20) | st.just("\ud800\x00\n\u202e")
floats = st.floats(allow_nan=False, allow_infinity=False)
memories = st.builds(Remembered, times, texts)
lines = st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=3).map(tuple)
said_by_prober = {
    Batch: st.builds(
        Batch,
        st.integers(),
        st.dictionaries(texts, memories, max_size=2),
        st.lists(texts, max_size=2).map(tuple),
        st.booleans(),
        lines,
    ),
    ProberAlive: st.builds(ProberAlive, texts, floats, st.none() | times, st.integers(), st.integers()),
    Configured: st.builds(
        Configured,
        st.just(CATALOGUE),
        st.builds(Settings, label=texts, allow_networks=st.lists(texts, max_size=2).map(tuple)),
        st.dictionaries(texts, st.builds(Receiver, texts, texts, texts), max_size=2),
        st.lists(texts, max_size=2).map(tuple),
        st.dictionaries(texts, texts, max_size=2),
    ),
    Refused: st.builds(Refused),
}
said_by_recorder = {
    Ack: st.builds(Ack, st.integers()),
    RecorderAlive: st.builds(RecorderAlive),
    JobReport: st.builds(JobReport, texts, times, st.booleans(), texts),
    MemoryHandover: st.builds(MemoryHandover, texts, memories, st.booleans()),
    Own: st.builds(Own, st.dictionaries(texts, st.none() | times, max_size=3)),
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from([kind.kind for kind in (*get_args(FromProber), *get_args(FromRecorder))])
fields = st.sampled_from(["number", "lines", "left", "memories", "since", "probe", "at", "memory", "probes", "lag_s"])


def test_every_message_is_among_those_that_are_tried_here() -> None:
    assert said_by_prober.keys() == set(get_args(FromProber))
    assert said_by_recorder.keys() == set(get_args(FromRecorder))


@given(st.one_of(*said_by_prober.values()))
def test_what_the_prober_says_arrives_as_it_was_said(message: FromProber) -> None:
    assert FROM_PROBER.loads(FROM_PROBER.dumps(message)) == message


@given(st.one_of(*said_by_recorder.values()))
def test_what_the_recorder_says_arrives_as_it_was_said(message: FromRecorder) -> None:
    assert FROM_RECORDER.loads(FROM_RECORDER.dumps(message)) == message


@given(
    st.binary(max_size=60)
    | anything.map(lambda found: json.dumps(found).encode())
    | st.dictionaries(kinds, st.dictionaries(fields, anything, max_size=4) | anything, min_size=1, max_size=1).map(
        lambda found: json.dumps(found).encode()
    )
)
@example(b'{"alive":' + b"[" * 100_000)
@example(b'{"ack":{"number":' + b"9" * 5_000 + b"}}")
@example(b'{"beat":{"probe":"p","at":"0001-01-01T00:00:00+14:00"}}')
@example(b'{"batch":{"number":1,"left":"probe"}}')
@example(b"\n")
def test_foreign_bytes_are_a_message_or_a_frame_error_and_nothing_else(data: bytes) -> None:
    for codec, union in ((FROM_PROBER, FromProber), (FROM_RECORDER, FromRecorder)):
        with suppress(FrameError):
            assert isinstance(codec.loads(data), get_args(union))


@given(st.one_of(*said_by_recorder.values()), st.data())
def test_a_message_cut_short_is_never_read_as_one(message: FromRecorder, data: st.DataObject) -> None:
    whole = FROM_RECORDER.dumps(message)
    with pytest.raises(FrameError):
        FROM_RECORDER.loads(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_a_text_is_no_list_of_its_letters() -> None:
    with pytest.raises(FrameError, match="TypeError"):
        FROM_PROBER.loads(b'{"batch":{"number":1,"left":"probe"}}')


def test_a_field_of_a_later_version_is_skipped_and_one_of_an_earlier_version_takes_its_default() -> None:
    assert FROM_RECORDER.loads(b'{"ack":{"number":7,"invented_later":[1]}}') == Ack(7)
    assert FROM_PROBER.loads(b'{"alive":{}}') == ProberAlive()


def test_a_kind_of_another_version_is_told_apart_from_damage() -> None:
    with pytest.raises(UnknownKind, match="'invented_later'"):
        FROM_RECORDER.loads(b'{"invented_later":{}}')


def test_a_kind_of_another_version_is_left_out_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> list[FromRecorder | None]:
        reader = asyncio.StreamReader()
        for payload in (b'{"newer":{}}', b'{"newer":{"again":1}}'):
            reader.feed_data(struct.pack("!I", len(payload)) + payload)
        reader.feed_data(to_prober(Ack(3)))
        reader.feed_eof()
        inbox = from_recorder(reader)
        return [await inbox.receive(), await inbox.receive()]

    assert asyncio.run(play()) == [Ack(3), None]
    (line,) = caplog.messages
    assert "'newer'" in line
