import pytest

from monitor.core.components import slo
from monitor.core.model.alerting import Severity


@pytest.mark.parametrize(
    ("target", "never"), [(0.999, 0), (0.99, 0), (0.93, 1), (0.9306, 0), (0.833, 2), (0.834, 1), (0.5, 3)]
)
def test_rules_that_can_never_fire_are_named(target: float, never: int) -> None:
    assert len(slo.impossible(target)) == never


@pytest.mark.parametrize("target", [0.0, 1.0, 99.0, -1.0])
def test_an_objective_outside_zero_and_one_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="objective"):
        slo.impossible(target)


def test_a_hard_outage_burns_in_both_windows_and_names_the_speed() -> None:
    counts = {300: slo.Count(10, 10), 3600: slo.Count(120, 20), 1800: slo.Count(60, 20)}
    found = slo.burning(lambda s: counts.get(s, slo.Count(2880, 20)), 0.99)
    assert [burning.rule.severity for burning in found] == [Severity.PAGE]
    assert found[0].burn == pytest.approx(20 / 120 / 0.01)


def test_a_short_window_that_recovered_stops_the_alert() -> None:
    counts = {300: slo.Count(10, 0), 3600: slo.Count(120, 60)}
    assert slo.burning(lambda s: counts.get(s, slo.Count(1000, 0)), 0.99) == ()


@pytest.mark.parametrize("short", [slo.Count(0, 0), slo.Count(1, 1), slo.Count(5, 1)])
def test_too_few_looks_or_one_failure_say_nothing(short: slo.Count) -> None:
    assert (
        slo.burning(lambda s: short if s == 300 else slo.Count(100, 100) if s == 3600 else slo.Count(0, 0), 0.99) == ()
    )


def test_an_impossible_rule_never_fires() -> None:
    assert slo.burning(lambda _: slo.Count(100, 100), 0.5) == tuple(
        slo.Burning(slo.RULES[3], slo.Count(100, 100), 2.0) for _ in range(1)
    )


def test_a_long_interval_makes_short_windows_meaningless() -> None:
    assert slo.trigger_happy(0.99, 30) == ()
    assert slo.RULES[0] in slo.trigger_happy(0.99, 300)
    assert slo.RULES[0] not in slo.trigger_happy(0.99, 60, locations=3)


def test_the_budget_says_what_is_left() -> None:
    assert slo.Budget(0.99, 1000.0, 0.0).left_ratio == 1.0
    assert slo.Budget(0.99, 1000.0, 4.0).left_ratio == pytest.approx(0.6)
    assert slo.Budget(0.99, 1000.0, 20.0).left_ratio == pytest.approx(-1.0)
    assert slo.Budget(0.99, 0.0, 0.0).left_ratio is None
    assert slo.Budget(0.999, 30 * 86_400.0, 0.0).allowed_s == pytest.approx(43.2 * 60)
