"""Judgement in memory: recorded or made-up looks in, incidents, alerts and decisions out.

It feeds :class:`monitor.core.evaluation.Evaluation` as a worker would and decides nothing itself. Tests,
``chatwatch replay``, the backtest and the detection guarantee run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from monitor.core.alerts.budgets import LONGEST, Span, told_of
from monitor.core.alerts.tallies import Counted, Tallies
from monitor.core.catalogue import Catalogue
from monitor.core.checks.calm import Calm
from monitor.core.checks.plausible import plausible
from monitor.core.commands import Command, CommandResult
from monitor.core.components import baseline
from monitor.core.components.health import ComponentHealth
from monitor.core.components.latencies import Latencies
from monitor.core.components.registration import rules as registration
from monitor.core.components.slo import objective
from monitor.core.doubt.lookout import Lookout
from monitor.core.entities import Alert, Decision, Incident, IncidentEvent
from monitor.core.evaluation import Evaluation
from monitor.core.judging.verdicts import shown_health
from monitor.core.memory_store import MemoryStore
from monitor.core.model.alert_rules import Rule
from monitor.core.model.depth import DOUBTED
from monitor.core.model.incident_events import Cause
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.schedule import EPOCH, from_micros
from monitor.core.state_store import WorkerReport

BUDGETS_EVERY = timedelta(seconds=60)


class _Lane:
    """The shortest way of a plain look: nearly every look of a recorded past goes it."""

    __slots__ = ("_calm", "_counted")

    def __init__(self, calm: Calm, counted: Counted | None) -> None:
        self._calm, self._counted = calm, counted

    def take(self, tick_us: int, at_us: int) -> bool:
        # Hot path, nearly once a look: Calm.take written out.
        calm, counted = self._calm, self._counted
        if tick_us <= calm.tick_us or not 0 <= at_us - calm.at_us <= calm.limit_us:
            return False
        calm.looks += 1
        calm.tick_us, calm.at_us = tick_us, at_us
        if counted is not None:
            counted.add_good(tick_us)
        return True


@dataclass
class Judge:
    """Judgement of one catalogue, fed in order, with one worker at each location."""

    catalogue: Catalogue
    latencies: Latencies | None = field(default_factory=Latencies)
    """What is remembered of latencies; ``None`` where nobody asks whether they are usual."""
    budgets: bool = False
    """Whether error budgets are watched: they mean something over days, and nothing in a scenario's minutes."""
    quick: bool = True
    """Whether it takes the quick way through calm time; the outcome is the same."""
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.store.publish(self.catalogue, EPOCH)
        self.evaluation = Evaluation(self.store, quick=self.quick)
        self._lookouts: dict[str, Lookout] = {}
        self.lanes = self.evaluation.calm.lanes
        self._unseen: dict[tuple[str, str], Calm] = {}
        """Series → times of its newest plain look, which the lookout may not know yet."""
        self._seen_tick: dict[tuple[str, str], int] = {}
        self._tallies = Tallies()
        self._compare_at: datetime | None = None
        self._budgets_at: datetime | None = None
        probes_of = self.store.index.probes_of
        self._held_to = {name: objective(probes_of.get(name, ())) for name in self.store.rows}

    @property
    def events(self) -> list[IncidentEvent]:
        """Every incident's events, in the order they were written."""
        return self.store.events

    @property
    def fired(self) -> list[Alert]:
        """Every alert that ever fired, oldest first, as it is now."""
        return list(self.store.alerts.values())

    @property
    def decisions(self) -> list[Decision]:
        """Every decision, in order."""
        return self.store.decisions

    def record(self, results: Sequence[Result], late_at: datetime | None = None) -> None:
        """Judge results in order. With ``late_at`` they are of the past and page nobody."""
        for told in results:
            result = plausible(told)
            if result is None:
                continue
            at = result.ended_at
            if result.run.location not in self._lookouts:
                self._lookouts[result.run.location] = Lookout()
                self._report(result.run.location, "", at)
            self._compare(at)
            judged = self.evaluation.on_look(result, late_at)
            if judged is None:
                continue
            probe = judged.series.probe
            if not (probe.witness or probe.control):
                if self.latencies is not None:
                    self.latencies.take(judged.result)
                if self.budgets:
                    self._tallies.take(probe.component, judged.result)
            self._look_around(result, at)
        if late_at is not None:
            known = [result for told in results if (result := plausible(told)) is not None]
            self.evaluation.catch_up(known, late_at)

    def sweep(self, now: datetime) -> None:
        """Judge what follows from time alone."""
        self._sign_of_life(now)
        self._compare(now)
        self.evaluation.on_time(now)
        if self.budgets and (self._budgets_at is None or now - self._budgets_at >= BUDGETS_EVERY):
            self._budgets_at = now
            self._burn(now)

    def take_plain(self, series: tuple[str, str], tick_us: int, at_us: int) -> bool:
        """Take a plain look of (probe, location) in calm time; False if :meth:`record` has to judge it.

        While it can, :attr:`lanes` holds a shorter way for the next ones.
        """
        found = self.store.all_series.get(series)
        lookout = self._lookouts.get(series[1])
        if found is None or lookout is None or lookout.blindness or self.latencies is not None:
            return False
        if not (self.quick and self.evaluation.calm.take(found, tick_us, at_us)):
            return False
        counts = self.budgets and not (found.probe.control or found.probe.witness)
        counted = self._tallies.counted(found.probe.component) if counts else None
        if counted is not None:
            counted.add_good(tick_us)
        assert found.calm is not None
        self._unseen[series] = found.calm
        self.lanes[series] = _Lane(found.calm, counted)
        return True

    def _see(self, series: tuple[str, str]) -> None:
        """Tell the lookout of the newest plain look of a series, if it was not told yet."""
        calm = self._unseen[series]
        if self._seen_tick.get(series) != calm.tick_us:
            self._seen_tick[series] = calm.tick_us
            run = RunId(*series, from_micros(calm.tick_us))
            self._lookouts[series[1]].note(Result(run, from_micros(calm.at_us), 0.0, Observation(Reason.OK)))

    def _burn(self, now: datetime) -> None:
        """Judge the error budgets of the components that may burn, or of which an alert says so."""
        alerts = self.store.open_alerts.values()
        wanted = {alert.component for alert in alerts if alert.rule is Rule.BURN_RATE}
        wanted |= self._tallies.may_burn(now, self._held_to, partial(self._told, now))
        if wanted:
            self.evaluation.on_budgets(self._tallies.tallies(now, wanted), now)

    def _told(self, now: datetime) -> Mapping[str, Sequence[Span]]:
        return told_of(self.store.outages_since(now - LONGEST), now)

    def command(self, order: Command, who: str, now: datetime, why: str = "") -> CommandResult:
        """Carry out a person's command."""
        return self.evaluation.on_command(order, who, now, why)

    def open_alerts(self) -> list[Alert]:
        """Return the alerts that are not resolved."""
        return list(self.store.open_alerts.values())

    def latest(self, service: str, cause: Cause) -> Incident | None:
        """Return the latest incident of a service and cause."""
        return self.store.latest(service, cause)

    def shown(self, component: str, now: datetime) -> ComponentHealth | None:
        """Return the verdict that the page shows; ``None`` before anybody looked."""
        row = self.store.component(component)
        if row is None or not any(series.state.tick for series in row.series):
            return None
        return shown_health(row, row.seen(now), now)

    def registration_of(self, component: str, now: datetime) -> Registration | None:
        """Return the word over all ways to sign up; ``None`` for a component at which nobody can."""
        row = self.store.component(component)
        known = row.registration if row is not None else None
        return registration.overall_state(known, now) if known is not None else None

    def _compare(self, now: datetime) -> None:
        """Say, every five minutes, which probes are slower than usual, and which no longer are."""
        if self.latencies is None or (self._compare_at is not None and now < self._compare_at):
            return
        at = baseline.moment(now)
        self._compare_at = at + timedelta(seconds=baseline.EVERY_S) + baseline.SETTLE
        by_component: dict[str, list[baseline.Pace]] = {}
        for name, pace in self.latencies.paces(at):
            probe = self.store.index.probes.get(name)
            if probe is not None:
                by_component.setdefault(probe.component, []).append(pace)
        self.evaluation.on_latency(by_component, at, now)

    def _look_around(self, result: Result, at: datetime) -> None:
        """Report to be blind, or to see again, as the worker of that location does."""
        lookout = self._lookouts[result.run.location]
        if result.reason in DOUBTED or lookout.blindness:
            for series in self._unseen:
                self._see(series)
        own = result.run.probe, result.run.location
        if own in self._unseen:
            self._see(own)
            del self._unseen[own]  # what comes next is newer than this
        if lookout.look(result, self.evaluation.doubts.targets, at):
            self._report(result.run.location, lookout.blindness.why, at)

    def _report(self, location: str, blind: str, at: datetime) -> None:
        self._sign_of_life(at)
        self.evaluation.on_worker(WorkerReport(location, location, blind), at)

    def _sign_of_life(self, at: datetime) -> None:
        for row in self.store.workers():
            self.store.put_worker(replace(row, seen_at=at))


