"""What is true of a component over the time of a scenario, and which of it somebody should hear of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from monitor.core.catalogue import Catalogue, Probe
from monitor.core.components.health import quorum
from monitor.core.model.states import Health
from monitor.core.scenario.world import World

RED = (Health.PARTIAL, Health.MAJOR)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one health; seconds after the start of the scenario."""

    start_s: float
    end_s: float
    health: Health


@dataclass(frozen=True, slots=True)
class Episode:
    """An outage, partial or not, from its true beginning to its true end."""

    component: str
    start_s: float
    end_s: float
    health: Health
    """The worst of it."""
    is_blip: bool
    """Shorter than the shortest outage that may page by its probes' policy: whoever is paged is paged for a blip."""


def pieces(world: World, catalogue: Catalogue, component: str) -> list[Piece]:
    """Return what is true of a component: the worst of its probes, as enough of their locations would see it."""
    probes = _speaking(catalogue, component)
    lines = [[world.timeline(probe, place) for place in probe.locations] for probe in probes]
    cuts = {0.0, world.until_s} | {at for of_probe in lines for line in of_probe for at in line.starts}
    ordered = [at for at in sorted(cuts) if 0 <= at <= world.until_s]
    found: list[Piece] = []
    for start_s, end_s in pairwise(ordered):
        healths = [
            _of_probe(probe, [world.health(probe, line(start_s)) for line in own])
            for probe, own in zip(probes, lines, strict=True)
        ]
        worst = max(healths, key=lambda health: health.rank, default=Health.UNKNOWN)
        if found and found[-1].health is worst:
            found[-1] = Piece(found[-1].start_s, end_s, worst)
        else:
            found.append(Piece(start_s, end_s, worst))
    return found


def episodes(world: World, catalogue: Catalogue, component: str) -> list[Episode]:
    """Return the outages of a component, oldest first; one that only changes its severity is one."""
    shortest_s = min((probe.policy.shortest_outage_s for probe in _speaking(catalogue, component)), default=0.0)
    found: list[Episode] = []
    for piece in pieces(world, catalogue, component):
        if piece.health not in RED:
            continue
        before = found[-1] if found and found[-1].end_s == piece.start_s else None
        start_s = before.start_s if before else piece.start_s
        worst = max((before.health if before else piece.health, piece.health), key=lambda health: health.severity)
        if before:
            found.pop()
        found.append(Episode(component, start_s, piece.end_s, worst, piece.end_s - start_s < shortest_s))
    return found


def _speaking(catalogue: Catalogue, component: str) -> list[Probe]:
    return [
        probe
        for probe in catalogue.probes
        if probe.component == component and not (probe.witness or probe.control or probe.disabled)
    ]


def _of_probe(probe: Probe, healths: Sequence[Health]) -> Health:
    """Return what a probe should say: the health that as many locations see as must agree."""
    ranked = sorted(healths, key=lambda health: health.rank, reverse=True)
    agreed = ranked[quorum(len(ranked), probe.policy) - 1]
    return min(agreed, probe.impact_when_down, key=lambda health: health.severity) if agreed in RED else agreed
