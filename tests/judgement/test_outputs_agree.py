"""After every event of random worlds all outputs say the same; see :mod:`tests.agreement.outputs`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agreement.watching import Asker
from tests.judgement.cases import case
from tests.judgement.memory import InMemory
from tests.judgement.same import MOST_STORIES, NUMBERS
from tests.judgement.steps import Looks, Step, Sweep

CASES = 60


def disagreements(steps: list[Step]) -> list[str]:
    """Play the steps one look after the other, and ask after each."""
    memory = InMemory()
    asker = Asker(memory.store)
    before = steps[0].at
    for step in steps:
        before = _swept(memory, before, step.at)
        if not isinstance(step, Looks):
            memory.take(step)
            asker.ask(step.at)
            continue
        for result in step.results:
            before = _swept(memory, before, step.at if step.late else result.ended_at)
            memory.take(replace(step, results=(result,)))
            asker.ask(step.at if step.late else result.ended_at)
    return asker.found


def _swept(memory: InMemory, before: datetime, now: datetime) -> datetime:
    """Sweep where planned work ended since, as the recorder does within seconds, and return until when it is done."""
    for end in sorted({window.ends_at for window in memory.store.windows(now) if before < window.ends_at <= now}):
        memory.take(Sweep(end))
    return max(before, now)


@settings(max_examples=CASES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=MOST_STORIES))
def test_all_outputs_agree_in_random_worlds(world: int, stories: list[int]) -> None:
    found = disagreements(case(world, stories))
    assert found == []
