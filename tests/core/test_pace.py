"""When a probe looks again."""

from datetime import timedelta

from monitor.core.checks import pace
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason

from .making import at, probe


def look(attempt: int, reason: Reason) -> Result:
    return Result(
        RunId("chat", "local", at(0), attempt), at(0) + timedelta(seconds=5 * attempt), 0.5, Observation(reason)
    )


def test_a_failure_is_looked_at_again_until_it_is_settled() -> None:
    held, known = probe(), pace.START
    pauses = []
    for attempt in (1, 2, 3):
        known, pause_s = pace.after(known, held, look(attempt, Reason.SERVER_ERROR), 5.0 * attempt)
        pauses.append(pause_s)
    assert pauses == [held.policy.second_look_after_s, held.policy.second_look_after_s, None]


def test_a_good_look_and_our_own_limit_wait_for_the_next_tick() -> None:
    for reason in (Reason.OK, Reason.SLOW, Reason.THROTTLED, Reason.AUTH):
        assert pace.after(pace.START, probe(), look(1, reason), 0.5) == (pace.START, None)
