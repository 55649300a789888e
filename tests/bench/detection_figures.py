"""Figures with their intervals, and what each watcher is measured by. All intervals hold 95 of 100 times."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.detection_watchers import Line, Said, Watcher

MONTH_S = 365 * 86_400 / 12
BLIPS, BLIP_S = 365, 30.0
BAD_MINUTES, BAD_MINUTE_S = 52, 60.0
"""Bursts of a year."""
BESIDE = 0.0005
"""Looks that fail by chance in the year of bursts, and before and after an outage."""
AFTERWARDS = 0.001
PATIENCE_S = 2 * 86_400.0
Z = 1.96


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = 0 if self.value >= 100 else 1 if self.value >= 10 else 2
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def per_year(count: int, years: float) -> Figure:
    """Return a rate with the exact interval of a Poisson count."""
    low = _poisson_mean(count - 1, 0.975) if count else 0.0
    return Figure(count / years, low / years, _poisson_mean(count, 0.025) / years)


def _poisson_mean(most: int, chance: float) -> float:
    """Return the mean at which a count of at most ``most`` comes with this chance."""
    low, high = 0.0, most + 10 * math.sqrt(most + 1) + 10
    for _ in range(60):
        middle = (low + high) / 2
        terms = (math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(most, -1, -1))
        reached = 0.0
        for term in terms:
            reached += term
            if term < 1e-12 * reached:
                break
        low, high = (middle, high) if reached > chance else (low, middle)
    return (low + high) / 2


def mean(values: Sequence[float]) -> Figure:
    """Return the mean of independent values."""
    middle = sum(values) / len(values)
    spread = math.sqrt(sum((value - middle) ** 2 for value in values) / max(1, len(values) - 1))
    return Figure(middle, middle - Z * spread / math.sqrt(len(values)), middle + Z * spread / math.sqrt(len(values)))


def quantile(values: Sequence[float], q: float) -> Figure:
    """Return a quantile between order statistics; no distribution is assumed."""
    ordered, n = sorted(values), len(values)
    slack = Z * math.sqrt(n * q * (1 - q))
    low, middle, high = (min(n - 1, max(0, math.ceil(n * q + shift) - 1)) for shift in (-slack, 0.0, slack))
    return Figure(ordered[middle], ordered[low], ordered[high])


def share(count: int, of: int) -> Figure:
    """Return a share (Wilson's interval)."""
    if not of:
        return Figure(0.0, 0.0, 1.0)
    p, z2 = count / of, Z * Z
    middle, slack = p + z2 / (2 * of), Z * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return Figure(p, max(0.0, (middle - slack) / (1 + z2 / of)), min(1.0, (middle + slack) / (1 + z2 / of)))


def stream(name: str) -> random.Random:
    """Return the random numbers of one trial. No rule was tuned on any of these names."""
    return random.Random(f"bench detection {name}")


def false_pages(watcher: Watcher, chance: float, months: Sequence[int]) -> int:
    """Count pages in months in which looks fail by chance only."""
    return sum(_pages(watcher, Line(chance), f"{chance} {month}") for month in months)


def burst_pages(watcher: Watcher, months: Sequence[int]) -> int:
    """Count pages in months with a blip a day and a bad minute of ours a week."""
    return sum(_pages(watcher, Line(BESIDE, bursts(month)), f"burst looks {month}") for month in months)


def _pages(watcher: Watcher, line: Line, name: str) -> int:
    rng = stream(f"{name} {watcher.interval_s:g}")
    said = watcher.watch(line, rng, rng.uniform(0, watcher.interval_s), MONTH_S)
    return sum(one.down for one in said)


def bursts(month: int) -> list[tuple[float, float, float]]:
    """Return the blips and bad minutes of a month, the same for all watchers; two at once are one."""
    rng = stream(f"bursts {month}")
    kinds = ((BLIPS, BLIP_S), (BAD_MINUTES, BAD_MINUTE_S))
    placed = sorted((at_s, length_s) for many, length_s in kinds for at_s in _moments(rng, many / 12))
    kept: list[tuple[float, float, float]] = []
    for at_s, length_s in placed:
        if not kept or kept[-1][1] < at_s:
            kept.append((at_s, at_s + length_s, 1.0))
    return kept


def _moments(rng: random.Random, a_month: float) -> Iterator[float]:
    at_s = rng.expovariate(a_month / MONTH_S)
    while at_s < MONTH_S:
        yield at_s
        at_s += rng.expovariate(a_month / MONTH_S)


def delays(watcher: Watcher, chance: float, trials: Sequence[int]) -> list[float]:
    """Return after how many seconds each outage was found; one that was not within two days counts as two days."""
    found = []
    for trial in trials:
        rng = stream(f"outage {chance} {trial}")
        first_s, onset_s = _phase(rng, watcher), 2 * watcher.interval_s
        line = Line(0.0, [(onset_s, onset_s + PATIENCE_S, chance)])
        said = next(watcher.watch(line, rng, first_s, onset_s + PATIENCE_S), None)
        found.append(said.at_s - onset_s if said is not None else PATIENCE_S)
    return found


def _phase(rng: random.Random, watcher: Watcher) -> float:
    return rng.random() * watcher.interval_s


@dataclass(frozen=True, slots=True)
class Ending:
    """How an outage of three hours, or of two at one failure in two, was told."""

    found: bool
    false_recoveries: int
    end_error_s: float | None
    """Stated end minus the true one; ``None`` if it was never found, or not over two hours afterwards."""
    red_ratio: float
    """Stated time of outage against the true time."""


def endings(watcher: Watcher, chance: float, length_s: float, trials: Sequence[int]) -> Iterator[Ending]:
    """Yield how outages were told that begin and end at any moment between two ticks."""
    for trial in trials:
        rng = stream(f"ending {chance} {length_s} {trial}")
        first_s, onset_s = _phase(rng, watcher), 3600.0
        end_s = onset_s + length_s
        line = Line(AFTERWARDS, [(onset_s, end_s, chance)])
        said = list(watcher.watch(line, rng, first_s, end_s + 7200))
        yield _ending([one for one in said if one.at_s >= onset_s], onset_s, end_s)


def _ending(said: Sequence[Said], onset_s: float, end_s: float) -> Ending:
    found = any(one.down and one.at_s < end_s for one in said)
    false = sum(not one.down and one.at_s < end_s for one in said)
    red_s, began_s, last_s = 0.0, None, None
    for one in said:
        if one.down:
            began_s = one.since_s if began_s is None else began_s
        elif began_s is not None:
            red_s, last_s, began_s = red_s + one.since_s - began_s, one.since_s, None
    over = found and began_s is None and last_s is not None
    if began_s is not None:
        red_s += end_s + 7200 - began_s
    error_s = last_s - end_s if over and last_s is not None else None
    return Ending(found, false, error_s, red_s / (end_s - onset_s))
