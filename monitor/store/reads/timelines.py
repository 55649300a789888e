"""Reads about incidents. The public sees public incidents of public components only, also inside an event."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Connection, Engine, Row, select

from monitor.core.catalogue import Index
from monitor.core.entities import Incident, IncidentEvent
from monitor.core.incidents.event_json import decode
from monitor.core.incidents.transitions import is_open
from monitor.core.incidents.witness import lead_s
from monitor.core.model.incident_events import (
    ComponentBetter,
    ComponentWorse,
    EventData,
    Hidden,
    ImpactChanged,
    Note,
    Opened,
    Postmortem,
    ProbeRemoved,
    Published,
    Recovering,
    RegistrationChanged,
    Relapsed,
    Related,
    Reopened,
    Resolved,
    UpstreamSaid,
)
from monitor.core.model.states import Health
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.catalogues import load_index
from monitor.store.codec import unpack_or_none
from monitor.store.connection.engine import reading
from monitor.store.reads.views import IncidentView
from monitor.store.tables import table

log = logging.getLogger("chatwatch.store")

INCIDENT, INCIDENT_EVENT = table(tables.Incident), table(tables.IncidentEvent)
_CHUNK = 500


@dataclass(frozen=True)
class Audience:
    """Who reads: the public, or people who may see everything."""

    index: Index
    public: bool
    readable: frozenset[str] = frozenset()
    """Ids of public incidents, as far as the timelines at hand name others."""

    def sees_service(self, service: str) -> bool:
        """Say whether the service may be shown; one that left the catalogue is for insiders only."""
        if not self.public:
            return True
        found = self.index.services.get(service)
        return found is not None and found.public

    def sees(self, component: str) -> bool:
        """Say whether the component may be shown."""
        if not self.public:
            return True
        found = self.index.components.get(component)
        return found is not None and found.public and self.sees_service(found.service)

    def incident(self, incident: Incident) -> Incident | None:
        """Return the incident as this audience may see it; None when it may not."""
        if not self.public:
            return incident
        shown = tuple(name for name in incident.components if self.sees(name))
        if not incident.public or not self.sees_service(incident.service) or (incident.components and not shown):
            return None
        return replace(incident, components=shown, failing={k: v for k, v in incident.failing.items() if k in shown})

    def event(self, event: IncidentEvent) -> IncidentEvent | None:
        """Return the event without what this audience may not see; None when nothing is left of it."""
        what = self._seen(event.what)
        return None if what is None else replace(event, what=what)

    def _seen(self, what: EventData) -> EventData | None:
        if isinstance(what, Related):
            return self._related(what)
        if not self.public:
            return what
        match what:
            case Opened():
                return self._opened(what)
            case ComponentWorse() | Relapsed() | Reopened() | RegistrationChanged():
                return replace(what, login=self._logins(what.login)) if self.sees(what.component) else None
            case ComponentBetter():
                return what if self.sees(what.component) else None
            case ProbeRemoved():
                shown = tuple(name for name in what.components if self.sees(name))
                return replace(what, components=shown) if self.sees(what.component) else None
            case Recovering():
                return replace(what, components=tuple(name for name in what.components if self.sees(name)))
            case Hidden():
                return None
            case ImpactChanged() | UpstreamSaid() | Resolved() | Note() | Published() | Postmortem():
                return what
            case _:
                assert_never(what)

    def _opened(self, what: Opened) -> Opened:
        shown = tuple(name for name in what.components if self.sees(name))
        if len(shown) < len(what.components):
            # Reason and detail are those of the component that failed first or worst: perhaps of a hidden one.
            what = replace(what, reason=None, detail=None)
        health = {name: value for name, value in what.health.items() if self.sees(name)}
        return replace(what, components=shown, health=health, login=self._logins(what.login))

    def _logins(self, held: Mapping[str, Health]) -> Mapping[str, Health]:
        return {name: health for name, health in held.items() if self.sees(name)}

    def _related(self, what: Related) -> Related | None:
        """Return the others by their services' names; the public hears only of incidents that it may read."""
        others = tuple(
            (name, service)
            for name, service in what.others
            if not self.public or (self.sees_service(service) and name in self.readable)
        )
        names = tuple(self.index.services[s].name if s in self.index.services else s for _, s in others)
        count = len(others) if self.public else what.count
        return Related(others, count, what.within_s, names) if others else None


