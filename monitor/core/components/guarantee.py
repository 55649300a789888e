"""What a probe's policy promises: which outages are always noticed, how soon, and which never are.

An outage is a stretch in which every look fails that lies in it as a whole; a look that it only touches may end
either way. Looks begin every interval and last up to the timeout; while something is suspected they come early, where
one fits before the next tick (:func:`monitor.core.checks.pace.after`); an early one that the tick cuts short tells
nothing.

* Longest: one interval until the first look that lies in the outage, then as many looks as reach the limit after the
  span, all of them as slow as can be.
* Shortest: the span, less a first look that hung until its timeout before the outage began. Nothing shorter is ever
  told, unless it falls into a suspicion that something else began.

Proven over all phase offsets against the real rules in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monitor.core.catalogue import Probe
from monitor.core.checks import suspicion
from monitor.core.checks.pace import LEAST_S, deadline_s, pause_before
from monitor.core.checks.sequential import rule_of
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
    shortest_outage_s: float = 0.0
    """The shortest outage that may page, by the policy."""

    def sentence(self) -> str:
        """Return the promise in one line for ``chatwatch check``."""
        where = f" at {self.needed_locations} locations" if self.needed_locations > 1 else ""
        shorter = ""
        if self.never_if_shorter_s > 0:
            shorter = f", none shorter than {_down(self.never_if_shorter_s)} s ever is"
            if self.never_if_shorter_s < self.shortest_outage_s:
                shorter += f" ({self.shortest_outage_s:g} s less a first look that hung before it began)"
        return (
            f"every outage longer than {_up(self.noticed_if_longer_s)} s{where} is notified within "
            f"{_up(self.told_within_s)} s{shorter} (up to {_up(self.network_extra_s)} s more if it may be our network)"
        )


def _up(seconds: float) -> str:
    """Write seconds that nothing may exceed: whole, or with one digit below ten."""
    return f"{math.ceil(seconds - 1e-6) if seconds > 10 else math.ceil(seconds * 10 - 1e-6) / 10:g}"


def _down(seconds: float) -> str:
    """Write seconds that nothing may fall below."""
    return f"{math.floor(seconds + 1e-6) if seconds > 10 else math.floor(seconds * 10 + 1e-6) / 10:g}"


def guarantee(probe: Probe, *, delivery_s: float = DELIVERY_S) -> Guarantee:
    """Work out the promise of a probe."""
    policy, interval, timeout = probe.policy, float(probe.interval_s), probe.timeout_s
    longest = interval + _decided_s(probe) + timeout
    return Guarantee(
        noticed_if_longer_s=longest,
        told_within_s=longest + delivery_s,
        never_if_shorter_s=_shortest_s(probe),
        network_extra_s=interval,
        needed_locations=quorum(len(probe.locations), policy),
        shortest_outage_s=policy.shortest_outage_s,
    )


_START = datetime(2026, 1, 1, tzinfo=UTC)


def _decided_s(probe: Probe) -> float:
    """Seconds from a tick to the beginning of the look that decides, if every look fails at its timeout."""
    rule, known, tick, begin = rule_of(probe), suspicion.CALM, 0.0, 0.0
    while True:
        at = _START + timedelta(seconds=begin)
        known = suspicion.failed(known, rule, at)
        if known.down:
            return begin
        wait_s, end = suspicion.next_look_s(known, rule, failed=True, at=at), begin + probe.timeout_s
        pause_s = pause_before(probe, wait_s, probe.timeout_s, end - tick)
        if pause_s is not None and deadline_s(probe, 2, end + pause_s - tick) < probe.timeout_s:
            pause_s = None  # it would be cut short and tell nothing
        if pause_s is None:
            tick += probe.interval_s
        begin = tick if pause_s is None else end + pause_s


def _shortest_s(probe: Probe) -> float:
    """Least time between the end of a first failing look and the beginning of the one that decides.

    Two looks lie one early pause apart, or less where the second is that of the next tick, but never less than what is
    kept free before it. The first pause may be over with the slow look, the last cut short by the end
    of the span.
    """
    rule = rule_of(probe)
    between = max(0, rule.fewest_failures - 3) * min(rule.early_s, LEAST_S, probe.timeout_s)
    return max(0.0, rule.span_s - probe.timeout_s, between)
