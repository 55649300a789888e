"""The incidents of one transaction: read on first use, changed in memory, written back at its end."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from monitor.core.entities import Incident, IncidentEvent
from monitor.core.incidents.event_json import decode, encode
from monitor.core.incidents.transitions import apply, is_open
from monitor.core.model.incident_events import Cause, EventKind, UpstreamSaid
from monitor.core.schedule import micros as us
from monitor.core.state_store import ComponentRow
from monitor.store import tables
from monitor.store.codec import pack, unpack_or_none, unpack_row, us_or_none
from monitor.store.tables import table
from monitor.store.transaction.alerts import AlertStore

INCIDENT, INCIDENT_EVENT = table(tables.Incident), table(tables.IncidentEvent)

# Asked in every transaction, so built once: to build a statement anew costs more than to run it.
_BODIES = select(INCIDENT.c.id, INCIDENT.c.body)
_OPEN = _BODIES.where(INCIDENT.c.resolved_us.is_(None), INCIDENT.c.service.in_(bindparam("services", expanding=True)))
_NEWEST = (
    _BODIES.where(INCIDENT.c.service == bindparam("service"), INCIDENT.c.cause == bindparam("cause"))
    .order_by(INCIDENT.c.resolved_us.is_not(None), INCIDENT.c.started_us.desc())
    .limit(1)
)


class IncidentStore(AlertStore):
    """The part of :class:`monitor.store.transaction.store.SqlStore` about incidents."""

    def __init__(self, connection: Connection, now: datetime, *, lenient: bool = False) -> None:
        super().__init__(connection, now)
        self.lenient = lenient
        """Whether what cannot be read is left out; else the service that it belongs to cannot be judged."""
        self._latest: dict[tuple[str, Cause], Incident | None] = {}
        self._touched: dict[str, Incident] = {}
        self._events: list[IncidentEvent] = []
        self._quoted: dict[str, set[tuple[str, datetime]]] = {}

    def load_open(self, services: Collection[str]) -> None:
        """Read the open incidents of these services."""
        for row in self.connection.execute(_OPEN, {"services": list(services)}):
            incident = unpack_or_none(Incident, row.body, "incident") if self.lenient else _incident(row.id, row.body)
            if incident is not None:
                self._latest[incident.service, incident.cause] = incident

    def latest(self, service: str, cause: Cause) -> Incident | None:
        """Return the latest incident of a service and cause, open or not."""
        key = (service, cause)
        if key not in self._latest:
            row = self.connection.execute(_NEWEST, {"service": service, "cause": cause.value}).first()
            self._latest[key] = _incident(row.id, row.body) if row is not None else None
        return self._latest[key]

    def incident(self, incident: str) -> Incident | None:
        """Return an incident by id."""
        if incident in self._touched:
            return self._touched[incident]
        body = self.connection.scalar(select(INCIDENT.c.body).where(INCIDENT.c.id == incident))
        return _incident(incident, body) if body is not None else None

    def open_incident_of(self, row: ComponentRow | None) -> str:
        """Return the id of an open incident that the component is part of; empty if there is none."""
        if row is None:
            return ""
        found = (self._latest.get((row.component.service, cause)) for cause in Cause)
        return next((item.id for item in found if item and is_open(item) and row.component.id in item.components), "")

    def has_open(self, service: str) -> bool:
        """Say whether any incident of a loaded service is open."""
        return any(is_open(self._latest.get((service, cause))) for cause in Cause)

    def incidents_begun(self, since: datetime, until: datetime) -> Sequence[Incident]:
        """Return the incidents of every service that began in that time, both ends included."""
        began = INCIDENT.c.started_us.between(us(since), us(until))
        bodies = self.connection.scalars(select(INCIDENT.c.body).where(began))
        read = (unpack_or_none(Incident, body, "incident") for body in bodies)
        found = {item.id: item for item in read if item is not None}
        found |= {name: item for name, item in self._touched.items() if since <= item.started_at <= until}
        return list(found.values())

    def quoted(self, incident: str) -> set[tuple[str, datetime]]:
        """Return (the vendor's incident, when it was said) of what a timeline quotes already."""
        if incident not in self._quoted:
            kind = EventKind.UPSTREAM_SAID.value
            said = (INCIDENT_EVENT.c.incident == incident, INCIDENT_EVENT.c.kind == kind)
            rows = self.connection.scalars(select(INCIDENT_EVENT.c.data).where(*said))
            stored = [decode(kind, json.loads(data)) for data in rows]
            drafted = [event.what for event in self._events if event.incident == incident]
            found = (what for what in [*stored, *drafted] if isinstance(what, UpstreamSaid))
            self._quoted[incident] = {(what.incident, what.said_at) for what in found}
        return self._quoted[incident]

    def happened(self, event: IncidentEvent, incident: Incident | None) -> Incident:
        """Append an event to an incident's history; returns the incident after it."""
        after = apply(incident, event)
        self._events.append(event)
        self._touched[after.id] = after
        latest = self._latest.get((after.service, after.cause))
        if latest is None or latest.id == after.id or is_open(after):
            self._latest[after.service, after.cause] = after
        if isinstance(event.what, UpstreamSaid) and event.incident in self._quoted:
            self._quoted[event.incident].add((event.what.incident, event.what.said_at))
        return after

    @property
    def touched(self) -> Mapping[str, Incident]:
        """Incidents that changed in this transaction."""
        return self._touched

    @property
    def events(self) -> Sequence[IncidentEvent]:
        """What happened to incidents in this transaction, in order."""
        return self._events

    def flush_incidents(self) -> None:
        """Write back what changed."""
        if self._events:
            self.connection.execute(insert(INCIDENT_EVENT), [event_row(event) for event in self._events])
        for incident in self._touched.values():
            put_incident(self.connection, incident)


def _incident(name: str, body: str) -> Incident:
    return unpack_row(Incident, body, f"incident {name}")


def event_row(event: IncidentEvent) -> dict[str, Any]:
    """Return an incident event as a row."""
    return {
        "incident": event.incident,
        "seq": event.seq,
        "at_us": us(event.at),
        "recorded_us": us(event.recorded_at),
        "kind": event.kind.value,
        "by": event.by,
        "data": json.dumps(encode(event.what), separators=(",", ":"), ensure_ascii=False),
    }


def put_incident(connection: Connection, incident: Incident) -> None:
    """Write an incident's projection."""
    row = {
        "service": incident.service,
        "cause": incident.cause.value,
        "status": incident.status.value,
        "started_us": us(incident.started_at),
        "resolved_us": us_or_none(incident.resolved_at),
        "public": incident.public,
        "body": pack(Incident, incident),
    }
    done = connection.execute(update(INCIDENT).where(INCIDENT.c.id == incident.id).values(row))
    if not done.rowcount:
        connection.execute(insert(INCIDENT).values(row | {"id": incident.id}))
