"""Tables, simulations and properties of the verdict over probes and components."""

import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.catalogue import Catalogue, Policy, Probe
from monitor.core.checks import flapping, probe_state, steps
from monitor.core.checks.flapping import FLAP_STATES, flap_percent
from monitor.core.checks.probe_state import ProbeState
from monitor.core.components import health
from monitor.core.doubt import keys, proof
from monitor.core.doubt.network import make_targets
from monitor.core.model.observations import Result
from monitor.core.model.reasons import OF_AN_ENGINE, Outcome, Reason
from monitor.core.model.states import Health
from monitor.core.scenario.notation import LETTERS

from .making import at, fold, look, probe, results, state

GRID = probe(policy=Policy(early_looks=False))
"""Looks on its ticks only."""
ALL = st.sampled_from(list(LETTERS.values()))
DUMB = st.sampled_from([reason for reason in Reason if not reason.outcome.is_evidence])


def looks_of(reasons: Sequence[Reason]) -> list[Result]:
    return [look(30 * number, reason) for number, reason in enumerate(reasons)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Health.UNKNOWN),
        ("o", Health.OPERATIONAL),
        ("-*5 i*5 a*5", Health.UNKNOWN),
        ("o*5 x/o", Health.OPERATIONAL),
        ("o*5 x/x/x/x/o", Health.OPERATIONAL),  # over within 35 s
        ("o*5 x", Health.OPERATIONAL),  # its next look comes after the tick
        ("o*5 x x/o", Health.OPERATIONAL),
        ("o*5 x o/x", Health.MAJOR),  # the decisive look, 35 s after the first
        ("o*5 x x", Health.MAJOR),
        ("o*5 x x o*2", Health.MAJOR),
        ("o*5 x x o*4", Health.MAJOR),
        ("o*5 x x o*6", Health.OPERATIONAL),  # 28 good looks
        ("o*5 x x o*4 x/o o*3", Health.MAJOR),
        ("o*5 (x/o/o/x o/x/o)*5", Health.PARTIAL),
        ("o*5 x/o x/o x/o", Health.OPERATIONAL),
        ("o*5 x x -*9", Health.MAJOR),
        ("o*5 x x l*9 i*9", Health.MAJOR),
        ("o*5 s", Health.OPERATIONAL),
        ("o*5 s s", Health.OPERATIONAL),
        ("o*5 s s s", Health.DEGRADED),
        ("o*5 s o s o s", Health.DEGRADED),
        ("o*5 s s s o", Health.DEGRADED),
        ("o*5 s s s o o", Health.OPERATIONAL),
        ("o*5 s s s x x", Health.MAJOR),
        ("o*5 x/s s s s", Health.DEGRADED),
        ("o*5 h h", Health.OPERATIONAL),
        ("o*5 h h o h h", Health.OPERATIONAL),
        ("o*5 h*3", Health.OPERATIONAL),
        ("o*5 h*5", Health.MAJOR),
        ("o*5 h*2 x/o", Health.OPERATIONAL),
        ("o*5 a*20", Health.OPERATIONAL),
    ],
)
def test_looks_make_a_verdict(text: str, expected: Health) -> None:
    assert state(text).health is expected


def test_an_outage_starts_at_its_first_failed_look_and_ends_before_its_first_good_one() -> None:
    down = state("o*10 x*4")
    assert down.since == at(300)
    assert state("o*10 x*4 o*8").since == at((390 + 420) / 2)  # failed looks come every 30 s while it is down


def test_a_partial_outage_started_before_the_first_failure_that_was_met() -> None:
    held = state("o*20 (x/o/o/x o/x/o)*5")
    assert held.since is not None
    assert at(600 - 90) <= held.since < at(600)
    fresh = state("o (x/o/o/x o/x/o)*5")
    assert fresh.since == at(0)  # nothing is known of the time before


def test_throttling_starts_at_the_first_429_once_it_counts() -> None:
    assert state("o*10 h*5").since == at(300)


