"""The ladder and the budget: which rung is climbed when, and how a day's budget is made to last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.message_codes import MessageCode, coded
from monitor.probes.chat.budget import PROMPT_TOKENS, Ledger, Plan, Rung, choose, left

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PLAN = Plan(
    tokens_day=10_000, usd_day=None, usd_per_input_token=1e-6, usd_per_output_token=4e-6, models_every_s=3600.0,
    short_every_s=0.0, long_every_s=None, short_tokens=60, long_tokens=400, asks=True,
)  # fmt: skip
FRESH = replace(Ledger.read(None, NOON), proven=True)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_without_a_key_only_the_edge_is_looked_at() -> None:
    assert choose(replace(PLAN, asks=False), Ledger.read(None, NOON), NOON) == (Rung.EDGE, "")


def test_the_first_look_asks_because_nothing_is_proven_yet() -> None:
    assert choose(replace(PLAN, short_every_s=3600.0), Ledger.read(None, NOON), NOON).rung is Rung.SHORT


def test_each_rung_has_its_interval() -> None:
    plan = replace(PLAN, short_every_s=300.0, long_every_s=7200.0, tokens_day=None)
    ledger, climbed = FRESH.climbed(Rung.SHORT, NOON), []
    for minute in range(1, 131):
        now = after(minute * 60)
        rung = choose(plan, ledger, now).rung
        ledger = ledger.climbed(rung, now)
        climbed.append((minute, rung))
    assert [minute for minute, rung in climbed if rung is Rung.LONG] == [120]
    assert [minute for minute, rung in climbed if rung is Rung.MODELS] == [60, 121]
    assert [minute for minute, rung in climbed if rung is Rung.SHORT][:3] == [5, 10, 15]
    assert dict(climbed)[7] is Rung.EDGE


def test_after_a_bad_answer_every_look_asks_until_one_is_good() -> None:
    plan = replace(PLAN, short_every_s=3600.0)
    ledger = replace(FRESH.climbed(Rung.SHORT, NOON), proven=False)
    assert choose(plan, ledger, after(60)).rung is Rung.SHORT
    assert choose(plan, replace(ledger, proven=True), after(60)).rung is Rung.EDGE
    early = choose(plan, replace(ledger, proven=True), after(60), early=True)
    assert early.rung is Rung.SHORT, "the edge cannot tell what a failed question was about"


@pytest.mark.parametrize(
    ("before", "again"),
    [(Rung.EDGE, Rung.EDGE), (Rung.MODELS, Rung.MODELS), (Rung.SHORT, Rung.SHORT), (Rung.LONG, Rung.SHORT)],
)
def test_an_early_look_climbs_as_high_as_the_one_before_it_and_asks_if_nothing_is_proven(
    before: Rung, again: Rung
) -> None:
    plan = replace(PLAN, short_every_s=3600.0)
    ledger = replace(FRESH, proven=True).climbed(Rung.SHORT, NOON).climbed(before, after(60))
    assert choose(plan, ledger, after(70), early=True).rung is again
    assert choose(plan, replace(ledger, proven=False), after(70), early=True).rung is Rung.SHORT


def test_a_spent_budget_leaves_the_edge_and_says_so() -> None:
    ledger = replace(FRESH, tokens=9_950)
    rung, spent = choose(PLAN, ledger, NOON)
    assert rung is Rung.EDGE
    assert spent == coded(MessageCode.BUDGET_SPENT, spent="9950 / 10000 tokens")


def test_money_counts_as_well_as_tokens() -> None:
    plan = replace(PLAN, tokens_day=None, usd_day=0.01)
    assert left(plan, replace(FRESH, usd=0.004)) == pytest.approx(0.6)
    assert choose(plan, replace(FRESH, usd=0.0099), NOON).spent
    assert plan.cost(1000, 500) == pytest.approx(0.003)


def test_below_half_of_the_budget_the_asks_are_spread_over_the_rest_of_the_day() -> None:
    ledger = replace(FRESH, tokens=6_000, asks=60).climbed(Rung.SHORT, NOON)
    assert choose(PLAN, ledger, after(60)).rung is Rung.EDGE
    gap_s = 12 * 3600 / (4_000 / (6_000 / 61))
    assert choose(PLAN, ledger, after(gap_s * 0.9)).rung is Rung.EDGE
    assert choose(PLAN, ledger, after(gap_s * 1.1)).rung is Rung.SHORT


def test_a_failure_may_use_the_budget_at_full_pace_down_to_a_tenth() -> None:
    failing = replace(FRESH, tokens=8_900, asks=89, proven=False).climbed(Rung.SHORT, NOON)
    assert choose(PLAN, failing, after(60)).rung is Rung.SHORT
    rung, spent = choose(PLAN, replace(failing, tokens=9_050), after(60))
    assert rung is Rung.EDGE
    assert spent.startswith("{budget_slowed")


def test_a_new_day_begins_at_midnight_utc_with_a_full_budget() -> None:
    stored = replace(FRESH, tokens=9_999, asks=5).stored()
    assert Ledger.read(stored, NOON + timedelta(hours=11, minutes=59)).tokens == 9_999
    next_day = Ledger.read(stored, NOON + timedelta(hours=12))
    assert (next_day.tokens, next_day.asks, next_day.proven) == (0, 0, True)


def test_a_clock_that_was_set_back_does_not_stop_the_asking() -> None:
    ledger = FRESH.climbed(Rung.SHORT, after(7200))
    assert choose(replace(PLAN, short_every_s=300.0), ledger, NOON).rung is Rung.SHORT


@settings(max_examples=15, deadline=None)
@given(
    interval_s=st.sampled_from([10, 30, 60, 300]),
    cost=st.integers(1, PROMPT_TOKENS + 60),
    budget=st.integers(200, 50_000),
    bad=st.integers(0, 9),
    start_hour=st.integers(0, 23),
)
def test_no_day_spends_more_than_its_budget(interval_s: int, cost: int, budget: int, bad: int, start_hour: int) -> None:
    plan, now = replace(PLAN, tokens_day=budget), NOON.replace(hour=start_hour)
    stored, looks = Ledger.read(None, now).stored(), 0
    while looks < 1500:
        looks += 1
        ledger = Ledger.read(stored, now)
        rung, _ = choose(plan, ledger, now)
        ledger = ledger.climbed(rung, now, tokens=cost if rung.asks else 0)
        assert ledger.tokens <= budget
        stored = replace(ledger, proven=looks % 10 >= bad if rung.asks else ledger.proven).stored()
        now += timedelta(seconds=interval_s)


def test_a_busy_day_still_asks_in_its_last_hour() -> None:
    plan, now, stored = PLAN, NOON.replace(hour=0), None
    hours: dict[int, int] = {}
    for _ in range(1440):
        ledger = Ledger.read(stored, now)
        rung, _ = choose(plan, ledger, now)
        hours[now.hour] = hours.get(now.hour, 0) + rung.asks
        stored = replace(ledger.climbed(rung, now, tokens=70 if rung.asks else 0), proven=True).stored()
        now += timedelta(minutes=1)
    assert hours[0] >= 50
    assert hours[23] >= 1
    assert sum(hours.values()) * 70 <= 10_000


@pytest.mark.parametrize(
    ("changes", "planned", "allowed"),
    [
        ({}, 288, 100),
        ({"short_every_s": 600.0}, 144, 100),
        ({"tokens_day": None, "usd_day": 0.028}, 288, 100),
        ({"usd_day": 0.0028}, 288, 10),
        ({"tokens_day": None}, 288, float("inf")),
        ({"long_every_s": 86_400.0}, 288 - 1 + 440 / 100, 100),
    ],
)
def test_a_day_of_questions_is_planned_by_the_schedule_and_allowed_by_what_is_scarcer(
    changes: dict[str, Any], planned: float, allowed: float
) -> None:
    plan = replace(PLAN, **changes)
    assert plan.worst(Rung.SHORT)[1] == pytest.approx(0.00028)
    weight = plan.worst(Rung.LONG)[1] / plan.worst(Rung.SHORT)[1]
    if plan.long_every_s:
        planned = 288 - 1 + weight  # in dollars a long one weighs more than in tokens
    assert plan.questions_a_day(300) == pytest.approx((planned, allowed))
