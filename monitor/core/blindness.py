"""Is it them, or is it us? A worker that cannot reach anything is *blind*, and what it sees says nothing.

Only failures that a broken network of ours would also produce (names, connecting, TLS handshakes) count. An HTTP
answer, however bad, proves that the network works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from monitor.core.catalogue import Probe
from monitor.core.model import Outcome, Reason, Result

BLIND_RATIO = 0.7
"""Share of independent services that must fail alike."""
FEWEST_SERVICES = 2
"""With fewer services only control targets can tell."""


def is_blind(recent: Sequence[Result], probes: Mapping[str, Probe], now: datetime) -> str:
    """Say why a location is blind, or ``""``.

    ``recent`` are results of one location in any order, ``probes`` the catalogue by id; for each probe its newest
    look within two intervals counts. Services are independent of each other, probes of one service are not.
    """
    newest: dict[str, Result] = {}
    for result in recent:
        probe = probes.get(result.run.probe)
        if probe is None or result.outcome is Outcome.MISSED:
            continue
        before = newest.get(probe.id)
        age = now - result.started_at
        young = age <= timedelta(seconds=2 * probe.interval_s + probe.timeout_s)
        if young and (before is None or _order(before) < _order(result)):
            newest[probe.id] = result
    controls = [_cut_off(result) for id_, result in newest.items() if probes[id_].control]
    services: dict[str, list[bool]] = {}
    for id_, result in newest.items():
        if not probes[id_].control:
            services.setdefault(probes[id_].component.partition("/")[0], []).append(_cut_off(result))
    failing = sum(all(cuts) for cuts in services.values())
    if controls and all(controls) and (not services or failing * 2 >= len(services)):
        return f"all {len(controls)} control targets fail with network errors"
    if controls and not all(controls):
        return ""
    if len(services) >= FEWEST_SERVICES and failing >= BLIND_RATIO * len(services):
        return f"{failing} of {len(services)} independent services fail together with network errors"
    return ""


def _order(result: Result) -> tuple[datetime, int]:
    return result.run.tick, result.run.attempt


def _cut_off(result: Result) -> bool:
    return result.reason.is_network_class or result.reason is Reason.NETWORK
