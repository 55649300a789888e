"""The judgement's store over one database transaction: loaded under lock, changed in memory, written back at its end.

Serialisation is the database's. SQLite has one writer; on PostgreSQL the component rows of every service concerned
are locked, in order, before anything about them is read.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from monitor.core.catalogue import Probe
from monitor.core.checks.probe_state import ProbeState, new_probe_state, rewind
from monitor.core.components.baseline import Unusual
from monitor.core.components.registration.rules import RegistrationState
from monitor.core.entities import Incident, RegistrationChange
from monitor.core.model.observations import Certificate, Result
from monitor.core.model.reasons import Outcome
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.core.state_store import ComponentRow, Series
from monitor.store import tables
from monitor.store.catalogues import load_index
from monitor.store.codec import DAY, DamagedRowError, pack, unpack, unpack_or_none, us_or_none, when_or_none
from monitor.store.tables import table
from monitor.store.transaction.incidents import IncidentStore
from monitor.store.transaction.states import dump_state, load_state

log = logging.getLogger("chatwatch.store")

T = TypeVar("T")

SERIES, COMPONENT, SPAN = table(tables.Series), table(tables.Component), table(tables.Span)
COMPONENT_DAY, EVIDENCE = table(tables.ComponentDay), table(tables.Evidence)
CERTIFICATE = table(tables.Certificate)
UPSTREAM, REGISTRATION_LOG = table(tables.Upstream), table(tables.RegistrationLog)

_SERIES_COLUMNS = (
    "tick_us",
    "attempt",
    "evidence_us",
    "result_id",
    "result_at_us",
    "reading",
    "evidence_kept_us",
    "state",
)
_SERIES_PARAMETERS = [f"v_{name}" for name in (*_SERIES_COLUMNS, "key")]

# Asked in every transaction, so built once: to build a statement anew costs more than to run it.
_COMPONENTS = (
    select(COMPONENT)
    .where(COMPONENT.c.service.in_(bindparam("services", expanding=True)))
    .order_by(COMPONENT.c.id)
    .with_for_update()
)
_SERIES = select(SERIES).where(SERIES.c.probe.in_(bindparam("probes", expanding=True))).order_by(SERIES.c.id)
_UPDATE_SERIES = (
    update(SERIES)
    .where(SERIES.c.id == bindparam("v_key"))
    .values({name: bindparam(f"v_{name}") for name in _SERIES_COLUMNS})
)
_UPDATE_COMPONENT = update(COMPONENT).where(COMPONENT.c.id == bindparam("name"))
_PAGES = (
    select(UPSTREAM.c.body, UPSTREAM.c.read_us)
    .where(UPSTREAM.c.service == bindparam("service"))
    .order_by(UPSTREAM.c.probe)
)
_FAILED_AT = select(UPSTREAM.c.failed_us).where(UPSTREAM.c.probe == bindparam("name"))
_UPDATE_PAGE = update(UPSTREAM).where(UPSTREAM.c.probe == bindparam("name"))


class StoredSeries(Series):
    """A series with what is kept of it beside its state."""

    __slots__ = ("evidence_kept", "id", "reading", "result_at_us", "result_id")

    def __init__(
        self,
        probe: Probe,
        location: str,
        state: ProbeState,
        *,
        key: int,
        rewound: bool = False,
        result_id: int | None = None,
        result_at_us: int | None = None,
        reading: str = "",
        evidence_kept: datetime | None = None,
    ) -> None:
        super().__init__(probe, location, state, rewound=rewound)
        self.id = key
        self.result_id = result_id
        self.result_at_us = result_at_us
        self.reading = reading
        self.evidence_kept = evidence_kept


class SqlStore(IncidentStore):
    """Implements :class:`monitor.core.state_store.StateStore`. ``now`` is the time of recording."""

    def __init__(self, connection: Connection, now: datetime, *, lenient: bool = False) -> None:
        super().__init__(connection, now, lenient=lenient)
        self.index = load_index(connection)
        self.removed: frozenset[str] = frozenset()
        self.rows: dict[str, ComponentRow] = {}
        self._loaded: set[str] = set()
        self._of_service: dict[str, list[ComponentRow]] = {}
        self._series: dict[tuple[str, str], StoredSeries] = {}
        self._elsewhere: dict[str, list[StoredSeries]] = {}
        self._foreign: dict[str, ComponentRow | None] = {}
        self._spans: list[dict[str, Any]] = []
        self._reopened_days: list[tuple[str, int]] = []
        self._registrations: list[RegistrationChange] = []
        self._upstream: dict[str, list[tuple[UpstreamReading, int]]] = {}

    # Looks

    def load(self, services: Iterable[str]) -> None:
        """Lock and load every component of these services with all its series."""
        wanted = sorted(set(services) - self._loaded)
        if not wanted:
            return
        self._loaded.update(wanted)
        loaded: list[str] = []
        for row in self.connection.execute(_COMPONENTS, {"services": wanted}):
            if row.id in self.index.components:
                read = (self._glance if self.lenient else named)(row, self._read_row)
                if read is not None:
                    self.rows[row.id] = read
                    loaded.append(row.id)
        for service in wanted:
            mine = [name for name, item in self.index.components.items() if item.service == service]
            self._of_service[service] = [self.rows[name] for name in mine if name in self.rows]
        self.load_open(wanted)
        self._load_series(loaded)

    def _read_row(self, row: Any) -> ComponentRow:
        registration = RegistrationState.from_json(json.loads(row.registration)) if row.registration else None
        return ComponentRow(
            self.index.components[row.id],
            when(row.span_us),
            Health(row.health),
            when_or_none(row.since_us),
            row.reason,
            row.detail,
            registration,
            when_or_none(row.known_us),
            unpack(tuple[Unusual, ...], row.unusual) if row.unusual else (),
        )

    def _load_series(self, components: Iterable[str]) -> None:
        probes = [probe.id for name in components for probe in self.index.probes_of.get(name, ())]
        # Control targets belong to no visible component.
        probes += [probe.id for probe in self.index.catalogue.probes if probe.component not in self.index.components]
        missing = {name for name, _ in self._series}
        for some in chunks([name for name in probes if name not in missing], 500):
            for row in self.connection.execute(_SERIES, {"probes": some}):
                series = (self._glance if self.lenient else named)(row, self._read_series)
                if series is not None:
                    series.changed = series.rewound  # otherwise its evidence would look fresh at every read
                    self._add(series)

    def _read_series(self, row: Any) -> StoredSeries:
        stored = load_state(row.state, row.probe, row.location, row.tick_us, row.attempt)
        state = rewind(stored, self.now)
        return StoredSeries(
            self.index.probes[row.probe],
            row.location,
            state,
            rewound=state is not stored,
            key=row.id,
            result_id=row.result_id,
            result_at_us=row.result_at_us,
            reading=row.reading,
            evidence_kept=when_or_none(row.evidence_kept_us),
        )

    def _glance(self, row: Any, read: Callable[[Any], T]) -> T | None:
        """Read a row that is only looked at; one that cannot be read is its own service's trouble."""
        try:
            return read(row)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            log.error("stored row %s cannot be read and is left out (%s)", row.id, type(error).__name__)
            return None

    def _add(self, series: StoredSeries) -> None:
        self._series[series.probe.id, series.location] = series
        if series.probe.component in self.rows:
            self.rows[series.probe.component].series.append(series)

    def of_service(self, service: str) -> Sequence[ComponentRow]:
        """Return the rows of a loaded service in the order of the page."""
        return self._of_service.get(service, ())

    def component(self, component: str) -> ComponentRow | None:
        """Return a component of any service with its series; one that is not loaded is read without lock."""
        if component in self.rows or component not in self.index.components:
            return self.rows.get(component)
        if component not in self._foreign:
            row = self.connection.execute(select(COMPONENT).where(COMPONENT.c.id == component)).first()
            found = self._glance(row, self._read_row) if row is not None else None
            if found is not None:  # without its series it would say that nobody looked
                probes = [probe.id for probe in self.index.probes_of.get(component, ())]
                query = select(SERIES).where(SERIES.c.probe.in_(probes)).order_by(SERIES.c.id)
                read = (self._glance(item, self._read_series) for item in self.connection.execute(query))
                found.series += [series for series in read if series is not None]
            self._foreign[component] = found
        return self._foreign[component]

    def series(self, probe: Probe, location: str) -> StoredSeries:
        """Return the series of a probe at a location, made on its first result."""
        found = self._series.get((probe.id, location))
        if found is None:
            row = {"probe": probe.id, "location": location, "tick_us": 0, "attempt": 0, "reading": "", "state": ""}
            key = self.connection.scalar(insert(SERIES).values(row).returning(SERIES.c.id))
            assert key is not None
            found = StoredSeries(probe, location, new_probe_state(probe.id, location), key=key)
            self._add(found)
        return found

    def peers(self, service: str) -> Iterable[Series]:
        """Return every series of a loaded service."""
        return (item for item in self._series.values() if self.index.service_of(item.probe) == service)

    def at_location(self, location: str) -> Iterable[Series]:
        """Return every series of a location; those of other services are read without lock, to look at only."""
        if location not in self._elsewhere:
            rows = self.connection.execute(select(SERIES).where(SERIES.c.location == location).order_by(SERIES.c.id))
            known = self.index.probes
            others = (row for row in rows if row.probe in known and (row.probe, location) not in self._series)
            self._elsewhere[location] = [series for row in others if (series := self._glance(row, self._read_series))]
        mine = [item for (_, where), item in self._series.items() if where == location]
        return mine + self._elsewhere[location]

    def close_span(self, row: ComponentRow, end: datetime) -> None:
        """Store the span of the row's present health that ends at ``end``, unless it is empty."""
        end_us = us(end)
        if end > row.span_at:
            closed = {"component": row.component.id, "start_us": us(row.span_at), "end_us": end_us}
            self._spans.append(closed | {"health": row.health.value})
        if end_us < us(self.now) - us(self.now) % DAY:  # the bars of past days are computed again
            self._reopened_days.append((row.component.id, end_us - end_us % DAY))

    def log_registration(self, changes: Sequence[RegistrationChange]) -> None:
        """Keep confirmed changes of ways to sign up."""
        self._registrations += changes

    @cached_property
    def _certificates(self) -> dict[int, str]:
        """Series → certificate as stored, so that an unchanged one is not written again."""
        return {row.series: row.body for row in self.connection.execute(select(CERTIFICATE))}

    def keep_certificate(self, series: Series, found: Certificate, at: datetime) -> None:
        """Keep the certificate that a series saw last."""
        key, body = self.series(series.probe, series.location).id, pack(Certificate, found)
        if self._certificates.get(key) == body:
            return
        self._certificates[key] = body
        values = {"seen_us": us(at), "body": body}
        if not self.connection.execute(update(CERTIFICATE).where(CERTIFICATE.c.series == key).values(values)).rowcount:
            self.connection.execute(insert(CERTIFICATE).values(values | {"series": key}))

    def upstream_readings(self, service: str, since: datetime | None = None) -> Sequence[UpstreamReading]:
        """Return what the vendor's own pages said last; with ``since`` only what was read at that moment or later."""
        if service not in self._upstream:
            rows = [row for row in self.connection.execute(_PAGES, {"service": service}) if row.body]
            read = ((unpack_or_none(UpstreamReading, row.body, "status page"), row.read_us or 0) for row in rows)
            self._upstream[service] = [(reading, at_us) for reading, at_us in read if reading is not None]
        oldest = us(since) if since is not None else 0
        return [reading for reading, read_us in self._upstream[service] if read_us >= oldest]

    def keep_upstream(self, series: Series, service: str, result: Result) -> None:
        """Keep the result of a look at the vendor's own page, also that it failed."""
        probe, reading = series.probe.id, result.observation.upstream
        values: dict[str, object] = {"service": service, "reason": result.reason.value}
        if reading is None:
            stored = self.connection.scalar(_FAILED_AT, {"name": probe})
            if result.outcome is not Outcome.MISSED and stored is None:
                values["failed_us"] = us(result.started_at)
        else:
            values |= {"read_us": us(result.started_at), "failed_us": None, "body": pack(UpstreamReading, reading)}
            self._upstream.pop(service, None)
        if not self.connection.execute(_UPDATE_PAGE, values | {"name": probe}).rowcount:
            self.connection.execute(insert(UPSTREAM).values({"probe": probe, "body": ""} | values))

    # Writing back

    def flush(self) -> None:
        """Write back what changed."""
        # Hot path, several times a second: Core statements over many rows instead of a Session.
        self._flush_series()
        self._flush_rows()
        if self._spans:
            self.connection.execute(insert(SPAN), self._spans)
        for component, day_us in sorted(self._reopened_days):
            where = (COMPONENT_DAY.c.component == component, COMPONENT_DAY.c.day_us >= day_us)
            self.connection.execute(delete(COMPONENT_DAY).where(*where))
            days_changed(self.connection, component)
        for change in self._registrations:
            row = {"component": change.component, "at_us": us(change.at), "body": pack(RegistrationChange, change)}
            self.connection.execute(insert(REGISTRATION_LOG).values(row))
        self.flush_incidents()
        for incident in self.touched.values():
            self._hold_evidence(incident)
        self.flush_alerts()

    def _flush_series(self) -> None:
        rows = [
            (
                us_or_none(series.state.tick) or 0,
                series.state.attempt,
                us_or_none(series.state.evidence_at),
                series.result_id,
                series.result_at_us,
                series.reading,
                us_or_none(series.evidence_kept),
                dump_state(series.state),
                series.id,
            )
            for series in self._series.values()
            if series.changed
        ]
        if rows:
            self.connection.execute(_UPDATE_SERIES, [dict(zip(_SERIES_PARAMETERS, row, strict=True)) for row in rows])

    def _flush_rows(self) -> None:
        for row in sorted(self.rows.values(), key=lambda row: row.component.id):
            if not row.changed:
                continue
            values: dict[str, Any] = {
                "health": row.health.value,
                "since_us": us_or_none(row.since),
                "reason": row.reason,
                "detail": row.detail,
                "span_us": us(row.span_at),
                "known_us": us_or_none(row.known_at),
                "registration": json.dumps(row.registration.to_json()) if row.registration else "",
                "unusual": pack(tuple[Unusual, ...], row.unusual) if row.unusual else "",
            }
            self.connection.execute(_UPDATE_COMPONENT, values | {"name": row.component.id})

    def _hold_evidence(self, incident: Incident) -> None:
        """Keep what was seen from the first failed look on for as long as the incident is kept."""
        rows = [self.rows[name] for name in incident.components if name in self.rows]
        series = [self.series(item.probe, item.location).id for row in rows for item in row.series]
        until = incident.resolved_at or self.now
        where = (EVIDENCE.c.series.in_(series), EVIDENCE.c.at_us.between(us(incident.started_at), us(until)))
        unheld = EVIDENCE.c.incident == ""
        self.connection.execute(update(EVIDENCE).where(*where, unheld).values(incident=incident.id))


def named(row: Any, read: Callable[[Any], T]) -> T:
    """Read a row that judgement needs; one that cannot be read is named."""
    try:
        return read(row)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        what = f"the state of probe {row.probe}" if "probe" in row._fields else f"component {row.id}"
        raise DamagedRowError(f"{what} cannot be read from the database") from error


def days_changed(connection: Connection, component: str) -> None:
    """Invalidate what readers have cached of a component's closed days."""
    values = {"days_revision": secrets.randbits(62) | 1}
    connection.execute(update(COMPONENT).where(COMPONENT.c.id == component).values(values))


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield slices of at most ``size``; SQLite allows a limited number of parameters."""
    return (items[start : start + size] for start in range(0, len(items), size))
