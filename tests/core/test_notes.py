"""Warnings of looks: raised once, over when they stay away, and each one's meaning decided."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from monitor.core.alerts.conditions import LASTING, own_trouble
from monitor.core.alerts.routing import reconcile
from monitor.core.alerts.warnings import ALERTS, FIRM_LOOKS, RULE, noticed
from monitor.core.codec import dumps_result, loads_result
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import is_operators
from monitor.core.model.alerting import AlertState, Severity
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import AnyWarning, WarningCode, WarningText, code_of, detailed
from tests.core.making import T0

API = "deepseek/api"


def look(minute: int, *warnings: AnyWarning, reason: Reason = Reason.OK) -> Result:
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
    frozen = WarningCode.UPSTREAM_FROZEN
    told = play(look(0), look(1, frozen), look(2, frozen), look(3), look(4), look(5, frozen), look(6), look(7), look(8))
    assert len({alert.id for alert in told}) == 1
    assert told[0].started_at == T0 + timedelta(minutes=1)
    assert (told[0].rule, told[0].severity) == (RULE, Severity.TICKET)
    assert told[-1].state is AlertState.RESOLVED
    assert told[-1].resolved_at == T0 + timedelta(minutes=8)
    assert dict(told[0].summary) == {"warning": frozen, "probe": "ds-page@local", "detail": "two ids"}


@pytest.mark.parametrize("reason", [Reason.UNREADABLE, Reason.SERVER_ERROR, Reason.NETWORK])
def test_a_look_that_did_not_come_that_far_ends_no_warning(reason: Reason) -> None:
    told = play(look(0, WarningCode.UPSTREAM_FROZEN), *(look(minute, reason=reason) for minute in range(1, 9)))
    assert [alert.state for alert in told] == [AlertState.FIRING]


def test_a_page_that_fails_once_alerts_nobody() -> None:
    moved = [look(minute, WarningCode.UPSTREAM_MOVED, reason=Reason.UNREADABLE) for minute in range(FIRM_LOOKS)]
    assert play(*moved[: FIRM_LOOKS - 1], look(FIRM_LOOKS)) == []
    assert [alert.summary["warning"] for alert in play(*moved)] == [WarningCode.UPSTREAM_MOVED]


def test_two_warnings_are_two_alerts() -> None:
    assert (
        len(
            play(
                look(
                    0,
                    WarningCode.UPSTREAM_FROZEN,
                    WarningCode.UPSTREAM_COMPONENT_VANISHED,
                    WarningCode.UPSTREAM_BAD_TIME,
                )
            )
        )
        == 2
    )


def test_a_warning_that_a_person_ended_is_listened_for_again_once_it_is_over() -> None:
    (alert,) = play(look(0, WarningCode.UPSTREAM_FROZEN))
    (over,) = noticed("ds-page@local", API, look(1), 0, {}, {alert.key})
    assert (over.key, over.holds) == (alert.key, False)


def test_the_stored_codes_that_alert_are_the_old_ones() -> None:
    assert {code.value for code, loud in ALERTS.items() if loud is Severity.INFO} == {
        "chat.spent_on_reasoning", "model.changed", "model.ends_in_30_days", "ratelimit.low",
        "registration.contradictory",
        "upstream.redirected", "upstream.unknown_word",
    }  # fmt: skip
    assert {code.value for code, loud in ALERTS.items() if loud is Severity.TICKET} == {
        "login.second_factor", "model.ends_in_14_days", "model.ends_in_3_days", "model.not_listed", "model.rerouted",
        "registration.field_missing",
        "registration.not_exposed", "registration.source_moved", "registration.unmapped_value",
        "upstream.ambiguous_name", "upstream.blocked",
        "upstream.component_vanished", "upstream.frozen", "upstream.moved", "upstream.no_components",
        "upstream.shape_changed",
    }  # fmt: skip


def test_a_code_with_a_detail_is_that_code() -> None:
    told = detailed(WarningCode.UPSTREAM_FROZEN, "since: Monday")
    assert (told, code_of(told)) == ("upstream.frozen: since: Monday", WarningCode.UPSTREAM_FROZEN)
    assert [alert.summary["warning"] for alert in play(look(0, told))] == ["upstream.frozen"]


def test_a_code_of_another_version_is_kept_as_text_and_alerts_nobody() -> None:
    seen = look(0, WarningText("of.the_future: x"), WarningCode.UPSTREAM_FROZEN)
    again = loads_result(dumps_result(seen))
    assert again == seen
    assert [str(warning) for warning in again.observation.warnings] == ["of.the_future: x", "upstream.frozen"]
    assert code_of(again.observation.warnings[0]) is None
    assert len(play(again)) == 1


def test_warnings_are_the_operators_alone() -> None:
    assert is_operators(RULE)


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_what_passes_by_itself_is_told_when_it_does_not_pass(reason: Reason) -> None:
    few, many = (own_trouble("p@local", API, reason, T0, "", blank) for blank in (LASTING[reason] - 1, LASTING[reason]))
    assert few == ()
    assert [(found.holds, found.severity) for found in many] == [
        (True, Severity.INFO if reason is Reason.BUDGET else Severity.TICKET)
    ]
