"""What planned work held back of the past is judged as soon as it is known, if the work is over by then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from monitor.core.evaluation import Evaluation, ended
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
        if covering(store.windows(ended(result)), probe.component, ended(result)) is None:
            continue
        if covering(store.windows(now), probe.component, now) is None:
            found.add(store.index.service_of(probe))
    return sorted(found)


def catch_up(evaluation: Evaluation, results: Iterable[Result], now: datetime) -> None:
    """Judge as of ``now``, after looks of the past, the services whose planned work did not last until they came.

    As of its own time such a look may move a component, but no incident. The page does not draw the component as under
    maintenance any more, so it would show it as down beside an incident that still says that all is good.
    """
    services = outlived(evaluation.store, results, now)
    for service in services:
        evaluation.on_time_of(service, now)
    if services:
        evaluation.pipeline.settle(now)
