"""What the probes of one location saw last, kept as looks come in, and whether the location is blind by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from monitor.core.doubt.network import Targets, blindness
from monitor.core.doubt.sight import SEES, Sight, seen
from monitor.core.model.depth import DOUBTED
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome


class Lookout:
    """What the probes of one location saw last, as the wire saw it, and whether the location is blind."""

    def __init__(self) -> None:
        self.sights: dict[str, Sight] = {}
        self.blindness = SEES

    def note(self, result: Result) -> None:
        """Take a look, before it is judged."""
        sight = seen(self.sights.get(result.run.probe), result)
        if sight is not None:
            self.sights[result.run.probe] = sight

    def found_ours(self, result: Result) -> None:
        """Take that a look was found to be our own side's failure."""
        if (sight := self.sights.get(result.run.probe)) is not None:
            self.sights[result.run.probe] = replace(sight, ours_at=result.started_at)

    def look(self, result: Result, targets: Targets, now: datetime) -> bool:
        """Take a look and say whether the location went blind by it, or sees again."""
        self.note(result)
        if result.outcome is Outcome.MISSED or not (result.reason in DOUBTED or self.blindness):
            return False
        before, self.blindness = self.blindness, blindness(self.sights, targets, now)
        return bool(before) != bool(self.blindness)
