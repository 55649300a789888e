"""What a probe's policy costs, and what its budget leaves of what it promises.

A budget is a number of questions a day, each at the most that it can cost. The grid takes its share first; early looks
have what is left above the tenth below which :mod:`monitor.probes.chat.budget` slows them down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from monitor.core.catalogue import Probe
from monitor.core.checks.sequential import P0, cost_of, rule_of
from monitor.core.components.guarantee import guarantee

KEPT_BACK = 0.1
"""Share of the budget in which early looks are no longer made at once."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Paid questions a day; nothing is paid for by default."""

    planned: float = 0.0
    """On the grid."""
    allowed: float = math.inf
    """By the budget, tokens and money, whichever is scarcer."""

    def fits_grid(self) -> bool:
        """Say whether the budget pays for every look on the grid."""
        return self.planned <= self.allowed

    def fits_early(self, probe: Probe) -> bool:
        """Say whether it pays for the early looks of a usual day and for those that confirm an outage, too."""
        rule = rule_of(probe)
        needed = self.planned + self._extra(probe) + rule.fewest_failures
        return needed <= self.allowed * (1 - KEPT_BACK)

    def early(self, probe: Probe) -> float:
        """Return how many questions a day early looks take if 1 % of all looks fail by chance.

        An early look climbs as high as the one before it: a question is asked again, a free look is made again.
        """
        return min(self._extra(probe), max(0.0, self.allowed - self.planned))

    def _extra(self, probe: Probe) -> float:
        looks = 86_400 / probe.interval_s
        share = min(1.0, self.planned / looks) if self.planned else 1.0
        return share * cost_of(rule_of(probe)).extra_looks_per_day


FREE = Questions()


def promise(probe: Probe, questions: Questions = FREE) -> str:
    """Say in one line what may be relied on, as far as the budget goes."""
    planned = math.ceil(questions.planned)
    if not questions.fits_grid():
        return (
            f"no outage is sure to be noticed: of {planned} questions a day that the schedule plans "
            f"the budget pays for {math.floor(questions.allowed)}, so on most looks nothing is asked; "
            "raise the budget, or ask less often (short_every_s, interval)"
        )
    if not questions.fits_early(probe):
        slow = replace(probe, policy=replace(probe.policy, early_looks=False))
        return (
            f"{guarantee(slow).sentence()}; that is without early looks, as of "
            f"{math.floor(questions.allowed)} questions a day in the budget the schedule takes {planned}"
        )
    return guarantee(probe).sentence()


def price(probe: Probe, questions: Questions = FREE) -> str:
    """Say what the rule costs while the service works and 1 % of all looks fail by chance."""
    cost, looks = cost_of(rule_of(probe)), "questions" if probe.asks_model else "looks"
    return (
        f"if {P0:.0%} of all looks fail by chance: {cost.false_pages_per_year:.2g} false pages a year, "
        f"{questions.early(probe):.0f} extra {looks} a day"
    )


def money(probe: Probe, questions: Questions, most: tuple[int, float]) -> str:
    """Say what a day costs at most, given the most tokens and dollars of one question; empty if nothing is paid."""
    tokens, usd = most
    if not tokens:
        return ""
    on_grid, extra = questions.planned, questions.early(probe)
    if not questions.fits_grid():
        on_grid = math.floor(questions.allowed)
    sums = f"at most {tokens * extra:.0f} tokens{_dollars(usd * extra)} a day"
    grid = f"{on_grid:.0f} on the grid (at most {tokens * on_grid:.0f} tokens{_dollars(usd * on_grid)})"
    if math.isinf(questions.allowed):
        return f" ({sums}), beside {grid}; no budget is set"
    return f" ({sums}), beside {grid}; the budget pays for {math.floor(questions.allowed)}"


def _dollars(usd: float) -> str:
    return f", ${usd:.4f}" if usd else ""
