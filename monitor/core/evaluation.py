"""The one order of judgement: what follows from a look, from time, from a command and from a worker's report.

Recorder, replay, backtest, scenarios and the demo's past all call it, each over a
:class:`monitor.core.state_store.StateStore` of its own, so a threshold that is tried on the past decides as it would
have decided then (D4). Of a look::

    own network? → own key refused? → state of the probe → its component → incidents → conditions → who is told

Everything is judged as of the moment it happened, not of its writing: how looks are batched makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from monitor.core.alerts.budgets import LONGEST, Tally, budgets_burning
from monitor.core.alerts.conditions import (
    Condition,
    about_us,
    alert_key,
    burn_rate,
    certificate,
    latency_unusual,
    overdue,
    own_trouble,
)
from monitor.core.alerts.warnings import noticed
from monitor.core.catalogue import Catalogue
from monitor.core.checks.calm import is_plain
from monitor.core.checks.probe_state import ProbeState
from monitor.core.checks.steps import is_duplicate, step
from monitor.core.commands import Command, CommandResult
from monitor.core.components import baseline
from monitor.core.components.baseline import Pace
from monitor.core.components.health import is_fresh, stale_after
from monitor.core.components.registration import rules as registration
from monitor.core.doubt.proof import clear, forget
from monitor.core.entities import ComponentChange, RegistrationChange
from monitor.core.judging.calm_time import CalmTime
from monitor.core.judging.command_handlers import CommandContext, carry_out
from monitor.core.judging.doubts import Doubts
from monitor.core.judging.outlived import outlived
from monitor.core.judging.pipeline import WORKER_LIMIT, Pipeline
from monitor.core.judging.verdicts import follow, judge, nobody_watched, settle
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import Severity
from monitor.core.model.depth import OURS
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health
from monitor.core.schedule import micros
from monitor.core.state_store import ComponentRow, Series, StateStore, WorkerReport, WorkerRow

GAP = timedelta(seconds=60)
"""Without a heartbeat of any worker for longer than this nobody watched, and the time is unknown."""
GOOD = (Outcome.OK, Outcome.SLOW)
BLIND_AFTER = timedelta(seconds=30)
"""Blindness that is over sooner wakes nobody: two vendors may have a blip at the same time."""
SEES_SINCE, SEES_AFTER = "sees_since", timedelta(minutes=5)
"""Sight must last so long before its alert ends (that fact of it): a full line lets some looks through."""
MOST_FOREIGN = 500
"""Alerts from outside that may be open at once; more are dropped until some end."""


class Judged(NamedTuple):
    """A look as it was counted, and the state of its series before it."""

    result: Result
    series: Series
    reason_before: Reason


@dataclass
class Evaluation:
    """See the module. What it changed is in the fields; they are never cleared."""

    store: StateStore
    changes: list[ComponentChange] = field(default_factory=list)
    registrations: list[RegistrationChange] = field(default_factory=list)
    blind: dict[str, str] = field(default_factory=dict)
    """Location → why its newest network failure was taken for our own."""
    quick: bool = False
    """Whether what nothing can follow from is left out in calm time; the outcome is the same. For a store in memory."""

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(self.store)
        self.doubts = Doubts(self.store)
        self.calm = CalmTime(self.store, self.pipeline)

    # Looks

    def on_look(self, result: Result, late_at: datetime | None = None) -> Judged | None:
        """Judge one look; ``None`` if it was recorded before (D3), or its probe is not in the catalogue.

        It is one that :func:`monitor.core.checks.plausible.plausible` lets through.
        ``late_at`` is when a look of the past became known: it is judged as of its own time and pages nobody.
        """
        store = self.store
        probe = store.index.probes.get(result.run.probe)
        if probe is None:
            return None
        series = store.series(probe, result.run.location)
        plain = self.quick and is_plain(result, probe.policy)
        if plain and self.calm.take(series, micros(result.run.tick), micros(result.started_at)):
            return Judged(result, series, Reason.OK)
        self.calm.lanes.pop((probe.id, series.location), None)
        self.calm.close_lanes(store.index.service_of(probe))
        before = series.state
        if is_duplicate(before, result.run):
            return None
        at = result.ended_at
        told_at = at if late_at is None else late_at
        if result.reason is not Reason.OK:
            result = self._doubted(series, result, at)
        row = store.rows.get(probe.component)
        if row is not None and result.outcome.is_evidence and not is_fresh(probe, before, result.started_at):
            # Evidence went stale before this look, possibly while no sweep was running.
            self._changed(judge(store, row, result.started_at))
        if before.failing_since is not None and (result.reason in OURS or result.outcome in GOOD):
            here = ((other.probe.id, other.state) for other in store.at_location(series.location))
            series.state = forget(probe, before, result, here, self.doubts.targets)
        series.state, series.changed = step(series.state, result, probe), True
        if series.state.is_doubtful:
            here = ((other.probe.id, other.state) for other in store.at_location(series.location))
            series.state = clear(probe, series.state, here, self.doubts.targets, at)
        quiet = result.reason is Reason.OK and not result.observation.warnings and self.pipeline.is_quiet
        conditions = [] if quiet and result.observation.certificate is None else self._about_ourselves(series, result)
        if probe.witness:
            conditions += self._record_upstream(series, result, at, told_at)
        elif row is not None and not probe.control:
            conditions += self._judge_component(row, series, result, before, at, told_at)
        if conditions:
            self.pipeline.meet(conditions, at)
            self.pipeline.settle(told_at, late=late_at is not None)
        if self.quick:
            self.calm.looked(series, before, plain=plain)
        return Judged(result, series, before.last_reason)

    def _changed(self, change: ComponentChange | None) -> None:
        if change is not None:
            self.changes.append(change)

    def _doubted(self, series: Series, result: Result, at: datetime) -> Result:
        """Return a look as it may count: our own side's failures and our own key's are no evidence."""
        result, why = self.doubts.own_side(series, result, at)
        if why:
            self.blind[series.location] = why
        return self.doubts.refused_key(series, result)

    def _about_ourselves(self, series: Series, result: Result) -> list[Condition]:
        """Return conditions for the operator: our key, money or configuration, and certificates that end."""
        probe, seen, pipeline = series.probe, result.observation, self.pipeline
        if probe.control:
            return []
        found = self.doubts.for_long(series, result.ended_at)
        if seen.reason is not Reason.OK or seen.warnings or not pipeline.is_quiet:
            scope = f"{probe.id}@{series.location}"
            unclear, key = series.state.inconclusive_in_a_row, self.doubts.key(series, result)
            found += own_trouble(scope, probe.component, seen.reason, result.run.tick, seen.detail, unclear, key)
            if seen.warnings or pipeline.may_end_warnings:
                found += noticed(scope, probe.component, result, unclear, self.store.open_alerts, self.store.muted)
        if seen.certificate is not None:
            self.store.keep_certificate(series, seen.certificate, result.started_at)
            found += certificate(probe.id, probe.component, seen.certificate.not_after, result.started_at)
        return found

    def _record_upstream(self, series: Series, result: Result, at: datetime, told_at: datetime) -> list[Condition]:
        """Keep what the vendor's own page says: a witness beside our verdict, never part of it."""
        service, reading = self.store.index.service_of(series.probe), result.observation.upstream
        self.store.keep_upstream(series, service, result)
        if reading is None:
            return []
        told = follow(self.store, service, at, told_at) if self.store.has_open(service) or reading.incidents else []
        facts = {"indicator": reading.indicator.value, "incidents": [item.name for item in reading.incidents][:5]}
        if reading.indicator is Health.UNKNOWN:
            return told  # an unreadable status page withdraws no earlier statement
        holds = bool(reading.indicator.severity)
        return [*told, Condition(Rule.UPSTREAM, service, "", holds, Severity.INFO, at, series.probe.id, summary=facts)]

    def _judge_component(
        self, row: ComponentRow, series: Series, result: Result, before: ProbeState, at: datetime, told_at: datetime
    ) -> list[Condition]:
        """Judge the component of a look and, if there is anything to tell, the incidents of its service."""
        moved = before.health is not series.state.health or before.since != series.state.since
        changes = self._read_registration(row, series, result, before, at) if result.observation.registration else ()
        hot = bool(row.health.severity) or self.store.has_open(row.component.service)
        # A MISSED look that arrives late must not improve a time that is already recorded as unknown.
        unsure = row.health is Health.UNKNOWN and result.outcome is not Outcome.MISSED
        if not (moved or changes or hot or row.registration or unsure):
            return []
        change = judge(self.store, row, at)
        self._changed(change)
        tell = change is not None or changes or hot
        return follow(self.store, row.component.service, at, told_at, changes) if tell else []

    def _read_registration(
        self, row: ComponentRow, series: Series, result: Result, before: ProbeState, at: datetime
    ) -> tuple[RegistrationChange, ...]:
        """Record the registration readings of a look; returns the confirmed changes."""
        listened = before.health is Health.OPERATIONAL  # its source was read before
        state = row.registration or registration.new_state(row.component.id)
        readings, place = result.observation.registration, result.run.location
        known, changes = registration.step(state, readings, at, series.probe.policy, place, listened=listened)
        row.registration, row.changed = known, row.changed or known != state
        self.registrations += changes
        self.store.log_registration(changes)
        return changes

    # Time

    def on_time(self, now: datetime) -> None:
        """Judge everything as of now: stale → unknown, monitoring → resolved, review limits, repeats, escalations."""
        for service in self.calm.restless(now) if self.quick else self.store.index.services:
            self.on_time_of(service, now)
        self.on_time_of_ourselves(now)

    def on_time_of(self, service: str, now: datetime) -> None:
        """Judge what follows from time alone for one service."""
        self.calm.close_lanes(service)
        for row in self.store.of_service(service):
            self._changed(settle(self.store, row, now))
        self.pipeline.meet(follow(self.store, service, now, now), now)
        self.pipeline.meet(self._overdue(service, now), now)
        if self.quick:
            self.calm.swept(service, now)

    def catch_up(self, results: Iterable[Result], now: datetime) -> None:
        """Judge as of now, after looks of the past, the services whose planned work did not last until they came.

        As of its own time such a look may move a component, but no incident. The page does not draw the component as
        under maintenance any more: it would show it as down beside an incident that still says that all is good.
        """
        services = outlived(self.store, results, now)
        for service in services:
            self.on_time_of(service, now)
        if services:
            self.pipeline.settle(now)

    def on_time_of_ourselves(self, now: datetime) -> None:
        """Judge the workers' heartbeats, and decide about every open alert again."""
        if self.quick and self.pipeline.is_idle and not any(row.report.blind for row in self.store.workers()):
            return
        self.pipeline.meet(self._blindness(now), now)
        self.pipeline.settle(now, everything=True)

    def _overdue(self, service: str, now: datetime) -> list[Condition]:
        """Return the conditions of components that nobody has looked at for too long, since a worker lives again.

        A new catalogue begins anew as well: what it adds, or switches on again, was not looked at before.
        """
        found: list[Condition] = []
        last = max((row.seen_at for row in self.store.workers()), default=now)
        since = self.store.watched_since if now - last <= GAP else now  # whoever wakes has not looked yet
        for row in self.store.of_service(service):
            speaking = (s for s in row.series if not (s.probe.disabled or s.probe.witness or s.probe.control))
            # The longest interval counts: before its first tick no probe can be overdue.
            series = max(speaking, key=lambda s: stale_after(s.probe), default=None)
            if series is None or series.state.tick is None:
                continue
            if since is not None and now - since <= stale_after(series.probe):
                continue  # its first tick is still to come
            found += overdue(series.probe.id, row.component.id, row.seen(now), now)
        return found

    def _blindness(self, now: datetime, location: str | None = None) -> list[Condition]:
        """Return for each location whether living workers are blind, and which; only if all are is it worth a page.

        Blindness belongs to a worker: while another one of its location sees, that one looks at its probes. A
        location without a living worker keeps the alert that it has: silence is no recovery.
        """
        places: dict[str, list[WorkerRow]] = {}
        for row in self.store.workers():
            if row.seen_at >= now - WORKER_LIMIT and location in (None, row.report.location):
                places.setdefault(row.report.location, []).append(row)
        found = []
        for place, workers in sorted(places.items()):
            blind = sorted((row for row in workers if row.report.blind), key=lambda row: row.report.worker)
            why = "; ".join(_worker_blind(row.report) for row in blind)
            since = min((row.blind_since for row in blind if row.blind_since is not None), default=now)
            sees = len(workers) - len(blind)
            if why and now - since < BLIND_AFTER:
                continue
            if not why and (standing := self._sees_again(place, now)) is not None:
                found.append(standing)
                continue
            condition = about_us(Rule.BLIND, place, why, since, Severity.TICKET if sees else Severity.PAGE)
            facts = {"location": place, "blind_workers": len(blind), "seeing_workers": sees} if why else {}
            found.append(replace(condition, summary={**condition.summary, **facts}))
        return found

    def _sees_again(self, place: str, now: datetime) -> Condition | None:
        """Return the condition that stands although a location sees, until that has lasted; None if it is over."""
        alert = self.store.open_alerts.get(alert_key("", "", Rule.BLIND, place))
        since = now if alert is None else datetime.fromisoformat(str(alert.summary.get(SEES_SINCE, now)))
        if alert is None or abs(now - since) >= SEES_AFTER:  # long enough, or our clock was set
            return None
        condition = about_us(Rule.BLIND, place, "stands", alert.started_at, alert.severity)
        return replace(condition, summary={**alert.summary, SEES_SINCE: since.isoformat()})

    # Workers

    def on_worker(self, report: WorkerReport, now: datetime) -> None:
        """Record a worker's heartbeat. A location is blind when all its living workers are.

        If every worker was silent since the last one, that time becomes unknown, unless the report shows that this
        worker lived all along and only the database was away.
        """
        self.calm.lanes.clear()
        known = {row.report.worker: row for row in self.store.workers()}
        last = max((row.seen_at for row in known.values()), default=None)
        if last is None or now - last > GAP:
            self.store.woke(now)
        lived = report.spooled or (report.started_at is not None and last is not None and report.started_at <= last)
        if last is not None and now - last > GAP and not lived:
            self.calm.forget()
            nobody_watched(self.store, last, now, GAP)
        before = known.get(report.worker)
        since = before.blind_since if before is not None and before.blind_since is not None else now
        self.store.put_worker(WorkerRow(report, now, since if report.blind else None))
        self.pipeline.meet(self._blindness(now, report.location), now)
        again = before is not None and before.report.spooled  # a few wait after every start, which is normal
        waits = coded(MessageCode.RESULTS_WAIT, n=report.spooled) if report.spooled and again else ""
        self.pipeline.meet([about_us(Rule.SPOOL, report.worker, waits, now, Severity.TICKET)], now)
        self.pipeline.meet([about_us(Rule.QUARANTINE, report.worker, report.held, now, Severity.TICKET)], now)
        self.pipeline.settle(now)

    def on_delivery(self, channel: str, error: str, now: datetime) -> None:
        """Record how a channel's newest finished delivery ended; an empty ``error`` resolves the alert about it."""
        self.calm.lanes.clear()
        why = coded(MessageCode.NOTICE_GIVEN_UP, channel=channel, error=error) if error else ""
        self.pipeline.meet([about_us(Rule.DELIVERY, channel, why, now)], now)
        self.pipeline.settle(now)

    # Roll-ups

    def on_latency(self, paces: Mapping[str, Sequence[Pace]], at: datetime, now: datetime) -> None:
        """Compare every component's newest latency, as of ``at``, with what is usual for that hour of the week."""
        store, policies = self.store, {probe.id: probe.policy for probe in self.store.index.catalogue.probes}
        conditions: list[Condition] = []
        self.calm.forget()
        for name, row in store.rows.items():
            if not row.unusual and name not in paces:
                continue
            compared = baseline.compare(paces.get(name, ()), row.unusual, at, policies)
            if not (row.unusual or compared.found):
                continue
            row.unusual, row.changed = compared.found, True
            self._changed(judge(store, row, now))
            conditions += [latency_unusual(name, item.probe, item, now) for item in compared.found]
            conditions += [latency_unusual(name, probe, None, now) for probe in compared.over]
        self.pipeline.meet(conditions, now)
        self.pipeline.settle(now)

    def on_budgets(self, tallies: Mapping[str, Tally], now: datetime) -> None:
        """Judge how fast the error budgets burn, from the counted looks of each component."""
        self.calm.lanes.clear()
        outages = self.store.outages_since(now - LONGEST)
        burning = budgets_burning(self.store.index, tallies, outages, now)
        self.pipeline.meet([burn_rate(name, found, now) for name, found in burning.items()], now)
        self.pipeline.settle(now)

    # People and configuration

    def on_foreign(self, conditions: Sequence[Condition], now: datetime) -> int:
        """Record alerts of an Alertmanager; returns how many were left out because too many are open."""
        self.calm.lanes.clear()
        kept = self.pipeline.admitted(conditions, MOST_FOREIGN)
        self.pipeline.meet(kept, now)
        self.pipeline.settle(now)
        return len(conditions) - len(kept)

    def on_command(self, order: Command, who: str, now: datetime, why: str = "") -> CommandResult:
        """Carry out a person's command. Raises :class:`monitor.core.commands.CommandError`."""
        self.calm.forget()
        done = carry_out(CommandContext(self.store, self.pipeline, who, now, why), order)
        self.pipeline.settle(now)
        return done

    def on_catalogue(self, wanted: Catalogue, now: datetime) -> None:
        """Close, under the old catalogue, the incidents of components that no enabled probe looks at any more.

        It is the caller's to put the new one in force.
        """
        self.calm.forget()
        index = self.store.index
        watched = {probe.component for probe in wanted.probes if not probe.disabled and not probe.witness}
        gone = frozenset(component.id for component in index.catalogue.components if component.id not in watched)
        if not gone:
            return
        services = {index.components[name].service for name in gone}
        self.store.load(services)
        self.store.removed = gone
        for service in sorted(services):
            self.pipeline.meet(follow(self.store, service, now, now), now)
        kept = {component.id for component in wanted.components}
        for alert in [item for item in self.store.open_alerts.values() if item.component not in ("", *kept)]:
            self.pipeline.end(alert, now, removed=True)
        self.pipeline.settle(now)
        self.store.removed = frozenset()


def _worker_blind(report: WorkerReport) -> str:
    return coded(MessageCode.WORKER_BLIND, worker=report.worker, place=report.location, why=report.blind)
