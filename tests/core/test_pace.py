"""When a probe looks again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.core.catalogue import Policy, Probe
from monitor.core.checks import pace
from monitor.core.checks.pace import Pace
from monitor.core.checks.sequential import rule_of
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Outcome, Reason

from .making import at, probe

MINUTE = probe(interval_s=60)


def look(begin_s: float, reason: Reason, took_s: float = 0.5) -> Result:
    tick_s = begin_s // 60 * 60
    return Result(RunId("chat", "local", at(tick_s)), at(begin_s), took_s, Observation(reason))


def begins(text: str, held: Probe, took_s: float = 0.5) -> tuple[Pace, list[float]]:
    """Return the moments of looks, ``x`` or ``o``, each where the one before it led to."""
    known, tick_s, begin_s, found = pace.START, 0.0, 0.0, []
    for letter in text:
        found.append(round(begin_s, 3))
        seen = look(begin_s, Reason.SERVER_ERROR if letter == "x" else Reason.OK, took_s)
        end_s = begin_s + took_s
        known, pause_s = pace.after(known, held, seen, end_s - tick_s)
        tick_s += held.interval_s if pause_s is None else 0
        begin_s = tick_s if pause_s is None else end_s + pause_s
    return known, [*found, round(begin_s, 3)]


def test_a_hard_outage_is_looked_at_every_four_seconds_and_decided_at_the_end_of_the_span() -> None:
    known, found = begins("xxxxx", MINUTE)
    assert found == [0, 4, 8, 12, 35, 60]
    assert known.suspicion.down


def test_one_failure_is_looked_at_again_until_its_points_are_gone() -> None:
    known, found = begins("x" + "o" * 14, MINUTE)
    assert found[:13] == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48]
    assert found[13:] == [60, 64, 120]  # less than ten seconds before the next tick it is left to that tick
    assert known.suspicion == pace.START.suspicion


def test_what_is_down_is_looked_at_soon_after_a_good_look_only() -> None:
    _, found = begins("xxxxxxxoo", MINUTE)
    assert found[5:] == [60, 120, 180, 185, 190]


def test_a_slow_probe_that_is_down_is_looked_at_every_two_minutes() -> None:
    _, found = begins("xxxxxxo", replace(MINUTE, interval_s=900))
    assert found == [0, 4, 35, 155, 275, 395, 515, 520]


def test_paid_questions_are_repeated_every_ten_seconds_and_three_of_them_decide() -> None:
    held = replace(MINUTE, interval_s=300, asks_model=True)
    known, found = begins("xxx", held)
    assert (found, known.suspicion.down) == ([0, 10, 35, 155], True)


def test_a_look_that_hangs_is_followed_by_a_second_of_peace() -> None:
    assert begins("xx", MINUTE, took_s=10)[1] == [0, 11, 22]


@pytest.mark.parametrize(("timeout_s", "paid"), [(60.0, True), (55.0, True), (30.0, True), (10.0, True)])
def test_what_failed_at_once_is_looked_at_early_whatever_its_deadline(timeout_s: float, paid: bool) -> None:
    held = replace(MINUTE, timeout_s=timeout_s, asks_model=paid)
    known, found = begins("xxxx", held, took_s=0.4)
    assert (found[:4], known.suspicion.down) == ([0, 10, 20, 35], True)


@pytest.mark.parametrize("reason", [Reason.AUTH, Reason.SERVER_ERROR, Reason.CONNECT])
def test_what_hung_for_the_whole_interval_waits_for_its_tick(reason: Reason) -> None:
    held = replace(MINUTE, timeout_s=60.0)
    known, _ = pace.after(pace.START, held, look(0, Reason.OK), 0.5)
    assert pace.after(known, held, look(60, reason, 56.0), 56.0)[1] is None


def test_an_early_look_is_over_before_the_next_tick_and_tells_nothing_if_it_had_to_stop() -> None:
    held = replace(MINUTE, timeout_s=60.0)
    assert [pace.deadline_s(held, attempt, since_s) for attempt, since_s in ((1, 3), (2, 10), (3, 54.75))] == [
        60,
        49.75,
        5,
    ]
    assert pace.deadline_s(MINUTE, 2, 50) == MINUTE.timeout_s
    assert pace.was_cut(held, 49.75, Outcome.FAILED, 49.76)
    assert not pace.was_cut(held, 49.75, Outcome.FAILED, 20)
    assert not pace.was_cut(held, 49.75, Outcome.OK, 49.76)
    assert not pace.was_cut(held, 60, Outcome.FAILED, 60.01)


def test_without_early_looks_everything_waits_for_its_tick() -> None:
    held = replace(MINUTE, policy=Policy(early_looks=False))
    assert begins("xxxxxxxo", held)[1] == [60.0 * n for n in range(9)]


@pytest.mark.parametrize("reason", [Reason.OK, Reason.SLOW, Reason.THROTTLED, Reason.AUTH, Reason.QUOTA, Reason.LATE])
def test_what_is_no_failure_of_the_service_waits_for_the_next_tick(reason: Reason) -> None:
    known, pause_s = pace.after(pace.START, MINUTE, look(0, reason), 0.5)
    assert (known.suspicion, pause_s) == (pace.START.suspicion, None)


def test_a_key_that_worked_within_the_hour_and_is_refused_is_asked_again_like_any_failure() -> None:
    known, _ = pace.after(pace.START, MINUTE, look(0, Reason.OK), 0.5)
    soon, pause_s = pace.after(known, MINUTE, look(60, Reason.AUTH), 0.5)
    assert (soon.suspicion.score, pause_s) == (rule_of(MINUTE).failure, 3.5)
    late, pause_s = pace.after(known, MINUTE, look(3660, Reason.AUTH), 0.5)
    assert (late.suspicion.score, pause_s) == (0, None)


def test_a_prober_that_starts_again_goes_on_where_it_was() -> None:
    known, _ = begins("xxxxxxo", MINUTE)
    again = pace.from_json(pace.to_json(known))
    assert (again.suspicion.down, again.suspicion.score) == (True, 1)
    assert pace.after(again, MINUTE, look(185, Reason.OK), 0.5)[1] == 4.5
    assert pace.to_json(pace.START) is None
    for nonsense in (None, {}, {"score": "x"}, {"score": -1, "began": 0, "down": 1, "worked": None, "seen": None}, 7):
        assert pace.from_json(nonsense).suspicion == pace.START.suspicion


def test_a_suspicion_does_not_outlive_a_long_silence() -> None:
    known, _ = pace.after(pace.START, MINUTE, look(0, Reason.SERVER_ERROR), 0.5)
    later = look(0, Reason.OK)
    later = replace(later, started_at=later.started_at + timedelta(hours=1))
    assert pace.after(known, MINUTE, later, 0.5)[1] is None
