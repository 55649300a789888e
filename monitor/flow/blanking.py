"""A service that cannot be judged still turns unknown once its evidence is old."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from monitor.core.catalogue import Index
from monitor.core.components.health import stale_after
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.schedule import micros as us
from monitor.store.catalogues import load_index
from monitor.store.codec import DAY, SECOND
from monitor.store.connection.engine import begin
from monitor.store.transaction.store import COMPONENT, COMPONENT_DAY, SERIES, SPAN, days_changed


def blank_stale(engine: Engine, service: str, now: datetime) -> list[str]:
    """Make components of a service unknown whose newest evidence ran out; returns them.

    It reads plain columns only, never a stored state: those are what could not be read. Without this a service that
    the rules fail over would stay green for ever.
    """
    with begin(engine) as connection:
        index = load_index(connection)
        known = (COMPONENT.c.service == service, COMPONENT.c.health != Health.UNKNOWN.value)
        rows = connection.execute(select(COMPONENT).where(*known).order_by(COMPONENT.c.id).with_for_update()).all()
        stale = [(row, ends_us) for row in rows if (ends_us := _good_until(connection, index, row)) < us(now)]
        for row, ends_us in stale:
            if ends_us > row.span_us:
                closed = {"component": row.id, "start_us": row.span_us, "end_us": ends_us, "health": row.health}
                connection.execute(insert(SPAN).values(closed))
            values: dict[str, Any] = {"health": Health.UNKNOWN.value, "reason": Reason.INTERNAL.value, "detail": ""}
            values |= {"since_us": ends_us, "span_us": ends_us, "known_us": None}
            connection.execute(update(COMPONENT).where(COMPONENT.c.id == row.id).values(values))
            if ends_us < us(now) - us(now) % DAY:
                day_us = ends_us - ends_us % DAY
                where = (COMPONENT_DAY.c.component == row.id, COMPONENT_DAY.c.day_us >= day_us)
                connection.execute(delete(COMPONENT_DAY).where(*where))
                days_changed(connection, row.id)
        return [row.id for row, _ in stale]


def _good_until(connection: Connection, index: Index, row: Any) -> int:
    """Return when the last evidence of a component runs out, in microseconds; never before its open stretch began."""
    voices = [p for p in index.probes_of.get(row.id, ()) if not (p.disabled or p.witness or p.control)]
    found = [int(row.span_us)]
    for probe in voices:
        newest = connection.scalar(select(func.max(SERIES.c.evidence_us)).where(SERIES.c.probe == probe.id))
        if newest is not None:
            found.append(newest + round(stale_after(probe).total_seconds() * SECOND))
    return max(found)
