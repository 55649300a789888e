"""What older versions stored is read as the closed sets of today, and written back in the same shape."""

from __future__ import annotations

import json

import pytest

from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.store.codec import pack, unpack

ALERT = {
    "id": "20250127T040000-0123456789",
    "key": "k",
    "rule": "component_down",
    "severity": "page",
    "state": "firing",
    "service": "deepseek",
    "component": "deepseek/api",
    "started_at": "2025-01-27T04:00:00Z",
    "fired_at": "2025-01-27T04:01:00Z",
}


@pytest.mark.parametrize("word", [*Rule, "alertmanager:DiskFull", "of_another_version"])
def test_a_stored_alert_knows_its_rule_again(word: str) -> None:
    stored = json.dumps(ALERT | {"rule": str(word)})
    alert = unpack(Alert, stored)
    assert isinstance(alert.rule, Rule) == (word in set(Rule))
    assert json.loads(pack(Alert, alert)) == json.loads(stored)
