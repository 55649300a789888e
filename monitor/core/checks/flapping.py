"""Up and down all the time: the weighted share of state changes, with hysteresis.

The formula is Nagios' (base/flapping.c): 21 states have 20 changes between neighbours; the newest weighs 1.25, the
oldest 0.75. A probe begins to flap at ``flap_start_percent`` and stops at ``flap_stop_percent``, so that one change
more or less does not make the flapping itself flap.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.core.catalogue import Policy

FLAP_STATES = 21
FLAP_MASK = (1 << FLAP_STATES) - 1
FLAP_WEIGHTS = tuple(1.25 - i * 0.5 / 19 for i in range(FLAP_STATES - 1))
"""Weight of a change between neighbouring states, newest first."""


@dataclass(frozen=True, slots=True)
class Flapping:
    """What is kept of the states of a probe; part of :class:`monitor.core.checks.probe_state.ProbeState`."""

    flapping: bool = False
    state_mask: int = 0
    """The newest 21 states as bits, 1 for down."""


STEADY = Flapping()


def step(before: Flapping, *, down: bool | None, policy: Policy) -> Flapping:
    """Record the state after a look; ``None`` for a failure that is not confirmed, which is no state yet."""
    mask = before.state_mask if down is None else (before.state_mask << 1 | down) & FLAP_MASK
    if not mask:
        return STEADY
    return Flapping(is_flapping(mask, before.flapping, policy), mask)


def flap_percent(state_mask: int) -> float:
    """Return the weighted share of state changes among the newest 21 states, 0–100."""
    changes = (state_mask ^ state_mask >> 1) & (FLAP_MASK >> 1)
    return 100 / (FLAP_STATES - 1) * sum(weight for i, weight in enumerate(FLAP_WEIGHTS) if changes >> i & 1)


def is_flapping(state_mask: int, before: bool, policy: Policy) -> bool:
    """Say whether the states flap, given whether they did before: it ends lower than it begins."""
    percent = flap_percent(state_mask)
    return percent > policy.flap_stop_percent if before else percent >= policy.flap_start_percent
