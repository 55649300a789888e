"""Tables, simulations and properties of the verdict over probes and components."""

import itertools
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.catalogue import Policy
from monitor.core.checks import key_doubt, network_doubt, probe_state, steps
from monitor.core.checks.flapping import FLAP_STATES, flap_percent
from monitor.core.checks.network_doubt import answers_at
from monitor.core.checks.probe_state import ProbeState
from monitor.core.components import health
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health
from monitor.core.scenario.notation import LETTERS

from .making import at, fold, look, probe, results, state

ONCE = Policy(confirm_at_once=False)
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
        ("o*5 x", Health.MAJOR),
        ("o*5 x/o x/o", Health.OPERATIONAL),
        ("o*5 x/x/o", Health.OPERATIONAL),
        ("o*5 x/x/x", Health.MAJOR),
        ("o*5 x/o x/o x/o", Health.MAJOR),
        ("o*5 x/x/o o*2 x/o", Health.OPERATIONAL),
        ("o*5 x/o o x/o", Health.OPERATIONAL),
        ("o*5 x o", Health.MAJOR),
        ("o*5 x o o", Health.OPERATIONAL),
        ("o*5 x o x/o", Health.MAJOR),
        ("o*5 x -*9", Health.MAJOR),
        ("o*5 x l*9 i*9", Health.MAJOR),
        ("o*5 s", Health.OPERATIONAL),
        ("o*5 s s", Health.OPERATIONAL),
        ("o*5 s s s", Health.DEGRADED),
        ("o*5 s o s o s", Health.DEGRADED),
        ("o*5 s s s o", Health.DEGRADED),
        ("o*5 s s s o o", Health.OPERATIONAL),
        ("o*5 s s s x", Health.MAJOR),
        ("o*5 x s s s", Health.DEGRADED),
        ("o*5 h h", Health.OPERATIONAL),
        ("o*5 h h o h h", Health.OPERATIONAL),
        ("o*5 h*3", Health.MAJOR),
        ("o*5 h*2 x/o", Health.OPERATIONAL),
        ("o*5 a*20", Health.OPERATIONAL),
    ],
)
def test_looks_make_a_verdict(text: str, expected: Health) -> None:
    assert state(text).health is expected


def test_an_outage_starts_at_its_first_failed_look_and_ends_at_its_first_good_one() -> None:
    down = state("o*10 x*4")
    assert down.since == at(300)
    assert state("o*10 x*4 o*2").since == at(420)
    assert state("o*10 x/o x o").since == at(300)


def test_throttling_starts_at_the_first_429_once_it_counts() -> None:
    assert state("o*10 h*4").since == at(300)


def test_good_looks_of_one_tick_are_one_good_look() -> None:
    held = state("o*5 x*3")
    for attempt in (1, 2, 3):
        held = steps.step(held, look(240, Reason.OK, attempt), Policy())
    assert held.down
    assert not steps.step(held, look(270, Reason.OK), Policy()).down


@pytest.mark.parametrize("lag_s", [0.3, 5.0])
def test_a_sample_taken_under_lag_never_counts(lag_s: float) -> None:
    held = state("o*5")
    for tick in (150, 180, 210):
        held = steps.step(held, look(tick, Reason.SERVER_ERROR, lag_s=lag_s), Policy())
    assert held.health is Health.OPERATIONAL
    assert held.last_reason is Reason.LAGGED


def test_an_expiring_certificate_is_no_slowness() -> None:
    held = fold(probe_state.new_probe_state("chat", "local"), looks_of([Reason.CERTIFICATE_EXPIRING] * 9), Policy())
    assert held.health is Health.OPERATIONAL


@given(st.lists(ALL, max_size=60), st.lists(DUMB, max_size=30))
def test_what_tells_nothing_never_moves_a_verdict(seen: list[Reason], dumb: list[Reason]) -> None:
    before = fold(probe_state.new_probe_state("chat", "local"), looks_of(seen), Policy())
    after = fold(before, looks_of([Reason.OK] * len(seen) + dumb)[len(seen) :], Policy())
    assert (after.health, after.since, after.evidence_at) == (before.health, before.since, before.evidence_at)


