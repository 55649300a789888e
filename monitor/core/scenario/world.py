"""Ground truth: what the services really do, from when to when, so that verdicts can be measured against it.

Beside or instead of ``looks:`` a scenario gives, by probe, stretches of time; the looks are drawn from them
(:mod:`monitor.core.scenario.draw`)::

    until: 4h
    seed: 1
    world:
      chat:
        - {fails: 0.1%, took: 400ms}
        - {from: 30m, to: 2h30m, fails: 50%, reason: [service.error, service.timeout.headers]}
    own_side:
      - {from: 3h, to: 3h1m, location: local, reason: service.error}
    vendor_says:
      - {at: 43m, status: investigating, name: Elevated errors}
      - {at: 2h40m, status: resolved}

A stretch changes what it names; the rest stays as the stretches before it in the list say. Without any, all works.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

from monitor.core.catalogue import Probe
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason, Scope
from monitor.core.model.states import Health, Impact, IncidentStatus

FOREVER = float("inf")
COUNTS_FROM = 0.05
"""A failure rate from which a stretch is an outage in truth; below it is the bad luck of a service that works."""
MAJOR_FROM = 0.8
"""… and from which it is a major one."""
NORMAL = tuple(NormalDist().inv_cdf((n + 0.5) / 40) for n in range(40))
"""Middles of forty equally likely parts of the standard normal distribution."""
CODES = 100
"""Tokens of an answer that does not say how many it has."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a probe is answered for a while."""

    fails: float = 0.0
    """Chance of a look to fail, each by itself."""
    failing: tuple[Observation, ...] = (Observation(Reason.SERVER_ERROR, detail=Reason.SERVER_ERROR.value),)
    """What a look that fails finds, one of these."""
    answers: Observation = field(default_factory=lambda: Observation(Reason.OK))
    """What a look that does not fail finds."""
    took_s: float = 0.4
    """From the beginning of a look to its end."""
    fail_took_s: float | None = None
    """The same of a look that fails; a timeout lasts as long as the probe waits."""
    spread: float = 0.0
    """Standard deviation of the logarithm of these times."""
    ttft_s: float | None = None
    """Time to the first token; then the answer is a stream and lasts as long as its tokens do."""
    tokens_per_s: float = 50.0
    tokens: int = CODES
    truth: Health | None = None
    """What is true meanwhile, where it is not what the failure rate says."""

    def late_ratio(self, timeout_s: float) -> float:
        """Return which share of the good answers is not whole in time: over the middles of equally likely times."""
        factors = [math.exp(self.spread * z) for z in NORMAL] if self.spread else [1.0]
        if self.ttft_s is None:
            return sum(self.took_s * one >= timeout_s for one in factors) / len(factors)
        first_s, rest_s = self.ttft_s, (self.tokens - 1) / self.tokens_per_s
        late = sum(first_s * one + rest_s * other >= timeout_s for one in factors for other in factors)
        return late / len(factors) ** 2

    def health_for(self, timeout_s: float, slow_after_s: float) -> Health:
        """Return what is true for who waits so long and calls an answer slow that begins later than ``slow_after_s``.

        Answers that come too late are failures; whether the others are slow says the one in the middle.
        """
        if self.truth is not None or self.answers.reason is not Reason.OK or self.health is Health.UNKNOWN:
            return self.health
        served = Scope.SERVICE in {seen.reason.scope for seen in self.failing}
        late = self.late_ratio(timeout_s)
        fails = self.fails + (1 - self.fails) * late if served else late
        if late and fails >= COUNTS_FROM:
            return Health.MAJOR if fails >= MAJOR_FROM else Health.PARTIAL
        begins_s = self.took_s if self.ttft_s is None else self.ttft_s
        return Health.DEGRADED if begins_s > slow_after_s and self.health is Health.OPERATIONAL else self.health

    @property
    def health(self) -> Health:
        """What is true while the service answers so, if the answers are quick enough."""
        if self.truth is not None:
            return self.truth
        scopes = {seen.reason.scope for seen in self.failing}
        if self.fails >= COUNTS_FROM and Scope.SERVICE in scopes:
            return Health.MAJOR if self.fails >= MAJOR_FROM else Health.PARTIAL
        if self.fails >= COUNTS_FROM and scopes <= {Scope.ACCOUNT, Scope.PROBE}:
            return Health.UNKNOWN
        usual = self.answers.outcome
        if usual is Outcome.FAILED:
            return Health.MAJOR
        if usual in (Outcome.UNKNOWN, Outcome.MISSED):
            return Health.UNKNOWN
        slow = usual is Outcome.SLOW or (self.fails >= COUNTS_FROM and Scope.DEGRADED in scopes)
        return Health.DEGRADED if slow else Health.OPERATIONAL


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a probe is answered otherwise, or in which our own side fails."""

    start_s: float
    end_s: float
    changes: Mapping[str, Any]
    """Fields of :class:`Answer`."""
    locations: tuple[str, ...] = ()
    """Where it is seen; empty means everywhere."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of the vendor's own page."""

    at_s: float
    service: str
    incident: str
    name: str
    status: IncidentStatus
    impact: Impact
    body: str = ""
    components: tuple[str, ...] = ()
    """Components of ours that it names; empty means that it names none."""


