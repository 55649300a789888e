from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.schedule import count_between, from_micros, micros, next_tick, slot, ticks_between

from .making import T0, at

INTERVALS = st.sampled_from([5, 10, 30, 60, 300, 3600])
MOMENTS = st.integers(10**15, 4 * 10**15).map(from_micros)


@given(st.text(min_size=1), INTERVALS)
def test_a_slot_lies_inside_the_interval_and_is_always_the_same(name: str, interval_s: int) -> None:
    assert 0 <= slot(name, interval_s) < interval_s
    assert slot(name, interval_s) == slot(name, interval_s)


def test_slots_spread_a_thousand_probes_evenly() -> None:
    tenths = [int(slot(f"probe-{n}", 60) // 6) for n in range(1000)]
    assert all(70 <= tenths.count(tenth) <= 130 for tenth in range(10))


@given(MOMENTS, INTERVALS, st.text(min_size=1))
def test_the_next_tick_is_the_first_on_the_grid(after: datetime, interval_s: int, name: str) -> None:
    offset = slot(name, interval_s)
    tick = next_tick(interval_s, offset, after)
    assert timedelta(0) < tick - after <= timedelta(seconds=interval_s)
    assert (micros(tick) - round(offset * 1e6)) % (interval_s * 1_000_000) == 0


@given(MOMENTS, INTERVALS, st.text(min_size=1), st.integers(0, 5000), st.integers(0, 5000))
def test_splitting_a_stretch_splits_its_ticks(after: datetime, interval_s: int, name: str, a: int, b: int) -> None:
    offset, middle = slot(name, interval_s), after + timedelta(seconds=a)
    end = middle + timedelta(seconds=b)
    whole = list(ticks_between(interval_s, offset, after, end))
    parts = [*ticks_between(interval_s, offset, after, middle), *ticks_between(interval_s, offset, middle, end)]
    assert whole == parts
    assert count_between(interval_s, offset, after, end) == len(whole)


@given(MOMENTS)
def test_microseconds_are_exact_both_ways(moment: datetime) -> None:
    assert from_micros(micros(moment)) == moment


@pytest.mark.parametrize(("until", "ticks"), [(-5, 0), (0, 0), (29, 0), (30, 1), (3600, 120)])
def test_ticks_after_now_begin_with_the_next(until: float, ticks: int) -> None:
    assert len(list(ticks_between(30, 0.0, T0, at(until)))) == ticks
