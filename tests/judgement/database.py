"""The judge over a database: the verbs of the flow, as recorders call them.

Looks are flushed at random bounds, by two workers with an engine each, with leases or without. What one has recorded
the other may bring once more; a worker whose probes were taken over is fenced off. Engines are closed and opened again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, event, insert, select

from monitor import flow
from monitor.core.alerts.grouping import NotificationLog
from monitor.core.alerts.routing import SilenceWindow
from monitor.core.commands import Command, CommandError, CommandResult
from monitor.core.components.baseline import Unusual
from monitor.core.components.registration.rules import RegistrationState
from monitor.core.entities import Alert, Decision, Incident, IncidentEvent, RegistrationChange
from monitor.core.maintenance import Maintenance
from monitor.core.model.alerting import Sending, Verdict, Why
from monitor.core.model.observations import Certificate, Result
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.core.state_store import Notice
from monitor.store import leases, tables
from monitor.store.codec import pack, unpack, when_or_none
from monitor.store.connection.engine import begin, is_postgresql, open_engine, reading
from monitor.store.leases import Claim
from monitor.store.tables import table
from monitor.store.transaction.states import load_state
from tests.core.making import whole
from tests.judgement import findings
from tests.judgement.findings import Findings, Sent
from tests.judgement.steps import CheckIn, Deliver, Foreign, Inherit, Looks, Order, Publish, RollUp, Step, Sweep

WORKERS = ("one", "two")
TTL = timedelta(days=400)
WROTE = timedelta(seconds=0.25)
REOPENED, REPEATED, LEASED = 0.03, 0.07, 0.12
"""How often an engine is opened anew before a step, a batch is brought again by the other worker, a case has leases."""


@lru_cache(maxsize=4)
def fast(url: str, worker: str = "") -> Engine:
    """Return a worker's engine that does not wait for the disk: no test here pulls a plug.

    It is the same as long as its address is: let go of its connections with ``dispose`` before its database changes.
    """
    engine = open_engine(url)
    if not is_postgresql(engine):

        @event.listens_for(engine, "connect")
        def _hurry(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

    return engine


@dataclass
class InDatabase:
    """See the module. ``url`` is that of a migrated, empty database."""

    url: str
    rng: Random
    engines: dict[str, Engine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leased = self.rng.random() < LEASED
        self._claims: dict[tuple[str, str], Claim] = {}
        self._holds: dict[str, str] = {}
        self._written: datetime | None = None

    def close(self) -> None:
        """Let go of every connection."""
        for engine in self.engines.values():
            engine.dispose()
        self.engines.clear()

    def engine(self, worker: str = "") -> Engine:
        """Return a worker's engine, that of any without a name."""
        name = worker or self.rng.choice(WORKERS)
        if name in self.engines and self.rng.random() < REOPENED:
            self.engines.pop(name).dispose()
        if name not in self.engines:
            self.engines[name] = fast(self.url, name)
        return self.engines[name]

    def take(self, step: Step, made: Command | None = None) -> CommandResult | str | None:
        """Let a step happen; ``made`` is the command that an order became."""
        match step:
            case Publish():
                flow.publish_catalogue(self.engine(), step.catalogue, step.at)
            case Looks():
                for some in self._batches(step.results):
                    self._record(some, step)
            case Sweep():
                assert not flow.sweep(self.engine(), step.at).unjudged
            case CheckIn():
                told = {
                    "blind": step.blind,
                    "spooled": step.spooled,
                    "loop_lag_s": step.loop_lag_s,
                    "started_at": step.started_at,
                    "held": step.held,
                }
                flow.check_in(self.engine(), step.worker, step.location, step.at, **told)  # type: ignore[arg-type]  # as named
            case Order():
                assert made is not None
                try:
                    return flow.command(self.engine(), made, step.who, step.at, step.why)
                except CommandError as error:
                    return str(error)
            case Deliver():
                self._deliver(step)
            case Foreign():
                flow.take_in(self.engine(), step.document, step.at)
            case RollUp():
                flow.roll_up(self.engine(), step.at)
            case Inherit():
                _put(self.engine(), step.alert)
        return None

    # Looks

    def _batches(self, results: Sequence[Result]) -> Iterator[Sequence[Result]]:
        """Cut an arrival at random; where there are leases a batch is of one place, as a worker's are."""
        parts = [list(some) for _, some in groupby(results, lambda one: one.run.location if self.leased else "")]
        for part in parts:
            while part:
                size = self.rng.choice((1, 9, 40, *[len(part)] * 3))
                yield part[:size]
                del part[:size]

    def _record(self, results: Sequence[Result], step: Looks) -> None:
        worker = self.rng.choice(WORKERS)
        other = WORKERS[worker == WORKERS[0]]
        now = step.at if step.late else self._written_at(step.at)
        claim = self._claim(worker, other, results) if self.leased else None
        done = flow.record(self.engine(worker), results, now, backfill=step.late, claim=claim)
        assert (done.unjudged, done.fenced, done.rewound) == ({}, 0, set())
        if self.rng.random() < REPEATED:
            stale = self._claims.get((other, results[0].run.location)) if self.leased else None
            again = flow.record(self.engine(other), results, now, backfill=step.late, claim=stale)
            assert (again.unjudged, again.stored, again.fenced) == ({}, 0, len(results) if stale else 0)

    def _written_at(self, at: datetime) -> datetime:
        """Return when a batch is written: judgement must not depend on it, but no clock of a worker goes back."""
        self._written = max(self._written or at - WROTE, at - WROTE * self.rng.choice((0, 1)))
        return self._written

    def _claim(self, worker: str, other: str, results: Sequence[Result]) -> Claim:
        """Let a worker take over every probe of these results that the other may hold."""
        place, now = results[0].run.location, results[0].started_at
        probes = {result.run.probe for result in results}
        held = self._claims.get((worker, place))
        if held is None or self._holds.get(place) != worker or not probes <= set(held.epochs):
            theirs = self._claims.get((other, place))
            mine = set(held.epochs) if held else set()
            wanted = probes | mine | (set(theirs.epochs) if theirs else set())
            leases.release(self.engine(other), other, place)
            found = leases.take_leases(self.engine(worker), worker, place, wanted, now, TTL)
            held = self._claims[worker, place] = Claim(worker, place, found.epochs)
            self._holds[place] = worker
        return held

    def _deliver(self, step: Deliver) -> None:
        worker = self.rng.choice(WORKERS)
        error = "gone" if step.outcome is Sending.DEAD else ""
        for notice in flow.lease_notices(self.engine(worker), f"{worker}/1", step.at, step.limit):
            assert flow.settle_notice(self.engine(worker), notice.id, step.outcome, step.at, error=error)

    def findings(self) -> Findings:
        """Return what the tables hold."""
        with reading(self.engine()) as connection:
            return {name: read(connection) for name, read in READS.items()}


