"""A page's snapshot from a store in memory, so that what the doors say can be asked after every single event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from monitor.core.components.registration import rules as registration
from monitor.core.entities import IncidentEvent
from monitor.core.maintenance import covering
from monitor.core.memory_store import MemoryStore
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.state_store import ComponentRow
from monitor.store.reads.timelines import Audience, incident_view
from monitor.store.reads.views import (
    ComponentView,
    IncidentView,
    RegistrationView,
    ServiceView,
    Snapshot,
    Uptime,
    WorkerView,
    agreed,
    blind_since,
)

NONE = Uptime(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass
class Reader:
    """Reads a store as a page reads the database: what the public may see, without days and latencies."""

    store: MemoryStore
    _read: int = 0
    _events: dict[str, list[IncidentEvent]] = field(default_factory=dict)

    def snapshot(self, now: datetime) -> Snapshot:
        """Return what a page would read at this moment, if a worker has reported just now."""
        store = self.store
        workers = tuple(
            WorkerView(row.report.worker, row.report.location, row.seen_at, row.blind_since, row.report.blind, 0, 0.0)
            for row in store.workers()
        )
        unseen = blind_since(workers, now) is not None
        audience = Audience(store.index, public=True, readable=frozenset(store.incidents))
        services = []
        for service in store.index.catalogue.services:
            if not audience.sees_service(service.id):
                continue
            shown = [item for item in store.index.catalogue.components if item.service == service.id]
            rows = [row for item in shown if (row := store.component(item.id)) is not None]
            parts = tuple(self._part(row, now, unseen=unseen) for row in rows)
            worst = max((part.health for part in parts), key=lambda health: health.rank, default=Health.UNKNOWN)
            services.append(ServiceView(service.id, service.name, "", "", worst, parts, None, NONE))
        open_, past = self._incidents(audience)
        return agreed(Snapshot(now, now, False, workers, tuple(services), open_, past, ()))

    def _part(self, row: ComponentRow, now: datetime, *, unseen: bool) -> ComponentView:
        component = row.component
        view = None
        if row.registration is not None and row.registration.methods:
            settled = registration.settle(row.registration, now)
            view = RegistrationView(Health.UNKNOWN if unseen else registration.overall(settled, now), settled.methods)
        return ComponentView(
            id=component.id,
            service=component.service,
            name=component.name,
            names=component.names,
            kind=component.kind,
            health=Health.UNKNOWN if unseen else row.health,
            since=row.since,
            observed_at=None,
            reason=Reason(row.reason or Reason.NOT_RUNNING.value),
            detail=row.detail,
            maintenance=covering(tuple(self.store.windows(now)), component.id, now) is not None,
            days=(),
            uptime=NONE,
            latency=None,
            registration=view,
        )

    def _incidents(self, audience: Audience) -> tuple[tuple[IncidentView, ...], tuple[IncidentView, ...]]:
        for event in self.store.events[self._read :]:
            self._events.setdefault(event.incident, []).append(event)
        self._read = len(self.store.events)
        views = [
            incident_view(shown, _seq(self._events, incident.id), audience)
            for incident in self.store.incidents.values()
            if (shown := audience.incident(incident)) is not None
        ]
        views.sort(key=lambda view: view.started_at, reverse=True)
        return (
            tuple(view for view in views if view.resolved_at is None),
            tuple(view for view in views if view.resolved_at is not None),
        )


def _seq(events: Mapping[str, Sequence[IncidentEvent]], incident: str) -> Sequence[IncidentEvent]:
    return sorted(events.get(incident, ()), key=lambda event: event.seq)
