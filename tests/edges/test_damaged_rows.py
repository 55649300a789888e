"""A damaged row costs its own service at most: everybody else's looks, pages and signs of life go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from monitor import flow
from monitor.core.checks.probe_state import new_probe_state, rewind
from monitor.core.commands import ScheduleMaintenance, Silence
from monitor.core.model.incident_events import Cause
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.store import reads
from monitor.store.connection.engine import begin
from tests.edges.flowing import MINUTE, T0, look, play, publish

OTHERS = "oa-api"
DAMAGE = {
    "state of a probe": "UPDATE series SET state = 'garbage' WHERE probe = 'ds-api'",
    "open alert": "UPDATE alert SET body = 'garbage' WHERE service = 'deepseek'",
    "who was told": "UPDATE alert SET told = 'garbage' WHERE service = 'deepseek'",
    "incident": "UPDATE incident SET body = 'garbage' WHERE service = 'deepseek'",
    "event of an incident": "UPDATE incident_event SET data = 'garbage'",
    "registration": "UPDATE component SET registration = 'garbage' WHERE id = 'deepseek/registration'",
    "latency": "UPDATE component SET unusual = 'garbage' WHERE id = 'deepseek/api'",
    "silence": "UPDATE silence SET body = 'garbage'",
    "planned work": "UPDATE maintenance SET body = 'garbage'",
    "vendor's page": "UPDATE upstream SET body = 'garbage'",
    "notice": "UPDATE outbox SET body = 'garbage' WHERE alert IN (SELECT id FROM alert WHERE service = 'deepseek')",
}
PAGE = UpstreamReading("statuspage", "https://status.deepseek.example", Health.OPERATIONAL)
NOT_UTF8 = "UPDATE series SET state = CAST(x'ff7b' AS TEXT) WHERE probe = 'ds-api'"


def outage_and_more(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    flow.record(engine, [look("ds-page", T0 + 5 * MINUTE, upstream=PAGE)], T0 + 5 * MINUTE)
    flow.check_in(engine, "w", "local", T0 + 5 * MINUTE)
    until = T0 + timedelta(hours=3)
    flow.command(engine, Silence(until, service="private"), "alice", T0, "quiet")
    flow.command(engine, ScheduleMaintenance("private", (), "work", T0 + timedelta(hours=2), until), "alice", T0)


@pytest.mark.parametrize("what", DAMAGE)
def test_one_damaged_row_withholds_nothing_from_the_others(engine: Engine, what: str) -> None:
    outage_and_more(engine)
    with begin(engine) as connection:
        connection.execute(text(DAMAGE[what]))
    for minute in range(6, 12):
        at = T0 + minute * MINUTE
        batch = [look("ds-api", at), *(look(OTHERS, at, Reason.DNS, attempt) for attempt in (1, 2, 3))]
        batch += [look("pr-api", at + timedelta(seconds=4))]
        done = flow.record(engine, batch, at + timedelta(seconds=9))
        assert set(done.unjudged) <= {"deepseek"}, what
        flow.sweep(engine, at + timedelta(seconds=20))
        flow.check_in(engine, "w", "local", at + timedelta(seconds=21))
    stored = [result for result in reads.results(engine) if result.run.probe == OTHERS]
    assert {result.reason for result in stored} == {Reason.DNS}
    assert len(stored) == 18
    page = reads.snapshot(engine, T0 + 12 * MINUTE, public=False)
    (other,) = (part for service in page.services for part in service.components if part.id == "openai/api")
    assert other.health is Health.MAJOR
    found = [item for item in reads.incidents(engine, public=False) if item.service == "openai"]
    assert [(item.cause, item.resolved_at) for item in found] == [(Cause.OUTAGE, None)]
    assert flow.lease_notices(engine, "w", T0 + 12 * MINUTE, 100)


def test_a_worker_that_comes_back_beside_a_damaged_row_says_that_it_lives(engine: Engine) -> None:
    outage_and_more(engine)
    with begin(engine) as connection:
        connection.execute(text(DAMAGE["registration"]))
        connection.execute(text(DAMAGE["latency"]))
    flow.check_in(engine, "w", "local", T0 + 30 * MINUTE, started_at=T0 + 29 * MINUTE)
    (worker,) = reads.snapshot(engine, T0 + 30 * MINUTE, public=False).workers
    assert worker.seen_at == T0 + 30 * MINUTE


def test_a_byte_that_is_no_text_is_a_damaged_row_and_no_absent_database(sqlite_engine: Engine) -> None:
    engine = sqlite_engine  # PostgreSQL takes no such byte in the first place
    outage_and_more(engine)
    with begin(engine) as connection:
        connection.execute(text(NOT_UTF8))
    done = flow.record(engine, [look("ds-api", T0 + 6 * MINUTE), look(OTHERS, T0 + 6 * MINUTE)], T0 + 7 * MINUTE)
    assert list(done.unjudged) == ["deepseek"]
    assert done.stored == 1


def test_an_alert_that_cannot_be_read_does_not_keep_the_next_of_its_kind_from_firing(engine: Engine) -> None:
    outage_and_more(engine)
    with begin(engine) as connection:
        connection.execute(text(DAMAGE["open alert"]))
    play(engine, range(6, 8), Reason.SERVER_ERROR)
    (fired,) = (view for view in reads.alerts(engine, open_only=True) if view.alert.component == "deepseek/api")
    assert fired.alert.fired_at > T0 + 5 * MINUTE


@pytest.mark.parametrize("ahead", [timedelta(hours=20), timedelta(hours=1)])
def test_evidence_of_a_clock_that_ran_ahead_grows_old_once_it_is_set_back(engine: Engine, ahead: timedelta) -> None:
    publish(engine)
    flow.record(engine, [look(OTHERS, T0 + ahead)], T0 + ahead + MINUTE)
    for minute in range(1, 8):
        flow.sweep(engine, T0 + minute * MINUTE)
    page = reads.snapshot(engine, T0 + 8 * MINUTE, public=False)
    (other,) = (part for service in page.services for part in service.components if part.id == "openai/api")
    assert other.health is Health.UNKNOWN


def test_a_start_in_the_future_is_clipped_even_where_the_tick_is_right() -> None:
    ahead = replace(new_probe_state("a", "local"), tick=T0, evidence_at=T0 + timedelta(hours=3))
    state = rewind(ahead, T0)
    assert (state.tick, state.evidence_at) == (T0, T0)
