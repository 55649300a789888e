"""Every rule, event, reason, warning, decision and state has its words, in every language, and nobody reads a code."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from string import Formatter

import pytest

from monitor.core.entities import Alert
from monitor.core.model import alerting, reasons, registration, states
from monitor.core.model.alert_rules import FOREIGN_ROW, RULES, Foreign, Rule, row
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.core.model.incident_events import Cause, EventKind
from monitor.core.model.message_codes import MessageCode
from monitor.core.model.reasons import Outcome, Scope
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health
from monitor.core.model.warning_codes import WarningCode
from monitor.text.alerts import alert_line, fact_rows, rule_label
from monitor.text.lexicon import SECTION, Language, Lexicon, lexicon
from tests.core.making import T0

LANGUAGES = list(Language)
OTHERS: dict[str, type[Enum]] = {
    "Cause": Cause,
    "EventKind": EventKind,
    "MessageCode": MessageCode,
    "Rule": Rule,
    "WarningCode": WarningCode,
}
NOUNS = vars(alerting) | vars(reasons) | vars(registration) | vars(states)
CLOSED = [OTHERS.get(name) or NOUNS[name] for name in SECTION]
OWN_SENTENCE = {"component_down", "digest"}
"""Rules whose line is made of the words of a state, or of counts."""
FACTS = {"why": "the cable", "days_left": 3, "warning": "upstream.frozen", "count": 7, "services": 2}


def alert(rule: Rule | Foreign, **more: object) -> Alert:
    base = Alert("a", "k", rule, Severity.PAGE, AlertState.FIRING, "shop", "shop/web", T0, T0, summary=FACTS)
    return replace(base, **more)  # type: ignore[arg-type]  # named by the tests


def line(given: Alert, words: Lexicon, *, resolved: bool = False) -> str:
    return alert_line(given, "Shop Web", resolved, words, str)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", CLOSED, ids=lambda kind: kind.__name__)
def test_every_member_of_every_closed_set_has_a_word_and_no_word_is_left_over(
    language: Language, kind: type[Enum]
) -> None:
    words = lexicon(language)
    assert set(words.table[SECTION[kind.__name__]]) == {str(member.value) for member in kind}
    assert all(words.of(member).strip() for member in kind)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_has_its_line_and_no_line_is_of_a_rule_that_nobody_raises(language: Language) -> None:
    assert (
        set(lexicon(language).table["rule"]) == {found.words for found in [*RULES.values(), FOREIGN_ROW]} - OWN_SENTENCE
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("resolved", [False, True])
@pytest.mark.parametrize("rule", list(Rule))
def test_no_alert_is_told_by_its_code(rule: Rule, resolved: bool, language: Language) -> None:
    for summary in (FACTS, {}):
        said = line(alert(rule, summary=summary), lexicon(language), resolved=resolved)
        assert "{" not in said
        assert "_" not in said
        assert said == said.strip()
        assert len(said) > 3


def test_the_line_that_once_reached_a_pager_as_a_code_is_a_sentence() -> None:
    suspect = alert(Rule.SUSPECT)
    assert line(suspect, lexicon()) == "Shop Web fails at some of our locations only"
    assert line(suspect, lexicon(Language.ZH)) == "Shop Web：只有部分地点看到问题"
    assert line(alert(Rule.BLIND, summary={}), lexicon()) == "We are blind"


def test_an_alert_from_outside_keeps_its_own_word() -> None:
    assert row(Foreign("alertmanager:DiskFull")).words == "foreign"
    assert line(alert(Foreign("alertmanager:DiskFull")), lexicon()) == "Shop Web: alertmanager:DiskFull"
    assert rule_label("alertmanager:Disk_Full", lexicon()) == "alertmanager:Disk Full"


def test_facts_that_are_members_of_closed_sets_are_said_in_words() -> None:
    summary = {"health": "major_outage", "reason": "service.overloaded", "warning": "of.the_future", "flapping": False}
    given = alert(Rule.COMPONENT_DOWN, summary=summary | {"locations": 2, "unheard_of": "x", "ways": [{}]})
    assert list(fact_rows(given, lexicon())) == [
        ("Health", "Down"),
        ("Reason", "it says that it is overloaded (service.overloaded)"),
        ("Warning", "of.the_future"),
        ("Locations", "2"),
        ("Unheard of", "x"),
    ]
    assert ("状态", "中断") in list(fact_rows(given, lexicon(Language.ZH)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_other_closed_sets_are_complete_as_well(language: Language) -> None:
    table = lexicon(language).table
    assert set(table["health_clause"]) == set(table["health_clauses"]) == {health.value for health in Health}
    assert set(table["outcome_short"]) == {outcome.value for outcome in Outcome}
    assert set(table["scope"]) == {scope.value for scope in Scope}
    assert set(table["why_now"]) == {why.value for why in (Why.ESCALATED, Why.WORSE, Why.REPEAT, Why.SILENCE_OVER)}
    limited = {state.value for state in Registration} - {"open", "unknown"}
    assert set(table["signup_is"]) == set(table["signup_was"]) == limited


def places(entry: str | list[str]) -> set[str]:
    """The names that a text fills in."""
    texts = [entry] if isinstance(entry, str) else entry
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_texts_of_english_with_the_same_places(language: Language) -> None:
    english, other = lexicon(Language.EN).table, lexicon(language).table
    assert set(english) == set(other)
    for section, entries in english.items():
        assert set(entries) == set(other[section]), section
        for key, entry in entries.items():
            assert places(other[section][key]) == places(entry), f"{section}.{key}"


@pytest.mark.parametrize(
    ("items", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_a_list_reads_as_prose(items: list[str], said: str) -> None:
    assert lexicon().join(items) == said
