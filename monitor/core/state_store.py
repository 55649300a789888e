"""What :class:`monitor.core.evaluation.Evaluation` reads and writes: one protocol, two implementations.

:class:`monitor.core.memory_store.MemoryStore` holds everything in dictionaries (replay, backtest, scenarios);
:class:`monitor.store.transaction.store.SqlStore` begins with what the database holds and writes back what changed.
Both hand out the same mutable rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from monitor.core.alerts.grouping import NotificationLog
from monitor.core.alerts.routing import SilenceWindow
from monitor.core.catalogue import Component, Index, Probe
from monitor.core.checks.calm import Calm
from monitor.core.checks.probe_state import ProbeState
from monitor.core.components.baseline import Unusual
from monitor.core.components.health import ComponentHealth, component_health
from monitor.core.components.registration.rules import RegistrationState
from monitor.core.doubt.sight import Sight, sight_of
from monitor.core.entities import Alert, Decision, Incident, IncidentEvent, RegistrationChange
from monitor.core.maintenance import Maintenance, Window
from monitor.core.model.alerting import Verdict, Why
from monitor.core.model.incident_events import Cause
from monitor.core.model.observations import Certificate, Result
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.core.schedule import from_micros


class Series:
    """One probe at one location."""

    __slots__ = ("_state", "calm", "changed", "location", "probe", "rewound")

    def __init__(
        self, probe: Probe, location: str, state: ProbeState, changed: bool = False, rewound: bool = False
    ) -> None:
        self.probe = probe
        self.location = location
        self.changed = changed
        self.rewound = rewound
        """Its watermark lay in the future, from a clock that ran ahead, and was forgotten when it was read."""
        self._state = state
        self.calm: Calm | None = None
        """Looks that wait to be folded, and that more like them may come; set after the state that they follow."""

    @property
    def state(self) -> ProbeState:
        """What its looks come to, those of calm time folded in when somebody asks."""
        calm = self.calm
        if calm is not None and calm.looks:
            self._state = calm.folded(self._state)
        return self._state

    @state.setter
    def state(self, state: ProbeState) -> None:
        self._state, self.calm = state, None

    @property
    def sight(self) -> Sight | None:
        """What its newest look tells of our own side: of calm time without folding its looks for that."""
        calm = self.calm
        if calm is None or not calm.looks:
            return sight_of(self._state)
        before, at = sight_of(self._state), from_micros(calm.at_us)
        return replace(before, at=at, good_at=at, answered_at=at) if before is not None else None


@dataclass(slots=True)
class ComponentRow:
    """A component with the verdict that is shown; the stretch since ``span_at`` is not closed yet."""

    component: Component
    span_at: datetime
    health: Health = Health.UNKNOWN
    since: datetime | None = None
    reason: str = ""
    """Value of a :class:`Reason`; empty before the first verdict."""
    detail: str = ""
    registration: RegistrationState | None = None
    known_at: datetime | None = None
    """While the health is unknown: the first evidence since, before which the time stays unknown."""
    unusual: tuple[Unusual, ...] = ()
    """What is slower than usual for the hour of the week, by probe."""
    series: list[Series] = field(default_factory=list)
    changed: bool = False
    _seen: tuple[datetime, list[tuple[Probe, ProbeState]], ComponentHealth] | None = field(default=None, repr=False)

    @property
    def pairs(self) -> list[tuple[Probe, ProbeState]]:
        """What :func:`monitor.core.components.health.component_health` takes."""
        return [(series.probe, series.state) for series in self.series]

    def seen(self, at: datetime) -> ComponentHealth:
        """Return what the looks alone say as of ``at``; with nothing new it is not worked out twice."""
        pairs = self.pairs
        if self._seen is not None and self._seen[0] == at and len(pairs) == len(self._seen[1]):
            known = zip(pairs, self._seen[1], strict=True)
            if all(state is before and probe is then for (probe, state), (then, before) in known):
                return self._seen[2]
        found = component_health(pairs, at)
        self._seen = at, pairs, found
        return found

    @property
    def is_down(self) -> bool:
        """Say whether its looks fail; a sign-up that is closed by policy is no fault that explains others."""
        return self.health in (Health.PARTIAL, Health.MAJOR) and self.reason != Reason.OK


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A worker's heartbeat. ``blind`` says why its network is broken, empty while it works."""

    worker: str
    location: str
    blind: str = ""
    spooled: int = 0
    loop_lag_s: float = 0.0
    started_at: datetime | None = None
    held: str = ""
    """Which services' looks it holds in quarantine, and what to do; empty when it holds none."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """What is kept of a worker."""

    report: WorkerReport
    seen_at: datetime
    blind_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One delivery to one channel. ``route`` is empty for a test that a person asked for."""

    alert: Alert
    route: str
    channel: str
    why: Why


