"""Sign-up that fails, and that places see differently, in every output's words and in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dashboard import parts, sentences
from dashboard.web import api
from dashboard.words import speak
from monitor.core.alerts.conditions import registration_changed
from monitor.core.catalogue import Policy
from monitor.core.components.registration import rules
from monitor.core.entities import Alert, Incident
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity
from monitor.core.model.incident_events import Cause
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import Impact, IncidentStatus
from monitor.store.reads.views import RegistrationView
from monitor.text.lexicon import Language, lexicon
from monitor.text.signup import sign_up
from tests.core.making import T0, at

OPEN, FAILING = Registration.OPEN, Registration.FAILING


def fails(method: Method = Method.EMAIL, ratio: float | None = None) -> MethodReading:
    return MethodReading(method, FAILING, Source.OFFICIAL_TEXT, failed_ratio=ratio)


def works(method: Method = Method.EMAIL) -> MethodReading:
    return MethodReading(method, OPEN, Source.OFFICIAL_TEXT)


def held(**places: tuple[MethodReading, ...]) -> rules.RegistrationState:
    """What follows from one look at each place."""
    state = rules.new_state("shop/registration")
    for number, (place, readings) in enumerate(places.items()):
        state, _ = rules.step(state, readings, at(number), Policy(), place)
    return state


def view(**places: tuple[MethodReading, ...]) -> RegistrationView:
    state = held(**places)
    return RegistrationView(rules.overall(state, at(9)), state.methods)


CLAUSES: list[tuple[dict[str, tuple[MethodReading, ...]], str, str]] = [
    ({"fra": (fails(),)}, "sign-up is failing", "注册异常"),
    ({"fra": (fails(Method.ANY, 0.69),)}, "69 % of sign-ups fail", "69 %的注册失败"),
    ({"fra": (fails(Method.ANY, 1.0),)}, "every attempt to sign up fails", "所有注册尝试均失败"),
    ({"fra": (fails(), works(Method.GOOGLE))}, "sign-up by e-mail is failing", "用邮箱注册异常"),
    ({"fra": (fails(ratio=0.5), works(Method.GOOGLE))}, "50 % of sign-ups by e-mail fail", "用邮箱注册有 50 % 失败"),
    (
        {"fra": (works(),), "sin": (fails(),), "syd": (fails(),)},
        "sign-up is failing (seen from sin and syd); sign-up is open (seen from fra)",
        "注册异常（从sin和syd看）；注册开放（从fra看）",
    ),
    ({"fra": (fails(),), "sin": (fails(),)}, "sign-up is failing", "注册异常"),
]


@pytest.mark.parametrize(("places", "english", "chinese"), CLAUSES)
def test_the_headline_says_how_much_fails_and_from_where(
    places: dict[str, tuple[MethodReading, ...]], english: str, chinese: str
) -> None:
    found = view(**places)
    assert sentences.registration_clause(found, speak(Language.EN)) == english
    assert sentences.registration_clause(found, speak(Language.ZH)) == chinese


def test_a_chip_says_what_each_place_sees() -> None:
    (way,) = view(fra=(works(),), sin=(fails(ratio=0.69),)).methods
    assert parts.method_word(way, speak(Language.EN)) == "open (seen from fra); 69 % fail (seen from sin)"
    assert parts.method_word(way, speak(Language.ZH)) == "开放（从fra看）；69 %失败（从sin看）"


def test_the_json_has_each_place_beside_the_word_over_all() -> None:
    (way,) = view(fra=(works(),), sin=(fails(ratio=0.69),)).methods
    told: dict[str, Any] = api.method(way)
    assert (told["state"], told["failed_ratio"]) == ("failing", None)
    assert [(item["location"], item["state"], item["failed_ratio"]) for item in told["locations"]] == [
        ("fra", "open", None),
        ("sin", "failing", 0.69),
    ]


@pytest.mark.parametrize(
    ("places", "english", "chinese"),
    [
        (
            {"fra": (fails(ratio=0.69),)},
            "sign-up by e-mail is failing for 69 % of attempts",
            "用邮箱注册异常（69 %的尝试失败）",
        ),
        (
            {"fra": (works(),), "sin": (fails(),)},
            "sign-up by e-mail is failing as seen from sin",
            "用邮箱注册异常（从sin看）",
        ),
    ],
)
def test_an_alert_pages_and_says_the_same(
    places: dict[str, tuple[MethodReading, ...]], english: str, chinese: str
) -> None:
    state = held(**places)
    status, impact = IncidentStatus.INVESTIGATING, Impact.MAJOR
    incident = Incident("i", "shop", Cause.REGISTRATION, status, impact, T0, T0, ("shop/registration",))
    word = rules.overall_state(state, at(9))
    (condition,) = registration_changed("shop/registration", word, incident, state.methods)
    assert condition.severity is Severity.PAGE
    later = T0 + timedelta(minutes=1)
    rule, firing = Rule.REGISTRATION_CHANGED, AlertState.FIRING
    alert = Alert("a", "k", rule, Severity.PAGE, firing, "shop", "shop/registration", T0, later)
    alert = replace(alert, summary=condition.summary)
    assert sign_up(alert, False, lexicon(Language.EN), str) == english
    assert sign_up(alert, False, lexicon(Language.ZH), str) == chinese
