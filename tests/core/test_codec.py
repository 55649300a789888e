"""Results survive the way through bytes."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.codec import CodecError, dumps_result, loads_result
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import MethodReading
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

finite = st.floats(allow_nan=False, allow_infinity=False)
times = st.datetimes(
    NOON.replace(year=1970, tzinfo=None),
    NOON.replace(year=2200, tzinfo=None),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(-timedelta(hours=3))]),
)
# Text from outside may hold anything, lone surrogates included.
texts = st.text(max_size=20) | st.just("\ud800\x00\u202e")
st.register_type_strategy(float, finite)
st.register_type_strategy(datetime, times)
st.register_type_strategy(str, texts)
results = st.builds(
    Result,
    run=st.builds(RunId),
    observation=st.builds(
        Observation,
        phases=st.none() | st.builds(Phases),
        chat=st.none() | st.builds(ChatTimes),
        registration=st.lists(st.builds(MethodReading), max_size=2).map(tuple),
        upstream=st.none() | st.builds(UpstreamReading, components=st.dictionaries(texts, st.sampled_from(Health))),
    ),
)


def result(**observation: Any) -> Result:
    return Result(RunId("p", "local", NOON), NOON, 0.5, Observation(Reason.OK, **observation))


@given(results)
def test_a_result_read_back_equals_the_one_written(original: Result) -> None:
    line = dumps_result(original)
    assert loads_result(line) == original
    assert b"\n" not in line
    assert line.isascii()


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_foreign_bytes_raise_a_codec_error_only(data: bytes) -> None:
    with pytest.raises(CodecError):
        loads_result(data)


@given(results, st.data())
def test_a_torn_line_is_never_read_as_a_result(original: Result, data: st.DataObject) -> None:
    line = dumps_result(original)
    with pytest.raises(CodecError):
        loads_result(line[: data.draw(st.integers(0, len(line) - 1))])


def test_a_field_of_a_later_version_is_skipped() -> None:
    document = json.loads(dumps_result(result(detail="fine")))
    document["observation"]["invented_later"] = 1
    assert loads_result(json.dumps(document).encode()) == result(detail="fine")


def test_an_ordinary_result_takes_little_room() -> None:
    assert len(dumps_result(result(http_status=200, phases=Phases(connect_s=0.01, wait_s=0.1)))) < 300


def test_a_reason_that_nobody_knows_is_refused() -> None:
    line = dumps_result(result()).replace(b'"ok"', b'"service.gremlins"')
    with pytest.raises(CodecError):
        loads_result(line)


def test_deep_nesting_is_refused_without_falling_over() -> None:
    with pytest.raises(CodecError):
        loads_result(b"[" * 200_000)


def test_infinity_cannot_be_written() -> None:
    with pytest.raises(CodecError):
        dumps_result(result(retry_after_s=float("inf")))


def test_a_time_that_no_utc_can_hold_cannot_be_written_or_read() -> None:
    edge = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8)))
    with pytest.raises(CodecError):
        dumps_result(Result(RunId("p", "local", edge), edge, 0.0, Observation(Reason.OK)))
    with pytest.raises(CodecError):
        loads_result(dumps_result(result()).replace(b"2026-01-02T12:00:00+00:00", b"0001-01-01T00:00:00+08:00"))


def test_times_come_back_as_utc() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=8)))
    back = loads_result(dumps_result(Result(RunId("p", "local", there), there, 0.0, Observation(Reason.OK))))
    assert back.run.tick.tzinfo is UTC
    assert back.run.tick == NOON
