"""Time passing without a look: evidence grows old, recoveries ripen, escalations fall due, workers fall silent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from monitor.core import registration
from monitor.core.conditions import Condition, about_us, overdue
from monitor.core.health import UNSEEN, component_health, stale_after
from monitor.core.model import Health, Reason, Severity
from monitor.core.rules import Rule
from monitor.flow.judging import judge
from monitor.flow.paging import WORKER, Paging
from monitor.flow.recording import Recorded, follow
from monitor.flow.working import Part, Working
from monitor.store.catalogues import CATALOGUE
from monitor.store.codec import us, when
from monitor.store.engine import begin
from monitor.store.rolling import mark, set_mark
from monitor.store.views import WORKER_LIMIT

GAP = timedelta(seconds=60)
"""When no worker gave a sign of life for longer, nobody watched, and the time is unknown."""
WOKE = "woke"
"""The mark of the moment since when some worker lives without a break."""


def sweep(engine: Engine, now: datetime) -> Recorded:
    """Judge everything as of now: stale → unknown, monitoring → resolved, review limits, repeats and escalations."""
    done = Recorded()
    with begin(engine) as connection:
        work = Working(connection, now)
        work.load(work.index.services)
        paging = Paging(work)
        for service in work.index.services:
            for part in work.of_service(service):
                _settle(work, part, now, done)
            paging.meet(follow(work, service, now), now)
            paging.meet(_overdue(work, service, now), now)
        paging.meet(_blindness(work), now)
        work.flush()
        paging.decide(everything=True)
        done.take(work, paging)
    return done


def _settle(work: Working, part: Part, now: datetime, done: Recorded) -> None:
    if part.registration is not None:
        settled = registration.settle(part.registration, now)
        if settled != part.registration:
            part.registration, part.changed = settled, True
    change = judge(work, part, now)
    if change is not None:
        done.changes.append(change)


def _overdue(work: Working, service: str, now: datetime) -> list[Condition]:
    """Return the conditions of components that nobody has looked at for too long, since a worker lives again.

    A new catalogue begins anew as well: what it adds, or switches on again, was not looked at before.
    """
    found: list[Condition] = []
    begun = work.connection.scalar(select(CATALOGUE.c.at_us)) or 0
    woke = when(max(mark(work.connection, WOKE), begun))
    for part in work.of_service(service):
        for track in part.tracks:
            if not (track.probe.disabled or track.probe.witness or track.probe.control):
                if now - woke <= stale_after(track.probe):
                    break  # its turn has not come yet
                verdict = component_health(part.pairs, now)
                ever = track.state.tick is not None
                found += overdue(track.probe.id, part.component.id, verdict if ever else UNSEEN, now) if ever else ()
                break
    return found


def _blindness(work: Working, locations: Collection[str] | None = None) -> list[Condition]:
    """Return for each location whether living workers are blind, and which; only if all are is it worth a page.

    Blindness belongs to a worker: while another one of its location sees, that one looks at its probes. A location
    without a living worker keeps the alert that it has: silence is no recovery.
    """
    places: dict[str, list[Any]] = {}
    for row in work.connection.execute(select(WORKER).where(WORKER.c.seen_us >= us(work.now - WORKER_LIMIT))):
        if locations is None or row.location in locations:
            places.setdefault(row.location, []).append(row)
    found = []
    for location, workers in sorted(places.items()):
        blind = sorted((row for row in workers if row.blind_us is not None), key=lambda row: str(row.id))
        why = "; ".join(f"worker {row.id} in {location}: {row.blind_reason}" for row in blind)
        since = when(min((row.blind_us for row in blind), default=us(work.now)))
        sees = len(workers) - len(blind)
        condition = about_us(Rule.BLIND, location, why, since, Severity.TICKET if sees else Severity.PAGE)
        facts = {"location": location, "blind_workers": len(blind), "seeing_workers": sees} if why else {}
        found.append(replace(condition, summary={**condition.summary, **facts}))
    return found


def check_in(
    engine: Engine,
    worker: str,
    location: str,
    now: datetime,
    *,
    blind: str = "",
    spooled: int = 0,
    loop_lag_s: float = 0.0,
    started_at: datetime | None = None,
    held: str = "",
) -> Recorded:
    """Keep a worker's sign of life. ``blind`` says why it cannot see, empty when it sees.

    ``held`` says which services' looks it holds in quarantine, and what to do; empty when it holds none.

    A location is blind when all its living workers are.

    If every worker was silent since the last one, that time becomes unknown, unless ``started_at`` shows that this
    worker lived all along and only the database was away.
    """
    done = Recorded()
    with begin(engine) as connection:
        work = Working(connection, now)
        paging = Paging(work)
        last = connection.scalar(select(func.max(WORKER.c.seen_us)))
        if last is None or now - when(last) > GAP:
            set_mark(connection, WOKE, us(now))
        if last is not None and now - when(last) > GAP and not (started_at and us(started_at) <= last) and not spooled:
            _nobody_watched(work, when(last), now)
        before = connection.execute(select(WORKER).where(WORKER.c.id == worker)).first()
        since = before.blind_us if before is not None and before.blind_us is not None else us(now)
        values = {
            "location": location,
            "seen_us": us(now),
            "blind_us": since if blind else None,
            "blind_reason": blind,
            "spooled": spooled,
            "loop_lag_us": round(loop_lag_s * 1e6),
        }
        if not connection.execute(update(WORKER).where(WORKER.c.id == worker).values(values)).rowcount:
            connection.execute(insert(WORKER).values(values | {"id": worker}))
        paging.meet(_blindness(work, {location}), now)
        again = before is not None and before.spooled  # a few wait at every start: that is no news
        waits = f"{spooled} results wait on disk for the database" if spooled and again else ""
        paging.meet([about_us(Rule.SPOOL, worker, waits, now, Severity.TICKET)], now)
        paging.meet([about_us(Rule.QUARANTINE, worker, held, now, Severity.TICKET)], now)
        work.flush()
        paging.decide()
        done.take(work, paging)
    return done


def _nobody_watched(work: Working, last: datetime, now: datetime) -> None:
    """Write the time in which no worker lived as unknown."""
    work.load(work.index.services)
    for part in work.parts.values():
        newest = max((t.state.evidence_at for t in part.tracks if t.state.evidence_at is not None), default=last)
        silent = max(last, newest)
        if part.health is not Health.UNKNOWN and now - silent > GAP:
            work.set_health(part, Health.UNKNOWN, silent, now)
            part.since, part.reason, part.detail = when(part.span_us), Reason.NOT_RUNNING.value, ""
            # What comes next begins now: a later verdict must not reach back into the time nobody saw.
            work.set_health(part, Health.UNKNOWN, now, now)
