"""The configuration changes while something is wrong: what is judged goes on, by the new rules."""

from dataclasses import replace

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Policy
from monitor.core.model.reasons import Reason
from monitor.core.model.states import IncidentStatus
from monitor.store import reads
from tests.edges.flowing import CATALOGUE, MINUTE, T0, play, publish

WITHOUT_API = replace(CATALOGUE, probes=tuple(probe for probe in CATALOGUE.probes if probe.id != "ds-api"), version="2")
PATIENT = Policy(shortest_outage_s=1.0, failure_ratio=0.33, false_pages_per_year=1000.0, recovery_window_s=300.0)
"""Nine good looks end an outage."""
PATIENTLY = replace(CATALOGUE, probes=tuple(replace(probe, policy=PATIENT) for probe in CATALOGUE.probes), version="3")


def overdue(engine: Engine) -> set[str]:
    return {view.alert.component for view in reads.alerts(engine, open_only=True) if view.alert.rule == "overdue"}


def test_a_probe_that_comes_back_is_not_overdue_before_it_had_its_turn(engine: Engine) -> None:
    publish(engine)
    flow.check_in(engine, "worker", "local", T0)
    play(engine, range(3))
    publish(engine, WITHOUT_API, T0 + 3 * MINUTE)
    for minute in range(3, 61):  # a worker that was away would look first
        flow.check_in(engine, "worker", "local", T0 + minute * MINUTE)
    publish(engine, CATALOGUE, T0 + 60 * MINUTE)
    flow.sweep(engine, T0 + 60.2 * MINUTE)
    assert "deepseek/api" not in overdue(engine)
    for minute in range(61, 66):
        flow.check_in(engine, "worker", "local", T0 + minute * MINUTE)
    flow.sweep(engine, T0 + 65 * MINUTE)
    assert "deepseek/api" in overdue(engine)


def test_what_comes_back_still_failing_reopens_what_its_removal_had_closed(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    publish(engine, WITHOUT_API, T0 + 6 * MINUTE)
    (closed,) = reads.incidents(engine, public=False)
    assert (closed.status, closed.events[-1].kind.value) == (IncidentStatus.RESOLVED, "probe_removed")
    publish(engine, CATALOGUE, T0 + 9 * MINUTE)
    play(engine, range(9, 12), Reason.SERVER_ERROR)
    (incident,) = reads.incidents(engine, public=False)
    assert (incident.id, incident.events[-1].kind.value) == (closed.id, "reopened")
    play(engine, range(12, 20))
    flow.sweep(engine, T0 + 20 * MINUTE)
    (incident,) = reads.incidents(engine, public=False)
    assert [event.kind.value for event in incident.events[-2:]] == ["recovering", "resolved"]


def test_a_policy_that_changes_during_an_incident_holds_from_the_next_look_on(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 8), Reason.SERVER_ERROR)
    publish(engine, PATIENTLY, T0 + 8 * MINUTE)
    statuses = []
    for minute in range(8, 16):
        play(engine, range(minute, minute + 1))
        (incident,) = reads.incidents(engine, public=False)
        statuses.append(incident.status.value)
    assert statuses == ["investigating"] * 4 + ["monitoring"] + ["resolved"] * 3
    assert incident.resolved_at is not None
    assert incident.resolved_at >= T0 + 13 * MINUTE
