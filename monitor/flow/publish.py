"""Publishing what is watched: the part of ``probes.yaml`` that the rules and the pages need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, select, update
from sqlmodel import select as select_rows

from monitor.core.catalogue import Catalogue, Planned, series_in_order
from monitor.core.evaluation import Evaluation
from monitor.core.maintenance import BY_FILE, LEFT_FILE, Maintenance
from monitor.core.schedule import micros as us
from monitor.flow.record import Recorded
from monitor.flow.telling import tell
from monitor.logs import Event, Room
from monitor.store import tables
from monitor.store.catalogues import CATALOGUE, digest_of, is_sound
from monitor.store.codec import pack, unpack_or_none
from monitor.store.connection.engine import CatalogueDamagedError, begin, reading
from monitor.store.maintenances import maintenance_row
from monitor.store.transaction.session import session_on
from monitor.store.transaction.store import COMPONENT, SERIES, SqlStore

log = Room("flow")


def publish_catalogue(engine: Engine, catalogue: Catalogue, now: datetime, *, label: str = "") -> Recorded:
    """Put a catalogue in force. Incidents of what is no longer watched are closed as removed, not as recovered.

    ``label`` is shown on every page, e.g. that this is a reconstruction. A stored catalogue that cannot be read is
    replaced as well; what it watched beyond the new one nobody can say, so no incident is closed because of it.
    """
    done = Recorded()
    body = pack(Catalogue, catalogue)
    digest = digest_of(label, body)
    with begin(engine) as connection:
        stored = connection.execute(select(CATALOGUE.c.digest, CATALOGUE.c.label, CATALOGUE.c.body)).first()
        if stored is not None and tuple(stored) == (digest, label, body):
            return done
        try:
            store = SqlStore(connection, now)
        except CatalogueDamagedError:
            log.error(Event.CATALOGUE_DAMAGED, "Catalogue in the database cannot be read; written again")
        else:
            evaluation = Evaluation(store)
            evaluation.on_catalogue(catalogue, now)
            store.flush()
            done.take(store, evaluation)
        values = {"digest": digest, "at_us": us(now), "label": label, "body": body}
        if not connection.execute(update(CATALOGUE).values(values)).rowcount:
            connection.execute(insert(CATALOGUE).values(values | {"id": 1}))
        _components(connection, catalogue, now)
        _series(connection, catalogue)
        _put_planned(connection, catalogue.planned, now)
    tell(done.news)
    return done


def mend_catalogue(engine: Engine, catalogue: Catalogue, now: datetime, *, label: str = "") -> None:
    """Put a catalogue in force if the stored one is gone or cannot be read.

    Another that can be read stays: a worker with a newer configuration published it.
    """
    with reading(engine) as connection:
        if is_sound(connection):
            return
    publish_catalogue(engine, catalogue, now, label=label)


def _components(connection: Connection, catalogue: Catalogue, now: datetime) -> None:
    known = set(connection.scalars(select(COMPONENT.c.id)))
    for component in catalogue.components:
        if component.id in known:
            moved = update(COMPONENT).where(COMPONENT.c.id == component.id).values(service=component.service)
            connection.execute(moved)
            continue
        row = {
            "id": component.id,
            "service": component.service,
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


def _series(connection: Connection, catalogue: Catalogue) -> None:
    known = {(row.probe, row.location) for row in connection.execute(select(SERIES.c.probe, SERIES.c.location))}
    rows = [
        {"probe": probe, "location": location, "tick_us": 0, "attempt": 0, "reading": "", "state": ""}
        for probe, location in series_in_order(catalogue)
        if (probe, location) not in known
    ]
    if rows:
        connection.execute(insert(SERIES), rows)


def _put_planned(connection: Connection, wanted: Iterable[Planned], now: datetime) -> None:
    """Make the announcements of the file the ones in force; nothing that is over begins anew because of it.

    People's announcements are never touched. One of the file that a person called off stays so until the file changes
    it. What leaves the file, or changes in it, ends now: the windows that were held stay part of the past.
    """
    known = {_key(item): item for item in wanted}
    in_force = select_rows(tables.Maintenance).where(tables.Maintenance.by == BY_FILE)
    with session_on(connection) as session:
        for row in session.exec(in_force.with_for_update()).all():
            window = unpack_or_none(Maintenance, row.body, "maintenance")
            key = _key(Planned(replace(window, id=_id(row.id)), row.title, row.text)) if window else ""
            if known.pop(key, None) is None:
                row.by, row.cancelled_us = LEFT_FILE, row.cancelled_us or us(now)
        for item in known.values():
            window = replace(item.window, id=f"{item.window.id}.{us(now)}")
            new = maintenance_row(window, item.title, item.text, BY_FILE)
            new.starts_us = max(new.starts_us, us(now))
            session.add(new)


def _id(row_id: str) -> str:
    return row_id.partition(".")[0]


def _key(item: Planned) -> str:
    return pack(Planned, item)
