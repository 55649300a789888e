"""Rebuild projections from the append-only events."""

from __future__ import annotations

from sqlalchemy import Engine, select

from monitor.core.incidents.transitions import fold
from monitor.store.connection.engine import begin
from monitor.store.reads.timelines import read_event
from monitor.store.transaction.incidents import INCIDENT_EVENT, put_incident


def rebuild(engine: Engine) -> int:
    """Fold every incident's events into its projection again; returns how many incidents there are."""
    with begin(engine) as connection:
        query = select(INCIDENT_EVENT).order_by(INCIDENT_EVENT.c.incident, INCIDENT_EVENT.c.seq)
        events = [event for row in connection.execute(query) if (event := read_event(row)) is not None]
        names = list(dict.fromkeys(event.incident for event in events))
        by_name = {name: [event for event in events if event.incident == name] for name in names}
        for name in names:
            put_incident(connection, fold(by_name[name]))
    return len(names)
