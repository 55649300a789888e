"""The page's snapshot: everything a status page shows, from one consistent read."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from monitor.core.catalogue import Catalogue, Component, Index, Probe, Service
from monitor.core.components.baseline import Unusual, worst
from monitor.core.components.health import LEARNING
from monitor.core.components.registration import rules as registration
from monitor.core.components.registration.rules import RegistrationState
from monitor.core.components.slo import PERIOD_DAYS, Budget, objective
from monitor.core.maintenance import Window, covering
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.catalogues import load_index
from monitor.store.codec import DAY, SECOND, unpack_or_none, when_or_none
from monitor.store.connection.engine import reading
from monitor.store.maintenances import held_windows
from monitor.store.reads.bars import Line, Parts, day_parts, day_totals, total
from monitor.store.reads.model_changes import model_changes
from monitor.store.reads.timelines import Audience, recent
from monitor.store.reads.views import (
    ComponentView,
    DayBar,
    IncidentView,
    Latency,
    MaintenanceView,
    RegistrationView,
    ServiceView,
    Snapshot,
    UpstreamView,
    Uptime,
    WorkerView,
    agreed,
    blind_since,
)
from monitor.store.tables import table

log = logging.getLogger("chatwatch.store")

COMPONENT, SERIES, WORKER = table(tables.Component), table(tables.Series), table(tables.Worker)
MAINTENANCE, UPSTREAM, CATALOGUE = table(tables.Maintenance), table(tables.Upstream), table(tables.Catalogue)
BARS = 90
STALE_AFTER = timedelta(seconds=90)
"""Without a sign of life for longer, everything is shown as unknown."""
ANNOUNCED = timedelta(days=30)
"""How far ahead maintenance is shown."""


def catalogue(engine: Engine) -> Catalogue:
    """Return the catalogue in force; an empty one if none was published yet."""
    with reading(engine) as connection:
        return load_index(connection).catalogue


def published_at(engine: Engine) -> datetime | None:
    """Return since when the catalogue in force has been so; None if none was published yet."""
    with reading(engine) as connection:
        return when_or_none(connection.scalar(select(CATALOGUE.c.at_us)))


@dataclass(frozen=True)
class _Scene:
    """What all parts of one snapshot share."""

    connection: Connection
    now: datetime
    as_of: datetime | None
    stale: bool
    unseen: Reason | None
    """Why nothing can be told of any component now: nobody reports, or nobody who does sees anything."""
    index: Index
    audience: Audience
    windows: Sequence[Window]
    incidents: Sequence[IncidentView]
    history: bool


def snapshot(engine: Engine, now: datetime, *, public: bool, history: bool = True) -> Snapshot:
    """Return everything a page shows, from one read transaction; without ``history`` neither days nor latency."""
    with reading(engine) as connection:
        index = load_index(connection)
        audience = Audience(index, public)
        workers = _workers(connection)
        as_of = _as_of(connection, workers)
        stale = as_of is None or now - as_of > STALE_AFTER
        since = now - timedelta(days=BARS)
        planned = list(held_windows(connection, since, now + ANNOUNCED))
        shown = recent(connection, since, audience)
        unseen = Reason.NOT_RUNNING if stale else Reason.NETWORK if blind_since(workers, now) is not None else None
        scene = _Scene(connection, now, as_of, stale, unseen, index, audience, planned, shown, history)
        found = Snapshot(
            taken_at=now,
            as_of=as_of,
            stale=stale,
            workers=workers,
            services=_services(scene),
            open_incidents=tuple(item for item in shown if item.resolved_at is None),
            past_incidents=tuple(item for item in shown if item.resolved_at is not None),
            maintenances=_maintenances(scene),
            label=connection.scalar(select(CATALOGUE.c.label)) or "",
            model_changes=model_changes(connection, since, audience),
        )
        return agreed(found)


def _workers(connection: Connection) -> tuple[WorkerView, ...]:
    rows = connection.execute(select(WORKER).order_by(WORKER.c.id))
    return tuple(
        WorkerView(
            row.id,
            row.location,
            when(row.seen_us),
            when_or_none(row.blind_us),
            row.blind_reason,
            row.spooled,
            row.loop_lag_us / SECOND,
        )
        for row in rows
    )


def _as_of(connection: Connection, workers: Sequence[WorkerView]) -> datetime | None:
    newest = when_or_none(connection.scalar(select(func.max(SERIES.c.result_at_us))))
    return max([worker.seen_at for worker in workers] + ([newest] if newest else []), default=None)


def _services(scene: _Scene) -> tuple[ServiceView, ...]:
    shown = [c for c in scene.index.catalogue.components if scene.audience.sees(c.id)]
    components = _components(scene, shown)
    upstream = _upstream(scene.connection)
    return tuple(
        _service(service, [view for view in components if view.service == service.id], upstream.get(service.id))
        for service in scene.index.catalogue.services
        if scene.audience.sees_service(service.id)
    )


def _service(service: Service, components: Sequence[ComponentView], upstream: UpstreamView | None) -> ServiceView:
    judged = [view for view in components if view.watched]
    sums = [view.uptime for view in judged]
    return ServiceView(
        id=service.id,
        name=service.name,
        url=service.url,
        status_page=service.status_page,
        health=max((view.health for view in judged), key=lambda health: health.rank, default=Health.UNKNOWN),
        components=tuple(components),
        upstream=upstream,
        uptime=Uptime(
            *(
                sum(getattr(uptime, name) for uptime in sums)
                for name in ("window_s", "up_s", "degraded_s", "down_s", "maintenance_s", "unknown_s")
            )
        ),
    )


def _components(scene: _Scene, shown: Sequence[Component]) -> list[ComponentView]:
    wanted = {component.id for component in shown}
    rows = {row.id: row for row in scene.connection.execute(select(COMPONENT)) if row.id in wanted}
    limit = us(scene.as_of) if scene.stale and scene.as_of else us(scene.now)
    lines = [
        Line(
            row.id,
            row.created_us,
            row.span_us,
            Health(row.health),
            0 if scene.as_of is None else limit,
            row.days_revision,
        )
        for row in rows.values()
    ]
    since_us = us(scene.now) - (BARS - 1) * DAY
    if not scene.history:
        sums = day_totals(scene.connection, lines, scene.windows, since_us, us(scene.now))
        seen = _observed(scene)
        known = [(component, rows[component.id]) for component in shown if component.id in rows]
        return [_component(scene, one, row, (), sums[one.id], seen.get(one.id)) for one, row in known]
    parts = day_parts(scene.connection, lines, scene.windows, since_us, us(scene.now))
    observed = _observed(scene)
    counts = _incidents_per_day(scene.incidents, scene.now)
    dates = {day: when(day).date() for day in {day for days in parts.values() for day in days}}
    found = []
    for component in shown:
        row = rows.get(component.id)
        if row is not None:
            days = parts[component.id]
            bars = tuple(_bar(dates[day], share, counts.get((component.id, day), 0)) for day, share in days.items())
            found.append(_component(scene, component, row, bars, total(days.values()), observed.get(component.id)))
    return found


def _component(
    scene: _Scene, component: Component, row: Row[Any], bars: tuple[DayBar, ...], whole: Parts, observed: int | None
) -> ComponentView:
    health = Health.UNKNOWN if scene.unseen else Health(row.health)
    return ComponentView(
        id=component.id,
        service=component.service,
        name=component.name,
        names=component.names,
        kind=component.kind,
        health=health,
        since=when_or_none(row.since_us),
        observed_at=when_or_none(observed),
        reason=scene.unseen or Reason(row.reason or Reason.NOT_RUNNING.value),
        detail="" if scene.unseen else row.detail,
        maintenance=covering(scene.windows, component.id, scene.now) is not None,
        days=bars,
        uptime=_uptime(whole),
        latency=unpack_or_none(Latency, row.latency, "latency") if row.latency and scene.history else None,
        registration=_registration(row.registration, scene),
        disabled=tuple(
            f"{probe.id}: {probe.disabled}" for probe in scene.index.probes_of.get(component.id, ()) if probe.disabled
        ),
        budget=_budget(scene.index.probes_of.get(component.id, ()), bars[-PERIOD_DAYS:]),
        unusual=_unusual(row, scene),
        learning=health is Health.OPERATIONAL and row.detail == LEARNING,
        watched=any(not probe.witness for probe in scene.index.probes_of.get(component.id, ())),
    )


def _budget(probes: Sequence[Probe], days: Sequence[DayBar]) -> Budget | None:
    target = objective(probes)
    if target is None or not days:
        return None
    down_s = sum(day.partial_s + day.major_s for day in days)
    return Budget(target, down_s + sum(day.operational_s + day.degraded_s for day in days), down_s)


def _unusual(row: Row[Any], scene: _Scene) -> Unusual | None:
    shown = row.reason == Reason.UNUSUAL and row.unusual and not scene.unseen
    return worst(unpack_or_none(tuple[Unusual, ...], row.unusual, "latency") or (), scene.now) if shown else None


def _registration(text: str, scene: _Scene) -> RegistrationView | None:
    if not text:
        return None
    try:
        state = registration.settle(RegistrationState.from_json(json.loads(text)), scene.now)
    except (ValueError, KeyError, TypeError) as error:  # costs its own component only; the rest of the page is shown
        log.error("a stored registration cannot be read and is left out (%s)", type(error).__name__)
        return None
    if not state.methods:
        return None
    overall = Health.UNKNOWN if scene.unseen else registration.overall(state, scene.now)
    return RegistrationView(overall, state.methods)


@lru_cache(65_536)
def _bar(day: date, parts: Parts, incidents_on_it: int) -> DayBar:
    operational, degraded, partial, major, maintenance, unknown = [part / SECOND for part in parts]
    return DayBar(day, operational, degraded, partial, major, maintenance, unknown, incidents_on_it)


def _uptime(parts: Parts) -> Uptime:
    operational, degraded, partial, major, maintenance, unknown = (part / SECOND for part in parts)
    window_s = sum(parts) / SECOND
    return Uptime(window_s, operational, degraded, partial + major, maintenance, unknown)


def _observed(scene: _Scene) -> Mapping[str, int]:
    """Return component → when the newest evidence about it was seen."""
    found: dict[str, int] = {}
    for row in scene.connection.execute(select(SERIES.c.probe, SERIES.c.evidence_us)):
        probe = scene.index.probes.get(row.probe)
        if probe is not None and row.evidence_us is not None and not probe.witness and not probe.control:
            found[probe.component] = max(found.get(probe.component, 0), row.evidence_us)
    return found


def _incidents_per_day(found: Sequence[IncidentView], now: datetime) -> Counter[tuple[str, int]]:
    counts: Counter[tuple[str, int]] = Counter()
    first = us(now) - BARS * DAY
    for item in found:
        start, end = max(us(item.started_at), first), us(item.resolved_at or now)
        for day in range(start - start % DAY, end + 1, DAY):
            for component in item.components:
                counts[component, day] += 1
    return counts


def _upstream(connection: Connection) -> Mapping[str, UpstreamView]:
    found: dict[str, UpstreamView] = {}
    for row in connection.execute(select(UPSTREAM).order_by(UPSTREAM.c.probe)):
        said = unpack_or_none(UpstreamReading, row.body, "status page") if row.body else None
        view = UpstreamView(said, when_or_none(row.read_us), when_or_none(row.failed_us), Reason(row.reason))
        if row.service not in found or (found[row.service].reading is None and said is not None):
            found[row.service] = view
    return found


def _maintenances(scene: _Scene) -> tuple[MaintenanceView, ...]:
    """Return the windows that go on or are to come."""
    rows = {row.id: row for row in scene.connection.execute(select(MAINTENANCE))}
    found = []
    for window in scene.windows:
        row = rows[window.maintenance]
        shown = tuple(name for name in window.components if scene.audience.sees(name))
        hidden = not scene.audience.sees_service(window.service) or (window.components and not shown)
        if window.ends_at > scene.now and not hidden:
            times = (window.starts_at, window.ends_at)
            found.append(MaintenanceView(row.id, row.service, shown, row.title, row.text, *times))
    return tuple(sorted(found, key=lambda view: (view.starts_at, view.id)))
