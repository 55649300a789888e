"""How long answers took, kept in memory for the baseline when recorded looks are folded again.

The recorder reads the same numbers from its roll-ups; buckets and medians are alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.core.components import baseline, sketch
from monitor.core.components.baseline import Hour, Pace
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome

KEPT = timedelta(weeks=baseline.WEEKS, hours=3)


@dataclass(slots=True)
class _Tally:
    """One hour of a series while looks may still come in."""

    response: sketch.Sketch = field(default_factory=dict)
    ttft: sketch.Sketch = field(default_factory=dict)
    looks: int = 0
    bad: int = 0


@dataclass(slots=True)
class _Series:
    recent: deque[tuple[datetime, float, float | None]] = field(default_factory=deque)
    tallies: dict[datetime, _Tally] = field(default_factory=dict)
    hours: dict[str, dict[datetime, Hour]] = field(default_factory=lambda: {"ttft": {}, "response": {}})


def response_s(result: Result) -> float | None:
    """Seconds a good look took at the vendor: wait and transfer, connection and names included, our share not."""
    phases = result.observation.phases
    if result.outcome not in (Outcome.OK, Outcome.SLOW):
        return None
    if phases is None:
        return result.duration_s
    parts = (phases.dns_s, phases.connect_s, phases.tls_s, phases.request_s, phases.wait_s, phases.transfer_s)
    known = [part for part in parts if part is not None]
    return sum(known) if known else result.duration_s


class Latencies:
    """What is remembered of every series."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], _Series] = {}

    def take(self, result: Result) -> None:
        """Remember one look that told something."""
        if not result.outcome.is_evidence:
            return
        key = (result.run.probe, result.run.location)
        held = self._series.get(key) or self._series.setdefault(key, _Series())
        start = result.run.tick.replace(minute=0, second=0, microsecond=0)
        tally = held.tallies.get(start) or held.tallies.setdefault(start, _Tally())
        tally.looks += 1
        tally.bad += baseline.is_bad(result.reason)
        took = response_s(result)
        if took is None:
            return
        chat = result.observation.chat
        ttft_s = chat.ttft_s if chat is not None else None
        sketch.add(tally.response, took)
        if ttft_s is not None:
            sketch.add(tally.ttft, ttft_s)
        held.recent.append((result.run.tick, took, ttft_s))

    def paces(self, at: datetime) -> Iterator[tuple[str, Pace]]:
        """Yield (probe, what is known of it at one location) as of ``at``."""
        for (probe, _), held in self._series.items():
            self._age(held, at)
            inside = [item for item in held.recent if at - baseline.RECENT <= item[0] < at]
            ttft = sketch.of(item[2] for item in inside if item[2] is not None)
            what, newest = ("ttft", ttft) if ttft else ("response", sketch.of(item[1] for item in inside))
            now = baseline.hour(baseline.own_hour(at), newest, 0, 0)
            yield probe, Pace(probe, what, now, _past(held.hours[what], at))

    def _age(self, held: _Series, at: datetime) -> None:
        """Make hours of tallies that are over, and forget what is too old to be compared with."""
        while held.recent and held.recent[0][0] < at - 2 * baseline.RECENT:
            held.recent.popleft()
        for start in [start for start in held.tallies if start < at - 3 * baseline.HOUR]:
            tally = held.tallies.pop(start)
            for what, latencies in (("ttft", tally.ttft), ("response", tally.response)):
                made = baseline.hour(start, latencies, tally.looks, tally.bad)
                if made is not None:
                    held.hours[what][start] = made
        for hours in held.hours.values():
            while hours and next(iter(hours)) < at - KEPT:
                del hours[next(iter(hours))]


def _past(hours: dict[datetime, Hour], at: datetime) -> Callable[[], Sequence[Hour]]:
    return lambda: [hours[start] for start in baseline.past_hours(at) if start in hours]
