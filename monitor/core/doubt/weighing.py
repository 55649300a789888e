"""Whose trouble is likelier, ours or the target's, by what was seen elsewhere meanwhile: a likelihood ratio.

A full or leaking line of ours loses some looks of everybody, so neither a good look elsewhere nor a failed one proves
anything by itself. Two stories are compared, each at the failure rates that suit it best:

* our line loses the same share of all looks;
* the target fails by itself; of the others each works, with a failure by chance now and then, or has trouble of its
  own at the same time, which is unlikely to begin with.

Where the target fails at every look, one good look elsewhere settles it; where it fails now and then, it takes as many
as would hardly all get through by luck.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.core.catalogue import Probe
from monitor.core.checks.probe_state import ProbeState
from monitor.core.checks.sequential import P0
from monitor.core.checks.suspicion import CALM, Suspicion
from monitor.core.model.observations import OUT_OF_TURN

ENOUGH = 1.7
"""Odds of five to one. One good look elsewhere beside a target that never answers is more."""
TOGETHER, EACH = 2.5, 0.5
"""What the second story pays if further targets fail at the same time though not because of us, and for each of them:
that they do is unlikely, but vendors share networks, and then it may be many."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one probe that is independent of the target in question saw meanwhile."""

    group: str
    """Those of one group may fail together without us."""
    good: int
    failed: int


def weight(known: Suspicion, others: Iterable[Seen]) -> float:
    """Return the logarithm of how much likelier the target's own trouble is than ours, by the looks of ``others``.

    The ratio is the generalised one, at the best rates.

    ``known`` is the target's suspicion; of the others, looks between its first and its newest failure tell.
    """
    failures = known.mask.bit_count()
    mine = known.looks - failures, failures
    groups: dict[str, tuple[int, int]] = {}
    for other in others:
        good, failed = groups.get(other.group, (0, 0))
        groups[other.group] = good + other.good, failed + other.failed
    all_good, all_failed = (sum(part) for part in zip(mine, *groups.values(), strict=True))
    working = sum(_at(*seen, P0) for seen in groups.values())
    some_fail = sum(max(_at(*seen, P0), _best(*seen) - EACH) for seen in groups.values()) - TOGETHER
    return _best(*mine) + max(working, some_fail) - _best(all_good, all_failed)


def _best(good: int, failed: int) -> float:
    """Return the log-likelihood of looks at the failure rate that fits them best."""
    return _at(good, failed, failed / (good + failed)) if good and failed else 0.0


def _at(good: int, failed: int, rate: float) -> float:
    return good * math.log(1 - rate) + failed * math.log(rate)


def looks_between(probe: Probe, state: ProbeState, since: datetime, until: datetime) -> tuple[int, int]:
    """Return about how many good and failed looks a probe made meanwhile, by the little that is kept of them."""
    failed_at, ours_at, known = state.last_failed_at, state.ours_at, state.suspicion
    failed = failed_at is not None and failed_at >= since
    ours = ours_at is not None and ours_at >= since
    if failed and known is not CALM:
        failures = known.mask.bit_count()
        return known.looks - failures, failures + ours
    return _good_ticks(probe, state, since, until), failed + ours


def _good_ticks(probe: Probe, state: ProbeState, since: datetime, until: datetime) -> int:
    """Return how many looks were good meanwhile, of the unbroken good ones up to the newest.

    Those on the grid, and of those that a control target was asked out of turn the ones of its newest tick.
    """
    newest, interval = state.evidence_at, timedelta(seconds=probe.interval_s)
    if newest is None or state.good_since is None or not state.good_in_a_row:
        return 0
    if newest > until:
        newest -= math.ceil((newest - until) / interval) * interval
    first = max(since, state.good_since)
    if newest < first:
        return 0
    asked = state.attempt - OUT_OF_TURN if newest == state.evidence_at and (state.good_tick or first) >= first else 0
    return int((newest - first) / interval) + 1 + max(0, asked - 1)
