"""Up and down all the time: Nagios' weighted share of state changes, with hysteresis (base/flapping.c)."""

from __future__ import annotations

from monitor.core.catalogue import Policy

FLAP_STATES = 21
FLAP_MASK = (1 << FLAP_STATES) - 1
FLAP_WEIGHTS = tuple(1.25 - i * 0.5 / 19 for i in range(FLAP_STATES - 1))
"""Weight of a change between neighbouring states, newest first."""


def flap_percent(flips: int) -> float:
    """Return the weighted share of state changes among the newest 21 states, 0–100 (Nagios' formula)."""
    changes = (flips ^ flips >> 1) & (FLAP_MASK >> 1)
    return 100 / (FLAP_STATES - 1) * sum(weight for i, weight in enumerate(FLAP_WEIGHTS) if changes >> i & 1)


def is_flapping(flips: int, before: bool, policy: Policy) -> bool:
    """Say whether the states flap, given whether they did before: it ends lower than it begins."""
    percent = flap_percent(flips)
    return percent > policy.flap_stop_percent if before else percent >= policy.flap_start_percent
