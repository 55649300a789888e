"""Cases through both judges: one that is given, or many that Hypothesis draws and shrinks."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.judgement.cases import case
from tests.judgement.database import InDatabase
from tests.judgement.empty import Fresh
from tests.judgement.findings import Reached, differences
from tests.judgement.memory import InMemory
from tests.judgement.steps import Order, Step
from tests.judgement.stories.telling import STORIES

NUMBERS = st.integers(0, 2**32 - 1)
MOST_STORIES = 3
MOST_LINES, MOST_CHARACTERS = 80, 600


class Both(NamedTuple):
    """What each judge reached."""

    memory: Reached
    database: Reached


def compare(steps: Sequence[Step], url: str, reached: Both, seed: int = 0) -> list[str]:
    """Play the steps through both; returns what differs, and adds what each reached.

    ``url`` is that of an empty database; ``seed`` chooses what its driver does with it.
    """
    memory, database = InMemory(), InDatabase(url, Random(seed))
    try:
        found: list[str] = []
        for number, step in enumerate(steps):
            one = memory.take(step)
            other = database.take(step, memory.made)
            if isinstance(step, Order) and memory.made is not None:
                for reach, outcome in zip(reached, (one, other), strict=True):
                    assert outcome is not None
                    reach.carried(memory.made, outcome)
                if one != other:
                    found.append(f"step {number}, {memory.made} at {step.at}:\n    {one}\n    {other}")
        held = memory.findings(), database.findings()
        for reach, what in zip(reached, held, strict=True):
            reach.take(what)
        return found + differences(*held)
    finally:
        database.close()


def shortly(told: Sequence[object]) -> str:
    """Say what differs so that a person can read it: a case is told again by its numbers."""
    lines = [str(item)[:MOST_CHARACTERS] for item in told[:MOST_LINES]]
    return "\n".join([*lines, "\u2026"] if len(told) > MOST_LINES else lines)


def play(cases: int, fresh: Fresh) -> Both:
    """Play so many random cases, always the same; raises on the first that differs, shrunk to its stories.

    With them every story is told for certain, twice and varied, so that what is reached rests on no chance.
    """
    reached = Both(Reached(), Reached())

    def both_judge_alike(world: int, stories: list[int], driver: int) -> None:
        steps = case(world, stories)
        found = compare(steps, fresh(), reached, driver)
        assert not found, shortly(
            [*found[:10], f"case({world}, {stories}), driver {driver}: {len(steps)} steps", *steps]
        )

    most = len(STORIES)
    chosen = settings(
        max_examples=cases - most,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    drawn = chosen(given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=MOST_STORIES), NUMBERS)(both_judge_alike))
    for number in range(most):
        drawn = example(number, [number, number + most], number)(drawn)
    drawn()
    return reached
