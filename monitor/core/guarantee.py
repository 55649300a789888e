"""What a probe's policy promises: which outages are always noticed, how soon, and which never are.

An outage is a stretch in which every look fails that lies in it as a whole; a look that it only touches may end
either way. Looks start every interval and last up to the timeout. With k failures to confirm, interval I, timeout T,
second look after r:

* k looks take one interval until the first begins, then ``span`` = T + r for the second look at once (or I without
  it) and I for each further one, and T until the last has failed. Longer outages are always noticed.
* An outage that touches the end of one look and the beginning of the k-th after it can be as short as ``span`` less T.
  Shorter ones never are.

Proven over all phase offsets against :func:`monitor.core.health.step` in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.core.catalogue import Probe
from monitor.core.health import quorum

DELIVERY_S = 5.0
"""From the end of the deciding look to the first attempt to send: batch, transaction and dispatch."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The promise of one probe, in seconds from the beginning of an outage."""

    noticed_if_longer_s: float
    told_within_s: float
    never_if_shorter_s: float
    recovery_told_within_s: float
    """After its end, at the latest, an outage is told to be over (public: monitored first, then resolved)."""
    network_extra_s: float
    """Added where the failure could be our own network's: until something independent has answered."""
    needed_locations: int

    def sentence(self, probe: str) -> str:
        """Return the promise in one line for ``chatwatch check``."""
        where = f" at {self.needed_locations} locations" if self.needed_locations > 1 else ""
        shorter = f", none shorter than {self.never_if_shorter_s:g} s ever is" if self.never_if_shorter_s > 0 else ""
        return (
            f"{probe}: every outage longer than {self.noticed_if_longer_s:g} s{where} is notified within "
            f"{self.told_within_s:g} s{shorter} (up to {self.network_extra_s:g} s more if it may be our network)"
        )


def guarantee(probe: Probe, *, second_look_s: float = 0.0, delivery_s: float = DELIVERY_S) -> Guarantee:
    """Work out the promise of a probe. ``second_look_s`` is the pause before the second look of a tick."""
    policy, interval, timeout = probe.policy, float(probe.interval_s), probe.timeout_s
    k = policy.open_after_failures
    at_once = policy.confirm_at_once and k >= 2
    ticks = k - 1 - at_once
    longest = interval + ticks * interval + (timeout + second_look_s if at_once and not ticks else 0.0) + timeout
    shortest = max(0.0, ticks * interval - timeout) if ticks else (second_look_s if at_once else 0.0)
    good = policy.close_after_successes * interval + timeout
    return Guarantee(
        noticed_if_longer_s=longest,
        told_within_s=longest + delivery_s,
        never_if_shorter_s=shortest,
        recovery_told_within_s=good + policy.recovery_window_s + interval + delivery_s,
        network_extra_s=interval,
        needed_locations=quorum(len(probe.locations), policy),
    )