def test_a_long_silence_breaks_off_a_suspicion_and_a_recovery_and_ends_no_outage() -> None:
    assert state("o*5 x/x/x/x/. -*9 x/.").health is Health.OPERATIONAL
    assert state("o*5 x x o*4").suspicion.score > 10
    held = state("o*5 x x o*4 -*9 o/.")
    assert (held.health, held.suspicion.score) == (Health.MAJOR, 1)


@pytest.mark.parametrize("lag_s", [0.3, 5.0])
def test_a_sample_taken_under_lag_never_counts(lag_s: float) -> None:
    held = state("o*5")
    for tick in (150, 180, 210):
        held = steps.step(held, look(tick, Reason.SERVER_ERROR, lag_s=lag_s), probe())
    assert held.health is Health.OPERATIONAL
    assert held.last_reason is Reason.LAGGED


def test_an_expiring_certificate_is_no_slowness() -> None:
    held = fold(probe_state.new_probe_state("chat", "local"), looks_of([Reason.CERTIFICATE_EXPIRING] * 9), probe())
    assert held.health is Health.OPERATIONAL


@given(st.lists(ALL, max_size=60), st.lists(DUMB, max_size=30))
def test_what_tells_nothing_never_moves_a_verdict(seen: list[Reason], dumb: list[Reason]) -> None:
    before = fold(probe_state.new_probe_state("chat", "local"), looks_of(seen), probe())
    after = fold(before, looks_of([Reason.OK] * len(seen) + dumb)[len(seen) :], probe())
    assert (after.health, after.since, after.evidence_at) == (before.health, before.since, before.evidence_at)