def run(
    catalogue: Catalogue,
    results: Iterable[Result],
    *,
    sweep_s: float = 30.0,
    latencies: bool = True,
    budgets: bool = False,
) -> Judge:
    """Fold stored results, in the order of their looks, and judge every ``sweep_s`` what time alone brings.

    As in a recorder the sweeps come however many looks there are: while one probe is looked at every second, the
    evidence of another runs out. Without ``latencies`` nothing is slower than usual; no page ever rests on that.
    ``budgets`` are watched where the recorded past is long enough for them to mean something: a live worker does so
    with every roll-up.
    """
    judge = Judge(catalogue, latencies=Latencies() if latencies else None, budgets=budgets)
    due: datetime | None = None
    pause = timedelta(seconds=sweep_s)
    for result in results:
        now = result.ended_at
        due = due or now + pause
        while due < now:
            judge.sweep(due)
            due += pause
        judge.record([result])
    return judge


SWEEP_S = 30
SWEEP_US = SWEEP_S * 1_000_000
GOOD = Observation(Reason.OK)
PastLook = tuple[int, tuple[str, str], int, int, Result | None]
"""End, (probe, location), tick, start, all in microseconds, and the look itself; ``None`` for a plain one."""


def result_of(look: PastLook) -> Result:
    """Return a look as the rules take it."""
    end, (probe, location), tick, start, result = look
    if result is not None:
        return result
    return Result(RunId(probe, location, from_micros(tick)), from_micros(start), (end - start) / 1e6, GOOD)


def fold(
    catalogue: Catalogue,
    looks: Iterable[PastLook],
    seen: Callable[[int], None] | None = None,
    *,
    quick: bool = True,
) -> Judge:
    """Judge looks in the order in which they come, and what time alone brings between them.

    ``seen`` is called at every sweep with its time in microseconds.
    """
    judge = Judge(catalogue, latencies=None, budgets=True, quick=quick)
    lanes, due, taken = judge.lanes, 0, 0
    for look in looks:
        end, series, tick, start, result = look
        if end > due:
            due = due or end
            while due < end:
                judge.sweep(from_micros(due))
                due += SWEEP_US
            if seen is not None:
                seen(end)
        if result is None:
            lane = lanes.get(series)
            if lane is not None and lane.take(tick, start):
                taken += 1
                continue
            if judge.take_plain(series, tick, start):
                continue
        judge.record([result_of(look)])
    judge.evaluation.calm.taken += taken
    return judge


def most_lag_s(catalogue: Catalogue) -> float:
    """Return how late our loop may have run during a plain look, whatever its probe."""
    return min((probe.policy.max_loop_lag_s for probe in catalogue.probes), default=0.0)
