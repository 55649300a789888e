"""Everything that judgement knows, in dictionaries: the store of replay, backtest and scenarios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from monitor.core import catalogue as watched
from monitor.core.alerts.grouping import NotificationLog
from monitor.core.alerts.routing import SilenceWindow
from monitor.core.catalogue import Catalogue, Index, Probe, make_index, series_in_order
from monitor.core.checks.probe_state import new_probe_state
from monitor.core.entities import Alert, Decision, Incident, IncidentEvent, RegistrationChange
from monitor.core.incidents.transitions import apply, is_open
from monitor.core.maintenance import BY_FILE, LEFT_FILE, Maintenance, Window, around, held
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Verdict
from monitor.core.model.incident_events import Cause, UpstreamSaid
from monitor.core.model.observations import Certificate, Result
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.core.schedule import micros
from monitor.core.state_store import ComponentRow, Notice, Series, WorkerRow


@dataclass(slots=True)
class Planned:
    """Planned work, when it was announced, and when it was called off."""

    item: Maintenance
    announced_at: datetime
    title: str
    text: str
    by: str
    called_off_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A closed stretch of one health of one component."""

    component: str
    start: datetime
    end: datetime
    health: Health


@dataclass
class MemoryStore:
    """Implements :class:`monitor.core.state_store.StateStore`. Tests and replay read its fields directly."""

    index: Index = field(default_factory=Index)
    removed: frozenset[str] = frozenset()
    published_at: datetime | None = None
    rows: dict[str, ComponentRow] = field(default_factory=dict)
    parted: dict[str, ComponentRow] = field(default_factory=dict)
    """Components that left the catalogue, as they were then."""
    all_series: dict[tuple[str, str], Series] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    registration_log: list[RegistrationChange] = field(default_factory=list)
    certificates: dict[tuple[str, str], tuple[datetime, Certificate]] = field(default_factory=dict)
    pages: dict[str, tuple[str, UpstreamReading, datetime]] = field(default_factory=dict)
    """Witness probe → (service, the vendor's page as last read)."""
    incidents: dict[str, Incident] = field(default_factory=dict)
    events: list[IncidentEvent] = field(default_factory=list)
    open_alerts: dict[str, Alert] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    """Every alert that ever fired, as it is now, oldest first."""
    alert_log: list[tuple[str, datetime, str, str, Mapping[str, object]]] = field(default_factory=list)
    """(Alert, when, what happened, by whom, facts)."""
    muted: set[str] = field(default_factory=set)
    told_of: dict[str, dict[str, NotificationLog]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    """Deliveries that became due; nobody ever takes them."""
    silence_windows: dict[str, tuple[SilenceWindow, str, str]] = field(default_factory=dict)
    """Id → silence, by whom, why."""
    ended_silences: set[str] = field(default_factory=set)
    planned: dict[str, Planned] = field(default_factory=dict)
    worker_rows: dict[str, WorkerRow] = field(default_factory=dict)
    woke_at: datetime | None = None
    verdicts: dict[str, tuple[Verdict, str, datetime, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._latest: dict[tuple[str, Cause], Incident] = {}
        self._of_service: dict[str, list[ComponentRow]] = {}
        self._at_location: dict[str, list[Series]] = {}
        self._open: dict[str, set[str]] = {}
        self._quoted: dict[str, set[tuple[str, datetime]]] = {}
        self._windows: tuple[datetime, Sequence[Window]] | None = None

    def publish(self, catalogue: Catalogue, at: datetime) -> None:
        """Put a catalogue in force; what it knows already keeps its state."""
        self.index, self.published_at = make_index(catalogue), at
        known = {**self.parted, **self.rows}
        self.rows = {
            item.id: known.pop(item.id) if item.id in known else ComponentRow(item, at) for item in catalogue.components
        }
        self.parted = known
        for component in catalogue.components:
            self.rows[component.id].component = component
        self._plan(catalogue.planned, at)
        for name, location in series_in_order(catalogue):
            self._add(self.index.probes[name], location)
        self._arrange()

    def _add(self, probe: Probe, location: str) -> Series:
        key = (probe.id, location)
        found = self.all_series.get(key)
        if found is None:
            found = self.all_series[key] = Series(probe, location, new_probe_state(*key))
        return found

    def _plan(self, wanted: Iterable[watched.Planned], at: datetime) -> None:
        """Make the announcements of the configuration the ones in force; those that left it end."""
        fresh = {item.window.id: item for item in wanted}
        for name, plan in self.planned.items():
            if plan.by != BY_FILE:
                continue
            own = name.partition(".")[0]
            if fresh.get(own) == watched.Planned(replace(plan.item, id=own), plan.title, plan.text):
                del fresh[own]
            else:
                plan.by, plan.called_off_at = LEFT_FILE, plan.called_off_at or at
        for own, item in fresh.items():
            window = replace(item.window, id=f"{own}.{micros(at)}")
            self.planned[window.id] = Planned(window, max(window.starts_at, at), item.title, item.text, BY_FILE)
        self._windows = None

    def _arrange(self) -> None:
        """Build what is looked up by service, component and location."""
        self._of_service = {service: [] for service in self.index.services}
        self._at_location = {}
        for component in self.index.catalogue.components:
            row = self.rows[component.id]
            row.series = []
            self._of_service.setdefault(component.service, []).append(row)
        for (name, location), series in self.all_series.items():
            probe = self.index.probes.get(name)
            if probe is not None:
                series.state = series.state  # looks of calm time are folded as they were meant
                series.probe = probe
                self._at_location.setdefault(location, []).append(series)
                if probe.component in self.index.components:
                    self.rows[probe.component].series.append(series)

    # Looks

    def load(self, services: Iterable[str]) -> None:
        """Do nothing: everything is here."""

    def of_service(self, service: str) -> Sequence[ComponentRow]:
        """Return the rows of a service in the order of the page."""
        return self._of_service.get(service, ())

    def component(self, component: str) -> ComponentRow | None:
        """Return a component of any service."""
        return self.rows.get(component) if component in self.index.components else None

    def series(self, probe: Probe, location: str) -> Series:
        """Return the series of a probe at a location, made on its first result."""
        found = self.all_series.get((probe.id, location))
        if found is None:
            found = self._add(probe, location)
            self._at_location.setdefault(location, []).append(found)
            if probe.component in self.index.components:
                self.rows[probe.component].series.append(found)
        return found

    def peers(self, service: str) -> Iterable[Series]:
        """Return every series of a service."""
        return (
            series
            for (name, _), series in self.all_series.items()
            if name in self.index.probes and self.index.service_of(series.probe) == service
        )

    def at_location(self, location: str) -> Iterable[Series]:
        """Return every series of a location."""
        return self._at_location.get(location, ())

    def close_span(self, row: ComponentRow, end: datetime) -> None:
        """Write down the stretch of the row's present health that ends at ``end``, unless it is empty."""
        if end > row.span_at:
            self.spans.append(Span(row.component.id, row.span_at, end, row.health))

    def log_registration(self, changes: Sequence[RegistrationChange]) -> None:
        """Keep confirmed changes of ways to sign up."""
        self.registration_log += changes

    def keep_certificate(self, series: Series, found: Certificate, at: datetime) -> None:
        """Keep the certificate that a series saw last."""
        self.certificates[series.probe.id, series.location] = at, found

    def upstream_readings(self, service: str, since: datetime | None = None) -> Sequence[UpstreamReading]:
        """Return what the vendor's own pages said last; with ``since`` only what was read at that moment or later."""
        return [
            reading
            for _, (owner, reading, at) in sorted(self.pages.items(), key=lambda item: item[0])
            if owner == service and (since is None or at >= since)
        ]

    def keep_upstream(self, series: Series, service: str, result: Result) -> None:
        """Keep what the vendor's own page says; a failed read leaves the last reading."""
        if result.observation.upstream is not None:
            self.pages[series.probe.id] = service, result.observation.upstream, result.started_at

    # Incidents

    def latest(self, service: str, cause: Cause) -> Incident | None:
        """Return the latest incident of a service and cause, open or not."""
        return self._latest.get((service, cause))

    def incident(self, incident: str) -> Incident | None:
        """Return an incident by id."""
        return self.incidents.get(incident)

    def has_open(self, service: str) -> bool:
        """Say whether any incident of a service is open."""
        return service in self._open

    def incidents_begun(self, since: datetime, until: datetime) -> Sequence[Incident]:
        """Return the incidents of every service that began in that time, both ends included."""
        return [item for item in self.incidents.values() if since <= item.started_at <= until]

    def quoted(self, incident: str) -> set[tuple[str, datetime]]:
        """Return (the vendor's incident, when it was said) of what a timeline quotes already."""
        return self._quoted.setdefault(incident, set())

    def happened(self, event: IncidentEvent, incident: Incident | None) -> Incident:
        """Append an event to an incident's history; returns the incident after it."""
        after = apply(incident, event)
        self.events.append(event)
        self.incidents[after.id] = after
        latest = self._latest.get((after.service, after.cause))
        if latest is None or latest.id == after.id or is_open(after):
            self._latest[after.service, after.cause] = after
        self._note_open(after)
        if isinstance(event.what, UpstreamSaid):
            self._quoted.setdefault(after.id, set()).add((event.what.incident, event.what.said_at))
        return after

    def _note_open(self, incident: Incident) -> None:
        """Keep, by service, the ids of the incidents that are open: asked for with every look."""
        if is_open(incident):
            self._open.setdefault(incident.service, set()).add(incident.id)
            return
        mine = self._open.get(incident.service, set())
        mine.discard(incident.id)
        if not mine:
            self._open.pop(incident.service, None)

    # Alerts

    def mute(self, alert: Alert) -> None:
        """Ignore this alert's condition until it has ended once."""
        self.muted.add(alert.key)

    def unmute(self, key: str) -> None:
        """Stop ignoring a condition."""
        self.muted.discard(key)

    def alert(self, alert: str) -> Alert | None:
        """Return an alert by id, open or not."""
        return self.alerts.get(alert)

    def has_alert(self, alert: str) -> bool:
        """Say whether an id is taken."""
        return alert in self.alerts

    def put_alert(self, alert: Alert) -> None:
        """Keep a new version of an alert."""
        self.alerts[alert.id] = alert
        if alert.state is not AlertState.RESOLVED:
            self.open_alerts[alert.key] = alert
        elif (standing := self.open_alerts.get(alert.key)) is not None and standing.id == alert.id:
            del self.open_alerts[alert.key]

    def log_alert(self, alert: str, at: datetime, kind: str, by: str, data: Mapping[str, object]) -> None:
        """Append to an alert's history."""
        self.alert_log.append((alert, at, kind, by, data))

    def told(self, alert: str) -> dict[str, NotificationLog]:
        """Return route id → what it was told of an alert."""
        return self.told_of.setdefault(alert, {})

    def fired_since(self, since: datetime) -> Iterable[Alert]:
        """Return the alerts that fired after ``since`` and are over."""
        return [
            alert for alert in self.alerts.values() if alert.fired_at > since and alert.state is AlertState.RESOLVED
        ]

    def outages_since(self, since: datetime) -> Iterable[tuple[Alert, Mapping[str, NotificationLog]]]:
        """Return the alerts about outages that are not over or ended after ``since``, with who was told."""
        return [
            (alert, self.told(alert.id))
            for alert in self.alerts.values()
            if alert.rule == Rule.COMPONENT_DOWN and (alert.resolved_at is None or alert.resolved_at >= since)
        ]

    def decided(self, decision: Decision, alert: Alert, channels: Sequence[str]) -> None:
        """Keep a decision, and one due delivery per channel where it says that somebody is told."""
        self.decisions.append(decision)
        self.notices += [Notice(alert, decision.route, channel, decision.why) for channel in channels]

    def replace_waiting(self, notice: Notice) -> bool:
        """Put this in the place of a delivery of the same alert, route and channel; or say that there is none."""
        for place in range(len(self.notices) - 1, -1, -1):
            old = self.notices[place]
            if (old.alert.id, old.route, old.channel) == (notice.alert.id, notice.route, notice.channel):
                self.notices[place] = notice
                return True
        return False

    def put_notice(self, notice: Notice) -> bool:
        """Make a delivery due that no decision stands behind; False if it was made before."""
        fresh = all(item.alert.id != notice.alert.id for item in self.notices)
        if fresh:
            self.notices.append(notice)
        return fresh

    def silences(self) -> Sequence[SilenceWindow]:
        """Return the silences that nobody ended."""
        return [item for name, (item, _, _) in self.silence_windows.items() if name not in self.ended_silences]

    def windows(self, at: datetime) -> Sequence[Window]:
        """Return the maintenance windows around ``at``."""
        if not self.planned:
            return ()
        since, until = around(at)
        if self._windows is None or self._windows[0] != since:
            found = [
                window
                for _, plan in sorted(self.planned.items())
                for window in held(plan.item, plan.announced_at, plan.called_off_at, since, until)
            ]
            self._windows = since, found
        return self._windows[1]

    # Workers

    def workers(self) -> Sequence[WorkerRow]:
        """Return every worker that ever gave a sign of life."""
        return [row for _, row in sorted(self.worker_rows.items())]

    def put_worker(self, row: WorkerRow) -> None:
        """Keep a worker's sign of life."""
        self.worker_rows[row.report.worker] = row

    @property
    def watched_since(self) -> datetime | None:
        """Since when some worker lives without a break, or since the catalogue is in force if that is later."""
        return max((at for at in (self.woke_at, self.published_at) if at is not None), default=None)

    def woke(self, at: datetime) -> None:
        """Begin a time in which some worker lives."""
        self.woke_at = at

    # People

    def put_silence(self, silence: SilenceWindow, by: str, why: str) -> bool:
        """Keep a silence; False if it is kept already."""
        fresh = silence.id not in self.silence_windows
        self.silence_windows.setdefault(silence.id, (silence, by, why))
        return fresh

    def end_silence(self, silence: str, at: datetime) -> bool | None:
        """End a silence; False if it was over already, None if there is none of that id."""
        found = self.silence_windows.get(silence)
        if found is None:
            return None
        if silence in self.ended_silences or found[0].ends_at <= at:
            return False
        self.ended_silences.add(silence)
        return True

    def put_maintenance(self, item: Maintenance, title: str, text: str, by: str) -> bool:
        """Keep planned work; False if it is kept already."""
        if item.id in self.planned:
            return False
        self.planned[item.id] = Planned(item, item.starts_at, title, text, by)
        self._windows = None
        return True

    def cancel_maintenance(self, maintenance: str, at: datetime) -> bool | None:
        """Call planned work off; False if it was called off already, None if there is none of that id."""
        found = self.planned.get(maintenance)
        if found is None:
            return None
        if found.called_off_at is not None:
            return False
        found.called_off_at, self._windows = at, None
        return True

    def put_verdict(self, alert: str, verdict: Verdict, by: str, at: datetime, note: str) -> None:
        """Keep what a person said of an alert afterwards."""
        self.verdicts[alert] = verdict, by, at, note
