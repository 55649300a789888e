"""What planned work held back of the past is judged as soon as it is known, if the work is over by then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from monitor.core.maintenance import covering
from monitor.core.model.observations import Result
from monitor.core.state_store import StateStore


def outlived(store: StateStore, results: Iterable[Result], now: datetime) -> list[str]:
    """Return the services with looks that ended during planned work at their component which is over by ``now``."""
    found: set[str] = set()
    for result in results:
        probe = store.index.probes.get(result.run.probe)
        if probe is None or probe.witness or probe.control or store.index.service_of(probe) in found:
            continue
        if covering(store.windows(result.ended_at), probe.component, result.ended_at) is None:
            continue
        if covering(store.windows(now), probe.component, now) is None:
            found.add(store.index.service_of(probe))
    return sorted(found)
