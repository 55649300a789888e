"""The table of alert rules: complete, and the stored words and keys stay as they are."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.alerts.conditions import alert_key
from monitor.core.model.alert_rules import FROM_OUTSIDE, RULES, Audience, Foreign, Rule, is_operators, row, rule_named
from monitor.core.model.alerting import Severity

STORED = {
    "component_down", "registration_changed", "suspect", "burn_rate", "certificate", "account", "configuration",
    "overdue", "latency_unusual", "warning", "upstream", "blind", "spool", "delivery", "digest", "missed", "test",
    "quarantine", "store",
}  # fmt: skip
"""What databases of every version hold."""


def test_every_rule_has_a_row_and_its_stored_word_is_the_old_one() -> None:
    assert set(RULES) == set(Rule)
    assert {rule.value for rule in Rule} == STORED


def test_our_own_faults_are_the_operators_and_outlast_maintenance_only_where_they_concern_us_alone() -> None:
    operators = {"account", "blind", "certificate", "configuration", "delivery", "latency_unusual", "overdue"}
    operators |= {"quarantine", "spool", "store", "suspect", "warning", "test"}
    assert {rule.value for rule in Rule if is_operators(rule)} == operators
    assert {Rule.BLIND, Rule.SPOOL} <= {rule for rule in Rule if not row(rule).muted_by_maintenance}
    assert row(Rule.COMPONENT_DOWN).muted_by_maintenance


@given(st.text(max_size=80))
def test_any_stored_word_can_be_read_and_is_written_back_as_it_was(word: str) -> None:
    assert str(rule_named(word)) == word
    assert isinstance(rule_named(word), Rule) == (word in STORED)


@pytest.mark.parametrize("word", [FROM_OUTSIDE + "DiskFull", FROM_OUTSIDE + "component_down", "of_the_future"])
def test_a_word_that_is_none_of_ours_is_foreign_and_nobody_hears_of_it(word: str) -> None:
    assert row(rule_named(word)).audience is Audience.NOBODY
    assert row(Foreign(word)).severity is Severity.INFO


@pytest.mark.parametrize("rule", [*Rule, Foreign(FROM_OUTSIDE + "DiskFull")])
def test_a_deduplication_key_is_made_of_the_stored_word(rule: Rule | Foreign) -> None:
    word = rule.value if isinstance(rule, Rule) else rule
    old = hashlib.sha256(("shop|shop/web|" + word + "|w1").encode()).hexdigest()
    assert alert_key("shop", "shop/web", rule, "w1") == old


def test_the_key_of_an_alert_of_a_database_of_long_ago_is_still_its_key() -> None:
    old = "8403de37b96472ffa23b3c3b00821782b0f7cc5d002b6b3442f3999d547f454c"
    assert alert_key("shop", "shop/web", Rule.COMPONENT_DOWN, "w1") == old
