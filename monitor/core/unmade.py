"""Looks that a policy would have made and nobody made, and looks that were made and it would have left out.

What is recorded was looked at as the policy of that time wanted: its early looks, its decisive ones. Another policy
looks earlier, later or not at all (:mod:`monitor.core.checks.pace`), and nobody knows what it would have seen. So while
a probe is suspected under the policy that is tried, each look that it would have made is searched in the record:

* One that was not made leaves a :class:`Gap`, and what was decided about the component then is not sure.
* With a :class:`Draw` its outcome is drawn instead, from the failure rate that was recorded around it. The rate is
  drawn itself (Beta(failed + 1/2, good + 1/2), Jeffreys' prior), because a few looks do not tell a rate. Drawn with
  many seeds, that is an interval.
* An early look that the policy would not have made is left out where the policy is changed.

Looks on the grid are everybody's: none of them is left out or drawn.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from monitor.core.catalogue import Catalogue, Probe
from monitor.core.checks import pace as pacing
from monitor.core.checks.pace import Pace
from monitor.core.checks.sequential import rule_of
from monitor.core.checks.suspicion import CALM
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.replay import GOOD, PastLook, result_of
from monitor.core.schedule import from_micros, micros

LEAST_SLACK_US, MOST_SLACK_US = 1_000_000, 5_000_000
"""A look so far from its due moment, or half the pause before it, is that look."""
AROUND = 10
"""The failure rate is that of so many intervals before and after."""
GOOD_S = 0.5
"""How long a drawn good look lasts."""
NEAR = timedelta(minutes=5)
"""A page so near to a gap may hang on it."""
SeriesKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Gap:
    """From when to when a component was not looked at as the policy would have; the look after it was made."""

    component: str
    probe: str
    location: str
    since: datetime
    until: datetime

    def may_concern(self, component: str, since: datetime, until: datetime) -> bool:
        """Say whether what was decided about a component in that time may hang on it."""
        return component == self.component and self.since <= until + NEAR and self.until >= since - NEAR


@dataclass(slots=True)
class Told:
    """The looks of a series that were not plain: start in microseconds, and what each told."""

    starts: array[int] = field(default_factory=lambda: array("q"))
    failed: bytearray = field(default_factory=bytearray)
    """1 failed, 0 good, 2 told nothing."""
    grid: bytearray = field(default_factory=bytearray)
    """1 on the grid, 0 early."""

    def add(self, result: Result, start_us: int) -> None:
        """Keep a look. They come nearly in order."""
        outcome = result.outcome
        place = bisect_right(self.starts, start_us)
        self.starts.insert(place, start_us)
        self.failed.insert(place, 1 if outcome is Outcome.FAILED else 0 if outcome.is_evidence else 2)
        self.grid.insert(place, result.run.attempt == 1)

    def has(self, low_us: int, high_us: int) -> bool:
        """Say whether a look began in that time."""
        place = bisect_left(self.starts, low_us)
        return place < len(self.starts) and self.starts[place] <= high_us

    def rate(self, rng: Random, low_us: int, high_us: int, interval_us: int) -> float:
        """Draw the failure rate of a stretch; the failure that it begins with had to be there and does not count."""
        first, last = bisect_left(self.starts, low_us), bisect_right(self.starts, high_us)
        failed, silent = self.failed.count(1, first, last), self.failed.count(2, first, last)
        plain = max(0, (high_us - low_us) // interval_us - self.grid.count(1, first, last))
        good = last - first - failed - silent + plain
        return rng.betavariate(max(0, failed - 1) + 0.5, good + 0.5)


@dataclass(frozen=True)
class Draw:
    """How looks that were not made are drawn."""

    seed: int
    told: dict[SeriesKey, Told]


@dataclass(slots=True)
class _Watch:
    """A probe at one location that is suspected."""

    probe: Probe
    pace: Pace
    due_us: int | None = None
    slack_us: int = LEAST_SLACK_US
    tick_us: int = 0
    attempt: int = 1
    failing: Observation = GOOD
    took_s: float = GOOD_S
    rate: tuple[int, float] | None = None
    """Tick, and the failure rate that was drawn for it."""


def is_paced_anew(before: Probe, after: Probe) -> bool:
    """Say whether a probe looks at other moments under another policy."""
    old, new = before.policy, after.policy
    return rule_of(before) != rule_of(after) or any(
        getattr(old, name) != getattr(new, name)
        for name in ("throttled_after", "max_loop_lag_s", "stale_after_intervals")
    )


class Unmade:
    """Passes the looks of the past on as a catalogue's policies would have made them; see the module."""

    def __init__(self, catalogue: Catalogue, changed: Collection[str] = (), draw: Draw | None = None) -> None:
        self.gaps: list[Gap] = []
        self.told: dict[SeriesKey, Told] = {}
        """What is needed to draw, unless something is drawn."""
        self.looks = self.left_out = self.drawn = 0
        self._probes = {probe.id: probe for probe in catalogue.probes if not (probe.disabled or probe.witness)}
        self._changed, self._draw = frozenset(changed), draw
        self._rng = Random(draw.seed) if draw else Random(0)  # noqa: S311  chance, no secret
        self._watched: dict[SeriesKey, _Watch] = {}
        self._waiting: list[tuple[int, SeriesKey, int]] = []
        """(End, series, start) of looks to be drawn."""

    def through(self, looks: Iterable[PastLook]) -> Iterator[PastLook]:
        """Yield the looks, in the order of their ends."""
        watched, waiting, number = self._watched, self._waiting, 0
        try:
            for number, look in enumerate(looks, 1):  # noqa: B007  counted, and told at the end
                _, series, _, start, result = look
                if waiting:
                    while waiting and waiting[0][0] <= look[0]:
                        yield from self._made_up(*heapq.heappop(waiting))
                if result is None:
                    if series not in watched:
                        yield look  # nearly all of them
                        continue
                elif self._draw is None and (result.reason is not Reason.OK or result.run.attempt > 1):
                    self.told.setdefault(series, Told()).add(result, start)
                passed = self._followed(look)
                if passed is not None:
                    yield passed
        finally:
            self.looks += number

    def _followed(self, look: PastLook) -> PastLook | None:
        """Return a look as it is judged, if it is; what is suspected after it says which look is due."""
        end, series, tick, start, told = look
        probe, watch = self._probes.get(series[0]), self._watched.get(series)
        if probe is None or (watch is None and told is not None and told.reason is Reason.OK and told.run.attempt == 1):
            return look
        result, changed = result_of(look), probe.id in self._changed
        if watch is None:
            worked_at = from_micros(start) if probe.key else None  # what came before was good
            watch = self._watched[series] = _Watch(probe, Pace(worked_at=worked_at))
        elif watch.due_us is not None and start > watch.due_us + watch.slack_us:
            self._gap(series, watch, start)
        if changed and result.run.attempt > 1 and (watch.due_us is None or start < watch.due_us - watch.slack_us):
            self.left_out += 1
            return None
        if (changed and result.run.attempt > 1) or self._draw is not None:
            number = watch.attempt + 1 if tick == watch.tick_us else result.run.attempt
            result = replace(result, run=replace(result.run, attempt=number))
            look = (*look[:4], None if told is None and number == 1 else result)
        self._fold(series, watch, result, end)
        return look

    def _gap(self, series: SeriesKey, watch: _Watch, until_us: int) -> None:
        assert watch.due_us is not None
        since, until = from_micros(watch.due_us), from_micros(until_us)
        self.gaps.append(Gap(watch.probe.component, *series, since, until))
        watch.due_us = None

    def _fold(self, series: SeriesKey, watch: _Watch, result: Result, end_us: int) -> None:
        watch.tick_us, watch.attempt = micros(result.run.tick), result.run.attempt
        if result.outcome is Outcome.FAILED:
            watch.failing, watch.took_s = result.observation, result.duration_s
        elapsed_s = (end_us - watch.tick_us) / 1e6
        watch.pace, pause_s = pacing.after(watch.pace, watch.probe, result, elapsed_s)
        if pause_s is None:
            watch.due_us = None
            if watch.pace.suspicion is CALM and not watch.pace.throttled_in_a_row:
                self._watched.pop(series, None)
            return
        pause_us = round(pause_s * 1e6)
        watch.due_us = end_us + pause_us
        watch.slack_us = min(MOST_SLACK_US, max(LEAST_SLACK_US, pause_us // 2))
        if self._draw is not None and not self._was_made(series, watch):
            heapq.heappush(self._waiting, (watch.due_us + round(watch.took_s * 1e6), series, watch.due_us))

    def _was_made(self, series: SeriesKey, watch: _Watch) -> bool:
        assert self._draw is not None
        assert watch.due_us is not None
        if watch.due_us + watch.slack_us >= watch.tick_us + watch.probe.interval_s * 1_000_000:
            return True  # the next look on the grid is as good
        told = self._draw.told.get(series)
        return told is not None and told.has(watch.due_us - watch.slack_us, watch.due_us + watch.slack_us)

    def _made_up(self, end_us: int, series: SeriesKey, start_us: int) -> Iterator[PastLook]:
        """Yield the drawn look that was due, unless one was made after all."""
        watch = self._watched.get(series)
        if watch is None or watch.due_us != start_us:
            return
        fails = self._rng.random() < self._rate(series, watch, start_us)
        seen, took_s = (watch.failing, watch.took_s) if fails else (GOOD, GOOD_S)
        run = RunId(*series, from_micros(watch.tick_us), watch.attempt + 1)
        result = Result(run, from_micros(start_us), took_s, seen)
        self.drawn += 1
        self._fold(series, watch, result, start_us + round(took_s * 1e6))
        yield end_us, series, watch.tick_us, start_us, result

    def _rate(self, series: SeriesKey, watch: _Watch, at_us: int) -> float:
        if watch.rate is None or watch.rate[0] != watch.tick_us:
            assert self._draw is not None
            interval_us = watch.probe.interval_s * 1_000_000
            began_at, low_us = watch.pace.suspicion.began_at, at_us - AROUND * interval_us
            if began_at is not None:
                low_us = max(low_us, micros(began_at))
            told = self._draw.told.get(series) or Told()
            rate = told.rate(self._rng, low_us, at_us + AROUND * interval_us, interval_us)
            watch.rate = watch.tick_us, rate
        return watch.rate[1]
