"""The judge in memory: replay's way, fed as :class:`monitor.core.replay.Judge` feeds it, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.core.alerts import alertmanager
from monitor.core.alerts.tallies import Tallies
from monitor.core.commands import Command, CommandError, CommandResult
from monitor.core.components import baseline
from monitor.core.components.latencies import Latencies
from monitor.core.evaluation import Evaluation
from monitor.core.memory_store import MemoryStore
from monitor.core.model.alerting import Sending
from monitor.core.state_store import Notice, WorkerReport
from tests.judgement import findings
from tests.judgement.findings import Findings, Sent
from tests.judgement.steps import (
    CheckIn,
    Deliver,
    Foreign,
    Ids,
    Inherit,
    Looks,
    Order,
    Publish,
    RollUp,
    Step,
    Sweep,
)

BUDGETS_EVERY = timedelta(seconds=60)
OPEN = (Sending.DUE, Sending.RETRYING)


class Outbox(MemoryStore):
    """A store in memory whose notices somebody sends: what was sent is not replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.leased: set[int] = set()
        """Places of what a sender had in its hands."""

    def send(self) -> list[Sent]:
        """Return every delivery with what became of it."""
        self.sent += [Sent(notice) for notice in self.notices[len(self.sent) :]]
        for item, notice in zip(self.sent, self.notices, strict=True):
            item.notice = notice
        return self.sent

    def replace_waiting(self, notice: Notice) -> bool:
        """Leave alone what a sender had in its hands."""
        for place in reversed(range(len(self.notices))):
            old = self.notices[place]
            same = (old.alert.id, old.route, old.channel) == (notice.alert.id, notice.route, notice.channel)
            if same and place not in self.leased:
                self.notices[place] = notice
                return True
        return False


@dataclass
class InMemory:
    """See the module."""

    quick: bool = True
    """Whether it takes the quick way through calm time."""

    def __post_init__(self) -> None:
        self.store = Outbox()
        self.evaluation = Evaluation(self.store, quick=self.quick)
        self._latencies, self._tallies = Latencies(), Tallies()
        self._compared_at: datetime | None = None
        self._budgets_at: datetime | None = None
        self.made: Command | None = None

    def take(self, step: Step) -> CommandResult | str | None:
        """Let a step happen; returns what came of a command, its refusal as text."""
        match step:
            case Publish():
                if step.catalogue != self.store.index.catalogue:
                    self.evaluation.on_catalogue(step.catalogue, step.at)
                    self.store.publish(step.catalogue, step.at)
            case Looks():
                self._look(step)
            case Sweep():
                self.evaluation.on_time(step.at)
            case CheckIn():
                self.evaluation.on_worker(
                    WorkerReport(
                        step.worker,
                        step.location,
                        step.blind,
                        step.spooled,
                        step.loop_lag_s,
                        step.started_at,
                        step.held,
                    ),
                    step.at,
                )
            case Order():
                return self._command(step)
            case Deliver():
                self._deliver(step)
            case Foreign():
                read = alertmanager.read(step.document, self.store.index.catalogue, step.at)
                self.evaluation.on_foreign(read, step.at)
            case RollUp():
                self._roll_up(step.at)
            case Inherit():
                self.store.put_alert(step.alert)
        return None

    def ids(self) -> Ids:
        """Return what commands may be about."""
        store = self.store
        return Ids(list(store.alerts), list(store.incidents), list(store.silence_windows), list(store.planned))

    def _look(self, step: Looks) -> None:
        for result in step.results:
            judged = self.evaluation.on_look(result, step.at if step.late else None)
            if judged is not None and not (judged.series.probe.witness or judged.series.probe.control):
                self._latencies.take(judged.result)
                self._tallies.take(judged.series.probe.component, judged.result)
        if step.late:
            self.evaluation.catch_up(step.results, step.at)

    def _command(self, step: Order) -> CommandResult | str:
        self.made = step.make(self.ids())
        try:
            return self.evaluation.on_command(self.made, step.who, step.at, step.why)
        except CommandError as error:
            return str(error)

    def _deliver(self, step: Deliver) -> None:
        leased = self._leased(step.limit)
        self.store.leased.update(leased)
        for place in leased:
            item = self.store.send()[place]
            item.sending, item.error = step.outcome, "gone" if step.outcome is Sending.DEAD else ""
            channel = item.notice.channel
            over = [one for one in self.store.send() if one.notice.channel == channel and one.sending not in OPEN]
            self.evaluation.on_delivery(channel, over[-1].error, step.at)

    def _leased(self, limit: int) -> list[int]:
        """Return the oldest due deliveries, of one alert and channel only the first."""
        seen: set[tuple[str, str]] = set()
        found = []
        for place, item in enumerate(self.store.send()):
            about = (item.notice.alert.id, item.notice.channel)
            if item.sending in OPEN and about not in seen:
                seen.add(about)
                found.append(place)
        return found[:limit]

    def _roll_up(self, now: datetime) -> None:
        if self._budgets_at is None or now - self._budgets_at >= BUDGETS_EVERY:
            self._budgets_at = now
            self.evaluation.on_budgets(self._tallies.tallies(now), now)
        at = baseline.moment(now)
        if self._compared_at is not None and self._compared_at >= at:
            return
        self._compared_at = at
        paces: dict[str, list[baseline.Pace]] = {}
        for name, pace in self._latencies.paces(at):
            probe = self.store.index.probes.get(name)
            if probe is not None:
                paces.setdefault(probe.component, []).append(pace)
        self.evaluation.on_latency(paces, at, now)

    def findings(self) -> Findings:
        """Return what it holds."""
        store = self.store
        rows = {
            name: (
                row.health,
                row.since,
                row.reason,
                row.detail,
                row.span_at,
                row.known_at,
                row.registration,
                row.unusual,
            )
            for name, row in {**store.parted, **store.rows}.items()
        }
        spans: dict[str, list[object]] = {}
        for span in store.spans:
            spans.setdefault(span.component, []).append((span.start, span.end, span.health))
        quiet = store.ended_silences
        return {
            "components": rows,
            "spans": spans,
            "series": {key: series.state for key, series in store.all_series.items()},
            "incidents": store.incidents,
            "events": findings.in_order(store.events),
            "alerts": [findings.stored(alert) for alert in sorted(store.alerts.values(), key=lambda item: item.id)],
            "alert history": findings.by_alert(store.alert_log),
            "told": {name: told for name, told in store.told_of.items() if told},
            "muted": store.muted,
            "decisions": [replace(decision, severity=None) for decision in store.decisions],
            "notices": [item.plain() for item in store.send()],
            "silences": {name: item for name, (item, _, _) in store.silence_windows.items() if name not in quiet},
            "planned work": {name: (plan.item, plan.called_off_at) for name, plan in store.planned.items()},
            "verdicts": store.verdicts,
            "workers": {
                name: (row.report.blind, row.seen_at, row.blind_since) for name, row in store.worker_rows.items()
            },
            "registration": store.registration_log,
            "certificates": {key: found for key, (_, found) in store.certificates.items()},
            "pages": {name: (owner, reading) for name, (owner, reading, _) in store.pages.items()},
        }
