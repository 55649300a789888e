"""What a case is made of: short stories, each of which would reach some rule by itself, told after one another.

A story is chosen and varied by one number, so that a failing case shrinks to the stories that matter. Whoever adds a
rule, an event or a command adds a story that reaches it: the test asserts that all are reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monitor.core.catalogue import Probe
from monitor.core.model.reasons import Reason
from tests.judgement.stories.stage import Choose, Seen, Stage
from tests.judgement.worlds import PLACES

Story = Callable[[Stage], None]
STORIES: list[Story] = []


def told(story: Story) -> Story:
    """Put a story among those that are told."""
    STORIES.append(story)
    return story


def failing(probes: Sequence[Probe], seen: Seen, where: Sequence[str] = PLACES) -> Choose:
    """Let some probes find trouble at some places; all else works."""
    names = {probe.id for probe in probes}
    return lambda probe, place, _n: seen if probe.id in names and place in where else Reason.OK
