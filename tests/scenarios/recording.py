"""A player of scenarios that records into a real database: what a page or a notice says is read from its tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Engine, select, text

from monitor import flow
from monitor.core.catalogue import Catalogue
from monitor.core.commands import Command, CommandResult
from monitor.core.components import baseline
from monitor.core.components.health import ComponentHealth, component_health
from monitor.core.components.registration import rules as registration
from monitor.core.doubt.lookout import Lookout
from monitor.core.doubt.network import make_targets
from monitor.core.entities import Alert, Decision, Incident, IncidentEvent
from monitor.core.judging.verdicts import shown_health
from monitor.core.model.alerting import Severity, Why
from monitor.core.model.incident_events import Cause
from monitor.core.model.observations import Result
from monitor.core.model.registration import Registration
from monitor.core.schedule import EPOCH
from monitor.core.schedule import from_micros as when
from monitor.core.state_store import ComponentRow
from monitor.flow.rolling.latency_unusual import watch_latency
from monitor.store import tables
from monitor.store.codec import unpack
from monitor.store.connection.engine import begin, reading
from monitor.store.results.raw import settled_id
from monitor.store.results.rolling import STEP, add_results, close_level
from monitor.store.tables import table
from monitor.store.transaction.store import SqlStore
from tests.core.making import whole

ALERT, ALERT_EVENT, DECISION = table(tables.Alert), table(tables.AlertEvent), table(tables.Decision)
INCIDENT_EVENT = table(tables.IncidentEvent)


@dataclass
class Recording:
    """Does over a database what :class:`monitor.core.replay.Judge` does in memory, with one worker a location."""

    catalogue: Catalogue
    engine: Engine
    lookouts: dict[str, Lookout] = field(default_factory=dict)
    """Location → what its worker sees; a location that has none yet has no worker."""
    published: bool = False
    compared_at: datetime | None = None

    # What happens

    def record(self, results: Sequence[Result]) -> None:
        """Take in looks, one by one, as they end."""
        for result in results:
            at, here = result.ended_at, result.run.location
            self._publish(result.started_at)
            if here not in self.lookouts:
                self.lookouts[here] = Lookout()
                self._report(here, "", at)
            self._compare(at)
            assert flow.record(self.engine, [result], at).unjudged == {}
            lookout = self.lookouts[here]
            if lookout.look(result, make_targets(self.catalogue), at):
                self._report(here, lookout.blindness.why, at)

    def sweep(self, now: datetime) -> None:
        """Let time pass without a look."""
        self._publish(now)
        self._sign_of_life(now)
        self._compare(now)
        assert flow.sweep(self.engine, now).unjudged == {}

    def command(self, order: Command, who: str, now: datetime, why: str = "") -> CommandResult:
        """Carry out a person's command."""
        self._publish(now)
        return flow.command(self.engine, order, who, now, why)

    def _publish(self, at: datetime) -> None:
        if not self.published:
            self.published = True
            flow.publish_catalogue(self.engine, self.catalogue, at)

    def _report(self, here: str, why: str, at: datetime) -> None:
        self._sign_of_life(at)
        flow.check_in(self.engine, here, here, at, blind=why)

    def _sign_of_life(self, at: datetime) -> None:
        """Keep every worker alive without a word, however far the steps of the scenario lie apart."""
        with begin(self.engine) as connection:
            store = SqlStore(connection, at)
            for row in store.workers():
                store.put_worker(replace(row, seen_at=at))

    def _compare(self, now: datetime) -> None:
        """Roll up every five minutes, and compare latencies; error budgets mean nothing in a scenario's minutes."""
        at = baseline.moment(now)
        if self.compared_at is not None and self.compared_at >= at:
            return
        self.compared_at = at
        with begin(self.engine) as connection:
            settled = settled_id(connection)
            while add_results(connection, settled) == STEP:
                pass
            while close_level(connection, "hour", round(now.timestamp() * 1e6)):
                pass
        watch_latency(self.engine, now)

    # What came of it

    @property
    def events(self) -> Sequence[IncidentEvent]:
        """Every incident's events, in the order they were written."""
        with reading(self.engine) as connection:
            return [
                IncidentEvent(
                    row.incident,
                    row.seq,
                    when(row.at_us),
                    when(row.recorded_us),
                    whole(row.kind, json.loads(row.data)),
                    row.by,
                )
                for row in connection.execute(select(INCIDENT_EVENT).order_by(text("rowid")))
            ]

    @property
    def fired(self) -> Sequence[Alert]:
        """Every alert that ever fired."""
        with reading(self.engine) as connection:
            return [unpack(Alert, body) for body in connection.scalars(select(ALERT.c.body))]

    @property
    def decisions(self) -> Sequence[Decision]:
        """Every decision, in order, as loud as its alert was then."""
        with reading(self.engine) as connection:
            loud: dict[str, list[tuple[datetime, Severity]]] = {}
            for row in connection.execute(select(ALERT_EVENT).order_by(ALERT_EVENT.c.id)):
                if "severity" in (data := json.loads(row.data)):
                    loud.setdefault(row.alert, []).append((when(row.at_us), Severity(data["severity"])))
            return [
                Decision(row.alert, row.route, row.send, Why(row.why), at, _then(loud[row.alert], at))
                for row in connection.execute(select(DECISION).order_by(DECISION.c.id))
                if (at := when(row.at_us))
            ]

    def open_alerts(self) -> Sequence[Alert]:
        """Return the alerts that are not resolved."""
        with reading(self.engine) as connection:
            return list(SqlStore(connection, EPOCH).open_alerts.values())

    def latest(self, service: str, cause: Cause) -> Incident | None:
        """Return the latest incident of a service and cause."""
        with reading(self.engine) as connection:
            return SqlStore(connection, EPOCH).latest(service, cause)

    def shown(self, component: str, now: datetime) -> ComponentHealth | None:
        """Return the verdict that the page shows; ``None`` before anybody looked."""
        row = self._row(component, now)
        if row is None or not any(series.state.tick for series in row.series):
            return None
        return shown_health(row, component_health(row.pairs, now), now)

    def registration_of(self, component: str, now: datetime) -> Registration | None:
        """Return the word over all ways to sign up; ``None`` for a component at which nobody can."""
        row = self._row(component, now)
        known = row.registration if row is not None else None
        return registration.overall_state(known, now) if known is not None else None

    def _row(self, component: str, now: datetime) -> ComponentRow | None:
        with reading(self.engine) as connection:
            store = SqlStore(connection, now)
            store.load([component.partition("/")[0]])
            return store.component(component)


def _then(loud: Sequence[tuple[datetime, Severity]], at: datetime) -> Severity:
    return next((severity for since, severity in reversed(loud) if since <= at), loud[0][1])
