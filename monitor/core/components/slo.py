"""Error budgets and burn rates over probes.

Multi-window, multi-burn-rate alerts after the Google SRE Workbook, as Sloth ships them: a rule fires when the error
ratio exceeds burn rate times budget in its long and its short window. Inconclusive looks are in neither part
of a ratio, and a window with too few looks says nothing at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monitor.core.catalogue import Probe
from monitor.core.model.alerting import Severity

MIN_SAMPLES = 10
"""Fewest looks in the short window, and at least two of them failed."""
MIN_FAILURES = 2


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Fires when the budget burns ``burn`` times too fast over both windows (seconds)."""

    severity: Severity
    long_s: int
    short_s: int
    burn: float


RULES = (
    BurnRule(Severity.PAGE, 3600, 300, 14.4),  # 2 % of the budget in an hour
    BurnRule(Severity.PAGE, 21_600, 1800, 6.0),  # 5 % in six hours
    BurnRule(Severity.TICKET, 86_400, 7200, 3.0),  # 10 % in a day
    BurnRule(Severity.TICKET, 259_200, 21_600, 1.0),  # 10 % in three days
)
"""SRE Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts": the share of a budget of 30 days that may be spent in
the long window, divided by the window's share of the 30 days; the short window is a twelfth of the long one."""
PERIOD_DAYS = 30


@dataclass(frozen=True, slots=True)
class Count:
    """Looks of a window that told something, and how many of them failed."""

    looks: int
    failed: int


@dataclass(frozen=True, slots=True)
class Budget:
    """The error budget of the newest days, in wall time: how long a service may be down and still keep its objective.

    Time in maintenance and time that nobody could judge is not in ``known_s``: it neither earns nor spends.
    """

    target_ratio: float
    known_s: float
    down_s: float

    @property
    def allowed_s(self) -> float:
        """(1 - target) x known time, after the Google SRE Workbook, "Implementing SLOs"."""
        return (1 - self.target_ratio) * self.known_s

    @property
    def left_ratio(self) -> float | None:
        """1 untouched, 0 used up, negative overspent; None if nothing is known."""
        return 1 - self.down_s / self.allowed_s if self.known_s > 0 else None


@dataclass(frozen=True, slots=True)
class Burning:
    """A burn rule that fires, with the numbers it rests on."""

    rule: BurnRule
    long: Count
    burn: float
    """How many times too fast, over the long window."""


def objective(probes: Sequence[Probe]) -> float | None:
    """Return what a component is held to: its first probe's objective, witnesses apart; None without probes."""
    return next((probe.policy.slo_target_ratio for probe in probes if not probe.witness), None)


def impossible(target_ratio: float) -> tuple[BurnRule, ...]:
    """Return the rules that can never fire: even with every look failed the burn rate is only 1 / (1 - target)."""
    if not 0 < target_ratio < 1:
        raise ValueError(f"an objective lies between 0 and 1, not {target_ratio}")
    return tuple(rule for rule in RULES if rule.burn * (1 - target_ratio) >= 1)


def trigger_happy(target_ratio: float, interval_s: float, locations: int = 1) -> tuple[BurnRule, ...]:
    """Return the rules whose short window holds too few looks to mean anything at this interval."""
    return tuple(rule for rule in RULES if rule.short_s / interval_s * locations < _fewest(rule, target_ratio))


def _fewest(rule: BurnRule, target_ratio: float) -> int:
    """Return how many looks it takes before one failure alone cannot exceed the threshold, within bounds."""
    threshold = min(1.0, rule.burn * (1 - target_ratio))
    return max(MIN_FAILURES, min(MIN_SAMPLES, math.ceil(MIN_FAILURES / threshold)))


def burning(
    counts: Callable[[int], Count], target_ratio: float, rules: tuple[BurnRule, ...] = RULES
) -> tuple[Burning, ...]:
    """Return the rules that fire now. ``counts(seconds)`` counts the looks of the newest so many seconds."""
    found: list[Burning] = []
    never = impossible(target_ratio)
    for rule in rules:
        if rule in never:
            continue
        threshold = rule.burn * (1 - target_ratio)
        short, long = counts(rule.short_s), counts(rule.long_s)
        if min(short.looks, long.looks) < _fewest(rule, target_ratio) or short.failed < MIN_FAILURES:
            continue
        if short.failed > threshold * short.looks and long.failed > threshold * long.looks:
            found.append(Burning(rule, long, long.failed / long.looks / (1 - target_ratio)))
    return tuple(found)
