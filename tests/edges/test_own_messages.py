"""What the system says about itself reaches people in their own language, from the rule to the notice."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.channels.base import Notice
from monitor.channels.words import facts, title
from monitor.core.entities import Alert
from monitor.core.evaluation import Evaluation
from monitor.core.memory_store import MemoryStore
from monitor.core.model.alert_rules import RULES, Audience, Rule, row
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.core.state_store import WorkerReport
from monitor.recorder.alarm import alert_of
from monitor.runtime.trouble import Trouble
from monitor.store.proof import Fault
from monitor.text.lexicon import Language, lexicon
from monitor.text.messages import told, worded
from tests.core.making import at

ENGLISH, CHINESE = lexicon(Language.EN), lexicon(Language.ZH)
SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")
"""Three words of prose in a row: names, codes and commands are shorter."""


def places(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


def example(code: MessageCode) -> str:
    entry = ENGLISH.table["message"][code.value]
    names = places(entry if isinstance(entry, str) else "".join(entry))
    return coded(code, **{name: 3 if name in ("n", "day") else f"{name.upper()}!" for name in names})


@pytest.mark.parametrize("code", MessageCode)
def test_a_message_is_told_with_its_facts_in_both_languages(code: MessageCode) -> None:
    text = example(code)
    assert not re.search(r"[{}]", worded(text, ENGLISH) + worded(text, CHINESE)), "every place is filled"
    for fact in re.findall(r"[A-Z_]+!", text):
        assert fact in worded(text, ENGLISH)
        assert fact in worded(text, CHINESE)


@pytest.mark.parametrize("code", MessageCode)
def test_a_message_in_chinese_holds_no_english_sentence(code: MessageCode) -> None:
    assert not SENTENCE.search(worded(example(code), CHINESE).replace("chatwatch quarantine list", ""))


@given(st.text(max_size=120))
def test_facts_come_back_as_they_were_whatever_they_hold(fact: str) -> None:
    assert worded(coded(MessageCode.OWN_FAULT, error=fact), ENGLISH) == f"our own fault: {fact}"


@given(st.text(alphabet=string.printable, max_size=200))
def test_a_text_that_holds_no_message_stays_as_it_is(text: str) -> None:
    assert "{" in text or worded(text, CHINESE) == text


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{no_such_code}",
        "{own_fault}",
        "{own_fault err=1}",
        "{results_wait n=x}",
        "{that_hour day=9 hour=1}",
        "{" * 9000,
    ],
)
def test_an_imitation_or_another_versions_message_stays_as_it_is(text: str) -> None:
    assert worded(text, ENGLISH) == text


def test_messages_within_messages_are_told_up_to_a_depth() -> None:
    inner = coded(MessageCode.NO_NAME_RESOLVES, names=2)
    outer = coded(MessageCode.WORKER_BLIND, worker="w", place="home", why=inner)
    assert worded(outer, CHINESE) == "home 的探测程序 w：2 个互不相关的域名都无法解析"
    for _ in range(9):
        outer = coded(MessageCode.OWN_FAULT, error=outer)
    assert len(told(outer, ENGLISH)) <= 300


def about_us() -> list[Alert]:
    """Raise what a store of nothing can raise about us; each alert once as it fires and once as it ends."""
    store = MemoryStore()
    judge = Evaluation(store)
    blind = coded(MessageCode.CONTROL_TARGETS_FAIL, n=2)
    held = coded(MessageCode.CANNOT_BE_JUDGED_MORE, names="a, b, c", n=2, since="2026-01-27 15:31", error="ValueError")
    for beat, (why, waits, holds) in enumerate([("", 1, ""), (blind, 12, held), (blind, 13, held), ("", 0, "")]):
        judge.on_worker(WorkerReport("w1", "home", why, waits, held=holds), at(beat * 40))
    judge.on_delivery("pager", coded(MessageCode.RECEIVER_ANSWERED, status=503), at(200))
    judge.on_delivery("pager", "", at(210))
    return list(store.alerts.values())


def about_the_rest() -> list[Alert]:
    """Our account, settings, own doubts and the test: their facts as the rules put them down."""
    base = Alert("a", "k", Rule.TEST, Severity.PAGE, AlertState.FIRING, "shop", "shop/web", at(0), at(0))
    facts = {"reason": Reason.INTERNAL.value, "probe": "p@home", "warning": "upstream.frozen"}
    rules = (Rule.ACCOUNT, Rule.CONFIGURATION, Rule.SUSPECT, Rule.WARNING, Rule.OVERDUE, Rule.CERTIFICATE)
    details = [(rule, code) for rule in rules for code in MessageCode]
    details += [(Rule.LATENCY_UNUSUAL, MessageCode.FIRST_TOKEN_UNUSUAL), (Rule.LATENCY_UNUSUAL, MessageCode.THIS_HOUR)]
    todos = (example(code) for code in (MessageCode.RESTORE_RESCUED, MessageCode.RESTORE_OR_BEGIN))
    lost = [alert_of(Trouble("a", fault, todo, at(0)), "home") for todo in todos for fault in Fault]
    told = (replace(base, rule=rule, summary={**facts, "detail": example(code)}) for rule, code in details)
    return [base, *lost, *told]


def test_every_rule_about_ourselves_is_reached() -> None:
    reached = {alert.rule for alert in [*about_us(), *about_the_rest()]}
    assert reached >= {rule for rule in RULES if row(rule).audience is Audience.OPERATOR}


def notices(alert: Alert) -> list[Notice]:
    """The alert as it fires, again, late, and as it ends."""
    over = replace(alert, state=AlertState.RESOLVED, resolved_at=alert.started_at + timedelta(hours=1))
    whys = [why for why in Why if why.value in CHINESE.table["why_now"]]
    found = [Notice("k", alert, why, alert.started_at, tries=2) for why in whys]
    return [*found, Notice("k", over, Why.RESOLVED, over.resolved_at or alert.started_at)]


@pytest.mark.parametrize("alert", [*about_us(), *about_the_rest()], ids=lambda alert: str(alert.rule))
def test_a_notice_about_ourselves_in_chinese_holds_no_english_sentence(alert: Alert) -> None:
    for notice in notices(alert):
        chinese = replace(notice, language=Language.ZH)
        said = "\n".join([title(chinese), *(f"{name} {value}" for name, value in facts(chinese))])
        said = said.replace("chatwatch quarantine list", "")
        assert not SENTENCE.search(said), said
        assert "{" not in said


def test_the_english_notice_reads_as_a_sentence() -> None:
    said = {value for alert in about_us() for _, value in facts(Notice("k", alert, Why.FIRST, alert.started_at))}
    assert {
        "worker w1 in home: all 2 control targets fail with network errors",
        "13 results wait on disk for the database",
        "channel pager gave up a notice: the receiver answered 503",
        "a, b, c and 2 more cannot be judged since 2026-01-27 15:31 UTC (ValueError): see chatwatch quarantine list",
    } <= said
