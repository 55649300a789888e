"""Draws looks from a ground truth, at the moments at which a prober would look.

The grid, the pace of early looks (:mod:`monitor.core.checks.pace`) and what a look lasts are those of a prober; what it
finds is a matter of chance, from a stream of random numbers of its own for each seed, probe and location. So the looks
of one probe stay the same whatever is changed about another.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.catalogue import Catalogue, Probe
from monitor.core.checks import pace as pacing
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.core.scenario.world import Answer, Statement, World

TIMEOUTS = frozenset(reason for reason in Reason if reason.value.startswith("service.timeout"))
INDICATORS: Mapping[Impact, Health] = {
    Impact.NONE: Health.OPERATIONAL,
    Impact.MINOR: Health.DEGRADED,
    Impact.MAJOR: Health.PARTIAL,
    Impact.CRITICAL: Health.MAJOR,
}
OVER = (IncidentStatus.RESOLVED, IncidentStatus.POSTMORTEM)


def draw(world: World, catalogue: Catalogue, start: datetime) -> Iterator[Result]:
    """Yield the looks of all probes at all locations in the order in which they end."""
    streams = [
        Series(world, probe, location, start).looks()
        for probe in catalogue.probes
        for location in probe.locations
        if not probe.disabled
    ]
    return heapq.merge(*streams, key=lambda result: result.ended_at)


def chance(name: str) -> random.Random:
    """Return a stream of random numbers that is always the same for a name."""
    return random.Random(name)  # noqa: S311  chance, no secret


class Series:
    """The looks of one probe at one location."""

    def __init__(self, world: World, probe: Probe, location: str, start: datetime) -> None:
        self.world, self.probe, self.location, self.start = world, probe, location, start
        self.truth, self.own = world.timeline(probe, location), world.own_side(location)
        self.rng = chance(f"{world.seed}/{probe.id}/{location}")
        grid = chance(f"{world.seed}/{probe.id}").uniform(0, probe.interval_s)  # one for all its locations
        self.first_s = world.offset_s.get(probe.id, round(grid, 3))
        self.slow_after_s = world.slow_after_s.get(probe.id, math.inf)
        service = probe.component.partition("/")[0]
        self.statements = [one for one in world.statements if one.service == service] if probe.witness else []

    def looks(self) -> Iterator[Result]:
        """Yield looks in order; a tick that comes while one is under way is missed."""
        pace, interval_s, tick_s = pacing.START, float(self.probe.interval_s), self.first_s
        while tick_s < self.world.until_s:
            at_s, attempt, tick = tick_s, 1, self.start + timedelta(seconds=tick_s)
            while True:
                result = self._look(tick, at_s, attempt)
                limit_s = pacing.deadline_s(self.probe, attempt, at_s - tick_s)
                end_s = at_s + min(limit_s, result.duration_s)
                if result.duration_s > limit_s:
                    break  # the next tick cut it short
                yield result
                pace, pause_s = pacing.after(pace, self.probe, result, end_s - tick_s)
                if pause_s is None or end_s + pause_s >= self.world.until_s:
                    break
                at_s, attempt = end_s + pause_s, attempt + 1
            tick_s += interval_s
            while tick_s < end_s:  # the scheduler came to it while the prober was still looking
                yield self._overrun(tick_s, end_s)
                tick_s += interval_s

    def _overrun(self, tick_s: float, end_s: float) -> Result:
        tick, at = (self.start + timedelta(seconds=moment_s) for moment_s in (tick_s, end_s))
        return Result(RunId(self.probe.id, self.location, tick), at, 0.0, Observation(Reason.OVERRUN))

    def _look(self, tick: datetime, at_s: float, attempt: int) -> Result:
        seen, lasts_s = self._seen(at_s)
        run = RunId(self.probe.id, self.location, tick, attempt)
        return Result(run, self.start + timedelta(seconds=at_s), lasts_s, seen)

    def _seen(self, at_s: float) -> tuple[Observation, float]:
        """Return what a look that begins now finds, and how many seconds it lasts."""
        own, answer, rng = self.own(at_s), self.truth(at_s), self.rng
        if own.fails and rng.random() < own.fails:
            return self._failed(own)
        if answer.fails and rng.random() < answer.fails:
            return self._failed(answer)
        if self.probe.witness and answer.answers.reason is Reason.OK:
            reading = _reading(self.statements, at_s, self.start)
            return replace(answer.answers, upstream=reading), self._time(answer, answer.took_s)
        return self._good(answer)

    def _failed(self, answer: Answer) -> tuple[Observation, float]:
        seen = answer.failing[0] if len(answer.failing) == 1 else self.rng.choice(answer.failing)
        if answer.fail_took_s is None and seen.reason in TIMEOUTS:
            return seen, self.probe.timeout_s
        return seen, min(self.probe.timeout_s, self._time(answer, answer.fail_took_s or answer.took_s))

    def _time(self, answer: Answer, usual_s: float) -> float:
        return usual_s * math.exp(self.rng.gauss(0.0, answer.spread)) if answer.spread else usual_s

    def _good(self, answer: Answer) -> tuple[Observation, float]:
        """Return an answer with its times; one that comes after the deadline is a failure, a late one slow."""
        if answer.ttft_s is not None:
            return self._stream(answer, answer.ttft_s)
        took_s = self._time(answer, answer.took_s)
        if took_s >= self.probe.timeout_s:
            return self._late(Reason.TIMEOUT_HEADERS)
        phases = answer.answers.phases or Phases(wait_s=took_s)
        return replace(answer.answers, reason=self._reason(answer, took_s), phases=phases), took_s

    def _stream(self, answer: Answer, usual_s: float) -> tuple[Observation, float]:
        first_s, each_s = self._time(answer, usual_s), self._time(answer, 1 / answer.tokens_per_s)
        last_s, limit_s = first_s + (answer.tokens - 1) * each_s, self.probe.timeout_s
        if first_s >= limit_s:
            return self._late(Reason.TIMEOUT_QUEUED)
        if last_s >= limit_s:
            return self._late(Reason.TIMEOUT_TOTAL)
        times = ChatTimes(
            ttft_s=first_s,
            first_answer_s=first_s,
            last_token_s=last_s,
            tpot_s=each_s if answer.tokens > 1 else None,
            tokens_per_s=1 / each_s,
            output_tokens=answer.tokens,
        )
        reason = self._reason(answer, first_s)
        return replace(answer.answers, reason=reason, phases=Phases(wait_s=first_s), chat=times), last_s

    def _reason(self, answer: Answer, took_s: float) -> Reason:
        reason = answer.answers.reason
        return Reason.SLOW if reason is Reason.OK and took_s > self.slow_after_s else reason

    def _late(self, reason: Reason) -> tuple[Observation, float]:
        return Observation(reason, detail=reason.value), self.probe.timeout_s


def _reading(statements: Sequence[Statement], at_s: float, start: datetime) -> UpstreamReading:
    """Return the vendor's page as it reads at a moment."""
    said: dict[str, list[Statement]] = {}
    for one in statements:
        if one.at_s <= at_s:
            said.setdefault(one.incident, []).append(one)
    incidents = tuple(_incident(name, lines, start) for name, lines in said.items())
    trouble = [INDICATORS[item.impact] for item in incidents if item.resolved_at is None]
    worst = max(trouble, key=lambda health: health.severity, default=Health.OPERATIONAL)
    return UpstreamReading("world", "https://status.example/", worst, incidents=incidents)


def _incident(name: str, lines: Sequence[Statement], start: datetime) -> UpstreamIncident:
    times = [start + timedelta(seconds=one.at_s) for one in lines]
    updates = tuple(UpstreamUpdate(at, one.status, one.body) for at, one in zip(times, lines, strict=True))
    last = lines[-1]
    over = next((at for at, one in zip(times, lines, strict=True) if one.status in OVER), None)
    return UpstreamIncident(
        name,
        last.name,
        last.status,
        last.impact,
        times[0],
        updated_at=times[-1],
        resolved_at=over if last.status in OVER else None,
        updates=updates,
        ours=last.components,
    )
