"""Silence and second troubles through the flow and a real database."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.core import replay
from monitor.core.catalogue import Component, ComponentKind, Probe
from monitor.core.model.incident_events import EventKind
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health
from monitor.store import reads
from tests.core import making
from tests.core.making import results
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, play, publish, readings


def service_health(engine: Engine, minute: float) -> Health:
    snapshot = reads.snapshot(engine, T0 + minute * MINUTE, public=True)
    return next(service.health for service in snapshot.services if service.id == "deepseek")


def test_a_service_is_well_only_if_all_its_components_are_known_to_be(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    assert service_health(engine, 2.6) is Health.UNKNOWN
    play(engine, range(3, 6), probe="ds-reg", registration=readings(email=Registration.OPEN))
    play(engine, range(4, 6))
    assert service_health(engine, 5.6) is Health.OPERATIONAL
    play(engine, range(6, 9), Reason.SERVER_ERROR)
    assert service_health(engine, 8.6) is Health.MAJOR


LOGIN = Component("deepseek/login", "deepseek", "Log-in", ComponentKind.LOGIN, depends_on=("deepseek/registration",))
TOGETHER = replace(
    CATALOGUE,
    components=(*CATALOGUE.components, LOGIN),
    probes=(*CATALOGUE.probes, Probe("ds-login", "deepseek/login", "http", 60, 10.0)),
)


def test_who_was_told_of_what_and_why_follows_again_from_what_was_stored(engine: Engine) -> None:
    """Sign-up is closed, and ten minutes later the log-in that depends on it fails for good."""
    publish(engine, TOGETHER, T0 - MINUTE)
    for minute in range(45):
        at = T0 + minute * MINUTE
        ways = readings(email=Registration.OPEN if minute < 10 else Registration.CLOSED)
        seen = [look("ds-reg", at, registration=ways)]
        seen.append(look("ds-login", at + MINUTE / 60, Reason.OK if minute < 20 else Reason.SERVER_ERROR))
        seen.append(look("oa-api", at + MINUTE / 30))
        for result in seen:
            flow.record(engine, [result], ended(result))
        flow.sweep(engine, ended(seen[-1]) + timedelta(seconds=20))
        flow.roll_up(engine, ended(seen[-1]) + timedelta(seconds=21))
    stored = sorted(reads.results(engine), key=ended)
    judge = replay.run(reads.catalogue(engine), stored, budgets=True)
    alerts = {alert.id: (alert.rule, alert.component) for alert in judge.fired}
    again = {(*alerts[item.alert], item.route, item.why, item.send) for item in judge.decisions}
    live = {
        (view.alert.rule, view.alert.component, item.route, item.why, item.send)
        for view in reads.alerts(engine, limit=1000)
        for item in view.decisions
    }
    assert live == again
    assert {("registration_changed", "deepseek/registration"), ("component_down", "deepseek/login")} <= {
        (rule, component) for rule, component, _, _, send in live if send
    }


def ended(result: Result) -> datetime:
    return result.started_at + timedelta(seconds=result.duration_s)


CHAT = Probe("ds-api", "deepseek/api", "chat", 300, 60.0)
STORY = "o*20 x/o o x o*10 x/o/x/x/x/x o*5"
"""A look that fails once, an outage, and later a partial one whose likely start is earlier than its first failure."""


@pytest.mark.parametrize(("reopen_window_s", "second"), [(7200.0, EventKind.REOPENED), (1800.0, EventKind.OPENED)])
def test_a_partial_outage_whose_start_is_estimated_holds_up_no_service(
    engine: Engine, reopen_window_s: float, second: EventKind
) -> None:
    chat = replace(CHAT, policy=replace(CHAT.policy, reopen_window_s=reopen_window_s))
    probes = tuple(chat if probe.id == chat.id else probe for probe in CATALOGUE.probes)
    publish(engine, replace(CATALOGUE, probes=probes))
    played = list(results(STORY, chat, start_s=(T0 - making.T0).total_seconds()))
    others = [look("oa-api", T0 + minute * MINUTE) for minute in range(5 * 40)]
    for result in sorted([*played, *others], key=ended):
        recorded = flow.record(engine, [result], ended(result))
        assert recorded.stored == 1
        if result.run.probe == "oa-api":
            flow.sweep(engine, ended(result) + timedelta(seconds=20))
    found = sorted(reads.incidents(engine, public=False), key=lambda view: view.started_at)
    begun = [item.kind for view in found for item in view.events if item.kind in (EventKind.OPENED, EventKind.REOPENED)]
    assert begun == [EventKind.OPENED, second]
    assert len({view.id for view in found}) == len(found)
    assert Counter(item.run.probe for item in reads.results(engine)) == {"ds-api": len(played), "oa-api": len(others)}