class StateStore(Protocol):
    """See the module. Sequences are in a stable order; what is returned may be changed in place where it says so."""

    index: Index
    """The catalogue in force."""
    removed: frozenset[str]
    """Components that are taken out of the catalogue just now."""

    # Looks

    @property
    def rows(self) -> Mapping[str, ComponentRow]:
        """Components by id, of the services that are loaded; change in place and set ``changed``."""

    def load(self, services: Iterable[str]) -> None:
        """Lock and load every component of these services with all its series."""

    def of_service(self, service: str) -> Sequence[ComponentRow]:
        """Return the rows of a service in the order of the page."""

    def component(self, component: str) -> ComponentRow | None:
        """Return a component of any service, to look at only."""

    def series(self, probe: Probe, location: str) -> Series:
        """Return the series of a probe at a location, made on its first result; change in place."""

    def peers(self, service: str) -> Iterable[Series]:
        """Return every series of a service."""

    def at_location(self, location: str) -> Iterable[Series]:
        """Return every series of a location, to look at only."""

    def close_span(self, row: ComponentRow, end: datetime) -> None:
        """Store the span of the row's present health that ends at ``end``, unless it is empty."""

    def log_registration(self, changes: Sequence[RegistrationChange]) -> None:
        """Keep confirmed changes of ways to sign up."""

    def keep_certificate(self, series: Series, found: Certificate, at: datetime) -> None:
        """Keep the certificate that a series saw last."""

    def upstream_readings(self, service: str, since: datetime | None = None) -> Sequence[UpstreamReading]:
        """Return what the vendor's own pages said last; with ``since`` only what was read at that moment or later."""

    def keep_upstream(self, series: Series, service: str, result: Result) -> None:
        """Keep the result of a look at the vendor's own page, also that it failed."""

    # Incidents

    def latest(self, service: str, cause: Cause) -> Incident | None:
        """Return the latest incident of a service and cause, open or not."""

    def incident(self, incident: str) -> Incident | None:
        """Return an incident by id."""

    def has_open(self, service: str) -> bool:
        """Say whether any incident of a loaded service is open."""

    def incidents_begun(self, since: datetime, until: datetime) -> Sequence[Incident]:
        """Return the incidents of every service that began in that time, both ends included."""

    def quoted(self, incident: str) -> Collection[tuple[str, datetime]]:
        """Return (the vendor's incident, when it was said) of what a timeline quotes already."""

    def happened(self, event: IncidentEvent, incident: Incident | None) -> Incident:
        """Append an event to an incident's history; returns the incident after it."""

    # Alerts

    @property
    def open_alerts(self) -> Mapping[str, Alert]:
        """Alerts that are not resolved, by key."""

    @property
    def muted(self) -> Collection[str]:
        """Keys of alerts that a person resolved while their condition lasts."""

    def mute(self, alert: Alert) -> None:
        """Ignore this alert's condition until it has ended once."""

    def unmute(self, key: str) -> None:
        """Stop ignoring a condition."""

    def alert(self, alert: str) -> Alert | None:
        """Return an alert by id, open or not."""

    def has_alert(self, alert: str) -> bool:
        """Say whether an id is taken, also by an alert that cannot be read."""

    def put_alert(self, alert: Alert) -> None:
        """Keep a new version of an alert."""

    def log_alert(self, alert: str, at: datetime, kind: str, by: str, data: Mapping[str, object]) -> None:
        """Append to an alert's history."""

    def told(self, alert: str) -> MutableMapping[str, NotificationLog]:
        """Return route id → what it was told of an alert; change in place, then :meth:`put_alert`."""

    def fired_since(self, since: datetime) -> Iterable[Alert]:
        """Return the alerts that fired after ``since`` and are over."""

    def outages_since(self, since: datetime) -> Iterable[tuple[Alert, Mapping[str, NotificationLog]]]:
        """Return the alerts about outages that are not over or ended after ``since``, with who was told."""

    def decided(self, decision: Decision, alert: Alert, channels: Sequence[str]) -> None:
        """Keep a decision, and one due delivery per channel where it says that somebody is told."""

    def replace_waiting(self, notice: Notice) -> bool:
        """Replace a delivery of the same alert, route and channel that was never tried; False if there is none."""

    def put_notice(self, notice: Notice) -> bool:
        """Make a delivery due without a decision (a test notice); False if it was made before."""

    def silences(self) -> Sequence[SilenceWindow]:
        """Return the silences that are in force now or will be."""

    def windows(self, at: datetime) -> Sequence[Window]:
        """Return the maintenance windows of the two days before ``at`` and the hour after."""

    # Workers

    def workers(self) -> Sequence[WorkerRow]:
        """Return every worker that ever sent a heartbeat."""

    def put_worker(self, row: WorkerRow) -> None:
        """Keep a worker's heartbeat."""

    @property
    def watched_since(self) -> datetime | None:
        """Since when some worker lives without a break, or since the catalogue is in force if that is later."""

    def woke(self, at: datetime) -> None:
        """Begin a time in which some worker lives."""

    # People

    def put_silence(self, silence: SilenceWindow, by: str, why: str) -> bool:
        """Keep a silence; False if it is kept already."""

    def end_silence(self, silence: str, at: datetime) -> bool | None:
        """End a silence; False if it was over already, None if there is none of that id."""

    def put_maintenance(self, item: Maintenance, title: str, text: str, by: str) -> bool:
        """Keep planned work; False if it is kept already."""

    def cancel_maintenance(self, maintenance: str, at: datetime) -> bool | None:
        """Cancel planned work; False if it was cancelled already, None if there is none of that id."""

    def put_verdict(self, alert: str, verdict: Verdict, by: str, at: datetime, note: str) -> None:
        """Keep what a person said of an alert afterwards."""
