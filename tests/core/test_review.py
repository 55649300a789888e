"""What alerts were worth, and a threshold tried on the recorded past."""

from dataclasses import replace
from typing import Any

import pytest

from monitor.core import review
from monitor.core.catalogue import Catalogue, Component, Policy, Route, Service
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity, Verdict
from monitor.core.review import Reviewed

from .making import at, probe, results

WORLD = Catalogue(
    (Service("deepseek", "DeepSeek"),),
    (Component("deepseek/api", "deepseek", "API"),),
    (probe(),),
    (Route("oncall", ("pager",)),),
)


def alert(started_s: float = 0, **more: Any) -> Alert:
    values = {"severity": Severity.PAGE, "state": AlertState.RESOLVED, "fired_at": at(started_s + 10), **more}
    return Alert(
        f"a{started_s}",
        "k",
        Rule.COMPONENT_DOWN,
        service="deepseek",
        component="deepseek/api",
        started_at=at(started_s),
        **values,
    )


def test_precision_counts_only_what_was_reviewed() -> None:
    items = [
        Reviewed(alert(), Verdict.ACTIONABLE),
        Reviewed(alert(), Verdict.ACTIONABLE),
        Reviewed(alert(), Verdict.NOISE),
        Reviewed(alert(), Verdict.INFORMATIONAL),
        Reviewed(alert(), None),
    ]
    (rule,) = review.review(items).rules
    assert (rule.alerts, rule.unreviewed, rule.precision, rule.noise) == (5, 1, 0.5, 0.25)
    (blank,) = review.review([Reviewed(alert())]).rules
    assert (blank.precision, blank.noise, blank.unreviewed) == (None, None, 1)


def test_recall_weighs_what_was_caught_against_what_was_missed() -> None:
    assert review.review([Reviewed(alert(), Verdict.ACTIONABLE)] * 3, missed=1).recall == 0.75
    assert review.review([]).recall is None


def test_times_are_medians_and_open_alerts_are_counted_not_dropped() -> None:
    items = [
        Reviewed(alert(0, acknowledged_at=at(70), resolved_at=at(1000))),
        Reviewed(alert(0, acknowledged_at=at(30), resolved_at=at(100))),
        Reviewed(alert(0, resolved_at=at(100))),
        Reviewed(alert(0, state=AlertState.FIRING)),
    ]
    (rule,) = review.review(items).rules
    assert rule.acknowledge == review.Times(2, 20.0, 2)
    assert rule.resolve == review.Times(3, 100.0, 1)
    assert rule.detect.median_s == 10.0
    assert rule.quick == 1


@pytest.mark.parametrize(
    ("hour", "zone", "night"),
    [(3, "UTC", True), (12, "UTC", False), (12, "Asia/Tokyo", False), (14, "Asia/Tokyo", True)],
)
def test_night_is_where_the_person_sleeps(hour: int, zone: str, night: bool) -> None:
    assert review.is_night(at(3600 * hour), zone) is night
    page = Reviewed(alert(3600 * hour))
    assert (
        review.review([page, Reviewed(replace(page.alert, severity=Severity.TICKET))], 0, zone).rules[0].night_pages
        == night
    )


def test_rules_come_noisiest_first() -> None:
    items = [Reviewed(alert(), notices=1), Reviewed(replace(alert(), rule=Rule.ACCOUNT), notices=7, flapping=True)]
    found = review.review(items)
    assert [rule.rule for rule in found.rules] == ["account", "component_down"]
    assert found.rules[0].flapping == 1


LOOKS = list(results("o*200 x*2 o*200 x*12 o*60", probe()))


def test_a_stricter_policy_drops_the_short_outage_and_delays_the_long_one() -> None:
    tried = review.backtest(WORLD, LOOKS, {"chat": Policy(shortest_outage_s=120.0)})
    assert len(tried.before) == 2
    assert [page.started_at for page in tried.gone] == [at(6000)]
    assert tried.new == ()
    ((old, new),) = tried.delayed
    assert (new.at - old.at).total_seconds() == pytest.approx(85.0, abs=1)
    assert tried.delay_s().n == 1
    assert tried.earlier == ()


def test_a_looser_policy_adds_pages_and_the_same_policy_changes_nothing() -> None:
    looks = list(results("o*20 x/x/x/x/x/o o*30", probe()))
    loose = review.backtest(WORLD, looks, {"chat": Policy(shortest_outage_s=1.0)})
    assert (len(loose.before), len(loose.new)) == (0, 1)
    same = review.backtest(WORLD, LOOKS, {})
    assert (same.gone, same.new, same.delayed) == ((), (), ())
    assert same.looks == len(LOOKS)
