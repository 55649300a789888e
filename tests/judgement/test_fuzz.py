"""Nothing that a look may hold stops judgement: long random sequences with senseless values, in memory and recorded."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from monitor.core.checks.plausible import EARLIEST, LATEST, plausible
from monitor.core.codec import CodecError, dumps_result, loads_result
from monitor.core.model.observations import ChatTimes, Evidence, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.judgement import nasty
from tests.judgement.database import fast

LOOKS, LOOKS_ON_POSTGRESQL = 10_000, 2_000
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def look(**changes: Any) -> Result:
    seen = {name: changes.pop(name) for name in list(changes) if name in Observation.__dataclass_fields__}
    return replace(Result(RunId("web", "berlin", NOON), NOON, 0.3, Observation(Reason.OK, **seen)), **changes)


def test_no_sequence_of_looks_makes_judgement_in_memory_raise() -> None:
    store = nasty.judge_in_memory(Random(1), LOOKS)
    assert store.incidents
    assert store.alerts


def all_recorded(url: str, looks: int, caplog: pytest.LogCaptureFixture) -> bool:
    engine = fast(url)
    migrate(engine)
    with caplog.at_level(logging.ERROR):
        done = nasty.record(engine, Random(2), looks)
    engine.dispose()
    assert done.unjudged == {}
    assert [entry.getMessage() for entry in caplog.records] == []
    return done.stored > looks / 2 and bool(done.incidents)


def test_no_sequence_of_looks_makes_the_recorder_raise_or_leave_a_service_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert all_recorded(f"sqlite:///{tmp_path / 'chatwatch.db'}", LOOKS, caplog)


@pytest.mark.postgres
def test_nor_does_any_over_postgresql(postgres_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert all_recorded(postgres_server.create(), LOOKS_ON_POSTGRESQL, caplog)


@pytest.mark.parametrize("moment", [EARLIEST - timedelta(days=1), LATEST + timedelta(days=1)])
def test_a_look_without_a_place_in_time_is_left_out(moment: datetime) -> None:
    assert plausible(look(started_at=moment)) is None
    assert plausible(look(run=RunId("web", "berlin", moment))) is None
    assert plausible(look(run=RunId("web", "berlin", NOON, 0))) is None


@pytest.mark.parametrize("duration_s", [float("nan"), float("inf"), -1.0, 1e300, 86_401.0])
def test_a_look_that_took_no_time_there_is_counts_as_a_fault_of_ours(duration_s: float) -> None:
    found = plausible(look(duration_s=duration_s))
    assert found is not None
    assert (found.reason, found.duration_s) == (Reason.INTERNAL, 0.0)


def test_a_text_that_no_database_takes_is_written_with_a_mark_in_its_place() -> None:
    found = plausible(look(detail="a\x00b\ud800", evidence=Evidence("", "\udfff", {"\x00": "fine"})))
    assert found is not None
    assert found.observation.detail == "a\ufffdb\ufffd"
    assert found.observation.evidence == Evidence("", "\ufffd", {"\ufffd": "fine"})


def test_numbers_that_no_part_of_a_look_has_are_left_out() -> None:
    parts = {"phases": Phases(wait_s=1e300, dns_s=0.1), "chat": ChatTimes(output_tokens=2**70, chunks=-1, ttft_s=0.5)}
    found = plausible(look(http_status=2**40, bytes_received=-1, retry_after_s=float("inf"), **parts))
    assert found is not None
    assert found.observation == Observation(Reason.OK, phases=Phases(dns_s=0.1), chat=ChatTimes(ttft_s=0.5))


def test_an_ordinary_look_is_judged_as_it_is() -> None:
    for ordinary in (look(), look(detail="\u670d\u52a1\u5668", http_status=503, phases=Phases(wait_s=0.2))):
        assert plausible(ordinary) is ordinary


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_could_not_be_written_again_is_not_read(number: str) -> None:
    line = dumps_result(look()).replace(b"0.3", number.encode())
    with pytest.raises(CodecError):
        loads_result(line)