def _put(engine: Engine, alert: Alert) -> None:
    row = {
        "id": alert.id,
        "key": alert.key,
        "state": alert.state.value,
        "rule": str(alert.rule),
        "service": alert.service,
        "component": alert.component,
        "fired_us": us(alert.fired_at),
        "body": pack(Alert, alert),
    }
    with begin(engine) as connection:
        connection.execute(insert(table(tables.Alert)).values(row))


# Reading


def _rows(connection: Connection, kind: type, *order: str) -> Sequence[Any]:
    source = table(kind)
    return connection.execute(select(source).order_by(*(source.c[name] for name in order))).all()


def _components(connection: Connection) -> Any:
    return {
        row.id: (
            Health(row.health),
            when_or_none(row.since_us),
            row.reason,
            row.detail,
            when(row.span_us),
            when_or_none(row.known_us),
            RegistrationState.from_json(json.loads(row.registration)) if row.registration else None,
            unpack(tuple[Unusual, ...], row.unusual) if row.unusual else (),
        )
        for row in _rows(connection, tables.Component, "id")
    }


def _spans(connection: Connection) -> Any:
    found: dict[str, list[object]] = {}
    for row in _rows(connection, tables.Span, "start_us", "id"):
        found.setdefault(row.component, []).append((when(row.start_us), when(row.end_us), Health(row.health)))
    return found