@given(st.lists(ALL, max_size=60), st.randoms())
def test_taking_in_a_result_twice_or_late_changes_nothing(seen: list[Reason], rng: random.Random) -> None:
    held = probe_state.new_probe_state("chat", "local")
    for result in looks_of(seen):
        held = steps.step(held, result, Policy())
        old = rng.choice(looks_of(seen)[: 1 + int((result.run.tick - at(0)).total_seconds() // 30)])
        assert steps.is_duplicate(held, old.run)
        assert steps.step(held, old, Policy()) is held


@given(st.lists(st.tuples(ALL, st.integers(1, 3)), max_size=80))
def test_a_state_survives_json_and_stays_small(seen: list[tuple[Reason, int]]) -> None:
    held = probe_state.new_probe_state("chat", "local")
    for number, (reason, attempt) in enumerate(seen):
        held = steps.step(held, look(30 * number, reason, attempt), Policy())
    assert ProbeState.from_json(held.to_json()) == held
    assert len(str(held.to_json())) < 1300
    assert held.down or held.partial or held.degraded or held.health in (Health.OPERATIONAL, Health.UNKNOWN)


@given(st.lists(ALL, max_size=60))
def test_only_evidence_that_is_good_ends_a_failure(seen: list[Reason]) -> None:
    held = probe_state.new_probe_state("chat", "local")
    for result in looks_of(seen):
        before, held = held, steps.step(held, result, ONCE)
        if held.health.severity < before.health.severity:
            assert result.outcome in (Outcome.OK, Outcome.SLOW)
        if held.health.severity > before.health.severity:
            assert result.outcome in (Outcome.FAILED, Outcome.SLOW)


class Naive:
    """The rules of an outage and of slowness, written down once more with unbounded lists and no cleverness."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.down, self.degraded = policy, False, False
        self.since_recovery: list[bool] = []
        self.slow: list[bool] = []
        self.good_ticks: list[int] = []
        self.brisk_ticks: list[int] = []
        self.blank: set[int] = set()

    def take(self, tick: int, outcome: Outcome) -> None:
        k, n, good = self.policy.open_after_failures, self.policy.window_looks, self.policy.close_after_successes
        self.blank = set() if outcome.is_evidence else {*self.blank, tick}
        if len(self.blank) >= self.policy.stale_after_intervals:  # blind for so long that good looks are no row
            self.good_ticks, self.brisk_ticks = [], []
        if outcome is Outcome.FAILED:
            self.since_recovery.append(True)
            self.slow.append(False)
            self.good_ticks, self.brisk_ticks = [], []
            self.down = self.down or sum(self.since_recovery[-n:]) >= k
        elif outcome in (Outcome.OK, Outcome.SLOW):
            self.since_recovery.append(False)
            self.slow.append(outcome is Outcome.SLOW)
            self.good_ticks.append(tick)
            self.brisk_ticks = [] if outcome is Outcome.SLOW else [*self.brisk_ticks, tick]
            if self.down and len(set(self.good_ticks)) >= good:
                self.down, self.since_recovery = False, []
            if self.degraded and len(set(self.brisk_ticks)) >= good:
                self.degraded, self.slow = False, []
            elif outcome is Outcome.SLOW and sum(self.slow[-n:]) >= k:
                self.degraded = True


@given(
    st.lists(
        st.tuples(st.sampled_from([Reason.OK, Reason.OK, Reason.SERVER_ERROR, Reason.SLOW, Reason.AUTH]), st.booleans())
    ),
    st.sampled_from([(1, 1, 1), (2, 3, 2), (2, 2, 1), (3, 3, 2), (3, 5, 3), (4, 5, 2)]),
)
@settings(max_examples=300, deadline=None)
def test_the_small_state_says_what_the_whole_history_would(
    seen: list[tuple[Reason, bool]], kn: tuple[int, int, int]
) -> None:
    k, n, good = kn
    policy = Policy(open_after_failures=k, window_looks=n, close_after_successes=good, rate_min_looks=10**6)
    naive, held = Naive(policy), probe_state.new_probe_state("chat", "local")
    for tick, (reason, twice) in enumerate(seen):
        for attempt in (1, 2) if twice else (1,):
            held = steps.step(held, look(30 * tick, reason, attempt), policy)
            naive.take(tick, reason.outcome)
            assert (held.down, held.degraded) == (naive.down, naive.degraded)


def test_a_clock_that_ran_ahead_and_was_set_back_swallows_no_looks() -> None:
    ahead = state("o*300")
    assert steps.step(ahead, look(600, Reason.SERVER_ERROR), Policy()) is ahead
    back = probe_state.rewind(ahead, at(600))
    assert back.evidence_at == at(600)
    held = fold(back, [look(600, Reason.SERVER_ERROR, attempt) for attempt in (1, 2, 3)], Policy())
    assert held.health is Health.MAJOR
    assert probe_state.rewind(held, at(590)) is held


def looks_until_found(ratio: float, rng: random.Random, limit: int) -> int | None:
    """Looks after a good hour until trouble is seen, each failing independently with the given ratio."""
    held = fold(probe_state.new_probe_state("chat", "local"), looks_of([Reason.OK] * 60), Policy())
    looked, tick = 0, 60
    while looked < limit:
        for attempt in itertools.count(1):
            row = held.failed_in_a_row
            result = look(30 * tick, Reason.SERVER_ERROR if rng.random() < ratio else Reason.OK, attempt)
            held, looked = steps.step(held, result, Policy()), looked + 1
            if held.health.severity >= Health.PARTIAL.severity:
                return looked
            if not steps.needs_second_look(probe(), result, row):
                break
        tick += 1
    return None


def test_a_quarter_of_failures_is_found_within_fifteen_looks() -> None:
    rng = random.Random(42)
    found = sorted(looks_until_found(0.25, rng, 500) or 500 for _ in range(400))
    assert found[200] <= 15
    assert found[360] <= 30


def test_without_second_looks_a_quarter_is_found_by_the_rate_alone() -> None:
    found = []
    for seed in range(200):
        rng, held, looked = random.Random(seed), state("o*60", probe(policy=ONCE)), 0
        while not held.partial and not held.down and looked < 500:
            reason = Reason.SERVER_ERROR if rng.random() < 0.25 else Reason.OK
            held, looked = steps.step(held, look(1800 + 30 * looked, reason), ONCE), looked + 1
        found.append(looked)
    assert sorted(found)[100] <= 15


@pytest.mark.parametrize("ratio", [0.002])
def test_rare_blips_are_no_false_alarm_in_a_month(ratio: float) -> None:
    rng, held, alarms = random.Random(3), state("o*60"), 0
    for tick in range(60, 60 + 86_400):  # a month at 30 s
        if rng.random() < ratio:
            held = steps.step(held, look(30 * tick, Reason.SERVER_ERROR), Policy())
            held = steps.step(held, look(30 * tick, Reason.OK, 2), Policy())
            alarms += held.partial or held.down
        elif held.failed_mask or tick % 100 == 0:
            held = steps.step(held, look(30 * tick, Reason.OK), Policy())
    assert alarms == 0


def false_alarms(ratio: float, months: int, policy: Policy) -> int:
    """Count alarms while every look, second looks too, fails by itself now and then, a look every 30 s."""
    rng, held, alarms, tick, world = random.Random(9), state("o*70"), 0, 70, probe(policy=policy)
    while tick < 70 + months * 86_400:
        idle = not (held.failed_mask & (1 << 3 * policy.rate_min_looks) - 1 or held.down or held.partial)
        if idle:  # nothing that counts is remembered: go on to the next look that fails
            tick += int(math.log(1 - rng.random()) / math.log(1 - ratio))
        before = held.down or held.partial
        for attempt in itertools.count(1):
            row, fails = held.failed_in_a_row, (idle and attempt == 1) or rng.random() < ratio
            result = look(30 * tick, Reason.SERVER_ERROR if fails else Reason.OK, attempt)
            held = steps.step(held, result, policy)
            if not steps.needs_second_look(world, result, row):
                break
        alarms, tick = alarms + ((held.down or held.partial) and not before), tick + 1
    return alarms


@pytest.mark.parametrize(("ratio", "months", "most"), [(0.001, 12, 0), (0.005, 3, 2), (0.01, 1, 4)])
def test_independent_blips_make_hardly_a_false_alarm_a_month(ratio: float, months: int, most: int) -> None:
    assert false_alarms(ratio, months, Policy()) <= most


def test_two_failures_of_three_looks_would_alarm_falsely_every_week() -> None:
    assert false_alarms(0.005, 2, Policy(open_after_failures=2, window_looks=3)) > 4


def test_one_long_outage_that_healed_is_no_partial_failure() -> None:
    assert state("o*60 x*40 o*2").health is Health.OPERATIONAL


def test_partial_failures_end_when_they_are_rare_again() -> None:
    held = state("o*20 (x o*3)*5", probe(policy=ONCE))
    assert held.health is Health.PARTIAL
    assert state("o*20 (x o*3)*5 o*20", probe(policy=ONCE)).health is Health.OPERATIONAL


def test_failures_far_apart_in_time_are_no_partial_failure() -> None:
    slow = probe(interval_s=3600, policy=ONCE)
    assert state("o*20 (x o*3)*5", slow).health is Health.OPERATIONAL


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
    assert state("o*20 (x*2 o*2)*8").flapping
    calm = state("o*20 (x*2 o*2)*8 o*20")
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
    one = vote(330, berlin="o*10 x", osaka="o*11", austin="o*11")
    assert (one.health, one.regional, one.suspects) == (Health.DEGRADED, True, ("berlin",))
    two = vote(330, berlin="o*10 x", osaka="o*9 x*2", austin="o*11")
    assert (two.health, two.regional, two.agreeing, two.voters, two.since) == (Health.MAJOR, False, 2, 3, at(270))


def test_locations_without_fresh_evidence_do_not_vote() -> None:
    found = vote(1000, berlin="o*33 x", osaka="o*3", austin="o*3")
    assert (found.health, found.voters) == (Health.MAJOR, 1)
    assert vote(9999, berlin="o*33 x", osaka="o*3").health is Health.UNKNOWN


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
    """Return the verdicts after each look, while something else answered once at that moment."""
    held, other = probe(), probe("web", reason)
    seen, found = probe_state.new_probe_state(held.id, "local"), []
    beside = probe_state.new_probe_state(other.id, "local")
    for result in results(texts, held):
        seen = steps.step(seen, result, held.policy)
        if answered_s is not None and result.started_at >= at(answered_s):
            beside = replace(beside, answered_at=at(answered_s))
        seen = network_doubt.clear(held, seen, [(held, seen), (other, beside)])
        found.append(health.component_health([(held, seen)], result.started_at).health)
    return found


def test_a_broken_looking_network_is_believed_only_when_it_goes_on_after_something_else_answered() -> None:
    assert set(cleared("o*10 c*9", None)[12:]) == {Health.UNKNOWN}
    assert set(cleared("o*10 c*9", 290)[12:]) == {Health.UNKNOWN}
    assert cleared("o*10 c*3", 310)[12:] == [Health.UNKNOWN, Health.MAJOR, Health.MAJOR]
    assert cleared("o*10 c*3", 300.5)[12:] == [Health.MAJOR] * 3  # between its first looks
    assert cleared("o*10 c o*3", 310)[12:] == [Health.UNKNOWN, Health.UNKNOWN, *[Health.OPERATIONAL] * 2]
    assert cleared("o*10 c*3", None, "deepseek/web")[12:] == [Health.MAJOR] * 3  # nothing else to look at


def test_an_outage_that_is_believed_stays_so_whatever_answers_later() -> None:
    held, other = probe(), probe("web", "openai/web")
    seen, beside = probe_state.new_probe_state(held.id, "local"), probe_state.new_probe_state(other.id, "local")
    for result in results("o*10 c*20 x*3 c*20", held):
        seen = steps.step(seen, result, held.policy)
        seen = network_doubt.clear(held, seen, [(held, seen), (other, beside)])
        beside = replace(beside, answered_at=result.started_at + timedelta(seconds=0.3))
        later = result.started_at + timedelta(seconds=20)
        if result.started_at > at(302):
            assert health.component_health([(held, seen)], later).health is Health.MAJOR


def test_every_failure_is_doubted_anew_after_a_recovery() -> None:
    held, other = probe(), probe("web", "openai/web")
    seen = state("o*10 c*2", held)
    beside = replace(probe_state.new_probe_state(other.id, "local"), answered_at=at(310))
    seen = network_doubt.clear(held, seen, [(held, seen), (other, beside)])
    assert seen.network_worked_at == at(310)
    again = fold(seen, results("o*3 c*3", held, start_s=360), held.policy)
    assert again.network_worked_at is None
    again = network_doubt.clear(held, again, [(held, again), (other, beside)])
    assert again.is_doubtful


def test_what_a_location_can_see_comes_from_its_states() -> None:
    mine, other, control = probe(), probe("web", "openai/web"), probe("one", "control/one", control=True)
    pairs = [(mine, state("o*10 c", mine)), (other, state("o*3 x*2", other)), (control, state("o*4", control))]
    eyes = answers_at([*pairs, (probe("off", disabled="no"), state(""))])
    assert eyes.watched == {"deepseek", "openai", ""}
    assert eyes.answered == {"deepseek": at(270), "openai": at(120), "": at(90)}


def refused(text: str, peer: str = "", *, admits: bool = False) -> Reason:
    held = state(text)
    result = look(3600, Reason.AUTH)
    peers = [state(peer, probe("second"))] if peer else []
    return key_doubt.confirm_auth(result, held, peers, vendor_admits=admits).reason


def test_a_refused_key_is_ours_unless_it_worked_and_somebody_confirms() -> None:
    assert refused("o*119") is Reason.AUTH
    assert refused("o*119", admits=True) is Reason.AUTH_BROKEN
    assert refused("o*119", "o*119 a") is Reason.AUTH_BROKEN
    assert refused("o*119", "o*120") is Reason.AUTH
    assert refused("a*119", admits=True) is Reason.AUTH
    assert key_doubt.confirm_auth(look(0, Reason.QUOTA), state(""), [], vendor_admits=True).reason is Reason.QUOTA


def test_a_proven_refusal_goes_on_longer_than_the_hour() -> None:
    held = state("o*5")
    for tick in range(5, 300):
        result = key_doubt.confirm_auth(look(30 * tick, Reason.AUTH), held, [], vendor_admits=tick < 10)
        held = steps.step(held, result, Policy())
    assert held.health is Health.MAJOR
    assert held.reason is Reason.AUTH_BROKEN


def test_second_looks_follow_failures_until_enough_of_them_and_never_into_the_next_tick() -> None:
    held = probe()
    assert steps.needs_second_look(held, look(0, Reason.SERVER_ERROR))
    assert steps.needs_second_look(held, look(0, Reason.SERVER_ERROR, 2), 1)
    assert not steps.needs_second_look(held, look(0, Reason.SERVER_ERROR, 3), 2)
    assert not steps.needs_second_look(held, look(0, Reason.SERVER_ERROR), 3)
    assert steps.needs_second_look(held, look(0, Reason.SERVER_ERROR), elapsed_s=10.0)
    assert not steps.needs_second_look(held, look(0, Reason.SERVER_ERROR), elapsed_s=10.1)
    assert not steps.needs_second_look(held, look(0, Reason.THROTTLED))
    assert not steps.needs_second_look(held, look(0, Reason.OK))
    assert not steps.needs_second_look(probe(policy=ONCE), look(0, Reason.SERVER_ERROR))


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
        held = steps.step(before, one, Policy())
        costs.append(calls_of(partial(steps.step, before, one, Policy())))
    assert max(costs) < 100  # 5,000 results a second leave 200 µs for everything
    assert max(costs[-560:]) <= max(costs[:560])


@given(st.lists(st.sampled_from(["x", "o"]), min_size=30, max_size=120), st.integers(1, 6))
@settings(max_examples=60)
def test_flapping_begins_and_ends_at_its_own_limit_and_holds_between(words: list[str], each: int) -> None:
    held, policy = probe_state.new_probe_state("chat", "local"), Policy(open_after_failures=1, window_looks=1)
    for tick, word in enumerate(word for word in words for _ in range(each)):
        before, held = held, steps.step(held, look(30 * tick, LETTERS[word]), policy)
        percent = flap_percent(held.flaps.state_mask)
        if percent >= policy.flap_start_percent:
            assert held.flapping
        elif percent <= policy.flap_stop_percent:
            assert not held.flapping
        else:
            assert held.flapping is before.flapping


STATES = st.lists(st.sampled_from(["o*6", "o*5 x", "o*5 s s s", "o*3 -*9", "o*3 i*9", ""]), min_size=1, max_size=7)


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
    seen = state("o*5 (x/s)*20 o")
    assert (seen.health, seen.reason, seen.detail) == (Health.DEGRADED, Reason.SLOW, "")
