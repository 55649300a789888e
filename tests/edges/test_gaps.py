"""Ticks that nobody came to are counted for ever, however many they are: one by one, or as ranges."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.schedule import count_between, slot, ticks_between
from monitor.recorder.durability import missed_ticks
from monitor.recorder.durability.missed_ticks import missed_since
from monitor.store import reads
from tests.edges.flowing import CATALOGUE, MINUTE, T0, publish

PROBE = "ds-api"
INTERVAL_S = next(probe.interval_s for probe in CATALOGUE.probes if probe.id == PROBE)
GRID = list(ticks_between(INTERVAL_S, slot(PROBE, INTERVAL_S), T0, T0 + timedelta(days=10)))


def looked(tick: datetime, reason: Reason = Reason.OK) -> Result:
    return Result(RunId(PROBE, "local", tick), tick, 0.2, Observation(reason))


def record(engine: Engine, *results: Result) -> flow.Recorded:
    return flow.record(engine, results, max(result.run.tick for result in results) + MINUTE)


def counted(engine: Engine) -> int:
    """Roll everything up and return how many ticks count as missed."""
    flow.roll_up(engine, GRID[-1] + timedelta(days=3))
    return sum(view.ticks for view in reads.missed(engine) if view.probe == PROBE)


@pytest.fixture
def engine_(engine: Engine) -> Engine:
    publish(engine)
    return engine


def test_every_tick_of_days_of_absence_is_counted_by_itself_or_in_a_range(engine_: Engine) -> None:
    record(engine_, looked(GRID[0]))
    back = GRID[8_000]
    missed = missed_since(engine_, reads.catalogue(engine_), "local", back - timedelta(seconds=1))
    assert len(missed) == missed_ticks.MOST_TICKS
    done = flow.record(engine_, [*missed, looked(back)], back + MINUTE)
    assert done.skipped == 7_999 - missed_ticks.MOST_TICKS
    assert counted(engine_) == 7_999
    (view,) = [found for found in reads.missed(engine_) if found.probe == PROBE]
    (gap,) = view.gaps
    assert (gap.starts_at, gap.ends_at) == (GRID[1], GRID[7_999 - missed_ticks.MOST_TICKS])
    assert view.reasons == {Reason.NOT_RUNNING.value: missed_ticks.MOST_TICKS}


def test_a_clock_that_jumps_ahead_leaves_a_range_and_no_tick_is_in_two(engine_: Engine) -> None:
    record(engine_, *(looked(tick) for tick in GRID[:3]))
    assert record(engine_, looked(GRID[100])).skipped == 97
    assert record(engine_, looked(GRID[101])).skipped == 0
    assert record(engine_, looked(GRID[103], Reason.SERVER_ERROR)).skipped == 1
    assert record(engine_, looked(GRID[100]), looked(GRID[103])).skipped == 0, "seen before"
    assert counted(engine_) == 98


def test_ranges_and_days_outlive_the_looks(engine_: Engine) -> None:
    record(engine_, looked(GRID[0]))
    record(engine_, looked(GRID[50]), looked(GRID[51], Reason.NOT_RUNNING), looked(GRID[52]))
    before = counted(engine_)
    assert before == 50
    flow.prune(engine_, GRID[-1] + timedelta(days=1_000))
    assert counted(engine_) == before


def test_a_second_look_at_a_tick_and_a_grid_that_moved_a_little_are_no_gap(engine_: Engine) -> None:
    record(engine_, looked(GRID[0]))
    again = RunId(PROBE, "local", GRID[0], 2)
    assert (
        flow.record(engine_, [Result(again, GRID[0] + MINUTE / 10, 0.2, Observation(Reason.OK))], GRID[1]).skipped == 0
    )
    moved = timedelta(milliseconds=7)
    for number in range(1, 5):
        assert record(engine_, looked(GRID[number] + moved)).skipped == 0
    assert record(engine_, looked(GRID[5])).skipped == 0
    assert counted(engine_) == 0


def test_the_first_look_of_a_probe_is_no_end_of_an_absence(engine_: Engine) -> None:
    assert record(engine_, looked(GRID[500])).skipped == 0
    assert counted(engine_) == 0
    offset_s = slot(PROBE, INTERVAL_S)
    assert count_between(INTERVAL_S, offset_s, T0, GRID[500]) == 501
