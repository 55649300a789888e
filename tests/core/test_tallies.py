"""Which budgets may burn is told without counting every window, and never leaves out one that does."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from monitor.core.alerts.budgets import budgets_burning, told_of
from monitor.core.alerts.grouping import NotificationLog
from monitor.core.alerts.tallies import Tallies
from monitor.core.catalogue import Catalogue, Component, Policy, Service, make_index
from monitor.core.components.slo import objective
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason

from .making import at, probe

MINUTE_S = 60


def outage(from_s: float, until_s: float | None, told: bool) -> tuple[Alert, dict[str, NotificationLog]]:
    over = None if until_s is None else at(until_s)
    state = AlertState.FIRING if over is None else AlertState.RESOLVED
    alert = Alert(
        f"a{from_s}",
        "k",
        Rule.COMPONENT_DOWN,
        service="deepseek",
        component="deepseek/api",
        severity=Severity.PAGE,
        state=state,
        fired_at=at(from_s),
        started_at=at(from_s),
        resolved_at=over,
    )
    return alert, {"oncall": NotificationLog(triggered_at=at(from_s))} if told else {}


@pytest.mark.parametrize("target", [0.99, 0.995, 0.999])
@pytest.mark.parametrize("seed", range(4))
def test_a_budget_that_burns_is_never_left_out(seed: int, target: float) -> None:
    rng, known = Random(seed), probe(policy=Policy(slo_target_ratio=target))
    component = Component("deepseek/api", "deepseek", "API")
    index = make_index(Catalogue((Service("deepseek", "DeepSeek"),), (component,), (known,)))
    held_to, tallies = {component.id: objective((known,))}, Tallies()
    spells = [(start, start + rng.randrange(3, 200), rng.random()) for start in rng.sample(range(4 * 1440), 9)]
    outages = [outage(start * 60.0, end * 60.0, rng.random() < 0.6) for start, end, rate in spells if rate > 0.5]
    burnt = asked = 0
    for minute in range(4 * 1440):
        rate = max((rate for start, end, rate in spells if start <= minute < end), default=0.002)
        reason = Reason.SERVER_ERROR if rng.random() < rate else Reason.OK
        tick = at(minute * MINUTE_S)
        tallies.take(component.id, Result(RunId(known.id, "local", tick), tick, 0.4, Observation(reason)))
        if minute % 7:
            continue
        now = tick + timedelta(seconds=rng.randrange(60))
        past = [item for item in outages if item[0].started_at <= now]
        burning = budgets_burning(index, tallies.tallies(now), past, now)
        may = tallies.may_burn(now, held_to, lambda past=past, now=now: told_of(past, now))  # type: ignore[misc]  # bound at once
        assert {name for name, found in burning.items() if found} <= may
        burnt, asked = burnt + any(burning.values()), asked + bool(may)
    assert burnt, "the spells burn budgets"
    assert asked < 4 * 1440 / 7 * 0.8, "and yet most of the time nothing has to be counted"
