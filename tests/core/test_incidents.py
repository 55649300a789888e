"""The table, the projection, and what :func:`decide` makes of facts; invariants over random histories."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.catalogue import Catalogue, Component, Policy, Publishing, Route, Service
from monitor.core.checks.probe_state import ProbeState
from monitor.core.components.health import ComponentHealth
from monitor.core.entities import Incident, IncidentEvent
from monitor.core.incidents import rules as incidents
from monitor.core.incidents import transitions
from monitor.core.incidents.rules import Facts
from monitor.core.incidents.transitions import IllegalTransitionError
from monitor.core.maintenance import Window
from monitor.core.model.incident_events import Cause, ComponentWorse, EventKind, Note, Opened, UpstreamSaid
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.replay import Judge, run
from monitor.core.scenario.notation import LETTERS

from .making import LEAST, at, look, probe, results, whole

K = EventKind
API = "deepseek/api"
GOOD, BAD = Health.OPERATIONAL, Health.MAJOR


def verdict(health: Health, since_s: float = 0, seen_s: float = 0, **more: Any) -> ComponentHealth:
    good = at(since_s) if health is GOOD else None
    return ComponentHealth(
        health, at(since_s), Reason.SERVER_ERROR, observed_at=at(seen_s), good_since=good, agreeing=1, voters=1, **more
    )


def facts(cause: Cause = Cause.OUTAGE, /, maintenance: tuple[Window, ...] = (), **verdicts: ComponentHealth) -> Facts:
    return Facts("deepseek", cause, {f"deepseek/{name}": v for name, v in verdicts.items()}, maintenance=maintenance)


def decide(
    incident: Incident | None, seen: Facts, now_s: float, policy: Policy | None = None
) -> tuple[Incident | None, list[str]]:
    events = incidents.decide(incident, seen, at(now_s), policy or Policy())
    for event in events:
        incident = transitions.apply(None if event.kind is K.OPENED else incident, event)
    again = incidents.decide(incident, replace(seen, registration=(), upstream=()), at(now_s), policy or Policy())
    assert not again, "the same facts again say nothing new"
    return incident, [event.kind.value for event in events]


def note(incident: Incident, now_s: float, kind: EventKind = K.NOTE, **data: Any) -> Incident:
    return transitions.apply(
        incident,
        IncidentEvent(incident.id, incident.last_seq + 1, at(now_s), at(now_s), whole(kind, data), "alice"),
    )


def opened(**verdicts: ComponentHealth) -> Incident:
    incident, kinds = decide(None, facts(Cause.OUTAGE, (), **(verdicts or {"api": verdict(BAD, 10)})), 12)
    assert incident is not None
    assert kinds == ["opened"]
    return incident


def test_an_incident_opens_with_the_first_failed_look_and_the_worst_impact() -> None:
    incident = opened(api=verdict(Health.PARTIAL, 10), web=verdict(Health.DEGRADED, 5), login=verdict(GOOD))
    assert (incident.started_at, incident.detected_at, incident.impact) == (at(5), at(12), Impact.MAJOR)
    assert incident.failing == {"deepseek/api": Health.PARTIAL, "deepseek/web": Health.DEGRADED}
    assert incident.public
    assert incident.id == incidents.incident_id("deepseek", Cause.OUTAGE, at(5))


@pytest.mark.parametrize(
    "quiet", [verdict(GOOD), verdict(Health.UNKNOWN), verdict(Health.DEGRADED, regional=True, suspects=("berlin",))]
)
def test_health_ignorance_and_a_single_location_open_nothing(quiet: ComponentHealth) -> None:
    assert decide(None, facts(api=quiet), 12) == (None, [])


def test_impact_rises_with_the_worst_component_and_never_falls() -> None:
    incident, kinds = decide(opened(api=verdict(Health.DEGRADED, 10)), facts(api=verdict(BAD, 20)), 20)
    assert kinds == ["component_worse", "impact_changed"]
    incident, kinds = decide(incident, facts(api=verdict(Health.DEGRADED, 30)), 30)
    assert kinds == ["component_better"]
    assert incident is not None
    assert incident.impact is Impact.CRITICAL


def test_recovery_needs_good_evidence_for_the_whole_window() -> None:
    incident, kinds = decide(opened(), facts(api=verdict(GOOD, 60, 90)), 90)
    assert kinds == ["recovering"]
    assert incident is not None
    assert incident.status is IncidentStatus.MONITORING
    assert decide(incident, facts(api=verdict(GOOD, 60, 90)), 5000)[1] == []  # nobody looked since
    assert decide(incident, facts(api=verdict(Health.UNKNOWN, 60, 90)), 5000)[1] == []
    assert decide(incident, facts(api=verdict(GOOD, 1000, 1090)), 1090)[1] == []  # the good evidence was broken off
    incident, kinds = decide(incident, facts(api=verdict(GOOD, 60, 180)), 181)
    assert kinds == ["resolved"]
    assert incident is not None
    assert (incident.resolved_at, incident.failing) == (at(181), {})


def test_ignorance_keeps_a_failing_component_failing() -> None:
    incident = opened(api=verdict(BAD, 10), web=verdict(BAD, 10))
    incident2, kinds = decide(incident, facts(api=verdict(Health.UNKNOWN), web=verdict(GOOD, 60, 90)), 90)
    assert kinds == ["component_better"]
    assert incident2 is not None
    assert incident2.failing == {"deepseek/api": BAD}
    assert decide(incident2, facts(web=verdict(GOOD, 60, 90)), 95)[1] == []


def test_flapping_holds_the_recovery_back() -> None:
    assert decide(opened(), facts(api=verdict(GOOD, 60, 90, flapping=True)), 90)[1] == []


def recovered() -> Incident:
    incident, _ = decide(opened(), facts(api=verdict(GOOD, 60, 90)), 90)
    assert incident is not None
    return incident


def resolved() -> Incident:
    incident, _ = decide(recovered(), facts(api=verdict(GOOD, 60, 180)), 180)
    assert incident is not None
    return incident


def test_a_relapse_while_monitored_and_a_reopening_soon_after() -> None:
    incident, kinds = decide(recovered(), facts(api=verdict(BAD, 100), web=verdict(BAD, 101)), 102)
    assert kinds == ["relapsed", "component_worse"]
    assert incident is not None
    assert incident.status is IncidentStatus.INVESTIGATING
    again, kinds = decide(resolved(), facts(api=verdict(BAD, 300)), 300)
    assert kinds == ["reopened"]
    assert again is not None
    assert (again.id, again.resolved_at) == (resolved().id, None)
    late, kinds = decide(resolved(), facts(api=verdict(BAD, 3000)), 3000)
    assert kinds == ["opened"]
    assert late is not None
    assert late.id != resolved().id


def test_another_component_that_fails_soon_after_is_an_incident_of_its_own() -> None:
    other, kinds = decide(resolved(), facts(api=verdict(GOOD, 60, 300), web=verdict(BAD, 300)), 300)
    assert kinds == ["opened"]
    assert other is not None
    assert (other.components, other.id != resolved().id) == (("deepseek/web",), True)
    both, kinds = decide(resolved(), facts(api=verdict(BAD, 290), web=verdict(BAD, 300)), 300)
    assert kinds == ["reopened", "component_worse"]
    assert both is not None
    assert both.id == resolved().id


def test_what_a_person_called_resolved_stays_so_until_it_gets_worse() -> None:
    incident = note(opened(), 100, K.RESOLVED, by_rule=False)
    for now_s in (101, 5000):
        assert decide(incident, facts(api=verdict(BAD, 10, now_s)), now_s)[1] == []
    assert decide(incident, facts(api=verdict(BAD, 200, 200)), 201)[1] == ["reopened"]


def test_a_persons_status_and_impact_win_until_the_relapse() -> None:
    incident = note(note(opened(), 20, status="identified", text="a gateway"), 21, impact="minor")
    assert decide(incident, facts(api=verdict(BAD, 10)), 22)[1] == []
    after, _ = decide(incident, facts(api=verdict(GOOD, 60, 90)), 90)
    assert after is not None
    assert (after.status, after.good_since, after.impact) == (IncidentStatus.IDENTIFIED, at(60), Impact.MINOR)
    back, kinds = decide(after, facts(api=verdict(BAD, 100)), 100)
    assert kinds == ["relapsed", "impact_changed"]
    assert back is not None
    assert (back.status, back.impact) == (IncidentStatus.INVESTIGATING, Impact.CRITICAL)


def test_a_title_is_a_persons_and_a_note_cannot_resolve() -> None:
    assert note(opened(), 20, title="The API is down").title == "The API is down"
    with pytest.raises(IllegalTransitionError, match="from investigating to resolved"):
        note(opened(), 20, status="resolved")
    with pytest.raises(IllegalTransitionError, match="to investigating"):
        note(resolved(), 200, status="investigating")


def test_review_holds_an_incident_back_until_its_limit() -> None:
    policy = Policy(publish_critical=Publishing.REVIEW, review_limit_s=900)
    incident, _ = decide(None, facts(api=verdict(BAD, 10)), 12, policy)
    assert incident is not None
    assert not incident.public
    assert decide(incident, facts(api=verdict(BAD, 10)), 900, policy)[1] == []
    public, kinds = decide(incident, facts(api=verdict(BAD, 10)), 912, policy)
    assert kinds == ["published"]
    assert public is not None
    assert public.public
    hidden = note(public, 950, K.HIDDEN)
    assert decide(hidden, facts(api=verdict(BAD, 10)), 5000, policy)[1] == []


def test_nothing_opens_in_maintenance_and_what_lasts_begins_at_its_end() -> None:
    window = Window(at(0), at(600), "deepseek", ("deepseek/api",))
    assert decide(None, facts(api=verdict(BAD, 10), maintenance=(window,)), 500)[1] == []
    incident, _ = decide(None, facts(api=verdict(BAD, 10), maintenance=(window,)), 601)
    assert incident is not None
    assert incident.started_at == at(600)


def test_removing_the_last_failing_probe_closes_without_calling_it_recovery() -> None:
    gone = replace(facts(), removed=frozenset({"deepseek/api"}))
    incident, kinds = decide(opened(), gone, 50)
    assert kinds == ["probe_removed"]
    assert incident is not None
    assert incident.status is IncidentStatus.RESOLVED
    both = opened(api=verdict(BAD, 10), web=verdict(BAD, 10))
    assert decide(both, replace(facts(web=verdict(BAD, 10)), removed=frozenset({"deepseek/api"})), 50)[1] == []
    left = replace(facts(web=verdict(GOOD, 60, 90)), removed=frozenset({"deepseek/api"}))
    assert decide(both, left, 90)[1] == ["recovering"]


def test_upstream_words_are_quoted_and_resolve_nothing() -> None:
    said = UpstreamSaid("statuspage", "A1", "API down", IncidentStatus.RESOLVED, "fixed", "", at(40))
    for before in (opened(), resolved()):
        health = verdict(BAD, 10) if before.resolved_at is None else verdict(GOOD, 60, 400)
        incident, kinds = decide(before, replace(facts(api=health), upstream=(said,)), 500)
        assert kinds == ["upstream_said"]
        assert incident is not None
        assert incident.status is before.status


@pytest.mark.parametrize(("status", "kind"), list(itertools.product([None, *IncidentStatus], EventKind)))
def test_a_pair_outside_the_table_is_refused(status: IncidentStatus | None, kind: EventKind) -> None:
    if (status, kind) in transitions.TRANSITIONS:
        return
    incident = replace(opened(), status=status) if status else None
    with pytest.raises(IllegalTransitionError, match=kind.value):
        transitions.apply(incident, IncidentEvent("x", 99, at(0), at(0), whole(kind, LEAST.get(kind, {}))))


def test_events_out_of_order_and_empty_histories_are_refused() -> None:
    incident = opened()
    with pytest.raises(IllegalTransitionError, match="comes after"):
        transitions.apply(incident, IncidentEvent(incident.id, 1, at(0), at(0), Note("too late")))
    with pytest.raises(ValueError, match="without events"):
        transitions.fold([])


def test_the_diagram_has_every_arrow_of_the_table() -> None:
    text = transitions.diagram()
    assert text.startswith("stateDiagram-v2\n")
    for (before, kind), after in transitions.TRANSITIONS.items():
        if before is not after:
            line = f"    {before.value if before else '[*]'} --> {after.value}:"
            assert any(kind.value in found for found in text.splitlines() if found.startswith(line))


# Invariants over random histories -----------------------------------------------------------------------------------

WORLD = Catalogue(
    (Service("deepseek", "DeepSeek"),),
    tuple(Component(f"deepseek/{name}", "deepseek", name) for name in ("api", "web")),
    (probe("chat", "deepseek/api"), probe("web", "deepseek/web")),
    (Route("oncall", ("mail",)),),
)
HISTORY = st.lists(
    st.tuples(st.sampled_from(["chat", "web"]), st.sampled_from([*"ooooooxxxsvtc-aml"]), st.integers(1, 4)), max_size=60
)


def history(rows: Sequence[tuple[str, str, int]]) -> list[Result]:
    out: list[Result] = []
    ticks = {"chat": 0.0, "web": 0.0}
    for name, letter, times in rows:
        for _ in range(times):
            ticks[name] += 30
            out.append(look(ticks[name], LETTERS[letter], probe=name))
    return sorted(out, key=lambda result: (result.started_at, result.run.probe))


def states(judge: Judge) -> list[ProbeState]:
    return [series.state for series in judge.store.all_series.values()]


def told(judge: Judge) -> list[tuple[str, EventKind, datetime, Any]]:
    return [(event.incident, event.kind, event.at, event.what) for event in judge.events]


@given(HISTORY)
@settings(max_examples=60, deadline=None)
def test_no_ignorance_opens_or_closes_an_incident_and_only_good_evidence_resolves(
    rows: list[tuple[str, str, int]],
) -> None:
    judge = Judge(WORLD)
    for result in history(rows):
        count = len(judge.events)
        judge.record([result])
        new = {event.kind for event in judge.events[count:]}
        proven = result.reason is Reason.AUTH  # two good keys refused together are the vendor's failure
        if not result.outcome.is_evidence and not proven:
            assert not new & {K.OPENED, K.REOPENED, K.RELAPSED, K.RECOVERING, K.RESOLVED, K.COMPONENT_BETTER}
        if new & {K.RECOVERING, K.RESOLVED}:
            assert result.outcome.value in ("ok", "slow")
        opened_now = [item for item in judge.store.incidents.values() if transitions.is_open(item)]
        assert len(opened_now) <= 1


@pytest.mark.parametrize("gap", ["-*40", "a*40", "i*40", "- a i -*37"])
def test_good_looks_before_a_long_ignorance_count_for_no_recovery_after_it(gap: str) -> None:
    judge = Judge(WORLD)
    for result in results(f"o*10 x*4 o*3 {gap} o*12", WORLD.probes[0]):
        judge.record([result])
    (resolved,) = [event for event in judge.events if event.kind is K.RESOLVED]
    again = at(30 * (10 + 4 + 3 + 40))
    assert (resolved.at - again).total_seconds() >= WORLD.probes[0].policy.recovery_window_s


@given(HISTORY)
@settings(max_examples=60, deadline=None)
def test_the_projection_is_the_fold_of_its_events(rows: list[tuple[str, str, int]]) -> None:
    judge = run(WORLD, history(rows))
    by_incident: dict[str, list[IncidentEvent]] = {}
    for event in judge.events:
        by_incident.setdefault(event.incident, []).append(event)
    for item in judge.store.incidents.values():
        assert transitions.fold(by_incident[item.id]) == item
    for events in by_incident.values():
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        for number in range(1, len(events) + 1):
            so_far = transitions.fold(events[:number])
            assert so_far.last_seq == number
            assert (so_far.resolved_at is None) is transitions.is_open(so_far)
            assert so_far.good_since is None or (so_far.status is IncidentStatus.MONITORING and not so_far.failing)
            assert set(so_far.failing) <= set(so_far.components)


@given(HISTORY, st.randoms())
@settings(max_examples=60, deadline=None)
def test_live_equals_replay_whenever_somebody_looked_in_between(rows: list[tuple[str, str, int]], rng: Any) -> None:
    seen = history(rows)
    live = Judge(WORLD)
    for result in seen:
        live.record([result])
        if rng.random() < 0.3:
            live.sweep(result.ended_at)
    replay = Judge(WORLD)
    for result in seen:
        replay.record([result])
    assert told(live) == told(replay)
    # That nobody looks is noticed by looking at the clock, so only then: everything else follows from the looks alone.
    overdue = {alert.id for judge in (live, replay) for alert in judge.fired if alert.rule == "overdue"}
    fired = [[alert.id for alert in judge.fired if alert.id not in overdue] for judge in (live, replay)]
    assert fired[0] == fired[1]
    sent = [
        [(d.alert, d.route, d.why) for d in judge.decisions if d.send and d.alert not in overdue]
        for judge in (live, replay)
    ]
    assert sent[0] == sent[1]


@given(HISTORY, st.randoms())
@settings(max_examples=60, deadline=None)
def test_recording_twice_equals_recording_once(rows: list[tuple[str, str, int]], rng: Any) -> None:
    once, twice = Judge(WORLD), Judge(WORLD)
    seen: list[Result] = []
    for result in history(rows):
        seen.append(result)
        once.record([result])
        twice.record([rng.choice(seen), result, rng.choice(seen)])
    assert told(once) == told(twice)
    assert states(once) == states(twice)
    assert once.decisions == twice.decisions


@pytest.mark.parametrize("period", range(1, 21))
def test_flapping_at_any_period_is_one_incident_and_few_notices(period: int) -> None:
    held = WORLD.probes[1]
    text = f"o*20 (x*{period} o*{period})*{max(3, 120 // period)}"
    judge = Judge(WORLD)
    for result in results(text, held):
        judge.record([result])
    sent = [decision for decision in judge.decisions if decision.send]
    cycles = max(3, 120 // period)
    assert sum(event.kind is K.OPENED for event in judge.events) == 1
    # A calm shorter than two looks and the recovery window (four) tells nobody; a longer one is an end.
    assert len([d for d in sent if d.why.value != "repeat"]) <= (2 if period <= 4 else 2 * cycles)


# What became of log-in ------------------------------------------------------------------------------------------------

LOGIN = "deepseek/login"


@pytest.mark.parametrize(
    ("login", "said"),
    [(GOOD, {LOGIN: GOOD}), (BAD, {LOGIN: BAD}), (Health.UNKNOWN, {})],
)
def test_an_incident_says_what_became_of_log_in(login: Health, said: dict[str, Health]) -> None:
    seen = replace(facts(api=verdict(BAD, 10)), logins={LOGIN: verdict(login)})
    (event,) = incidents.decide(None, seen, at(12), Policy())
    assert isinstance(event.what, Opened)
    assert event.what.login == said
    worse = replace(seen, verdicts={**seen.verdicts, "deepseek/web": verdict(BAD, 20)})
    (event,) = incidents.decide(transitions.apply(None, event), worse, at(22), Policy())
    assert isinstance(event.what, ComponentWorse)
    assert event.what.login == said


def test_log_in_that_fails_itself_is_told_of_as_a_component_and_not_once_more() -> None:
    seen = replace(facts(api=verdict(BAD, 10), login=verdict(BAD, 10)), logins={LOGIN: verdict(BAD, 10)})
    (event,) = incidents.decide(None, seen, at(12), Policy())
    assert isinstance(event.what, Opened)
    assert (set(event.what.components), event.what.login) == ({API, LOGIN}, {})


def test_log_in_under_maintenance_is_not_called_down() -> None:
    window = Window(at(0), at(99), "deepseek", (LOGIN,))
    seen = replace(facts(Cause.OUTAGE, (window,), api=verdict(BAD, 10)), logins={LOGIN: verdict(BAD, 10)})
    (event,) = incidents.decide(None, seen, at(12), Policy())
    assert isinstance(event.what, Opened)
    assert event.what.login == {}
