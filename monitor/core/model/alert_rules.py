"""The closed set of alert rules: a row each says how loud, for whom, and what holds its alerts back.

A rule that is added here without its row, or without its words, fails mypy or a test. What another Alertmanager sends
us stands outside the set: it keeps the word it came with (:data:`Foreign`), is shown and reviewed, and nobody is told
of it by us.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, assert_never

from monitor.core.model.alerting import Severity


class Rule(StrEnum):
    """What an alert is about. Members are stored by value and part of every deduplication key: never rename one."""

    COMPONENT_DOWN = "component_down"
    REGISTRATION_CHANGED = "registration_changed"
    SUSPECT = "suspect"
    """Fewer locations than the quorum see trouble."""
    BURN_RATE = "burn_rate"
    CERTIFICATE = "certificate"
    ACCOUNT = "account"
    CONFIGURATION = "configuration"
    OVERDUE = "overdue"
    LATENCY_UNUSUAL = "latency_unusual"
    WARNING = "warning"
    UPSTREAM = "upstream"
    """The vendor's own page announces trouble."""
    BLIND = "blind"
    SPOOL = "spool"
    QUARANTINE = "quarantine"
    """Looks of a service cannot be judged."""
    STORE = "store"
    """The database must not be used; told without it."""
    DELIVERY = "delivery"
    DIGEST = "digest"
    """A digest: it stands for many alerts that a route is sent as one."""
    MISSED = "missed"
    """Trouble that a person reports because no alert announced it."""
    TEST = "test"


Foreign = NewType("Foreign", str)
"""The word of an alert that is not one of our rules': ``alertmanager:NAME``, or what another version stored."""
AnyRule = Rule | Foreign
FROM_OUTSIDE = "alertmanager:"
"""How the stored word of an alert from another Alertmanager begins."""


class Audience(StrEnum):
    """Whose trouble an alert is about."""

    SERVICE = "service"
    """The service's, so the public reads of it as well."""
    OPERATOR = "operator"
    """Ours, or for the operator only: what our faults turn into instead of outages. Never held back for being ours."""
    NOBODY = "nobody"
    """Somebody else notifies people of it."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """What follows from a rule."""

    words: str
    """Key of its words in ``monitor/text``."""
    audience: Audience
    severity: Severity
    """How loud it is unless the facts say otherwise."""
    muted_by_maintenance: bool = True
    replayable: bool = False
    """It follows from looks alone; the others need roll-ups, certificates or a worker's heartbeat."""


_SERVICE, _OPERATOR = Audience.SERVICE, Audience.OPERATOR
_PAGE, _TICKET, _INFO = Severity.PAGE, Severity.TICKET, Severity.INFO


def _row(rule: Rule) -> RuleRow:  # noqa: C901  one case a member, so that mypy asks for the next one
    match rule:
        case Rule.COMPONENT_DOWN:
            return RuleRow("component_down", _SERVICE, _PAGE, replayable=True)
        case Rule.REGISTRATION_CHANGED:
            return RuleRow("registration_changed", _SERVICE, _PAGE, replayable=True)
        case Rule.SUSPECT:
            return RuleRow("suspect", _OPERATOR, _TICKET, replayable=True)
        case Rule.BURN_RATE:
            return RuleRow("burn_rate", _SERVICE, _TICKET)
        case Rule.CERTIFICATE:
            return RuleRow("certificate", _OPERATOR, _TICKET)
        case Rule.ACCOUNT:
            return RuleRow("account", _OPERATOR, _TICKET, replayable=True)
        case Rule.CONFIGURATION:
            return RuleRow("configuration", _OPERATOR, _TICKET, replayable=True)
        case Rule.OVERDUE:
            return RuleRow("overdue", _OPERATOR, _TICKET, replayable=True)
        case Rule.LATENCY_UNUSUAL:
            return RuleRow("latency_unusual", _OPERATOR, _INFO)
        case Rule.WARNING:
            return RuleRow("warning", _OPERATOR, _TICKET)
        case Rule.UPSTREAM:
            return RuleRow("upstream", _SERVICE, _INFO)
        case Rule.BLIND:
            return RuleRow("blind", _OPERATOR, _PAGE, muted_by_maintenance=False)
        case Rule.SPOOL:
            return RuleRow("spool", _OPERATOR, _TICKET, muted_by_maintenance=False)
        case Rule.QUARANTINE:
            return RuleRow("quarantine", _OPERATOR, _TICKET, muted_by_maintenance=False)
        case Rule.STORE:
            return RuleRow("store", _OPERATOR, _PAGE, muted_by_maintenance=False)
        case Rule.DELIVERY:
            return RuleRow("delivery", _OPERATOR, _PAGE, muted_by_maintenance=False)
        case Rule.DIGEST:
            return RuleRow("digest", _SERVICE, _TICKET, muted_by_maintenance=False)
        case Rule.MISSED:
            return RuleRow("missed", _SERVICE, _INFO)
        case Rule.TEST:
            return RuleRow("test", _OPERATOR, _INFO, muted_by_maintenance=False)
        case _:
            assert_never(rule)


RULES = {rule: _row(rule) for rule in Rule}
FOREIGN_ROW = RuleRow("foreign", Audience.NOBODY, Severity.INFO)


def row(rule: AnyRule) -> RuleRow:
    """Return what follows from a rule; an alert from outside has a row of its own."""
    return RULES[rule] if isinstance(rule, Rule) else FOREIGN_ROW


def rule_named(word: str) -> AnyRule:
    """Return the rule that is stored by this word; a word that is none of ours is somebody else's."""
    return Rule(word) if word in _WORDS else Foreign(word)


_WORDS = frozenset(rule.value for rule in Rule)


def is_operators(rule: AnyRule) -> bool:
    """Say whether alerts of this rule are the operator's own trouble."""
    return row(rule).audience is Audience.OPERATOR
