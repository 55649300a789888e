import math
import random
from datetime import datetime, timedelta

import pytest

from monitor.core.catalogue import Policy
from monitor.core.components import baseline, sketch
from monitor.core.components.baseline import HOURS_A_WEEK, Hour, Pace, Unusual, hour_of_week, unusual
from monitor.core.components.health import ComponentHealth
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

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


def hour_of(start: datetime, level_s: float, looks: int, rng: random.Random, sigma: float) -> Hour:
    made = baseline.hour(start, sketch.of(level_s * rng.lognormvariate(0, sigma) for _ in range(looks)), looks, 0)
    assert made is not None
    return made


@pytest.mark.parametrize(("sigma", "looks"), [(0.1, 12), (0.3, 12), (0.5, 12), (0.5, 60)])
@pytest.mark.parametrize("weeks", [3, 8])
def test_noise_of_every_size_is_no_finding_and_a_landslide_is(sigma: float, looks: int, weeks: int) -> None:
    rng, false, found, rounds = random.Random(7), 0, 0, 200
    for number in range(rounds):
        moment = T0 + timedelta(weeks=weeks, hours=number, minutes=45)
        past = [
            hour_of(start, 1.2 * rng.lognormvariate(0, 0.1), looks, rng, sigma)
            for start in baseline.past_hours(moment)[-3 * weeks :]
        ]
        now = baseline.own_hour(moment)
        false += unusual(hour_of(now, 1.2, looks // 2, rng, sigma), past) is not None
        found += unusual(hour_of(now, 12.0, looks // 2, rng, sigma), past) is not None
    assert false <= 1
    assert found >= 0.7 * rounds  # at one moment; slowness that lasts is looked at every five minutes


def test_the_end_of_daylight_saving_is_no_news() -> None:
    """Everybody comes an hour later by UTC: what was usual at 14:00 is now seen at 15:00."""
    level = {13: 0.9, 14: 3.0, 15: 0.9}
    past = [
        Hour(T0 + timedelta(weeks=week, hours=hour), level[hour] * (1 + 0.01 * week), 60)
        for week in range(8)
        for hour in (13, 14, 15)
    ]
    after = Hour(T0 + timedelta(weeks=8, hours=15), 3.0, 30)
    assert unusual(after, past) is None
    assert unusual(Hour(after.start, 9.0, 30), past) is not None
    assert unusual(after, [hour for hour in past if hour.start.hour == 15]) is not None


def test_sunday_midnight_lies_beside_monday() -> None:
    past = [Hour(T0 + timedelta(weeks=week, hours=-1), 3.0, 60) for week in range(1, 6)]
    past += [Hour(T0 + timedelta(weeks=week), 0.9, 60) for week in range(1, 6)]
    assert unusual(Hour(T0 + timedelta(weeks=6), 3.0, 30), past) is None


def test_what_stands_out_goes_only_when_most_of_it_is_gone() -> None:
    past = [Hour(T0 + timedelta(weeks=week), 1.0, 60) for week in range(6)]
    now = Hour(T0 + timedelta(weeks=6), 1.5, 30)
    assert unusual(now, past) is None
    assert unusual(now, past, held=True) is not None
    assert unusual(Hour(now.start, 1.1, 30), past, held=True) is None


def pace(probe: str, p50_s: float, looks: int = 30, weeks: int = 6) -> Pace:
    past = [Hour(T0 + timedelta(weeks=week), 1.0, 60) for week in range(weeks)]
    return Pace(probe, "ttft", Hour(T0 + timedelta(weeks=weeks), p50_s, looks), lambda: past)


def test_locations_vote_and_what_cannot_be_told_is_kept_for_an_hour() -> None:
    at = T0 + timedelta(weeks=6, minutes=30)
    policies = {"chat": Policy()}
    slow, usual_, blank = pace("chat", 4.0), pace("chat", 1.0), pace("chat", 4.0, looks=3)
    assert baseline.compare([slow, usual_, usual_], (), at, policies) == baseline.Compared()
    (found,) = baseline.compare([slow, slow, usual_], (), at, policies).found
    assert (found.locations, found.since, found.what) == (2, at, "ttft")
    later = at + timedelta(minutes=30)
    assert baseline.compare([blank], [found], later, policies).found == (found,)
    assert baseline.compare([blank], [found], at + timedelta(minutes=61), policies).over == ("chat",)
    assert baseline.compare([usual_, usual_], [found], later, policies).over == ("chat",)
    (renewed,) = baseline.compare([slow], [found], later, policies).found
    assert (renewed.since, renewed.at) == (at, later)


def test_it_is_laid_only_over_what_works() -> None:
    found = Unusual(4.1, 0.9, 9.0, 5, "ttft", "chat", T0 + timedelta(hours=14), T0, T0)
    shown = baseline.laid_over(ComponentHealth(Health.OPERATIONAL), [found], T0)
    assert (shown.health, shown.reason) == (Health.DEGRADED, Reason.UNUSUAL)
    assert worded(shown.detail, lexicon()) == "first token takes 4.1 s, usual for a Monday 14:00 UTC is 0.9 s"
    for other in (Health.MAJOR, Health.UNKNOWN, Health.DEGRADED):
        assert baseline.laid_over(ComponentHealth(other), [found], T0).health is other
    assert baseline.laid_over(ComponentHealth(Health.OPERATIONAL), [found], T0 + timedelta(hours=3)).reason is Reason.OK
