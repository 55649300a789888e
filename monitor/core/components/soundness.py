"""Policies that cannot work: found when the configuration is read, not when the first outage is missed."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.core.catalogue import Policy, Probe
from monitor.core.checks.sequential import EAGER_PAGES
from monitor.core.components import slo
from monitor.core.components.registration.claims import AGE_LIMIT_S

LONGEST_S = 3600.0
FEWEST_PAGES, MOST_PAGES = 0.001, EAGER_PAGES
LEAST_RATIO, MOST_RATIO = 0.02, 0.45
SHORTEST_AGE_S = min(AGE_LIMIT_S.values())


def policy_faults(policy: Policy) -> tuple[str, ...]:
    """Return what is impossible about a policy, one sentence each; empty if it can work."""
    return tuple(_faults(policy))


def _faults(policy: Policy) -> Iterator[str]:
    if not FEWEST_PAGES <= policy.false_pages_per_year <= MOST_PAGES:
        given = f"{policy.false_pages_per_year:g}"
        yield f"false_pages_per_year ({given}) must lie between {FEWEST_PAGES:g} and {MOST_PAGES:g}"
    if not 0 <= policy.shortest_outage_s <= LONGEST_S:
        yield f"shortest_outage ({policy.shortest_outage_s:g} s) must lie between 0 and {LONGEST_S:g} s"
    if not LEAST_RATIO <= policy.failure_ratio <= MOST_RATIO:
        yield f"failure_ratio ({policy.failure_ratio:g}) must lie between {LEAST_RATIO:g} and {MOST_RATIO:g}"
    if policy.throttled_after < 1 or policy.quorum_locations < 1:
        yield "throttled_after and quorum_locations are at least 1"
    if not 0 < policy.flap_stop_percent < policy.flap_start_percent <= 100:
        yield "flap_stop_percent must be below flap_start_percent, both between 0 and 100"
    if policy.stale_after_intervals < 1:
        yield "stale_after_intervals below 1 would make every probe unknown between two looks"
    if not 0 < policy.slo_target_ratio < 1:
        yield f"slo_target_ratio ({policy.slo_target_ratio}) must lie between 0 and 1, as 0.99"


def probe_warnings(probe: Probe) -> tuple[str, ...]:
    """Return what works less well than it looks, one sentence each."""
    return () if policy_faults(probe.policy) else tuple(_warnings(probe))


def _warnings(probe: Probe) -> Iterator[str]:
    target = probe.policy.slo_target_ratio
    if never := slo.impossible(target):
        speeds = ", ".join(f"{rule.burn:g}" for rule in never)
        yield (
            f"with an objective of {target:g} nothing burns faster than {1 / (1 - target):.3g} times: the burn-rate "
            f"alerts at {speeds} can never fire"
        )
    for rule in slo.trigger_happy(target, probe.interval_s, len(probe.locations)):
        if rule not in never:
            yield (
                f"at one look in {probe.interval_s} s the window of {rule.short_s} s holds too few looks for a burn "
                "rate; that alert stays silent"
            )
    if probe.tells_registration and probe.interval_s >= SHORTEST_AGE_S:
        yield (
            f"a reading of registration holds for {SHORTEST_AGE_S} s: at one look in {probe.interval_s} s it is "
            "unknown in between"
        )