def _series(connection: Connection) -> Any:
    return {
        (row.probe, row.location): load_state(row.state, row.probe, row.location, row.tick_us, row.attempt)
        for row in _rows(connection, tables.Series, "id")
    }


def _incidents(connection: Connection) -> Any:
    return {row.id: unpack(Incident, row.body) for row in _rows(connection, tables.Incident, "id")}


def _events(connection: Connection) -> Any:
    return [
        IncidentEvent(
            row.incident,
            row.seq,
            when(row.at_us),
            when(row.recorded_us),
            whole(row.kind, json.loads(row.data)),
            row.by,
        )
        for row in _rows(connection, tables.IncidentEvent, "incident", "seq")
    ]


def _alerts(connection: Connection) -> Any:
    return [unpack(Alert, row.body) for row in _rows(connection, tables.Alert, "id")]


def _history(connection: Connection) -> Any:
    rows = _rows(connection, tables.AlertEvent, "id")
    return findings.by_alert((row.alert, when(row.at_us), row.kind, row.by, json.loads(row.data)) for row in rows)


def _told(connection: Connection) -> Any:
    told = {row.id: unpack(dict[str, NotificationLog], row.told) for row in _rows(connection, tables.Alert, "id")}
    return {name: heard for name, heard in told.items() if heard}


def _muted(connection: Connection) -> Any:
    return {row.key for row in _rows(connection, tables.Alert, "id") if row.muted}


def _decisions(connection: Connection) -> Any:
    rows = _rows(connection, tables.Decision, "id")
    return [Decision(row.alert, row.route, row.send, Why(row.why), when(row.at_us)) for row in rows]


def _notices(connection: Connection) -> Any:
    return [
        Sent(Notice(unpack(Alert, row.body), row.route, row.channel, Why(row.why)), Sending(row.sending)).plain()
        for row in _rows(connection, tables.Outbox, "id")
    ]


def _silences(connection: Connection) -> Any:
    rows = _rows(connection, tables.Silence, "id")
    return {row.id: unpack(SilenceWindow, row.body) for row in rows if row.removed_us is None}


def _planned(connection: Connection) -> Any:
    return {
        row.id: (unpack(Maintenance, row.body), when_or_none(row.cancelled_us))
        for row in _rows(connection, tables.Maintenance, "id")
    }


def _verdicts(connection: Connection) -> Any:
    return {
        row.alert: (Verdict(row.verdict), row.by, when(row.at_us), row.note)
        for row in _rows(connection, tables.Judgement, "alert")
    }


def _workers(connection: Connection) -> Any:
    return {
        row.id: (row.blind_reason, when(row.seen_us), when_or_none(row.blind_us))
        for row in _rows(connection, tables.Worker, "id")
    }


def _registration(connection: Connection) -> Any:
    return [unpack(RegistrationChange, row.body) for row in _rows(connection, tables.RegistrationLog, "id")]


def _certificates(connection: Connection) -> Any:
    named = {row.id: (row.probe, row.location) for row in _rows(connection, tables.Series, "id")}
    return {named[row.series]: unpack(Certificate, row.body) for row in _rows(connection, tables.Certificate, "series")}


def _pages(connection: Connection) -> Any:
    rows = _rows(connection, tables.Upstream, "probe")
    return {row.probe: (row.service, unpack(UpstreamReading, row.body)) for row in rows if row.body}


READS: dict[str, Callable[[Connection], Any]] = {
    "components": _components,
    "spans": _spans,
    "series": _series,
    "incidents": _incidents,
    "events": _events,
    "alerts": _alerts,
    "alert history": _history,
    "told": _told,
    "muted": _muted,
    "decisions": _decisions,
    "notices": _notices,
    "silences": _silences,
    "planned work": _planned,
    "verdicts": _verdicts,
    "workers": _workers,
    "registration": _registration,
    "certificates": _certificates,
    "pages": _pages,
}
