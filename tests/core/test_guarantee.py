"""The promise of a policy, proven over phase offsets against the real rules, with the worst luck on either side."""

import itertools
from datetime import timedelta

import pytest

from monitor.core import health
from monitor.core.catalogue import Policy, Probe
from monitor.core.guarantee import DELIVERY_S, guarantee
from monitor.core.model import Observation, Reason, Result, RunId

from .making import T0, at, probe

POLICIES = {
    "at once": Policy(),
    "two ticks": Policy(confirm_at_once=False),
    "three of three": Policy(open_after_failures=3, window_looks=3),
    "three of five, no second look": Policy(open_after_failures=3, window_looks=5, confirm_at_once=False),
    "one look": Policy(open_after_failures=1, window_looks=1),
}
WARM_S = 120


def noticed_s(held: Probe, begin_s: float, length_s: float, *, lucky: bool, took_s: float) -> float | None:
    """Seconds from the beginning of an outage until the rules say so, or ``None``.

    A look lasts ``took_s`` if it fails. A look that the outage covers only in part succeeds if ``lucky`` (for the
    vendor) and fails otherwise.
    """
    state, end_s = health.new_probe_state(held.id, "local"), begin_s + length_s

    def one(tick_s: float, start_s: float, attempt: int) -> Result:
        inside = begin_s <= start_s and start_s + took_s <= end_s
        touched = start_s < end_s and start_s + took_s > begin_s
        failed = inside or (touched and not lucky)
        took = took_s if failed else 0.1
        observation = Observation(Reason.SERVER_ERROR if failed else Reason.OK)
        return Result(RunId(held.id, "local", at(tick_s), attempt), at(start_s), took, observation)

    before = None
    for tick in itertools.count(0, held.interval_s):
        found = [one(tick, tick, 1)]
        state = health.step(state, found[0], held.policy)
        if health.needs_second_look(held, found[0], before):
            found.append(one(tick, tick + found[0].duration_s, 2))
            state = health.step(state, found[1], held.policy)
        before = found[0].outcome
        if tick > end_s + held.interval_s:
            return None
        if state.down:
            done = found[-1].started_at + timedelta(seconds=found[-1].duration_s)
            return (done - T0).total_seconds() - begin_s
    raise AssertionError("time never ends")


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("interval_s", [10, 30, 60])
def test_every_longer_outage_is_noticed_in_time_and_no_shorter_one_ever(name: str, interval_s: int) -> None:
    held = probe(interval_s=interval_s, policy=POLICIES[name])
    promise = guarantee(held)
    for step in range(40):
        begin_s = WARM_S + interval_s * step / 40
        for took_s in (0.001, held.timeout_s / 2, held.timeout_s):
            for extra_s in (0.01, 1.0, 3 * interval_s):
                length_s = promise.noticed_if_longer_s + extra_s
                found = noticed_s(held, begin_s, length_s, lucky=True, took_s=took_s)
                assert found is not None, (begin_s, took_s, length_s)
                assert found + DELIVERY_S <= promise.told_within_s + 1e-6
            short_s = promise.never_if_shorter_s - 0.01
            if short_s > 0:
                assert noticed_s(held, begin_s, short_s, lucky=False, took_s=took_s) is None


@pytest.mark.parametrize("name", POLICIES)
def test_the_promise_is_tight_some_phase_needs_nearly_all_of_it(name: str) -> None:
    held = probe(policy=POLICIES[name])
    promise = guarantee(held)
    length_s = promise.noticed_if_longer_s + 1
    begins = [WARM_S + held.interval_s * step / 100 for step in range(100)]
    found = [noticed_s(held, begin_s, length_s, lucky=True, took_s=held.timeout_s) or 0.0 for begin_s in begins]
    assert max(found) > promise.noticed_if_longer_s - 1
    shorter = promise.noticed_if_longer_s - held.interval_s
    assert any(noticed_s(held, b, shorter, lucky=True, took_s=held.timeout_s) is None for b in begins)


def test_the_sentence_names_the_numbers() -> None:
    assert guarantee(probe()).sentence("chat") == (
        "chat: every outage longer than 50 s is notified within 55 s (up to 30 s more if it may be our network)"
    )
    several = probe(policy=Policy(confirm_at_once=False), locations=("berlin", "osaka", "austin"))
    assert "at 2 locations" in guarantee(several).sentence("web")
    assert "none shorter than 20 s ever is" in guarantee(several).sentence("web")
