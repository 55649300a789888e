"""The working set of one transaction: what is judged, loaded under lock, changed in memory, written back at its end.

Serialisation is the database's. SQLite has one writer; on PostgreSQL the component rows of every service concerned
are locked, in order, before anything about them is read.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from monitor.core.baseline import Unusual
from monitor.core.catalogue import Catalogue, Component, Policy, Probe
from monitor.core.event_json import encode
from monitor.core.events import Cause, Incident, IncidentEvent, RegistrationChange
from monitor.core.health import ProbeState, new_probe_state, rewind
from monitor.core.incidents import apply, is_open
from monitor.core.maintenance import Window
from monitor.core.model import Health, UpstreamReading
from monitor.core.registration import RegistrationState
from monitor.store import tables
from monitor.store.catalogues import Index, load_index
from monitor.store.codec import DAY, pack, unpack, us, us_or_none, when_or_none
from monitor.store.maintenances import held_windows
from monitor.store.states import dump_state, load_state
from monitor.store.tables import table

SERIES, COMPONENT, SPAN = table(tables.Series), table(tables.Component), table(tables.Span)
COMPONENT_DAY, EVIDENCE = table(tables.ComponentDay), table(tables.Evidence)
INCIDENT, INCIDENT_EVENT = table(tables.Incident), table(tables.IncidentEvent)
CERTIFICATE = table(tables.Certificate)
UPSTREAM, REGISTRATION_LOG = table(tables.Upstream), table(tables.RegistrationLog)

_TRACK_COLUMNS = (
    "tick_us",
    "attempt",
    "evidence_us",
    "result_id",
    "result_at_us",
    "reading",
    "evidence_kept_us",
    "state",
    "key",
)


@dataclass(slots=True)
class Track:
    """One probe at one location."""

    id: int
    probe: Probe
    location: str
    state: ProbeState
    result_id: int | None
    result_at_us: int | None
    reading: str
    evidence_kept: datetime | None = None
    changed: bool = False
    rewound: bool = False
    """Its watermark lay in the future, from a clock that ran ahead, and was forgotten when it was read."""


@dataclass(slots=True)
class Part:
    """A component with its verdict; the stretch since ``span_us`` is not closed yet."""

    component: Component
    tracks: list[Track]
    health: Health
    since: datetime | None
    reason: str
    detail: str
    span_us: int
    registration: RegistrationState | None
    known_us: int | None = None
    unusual: tuple[Unusual, ...] = ()
    """What is slower than usual for the hour of the week, by probe."""
    changed: bool = False

    @property
    def pairs(self) -> list[tuple[Probe, ProbeState]]:
        """What :func:`monitor.core.health.component_health` takes."""
        return [(track.probe, track.state) for track in self.tracks]


@dataclass
class Working:
    """See the module. ``now`` is when it is written down, not when it happened."""

    connection: Connection
    now: datetime
    backfill: bool = False
    parts: dict[str, Part] = field(default_factory=dict)
    tracks: dict[tuple[str, str], Track] = field(default_factory=dict)
    spans: list[dict[str, Any]] = field(default_factory=list)
    reopened_days: list[tuple[str, int]] = field(default_factory=list)
    events: list[IncidentEvent] = field(default_factory=list)
    registrations: list[RegistrationChange] = field(default_factory=list)
    removed: frozenset[str] = frozenset()
    """Components that are taken out of the catalogue in this transaction."""
    _latest: dict[tuple[str, Cause], Incident | None] = field(default_factory=dict)
    _touched: dict[str, Incident] = field(default_factory=dict)
    _windows: list[Window] | None = None
    _elsewhere: dict[str, list[Track]] = field(default_factory=dict)
    _upstream: dict[str, list[UpstreamReading]] = field(default_factory=dict)

    @cached_property
    def index(self) -> Index:
        """The catalogue in force, by id."""
        return load_index(self.connection)

    @cached_property
    def certificates(self) -> dict[int, str]:
        """Series → certificate as stored, so that an unchanged one is not written again."""
        return {row.series: row.body for row in self.connection.execute(select(CERTIFICATE))}

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self.index.catalogue

    def load(self, services: Iterable[str]) -> None:
        """Lock and load every component of these services with all its probes."""
        wanted = sorted(set(services))
        query = select(COMPONENT).where(COMPONENT.c.service.in_(wanted)).order_by(COMPONENT.c.id).with_for_update()
        for row in self.connection.execute(query):
            component = self.index.components.get(row.id)
            if component is not None:
                registration = RegistrationState.from_json(json.loads(row.registration)) if row.registration else None
                health, since = Health(row.health), when_or_none(row.since_us)
                self.parts[row.id] = Part(
                    component, [], health, since, row.reason, row.detail, row.span_us, registration, row.known_us
                )
                if row.unusual:
                    self.parts[row.id].unusual = unpack(tuple[Unusual, ...], row.unusual)
        query = select(INCIDENT.c.body).where(INCIDENT.c.resolved_us.is_(None), INCIDENT.c.service.in_(wanted))
        for body in self.connection.scalars(query):
            incident = unpack(Incident, body)
            self._latest[incident.service, incident.cause] = incident
        self._load_tracks()

    def _load_tracks(self) -> None:
        probes = [probe.id for part in self.parts for probe in self.index.probes_of.get(part, ())]
        probes += [probe.id for probe in self.catalogue.probes if probe.component not in self.index.components]
        for chunk in chunks(probes, 500):
            for row in self.connection.execute(select(SERIES).where(SERIES.c.probe.in_(chunk)).order_by(SERIES.c.id)):
                self._add(self._read_track(row))

    def _read_track(self, row: Any) -> Track:
        stored = load_state(row.state, row.probe, row.location, row.tick_us, row.attempt)
        state = rewind(stored, self.now)
        probe = self.index.probes[row.probe]
        kept = when_or_none(row.evidence_kept_us)
        return Track(
            row.id,
            probe,
            row.location,
            state,
            row.result_id,
            row.result_at_us,
            row.reading,
            kept,
            rewound=state is not stored,
        )

    def _add(self, track: Track) -> None:
        self.tracks[track.probe.id, track.location] = track
        if track.probe.component in self.parts:
            self.parts[track.probe.component].tracks.append(track)

    def track(self, probe: Probe, location: str) -> Track:
        """Return the series of a probe at a location, made on its first result."""
        found = self.tracks.get((probe.id, location))
        if found is None:
            row = {"probe": probe.id, "location": location, "tick_us": 0, "attempt": 0, "reading": "", "state": ""}
            key = self.connection.scalar(insert(SERIES).values(row).returning(SERIES.c.id))
            assert key is not None
            found = Track(key, probe, location, new_probe_state(probe.id, location), None, None, "")
            self._add(found)
        return found

    def of_service(self, service: str) -> Iterator[Part]:
        """Yield the parts of a service in the order of the page."""
        return (part for part in self.parts.values() if part.component.service == service)

    def service_of(self, probe: Probe) -> str:
        """Return the service a probe speaks for."""
        component = self.index.components.get(probe.component)
        return component.service if component else probe.component.partition("/")[0]

    def at_location(self, location: str) -> list[Track]:
        """Return every series of a location; those of other services are read without lock, to look at only."""
        if location not in self._elsewhere:
            rows = self.connection.execute(select(SERIES).where(SERIES.c.location == location))
            known = self.index.probes
            self._elsewhere[location] = [
                self._read_track(row) for row in rows if row.probe in known and (row.probe, location) not in self.tracks
            ]
        mine = [track for (_, where), track in self.tracks.items() if where == location]
        return mine + self._elsewhere[location]

    def upstream_readings(self, service: str) -> list[UpstreamReading]:
        """Return what the vendor's own pages said last."""
        if service not in self._upstream:
            bodies = self.connection.scalars(select(UPSTREAM.c.body).where(UPSTREAM.c.service == service))
            self._upstream[service] = [unpack(UpstreamReading, body) for body in bodies if body]
        return self._upstream[service]

    def heard(self, service: str) -> None:
        """Forget what was read of the vendor's pages: there is something new."""
        self._upstream.pop(service, None)

    def policy(self, service: str) -> Policy:
        """Return the policy of a service's incidents and alerts: that of its first probe that may speak."""
        own = (p.policy for p in self.catalogue.probes if self.service_of(p) == service and not p.witness)
        return next(own, Policy())

    def windows(self) -> list[Window]:
        """Return the maintenance windows of the last two days and the coming hour."""
        if self._windows is None:
            self._windows = list(
                held_windows(self.connection, self.now - timedelta(days=2), self.now + timedelta(hours=1))
            )
        return self._windows

    # Spans

    def set_health(self, part: Part, health: Health, start: datetime | None, at: datetime) -> None:
        """Close the stretch before ``start`` and begin one of another health; never reach back before the last."""
        start_us = min(max(us(start or at), part.span_us), max(us(at), part.span_us))
        if start_us > part.span_us:
            closed = {"component": part.component.id, "start_us": part.span_us, "end_us": start_us}
            self.spans.append(closed | {"health": part.health.value})
        if start_us < us(self.now) - us(self.now) % DAY:
            self.reopened_days.append((part.component.id, start_us - start_us % DAY))
        part.span_us, part.health, part.changed = start_us, health, True

    # Incidents

    def latest(self, service: str, cause: Cause) -> Incident | None:
        """Return the latest incident of a service and cause, open or not."""
        key = (service, cause)
        if key not in self._latest:
            query = select(INCIDENT.c.body).where(INCIDENT.c.service == service, INCIDENT.c.cause == cause.value)
            newest = query.order_by(INCIDENT.c.resolved_us.is_not(None), INCIDENT.c.started_us.desc()).limit(1)
            body = self.connection.scalar(newest)
            self._latest[key] = unpack(Incident, body) if body else None
        return self._latest[key]

    def incident(self, incident_id: str) -> Incident | None:
        """Return an incident by id."""
        if incident_id in self._touched:
            return self._touched[incident_id]
        body = self.connection.scalar(select(INCIDENT.c.body).where(INCIDENT.c.id == incident_id))
        return unpack(Incident, body) if body else None

    def open_incident_of(self, part: Part | None) -> str:
        """Return the id of an open incident that the component is part of; empty if there is none."""
        if part is None:
            return ""
        found = (self._latest.get((part.component.service, cause)) for cause in Cause)
        return next((item.id for item in found if item and is_open(item) and part.component.id in item.components), "")

    def has_open(self, service: str) -> bool:
        """Say whether any incident of a loaded service is open."""
        return any(is_open(self._latest.get((service, cause))) for cause in Cause)

    def happened(self, event: IncidentEvent, incident: Incident | None) -> Incident:
        """Take an event into its incident's history and projection; returns the incident after it."""
        after = apply(incident, event)
        self.events.append(event)
        self._touched[after.id] = after
        latest = self._latest.get((after.service, after.cause))
        if latest is None or latest.id == after.id or is_open(after):
            self._latest[after.service, after.cause] = after
        return after

    @property
    def touched(self) -> Mapping[str, Incident]:
        """Incidents that changed in this transaction."""
        return self._touched

    # Writing back

    def flush(self) -> None:
        """Write back what changed."""
        self._flush_tracks()
        self._flush_parts()
        if self.spans:
            self.connection.execute(insert(SPAN), self.spans)
        for component, day_us in sorted(self.reopened_days):
            where = (COMPONENT_DAY.c.component == component, COMPONENT_DAY.c.day_us >= day_us)
            self.connection.execute(delete(COMPONENT_DAY).where(*where))
            days_changed(self.connection, component)
        for change in self.registrations:
            row = {"component": change.component, "at_us": us(change.at), "body": pack(RegistrationChange, change)}
            self.connection.execute(insert(REGISTRATION_LOG).values(row))
        self._flush_incidents()

    def _flush_tracks(self) -> None:
        rows = [
            (
                us_or_none(track.state.tick) or 0,
                track.state.attempt,
                us_or_none(track.state.evidence_at),
                track.result_id,
                track.result_at_us,
                track.reading,
                us_or_none(track.evidence_kept),
                dump_state(track.state),
                track.id,
            )
            for track in self.tracks.values()
            if track.changed
        ]
        if rows:
            bulk_update(self.connection, SERIES, _TRACK_COLUMNS, rows)

    def _flush_parts(self) -> None:
        for part in sorted(self.parts.values(), key=lambda part: part.component.id):
            if not part.changed:
                continue
            values: dict[str, Any] = {
                "health": part.health.value,
                "since_us": us_or_none(part.since),
                "reason": part.reason,
                "detail": part.detail,
                "span_us": part.span_us,
                "known_us": part.known_us,
                "registration": json.dumps(part.registration.to_json()) if part.registration else "",
                "unusual": pack(tuple[Unusual, ...], part.unusual) if part.unusual else "",
            }
            self.connection.execute(update(COMPONENT).where(COMPONENT.c.id == part.component.id).values(values))

    def _flush_incidents(self) -> None:
        if self.events:
            self.connection.execute(insert(INCIDENT_EVENT), [event_row(event) for event in self.events])
        for incident in self._touched.values():
            put_incident(self.connection, incident)
            self._hold_evidence(incident)

    def _hold_evidence(self, incident: Incident) -> None:
        """Keep what was seen from the first failed look on for as long as the incident is kept."""
        parts = (self.parts[name] for name in incident.components if name in self.parts)
        series = [track.id for part in parts for track in part.tracks]
        until = incident.resolved_at or self.now
        where = (EVIDENCE.c.series.in_(series), EVIDENCE.c.at_us.between(us(incident.started_at), us(until)))
        unheld = EVIDENCE.c.incident == ""
        self.connection.execute(update(EVIDENCE).where(*where, unheld).values(incident=incident.id))


def days_changed(connection: Connection, component: str) -> None:
    """Tell readers that what they keep of a component's closed days is out of date."""
    values = {"days_revision": secrets.randbits(62) | 1}
    connection.execute(update(COMPONENT).where(COMPONENT.c.id == component).values(values))


def bulk_update(connection: Connection, target: Any, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Update many rows by id; the last name is the key's parameter."""
    from sqlalchemy import bindparam

    values: dict[str, Any] = {name: bindparam(f"v_{name}") for name in names[:-1]}
    statement = update(target).where(target.c.id == bindparam("v_key")).values(values)
    connection.execute(statement, [dict(zip([f"v_{name}" for name in names], row, strict=True)) for row in rows])


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


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield slices of at most ``size``; SQLite allows a limited number of parameters."""
    return (items[start : start + size] for start in range(0, len(items), size))
