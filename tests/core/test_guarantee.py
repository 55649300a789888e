"""The promise of a policy, proven over phase offsets against the real rules, with the worst luck on either side."""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.catalogue import Policy, Probe
from monitor.core.checks import pace, probe_state, steps
from monitor.core.components.guarantee import DELIVERY_S, guarantee
from monitor.core.components.price import Questions, money, price, promise
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason

from .making import at, probe

POLICIES = {
    "out of the box": Policy(),
    "short": Policy(shortest_outage_s=10.0),
    "no span": Policy(shortest_outage_s=0.001, false_pages_per_year=50.0),
    "on the grid": Policy(early_looks=False),
    "long": Policy(shortest_outage_s=90.0, failure_ratio=0.15),
    "few": Policy(failure_ratio=0.05, false_pages_per_year=0.1),
}
WARM_S = 120


def looks(held: Probe, begin_s: float, end_s: float, took_s: Callable[[], float], unlucky: bool) -> Iterator[Result]:
    """Look as the prober does while the vendor is down from ``begin_s`` to ``end_s``.

    A look that the outage covers as a whole fails after ``took_s()``; one that it only touches fails if ``unlucky``.
    """
    known = pace.START
    for tick_s in itertools.count(0, held.interval_s):
        start_s = float(tick_s)
        for attempt in itertools.count(1):
            length_s, limit_s = took_s(), pace.deadline_s(held, attempt, start_s - tick_s)
            if length_s > limit_s:
                break  # the next tick cuts it short: it tells nothing
            inside = begin_s <= start_s and start_s + length_s <= end_s
            touched = begin_s <= start_s + length_s and start_s <= end_s
            failed = inside or (touched and unlucky)
            seen = Observation(Reason.SERVER_ERROR if failed else Reason.OK)
            result = Result(RunId(held.id, "local", at(tick_s), attempt), at(start_s), length_s, seen)
            yield result
            known, pause_s = pace.after(known, held, result, start_s + length_s - tick_s)
            if pause_s is None:
                break
            start_s += length_s + pause_s
        if tick_s > end_s + held.interval_s:
            return


def noticed_s(
    held: Probe, begin_s: float, length_s: float, took_s: Callable[[], float], *, unlucky: bool
) -> float | None:
    """Seconds from the beginning of an outage until the rules say so, or ``None``."""
    state = probe_state.new_probe_state(held.id, "local")
    for result in looks(held, begin_s, begin_s + length_s, took_s, unlucky):
        state = steps.step(state, result, held)
        if state.health.severity:
            return (result.started_at - at(begin_s)).total_seconds() + result.duration_s
    return None


def durations(held: Probe, kind: str, rng: random.Random) -> Callable[[], float]:
    """How long looks last: quick, slow, up to the timeout, or anything between for each."""
    fixed = {"quick": 0.001, "half": held.timeout_s / 2, "timeout": held.timeout_s}
    if kind in fixed:
        return lambda: fixed[kind]
    if kind == "first is slow":  # the worst for the shortest: it ends late, and what follows is quick
        each = itertools.cycle([held.timeout_s * rng.random()] + [0.0] * 20)
        return lambda: next(each)
    return lambda: held.timeout_s * rng.random()


KINDS = st.sampled_from(["quick", "half", "timeout", "mixed"])
PROBES = st.builds(
    lambda interval_s, timeout, policy: probe(
        interval_s=interval_s, policy=policy, timeout_s=round(interval_s * timeout, 3)
    ),
    st.sampled_from([1, 2, 3, 10, 30, 60, 300]),
    st.sampled_from([0.1, 1 / 3, 0.5, 0.8, 1.0]),
    st.one_of(
        st.sampled_from(list(POLICIES.values())),
        st.builds(
            lambda span_s, ratio, pages, early: Policy(
                shortest_outage_s=span_s, failure_ratio=ratio, false_pages_per_year=pages, early_looks=early
            ),
            st.sampled_from([1.0, 5.0, 20.0, 35.0, 60.0]),
            st.sampled_from([0.05, 0.10, 0.15]),
            st.sampled_from([0.1, 0.5, 6.0]),
            st.sampled_from([True, True, False]),
        ),
    ),
)


@given(PROBES, KINDS, st.floats(0, 1), st.sampled_from([0.01, 1.0, 100.0]), st.integers(0, 2**20))
@settings(max_examples=600)
def test_every_longer_outage_is_told_in_time(held: Probe, kind: str, phase: float, more_s: float, seed: int) -> None:
    promise, rng = guarantee(held), random.Random(seed)
    begin_s, length_s = WARM_S + held.interval_s * phase, promise.noticed_if_longer_s + more_s
    found = noticed_s(held, begin_s, length_s, durations(held, kind, rng), unlucky=False)
    assert found is not None
    assert found + DELIVERY_S <= promise.told_within_s + 1e-3


