"""An alert in one line, and its facts as rows of words: the same to a pager, in the console and at the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule, row, rule_named
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health
from monitor.core.model.warning_codes import WarningCode
from monitor.text.lexicon import Lexicon
from monitor.text.messages import worded
from monitor.text.signup import Say, sign_up

_CLOSED: Mapping[str, Iterable[StrEnum]] = {
    "health": Health,
    "worst": Health,
    "indicator": Health,
    "reason": Reason,
    "registration": Registration,
    "warning": WarningCode,
}
"""Facts of an alert that are members of closed sets: they are said in words, with their code where it helps."""
_WITH_CODE = ("reason", "warning")


def alert_line(alert: Alert, where: str, resolved: bool, words: Lexicon, plain: Say) -> str:
    """Return what is wrong where: "DeepSeek API is down". ``where`` must be harmless already.

    A component's trouble is told in the words of the page, as it is now; its end by what it was at its worst.
    """
    summary = alert.summary
    if alert.rule is Rule.COMPONENT_DOWN:
        return words.fill("health_clause", _health(alert, resolved), name=where)
    if alert.rule is Rule.DIGEST:
        return words.section("digest", "over") if resolved else _digest(alert, words)
    facts = {
        "why": plain(worded(str(summary.get("why", "")), words)),
        "rule": plain(rule_label(str(alert.rule), words)),
    }
    warning = next((code for code in WarningCode if code == summary.get("warning")), None)
    facts["warning"] = plain(words.of(warning) if warning else worded(str(summary.get("warning", "")), words))
    facts["days_left"] = plain(str(summary.get("days_left", "?")))
    if alert.rule is Rule.REGISTRATION_CHANGED:
        facts["sign_up"] = sign_up(alert, resolved, words, plain)
    line = words.fill("rule", row(alert.rule).words, where=where, **facts)
    return line.strip().rstrip(":： ")  # without its facts a rule still has a readable line


def _health(alert: Alert, resolved: bool) -> Health:
    """Return the state that an alert about a component is told by."""
    words = [alert.summary.get("worst") if resolved else None, alert.summary.get("health")]
    return next((health for word in words for health in Health if health.value == word), Health.MAJOR)


def _digest(alert: Alert, words: Lexicon) -> str:
    count, services = (alert.summary.get(key, 0) for key in ("count", "services"))
    key = "many_services" if services and services != 1 else "many"
    return words.fill("digest", key, int(count), services=services)


def rule_label(word: str, words: Lexicon) -> str:
    """Return a rule's short name: "component down"; the word of an alert from outside stays what it is."""
    rule = rule_named(word)
    return words.of(rule) if isinstance(rule, Rule) else word.replace("_", " ")


def fact_rows(alert: Alert, words: Lexicon) -> Iterator[tuple[str, str]]:
    """Yield the alert's facts as (name, value), said in words where they are members of closed sets.

    Names and values that are not ours are as they came: whoever shows them must make them harmless.
    """
    for key, value in alert.summary.items():
        if isinstance(value, bool):
            if value:
                yield label(key, words), words("yes")
        elif isinstance(value, str | int | float) and value != "":
            yield label(key, words), said(key, value, words)


def label(key: str, words: Lexicon) -> str:
    """Return the name of a fact; one that nobody knows is called by its key."""
    known = words.table["fact"].get(key)
    return str(known) if known else key.replace("_", " ").capitalize()


def said(key: str, value: object, words: Lexicon) -> str:
    """Return a fact's value in words; what is no member of a closed set stays as it is."""
    member = next((item for item in _CLOSED.get(key, ()) if item == value), None)
    if member is None:
        return worded(str(value), words)
    word = words.of(member)
    return words("with_code", text=word, code=value) if key in _WITH_CODE else word
