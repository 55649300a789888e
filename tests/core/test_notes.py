"""Warnings of looks: raised once, over when they stay away, and each one's meaning decided."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.core.alerts import reconcile
from monitor.core.conditions import LASTING, own_trouble
from monitor.core.events import Alert
from monitor.core.model import AlertState, Observation, Reason, Result, RunId, Severity
from monitor.core.notes import ALERTS, FIRM_LOOKS, RULE, is_known, noticed
from monitor.core.rules import is_operators
from tests.core.making import T0

API = "deepseek/api"
CODE = re.compile(r'"((?:auth|canary|chat|login|model|probe|protocol|ratelimit|registration|upstream)\.[a-z_]+)"')
SOURCES = Path(__file__).parents[2] / "monitor" / "probes"
NOT_WARNINGS = {"probe.lagged", "registrations.enabled"}


def look(minute: int, *warnings: str, reason: Reason = Reason.OK) -> Result:
    tick = T0 + timedelta(minutes=minute)
    return Result(RunId("ds-page", "local", tick), tick, 0.1, Observation(reason, "two ids", warnings=warnings))


def play(*looks: Result) -> list[Alert]:
    """Return every version of every alert that the looks make."""
    standing: dict[str, Alert] = {}
    seen: list[Alert] = []
    blank = 0
    for result in looks:
        blank = 0 if result.outcome.is_evidence else blank + 1
        now: datetime = result.started_at
        for alert in reconcile(standing.values(), noticed("ds-page@local", API, result, blank, standing), now):
            seen.append(alert)
            if alert.state is AlertState.RESOLVED:
                del standing[alert.key]
            else:
                standing[alert.key] = alert
    return seen


def test_a_warning_is_raised_once_and_over_after_three_good_looks_without_it() -> None:
    frozen = "upstream.frozen"
    told = play(look(0), look(1, frozen), look(2, frozen), look(3), look(4), look(5, frozen), look(6), look(7), look(8))
    assert len({alert.id for alert in told}) == 1
    assert told[0].started_at == T0 + timedelta(minutes=1)
    assert (told[0].rule, told[0].severity) == (RULE, Severity.TICKET)
    assert told[-1].state is AlertState.RESOLVED
    assert told[-1].resolved_at == T0 + timedelta(minutes=8)
    assert dict(told[0].summary) == {"warning": frozen, "probe": "ds-page@local", "detail": "two ids"}


@pytest.mark.parametrize("reason", [Reason.UNREADABLE, Reason.SERVER_ERROR, Reason.NETWORK])
def test_a_look_that_did_not_come_that_far_ends_no_warning(reason: Reason) -> None:
    told = play(look(0, "upstream.frozen"), *(look(minute, reason=reason) for minute in range(1, 9)))
    assert [alert.state for alert in told] == [AlertState.FIRING]


def test_a_page_that_fails_once_alerts_nobody() -> None:
    moved = [look(minute, "upstream.moved", reason=Reason.UNREADABLE) for minute in range(FIRM_LOOKS)]
    assert play(*moved[: FIRM_LOOKS - 1], look(FIRM_LOOKS)) == []
    assert [alert.summary["warning"] for alert in play(*moved)] == ["upstream.moved"]


def test_two_warnings_are_two_alerts() -> None:
    assert len(play(look(0, "upstream.frozen", "upstream.component_vanished", "upstream.bad_time"))) == 2


def test_a_warning_that_a_person_ended_is_listened_for_again_once_it_is_over() -> None:
    (alert,) = play(look(0, "upstream.frozen"))
    (over,) = noticed("ds-page@local", API, look(1), 0, {}, {alert.key})
    assert (over.key, over.holds) == (alert.key, False)


def test_every_warning_that_a_probe_can_give_has_a_meaning() -> None:
    codes = {code for path in SOURCES.glob("*.py") for code in CODE.findall(path.read_text())} - NOT_WARNINGS
    assert len(codes) > 30
    assert sorted(code for code in codes if not is_known(code)) == []
    assert {code for code in ALERTS if code not in codes} <= {"model.changed"}


def test_warnings_are_the_operators_alone() -> None:
    assert is_operators(RULE)


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_what_passes_by_itself_is_told_when_it_does_not_pass(reason: Reason) -> None:
    few, many = (own_trouble("p@local", API, reason, T0, "", blank) for blank in (LASTING[reason] - 1, LASTING[reason]))
    assert few == ()
    assert [(found.holds, found.severity) for found in many] == [
        (True, Severity.INFO if reason is Reason.BUDGET else Severity.TICKET)
    ]