@given(PROBES, st.one_of(KINDS, st.just("first is slow")), st.floats(0, 1), st.integers(0, 2**20))
@settings(max_examples=600)
def test_no_shorter_outage_is_ever_told_however_unlucky_its_phase(
    held: Probe, kind: str, phase: float, seed: int
) -> None:
    promise, rng = guarantee(held), random.Random(seed)
    short_s = promise.never_if_shorter_s - 0.01
    if short_s <= 0:
        return
    begin_s = WARM_S + held.interval_s * phase
    took = durations(held, kind, rng)
    if kind == "first is slow":  # begin where the first look that it touches ends
        slow_s = held.timeout_s * phase
        tick_s = WARM_S // held.interval_s * held.interval_s + held.interval_s
        each = itertools.chain([0.0] * (tick_s // held.interval_s), [slow_s], itertools.repeat(0.0))
        begin_s, took = tick_s + slow_s, lambda: next(each)
    assert noticed_s(held, begin_s, short_s, took, unlucky=True) is None


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("interval_s", [10, 30, 60])
def test_the_promise_is_tight_some_phase_needs_nearly_all_of_it(name: str, interval_s: int) -> None:
    held = probe(interval_s=interval_s, policy=POLICIES[name])
    promise, rng = guarantee(held), random.Random(1)
    length_s = promise.noticed_if_longer_s + 1
    begins = [WARM_S + held.interval_s * step / 100 for step in range(1, 101)]
    slow = durations(held, "timeout", rng)
    found = [noticed_s(held, begin_s, length_s, slow, unlucky=False) or 0.0 for begin_s in begins]
    assert max(found) > promise.noticed_if_longer_s - held.interval_s / 50
    shorter = promise.noticed_if_longer_s - held.interval_s
    assert any(noticed_s(held, b, shorter, slow, unlucky=False) is None for b in begins)


@pytest.mark.parametrize("name", ["out of the box", "long"])
def test_an_outage_a_little_longer_than_the_shortest_can_be_told(name: str) -> None:
    held = probe(interval_s=300, policy=POLICIES[name], timeout_s=10.0)
    slow_s, long_enough_s = held.timeout_s, guarantee(held).never_if_shorter_s + 0.1
    each = itertools.chain([0.0] * (600 // 300), [slow_s], itertools.repeat(0.0))
    assert noticed_s(held, 600 + slow_s, long_enough_s, lambda: next(each), unlucky=True) is not None


def test_a_hard_outage_is_confirmed_thirty_five_seconds_after_its_first_failed_look() -> None:
    held = probe(interval_s=60)
    begin_s = WARM_S - 1
    assert noticed_s(held, begin_s, 500, lambda: 0.2, unlucky=False) == pytest.approx(1 + 35 + 0.2)


def test_what_is_refused_at_once_is_found_by_early_looks_though_its_deadline_is_the_whole_interval() -> None:
    held = probe(interval_s=60, timeout_s=60.0, asks_model=True)
    assert noticed_s(held, WARM_S - 1, 500, lambda: 0.4, unlucky=False) == pytest.approx(1 + 35 + 0.4)
    hanging = noticed_s(held, WARM_S - 1, 500, lambda: 60.0, unlucky=False)
    assert hanging is not None
    assert hanging <= guarantee(held).noticed_if_longer_s


def test_the_sentence_names_the_numbers() -> None:
    assert guarantee(probe(interval_s=60)).sentence() == (
        "every outage longer than 114 s is notified within 119 s, none shorter than 25 s ever is "
        "(35 s less a first look that hung before it began) (up to 60 s more if it may be our network)"
    )
    several = probe(policy=POLICIES["on the grid"], locations=("berlin", "osaka", "austin"))
    assert "at 2 locations" in guarantee(several).sentence()


def test_the_price_is_told_for_looks_and_for_questions() -> None:
    assert price(probe(interval_s=60)) == (
        "if 1% of all looks fail by chance: 0.14 false pages a year, 219 extra looks a day"
    )
    paid = probe(interval_s=300, asks_model=True)
    assert price(paid).endswith("false pages a year, 28 extra questions a day")


def test_no_number_of_the_sentence_has_a_tail_and_none_says_too_much() -> None:
    held = probe(interval_s=60, policy=POLICIES["short"])
    assert guarantee(held).never_if_shorter_s == pytest.approx(5.88235, abs=1e-4)
    assert "none shorter than 5.8 s ever is (10 s less" in guarantee(held).sentence()
    assert "longer than 114 s is notified within 119 s" in guarantee(probe(interval_s=60, timeout_s=9.99)).sentence()


PAID = probe(interval_s=300, asks_model=True)


@pytest.mark.parametrize("allowed", [1.9, 9.6, 287.0])
def test_a_budget_that_does_not_pay_for_the_schedule_promises_nothing(
    allowed: float,
) -> None:
    asked = Questions(288.0, allowed)
    assert promise(PAID, asked).startswith("no outage is sure to be noticed: of 288 questions a day")
    assert f"the budget pays for {int(allowed)}, so" in promise(PAID, asked)
    assert price(PAID, asked).endswith(" 0 extra questions a day")
    assert money(PAID, asked, (100, 0.001)).startswith(f" (at most 0 tokens a day), beside {int(allowed)} on the grid")


@pytest.mark.parametrize("allowed", [288.0, 300.0, 340.0])
def test_a_budget_without_room_for_early_looks_promises_what_holds_without_them(allowed: float) -> None:
    asked = Questions(288.0, allowed)
    without = replace(PAID, policy=replace(PAID.policy, early_looks=False))
    assert promise(PAID, asked).startswith(guarantee(without).sentence())
    assert "that is without early looks" in promise(PAID, asked)
    assert asked.early(PAID) <= allowed - 288


@pytest.mark.parametrize("allowed", [360.0, 1000.0, math.inf])
def test_a_budget_with_room_changes_no_promise(allowed: float) -> None:
    asked = Questions(288.0, allowed)
    assert promise(PAID, asked) == guarantee(PAID).sentence()
    assert price(PAID, asked) == price(PAID)
    assert "28 extra questions" in price(PAID, asked)
