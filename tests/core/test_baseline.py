import math
import random
from datetime import timedelta

import pytest

from monitor.core.baseline import HOURS_A_WEEK, Hour, hour_of_week, unusual

from .making import T0


def usual(rng: random.Random, hour: int, *, looks: int = 120) -> Hour:
    """Slower in the afternoon, with ordinary noise."""
    daily = 1 + 0.5 * math.sin(hour % 24 / 24 * 2 * math.pi)
    return Hour(T0 + timedelta(hours=hour), 1.2 * daily * rng.lognormvariate(0, 0.08), looks)


def test_a_quarter_of_a_year_of_ordinary_noise_has_next_to_no_findings() -> None:
    rng = random.Random(11)
    hours = [usual(rng, hour) for hour in range(13 * HOURS_A_WEEK)]
    found = [h for h in hours[4 * HOURS_A_WEEK :: 7] if unusual(h, hours)]
    assert len(found) <= 1


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_twice_as_slow_as_usual_is_found(factor: float) -> None:
    rng = random.Random(5)
    past = [usual(rng, hour) for hour in range(8 * HOURS_A_WEEK)]
    now = usual(rng, 8 * HOURS_A_WEEK + 15)
    found = unusual(Hour(now.start, now.p50_s * factor, 120), past)
    assert found is not None
    assert found.weeks == 8
    assert found.now_s / found.usual_s == pytest.approx(factor, rel=0.3)


def test_equal_hours_make_no_infinite_deviation_and_small_differences_are_not_felt() -> None:
    past = [Hour(T0 + timedelta(weeks=week), 0.2, 120) for week in range(6)]
    assert unusual(Hour(T0 + timedelta(weeks=6), 0.45, 120), past) is None
    assert unusual(Hour(T0 + timedelta(weeks=6), 0.6, 120), past) is not None


def test_trouble_few_looks_and_few_weeks_are_left_out() -> None:
    disturbed = [Hour(T0 + timedelta(weeks=week), 9.0, 120, disturbed=True) for week in range(6)]
    calm = [Hour(T0 + timedelta(weeks=week), 1.0, 120) for week in range(3)]
    slow = Hour(T0 + timedelta(weeks=9), 4.0, 120)
    assert unusual(slow, disturbed + calm) is not None
    assert unusual(slow, disturbed + calm[:2]) is None
    assert unusual(Hour(slow.start, 4.0, 5), calm) is None
    assert hour_of_week(T0) == 0
