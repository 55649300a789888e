"""Who watches: our rule and those of six others, each over the same streams of looks.

A stream is a :class:`Line`: how likely a look fails, by time. Everything that a watcher says is a :class:`Said`.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from monitor.core.catalogue import Policy, Probe
from monitor.core.checks import pace as pacing
from monitor.core.checks.probe_state import ProbeState, new_probe_state
from monitor.core.checks.steps import step
from monitor.core.checks.suspicion import CALM
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health

START = datetime(2026, 1, 5, tzinfo=UTC)
LOOK_S = 0.4
FAILED, GOOD = Observation(Reason.SERVER_ERROR), Observation(Reason.OK)


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody says that it is down, or that it is up again."""

    down: bool
    at_s: float
    """When it was said: the end of the look that decided."""
    since_s: float
    """Since when, as stated."""


@dataclass(frozen=True)
class Line:
    """The chance of a look to fail: ``calm``, but for some stretches (start, end, chance) that do not overlap."""

    calm: float
    stretches: Sequence[tuple[float, float, float]] = ()
    _starts: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", [start for start, _, _ in self.stretches])

    def at(self, at_s: float) -> float:
        """Return the chance of a look that begins now."""
        place = bisect_right(self._starts, at_s) - 1
        if place >= 0 and at_s < self.stretches[place][1]:
            return self.stretches[place][2]
        return self.calm

    def quiet_until(self, at_s: float) -> float:
        """Return how long nothing but chance fails from now on."""
        place = bisect_right(self._starts, at_s) - 1
        if place >= 0 and at_s < self.stretches[place][1]:
            return at_s
        return self._starts[place + 1] if place + 1 < len(self._starts) else math.inf


class Watcher(Protocol):
    """A rule at work."""

    @property
    def name(self) -> str:
        """What it is called in the table."""

    @property
    def interval_s(self) -> float:
        """Seconds from tick to tick."""

    def watch(self, line: Line, rng: random.Random, first_s: float, until_s: float) -> Iterator[Said]:
        """Look from the first tick on and yield what is said."""


def next_failure(line: Line, rng: random.Random, tick_s: float, interval_s: float) -> tuple[float, bool]:
    """Pass over ticks at which nothing can happen to a watcher that remembers nothing.

    Returns the tick to go on with, and whether its look fails for sure; exact, since chance has no memory.
    """
    quiet_s = line.quiet_until(tick_s)
    if quiet_s <= tick_s:
        return tick_s, False
    passed = math.inf if line.calm <= 0 else int(math.log(1.0 - rng.random()) / math.log(1.0 - line.calm))
    before = math.ceil((quiet_s - tick_s) / interval_s) if quiet_s < math.inf else math.inf
    if passed < before:
        return tick_s + passed * interval_s, True
    return (tick_s + before * interval_s, False) if before < math.inf else (math.inf, False)


@dataclass(frozen=True)
class Ours:
    """The rule of this house: the real pace of looks, folded by the real step."""

    name: str
    probe: Probe

    @property
    def interval_s(self) -> float:
        """Seconds from tick to tick."""
        return float(self.probe.interval_s)

    def watch(self, line: Line, rng: random.Random, first_s: float, until_s: float) -> Iterator[Said]:
        """Look as the prober does and judge as the recorder does; ticks of which nothing is kept are passed over."""
        probe, interval_s = self.probe, self.interval_s
        state, pace, red, tick_s = new_probe_state(probe.id, "local"), pacing.START, False, first_s
        # Before that all was well, for no outage is stated to begin before anybody looked.
        before_s = first_s - 100 * interval_s
        state, pace, _ = self._look(state, pace, before_s, before_s, 1, failed=False)
        while tick_s < until_s:
            surely = False
            if state.suspicion is CALM and not red:
                later_s, surely = next_failure(line, rng, tick_s, interval_s)
                if later_s >= until_s:
                    return
                if later_s > tick_s:  # evidence is always as old as one tick
                    state, pace, _ = self._look(
                        state, pace, later_s - interval_s, later_s - interval_s, 1, failed=False
                    )
                tick_s = later_s
            at_s, attempt = tick_s, 1
            while True:
                failed = surely or rng.random() < line.at(at_s)
                state, pace, pause_s = self._look(state, pace, tick_s, at_s, attempt, failed=failed)
                now_red = state.health in (Health.PARTIAL, Health.MAJOR)
                if now_red is not red:
                    red = now_red
                    yield Said(red, at_s + LOOK_S, _seconds(state.since))
                if pause_s is None:
                    break
                at_s, attempt, surely = at_s + LOOK_S + pause_s, attempt + 1, False
            tick_s += interval_s * max(1, math.ceil((at_s + LOOK_S - tick_s) / interval_s - 1e-9))

    def _look(
        self, state: ProbeState, pace: pacing.Pace, tick_s: float, at_s: float, attempt: int, *, failed: bool
    ) -> tuple[ProbeState, pacing.Pace, float | None]:
        tick = START + timedelta(seconds=tick_s)
        at = START + timedelta(seconds=at_s) if attempt > 1 else tick
        result = Result(RunId(self.probe.id, "local", tick, attempt), at, LOOK_S, FAILED if failed else GOOD)
        state = step(state, result, self.probe)
        pace, pause_s = pacing.after(pace, self.probe, result, at_s + LOOK_S - tick_s)
        return state, pace, pause_s


