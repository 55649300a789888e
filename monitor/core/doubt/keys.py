"""A refused key: ours is bad, or the vendor refuses good ones.

A key that worked within the hour before it was refused is presumed good, but alone it proves nothing: a key may be
revoked at any moment. A second witness makes it the vendor's failure: another key that worked as well and is refused
too (of this service or of another at the same vendor), the vendor's own page while its reading is young, or a refusal
whose words speak of the vendor's trouble and not of our key. Without one the component is unknown and the operator is
paged: whoever sees nothing must not show green.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.core.catalogue import Probe
from monitor.core.checks.probe_state import ProbeState
from monitor.core.model.observations import Observation, Result
from monitor.core.model.reasons import Reason

KEY_REFUSED = frozenset({Reason.AUTH, Reason.AUTH_BROKEN})
REFUSALS = 2
REFUSED_FOR = timedelta(seconds=35)
"""So many looks in a row, and for so long, must find a key refused that worked shortly before: at its peak a vendor
refuses good keys now and then. The prober looks as early as after a failure (:mod:`monitor.core.checks.pace`)."""
KEY_TRUST = timedelta(hours=1)
"""A key that worked this recently before it was refused is presumed good."""
PAGE_AGE = timedelta(minutes=30)
"""What the vendor's own page said longer ago is no witness: it may not have been read since."""
_TROUBLE = re.compile(
    r"internal|temporar|try again|unavailable|overload|timed? ?out|maintenance|incident|outage"
    r"|服务异常|服务不可用|系统繁忙|稍后|内部错误|维护",
    re.IGNORECASE,
)
"""Words of a refusal that speak of the vendor's trouble. What is wrong with a key is said in other words."""


class Key(StrEnum):
    """What is known of a key that is refused now."""

    NEW = "new"
    """It did not work within the hour before: it is the operator's to mend, and no hurry."""
    TRUSTED = "trusted"
    """It worked within the hour, and was not refused for long enough to believe it."""
    SPARE = "spare"
    """It worked, is refused for long enough, and another probe of its component still sees as much."""
    TOLD = "told"
    """Another probe found the same key refused before it, and tells the operator."""
    ONLY = "only"
    """It worked, is refused for long enough, and nothing else sees what it saw."""


def key_of(state: ProbeState, now: datetime, *, seen_otherwise: bool, told: bool = False) -> Key:
    """Say what is known of the key of a probe whose newest look found it refused.

    ``seen_otherwise`` says whether another probe sees as much now, ``told`` whether one with the same key tells of it.
    """
    if not refusals(state):
        return Key.NEW
    if not is_refused(state, now):
        return Key.TRUSTED
    if told:
        return Key.TOLD
    return Key.SPARE if seen_otherwise else Key.ONLY


def confirm_auth(
    result: Result, state: ProbeState, peers: Iterable[ProbeState], *, vendor_admits: bool = False
) -> Result:
    """Turn a refused key into the vendor's failure where that is proven; every other result comes back as it is.

    ``peers`` are the states of other probes at the same vendor that have another key (:func:`has_another_key`).
    """
    if result.reason is not Reason.AUTH:
        return result
    proven = state.last_reason is Reason.AUTH_BROKEN  # it goes on, however long ago the key worked
    if not proven and _worked(state, result.started_at):
        second = any(peer.last_reason in KEY_REFUSED and _worked(peer, result.started_at) for peer in peers)
        proven = vendor_admits or second or speaks_of_trouble(result.observation)
    if not proven:
        return result
    seen = replace(result.observation, reason=Reason.AUTH_BROKEN)
    return replace(result, observation=seen)


def speaks_of_trouble(seen: Observation) -> bool:
    """Say whether the words of a refusal are about the vendor's service and not about our key."""
    return seen.reason is Reason.AUTH and bool(_TROUBLE.search(seen.detail))


def has_another_key(probe: Probe, other: Probe) -> bool:
    """Say whether two probes are not known to share a key: one key that is revoked is refused wherever it is used."""
    return probe.id != other.id and not (probe.key and probe.key == other.key)


def refused_keys(probes: Iterable[tuple[Probe, ProbeState]], now: datetime) -> dict[str, datetime]:
    """Return the keys that are refused by now wherever they are used, and since when. Without a name none is known."""
    found: dict[str, datetime] = {}
    for probe, state in probes:
        if probe.key and state.key_refused_at is not None and is_refused(state, now):
            found[probe.key] = min(state.key_refused_at, found.get(probe.key, state.key_refused_at))
    return found


def refusals(state: ProbeState) -> int:
    """Return how many looks found a key refused that had worked shortly before; 0 for a key without such a past."""
    return state.key_refusals if state.key_refused_at is not None and _worked(state, state.key_refused_at) else 0


def is_refused(state: ProbeState, now: datetime) -> bool:
    """Say whether the newest looks found the key refused: older evidence says nothing of what is asked with it now."""
    began = state.key_refused_at
    if state.last_reason is not Reason.AUTH or began is None:
        return False
    return state.key_refusals >= REFUSALS and now - began >= REFUSED_FOR


def _worked(state: ProbeState, at: datetime) -> bool:
    """Say whether the key worked within the hour before it was refused, which may go on for long."""
    began = state.key_refused_at or at
    return state.key_worked_at is not None and began - state.key_worked_at <= KEY_TRUST
