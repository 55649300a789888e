"""Publishing what is watched: the part of ``probes.yaml`` that the rules and the pages need."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Engine, insert, select, update

from monitor.core.catalogue import Catalogue
from monitor.core.schedule import slot
from monitor.flow.paging import Paging
from monitor.flow.planning import put_planned
from monitor.flow.recording import Recorded, follow
from monitor.flow.working import COMPONENT, SERIES, Working
from monitor.store.catalogues import CATALOGUE
from monitor.store.codec import pack, us
from monitor.store.engine import begin


def publish_catalogue(engine: Engine, catalogue: Catalogue, now: datetime, *, label: str = "") -> Recorded:
    """Put a catalogue in force. Incidents of what is no longer watched are closed as removed, not as recovered.

    ``label`` is shown on every page, e.g. that this is a reconstruction.
    """
    done = Recorded()
    body = pack(Catalogue, catalogue)
    digest = hashlib.sha256(f"{label}|{body}".encode()).hexdigest()[:32]
    with begin(engine) as connection:
        work = Working(connection, now)
        if connection.scalar(select(CATALOGUE.c.digest)) == digest:
            return done
        _close_removed(work, catalogue, done)
        values = {"digest": digest, "at_us": us(now), "label": label, "body": body}
        if not connection.execute(update(CATALOGUE).values(values)).rowcount:
            connection.execute(insert(CATALOGUE).values(values | {"id": 1}))
        _components(work, catalogue, now)
        _series(work, catalogue)
        put_planned(connection, catalogue.planned, now)
    return done


def _close_removed(work: Working, catalogue: Catalogue, done: Recorded) -> None:
    """Close, under the old catalogue, the incidents of components that no enabled probe looks at any more."""
    watched = {probe.component for probe in catalogue.probes if not probe.disabled and not probe.witness}
    gone = frozenset(component.id for component in work.catalogue.components if component.id not in watched)
    services = {work.index.components[name].service for name in gone}
    if not gone:
        return
    work.removed = gone
    work.load(services)
    paging = Paging(work)
    for service in sorted(services):
        paging.meet(follow(work, service, work.now), work.now)
    kept = {component.id for component in catalogue.components}
    for alert in [alert for alert in paging.open.values() if alert.component and alert.component not in kept]:
        paging.end(alert, work.now, removed=True)
    work.flush()
    paging.decide()
    done.take(work, paging)


def _components(work: Working, catalogue: Catalogue, now: datetime) -> None:
    connection = work.connection
    known = set(connection.scalars(select(COMPONENT.c.id)))
    for position, component in enumerate(catalogue.components):
        if component.id in known:
            values = {"service": component.service, "position": position}
            connection.execute(update(COMPONENT).where(COMPONENT.c.id == component.id).values(values))
            continue
        row = {
            "id": component.id,
            "service": component.service,
            "position": position,
            "health": "unknown",
            "created_us": us(now),
            "span_us": us(now),
            "days_revision": 0,
            "reason": "",
            "detail": "",
            "registration": "",
            "latency": "",
            "unusual": "",
        }
        connection.execute(insert(COMPONENT).values(row))


def _locations(catalogue: Catalogue) -> list[str]:
    return sorted({location for probe in catalogue.probes for location in probe.locations})


def _series(work: Working, catalogue: Catalogue) -> None:
    probes = {probe.id: probe for probe in catalogue.probes}
    connection = work.connection
    known = {(row.probe, row.location) for row in connection.execute(select(SERIES.c.probe, SERIES.c.location))}
    # What is due together lies together, so that one batch of results touches few pages.
    by_slot = sorted(catalogue.probes, key=lambda probe: (probe.interval_s, slot(probe.id, probe.interval_s)))
    wanted = [(probe.id, location) for location in _locations(catalogue) for probe in by_slot]
    wanted = [(name, location) for name, location in wanted if location in probes[name].locations]
    rows = [
        {"probe": probe, "location": location, "tick_us": 0, "attempt": 0, "reading": "", "state": ""}
        for probe, location in wanted
        if (probe, location) not in known
    ]
    if rows:
        connection.execute(insert(SERIES), rows)
