"""The whole judgement in memory: results in, incidents, alerts and decisions out.

The same functions that the recorder calls in its transactions, called in the same order on plain dictionaries. Tests,
``chatwatch replay``, the backtest and the detection guarantee all run on it; nothing in it decides anything itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from monitor.core import alerts, baseline, conditions, correlation, digest, health, incidents, registration, witness
from monitor.core.catalogue import Catalogue, ComponentKind, Policy, Probe
from monitor.core.events import Alert, Cause, Decision, Incident, IncidentEvent, RegistrationChange
from monitor.core.health import ComponentHealth, ProbeState
from monitor.core.incident_events import UpstreamSaid
from monitor.core.latencies import Latencies
from monitor.core.maintenance import Window
from monitor.core.model import AlertState, Health, Observation, Outcome, Reason, Registration, Result, UpstreamReading
from monitor.core.refusal import refusals
from monitor.core.registration import RegistrationState
from monitor.core.rules import Rule
from monitor.core.told import DIGEST, Lately

Key = tuple[str, Cause]


@dataclass
class Judge:
    """Judgement of one catalogue, fed in order. Read its fields freely; feed it only through its methods."""

    catalogue: Catalogue
    maintenance: tuple[Window, ...] = ()
    silences: tuple[alerts.SilenceWindow, ...] = ()
    states: dict[tuple[str, str], ProbeState] = field(default_factory=dict)
    registrations: dict[str, RegistrationState] = field(default_factory=dict)
    verdicts: dict[str, ComponentHealth] = field(default_factory=dict)
    health_log: list[tuple[datetime, str, ComponentHealth]] = field(default_factory=list)
    latest: dict[Key, Incident] = field(default_factory=dict)
    events: list[IncidentEvent] = field(default_factory=list)
    standing: dict[str, Alert] = field(default_factory=dict)
    """Alerts by key, the newest of each."""
    fired: list[Alert] = field(default_factory=list)
    """Every alert as it was when it fired, oldest first."""
    told: dict[str, dict[str, alerts.Told]] = field(default_factory=dict)
    """Alert id → route id → what it was told."""
    decisions: list[Decision] = field(default_factory=list)
    blind: dict[str, str] = field(default_factory=dict)
    pages: dict[str, UpstreamReading] = field(default_factory=dict)
    """Service id → the vendor's page as last read."""
    recent: dict[tuple[str, str], Result] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    latencies: Latencies | None = field(default_factory=Latencies)
    """What is remembered of latencies; ``None`` where nobody asks whether they are usual."""
    unusual: dict[str, tuple[baseline.Unusual, ...]] = field(default_factory=dict)
    compared_at: datetime | None = None

    def __post_init__(self) -> None:
        self.probes: dict[str, Probe] = {probe.id: probe for probe in self.catalogue.probes}
        self.parents = alerts.parents(self.catalogue)
        self.logins = [part.id for part in self.catalogue.components if part.kind is ComponentKind.LOGIN]

    def record(self, results: Sequence[Result], now: datetime, *, late: bool = False) -> None:
        """Take in results that came together, then judge. ``late`` results page nobody."""
        changes: list[RegistrationChange] = []
        moved = False
        for result in results:
            probe = self.probes.get(result.run.probe)
            if probe is None:
                continue
            self._look_around(result, now)
            key = (probe.id, result.run.location)
            state = self.states.get(key) or health.new_probe_state(*key)
            if health.is_duplicate(state, result.run):
                continue
            judged = self._judged(result, state, probe)
            after = health.step(state, judged, probe.policy)
            if judged.reason.is_network_class and judged.outcome is Outcome.FAILED:
                after = health.clear(probe, after, self._pairs(key[1]))
            self.states[key] = after
            if self.latencies is not None and not (probe.witness or probe.control):
                self.latencies.take(judged)
            moved |= not (_is_calm(state) and _is_calm(after))
            changes += self._read_registration(probe, result)
            if result.observation.upstream is not None:
                self.pages[probe.component.partition("/")[0]] = result.observation.upstream
        news = self._compare_latencies(now)
        if moved or changes or news or self._is_busy():
            self._judge(now, changes, late, news)

    def _is_busy(self) -> bool:
        """Say whether a good look could matter: otherwise months of calm are folded without being judged again."""
        return bool(self.standing or any(incidents.is_open(item) for item in self.latest.values()))

    def sweep(self, now: datetime) -> None:
        """Let time pass without a look."""
        self._judge(now, [], False, self._compare_latencies(now))

    def shown(self, component: str, now: datetime) -> ComponentHealth | None:
        """Return the verdict of the looks with what is slower than usual laid over it."""
        verdict = self.verdicts.get(component)
        return verdict and baseline.laid_over(verdict, self.unusual.get(component, ()), now)

    def _compare_latencies(self, now: datetime) -> list[conditions.Condition]:
        """Say, every five minutes, which probes are slower than usual, and which no longer are."""
        at = baseline.moment(now)
        if self.latencies is None or (self.compared_at is not None and self.compared_at >= at):
            return []
        self.compared_at = at
        by_component: dict[str, list[baseline.Pace]] = {}
        for probe, pace in self.latencies.paces(at):
            by_component.setdefault(self.probes[probe].component, []).append(pace)
        policies = {probe.id: probe.policy for probe in self.catalogue.probes}
        found: list[conditions.Condition] = []
        for name in sorted({*by_component, *self.unusual}):
            compared = baseline.compare(by_component.get(name, ()), self.unusual.get(name, ()), at, policies)
            self.unusual[name] = compared.found
            found += [conditions.latency_unusual(name, item.probe, item, now) for item in compared.found]
            found += [conditions.latency_unusual(name, probe, None, now) for probe in compared.over]
        return found

    def policy(self, service: str) -> Policy:
        """Return the policy of a service's incidents: that of its first probe that may speak."""
        own = (p.policy for p in self.catalogue.probes if p.component.partition("/")[0] == service and not p.witness)
        return next(own, Policy())

    def _look_around(self, result: Result, now: datetime) -> None:
        here = result.run.location
        if result.outcome is not Outcome.MISSED:
            self.recent[result.run.probe, here] = result
        if not (result.reason.is_network_class or self.blind.get(here)):
            return
        around = [seen for (_, location), seen in self.recent.items() if location == here]
        self.blind[here] = health.is_blind(around, self.probes, now)

    def _pairs(self, location: str = "") -> list[tuple[Probe, ProbeState]]:
        """Return the probes with their states, of one location or of all."""
        return [
            (self.probes[id_], state)
            for (id_, where), state in self.states.items()
            if id_ in self.probes and location in ("", where)
        ]

    def _judged(self, result: Result, state: ProbeState, probe: Probe) -> Result:
        """Turn a blind location's network errors into ignorance, and refused keys into what they prove."""
        if self.blind.get(result.run.location) and result.reason.is_network_class:
            seen = Observation(Reason.NETWORK, self.blind[result.run.location])
            return replace(result, observation=seen)
        if result.reason is not Reason.AUTH:
            return result
        service = probe.component.partition("/")[0]
        others = [peer for peer in self.states.values() if peer.probe != probe.id]
        mine = [peer for peer in others if self.probes[peer.probe].component.startswith(service + "/")]
        return health.confirm_auth(result, state, mine, vendor_admits=self._vendor_admits(service))

    def _vendor_admits(self, service: str) -> bool:
        page = self.pages.get(service)
        return page is not None and bool(
            page.indicator.severity or any(not item.resolved_at for item in page.incidents)
        )

    def _read_registration(self, probe: Probe, result: Result) -> tuple[RegistrationChange, ...]:
        readings = result.observation.registration
        if not readings or probe.witness:
            return ()
        state = self.registrations.get(probe.component) or registration.new_state(probe.component)
        self.registrations[probe.component], changes = registration.step(
            state, readings, result.started_at + timedelta(seconds=result.duration_s), probe.policy
        )
        return changes

    def _unquoted(self, incident: Incident) -> tuple[UpstreamSaid, ...]:
        """Return what the vendor said about an incident that its timeline does not quote yet."""
        page = self.pages.get(incident.service)
        if page is None:
            return ()
        quoted = {
            (event.what.incident, event.what.said_at)
            for event in self.events
            if event.incident == incident.id and isinstance(event.what, UpstreamSaid)
        }
        return tuple(witness.unquoted(page, incident, quoted))

    def _judge(
        self,
        now: datetime,
        changes: Sequence[RegistrationChange],
        late: bool,
        news: Sequence[conditions.Condition] = (),
    ) -> None:
        self._settle_verdicts(now)
        for service in self.catalogue.services:
            mine = tuple(change for change in changes if change.component.startswith(service.id + "/"))
            own = {name: v for name, v in self.verdicts.items() if name.startswith(service.id + "/")}
            registrations = {
                name: registration.verdict(state, now)
                for name, state in self.registrations.items()
                if name.startswith(service.id + "/")
            }
            self._decide(Cause.OUTAGE, service.id, own, (), now)
            self._decide(Cause.REGISTRATION, service.id, registrations, mine, now)
        self._alert(now, late, news)

    def _settle_verdicts(self, now: datetime) -> None:
        by_component: dict[str, list[tuple[Probe, ProbeState]]] = {}
        for probe, state in self._pairs():
            by_component.setdefault(probe.component, []).append((probe, state))
        for component in self.catalogue.components:
            mine = by_component.get(component.id, [])
            verdict = health.component_health(mine, now) if mine else health.UNSEEN
            before = self.verdicts.get(component.id)
            if before is None or before.health is not verdict.health or before.regional != verdict.regional:
                self.health_log.append((now, component.id, verdict))
            self.verdicts[component.id] = verdict

    def _decide(
        self,
        cause: Cause,
        service: str,
        verdicts: Mapping[str, ComponentHealth],
        changes: tuple[RegistrationChange, ...],
        now: datetime,
    ) -> None:
        incident = self.latest.get((service, cause))
        beside = tuple(self.latest.values()) if correlation.due(incident, now) is not None else ()
        logins = {name: self.verdicts[name] for name in self.logins if name.startswith(service + "/")}
        restricted = self._restricted(now)
        facts = incidents.Facts(
            service, cause, verdicts, changes, (), self.maintenance, self.removed, restricted, beside, logins
        )
        for event in incidents.decide(incident, facts, now, self.policy(service)):
            self.tell(event)
        incident = self.latest.get((service, cause))
        said = self._unquoted(incident) if incident is not None and witness.is_quoted(incident, now) else ()
        if said:
            facts = replace(facts, upstream=said, registration=())
            for event in incidents.decide(incident, facts, now, self.policy(service)):
                self.tell(event)

    def _restricted(self, now: datetime) -> frozenset[str]:
        words = ((name, registration.overall(state, now)) for name, state in self.registrations.items())
        return frozenset(name for name, health_ in words if health_.severity)

    def tell(self, event: IncidentEvent) -> None:
        """Append an event, of the rules or of a person."""
        held = next((item for item in self.latest.values() if item.id == event.incident), None)
        incident = incidents.apply(held, event)
        self.latest[incident.service, incident.cause] = incident
        self.events.append(event)

    def _conditions(self, now: datetime) -> list[conditions.Condition]:
        outages = {service: item for (service, cause), item in self.latest.items() if cause is Cause.OUTAGE}
        found = list(conditions.alerts_for(self.verdicts, outages))
        for name, state in self.registrations.items():
            incident = self.latest.get((name.partition("/")[0], Cause.REGISTRATION))
            word, ways = registration.overall_state(state, now), registration.settle(state, now).methods
            found += conditions.registration_changed(name, word, incident, ways)
        for (id_, location), held in self.states.items():
            probe = self.probes.get(id_)
            if probe is not None and not probe.control and held.tick is not None:
                scope, newest = f"{id_}@{location}", (held.last_reason, held.tick, held.last_detail)
                found += conditions.own_trouble(scope, probe.component, *newest, held.blank, refusals(held))
        watched: dict[str, Probe] = {}
        for id_, _ in self.states:
            probe = self.probes.get(id_)
            if probe is not None and not (probe.witness or probe.control or probe.disabled):
                watched.setdefault(probe.component, probe)
        for name, probe in watched.items():
            found += conditions.overdue(probe.id, name, self.verdicts.get(name, health.UNSEEN), now)
        found += [conditions.about_us(Rule.BLIND, location, why, now) for location, why in self.blind.items()]
        return found

    def _reconcile(self, found: Iterable[conditions.Condition], now: datetime) -> None:
        for alert in alerts.reconcile(self.standing.values(), found, now):
            if alert.fired_at == now and alert.key not in self.standing:
                self.fired.append(alert)
            self.standing[alert.key] = alert

    def _alert(self, now: datetime, late: bool, news: Sequence[conditions.Condition]) -> None:
        self._reconcile([*self._conditions(now), *news], now)
        down = frozenset(
            name for name, verdict in self.verdicts.items() if verdict.health.severity >= 2 and not verdict.regional
        )
        works = {name: v.since for name, v in self.verdicts.items() if v.health.severity < 2 and v.since is not None}
        down |= alerts.just_back(self.standing.values(), works, now, self.policy)
        blind = next((why for why in self.blind.values() if why), "") if all(self.blind.values()) else ""
        recent = itertools.takewhile(lambda alert: alert.fired_at > now - digest.WINDOW, reversed(self.fired))
        lately = digest.lately(self._held({item.id: item for item in [*recent, *self.standing.values()]}.values()), now)
        around = alerts.Surroundings(
            now, Policy(), self.silences, self.maintenance, blind, down, frozenset(works), self.parents, late, lately
        )
        for alert in [alert for alert in self.standing.values() if alert.rule != DIGEST]:
            self._tell_routes(alert, around, lately)
        self._reconcile(digest.digests(self._held(self.standing.values()), self.standing.values()), now)
        for alert in [alert for alert in self.standing.values() if alert.rule == DIGEST]:
            self._tell_routes(alert, around, lately)
        for key in [key for key, alert in self.standing.items() if alert.state is AlertState.RESOLVED]:
            del self.standing[key]

    def _held(self, found: Iterable[Alert]) -> list[digest.Held]:
        return [(alert, self.told.get(alert.id, {})) for alert in found]

    def _tell_routes(self, alert: Alert, around: alerts.Surroundings, lately: Lately) -> None:
        told = self.told.setdefault(alert.id, {})
        around = replace(around, policy=self.policy(alert.service))
        for decision in alerts.decide_routes(alert, self.catalogue.routes, told, around):
            told[decision.route] = alerts.after(told.get(decision.route, alerts.NOTHING), decision, alert)
            self.decisions.append(decision)
            digest.count(lately, decision, alert)

    def acknowledge(self, alert_id: str, who: str, now: datetime) -> None:
        """Take an alert on oneself; doing it twice, or too late, changes nothing."""
        asked = [alert for alert in self.standing.values() if alert.id == alert_id]
        for alert in [*asked, *digest.stands_for(asked, self._held(self.standing.values()))]:
            if alert.state is AlertState.FIRING:
                self.standing[alert.key] = replace(
                    alert, state=AlertState.ACKNOWLEDGED, acknowledged_at=now, acknowledged_by=who
                )

    def registration_of(self, component: str, now: datetime) -> Registration:
        """Return the word over all ways to sign up."""
        state = self.registrations.get(component)
        return registration.overall_state(state, now) if state else Registration.UNKNOWN


def _is_calm(state: ProbeState) -> bool:
    quiet = state.health is Health.OPERATIONAL and not state.flapping
    return quiet and state.last_reason is Reason.OK and not state.blank


def run(catalogue: Catalogue, results: Iterable[Result], *, sweep_s: float = 30.0, latencies: bool = True) -> Judge:
    """Fold stored results, in the order they were looked at, and let time pass between them.

    Without ``latencies`` nothing is slower than usual; no page ever rests on that.
    """
    judge = Judge(catalogue, latencies=Latencies() if latencies else None)
    last: datetime | None = None
    pause = timedelta(seconds=sweep_s)
    for result in results:
        now = result.started_at + timedelta(seconds=result.duration_s)
        while last is not None and now - last > pause:
            last += pause
            judge.sweep(last)
        judge.record([result], now)
        last = now if last is None else max(last, now)
    return judge
