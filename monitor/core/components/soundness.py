"""Policies that cannot work: found when the configuration is read, not when the first outage is missed."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.core.catalogue import Policy, Probe
from monitor.core.components import slo
from monitor.core.components.registration import AGE_LIMIT_S

MOST_LOOKS = 60
"""The state of a probe remembers no more looks than this."""
SHORTEST_AGE_S = min(AGE_LIMIT_S.values())


def policy_faults(policy: Policy) -> tuple[str, ...]:
    """Return what is impossible about a policy, one sentence each; empty if it can work."""
    return tuple(_faults(policy))


def _faults(policy: Policy) -> Iterator[str]:
    k, n = policy.open_after_failures, policy.window_looks
    if not 1 <= k <= n <= MOST_LOOKS:
        yield f"open_after_failures ({k}) must lie between 1 and window_looks ({n}), which is at most {MOST_LOOKS}"
    if policy.close_after_successes < 1 or policy.throttled_after < 1 or policy.quorum_locations < 1:
        yield "close_after_successes, throttled_after and quorum_locations are at least 1"
    if policy.second_look_after_s < 0:
        yield f"second_look_after ({policy.second_look_after_s:g} s) is a pause and cannot be negative"
    if not 3 <= policy.rate_min_looks <= MOST_LOOKS // 2:
        yield f"rate_min_looks ({policy.rate_min_looks}) must lie between 3 and {MOST_LOOKS // 2}"
    if not 0 <= policy.rate_close_ratio < policy.rate_open_ratio <= 1:
        yield "rate_close_ratio must be below rate_open_ratio, both between 0 and 1"
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
