"""Stories that are drawn from a ground truth: looks at the moments at which a prober would make them."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby

from monitor.core.model.observations import Observation, Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Impact, IncidentStatus
from monitor.core.scenario.draw import draw
from monitor.core.scenario.world import FOREVER, Statement, Stretch, World
from tests.judgement.steps import Looks, Sweep
from tests.judgement.stories.stage import SERVICE_REASONS, Stage
from tests.judgement.stories.telling import told

ARRIVE_S = 20.0
"""Looks that end within so long arrive together."""
UNCLEAR = [reason for reason in Reason if reason.outcome is Outcome.UNKNOWN]


@told
def drawn(stage: Stage) -> None:
    """Some probes fail partly or wholly, our own side fails for a minute, the vendor speaks; all of it by chance."""
    length_s = stage.rng.choice((240.0, 480.0))
    stretches = {probe.id: _stretches(stage, length_s) for probe in stage.some()}
    own = (_stretch(stage, length_s, 60.0, 1.0),) if stage.rng.random() < 0.3 else ()
    statements = tuple(_statements(stage, length_s))
    world = World(length_s, stage.rng.randrange(10**6), stretches, own, statements)
    begun = stage.now

    def arrival(result: Result) -> int:
        return int((result.ended_at - begun).total_seconds() // ARRIVE_S)

    for number, group in groupby(draw(world, stage.catalogue, begun), arrival):
        results = tuple(group)
        stage.sent += results
        stage.last = begun + timedelta(seconds=(number + 1) * ARRIVE_S)
        stage.add(Looks(results, stage.last))
        if stage.rng.random() < 0.3:
            stage.add(Sweep(stage.last))
    stage.now = max(stage.last, begun + timedelta(seconds=length_s)) + stage.tick


def _stretches(stage: Stage, length_s: float) -> tuple[Stretch, ...]:
    usual = Stretch(0.0, FOREVER, {"took_s": 0.3, "spread": 0.2})
    chance = stage.rng.choice((1.0, 0.9, 0.5, 0.25))
    return usual, _stretch(stage, length_s, length_s / 2, chance)


def _stretch(stage: Stage, length_s: float, lasts_s: float, chance: float) -> Stretch:
    start_s = stage.rng.uniform(0, length_s / 3)
    reason = stage.rng.choice((*SERVICE_REASONS, stage.rng.choice(UNCLEAR)))
    return Stretch(
        start_s, start_s + lasts_s, {"fails": chance, "failing": (Observation(reason, detail=reason.value),)}
    )


def _statements(stage: Stage, length_s: float) -> list[Statement]:
    service = stage.rng.choice(stage.services)
    return [
        Statement(at_s, service, f"{stage.now.isoformat()}", "Errors", status, Impact.MAJOR)
        for at_s, status in ((length_s / 3, IncidentStatus.INVESTIGATING), (length_s, IncidentStatus.RESOLVED))
    ]
