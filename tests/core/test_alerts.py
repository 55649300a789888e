"""Conditions become alerts, stages decide, and each route hears a trigger before its one end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.alerts import conditions
from monitor.core.alerts import routing as alerts
from monitor.core.alerts.conditions import Condition
from monitor.core.alerts.grouping import NOTHING, NotificationLog
from monitor.core.alerts.routing import SilenceWindow, Surroundings
from monitor.core.catalogue import Catalogue, Component, Policy, Route
from monitor.core.components.baseline import Unusual
from monitor.core.components.health import ComponentHealth
from monitor.core.components.slo import RULES, Burning, Count
from monitor.core.doubt.keys import Key
from monitor.core.entities import Alert, Decision, Incident, MethodState
from monitor.core.maintenance import Window
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.core.model.incident_events import Cause
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus

from .making import at

API = "deepseek/api"
ONCALL, MANAGER = Route("oncall", ("pager",)), Route("manager", ("mail",), escalate_after_s=900)
DOWN = Condition(Rule.COMPONENT_DOWN, "deepseek", API, True, Severity.PAGE, at(0), summary={"reason": "service.error"})


def fired(condition: Condition = DOWN, now_s: float = 10) -> Alert:
    (alert,) = alerts.reconcile([], [condition], at(now_s))
    return alert


def around(now_s: float = 10, **more: Any) -> Surroundings:
    return Surroundings(at(now_s), Policy(), **more)


def why(alert: Alert, told: NotificationLog = NOTHING, route: Route = ONCALL, **more: Any) -> Why | None:
    decisions = alerts.decide_routes(alert, [route], {route.id: told}, around(**more))
    return decisions[0].why if decisions else None


def after_trigger(alert: Alert, now_s: float = 10) -> NotificationLog:
    (decision,) = alerts.decide_routes(alert, [ONCALL], {}, around(now_s))
    assert decision.send
    return alerts.after(NOTHING, decision, alert)


def test_a_condition_fires_once_and_ends_when_it_is_said_to_be_over() -> None:
    alert = fired()
    assert (alert.started_at, alert.fired_at, alert.state) == (at(0), at(10), AlertState.FIRING)
    assert alerts.reconcile([alert], [DOWN], at(20)) == ()
    assert alerts.reconcile([alert], [], at(20)) == ()
    (over,) = alerts.reconcile([alert], [replace(DOWN, holds=False)], at(30))
    assert (over.state, over.resolved_at, over.id) == (AlertState.RESOLVED, at(30), alert.id)
    (again,) = alerts.reconcile([over], [DOWN], at(40))
    assert again.id != alert.id
    assert again.key == alert.key == conditions.alert_key("deepseek", API, Rule.COMPONENT_DOWN)


def test_an_alert_grows_louder_but_never_quieter() -> None:
    quiet = fired(replace(DOWN, severity=Severity.TICKET))
    (loud,) = alerts.reconcile([quiet], [DOWN], at(20))
    assert loud.severity is Severity.PAGE
    assert alerts.reconcile([loud], [replace(DOWN, severity=Severity.TICKET)], at(30)) == ()


def test_nothing_that_never_fired_is_resolved() -> None:
    assert alerts.reconcile([], [replace(DOWN, holds=False)], at(10)) == ()


def acked(alert: Alert) -> Alert:
    return replace(alert, state=AlertState.ACKNOWLEDGED, acknowledged_at=at(20), acknowledged_by="alice")


ALERT = fired()
SENT = after_trigger(ALERT)
OVER = replace(ALERT, state=AlertState.RESOLVED, resolved_at=at(500))


@pytest.mark.parametrize(
    ("expected", "alert", "told", "more"),
    [
        (Why.FIRST, ALERT, NOTHING, {}),
        (None, ALERT, SENT, {}),
        (Why.REPEAT, ALERT, SENT, {"now_s": 3610}),
        (None, replace(ALERT, severity=Severity.TICKET), replace(SENT, severity=Severity.TICKET), {"now_s": 9999}),
        (Why.WORSE, ALERT, replace(SENT, severity=Severity.TICKET), {}),
        (Why.WORSE, acked(ALERT), replace(SENT, severity=Severity.TICKET), {}),
        (Why.ACKNOWLEDGED, acked(ALERT), SENT, {"now_s": 9999}),
        (Why.RESOLVED, OVER, SENT, {"now_s": 500}),
        (Why.NEVER_TRIGGERED, OVER, NOTHING, {"now_s": 500}),
        (Why.ALREADY_SENT, OVER, replace(SENT, resolved_at=at(500), last_why=Why.SILENCED), {"now_s": 600}),
        (None, OVER, replace(SENT, resolved_at=at(500), last_why=Why.RESOLVED), {"now_s": 600}),
        (Why.LATE_DATA, ALERT, NOTHING, {"late": True}),
        (Why.BLIND, ALERT, NOTHING, {"blind": "no network"}),
        (Why.SILENCED, ALERT, NOTHING, {"silences": (SilenceWindow("s", at(0), at(99), "deepseek"),)}),
        (Why.FIRST, ALERT, NOTHING, {"silences": (SilenceWindow("s", at(0), at(10)),)}),
        (Why.FIRST, ALERT, NOTHING, {"silences": (SilenceWindow("s", at(0), at(99), rule="burn_rate"),)}),
        (Why.IN_MAINTENANCE, ALERT, NOTHING, {"maintenance": (Window(at(0), at(99), "deepseek"),)}),
        (Why.FIRST, ALERT, NOTHING, {"maintenance": (Window(at(0), at(99), "openai"),)}),
        (Why.INHIBITED, ALERT, NOTHING, {"down": frozenset({"deepseek/web"}), "depends_on": {API: ("deepseek/web",)}}),
        (Why.FIRST, ALERT, NOTHING, {"down": frozenset(), "depends_on": {API: ("deepseek/web",)}}),
        (Why.RESOLVED, OVER, SENT, {"now_s": 500, "silences": (SilenceWindow("s", at(0), at(999)),)}),
        (Why.RESOLVED, OVER, SENT, {"now_s": 500, "blind": "no network"}),
        (Why.NOT_SERVICE, replace(ALERT, summary={"reason": "account.auth"}), NOTHING, {}),
        (Why.FIRST, fired(replace(DOWN, rule=Rule.ACCOUNT, summary={"reason": "account.auth"})), NOTHING, {}),
        (
            Why.FIRST,
            fired(conditions.Condition(Rule.BLIND, "", "", True, Severity.PAGE, at(0))),
            NOTHING,
            {"blind": "x"},
        ),
        (Why.FLAPPING, replace(ALERT, summary={"flapping": True}), SENT, {"now_s": 9999}),
        (Why.FIRST, replace(ALERT, summary={"flapping": True}), NOTHING, {}),
    ],
)
def test_the_first_stage_that_answers_decides(
    expected: Why | None, alert: Alert, told: NotificationLog, more: dict[str, Any]
) -> None:
    assert why(alert, told, **more) is expected


def test_an_escalation_waits_and_an_acknowledgement_stops_it() -> None:
    assert why(ALERT, route=MANAGER) is Why.TOO_SOON
    assert why(ALERT, replace(NOTHING, last_why=Why.TOO_SOON), MANAGER, now_s=500) is None
    assert why(ALERT, replace(NOTHING, last_why=Why.TOO_SOON), MANAGER, now_s=910) is Why.ESCALATED
    assert why(acked(ALERT), replace(NOTHING, last_why=Why.TOO_SOON), MANAGER, now_s=910) is Why.ACKNOWLEDGED


def test_an_alert_that_no_route_wants_says_so_once() -> None:
    quiet = replace(ALERT, severity=Severity.INFO)
    (decision,) = alerts.decide_routes(quiet, [ONCALL], {}, around())
    assert (decision.route, decision.send, decision.why) == ("", False, Why.NO_ROUTE)
    assert alerts.decide_routes(quiet, [ONCALL], {"": alerts.after(NOTHING, decision, quiet)}, around()) == ()
    elsewhere = Route("openai", ("mail",), services=("openai",))
    assert not alerts.concerns(elsewhere, ALERT)
    assert alerts.concerns(elsewhere, fired(conditions.Condition(Rule.BLIND, "", "", True, Severity.PAGE, at(0))))


@given(
    st.lists(
        st.tuples(st.sampled_from(["on", "off", "ack", "blind", "quiet", "wait"]), st.integers(1, 4000)), max_size=40
    )
)
def test_a_route_hears_a_trigger_before_its_one_end(steps: list[tuple[str, int]]) -> None:
    now = 0.0
    standing: list[Alert] = []
    heard: dict[tuple[str, str], list[Why]] = {}
    told: dict[str, dict[str, NotificationLog]] = {}
    for what, wait in steps:
        now += wait
        if what in ("on", "off"):
            for alert in alerts.reconcile(standing, [replace(DOWN, holds=what == "on")], at(now)):
                standing = [alert]
        if what == "ack":
            standing = [acked(a) if a.state is AlertState.FIRING else a for a in standing]
        silences = (SilenceWindow("s", at(now), at(now + 1)),) if what == "quiet" else ()
        for alert in standing:
            here = told.setdefault(alert.id, {})
            scene = around(now, blind="x" if what == "blind" else "", silences=silences)
            for decision in alerts.decide_routes(alert, [ONCALL, MANAGER], here, scene):
                here[decision.route] = alerts.after(here.get(decision.route, NOTHING), decision, alert)
                if decision.send:
                    heard.setdefault((alert.id, decision.route), []).append(decision.why)
    for words in heard.values():
        assert words[0] in (Why.FIRST, Why.SILENCE_OVER, Why.ESCALATED)
        assert words.count(Why.RESOLVED) <= 1
        assert Why.RESOLVED not in words[:-1]
        assert not {Why.FIRST, Why.SILENCE_OVER, Why.ESCALATED} & set(words[1:])


def test_parents_are_followed_upwards_and_a_cycle_only_once() -> None:
    tree = [("d/web", ()), ("d/login", ("d/web",)), ("d/chat", ("d/login",)), ("d/a", ("d/b",)), ("d/b", ("d/a",))]
    found = alerts.parents(Catalogue(components=tuple(Component(n, "d", n, depends_on=up) for n, up in tree)))
    assert found["d/chat"] == ("d/login", "d/web")
    assert found["d/a"] == ("d/b",)


def incident(status: IncidentStatus, cause: Cause = Cause.OUTAGE) -> Incident:
    return Incident("i", "deepseek", cause, status, Impact.MAJOR, at(0), at(1), (API,))


def holds(found: tuple[Condition, ...]) -> list[tuple[str, bool, Severity]]:
    return [(condition.rule, condition.holds, condition.severity) for condition in found]


def test_a_component_alert_ends_with_its_incident_not_with_the_first_good_look() -> None:
    good = ComponentHealth(Health.OPERATIONAL, at(0))
    assert conditions.component_down(API, good, incident(IncidentStatus.MONITORING)) == ()
    assert holds(conditions.component_down(API, good, incident(IncidentStatus.RESOLVED))) == [
        ("component_down", False, Severity.TICKET)
    ]
    assert conditions.component_down(API, ComponentHealth(Health.UNKNOWN), None) == ()


@pytest.mark.parametrize(
    ("health", "reason", "severity"),
    [
        (Health.MAJOR, Reason.SERVER_ERROR, Severity.PAGE),
        (Health.PARTIAL, Reason.SERVER_ERROR, Severity.PAGE),
        (Health.DEGRADED, Reason.SLOW, Severity.TICKET),
        (Health.DEGRADED, Reason.QUALITY, Severity.INFO),
    ],
)
def test_how_loud_a_component_is(health: Health, reason: Reason, severity: Severity) -> None:
    found = conditions.component_down(API, ComponentHealth(health, at(0), reason), None)
    assert holds(found) == [("component_down", True, severity)]


def test_one_location_alone_is_a_ticket_about_us() -> None:
    lonely = ComponentHealth(Health.DEGRADED, at(0), Reason.CONNECT, regional=True, suspects=("berlin",))
    assert holds(conditions.alerts_for({API: lonely}, {})) == [("suspect", True, Severity.TICKET)]
    assert conditions.suspect_location(API, ComponentHealth(Health.UNKNOWN)) == ()


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        (Reason.AUTH, "account"),
        (Reason.QUOTA, "account"),
        (Reason.CONFIG, "configuration"),
        (Reason.INTERNAL, "configuration"),
        (Reason.LAGGED, None),
        (Reason.NETWORK, None),
        (Reason.NOT_RUNNING, None),
    ],
)
def test_our_own_trouble_is_the_operators(reason: Reason, rule: str | None) -> None:
    found = conditions.own_trouble("chat", API, reason, at(0), "key refused")
    assert [condition.rule for condition in found] == ([rule] if rule else [])
    assert all(condition.holds for condition in found)


def test_an_answer_that_worked_ends_our_own_trouble() -> None:
    assert holds(conditions.own_trouble("chat", API, Reason.OK, at(0))) == [
        ("account", False, Severity.TICKET),
        ("configuration", False, Severity.TICKET),
    ]


@pytest.mark.parametrize(
    ("days", "expected"), [(30, None), (13, Severity.TICKET), (2, Severity.PAGE), (-1, Severity.PAGE)]
)
def test_certificates_grow_louder(days: int, expected: Severity | None) -> None:
    (found,) = conditions.certificate("edge", API, at(0) + timedelta(days=days), at(0))
    assert found.holds is (expected is not None)
    assert expected is None or found.severity is expected


def test_a_registration_alert_lives_as_long_as_its_incident() -> None:
    live = incident(IncidentStatus.INVESTIGATING, Cause.REGISTRATION)
    assert holds(conditions.registration_changed(API, Registration.RESTRICTED, live)) == [
        ("registration_changed", True, Severity.PAGE)
    ]
    assert holds(conditions.registration_changed(API, Registration.DELAYED, live))[0][2] is Severity.TICKET
    done = replace(live, status=IncidentStatus.RESOLVED)
    assert not conditions.registration_changed(API, Registration.OPEN, done)[0].holds
    assert conditions.registration_changed(API, Registration.OPEN, None) == ()


def test_silence_is_overdue_and_ignorance_is_not() -> None:
    silent = ComponentHealth(Health.UNKNOWN, at(0), Reason.NOT_RUNNING)
    assert holds(conditions.overdue("chat", API, silent, at(99))) == [("overdue", True, Severity.TICKET)]
    unsure = ComponentHealth(Health.UNKNOWN, at(0), Reason.QUOTA)
    assert not conditions.overdue("chat", API, unsure, at(99))[0].holds


def test_a_burning_budget_is_one_alert_as_loud_as_its_loudest_rule() -> None:
    loud = Burning(RULES[0], Count(120, 20), 16.7)
    quiet = Burning(RULES[3], Count(9000, 200), 2.2)
    found = conditions.burn_rate(API, [quiet, loud], at(600))
    assert (found.holds, found.severity, found.summary["long_s"]) == (True, Severity.PAGE, 3600)
    assert found.since == at(600)
    assert conditions.burn_rate(API, [quiet], at(600)).severity is Severity.TICKET
    over = conditions.burn_rate(API, [], at(600))
    assert (over.holds, over.key) == (False, found.key)


def test_unusual_latency_never_pages() -> None:
    slow = conditions.latency_unusual(API, "chat", Unusual(4.0, 1.0, 9.9, 5), at(0))
    assert (slow.holds, slow.severity) == (True, Severity.INFO)
    assert not conditions.latency_unusual(API, "chat", None, at(0)).holds
    assert conditions.about_us(Rule.SPOOL, "w1", "", at(0)).holds is False


def test_a_registration_alert_names_the_ways_and_their_country_codes() -> None:
    live = incident(IncidentStatus.INVESTIGATING, Cause.REGISTRATION)
    ways = (
        MethodState(Method.PHONE, Registration.RESTRICTED, at(0), at(0), Source.PAGE_TEXT, country_codes=("86",)),
        MethodState(Method.EMAIL, Registration.CLOSED, at(0), at(0), Source.PAGE_TEXT),
        MethodState(Method.GOOGLE, Registration.OPEN, at(0), at(0), Source.PAGE_TEXT),
    )
    (found,) = conditions.registration_changed(API, Registration.RESTRICTED, live, ways)
    told = [(way["method"], way["after"], way["country_codes"]) for way in found.summary["ways"]]
    assert told == [("phone", "restricted", ["86"]), ("email", "closed", [])]


@pytest.mark.parametrize(
    ("key", "loud"),
    [
        (Key.NEW, [Severity.TICKET]),
        (Key.TRUSTED, []),
        (Key.SPARE, [Severity.TICKET]),
        (Key.ONLY, [Severity.PAGE]),
    ],
)
def test_a_refused_key_pages_only_if_it_worked_lately_and_nothing_else_sees_the_service(
    key: Key, loud: list[Severity]
) -> None:
    found = conditions.own_trouble("chat", API, Reason.AUTH, at(0), "401", 9, key)
    assert [condition.severity for condition in found] == loud


def test_a_notice_after_a_silence_says_so() -> None:
    silenced = replace(NOTHING, last_why=Why.SILENCED)
    assert why(ALERT, silenced, now_s=100) is Why.SILENCE_OVER
    told = replace(NOTHING, triggered_at=at(0), last_at=at(0), severity=Severity.PAGE, last_why=Why.SILENCED)
    assert why(ALERT, told, now_s=100) is Why.ALREADY_SENT


@pytest.mark.parametrize(("sent", "expected"), [(0, Why.FIRST), (4, Why.FIRST), (5, Why.GROUPED), (300, Why.GROUPED)])
def test_what_is_too_much_for_a_route_is_told_together(sent: int, expected: Why) -> None:
    assert why(ALERT, NOTHING, lately={("oncall", Severity.PAGE): sent}) is expected
    assert why(ALERT, NOTHING, lately={("oncall", Severity.TICKET): sent}) is Why.FIRST  # tickets crowd out no page


def test_what_was_told_of_together_is_never_told_of_singly() -> None:
    grouped = alerts.after(NOTHING, Decision("a", "oncall", False, Why.GROUPED, at(0)), ALERT)
    assert why(ALERT, replace(grouped, last_why=None), now_s=9999) is Why.GROUPED
    silenced = alerts.after(grouped, Decision("a", "oncall", False, Why.SILENCED, at(5)), ALERT)
    assert why(ALERT, silenced, now_s=9999) is Why.GROUPED