def _seconds(at: datetime | None) -> float:
    assert at is not None
    return (at - START).total_seconds()


@dataclass(frozen=True)
class Peer:
    """A rule that counts: ``k`` failures among the newest ``n`` looks are down, ``up`` good ones in a row are not."""

    name: str
    interval_s: float
    k: int
    n: int
    up: int = 1
    again_s: float | None = None
    """A failed look that is not confirmed is repeated after so long; ``None``: on the next tick."""

    def watch(self, line: Line, rng: random.Random, first_s: float, until_s: float) -> Iterator[Said]:
        """Look on the grid and count."""
        newest, good, down, tick_s = 0, self.up, False, first_s
        whole, began_s = (1 << self.n) - 1, first_s
        while tick_s < until_s:
            surely = False
            if not newest and not down:
                tick_s, surely = next_failure(line, rng, tick_s, self.interval_s)
                if tick_s >= until_s:
                    return
            at_s = tick_s
            while True:
                failed = surely or rng.random() < line.at(at_s)
                newest = (newest << 1 | failed) & whole
                began_s = at_s if failed and newest == 1 else began_s
                good = 0 if failed else good + 1
                if not down and failed and newest.bit_count() >= self.k:
                    down = True
                    yield Said(True, at_s + LOOK_S, began_s)
                elif down and good >= self.up:
                    down, newest = False, 0
                    yield Said(False, at_s + LOOK_S, at_s)
                if self.again_s is None or not failed or down:
                    break
                at_s, surely = at_s + self.again_s, False
            tick_s += self.interval_s * max(1, math.ceil((at_s + LOOK_S - tick_s) / self.interval_s))


@dataclass(frozen=True)
class Team:
    """Several of our probes at one component, evenly apart: it is down while one of them is."""

    name: str
    members: tuple[Ours, ...]

    @property
    def interval_s(self) -> float:
        """Seconds from tick to tick of the first."""
        return self.members[0].interval_s

    def watch(self, line: Line, rng: random.Random, first_s: float, until_s: float) -> Iterator[Said]:
        """Look with each by its own chance, and say when the first is down and the last is up again."""
        streams = []
        for place, member in enumerate(self.members):
            own_s = (first_s + place * self.interval_s / len(self.members)) % member.interval_s
            streams.append(member.watch(line, random.Random(rng.random()), own_s, until_s))
        red = 0
        for said in heapq.merge(*streams, key=lambda one: one.at_s):
            red += 1 if said.down else -1
            if red == int(said.down):
                yield said


TWO_CHATS = tuple(
    Ours(name, Probe(name, "vendor/api", "chat", 300, 60.0, asks_model=True, sharing=2)) for name in ("one", "other")
)
TEAMS = (
    Team("chatwatch, two chats", TWO_CHATS),
    Team(
        "chatwatch, chat and list of models",
        (TWO_CHATS[0], Ours("models", Probe("models", "vendor/api", "http", 60, 10.0, sharing=2))),
    ),
)
OURS = (
    Ours("chatwatch", Probe("web", "vendor/web", "http", 60, 10.0)),
    Ours("chatwatch 10 s", Probe("web", "vendor/web", "http", 60, 10.0, policy=Policy(shortest_outage_s=10.0))),
    Ours("chatwatch chat", Probe("chat", "vendor/api", "chat", 300, 60.0, asks_model=True)),
)
PEERS = (
    Peer("Uptime Kuma, 0 retries", 60, 1, 1),
    Peer("Uptime Kuma, 3 retries", 60, 4, 4),
    Peer("Gatus, 3 and 2", 60, 3, 3, up=2),
    Peer("Better Stack, 2 of 2", 30, 2, 2, again_s=3.0),
    Peer("Route 53, 3 of 3", 30, 3, 3, up=3),
    Peer("CloudWatch, 3 of 5", 60, 3, 5, up=3),
)
WATCHERS: tuple[Watcher, ...] = (*OURS, *TEAMS, *PEERS)