class Timeline:
    """Answers by time: a step function."""

    def __init__(self, stretches: Sequence[Stretch], location: str) -> None:
        here = [item for item in stretches if not item.locations or location in item.locations]
        cuts = sorted({0.0, *(item.start_s for item in here), *(item.end_s for item in here)} - {FOREVER})
        self.starts = [at for at in cuts if at >= 0]
        self.answers = [self._at(here, at) for at in self.starts]

    @staticmethod
    def _at(stretches: Sequence[Stretch], at_s: float) -> Answer:
        changes: dict[str, Any] = {}
        for item in stretches:
            if item.start_s <= at_s < item.end_s:
                changes |= item.changes
        return Answer(**changes)

    def __call__(self, at_s: float) -> Answer:
        """Return the answer of a moment, in seconds after the start."""
        return self.answers[bisect_right(self.starts, at_s) - 1]

    def pieces(self, until_s: float) -> Iterator[tuple[float, float, Answer]]:
        """Yield (start, end, answer) until the end of the scenario."""
        ends = [*self.starts[1:], until_s]
        for start, end, answer in zip(self.starts, ends, self.answers, strict=True):
            if start < until_s:
                yield start, min(end, until_s), answer


@dataclass(frozen=True)
class World:
    """What is true in a scenario, read from its file."""

    until_s: float
    seed: int
    stretches: Mapping[str, tuple[Stretch, ...]]
    """Probe → its stretches in the order of the file."""
    own: tuple[Stretch, ...] = ()
    """When all probes of a location fail together, and it is our own side."""
    statements: tuple[Statement, ...] = ()
    """The vendors' words, in the order in which they come."""
    slow_after_s: Mapping[str, float] = field(default_factory=dict)
    """Probe → a good answer that takes longer is slow."""
    offset_s: Mapping[str, float] = field(default_factory=dict)
    """Probe → place of its grid; where none is given it is drawn."""

    def timeline(self, probe: Probe, location: str) -> Timeline:
        """Return how a probe is answered at a location."""
        return Timeline(self.stretches.get(probe.id, ()), location)

    def health(self, probe: Probe, answer: Answer) -> Health:
        """Return what is true for a probe while it is answered so."""
        return answer.health_for(probe.timeout_s, self.slow_after_s.get(probe.id, FOREVER))

    def own_side(self, location: str) -> Timeline:
        """Return how our own side fails at a location."""
        return Timeline(self.own, location)


def with_seed(world: World, seed: int) -> World:
    """Return the same truth, of which other looks are drawn."""
    return replace(world, seed=seed)
