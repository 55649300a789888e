"""A look that cannot be true is left out, everything else is kept, and the operator hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor import clock
from monitor.core.codec import dumps_result
from monitor.core.model.alert_rules import Rule
from monitor.core.model.observations import Result
from monitor.recorder.recorder import Recorder
from monitor.runtime.messages import Batch
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.text.lexicon import Language, lexicon
from monitor.text.messages import worded
from tests.edges.flowing import look
from tests.edges.test_recorder import alive, recording, stored

START = clock.now() - timedelta(minutes=2)
GOOD = look("oa-api", START)


def line(result: Result, *changes: tuple[bytes, bytes]) -> bytes:
    data = dumps_result(result)
    for before, after in changes:
        assert before in data
        data = data.replace(before, after)
    return data


def at(moment: datetime) -> Result:
    return look("ds-api", moment)


def year() -> bytes:
    return f"{START:%Y}-".encode()


BAD = {
    "year 9998": line(at(datetime(9998, 1, 1, tzinfo=UTC))),
    "year 1": line(at(datetime(1, 1, 1, tzinfo=UTC))),
    "attempt 0": line(replace(at(START), run=replace(at(START).run, attempt=0))),
    "attempt -1": line(replace(at(START), run=replace(at(START).run, attempt=-1))),
    "attempt beyond all": line(replace(at(START), run=replace(at(START).run, attempt=10**9))),
    "started in the year 9999": line(replace(at(START), started_at=datetime(9999, 12, 31, tzinfo=UTC))),
    "two days ahead": line(at(START + timedelta(days=2))),
    "a year that is none": line(at(START), (year(), b"99999-")),
    "no number": line(at(START), (b"0.3", b'"long"')),
    "cut off": line(at(START))[:40],
}


@pytest.mark.parametrize("what", BAD)
def test_the_operator_hears_once_of_looks_that_cannot_be_and_nothing_else_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    said: list[str] = []

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(START - timedelta(minutes=1)))
        await recorder.open()
        assert recorder.judging.alert() == ""
        for number in range(3):
            await recorder.on_frame(Batch(number, lines=(dumps_result(GOOD), BAD[what])))
            await recorder.sign_of_life()
        said.append(recorder.judging.alert())
        assert (len(recorder.spool), dict(recorder.judging.quarantine.held)) == (0, {})
        assert recorder.counters.dropped._value.get() == 3
        newest = recorder.seen.newest.get("ds-api")
        assert newest is None or newest.run.tick <= START + timedelta(days=2)

    recording(tmp_path, play)
    assert [result.run.tick for result in stored(tmp_path, "oa-api")] == [START]
    assert stored(tmp_path, "ds-api") == []
    english = worded(said[0], lexicon(Language.EN))
    assert english.startswith("3 looks of ")
    assert "left out" in english
    assert {str(vars(one).get("event")) for one in caplog.records} >= {"result_impossible"}
    engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}", read_only=True)
    try:
        found = [view for view in reads.alerts(engine, open_only=True) if view.alert.rule is Rule.QUARANTINE]
    finally:
        engine.dispose()
    assert len(found) == 1, "one alert, however many come"
