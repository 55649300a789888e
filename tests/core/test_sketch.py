import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.components import sketch

VALUES = st.lists(st.floats(1e-5, 1e5), min_size=1, max_size=200)
SKETCHES = st.dictionaries(st.integers(-2000, 2000), st.integers(1, 10**9), max_size=60)


def exact(values: list[float], q: float) -> float:
    return sorted(values)[math.floor(q * (len(values) - 1))]


@given(VALUES, st.floats(0, 1))
def test_a_quantile_is_within_one_percent_of_the_exact_one(values: list[float], q: float) -> None:
    found = sketch.quantile(sketch.of(values), q)
    assert found is not None
    assert abs(found - exact(values, q)) <= 0.01 * exact(values, q)


@given(SKETCHES, SKETCHES, SKETCHES)
def test_merging_is_associative_and_commutative(a: sketch.Sketch, b: sketch.Sketch, c: sketch.Sketch) -> None:
    assert sketch.merge([a, b]) == sketch.merge([b, a])
    assert sketch.merge([sketch.merge([a, b]), c]) == sketch.merge([a, sketch.merge([b, c])])
    assert sketch.count(sketch.merge([a, b, c])) == sketch.count(a) + sketch.count(b) + sketch.count(c)


@given(VALUES, VALUES)
def test_a_merged_sketch_is_the_sketch_of_everything(a: list[float], b: list[float]) -> None:
    assert sketch.merge([sketch.of(a), sketch.of(b)]) == sketch.of(a + b)


@given(SKETCHES)
def test_a_sketch_survives_its_blob(held: sketch.Sketch) -> None:
    assert sketch.decode(sketch.encode(held)) == held


def test_ninety_days_of_lognormal_latency_stay_within_the_bound_and_small() -> None:
    rng = random.Random(7)
    values = [rng.lognormvariate(0, 0.5) * (20 if rng.random() < 0.02 else 1) for _ in range(90 * 288)]
    days = [sketch.of(values[day * 288 : (day + 1) * 288]) for day in range(90)]
    merged = sketch.merge(days)
    for q in (0.5, 0.95, 0.99):
        found = sketch.quantile(merged, q)
        assert found is not None
        assert abs(found / exact(values, q) - 1) < 0.01
    assert max(len(sketch.encode(day)) for day in days) < 400


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-9])
def test_what_is_too_small_counts_as_the_smallest(value: float) -> None:
    assert sketch.quantile(sketch.of([value]), 0.5) == pytest.approx(sketch.SMALLEST, rel=0.02)


def test_infinity_counts_as_the_largest_and_nan_is_refused() -> None:
    assert sketch.quantile(sketch.of([math.inf]), 0.5) == pytest.approx(sketch.LARGEST, rel=0.02)
    with pytest.raises(ValueError, match="NaN"):
        sketch.index(math.nan)


def test_nothing_has_no_quantile_and_a_torn_blob_is_refused() -> None:
    assert sketch.quantile({}, 0.5) is None
    assert sketch.encode({}) == b""
    with pytest.raises(ValueError, match="cut short"):
        sketch.decode(sketch.encode({5: 1000})[:-1])
