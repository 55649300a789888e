"""Silence is never good: what is not known is neither taken for well nor for the end of trouble."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from monitor.core.alerts import conditions
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Route, Service
from monitor.core.components.health import ComponentHealth
from monitor.core.components.registration import rules as registration
from monitor.core.components.registration.rules import RegistrationState
from monitor.core.entities import Alert, Incident, MethodState, RegistrationChange
from monitor.core.incidents import rules as incidents
from monitor.core.incidents.rules import Facts
from monitor.core.judging.verdicts import shown_health
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.core.model.incident_events import Cause, Opened
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamReading
from monitor.core.replay import Judge, run
from monitor.core.state_store import ComponentRow
from monitor.text.alerts import alert_line
from monitor.text.lexicon import lexicon

from .making import at, look, probe

OPEN, RESTRICTED, CLOSED, UNKNOWN = (
    Registration.OPEN,
    Registration.RESTRICTED,
    Registration.CLOSED,
    Registration.UNKNOWN,
)
SIGN_UP = Component("deepseek/registration", "deepseek", "Sign-up", ComponentKind.REGISTRATION)
HOUR_S = 3600.0


def says(state: Registration, method: Method = Method.EMAIL, source: Source = Source.CONFIG_ENDPOINT) -> MethodReading:
    return MethodReading(method, state, source, excerpt=f"{method} is {state}", url=f"https://{source}.example/")


def fed(*rounds: tuple[float, tuple[MethodReading, ...]]) -> RegistrationState:
    """Readings at their second, each repeated a minute later so that it counts."""
    state = registration.new_state(SIGN_UP.id)
    for moment_s, readings in rounds:
        state = registration.settle(state, at(moment_s))
        for again in (0, 60):
            state, _ = registration.step(state, readings, at(moment_s + again), Policy())
    return state


def method_state(state: Registration) -> MethodState:
    return MethodState(Method.EMAIL, state, at(0), at(0), Source.PAGE_TEXT, excerpt="it is said there")


# A component of registration: what its looks say, and the word over the ways to sign up


@pytest.mark.parametrize(
    ("looks", "word", "shown"),
    [
        (Health.MAJOR, OPEN, Health.MAJOR),
        (Health.UNKNOWN, OPEN, Health.UNKNOWN),
        (Health.UNKNOWN, CLOSED, Health.MAJOR),
        (Health.UNKNOWN, UNKNOWN, Health.UNKNOWN),
        (Health.OPERATIONAL, UNKNOWN, Health.UNKNOWN),
        (Health.OPERATIONAL, OPEN, Health.OPERATIONAL),
        (Health.DEGRADED, CLOSED, Health.MAJOR),
        (Health.MAJOR, RESTRICTED, Health.MAJOR),
    ],
)
def test_what_was_read_of_the_ways_makes_no_looks_good_that_ran_out(
    looks: Health, word: Registration, shown: Health
) -> None:
    row = ComponentRow(SIGN_UP, at(0), registration=RegistrationState(SIGN_UP.id, (method_state(word),)))
    found = shown_health(row, ComponentHealth(looks, at(0), Reason.PROTOCOL), at(1200))
    assert found.health is shown
    assert (found.detail == "it is said there") == (word is CLOSED or shown is Health.OPERATIONAL)


def test_the_worst_of_several_is_trouble_then_ignorance_and_good_only_if_all_are() -> None:
    worst_first = (Health.MAJOR, Health.PARTIAL, Health.DEGRADED, Health.UNKNOWN, Health.OPERATIONAL)
    for found in permutations(worst_first, 3):
        assert max(found, key=lambda health: health.rank) is min(found, key=worst_first.index)


# Ways to sign up: one of which nothing is known any more beside one that is open


def test_a_way_that_was_closed_when_its_source_fell_silent_does_not_become_open_by_another() -> None:
    phone = says(CLOSED, Method.PHONE, Source.PAGE_TEXT)
    state = fed((0, (says(OPEN), phone)), (2 * HOUR_S, (says(OPEN),)))
    assert registration.overall_state(fed((0, (says(OPEN), phone))), at(120)) is RESTRICTED
    assert registration.overall_state(state, at(2 * HOUR_S + 60)) is UNKNOWN
    verdict = registration.verdict(state, at(2 * HOUR_S + 60))
    assert (verdict.health, verdict.reason, verdict.detail) == (Health.UNKNOWN, Reason.UNREADABLE, "")
    assert verdict.since == at(HOUR_S + 60)
    assert verdict.good_since is None


def test_a_way_that_was_open_or_never_known_holds_nothing_back() -> None:
    phone = says(OPEN, Method.PHONE, Source.PAGE_TEXT)
    state = fed((0, (says(OPEN), phone)), (2 * HOUR_S, (says(OPEN), says(UNKNOWN, Method.GOOGLE))))
    assert registration.overall_state(state, at(2 * HOUR_S + 60)) is OPEN


def test_sources_that_contradict_each_other_about_one_way_leave_the_word_unknown_beside_an_open_one() -> None:
    dispute = (says(OPEN, Method.PHONE, Source.PAGE_TEXT), says(CLOSED, Method.PHONE, Source.PAGE_TEXT))
    disputed = (dispute[0], replace(dispute[1], url="https://other.example/"))
    assert registration.overall_state(fed((0, (says(OPEN), *disputed))), at(60)) is UNKNOWN
    assert registration.overall_state(fed((0, (says(CLOSED), *disputed))), at(60)) is CLOSED


def test_a_word_about_the_whole_speaks_for_a_silent_way_only_if_it_weighs_as_much() -> None:
    first = (says(CLOSED, Method.PHONE, Source.PAGE_TEXT),)
    for source, word in ((Source.OFFICIAL_TEXT, OPEN), (Source.NEWS, UNKNOWN)):
        state = fed((0, first), (2 * HOUR_S, (says(OPEN, Method.ANY, source),)))
        assert registration.overall_state(state, at(2 * HOUR_S + 60)) is word


def test_old_news_that_all_is_closed_holds_nothing_back_once_the_ways_are_read() -> None:
    state = fed((0, (says(CLOSED, Method.ANY, Source.NEWS),)), (30 * HOUR_S, (says(OPEN),)))
    assert registration.overall_state(state, at(30 * HOUR_S + 60)) is OPEN


# Alerts


@pytest.mark.parametrize(("word", "loud"), [(CLOSED, "page"), (UNKNOWN, "ticket"), (OPEN, "ticket")])
def test_neither_silence_nor_an_opening_makes_the_alert_about_sign_up_louder(word: Registration, loud: str) -> None:
    (found,) = conditions.registration_changed(SIGN_UP.id, word, incident(), ())
    assert (found.holds, found.severity) == (True, loud)


def incident() -> Incident:
    status, parts = IncidentStatus.INVESTIGATING, (SIGN_UP.id,)
    return Incident("i", "deepseek", Cause.REGISTRATION, status, Impact.MINOR, at(0), at(0), parts, {})


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (OPEN, "sign-up is open again, and watched for a while"),
        (UNKNOWN, "it cannot be told whether sign-up is still restricted"),
    ],
)
def test_an_alert_about_sign_up_does_not_call_it_open_for_want_of_a_word(word: Registration, said: str) -> None:
    (found,) = conditions.registration_changed(SIGN_UP.id, word, incident(), ())
    loud, state = Severity.TICKET, AlertState.FIRING
    alert = Alert("a", found.key, found.rule, loud, state, "deepseek", SIGN_UP.id, at(0), at(0), summary=found.summary)
    assert said in alert_line(alert, "DeepSeek", False, lexicon(), str)


def test_a_page_of_the_vendor_that_tells_nothing_does_not_end_the_alert_that_it_admits_trouble() -> None:
    witness = probe("page", witness=True)
    api = Component("deepseek/api", "deepseek", "API")
    judge = Judge(Catalogue((Service("deepseek", "DeepSeek"),), (api,), (witness,), (), "1"))
    standing = []
    for minute, said in enumerate((Health.PARTIAL, Health.UNKNOWN, Health.OPERATIONAL)):
        seen = look(60 * minute, Reason.OK, probe="page")
        page = UpstreamReading("statuspage", "https://status.example", said)
        judge.record([replace(seen, observation=replace(seen.observation, upstream=page))])
        standing.append([alert.rule for alert in judge.fired if alert.resolved_at is None])
    assert standing == [["upstream"], ["upstream"], []]


# What an incident says of log-in


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (Health.OPERATIONAL, Health.OPERATIONAL, {"a": Health.OPERATIONAL, "b": Health.OPERATIONAL}),
        (Health.OPERATIONAL, Health.UNKNOWN, {}),
        (Health.UNKNOWN, Health.DEGRADED, {"b": Health.DEGRADED}),
    ],
)
def test_that_log_in_works_is_said_only_if_it_works_wherever_it_is_watched(
    first: Health, second: Health, told: dict[str, Health]
) -> None:
    api = ComponentHealth(Health.MAJOR, at(0), Reason.SERVER_ERROR)
    logins = {name: ComponentHealth(health, at(0)) for name, health in (("a", first), ("b", second))}
    seen = Facts("deepseek", Cause.REGISTRATION, {"deepseek/registration": api}, changed(), logins=logins)
    (opened, *_) = incidents.decide(None, seen, at(60), Policy())
    assert isinstance(opened.what, Opened)
    assert opened.what.login == told


def changed() -> tuple[RegistrationChange, ...]:
    before, after = method_state(OPEN), method_state(CLOSED)
    return (RegistrationChange("deepseek/registration", at(60), before, after),)


# Notices held back because of what a component depends on


@pytest.mark.parametrize(("child_comes_back", "told"), [(True, False), (False, True)])
def test_a_component_that_fell_silent_in_its_outage_did_not_come_back_with_its_parent(
    child_comes_back: bool, told: bool
) -> None:
    web, api = "deepseek/web", "deepseek/api"
    parts = (Component(web, "deepseek", "Web"), Component(api, "deepseek", "API", depends_on=(web,)))
    probes = (probe("web", web, 60), probe("api", api, 60))
    judge = Judge(Catalogue((Service("deepseek", "DeepSeek"),), parts, probes, (Route("oncall", ("pager",)),), "1"))
    for minute in range(60):
        outage = 5 <= minute < 15
        reason = Reason.SERVER_ERROR if outage else Reason.OK
        played = [look(60 * minute, reason, n, "web") for n in ((1, 2, 3) if outage else (1,))]
        if minute < 15 or child_comes_back:
            played += [look(60 * minute + 5, reason, n, "api") for n in ((1, 2, 3) if outage else (1,))]
        judge.record(played)
        judge.sweep(at(60 * minute + 30))
    names = {alert.id: (alert.rule, alert.component) for alert in judge.fired}
    sent = [decision for decision in judge.decisions if names[decision.alert] == ("component_down", api)]
    assert (Why.FIRST in {decision.why for decision in sent}) == told


def test_a_replay_judges_silence_though_something_else_is_looked_at_all_the_time() -> None:
    fails, busy = probe("fails", "deepseek/api"), probe("busy", "openai/api", interval_s=10)
    parts = tuple(Component(name, name.partition("/")[0], name) for name in ("deepseek/api", "openai/api"))
    services = (Service("deepseek", "DeepSeek"), Service("openai", "OpenAI"))
    catalogue = Catalogue(services, parts, (fails, busy), (Route("oncall", ("pager",)),), "1")
    last_s = HOUR_S / 2
    looks = [look(tick_s, Reason.OK, probe="busy") for tick_s in range(0, int(HOUR_S), 10)]
    looks += [look(tick_s, Reason.SERVER_ERROR, probe="fails") for tick_s in range(5, int(last_s), 30)]
    judge = run(catalogue, sorted(looks, key=lambda result: result.started_at))
    gone = [change for change in judge.evaluation.changes if change.after is Health.UNKNOWN]
    assert [change.component for change in gone] == ["deepseek/api"]
    assert 0 <= (gone[0].at - at(1775 + 3 * 30 + 10)).total_seconds() <= 30, "at the first sweep after it ran out"
