"""The numbers of the sequential test: the exact calculation against looks that are drawn, and what it promises."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.catalogue import Policy
from monitor.core.checks import suspicion
from monitor.core.checks.sequential import Rule, cost_of, points, rule_of
from monitor.core.checks.suspicion import CALM

from .making import at, probe

HOURLY = Rule(5, 16, 35.0, 4.0, 10, 5.0, 60.0, 60.0)
"""So low a limit that its false alarms can be counted in a short time."""
RULES = [HOURLY, replace(HOURLY, span_s=0.0), replace(HOURLY, failure=9, limit=25, early_s=10.0)]


def drawn(rule: Rule, ratio: float, suspicions: int, rng: random.Random) -> tuple[float, float]:
    """Return the share of suspicions that reach the limit by chance, and their mean number of looks, by drawing."""
    reached = looked = 0
    for _ in range(suspicions):
        time_s, known = 0.0, suspicion.failed(CALM, rule, at(0))
        failed = True
        while known is not CALM and not known.down:
            wait_s = suspicion.next_look_s(known, rule, failed=failed, at=at(time_s))
            assert wait_s is not None
            time_s, failed, looked = time_s + wait_s, rng.random() < ratio, looked + 1
            known = suspicion.failed(known, rule, at(time_s)) if failed else suspicion.good(known, rule)
        reached += known.down
    return reached / suspicions, looked / suspicions


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ratio", [0.05, 0.1])
def test_the_exact_calculation_agrees_with_looks_that_are_drawn(rule: Rule, ratio: float) -> None:
    share, looks = drawn(rule, ratio, 40_000, random.Random(7))
    cycle_s = rule.interval_s / ratio + looks * rule.early_s
    cost = cost_of(rule, ratio)
    assert cost.false_pages_per_year == pytest.approx(share * 365 * 86_400 / cycle_s, rel=0.12)
    assert cost.extra_looks_per_day == pytest.approx(
        looks * (1 - rule.early_s / rule.interval_s) * 86_400 / cycle_s, rel=0.03
    )


def test_points_follow_from_the_failure_ratio_that_counts() -> None:
    assert [points(ratio) for ratio in (0.05, 0.10, 0.15)] == [24, 14, 10]


@pytest.mark.parametrize(("interval_s", "limit"), [(30, 63), (60, 58), (300, 46)])
def test_the_limit_follows_from_the_false_pages_that_are_tolerated(interval_s: int, limit: int) -> None:
    rule = rule_of(probe(interval_s=interval_s))
    assert (rule.failure, rule.limit, rule.up) == (14, limit, 28)


def test_out_of_the_box_a_probe_pages_falsely_once_in_seven_years() -> None:
    rule = rule_of(probe(interval_s=60))
    assert cost_of(rule, 0.001).false_pages_per_year < 0.001
    assert cost_of(rule, 0.01).false_pages_per_year <= 0.2
    assert cost_of(rule, 0.02).false_pages_per_year <= 8


def test_a_paid_probe_asks_no_more_than_thirty_questions_more_a_day() -> None:
    rule = rule_of(probe(interval_s=300, asks_model=True))
    assert cost_of(rule).extra_looks_per_day <= 30
    assert cost_of(rule).false_pages_per_year <= 0.5


@pytest.mark.parametrize("sharing", [2, 3])
def test_probes_of_one_component_together_keep_to_the_false_pages_that_are_tolerated_there(sharing: int) -> None:
    alone = probe(interval_s=300, asks_model=True)
    shared = rule_of(replace(alone, sharing=sharing))
    assert shared.limit > rule_of(alone).limit
    assert sharing * cost_of(shared).false_pages_per_year <= 0.5
    assert shared.fewest_failures <= rule_of(alone).fewest_failures + 1


@given(
    st.sampled_from([10, 30, 60, 300, 3600]),
    st.sampled_from([0.02, 0.05, 0.1, 0.15, 0.45]),
    st.sampled_from([0.01, 0.5, 6.0, 1000.0]),
    st.sampled_from([0.0, 1.0, 10.0, 35.0, 600.0]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_tolerated_is_kept_and_no_lower_limit_would(
    interval_s: int, ratio: float, pages: float, span_s: float, paid: bool
) -> None:
    policy = Policy(failure_ratio=ratio, false_pages_per_year=pages, shortest_outage_s=span_s)
    rule = rule_of(probe(interval_s=interval_s, policy=policy, asks_model=paid))
    assert cost_of(rule).false_pages_per_year <= pages
    lower = replace(rule, limit=rule.limit - 1)
    too_many = cost_of(lower).false_pages_per_year > pages or cost_of(lower, 0.02).false_pages_per_year > 16 * pages
    assert too_many or lower.limit < 2.4 * rule.failure


LOOKS = st.lists(st.tuples(st.booleans(), st.floats(0.5, 120)), max_size=200)


@given(LOOKS)
def test_nothing_is_down_before_its_span_and_nothing_recovers_on_few_good_looks(
    looks: list[tuple[bool, float]],
) -> None:
    rule, known, time_s, good = rule_of(probe(interval_s=60)), CALM, 0.0, 0
    for failed, wait_s in looks:
        time_s += wait_s
        before = known
        known = suspicion.failed(known, rule, at(time_s)) if failed else suspicion.good(known, rule)
        good = 0 if failed and not before.down else good + (not failed)
        if known.down and not before.down:
            assert failed
            assert known.began_at is not None
            assert (at(time_s) - known.began_at).total_seconds() >= 35 - 0.05
            assert known.mask.bit_count() >= rule.fewest_failures
        if before.down and not known.down:
            assert not failed
            assert good >= rule.up
        assert known.down or known.score < rule.limit


def test_half_of_the_looks_failing_is_a_partial_outage_and_nearly_all_of_them_a_major_one() -> None:
    rule = rule_of(probe(interval_s=60))
    for ratio, major in ((0.5, False), (0.95, True)):
        rng, known, told = random.Random(3), CALM, 0
        for number in range(2000):
            failed = rng.random() < ratio
            known = suspicion.failed(known, rule, at(60 * number)) if failed else suspicion.good(known, rule)
            told += known.major is major
        assert told > 1800


def test_an_outage_that_becomes_partial_is_called_so_and_a_recovery_is_not() -> None:
    rule, known = rule_of(probe(interval_s=60)), CALM
    for number in range(60):
        known = suspicion.failed(known, rule, at(60 * number))
    recovering = known
    for _ in range(rule.up - 1):
        recovering = suspicion.good(recovering, rule)
        assert recovering.major
    for number in range(60, 120):
        known = suspicion.failed(known, rule, at(60 * number)) if number % 3 == 0 else suspicion.good(known, rule)
    assert known.down
    assert not known.major
