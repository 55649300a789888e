"""A case: a random world, and the stories that are told in it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.judgement.steps import Step, joined
from tests.judgement.stories import drawn, outages, readings, workers_and_people, yours_or_ours
from tests.judgement.stories.stage import Stage
from tests.judgement.stories.telling import STORIES

TOLD_IN = (outages, readings, workers_and_people, drawn, yours_or_ours)
"""Modules whose stories are told: importing one puts its stories into the list."""
NUMBERS = 2**32 - 1


def case(seed: int, stories: Sequence[int]) -> list[Step]:
    """Return the steps of a case: a world, and one story for each number."""
    stage = Stage.opened(seed)
    for number in stories:
        stage.rng = Random(number)
        STORIES[number % len(STORIES)](stage)
    return joined(stage.steps)
