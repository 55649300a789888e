"""A refused key: ours is bad, or the vendor refuses good ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.checks.probe_state import ProbeState
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason

KEY_REFUSED = frozenset({Reason.AUTH, Reason.AUTH_BROKEN})
KEY_TRUST = timedelta(hours=1)
"""A key that worked this recently is presumed good."""


def confirm_auth(
    result: Result, state: ProbeState, peers: Iterable[ProbeState], *, vendor_admits: bool = False
) -> Result:
    """Turn a refused key into the vendor's failure where that is proven; every other result comes back as it is.

    Proven means: this key worked within the hour, and the vendor's own page admits trouble or another key that
    worked within the hour is refused too. ``peers`` are the states of the service's other probes.
    """
    if result.reason is not Reason.AUTH:
        return result
    proven = state.last_reason is Reason.AUTH_BROKEN  # it goes on, however long ago the key worked
    if not proven and _worked(state, result.started_at):
        second = any(peer.last_reason in KEY_REFUSED and _worked(peer, result.started_at) for peer in peers)
        proven = vendor_admits or second
    if not proven:
        return result
    seen = replace(result.observation, reason=Reason.AUTH_BROKEN)
    return replace(result, observation=seen)


def refusals(state: ProbeState) -> int:
    """Return how many looks found the key refused that had worked within the hour; 0 for a key without such a past."""
    return state.key_refusals if state.tick is not None and _worked(state, state.tick) else 0


def _worked(state: ProbeState, at: datetime) -> bool:
    return state.key_worked_at is not None and at - state.key_worked_at <= KEY_TRUST
