"""Taking an invented past through the rules, so that a demonstration has ninety days behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from monitor import clock, flow
from monitor.core.catalogue import Catalogue, Policy
from monitor.core.commands import AcknowledgeAlert, JudgeAlert, ScheduleMaintenance, WritePostmortem
from monitor.core.model.alert_rules import AnyRule, Rule
from monitor.core.model.alerting import Verdict
from monitor.core.model.incident_events import EventKind
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.states import Impact
from monitor.demo.past import FINE_S, PLANNED, Past, Planned
from monitor.store import reads

PAST_POLICY = Policy(stale_after_intervals=10)
"""The past looks every 45 minutes where nothing happened, so its evidence holds a little longer than that."""
UNJUDGED = timedelta(days=12)
"""Alerts and incidents younger than this are left for whoever tries the review."""
WRITTEN_AFTER = timedelta(days=2)
"""From the end of an incident until people have written about it."""
VERDICTS: dict[AnyRule, Verdict] = {Rule.OVERDUE: Verdict.DUPLICATE}
POSTMORTEM = "Simulated: a faulty release turned requests away, and taking it back ended that."


def coarse(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue under which the past is judged: long intervals, the usual thresholds, nobody to page."""
    probes = (replace(probe, interval_s=FINE_S, timeout_s=60.0, policy=PAST_POLICY) for probe in catalogue.probes)
    return replace(catalogue, probes=tuple(probes), routes=())


@dataclass(frozen=True, slots=True)
class Seeding:
    """Where a past goes: the database, the catalogue that will be in force, and in whose name people act."""

    engine: Engine
    catalogue: Catalogue
    label: str
    who: str

    def seed(self, past: Past, days: int, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """Let so many days happen through the same rules; returns the number of looks."""
        looks = 0
        flow.publish_catalogue(self.engine, coarse(self.catalogue), past.now - timedelta(days=days), label=self.label)
        for planned in PLANNED:
            self._announce(planned, past.now)
        waiting: list[str] = []
        for batch in past.batches(days):
            if is_stopped():
                return looks
            looks += len(batch.results)
            done = flow.record(self.engine, batch.results, batch.now, backfill=True)
            if batch.close:
                flow.sweep(self.engine, batch.now)
                self._acknowledge(waiting, batch.now)
                waiting = sorted(done.alerts)
            else:
                self._look_back(batch.now, past.now)
        flow.roll_up(self.engine, past.now)
        self._judge_alerts(past.now)
        return looks

    def take_over(self, seen: Mapping[str, Observation]) -> None:
        """Put the real catalogue in force, with a look of now at everything: nothing is stale when it begins.

        The look is judged under the past's catalogue: by the real one the past would have been silent for long.
        """
        now = clock.now()
        flow.publish_catalogue(self.engine, coarse(self.catalogue), now, label=self.label)
        looks = [
            Result(RunId(probe.id, location, now), now, 0.0, seen[probe.id])
            for probe in self.catalogue.probes
            for location in probe.locations
        ]
        flow.record(self.engine, looks, clock.now(), backfill=True)
        flow.publish_catalogue(self.engine, self.catalogue, clock.now(), label=self.label)

    def _announce(self, planned: Planned, now: datetime) -> None:
        """Announce maintenance a day before it began."""
        starts_at = now - timedelta(days=planned.days_ago)
        ends_at = starts_at + timedelta(hours=planned.hours)
        words = planned.title, starts_at, ends_at, planned.text
        order = ScheduleMaintenance(planned.service, planned.components, *words)
        flow.command(self.engine, order, self.who, starts_at - timedelta(days=1))

    def _acknowledge(self, alerts: Sequence[str], now: datetime) -> None:
        """Take what began to fire one batch ago; what is over by then needs nobody."""
        for alert in alerts:
            flow.command(self.engine, AcknowledgeAlert(alert), self.who, now)

    def _look_back(self, at: datetime, now: datetime) -> None:
        """Write what people write days after the worst incidents, except for those left to whoever tries the demo.

        In its turn, as every order: to one that comes days before the newest look our clock would have run ahead,
        and all that was seen since would be forgotten.
        """
        for view in reads.incidents(self.engine, public=False, before=now - UNJUDGED):
            due = view.resolved_at is not None and view.resolved_at + WRITTEN_AFTER <= at
            written = any(event.kind is EventKind.POSTMORTEM for event in view.events)
            if due and view.impact is Impact.CRITICAL and not written:
                flow.command(self.engine, WritePostmortem(view.id, POSTMORTEM), self.who, at)

    def _judge_alerts(self, now: datetime) -> None:
        """Judge the older alerts."""
        for view in reads.alerts(self.engine, until=now - UNJUDGED, limit=500):
            verdict = VERDICTS.get(view.alert.rule, Verdict.ACTIONABLE)
            flow.command(self.engine, JudgeAlert(view.alert.id, verdict), self.who, now)
