"""What was our own side's is forgotten once that is known: it never helps a later failure by chance to a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.checks.suspicion import CALM
from monitor.core.model.alert_rules import Rule
from monitor.core.replay import Judge
from monitor.core.scenario import notation
from monitor.core.scenario.draw import draw
from monitor.core.scenario.world_reader import read_world

START = datetime(2026, 1, 5, tzinfo=UTC)
VENDORS = ("deepseek", "openai", "anthropic")
BREAK_S = 600.0


def played(own_s: float, offsets_s: list[float], fails: list[dict[str, Any]], reason: str = "service.error") -> Judge:
    """Judge half an hour in which our own side fails for so long, and the first vendor as ``fails`` says."""
    data = {
        "name": "break",
        "until": "30m",
        "probes": {
            name: {"component": f"{name}/web", "interval": "60s", "offset": f"{offset_s:.1f}s"}
            for name, offset_s in zip(VENDORS, offsets_s, strict=True)
        },
        "world": {VENDORS[0]: fails},
        "own_side": [{"from": f"{BREAK_S}s", "to": f"{BREAK_S + own_s}s", "fails": 1, "reason": reason}]
        if own_s
        else [],
    }
    catalogue = notation.catalogue(data)
    judge = Judge(catalogue, latencies=None)
    for result in draw(read_world(data, catalogue), catalogue, START):
        judge.record([result])
    judge.sweep(START + timedelta(minutes=30))
    return judge


def told(judge: Judge) -> set[str]:
    return {alert.component for alert in judge.fired if alert.rule == Rule.COMPONENT_DOWN}


PHASES = st.lists(st.floats(0.0, 59.0), min_size=3, max_size=3)


@given(st.floats(65.0, 400.0), PHASES, st.sampled_from(["service.error", "service.connect", "service.tls"]))
def test_nothing_speaks_against_a_vendor_a_look_after_our_own_side_is_well(
    own_s: float, offsets_s: list[float], reason: str
) -> None:
    judge = played(own_s, offsets_s, [], reason)
    for name in VENDORS:
        known = judge.store.all_series[name, "local"].state
        assert known.suspicion is CALM
    assert told(judge) == set()


@given(st.floats(65.0, 200.0), PHASES, st.floats(1.0, 150.0))
def test_a_failure_by_chance_after_a_break_of_ours_pages_nobody(
    own_s: float, offsets_s: list[float], later_s: float
) -> None:
    since_s = BREAK_S + own_s + later_s
    blip = {"from": f"{since_s:.1f}s", "to": f"{since_s + 4.0:.1f}s", "fails": 1, "reason": "service.error"}
    assert told(played(own_s, offsets_s, [blip])) == set()


@given(st.floats(10.0, 300.0), PHASES)
def test_an_outage_that_goes_on_when_our_own_side_is_well_is_found(own_s: float, offsets_s: list[float]) -> None:
    outage = {"from": f"{BREAK_S:.1f}s", "to": "25m", "fails": 1, "reason": "service.error"}
    assert told(played(own_s, offsets_s, [outage])) == {"deepseek/web"}


@pytest.mark.parametrize("fails", [0.4, 0.6])
def test_a_partial_outage_of_one_vendor_is_found_though_its_failures_come_between_good_looks(fails: float) -> None:
    outage = {"from": "600s", "to": "30m", "fails": fails, "reason": "service.error"}
    assert told(played(0.0, [0.0, 20.0, 40.0], [outage])) == {"deepseek/web"}