def incident(engine: Engine, incident_id: str, *, public: bool) -> IncidentView | None:
    """Return one incident with its whole timeline; None if there is none that this audience may see."""
    with reading(engine) as connection:
        rows = connection.execute(select(INCIDENT.c.body).where(INCIDENT.c.id == incident_id))
        found = views(connection, rows, Audience(load_index(connection), public))
    return found[0] if found else None


def incidents(
    engine: Engine,
    *,
    public: bool,
    limit: int = 50,
    before: datetime | None = None,
    since: datetime | None = None,
    service: str = "",
    open_only: bool = False,
) -> tuple[IncidentView, ...]:
    """Return incidents, newest first: at most ``limit``, that started before ``before`` and not before ``since``."""
    query = select(INCIDENT.c.body).order_by(INCIDENT.c.started_us.desc(), INCIDENT.c.id.desc())
    if public:
        query = query.where(INCIDENT.c.public.is_(True))
    if before is not None:
        query = query.where(INCIDENT.c.started_us < us(before))
    if since is not None:
        query = query.where(INCIDENT.c.started_us >= us(since))
    if service:
        query = query.where(INCIDENT.c.service == service)
    if open_only:
        query = query.where(INCIDENT.c.resolved_us.is_(None))
    with reading(engine) as connection:
        audience = Audience(load_index(connection), public)
        return tuple(views(connection, connection.execute(query.limit(limit)), audience))


def recent(connection: Connection, since: datetime, audience: Audience) -> list[IncidentView]:
    """Return what is open, or was resolved since, newest first."""
    query = select(INCIDENT.c.body).where(INCIDENT.c.resolved_us.is_(None) | (INCIDENT.c.resolved_us >= us(since)))
    return views(connection, connection.execute(query.order_by(INCIDENT.c.started_us.desc())), audience)


def views(connection: Connection, rows: Iterable[Row[Any]], audience: Audience) -> list[IncidentView]:
    """Return the incidents of these rows as this audience may see them, with their events."""
    read = (unpack_or_none(Incident, row.body, "incident") for row in rows)
    shown = [found for item in read if item is not None and (found := audience.incident(item)) is not None]
    events = _events(connection, [incident.id for incident in shown])
    if audience.public:
        named = {name for incident in shown for name in incident.related}
        audience = replace(audience, readable=_readable(connection, named))
    return [incident_view(incident, events[incident.id], audience) for incident in shown]


def _readable(connection: Connection, names: Iterable[str]) -> frozenset[str]:
    """Return those of these incidents that are public."""
    wanted, found = sorted(names), set[str]()
    for start in range(0, len(wanted), _CHUNK):
        some = INCIDENT.c.id.in_(wanted[start : start + _CHUNK])
        found |= set(connection.scalars(select(INCIDENT.c.id).where(some, INCIDENT.c.public.is_(True))))
    return frozenset(found)


def _events(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[IncidentEvent]]:
    found: defaultdict[str, list[IncidentEvent]] = defaultdict(list)
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        query = select(INCIDENT_EVENT).where(INCIDENT_EVENT.c.incident.in_(some)).order_by(INCIDENT_EVENT.c.seq)
        for row in connection.execute(query):
            try:
                event = read_event(row)
            except ValueError as error:
                log.error("event %d of incident %s cannot be read (%s)", row.seq, row.incident, type(error).__name__)
                continue
            if event is not None:
                found[row.incident].append(event)
    return found


def read_event(row: Row[Any]) -> IncidentEvent | None:
    """Return the event of a row; None where it is of a kind that this version does not know."""
    what = decode(row.kind, json.loads(row.data))
    if what is None:
        return None
    return IncidentEvent(row.incident, row.seq, when(row.at_us), when(row.recorded_us), what, row.by)


def incident_view(incident: Incident, events: Sequence[IncidentEvent], audience: Audience) -> IncidentView:
    """Return an incident as it is read; the states of its components now are those of the snapshot that it is in."""
    index = audience.index
    service = index.services.get(incident.service)
    names = {name: index.components[name].name for name in incident.components if name in index.components}
    shown = tuple(kept for event in events if (kept := audience.event(event)) is not None)
    return IncidentView(
        id=incident.id,
        service=incident.service,
        service_name=service.name if service else incident.service,
        cause=incident.cause,
        title=incident.title,
        status=incident.status,
        impact=incident.impact,
        started_at=incident.started_at,
        detected_at=incident.detected_at,
        resolved_at=None if is_open(incident) else incident.resolved_at,
        updated_at=max((event.recorded_at for event in shown), default=incident.detected_at),
        components=incident.components,
        component_names=names,
        public=incident.public,
        events=shown,
        lead_s=lead_s(incident, events),
        good_since=incident.good_since,
    )
