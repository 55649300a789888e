"""The numbers of the sequential test, from what a person knows: an exact calculation, no simulation.

The test is Page's cumulative sum (Page 1954, Biometrika 41; optimal in the sense of Lorden 1971): a failed look adds
``failure`` points, a good one takes one away, never below nought; ``limit`` points are an outage. The ratio of the two
is that of the log-likelihoods of "fails with p1" against "fails with p0"::

    failure = ln(p1 / p0) / ln((1 - p0) / (1 - p1)),   p0 = 1 %,   p1 = twice the failure ratio that counts

How often healthy looks reach the limit follows from a finite Markov chain over (points, age of the suspicion), after
Brook & Evans 1972 (Biometrika 59): the chance that a suspicion does, divided by the mean time from the beginning of
one suspicion to that of the next. :func:`rule_of` takes the smallest limit that keeps what was asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from monitor.core.catalogue import Probe

P0 = 0.01
"""Share of looks at a healthy service that fail by chance."""
EARLY_S, EARLY_PAID_S = 4.0, 10.0
"""From the start of a look to that of the next while something is suspected."""
EARLY_UP_S = 5.0
DOWN_EVERY_S = 120.0
"""A probe that is down is looked at this often at least."""
FEWEST_POINTS = 2.4
"""The limit is never lower than this many failures."""
PAID_FAILURE, PAID_UP = 9, 2.7
"""Points of a failed question at most, and how many times as many good ones end an outage: what is paid for is asked
again less often."""
EAGER_PAGES = 10_000.0
"""Who puts up with so many false pages a year is told of every failed look, and of every good one after it."""
TWICE_AS_BAD = 16
"""At twice the random failures, at most this many times the false pages."""
YEAR_S = 365 * 86_400.0
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Rule:
    """One probe's numbers. Points are whole numbers, pauses run from start to start."""

    failure: int
    """Points of a failed look; a good one takes one point away."""
    limit: int
    """Points that are an outage."""
    span_s: float
    """A suspicion younger than this is no outage yet."""
    early_s: float
    up: int
    """Points that end an outage: a good look adds one, a failed one takes ``failure`` away."""
    early_up_s: float
    down_every_s: float
    interval_s: float
    early_looks: bool = True

    @property
    def cap(self) -> int:
        """Most points of a suspicion that is younger than the span: one more failure then decides."""
        return self.limit - self.failure if self.span_s > 0 else self.limit

    @property
    def fewest_failures(self) -> int:
        """Failures in a row that confirm an outage, if they last long enough."""
        return math.ceil(self.limit / self.failure)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a rule costs while the service is healthy and looks fail by chance."""

    false_pages_per_year: float
    extra_looks_per_day: float


def rule_of(probe: Probe) -> Rule:
    """Return the numbers of a probe; the same settings are worked out once."""
    policy = probe.policy
    pages = policy.false_pages_per_year
    return _rule(
        policy.failure_ratio,
        pages if pages >= EAGER_PAGES else pages / probe.sharing,
        policy.shortest_outage_s,
        policy.early_looks,
        float(probe.interval_s),
        probe.asks_model,
    )


@lru_cache(maxsize=4096)
def _rule(ratio: float, pages: float, span_s: float, early_looks: bool, interval_s: float, paid: bool) -> Rule:
    if pages >= EAGER_PAGES:
        early_s = min(EARLY_S, interval_s)
        return Rule(1, 1, 0.0, early_s, 1, early_s, min(interval_s, DOWN_EVERY_S), interval_s, early_looks)
    failure = points(ratio)
    early_s, early_up_s, up = min(EARLY_S, max(1.0, span_s / 3.4)), EARLY_UP_S, 2 * failure
    if paid:
        failure, early_s, early_up_s = min(failure, PAID_FAILURE), EARLY_PAID_S, EARLY_PAID_S
        up = round(PAID_UP * failure)
    if not early_looks:
        early_s = early_up_s = interval_s
    pause_s = min(early_s, interval_s)
    return Rule(
        failure,
        _smallest_limit(failure, span_s, pause_s, interval_s, pages),
        span_s,
        pause_s,
        up,
        min(early_up_s, interval_s),
        min(interval_s, DOWN_EVERY_S),
        interval_s,
        early_looks,
    )


def points(ratio: float) -> int:
    """Return the points of a failed look for the failure ratio that counts."""
    p1 = min(0.9, max(2 * ratio, 2 * P0))
    return max(3, round(math.log(p1 / P0) / math.log((1 - P0) / (1 - p1))))


@lru_cache(maxsize=4096)
def _smallest_limit(failure: int, span_s: float, early_s: float, interval_s: float, pages: float) -> int:
    def keeps(limit: int) -> bool:
        calm = _cost(failure, limit, span_s, early_s, interval_s, P0).false_pages_per_year
        worse = _cost(failure, limit, span_s, early_s, interval_s, 2 * P0).false_pages_per_year
        return calm <= pages and worse <= TWICE_AS_BAD * pages

    low = math.ceil(FEWEST_POINTS * failure)
    if keeps(low):
        return low
    step = failure
    while not keeps(low + step):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high


def cost_of(rule: Rule, ratio: float = P0) -> Cost:
    """Return what a rule costs a year and a day when healthy looks fail by chance with this ratio."""
    return _cost(rule.failure, rule.limit, rule.span_s, rule.early_s, rule.interval_s, ratio)


@lru_cache(maxsize=16_384)
def _cost(failure: int, limit: int, span_s: float, early_s: float, interval_s: float, p: float) -> Cost:
    crosses, looks = _chain(failure, limit, span_s, early_s, p)
    cycle_s = interval_s / p + looks * early_s
    extra = max(0.0, looks - looks * early_s / interval_s)  # ticks that fall into a suspicion are looked at once
    return Cost(crosses * YEAR_S / cycle_s, extra * 86_400 / cycle_s)


def _chain(failure: int, limit: int, span_s: float, early_s: float, p: float) -> tuple[float, float]:
    """Return the chance that a suspicion, begun by one failure, reaches the limit, and its mean number of looks."""
    reaches = _settled(failure, limit, p, per_look=0.0, at_limit=1.0)
    lasts = _settled(failure, limit, p, per_look=1.0, at_limit=0.0)
    if span_s <= 0:
        return (1.0, 0.0) if failure >= limit else (reaches[failure], lasts[failure])
    cap = limit - failure
    ages = max(1, math.ceil(span_s / early_s - 1e-9))  # looks until the span is over, if none is decisive
    chance, looks = reaches[: cap + 1], lasts[: cap + 1]
    for _ in range(ages - 1):
        before = [chance[0], *(p * chance[min(x + failure, cap)] + (1 - p) * chance[x - 1] for x in range(1, cap))]
        lasting = [0.0, *(1 + p * looks[min(x + failure, cap)] + (1 - p) * looks[x - 1] for x in range(1, cap))]
        # At the cap the next look falls on the end of the span, however young the suspicion is.
        chance, looks = [*before, reaches[cap]], [*lasting, lasts[cap]]
    return chance[min(failure, cap)], looks[min(failure, cap)]


def _settled(failure: int, limit: int, p: float, *, per_look: float, at_limit: float) -> list[float]:
    """Solve f(x) = per_look + p f(x + failure) + (1 - p) f(x - 1), f(0) = 0, f(limit or more) = at_limit.

    One sweep upwards writes f(x) as a sum over the ``failure`` values above it, one downwards puts them in.
    """
    rows: list[tuple[list[float], float]] = [([0.0] * (failure + 1), 0.0)]
    for x in range(1, limit):
        above, fixed = rows[x - 1]  # f(x - 1) = sum of above[j] f(x - 1 + j) + fixed
        share = 1 - (1 - p) * above[1]
        mine = [0.0] * (failure + 1)
        for j in range(1, failure):
            mine[j] = (1 - p) * above[j + 1] / share
        constant = per_look + (1 - p) * fixed
        if x + failure >= limit:
            constant += p * at_limit
        else:
            mine[failure] = p / share
        rows.append((mine, constant / share))
    found = [0.0] * limit
    for x in range(limit - 1, 0, -1):
        mine, constant = rows[x]
        found[x] = constant + sum(
            mine[j] * (found[x + j] if x + j < limit else 0.0) for j in range(1, failure + 1) if mine[j]
        )
    return found
