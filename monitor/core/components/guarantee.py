"""What a probe's policy promises: which outages are always noticed, how soon, and which never are.

An outage is a stretch in which every look fails that lies in it as a whole; a look that it only touches may end
either way. Looks begin every interval and last up to the timeout; a failed one is repeated after a pause until k
failed in a row, where that fits before the next tick (:func:`monitor.core.checks.steps.needs_second_look`).

* Longest: one interval until the first look that lies in the outage, then k looks that all last up to their timeout.
* Shortest: an outage that touches the end of one look and the beginning of the k-th, all between them being as quick
  as can be. Nothing shorter is ever told, unless failures of another outage lie within the same window of looks.

Proven over all phase offsets against :func:`monitor.core.checks.steps.step` in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.core.catalogue import Probe
from monitor.core.checks.steps import ROUNDING_S
from monitor.core.components.health import quorum

DELIVERY_S = 5.0
"""From the end of the deciding look to the first attempt to send: batch, transaction and dispatch."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The promise of one probe, in seconds from the beginning of an outage."""

    noticed_if_longer_s: float
    told_within_s: float
    never_if_shorter_s: float
    network_extra_s: float
    """Added where the failure could be our own network's: until it fails once more after something else answered."""
    needed_locations: int

    def sentence(self) -> str:
        """Return the promise in one line for ``chatwatch check``."""
        where = f" at {self.needed_locations} locations" if self.needed_locations > 1 else ""
        shorter = f", none shorter than {self.never_if_shorter_s:g} s ever is" if self.never_if_shorter_s > 0 else ""
        return (
            f"every outage longer than {self.noticed_if_longer_s:g} s{where} is notified within "
            f"{self.told_within_s:g} s{shorter} (up to {self.network_extra_s:g} s more if it may be our network)"
        )


def guarantee(probe: Probe, *, delivery_s: float = DELIVERY_S) -> Guarantee:
    """Work out the promise of a probe."""
    policy, interval, timeout = probe.policy, float(probe.interval_s), probe.timeout_s
    longest = interval + _last_begins_s(probe, timeout, timeout) + timeout
    return Guarantee(
        noticed_if_longer_s=longest,
        told_within_s=longest + delivery_s,
        never_if_shorter_s=_shortest_s(probe),
        network_extra_s=interval,
        needed_locations=quorum(len(probe.locations), policy),
    )


def _latest_s(probe: Probe) -> float:
    """Seconds after its tick until which a look must have ended to be repeated before the next tick."""
    if not probe.policy.confirm_at_once:
        return -1.0
    return probe.interval_s - probe.timeout_s - 2 * probe.policy.second_look_after_s


def _last_begins_s(probe: Probe, first_s: float, other_s: float) -> float:
    """Seconds from a tick to the beginning of its k-th failing look, if the first and the others last so long."""
    begin, tick, length = 0.0, 0.0, first_s
    for _ in range(probe.policy.open_after_failures - 1):
        end = begin + length
        if end - tick <= _latest_s(probe) + ROUNDING_S:
            begin = end + probe.policy.second_look_after_s
        else:
            tick += probe.interval_s
            begin = tick
        length = other_s
    return begin


def _shortest_s(probe: Probe) -> float:
    """Least time between the end of a first failing look and the beginning of the k-th.

    The later the first look ends the less time is left to the k-th, until one look more is left to the next tick: so
    the least is at the timeout, or at the last moment at which a look of the same tick is still repeated.
    """
    pause, k = probe.policy.second_look_after_s, probe.policy.open_after_failures
    if k < 2:
        return 0.0
    ends = {0.0, probe.timeout_s} | {_latest_s(probe) - number * pause for number in range(k)}
    return max(0.0, min(_last_begins_s(probe, end, 0.0) - end for end in ends if 0 <= end <= probe.timeout_s))
