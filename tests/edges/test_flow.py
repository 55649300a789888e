"""The verbs, end to end over both databases: results in, incidents, alerts, notices and views out."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select

from monitor import flow
from monitor.core import commands as c
from monitor.core.catalogue import Catalogue, Publishing
from monitor.core.components.health import stale_after
from monitor.core.components.slo import Budget
from monitor.core.model.alerting import AlertState, Sending, Verdict, Why
from monitor.core.model.incident_events import ComponentBetter, EventKind, RegistrationChanged
from monitor.core.model.observations import ChatTimes
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.store import reads, tables
from monitor.store.connection.engine import begin, reading
from monitor.store.reads.views import ComponentView, IncidentView
from monitor.store.tables import table
from tests.edges.flowing import CATALOGUE, MINUTE, PROBES, T0, look, play, publish, readings, with_policy


def component(engine: Engine, name: str, minute: float) -> ComponentView:
    shot = reads.snapshot(engine, T0 + minute * MINUTE, public=False)
    return next(view for service in shot.services for view in service.components if view.id == name)


def the_incident(engine: Engine) -> IncidentView:
    (found,) = reads.incidents(engine, public=True)
    return found


def kinds(incident: IncidentView) -> list[EventKind]:
    return [event.kind for event in incident.events]


def test_an_outage_opens_recovers_and_is_resolved_with_its_notices(engine: Engine) -> None:
    publish(engine)
    play(engine, range(5))
    play(engine, range(5, 10), Reason.SERVER_ERROR)
    incident = the_incident(engine)
    assert incident.started_at == T0 + 5 * MINUTE
    assert incident.impact is Impact.CRITICAL
    assert component(engine, "deepseek/api", 9.6).health is Health.MAJOR
    play(engine, range(10, 15))
    incident = the_incident(engine)
    assert incident.status is IncidentStatus.RESOLVED
    assert kinds(incident) == [EventKind.OPENED, EventKind.RECOVERING, EventKind.RESOLVED]
    (alert,) = reads.alerts(engine)
    assert alert.alert.state is AlertState.RESOLVED
    assert [decision.why for decision in alert.decisions if decision.send] == [Why.FIRST, Why.RESOLVED]


def test_repeating_a_batch_in_any_cut_and_order_equals_recording_it_once(engine: Engine) -> None:
    publish(engine)
    batch = [look("ds-api", T0 + i * MINUTE, Reason.SERVER_ERROR if 3 <= i < 6 else Reason.OK) for i in range(12)]
    batch += [look("oa-api", T0 + i * MINUTE) for i in range(12)]
    now = T0 + 12 * MINUTE
    assert flow.record(engine, batch, now).stored == 24
    before = reads.snapshot(engine, now, public=False), reads.alerts(engine)
    rng = random.Random(7)
    for _ in range(3):
        again = rng.sample(batch, k=rng.randrange(1, len(batch)))
        done = flow.record(engine, again, now)
        assert (done.stored, done.duplicates, done.incidents) == (0, len(again), set())
    assert (reads.snapshot(engine, now, public=False), reads.alerts(engine)) == before


def test_batches_cut_anywhere_give_the_same_incidents(engine: Engine) -> None:
    """Judgement follows event time, so how results were packed does not matter."""
    publish(engine)
    reasons = [Reason.OK] * 4 + [Reason.SERVER_ERROR] * 4 + [Reason.OK] * 9
    stream = [look("ds-api", T0 + i * MINUTE, reason) for i, reason in enumerate(reasons)]
    flow.record(engine, stream, T0 + 20 * MINUTE)
    whole = [(event.kind, event.at) for event in the_incident(engine).events]
    for result in stream:
        assert flow.record(engine, [result], T0 + 20 * MINUTE).duplicates == 1
    assert whole == [
        (EventKind.OPENED, T0 + 4 * MINUTE),
        (EventKind.RECOVERING, T0 + 7.5 * MINUTE),
        (EventKind.RESOLVED, T0 + 15 * MINUTE + timedelta(seconds=0.3)),
    ]


@pytest.mark.parametrize("reason", [Reason.AUTH, Reason.QUOTA, Reason.CONFIG, Reason.INTERNAL, Reason.NOT_RUNNING])
def test_our_own_trouble_opens_no_incident_and_is_not_public(engine: Engine, reason: Reason) -> None:
    publish(engine)
    play(engine, range(5))
    play(engine, range(5, 15), reason)
    assert reads.incidents(engine, public=False) == ()
    shown = component(engine, "deepseek/api", 14.6)
    assert shown.health is Health.UNKNOWN
    rules = {view.alert.rule for view in reads.alerts(engine)}
    assert "component_down" not in rules
    if reason in (Reason.AUTH, Reason.QUOTA):
        assert rules == {"account"}


def test_a_warning_becomes_an_operators_alert_and_ends_when_it_stays_away(engine: Engine) -> None:
    publish(engine)
    reading = UpstreamReading("statuspage", "https://status.example", Health.OPERATIONAL)
    for minute, warnings in enumerate([(), ("upstream.component_vanished",), ("upstream.component_vanished",), (), ()]):
        at = T0 + minute * MINUTE
        flow.record(engine, [look("ds-page", at, upstream=reading, warnings=warnings)], at + MINUTE)
    (alert,) = reads.alerts(engine, open_only=True)
    assert (alert.alert.rule, alert.alert.summary["warning"]) == ("warning", "upstream.component_vanished")
    assert len(alert.notices) == 1
    flow.record(engine, [look("ds-page", T0 + 5 * MINUTE, upstream=reading)], T0 + 6 * MINUTE)
    assert reads.alerts(engine, open_only=True) == ()
    assert reads.incidents(engine, public=False) == ()


def test_what_the_chat_probes_cost_is_added_up_per_probe_and_day(engine: Engine) -> None:
    publish(engine)
    priced = ChatTimes(input_tokens=12, output_tokens=8, cost_usd=0.002)
    noon = T0 + timedelta(hours=4)
    asked = [look("ds-api", noon + minute * MINUTE, chat=priced) for minute in (0, 5, 15)]
    yesterday = look("ds-api", noon - timedelta(days=1), chat=ChatTimes(output_tokens=3))
    edge = look("ds-api", noon + 20 * MINUTE)
    flow.record(engine, [yesterday, *asked, edge], noon + 30 * MINUTE, backfill=True)
    today, before = reads.costs(engine, noon + 30 * MINUTE)
    assert (today.day, today.asks, today.tokens_in, today.tokens_out) == (noon.date(), 3, 36, 24)
    assert today.usd == pytest.approx(0.006)
    assert today.pace_s == 450.0
    assert (before.asks, before.tokens_out, before.usd, before.pace_s) == (1, 3, None, None)


def test_neither_a_pause_nor_a_second_look_changes_the_pace_of_a_chat_probe(engine: Engine) -> None:
    publish(engine)
    noon, minutes = T0 + timedelta(hours=4), (0, 5, 10, 15, 100, 105, 105.1, 110)
    asked = [look("ds-api", noon + minute * MINUTE, chat=ChatTimes(output_tokens=3)) for minute in minutes]
    flow.record(engine, asked, noon + 111 * MINUTE, backfill=True)
    (today,) = reads.costs(engine, noon + 111 * MINUTE)
    assert today.pace_s == 300.0


def test_evidence_that_runs_out_makes_the_component_unknown_not_well(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    for minute in range(6, 30):
        flow.sweep(engine, T0 + minute * MINUTE)
        flow.check_in(engine, "w", "local", T0 + minute * MINUTE)
    assert component(engine, "deepseek/api", 29).health is Health.UNKNOWN
    assert the_incident(engine).resolved_at is None


def test_every_second_of_the_wall_is_in_one_part(engine: Engine) -> None:
    publish(engine)
    play(engine, range(10))
    play(engine, range(10, 20), Reason.SERVER_ERROR)
    play(engine, range(20, 30), Reason.AUTH)
    play(engine, range(30, 40))
    shown = component(engine, "deepseek/api", 40)
    up = shown.uptime
    parts = (up.up_s, up.degraded_s, up.down_s, up.maintenance_s, up.unknown_s)
    assert sum(parts) == up.window_s == 2400.0
    # A refused key ends what its looks said before: from the first refusal on nobody knows.
    assert up.down_s == up.unknown_s == 10 * 60


@pytest.mark.parametrize("missed", [False, True])
def test_evidence_that_ran_out_before_the_next_look_leaves_unknown_time_though_nobody_swept(
    engine: Engine, missed: bool
) -> None:
    publish(engine)
    for minute in range(10):
        flow.record(engine, [look("ds-api", T0 + minute * MINUTE)], T0 + minute * MINUTE + timedelta(seconds=1))
    back = T0 + 60 * MINUTE
    if missed:
        never = [look("ds-api", T0 + minute * MINUTE, Reason.NOT_RUNNING) for minute in range(10, 60)]
        flow.record(engine, never, back, backfill=True)
    flow.record(engine, [look("ds-api", back)], back + timedelta(seconds=1))
    flow.check_in(engine, "w", "local", back + timedelta(seconds=2), started_at=back)
    shown = component(engine, "deepseek/api", 60 + 1 / 60)
    assert shown.health is Health.OPERATIONAL
    held_s = stale_after(PROBES[0]).total_seconds()
    assert shown.uptime.unknown_s == pytest.approx(51 * 60 - held_s, abs=1)
    assert shown.uptime.up_s == pytest.approx(9 * 60 + held_s, abs=2)


def test_a_dead_worker_leaves_unknown_time_not_the_last_green(engine: Engine) -> None:
    publish(engine)
    for minute in range(10):
        flow.record(engine, [look("ds-api", T0 + minute * MINUTE)], T0 + minute * MINUTE + timedelta(seconds=1))
        flow.check_in(engine, "w", "local", T0 + minute * MINUTE + timedelta(seconds=2))
    dead = T0 + 9 * MINUTE + timedelta(seconds=2)
    shot = reads.snapshot(engine, T0 + 60 * MINUTE, public=True)
    assert shot.stale
    assert all(view.health is Health.UNKNOWN for service in shot.services for view in service.components)
    back = T0 + 60 * MINUTE
    flow.check_in(engine, "w", "local", back)
    assert component(engine, "deepseek/api", 60).health is Health.UNKNOWN  # nobody looked yet
    flow.record(engine, [look("ds-api", back)], back + timedelta(seconds=1))
    shown = component(engine, "deepseek/api", 60 + 1 / 60)
    assert shown.health is Health.OPERATIONAL
    assert shown.uptime.unknown_s == pytest.approx((back - dead).total_seconds(), abs=0.5)
    assert shown.uptime.up_s == pytest.approx(542 + 1, abs=0.5)


def test_time_in_which_only_the_database_was_away_stays_known(engine: Engine) -> None:
    publish(engine)
    born = T0 - MINUTE
    flow.record(engine, [look("ds-api", T0)], T0 + timedelta(seconds=1))
    flow.check_in(engine, "w", "local", T0 + timedelta(seconds=2), started_at=born)
    late = T0 + 30 * MINUTE
    flow.record(engine, [look("ds-api", T0 + i * MINUTE) for i in range(1, 30)], late, backfill=True)
    flow.check_in(engine, "w", "local", late, started_at=born)
    assert component(engine, "deepseek/api", 30).uptime.unknown_s == 0


def test_the_past_is_judged_without_paging_for_it(engine: Engine) -> None:
    publish(engine)
    stream = [look("ds-api", T0 + i * MINUTE, Reason.OK if i < 5 or i > 9 else Reason.CONTENT) for i in range(20)]
    done = flow.record(engine, stream, T0 + 40 * MINUTE, backfill=True)
    assert the_incident(engine).status is IncidentStatus.RESOLVED
    assert done.notices == 0
    (alert,) = reads.alerts(engine)
    assert {decision.why for decision in alert.decisions} <= {Why.LATE_DATA, Why.NEVER_TRIGGERED}


def test_registration_cut_to_a_country_code_is_an_incident_of_its_own(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3), probe="ds-reg", registration=readings(email=Registration.OPEN, phone=Registration.OPEN))
    cut = readings(email=Registration.CLOSED, phone=Registration.RESTRICTED)
    play(engine, range(3, 6), probe="ds-reg", registration=cut)
    incident = the_incident(engine)
    changed = [event.what for event in incident.events if isinstance(event.what, RegistrationChanged)]
    assert {(what.method, what.after) for what in changed} == {
        ("email", "closed"),
        ("phone", "restricted"),
    }
    assert next(what.country_codes for what in changed if what.method == "phone") == ("86",)
    shown = component(engine, "deepseek/registration", 5.6)
    assert shown.health is Health.PARTIAL
    assert shown.registration is not None
    assert shown.registration.overall is Health.PARTIAL
    assert [view.alert.rule for view in reads.alerts(engine)] == ["registration_changed"]


def vendor_says(at_minute: float, status: IncidentStatus = IncidentStatus.INVESTIGATING) -> UpstreamReading:
    said = T0 + at_minute * MINUTE
    update = UpstreamUpdate(said, status, "<b>We are looking</b>")
    item = UpstreamIncident("up1", "API errors", status, Impact.MAJOR, said, updates=(update,))
    return UpstreamReading("statuspage", "https://status.example", Health.PARTIAL, incidents=(item,))


def test_the_vendors_words_become_timeline_entries_once_and_tell_our_lead(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    for minute in range(6, 10):
        play(engine, [minute], probe="ds-page", upstream=vendor_says(6))
    incident = the_incident(engine)
    assert kinds(incident).count(EventKind.UPSTREAM_SAID) == 1
    assert incident.lead_s == pytest.approx(180, abs=5)
    shot = reads.snapshot(engine, T0 + 10 * MINUTE, public=True)
    view = shot.services[0].upstream
    assert view is not None
    assert view.reading == vendor_says(6)
    assert view.failed_since is None


def test_what_the_vendor_said_just_before_we_saw_it_is_told_too(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, [3], probe="ds-page", upstream=vendor_says(3))
    play(engine, range(5, 7), Reason.SERVER_ERROR)
    incident = the_incident(engine)
    assert EventKind.UPSTREAM_SAID in kinds(incident)
    assert incident.lead_s is not None
    assert incident.lead_s < 0


def test_an_unreadable_vendor_page_keeps_the_last_reading_with_its_age(engine: Engine) -> None:
    publish(engine)
    play(engine, [0], probe="ds-page", upstream=vendor_says(0))
    play(engine, range(1, 4), Reason.UNREADABLE, probe="ds-page")
    view = reads.snapshot(engine, T0 + 4 * MINUTE, public=True).services[0].upstream
    assert view is not None
    assert view.reading is not None
    assert view.failed_since == T0 + MINUTE
    assert reads.incidents(engine, public=False) == ()


def test_nothing_private_is_in_a_public_snapshot(engine: Engine) -> None:
    publish(engine)
    for probe in ("pr-api", "ds-hid", "ds-api"):
        play(engine, range(3), probe=probe)
    play(engine, range(6), probe="oa-api")  # it goes on answering, so the others' failures are their own
    for probe in ("pr-api", "ds-hid"):
        play(engine, range(3, 6), Reason.SERVER_ERROR, probe=probe)
    shot = reads.snapshot(engine, T0 + 6 * MINUTE, public=True)
    assert [service.id for service in shot.services] == ["deepseek", "openai"]
    assert [view.id for view in shot.services[0].components] == ["deepseek/api", "deepseek/registration"]
    assert shot.open_incidents == ()
    seen = reads.snapshot(engine, T0 + 6 * MINUTE, public=False)
    assert {incident.service for incident in seen.open_incidents} == {"private", "deepseek"}
    for incident in seen.open_incidents:
        assert reads.incident(engine, incident.id, public=True) is None
        assert reads.incident(engine, incident.id, public=False) == replace(incident, now=None)
    play(engine, range(6, 8), probe="oa-api")
    play(engine, range(6, 8), Reason.SERVER_ERROR)
    (mixed,) = reads.incidents(engine, public=True)
    assert "hidden" not in str(mixed)


def test_a_removed_probe_closes_its_incident_as_removed_not_as_recovered(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3), probe="oa-api")
    play(engine, range(3, 6), Reason.SERVER_ERROR, probe="oa-api")
    rest = Catalogue(CATALOGUE.services, CATALOGUE.components[:3], CATALOGUE.probes[:4], CATALOGUE.routes, "2")
    flow.publish_catalogue(engine, rest, T0 + 7 * MINUTE)
    (incident,) = reads.incidents(engine, public=False)
    assert kinds(incident)[-1] is EventKind.PROBE_REMOVED
    assert incident.resolved_at is not None
    assert reads.alerts(engine, open_only=True) == ()
    assert "openai/api" not in str(reads.snapshot(engine, T0 + 8 * MINUTE, public=True).services)
    late = flow.record(engine, [look("oa-api", T0 + 7 * MINUTE)], T0 + 8 * MINUTE)
    assert (late.stored, late.unknown_probes) == (0, 1)


def test_a_changed_threshold_keeps_the_state_of_an_open_incident(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    flow.publish_catalogue(engine, with_policy(shortest_outage_s=2.0), T0 + 6 * MINUTE)
    play(engine, range(6, 9), Reason.SERVER_ERROR)
    assert kinds(the_incident(engine)) == [EventKind.OPENED]


def test_a_review_that_nobody_makes_ends_by_itself(engine: Engine) -> None:
    publish(engine, with_policy(publish_critical=Publishing.REVIEW, review_limit_s=300.0))
    play(engine, range(3))
    play(engine, range(3, 7), Reason.SERVER_ERROR)
    assert reads.incidents(engine, public=True) == ()
    play(engine, range(7, 10), Reason.SERVER_ERROR)
    assert EventKind.PUBLISHED in kinds(the_incident(engine))


def test_acknowledging_twice_has_one_winner_and_one_audit_row(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    (view,) = reads.alerts(engine, open_only=True)
    first = flow.command(engine, c.AcknowledgeAlert(view.alert.id), "alice", T0 + 5 * MINUTE, "mine")
    second = flow.command(engine, c.AcknowledgeAlert(view.alert.id), "bob", T0 + 5 * MINUTE)
    assert (first.changed, second.changed) == (True, False)
    found = reads.alert(engine, view.alert.id)
    assert found is not None
    assert found.alert.acknowledged_by == "alice"
    assert [line.who for line in reads.audit(engine)] == ["alice"]
    play(engine, range(5, 80), Reason.SERVER_ERROR)
    found = reads.alert(engine, view.alert.id)
    assert found is not None
    assert [decision.why for decision in found.decisions if decision.send] == [Why.FIRST]


def test_a_person_resolves_an_alert_and_it_stays_so_while_its_condition_lasts(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    (view,) = reads.alerts(engine)
    flow.command(engine, c.ResolveAlert(view.alert.id), "alice", T0 + 5 * MINUTE)
    play(engine, range(5, 9), Reason.SERVER_ERROR)
    assert [item.alert.state for item in reads.alerts(engine)] == [AlertState.RESOLVED]


def test_a_silence_holds_notices_back_and_says_so(engine: Engine) -> None:
    publish(engine)
    flow.command(engine, c.Silence(T0 + 60 * MINUTE, service="deepseek"), "alice", T0, "planned")
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    (view,) = reads.alerts(engine)
    assert [decision.why for decision in view.decisions] == [Why.SILENCED]
    (silence,) = reads.silences(engine, T0 + MINUTE)
    flow.command(engine, c.Unsilence(silence.id), "bob", T0 + 6 * MINUTE)
    play(engine, [6], Reason.SERVER_ERROR)
    found = reads.alert(engine, view.alert.id)
    assert found is not None
    assert [decision.why for decision in found.decisions if decision.send] == [Why.SILENCE_OVER]
    assert reads.silences(engine, T0 + 7 * MINUTE) == ()


def test_a_silence_of_everything_must_be_meant(engine: Engine) -> None:
    publish(engine)
    with pytest.raises(flow.CommandError, match="everything"):
        flow.command(engine, c.Silence(T0 + MINUTE), "alice", T0)
    with pytest.raises(flow.CommandError, match="before it begins"):
        flow.command(engine, c.Silence(T0 - MINUTE, service="deepseek"), "alice", T0)
    assert reads.audit(engine) == ()
    assert flow.command(engine, c.Silence(T0 + MINUTE, everything=True), "alice", T0).changed


def test_maintenance_lies_over_the_health_and_holds_back_incidents(engine: Engine) -> None:
    publish(engine)
    order = c.ScheduleMaintenance("deepseek", ("deepseek/api",), "Move", T0 + 5 * MINUTE, T0 + 15 * MINUTE, "Words")
    made = flow.command(engine, order, "alice", T0)
    play(engine, range(5))
    play(engine, range(5, 12), Reason.SERVER_ERROR)
    shown = component(engine, "deepseek/api", 12)
    assert shown.maintenance
    assert shown.uptime.maintenance_s == 420
    assert shown.uptime.down_s == 0
    assert reads.incidents(engine, public=False) == ()
    (window,) = reads.snapshot(engine, T0 + 12 * MINUTE, public=True).maintenances
    assert (window.title, window.text, window.id) == ("Move", "Words", made.subject)
    flow.command(engine, c.CancelMaintenance(made.subject), "alice", T0 + 12 * MINUTE)
    play(engine, range(12, 14), Reason.SERVER_ERROR)
    assert the_incident(engine).started_at >= T0 + 12 * MINUTE
    assert component(engine, "deepseek/api", 14).uptime.maintenance_s == 420


def test_maintenance_on_every_first_sunday_holds_back_incidents_on_that_day_only(engine: Engine) -> None:
    publish(engine)  # T0 is a Monday; 1 February 2026 is the first Sunday of the month after
    begins = T0 + timedelta(days=27)
    order = c.ScheduleMaintenance(
        "deepseek", (), "Backup", begins, begins + 10 * MINUTE, "", "monthly on first sunday", "Asia/Shanghai"
    )
    flow.command(engine, order, "alice", T0)
    later = begins + timedelta(days=28)  # 1 March, the next first Sunday
    play(engine, range(3), start=later)
    play(engine, range(3, 7), Reason.SERVER_ERROR, start=later)
    play(engine, range(7, 10), start=later)
    assert reads.incidents(engine, public=False) == ()
    between = later + timedelta(days=7)
    play(engine, range(3), start=between)
    play(engine, range(3, 8), Reason.SERVER_ERROR, start=between)
    assert the_incident(engine).started_at == between + 3 * MINUTE
    for wrong in ("yearly", "monthly on second sunday"):
        with pytest.raises(flow.CommandError):
            flow.command(engine, replace(order, repeat=wrong), "alice", T0)


def test_people_write_the_history_of_an_incident(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    name = the_incident(engine).id
    update = c.PostUpdate(name, "We see it too", IncidentStatus.IDENTIFIED, title="API errors")
    flow.command(engine, update, "alice", T0 + 6 * MINUTE)
    play(engine, range(6, 8), Reason.SERVER_ERROR)
    shown = the_incident(engine)
    assert (shown.status, shown.title) == (IncidentStatus.IDENTIFIED, "API errors")
    flow.command(engine, c.ResolveIncident(name, "Done"), "alice", T0 + 9 * MINUTE)
    flow.command(engine, c.WritePostmortem(name, "It was DNS"), "alice", T0 + 10 * MINUTE)
    with pytest.raises(flow.CommandError, match="postmortem to monitoring"):
        flow.command(engine, c.PostUpdate(name, "late", IncidentStatus.MONITORING), "alice", T0 + 11 * MINUTE)
    with pytest.raises(flow.CommandError, match="no incident"):
        flow.command(engine, c.WritePostmortem("nowhere", "no"), "alice", T0)
    shown = the_incident(engine)
    assert shown.status is IncidentStatus.POSTMORTEM
    assert [event.by for event in shown.events if event.by] == ["alice"] * 4
    flow.command(engine, c.HideIncident(name), "bob", T0 + 12 * MINUTE)
    assert reads.incidents(engine, public=True) == ()


def test_an_incident_that_the_rules_did_not_see_can_be_opened_by_hand(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    order = c.OpenIncident("deepseek", ("deepseek/api",), Impact.MINOR, "Odd answers", "Users report nonsense")
    made = flow.command(engine, order, "alice", T0 + 3 * MINUTE)
    shown = the_incident(engine)
    assert (shown.id, shown.title, shown.impact) == (made.subject, "Odd answers", Impact.MINOR)
    with pytest.raises(flow.CommandError, match="is open"):
        flow.command(engine, order, "bob", T0 + 4 * MINUTE)
    with pytest.raises(flow.CommandError, match="catalogue"):
        flow.command(engine, replace(order, components=("x/y",)), "bob", T0 + 4 * MINUTE)


def test_verdicts_and_misses_are_kept_for_the_review(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    (view,) = reads.alerts(engine, unreviewed=True)
    flow.command(engine, c.JudgeAlert(view.alert.id, Verdict.ACTIONABLE, "restarted"), "alice", T0 + 6 * MINUTE)
    flow.command(engine, c.ReportMissed("openai", "openai/api", T0, T0 + MINUTE, "slow"), "alice", T0 + 6 * MINUTE)
    assert reads.alerts(engine, unreviewed=True) == ()
    assert {item.verdict for item in reads.alerts(engine)} == {Verdict.ACTIONABLE, Verdict.MISSED}


def test_the_projection_can_be_rebuilt_from_the_events(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    play(engine, range(6, 12))
    before = reads.incidents(engine, public=False)
    incident = table(tables.Incident)
    with begin(engine) as connection:
        connection.execute(incident.delete())
    assert flow.rebuild(engine) == 1
    assert reads.incidents(engine, public=False) == before


def test_a_notice_is_leased_once_retried_and_settled_under_one_key(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    now = T0 + 5 * MINUTE
    (notice,) = flow.lease_notices(engine, "a", now)
    assert flow.lease_notices(engine, "b", now) == ()
    retry = now + timedelta(seconds=5)
    assert flow.settle_notice(engine, notice.id, Sending.RETRYING, now, owner="a", error="500", retry_at=retry)
    assert flow.lease_notices(engine, "b", now) == ()
    (again,) = flow.lease_notices(engine, "b", retry)
    assert (again.key, again.tries, again.why) == (notice.key, 1, Why.FIRST)
    assert not flow.settle_notice(engine, notice.id, Sending.SENT, retry, owner="a")
    assert flow.settle_notice(engine, notice.id, Sending.SENT, retry, owner="b")
    assert flow.outbox_counts(engine) == {Sending.SENT: 1}
    (shown,) = reads.alerts(engine)[0].notices
    assert (shown.sending, shown.tries) == (Sending.SENT, 2)


def test_a_sender_that_dies_gives_the_notice_back(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    now = T0 + 5 * MINUTE
    (lost,) = flow.lease_notices(engine, "a", now)
    (found,) = flow.lease_notices(engine, "b", now + timedelta(seconds=61))
    assert found.key == lost.key


def test_what_a_dead_process_of_the_same_worker_held_is_sent_again_at_once(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    now = T0 + 5 * MINUTE
    (held,) = flow.lease_notices(engine, "paris_1/17", now)
    assert flow.take_back_notices(engine, "paris-1", now) == 0
    assert flow.take_back_notices(engine, "paris_", now) == 0
    assert flow.lease_notices(engine, "paris_1/18", now) == ()
    assert flow.take_back_notices(engine, "paris_1", now) == 1
    (again,) = flow.lease_notices(engine, "paris_1/18", now)
    assert again.key == held.key
    assert not flow.settle_notice(engine, held.id, Sending.SENT, now, owner="paris_1/17")
    assert flow.settle_notice(engine, again.id, Sending.SENT, now, owner="paris_1/18")
    assert flow.take_back_notices(engine, "paris_1", now) == 0


@pytest.mark.parametrize("taken_back", [True, False])
def test_an_end_gets_a_key_of_its_own_once_its_start_may_have_been_sent(engine: Engine, taken_back: bool) -> None:
    """The sender dies between sending and writing that down; a receiver drops what it got under the same key."""
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    (start,) = flow.lease_notices(engine, "w/1", T0 + 5 * MINUTE)
    if taken_back:
        flow.take_back_notices(engine, "w", T0 + 5 * MINUTE)
    play(engine, range(5, 12))
    (first,) = flow.lease_notices(engine, "w/2", T0 + 13 * MINUTE)
    assert (first.key, first.why) == (start.key, Why.FIRST)
    flow.settle_notice(engine, first.id, Sending.SENT, T0 + 13 * MINUTE, owner="w/2")
    (end,) = flow.lease_notices(engine, "w/2", T0 + 13 * MINUTE)
    assert end.why is Why.RESOLVED
    assert end.key != start.key


def test_an_end_never_overtakes_its_start(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    now = T0 + 5 * MINUTE
    (first,) = flow.lease_notices(engine, "a", now)
    flow.settle_notice(engine, first.id, Sending.RETRYING, now, owner="a", retry_at=now + 60 * MINUTE)
    play(engine, range(5, 12))
    assert flow.lease_notices(engine, "a", now + 8 * MINUTE) == ()
    (start,) = flow.lease_notices(engine, "a", now + 61 * MINUTE)
    assert start.why is Why.FIRST
    flow.settle_notice(engine, start.id, Sending.SENT, now + 61 * MINUTE, owner="a")
    (end,) = flow.lease_notices(engine, "a", now + 61 * MINUTE)
    assert end.why is Why.RESOLVED


def test_an_end_before_the_first_try_makes_one_message_of_both(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 5), Reason.SERVER_ERROR)
    play(engine, range(5, 12))
    (only,) = flow.lease_notices(engine, "a", T0 + 13 * MINUTE)
    assert only.why is Why.RESOLVED
    assert only.alert.resolved_at is not None
    assert only.alert.started_at == T0 + 3 * MINUTE


def test_a_dead_notice_alerts_the_operator_and_a_sent_one_ends_that(engine: Engine) -> None:
    publish(engine)
    flow.command(engine, c.SendTest("pager"), "alice", T0)
    (notice,) = flow.lease_notices(engine, "a", T0)
    assert notice.alert.rule == "test"
    flow.settle_notice(engine, notice.id, Sending.DEAD, T0, owner="a", error="the receiver answered 404")
    (view,) = reads.alerts(engine, open_only=True)
    assert view.alert.rule == "delivery"
    assert "404" in str(view.alert.summary)
    (told,) = flow.lease_notices(engine, "a", T0)
    flow.settle_notice(engine, told.id, Sending.SENT, T0 + MINUTE, owner="a")
    assert reads.alerts(engine, open_only=True) == ()


def test_a_blind_worker_alerts_the_operator_and_is_shown(engine: Engine) -> None:
    publish(engine)
    flow.check_in(engine, "w", "local", T0, blind="all 2 control targets fail", spooled=0)
    flow.check_in(engine, "w", "local", T0 + MINUTE, blind="all 2 control targets fail")
    shot = reads.snapshot(engine, T0 + MINUTE, public=True)
    assert shot.blind_since == T0
    assert [view.alert.rule for view in reads.alerts(engine, open_only=True)] == ["blind"]
    for minute in range(2, 8):
        flow.check_in(engine, "w", "local", T0 + minute * MINUTE)
        assert reads.snapshot(engine, T0 + minute * MINUTE, public=True).blind_since is None
    assert reads.alerts(engine, open_only=True) == ()


def test_when_everything_fails_alike_it_is_our_network(engine: Engine) -> None:
    publish(engine)
    for probe in ("ds-api", "oa-api", "pr-api"):
        play(engine, range(3), probe=probe)
    blind: dict[str, str] = {}
    for minute in range(3, 20):
        at = T0 + minute * MINUTE
        batch = [look(probe, at, Reason.CONNECT, n) for probe in ("ds-api", "oa-api", "pr-api") for n in (1, 2)]
        blind |= flow.record(engine, batch, at + timedelta(seconds=3)).blind
        flow.sweep(engine, at + timedelta(seconds=30))
    assert "local" in blind
    assert reads.incidents(engine, public=False) == ()
    assert component(engine, "deepseek/api", 19.6).health is Health.UNKNOWN
    for minute in range(20, 24):
        at = T0 + minute * MINUTE
        flow.record(engine, [look(p, at) for p in ("ds-api", "oa-api", "pr-api")], at + timedelta(seconds=1))
    assert component(engine, "deepseek/api", 24).health is Health.OPERATIONAL
    assert reads.incidents(engine, public=False) == ()


def test_rolling_up_twice_equals_once_and_equals_the_raw_results(engine: Engine) -> None:
    publish(engine)
    stream = [look("ds-api", T0 + i * MINUTE, Reason.SERVER_ERROR if i % 10 == 0 else Reason.OK) for i in range(200)]
    for start in range(0, 200, 50):
        flow.record(engine, stream[start : start + 50], T0 + (start + 50) * MINUTE)
        flow.roll_up(engine, T0 + (start + 50) * MINUTE)
        flow.roll_up(engine, T0 + (start + 50) * MINUTE)
    points = reads.latency(engine, "deepseek/api", T0, T0 + 200 * MINUTE, 3600)
    assert [point.looks for point in points] == [60, 60, 60, 20]
    assert sum(point.failures["service.error"] for point in points) == 20
    assert all(point.p50_s == pytest.approx(0.23, rel=0.01) for point in points)
    finer = reads.latency(engine, "deepseek/api", T0, T0 + 200 * MINUTE, 600)
    assert sum(point.looks for point in finer) == 200
    shown = component(engine, "deepseek/api", 200)
    assert shown.latency is not None
    assert shown.latency.looks == 200


def test_results_that_come_late_reach_buckets_that_are_closed(engine: Engine) -> None:
    publish(engine)
    flow.record(engine, [look("ds-api", T0 + i * MINUTE) for i in range(30)], T0 + 30 * MINUTE)
    flow.roll_up(engine, T0 + timedelta(days=2))
    flow.record(engine, [look("ds-api", T0 + i * MINUTE) for i in range(30, 60)], T0 + timedelta(days=2), backfill=True)
    flow.roll_up(engine, T0 + timedelta(days=2))
    day = table(tables.RollupDay)
    with reading(engine) as connection:
        counts = connection.scalars(select(day.c.counts)).all()
    assert counts == ['{"0":60}']


def test_closed_days_are_fixed_and_what_comes_late_reopens_them(engine: Engine) -> None:
    publish(engine)
    flow.record(engine, [look("ds-api", T0)], T0 + MINUTE)
    later = T0 + timedelta(days=3)
    flow.sweep(engine, T0 + timedelta(hours=1))
    flow.roll_up(engine, later)
    day = table(tables.ComponentDay)
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(day)) == 3 * 5
    flow.check_in(engine, "w", "local", later)
    bars = component(engine, "deepseek/api", 3 * 1440).days
    assert len(bars) == 4
    first = bars[0]
    assert first.operational_s == 190
    assert first.unknown_s == 16 * 3600 - 190
    assert sum((bar.operational_s + bar.unknown_s) for bar in bars) == 3 * 86400


def test_the_error_budget_counts_thirty_days_of_known_time_alone(engine: Engine) -> None:
    publish(engine, with_policy(slo_target_ratio=0.9))
    play(engine, range(60))
    play(engine, range(60, 70), Reason.SERVER_ERROR)
    play(engine, range(70, 600))
    flow.sweep(engine, T0 + timedelta(hours=11))
    flow.roll_up(engine, T0 + timedelta(days=5))
    flow.check_in(engine, "w", "local", T0 + timedelta(days=5))
    part = component(engine, "deepseek/api", 5 * 1440)
    assert part.budget is not None
    assert part.budget.target_ratio == 0.9
    assert part.budget.known_s == pytest.approx(600 * 60, abs=200)
    assert part.budget.down_s == pytest.approx(600, abs=60)
    assert part.budget.left_ratio == pytest.approx(1 - 600 / 3600, abs=0.02)
    flow.roll_up(engine, T0 + timedelta(days=40))
    flow.check_in(engine, "w", "local", T0 + timedelta(days=40))
    assert component(engine, "deepseek/api", 40 * 1440).budget == Budget(0.9, 0.0, 0.0)


def test_ageing_out_keeps_what_pages_and_incidents_need(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    play(engine, range(6, 12))
    flow.roll_up(engine, T0 + 20 * MINUTE)
    later = T0 + timedelta(days=100)
    flow.record(engine, [look("ds-api", later)], later)
    flow.roll_up(engine, later)
    evidence = table(tables.Evidence)
    assert flow.prune(engine, later) == 20
    assert len(list(reads.results(engine))) == 1
    with reading(engine) as connection:
        kept = connection.scalars(select(evidence.c.incident).where(evidence.c.incident != "")).all()
    assert set(kept) == {the_incident(engine).id}
    assert flow.prune(engine, later) == 0


def test_a_budget_that_burns_too_fast_alerts_and_stops(engine: Engine) -> None:
    publish(engine, with_policy(shortest_outage_s=3600.0, slo_target_ratio=0.99))
    now = T0
    for minute in range(180):
        now = T0 + minute * MINUTE
        broken = 60 <= minute < 120 and minute % 2 == 0
        flow.record(engine, [look("ds-api", now, Reason.SERVER_ERROR if broken else Reason.OK)], now)
        if minute % 5 == 4:
            flow.roll_up(engine, now + timedelta(seconds=30))
        if minute == 119:
            assert "burn_rate" in {view.alert.rule for view in reads.alerts(engine, open_only=True)}
    flow.record(engine, [look("ds-api", T0 + minute * MINUTE) for minute in range(180, 560)], now)
    now = T0 + 560 * MINUTE
    flow.roll_up(engine, now + timedelta(seconds=30))
    assert "burn_rate" not in {view.alert.rule for view in reads.alerts(engine, open_only=True)}


def test_a_budget_that_an_outage_burnt_of_which_somebody_was_told_is_no_second_alert(engine: Engine) -> None:
    publish(engine, with_policy(slo_target_ratio=0.99))
    batch = []
    for minute in range(180):
        at, broken = T0 + minute * MINUTE, 60 <= minute < 90
        batch += [look("ds-api", at, Reason.SERVER_ERROR if broken else Reason.OK)]
        if minute % 5 == 4:
            flow.record(engine, batch, at + timedelta(seconds=1))
            flow.roll_up(engine, at + timedelta(seconds=30))
            batch = []
    rules = [view.alert.rule for view in reads.alerts(engine)]
    assert rules == ["component_down"]


def test_sign_up_that_can_be_reached_again_but_is_restricted_is_told_as_no_recovery(engine: Engine) -> None:
    publish(engine)
    for minute in range(9):
        well = Reason.OK if minute < 3 else Reason.SERVER_ERROR
        play(engine, [minute], well)
        if 3 <= minute < 6:
            play(engine, [minute], Reason.SERVER_ERROR, probe="ds-reg")
        else:
            word = Registration.OPEN if minute < 3 else Registration.RESTRICTED
            play(engine, [minute], probe="ds-reg", registration=readings(phone=word))
    outage = next(i for i in reads.incidents(engine, public=False) if i.cause.value == "outage")
    (better,) = [e.what for e in outage.events if isinstance(e.what, ComponentBetter)]
    assert (better.component, better.unsaid) == ("deepseek/registration", True)
    (view,) = [v for v in reads.alerts(engine) if v.alert.rule == "registration_changed"]
    (way,) = view.alert.summary["ways"]
    assert (way["method"], way["after"], way["country_codes"]) == ("phone", "restricted", ["86"])