@given(st.lists(ALL, max_size=60), st.randoms())
def test_taking_in_a_result_twice_or_late_changes_nothing(seen: list[Reason], rng: random.Random) -> None:
    held = probe_state.new_probe_state("chat", "local")
    for result in looks_of(seen):
        held = steps.step(held, result, probe())
        old = rng.choice(looks_of(seen)[: 1 + int((result.run.tick - at(0)).total_seconds() // 30)])
        assert steps.is_duplicate(held, old.run)
        assert steps.step(held, old, probe()) is held


@given(st.lists(st.tuples(ALL, st.integers(1, 3)), max_size=80))
def test_a_state_survives_json_and_stays_small(seen: list[tuple[Reason, int]]) -> None:
    held = probe_state.new_probe_state("chat", "local")
    for number, (reason, attempt) in enumerate(seen):
        held = steps.step(held, look(30 * number, reason, attempt), probe())
    assert ProbeState.from_json(held.to_json()) == held
    assert len(str(held.to_json())) < 1300
    assert held.suspicion.down or held.degraded or held.health in (Health.OPERATIONAL, Health.UNKNOWN)


@given(st.lists(ALL, max_size=60))
def test_only_evidence_that_is_good_ends_a_failure(seen: list[Reason]) -> None:
    held = probe_state.new_probe_state("chat", "local")
    for result in looks_of(seen):
        before, held = held, steps.step(held, result, GRID)
        if held.health.severity < before.health.severity:
            assert result.outcome in (Outcome.OK, Outcome.SLOW)
        if held.health.severity > before.health.severity:
            assert result.outcome in (Outcome.FAILED, Outcome.SLOW)


def test_a_clock_that_ran_ahead_and_was_set_back_swallows_no_looks() -> None:
    ahead = state("o*300")
    assert steps.step(ahead, look(600, Reason.SERVER_ERROR), probe()) is ahead
    back = probe_state.rewind(ahead, at(600))
    assert back.evidence_at == at(600)
    held = fold(back, [look(600 + 10 * n, Reason.SERVER_ERROR) for n in range(5)], probe())
    assert held.health is Health.MAJOR
    assert probe_state.rewind(held, at(590)) is held


@pytest.mark.parametrize(
    ("changes", "percent"), [([0], 6.25), ([19], 3.75), (range(5), 29.9), (range(6), 35.5), (range(20), 100.0)]
)
def test_flapping_weighs_like_nagios(changes: Sequence[int], percent: float) -> None:
    bits, mask = 0, 0
    for i in reversed(range(FLAP_STATES)):
        mask |= bits << i
        if i - 1 in changes:
            bits ^= 1
    assert flap_percent(mask) == pytest.approx(percent, abs=0.05)


def test_flapping_begins_at_thirty_and_ends_below_twenty_percent() -> None:
    assert state("o*20 (x*2 o*2)*8", GRID).flapping
    calm = state("o*20 (x*2 o*2)*8 o*20", GRID)
    assert not calm.flapping


@pytest.mark.parametrize(
    ("voters", "asked", "needed"),
    [(1, 1, 1), (2, 1, 2), (3, 1, 2), (4, 1, 2), (5, 1, 3), (7, 1, 4), (3, 3, 3), (2, 5, 2)],
)
def test_a_quorum_is_half_of_the_fresh_locations_but_two_at_least(voters: int, asked: int, needed: int) -> None:
    assert health.quorum(voters, Policy(quorum_locations=asked)) == needed


def vote(now_s: float, **locations: str) -> health.ComponentHealth:
    held = probe(locations=tuple(locations))
    return health.component_health([(held, state(text, held, name)) for name, text in locations.items()], at(now_s))


def test_one_of_three_locations_is_a_suspicion_and_two_are_an_outage() -> None:
    one = vote(360, berlin="o*10 x*2", osaka="o*12", austin="o*12")
    assert (one.health, one.regional, one.suspects) == (Health.DEGRADED, True, ("berlin",))
    two = vote(360, berlin="o*10 x*2", osaka="o*9 x*3", austin="o*12")
    assert (two.health, two.regional, two.agreeing, two.voters, two.since) == (Health.MAJOR, False, 2, 3, at(270))


def test_locations_without_fresh_evidence_do_not_vote() -> None:
    found = vote(1000, berlin="o*32 x*2", osaka="o*3", austin="o*3")
    assert (found.health, found.voters) == (Health.MAJOR, 1)
    assert vote(9999, berlin="o*32 x*2", osaka="o*3").health is Health.UNKNOWN


def test_silence_after_an_outage_is_unknown_and_hides_behind_no_other_probe() -> None:
    api, edge = probe("chat"), probe("edge")
    pairs = [(api, state("o*5 x*3 m*50", api)), (edge, state("o*58", edge))]
    found = health.component_health(pairs, at(1740))
    assert (found.health, found.reason) == (Health.UNKNOWN, Reason.QUOTA)
    fine = [(api, state("o*8 m*50", api)), (edge, state("o*58", edge))]
    assert health.component_health(fine, at(1740)).health is Health.OPERATIONAL


def test_nobody_with_a_voice_is_unknown() -> None:
    for silent in ({"witness": True}, {"control": True}, {"disabled": "secret X is not set"}):
        held = probe(**silent)
        assert health.component_health([(held, state("o*5 x*3", held))], at(250)) == health.UNSEEN


def test_a_probe_makes_its_component_no_worse_than_it_may() -> None:
    held = probe(impact_when_down=Health.PARTIAL)
    assert health.component_health([(held, state("o*5 x*3", held))], at(250)).health is Health.PARTIAL


def cleared(texts: str, answered_s: float | None, reason: str = "openai/web") -> list[Health]:
    """Return the verdicts after each look since it may be an outage; something else answered once at that moment."""
    held, other = probe(), probe("web", reason)
    seen, found = probe_state.new_probe_state(held.id, "local"), []
    beside, targets = probe_state.new_probe_state(other.id, "local"), make_targets(Catalogue(probes=(held, other)))
    for result in results(texts, held):
        seen = steps.step(seen, result, held)
        beside = replace(beside, tick=result.started_at, last_reason=Reason.LAGGED)  # looked at, and no wiser
        if answered_s is not None and result.started_at >= at(answered_s):
            beside = replace(beside, answered_at=at(answered_s))
        here = [(held.id, seen), (other.id, beside)]
        seen = proof.clear(held, seen, here, targets, result.started_at)
        if result.started_at >= at(335):
            found.append(health.component_health([(held, seen)], result.started_at).health)
    return found


def test_a_broken_looking_network_is_believed_only_when_it_goes_on_after_something_else_answered() -> None:
    assert set(cleared("o*10 c*9", None)) == {Health.UNKNOWN}
    assert set(cleared("o*10 c*9", 290)) == {Health.UNKNOWN}
    assert set(cleared("o*10 c*3", 310)) == {Health.MAJOR}
    assert cleared("o*10 c*3", 340) == [Health.UNKNOWN, Health.MAJOR]
    over = cleared("o*10 c*2 o*8", 380)  # nothing failed after that answer
    assert (over[0], over[-1], Health.MAJOR in over) == (Health.UNKNOWN, Health.OPERATIONAL, False)
    assert set(cleared("o*10 c*3", None, "deepseek/web")) == {Health.MAJOR}  # nothing else to look at


def test_an_outage_that_is_believed_stays_so_whatever_answers_later() -> None:
    held, other = probe(), probe("web", "openai/web")
    seen, beside = probe_state.new_probe_state(held.id, "local"), probe_state.new_probe_state(other.id, "local")
    targets = make_targets(Catalogue(probes=(held, other)))
    for result in results("o*10 c*20 x*3 c*20", held):
        seen = steps.step(seen, result, held)
        here = [(held.id, seen), (other.id, beside)]
        seen = proof.clear(held, seen, here, targets, result.started_at)
        beside = replace(beside, answered_at=result.started_at + timedelta(seconds=0.3), tick=result.started_at)
        beside = replace(beside, last_reason=Reason.LAGGED)
        later = result.started_at + timedelta(seconds=20)
        if result.started_at >= at(335):
            assert health.component_health([(held, seen)], later).health is Health.MAJOR


def stepped(found: ProbeState, seen: Iterable[Result], held: Probe) -> ProbeState:
    """Fold looks without asking whether anything else answered."""
    for result in seen:
        found = steps.step(found, result, held)
    return found


def test_every_failure_is_doubted_anew_after_a_recovery() -> None:
    held, other = probe(), probe("web", "openai/web")
    seen = stepped(probe_state.new_probe_state(held.id, "local"), results("o*10 c*2", held), held)
    beside = replace(probe_state.new_probe_state(other.id, "local"), tick=at(310), answered_at=at(310))
    targets = make_targets(Catalogue(probes=(held, other)))
    seen = proof.clear(held, seen, [(held.id, seen), (other.id, beside)], targets, at(340))
    assert seen.network_worked_at == at(310)
    again = stepped(seen, results("o*10 c*2 o*8 c*3", held), held)
    assert again.network_worked_at is None
    beside = replace(beside, tick=at(690), last_reason=Reason.LAGGED)
    again = proof.clear(held, again, [(held.id, again), (other.id, beside)], targets, at(700))
    assert again.is_doubtful


def refused(text: str, peer: str = "", *, admits: bool = False) -> Reason:
    held = state(text)
    result = look(3600, Reason.AUTH)
    peers = [state(peer, probe("second"))] if peer else []
    return keys.confirm_auth(result, held, peers, vendor_admits=admits).reason


def test_a_refused_key_is_ours_unless_it_worked_and_somebody_confirms() -> None:
    assert refused("o*119") is Reason.AUTH
    assert refused("o*119", admits=True) is Reason.AUTH_BROKEN
    assert refused("o*119", "o*119 a") is Reason.AUTH_BROKEN
    assert refused("o*119", "o*120") is Reason.AUTH
    assert refused("a*119", admits=True) is Reason.AUTH
    assert keys.confirm_auth(look(0, Reason.QUOTA), state(""), [], vendor_admits=True).reason is Reason.QUOTA


def test_a_proven_refusal_goes_on_longer_than_the_hour() -> None:
    held = state("o*5")
    for tick in range(5, 300):
        result = keys.confirm_auth(look(30 * tick, Reason.AUTH), held, [], vendor_admits=tick < 10)
        held = steps.step(held, result, probe())
    assert held.health is Health.MAJOR
    assert held.reason is Reason.AUTH_BROKEN


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls, of Python's functions and of C's, that a piece of work makes."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def test_a_step_costs_less_than_a_hundred_calls_however_long_the_history() -> None:
    seen, costs = list(results("(o*50 x o*5)*100", probe())), []
    held = probe_state.new_probe_state("chat", "local")
    for one in seen:
        before = held
        held = steps.step(before, one, probe())
        costs.append(calls_of(partial(steps.step, before, one, probe())))
    assert max(costs) < 100  # 5,000 results a second leave 200 µs for everything
    assert max(costs[-560:]) <= max(costs[:560])


@given(st.lists(st.booleans(), min_size=30, max_size=120), st.integers(1, 6))
@settings(max_examples=60)
def test_flapping_begins_and_ends_at_its_own_limit_and_holds_between(downs: list[bool], each: int) -> None:
    known, policy = flapping.STEADY, Policy()
    for down in (down for down in downs for _ in range(each)):
        before, known = known, flapping.step(known, down=down, policy=policy)
        percent = flap_percent(known.state_mask)
        if percent >= policy.flap_start_percent:
            assert known.flapping
        elif percent <= policy.flap_stop_percent:
            assert not known.flapping
        else:
            assert known.flapping is before.flapping


STATES = st.lists(
    st.sampled_from(["o*6", "o*4 x*2", "o*4 (x/o/o/x o/x/o)", "o*5 s s s", "o*3 -*9", "o*3 i*9", ""]),
    min_size=1,
    max_size=7,
)


@given(STATES, st.integers(1, 7))
@settings(max_examples=150)
def test_a_verdict_is_never_worse_than_what_a_quorum_of_fresh_locations_saw(texts: list[str], asked: int) -> None:
    policy = Policy(quorum_locations=asked)
    held = probe(policy=policy, locations=tuple(f"place{n}" for n in range(len(texts))))
    pairs = [(held, state(text, held, name)) for name, text in zip(held.locations, texts, strict=True)]
    found = health.component_health(pairs, at(200))
    fresh = [mine for _, mine in pairs if health.is_fresh(held, mine, at(200))]
    assert found.voters == len(fresh) or (not fresh and found.health is Health.UNKNOWN)
    if found.health.severity and not found.regional:
        agreeing = [mine for mine in fresh if mine.health.severity >= found.health.severity]
        assert len(agreeing) >= health.quorum(len(fresh), policy)
    if found.health is Health.OPERATIONAL:
        assert not any(mine.health.severity for mine in fresh)


def test_what_is_only_late_after_an_outage_is_not_said_to_fail() -> None:
    seen = state("o*5 x x s*8")
    assert (seen.health, seen.reason, seen.detail) == (Health.DEGRADED, Reason.SLOW, "")


def places(*texts: str, now_s: float) -> Health:
    held = probe(locations=("a", "b", "c"))
    pairs = [(held, state(text, held, where)) for text, where in zip(texts, "abc", strict=False)]
    return health.component_health(pairs, at(now_s)).health


def test_a_location_that_falls_silent_in_its_outage_is_no_vote_for_health() -> None:
    assert places("o*10 x*4", "o*10 x*4", "o*14", now_s=400) is Health.MAJOR
    assert places("o*10 x*4", "o*10 x*14", "o*24", now_s=700) is Health.UNKNOWN  # one of the two fell silent
    assert places("o*10 x*4", "o*10 x*4", "o*24", now_s=700) is Health.UNKNOWN
    assert places("o*10 x*4", "o*10 x*4 o*60", "o*74", now_s=2200) is Health.OPERATIONAL  # the other saw it end
    assert places("o*10 x*4", "o*10 x*4", "o*150", now_s=4400) is Health.OPERATIONAL  # what was seen has an age
    assert places("o*14", "o*24", "o*24", now_s=700) is Health.OPERATIONAL


@pytest.mark.parametrize("own", sorted(OF_AN_ENGINE))
def test_of_what_fails_alike_a_model_servers_own_word_is_told(own: Reason) -> None:
    edge, chat = probe("edge"), probe("chat")
    says = replace(state("o*5 x*3", chat), reason=own)
    pairs = [(edge, state("o*5 x*3", edge)), (chat, says)]
    assert health.component_health(pairs, at(240)).reason is own
    assert health.component_health(pairs[::-1], at(240)).reason is own
