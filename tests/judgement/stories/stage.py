"""The stage of the stories: a clock that is driven, what is watched, makers of looks and of what goes between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from monitor.core.catalogue import Catalogue, Probe
from monitor.core.model.alerting import Sending
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Outcome, Reason
from tests.judgement.steps import CheckIn, Deliver, Looks, Publish, RollUp, Step, Sweep
from tests.judgement.stories import commands as people
from tests.judgement.worlds import PLACES, world

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""A Monday."""
WITHIN = timedelta(seconds=5)
"""Looks of a tick, second looks included, have ended and arrived after so long."""
SERVICE_REASONS = [reason for reason in Reason if reason.outcome is Outcome.FAILED]
Seen = Observation | Reason
Choose = Callable[[Probe, str, int], Seen | None]
"""(probe, location, round) → what a look finds; ``None`` where nobody looks."""


@dataclass
class Stage:
    """One case while it is written."""

    rng: Random
    catalogue: Catalogue
    now: datetime = START
    steps: list[Step] = field(default_factory=list)
    sent: list[Result] = field(default_factory=list)
    tick: timedelta = timedelta(seconds=30)
    last: datetime = START
    """The newest moment at which something happened between looks."""

    @classmethod
    def opened(cls, seed: int) -> Stage:
        """Return the stage with a random catalogue in force and its workers alive."""
        rng = Random(seed)
        stage = cls(rng, world(rng, START))
        stage.tick = timedelta(seconds=rng.choice((20, 30)))
        stage.add(Publish(stage.catalogue, START))
        if rng.random() < 0.9:
            stage.check_in()
        return stage

    def add(self, *steps: Step) -> None:
        self.steps += steps

    # What is watched

    @property
    def looking(self) -> list[Probe]:
        """Probes whose looks count for a component."""
        found = [item for item in self.catalogue.probes if not (item.witness or item.control)]
        return found or list(self.catalogue.probes)

    @property
    def witnesses(self) -> list[Probe]:
        return [item for item in self.catalogue.probes if item.witness]

    def some(self, most: int = 3) -> list[Probe]:
        """Return some of the probes that count."""
        return self.rng.sample(self.looking, min(len(self.looking), self.rng.randint(1, most)))

    def of_service(self, service: str) -> list[Probe]:
        return [item for item in self.looking if item.component.partition("/")[0] == service]

    @property
    def services(self) -> list[str]:
        return sorted({item.component.partition("/")[0] for item in self.looking})

    # Looks

    def round(self, choose: Choose, number: int = 0, probes: Iterable[Probe] | None = None) -> None:
        """Let every probe look once, at every place, with second looks where they fail; then the clock moves on."""
        rng, found = self.rng, []
        shift = timedelta(microseconds=rng.choice((0, 0, rng.randrange(1, 999_999))))
        for probe in self.catalogue.probes if probes is None else probes:
            for place in probe.locations:
                seen = choose(probe, place, number)
                if seen is not None:
                    found += self.look(probe, place, seen, shift)
        self.sent += found
        newest = max((result.ended_at for result in found), default=self.now)
        self.last = max(self.last, newest if rng.random() < 0.3 else self.now + WITHIN)
        self.add(Looks(tuple(found), self.last))
        self.now += self.tick

    def look(self, probe: Probe, place: str, seen: Seen, shift: timedelta = timedelta(0)) -> list[Result]:
        """Return a look of this tick, and its second looks."""
        observation = seen if isinstance(seen, Observation) else Observation(seen, _detail(seen))
        lasts = self.rng.choice((0.3, 0.3, 0.3, 1.0))
        again = observation.outcome is Outcome.FAILED and probe.policy.early_looks and self.rng.random() < 0.6
        return [
            Result(
                RunId(probe.id, place, self.now, attempt),
                self.now + shift + timedelta(seconds=attempt - 1),
                lasts,
                observation,
            )
            for attempt in range(1, 4 if again else 2)
        ]

    def rounds(self, count: int, choose: Choose, *, busy: bool = True, probes: Iterable[Probe] | None = None) -> None:
        """Play so many rounds, with what else happens between them."""
        held = None if probes is None else list(probes)
        for number in range(count):
            self.round(choose, number, held)
            if busy:
                self.between()

    def calm(self, count: int, *, busy: bool = False) -> None:
        """Everything works."""
        self.rounds(count, lambda _probe, _place, _n: Reason.OK, busy=busy)

    # What goes between

    def moment(self) -> datetime:
        """Return a time between the newest looks and the next, now and then exactly when a look ended."""
        at = self.now - timedelta(seconds=self.rng.choice((0, 1, 7.5)))
        if self.sent and self.rng.random() < 0.2:
            at = self.sent[-1].ended_at
        self.last = max(self.last, at)
        return self.last

    def between(self) -> None:
        """Let something happen after a round, or nothing."""
        rng = self.rng
        if rng.random() < 0.2:
            self.check_in()
        if rng.random() < 0.25:
            self.add(Sweep(self.moment()))
        if rng.random() < 0.12:
            self.add(people.order(rng, self.catalogue, self.moment()))
        if rng.random() < 0.1:
            outcome = rng.choice((Sending.SENT, Sending.SENT, Sending.DEAD))
            self.add(Deliver(rng.randint(1, 3), outcome, self.moment()))
        if rng.random() < 0.02:
            self.add(RollUp(self.moment()))

    def check_in(self, **told: Any) -> None:
        """A sign of life of the worker of each place, in which they may tell something."""
        at = self.moment() if self.sent else self.now
        self.add(*(CheckIn(f"worker-{place}", place, at, **told) for place in PLACES))

    def wait(self, length: timedelta, sweeps: int = 0) -> None:
        """Let time pass without a look."""
        for number in range(1, sweeps + 1):
            self.add(Sweep(self.now + length * number / (sweeps + 1)))
        self.now += length


def _detail(reason: Reason) -> str:
    return "" if reason is Reason.OK else f"{reason.value}: 503 \u670d\u52a1\u5668 \u2026"
