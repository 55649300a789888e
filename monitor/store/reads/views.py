"""What readers get: frozen views, complete and cheap to draw. No page ever sees a table row.

Times are aware UTC, durations seconds, ratios 0–1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from monitor.core.catalogue import ComponentKind, Probe
from monitor.core.components.baseline import Unusual
from monitor.core.components.slo import Budget
from monitor.core.entities import Alert, IncidentEvent, MethodState
from monitor.core.judging.pipeline import WORKER_LIMIT
from monitor.core.model.alerting import Sending, Verdict, Why
from monitor.core.model.incident_events import Cause
from monitor.core.model.observations import Certificate, Result
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamReading
from monitor.core.model.warning_codes import WarningCode

MAINTENANCE = "maintenance"
"""The drawn state of a component on which planned work goes on."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """Wall time of a window, split without remainder: the five parts add up to ``window_s``."""

    window_s: float
    up_s: float
    degraded_s: float
    down_s: float
    maintenance_s: float
    unknown_s: float

    @property
    def ratio(self) -> float | None:
        """(up + degraded) / (up + degraded + down): neither maintenance nor unknown. None if never known."""
        known = self.up_s + self.degraded_s + self.down_s
        return None if known <= 0 else (self.up_s + self.degraded_s) / known


@dataclass(frozen=True, slots=True)
class DayBar:
    """One UTC day of one component: seconds per state, adding up to the part of the day that has passed."""

    day: date
    operational_s: float
    degraded_s: float
    partial_s: float
    major_s: float
    maintenance_s: float
    unknown_s: float
    incidents: int = 0


@dataclass(frozen=True, slots=True)
class LatencyPoint:
    """One bucket of a latency series. Percentiles come from merged sketches (error at most 1 %)."""

    at: datetime
    p50_s: float | None
    p95_s: float | None
    looks: int
    failures: Mapping[str, int]
    """Reason value → count."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of a component over a window. ``what`` is ``ttft`` for chat probes and ``response`` for the rest."""

    what: str
    window_s: float
    p50_s: float | None
    p95_s: float | None
    looks: int
    recent: tuple[LatencyPoint, ...] = ()
    """The last 24 hours."""


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """Registration of a component: an overall word and each method with its evidence."""

    overall: Health
    methods: tuple[MethodState, ...]


@dataclass(frozen=True, slots=True)
class ComponentView:
    """A component as shown. ``health`` is already UNKNOWN when the evidence is stale."""

    id: str
    service: str
    name: str
    names: Mapping[str, str]
    """Code of a language → the name in it."""
    kind: ComponentKind
    health: Health
    since: datetime | None
    """Start of the current health."""
    observed_at: datetime | None
    """The newest evidence; None if nobody ever looked."""
    reason: Reason
    detail: str
    maintenance: bool
    days: tuple[DayBar, ...]
    """Up to 90 UTC days, oldest first, today last."""
    uptime: Uptime
    latency: Latency | None
    registration: RegistrationView | None
    disabled: tuple[str, ...] = ()
    """Why probes of it do not run, one sentence each."""
    budget: Budget | None = None
    """The error budget of the newest 30 of :attr:`days`; None where nothing is held to an objective."""
    unusual: Unusual | None = None
    """What is slower than usual for the hour of the week, while that is all there is to say against it."""
    learning: bool = False
    """It is operational by its status alone: what its page looks like on good days is not known yet."""
    watched: bool = True
    """False if no look of ours judges it: only the vendor's word is there, or nothing can be seen from outside."""

    @property
    def state(self) -> str:
        """What is drawn and said of it: its health, or ``maintenance`` laid over that."""
        return MAINTENANCE if self.maintenance else str(self.health)


@dataclass(frozen=True, slots=True)
class UpstreamView:
    """The vendor's own page as last read."""

    reading: UpstreamReading | None
    """None when it could never be read."""
    read_at: datetime | None
    failed_since: datetime | None
    """Since when it cannot be read; shown with its age, never as green."""
    reason: Reason


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service with its components in page order."""

    id: str
    name: str
    url: str
    status_page: str
    health: Health
    """The worst of its components; UNKNOWN if none is in trouble and any is unknown."""
    components: tuple[ComponentView, ...]
    upstream: UpstreamView | None
    uptime: Uptime

    @property
    def judged(self) -> tuple[ComponentView, ...]:
        """The components that looks of ours judge: what is said of the whole service rests on these alone."""
        return tuple(part for part in self.components if part.watched)


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident with its whole timeline, oldest event first."""

    id: str
    service: str
    service_name: str
    cause: Cause
    title: str
    status: IncidentStatus
    impact: Impact
    started_at: datetime
    detected_at: datetime
    resolved_at: datetime | None
    updated_at: datetime
    components: tuple[str, ...]
    component_names: Mapping[str, str]
    public: bool
    events: tuple[IncidentEvent, ...]
    lead_s: float | None
    """Seconds by which we were ahead of the vendor's page (negative: behind); None without a matching announcement."""
    good_since: datetime | None = None
    """Since when all is good while it is watched whether that lasts."""
    now: Mapping[str, str] | None = None
    """Component of an open incident → its state now, as everything else in the snapshot shows it."""


@dataclass(frozen=True, slots=True)
class MaintenanceView:
    """A maintenance window, announced or going on."""

    id: str
    service: str
    components: tuple[str, ...]
    title: str
    text: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A model that is answered by another one, or left the vendor's list, and for how long."""

    service: str
    component: str
    what: WarningCode
    asked: str
    """Empty where the component says which model it is."""
    told: str
    """The model that answered instead; empty where none is told."""
    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as the database last saw it."""

    id: str
    location: str
    seen_at: datetime
    blind_since: datetime | None
    blind_reason: str
    spooled: int
    loop_lag_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a public page shows, from one consistent read."""

    taken_at: datetime
    as_of: datetime | None
    """When a worker last reported; None if none ever did."""
    stale: bool
    """True when ``as_of`` is older than its limit: everything is shown grey with a banner."""
    workers: tuple[WorkerView, ...]
    services: tuple[ServiceView, ...]
    open_incidents: tuple[IncidentView, ...]
    """Newest first."""
    past_incidents: tuple[IncidentView, ...]
    """Resolved within 90 days, newest first."""
    maintenances: tuple[MaintenanceView, ...]
    label: str = ""
    """Shown on every page when set, e.g. that this is a reconstruction."""
    model_changes: tuple[ModelChange, ...] = ()
    """Newest first, of 90 days."""
    broken: bool = False
    """True when a worker found our own database unusable: what is shown is what was read of it before."""

    @property
    def watching(self) -> tuple[WorkerView, ...]:
        """Workers that were not silent while another one reported: one that was ended neither sees nor is blind."""
        return watching(self.workers, self.taken_at)

    @property
    def blind_since(self) -> datetime | None:
        """Since when every reporting worker is blind; None while any of them sees."""
        return blind_since(self.workers, self.taken_at)


def watching(workers: tuple[WorkerView, ...], now: datetime) -> tuple[WorkerView, ...]:
    """Return the workers that were not silent while another one reported."""
    newest = max((worker.seen_at for worker in workers), default=now)
    return tuple(worker for worker in workers if newest - worker.seen_at <= WORKER_LIMIT)


def blind_since(workers: tuple[WorkerView, ...], now: datetime) -> datetime | None:
    """Return since when every reporting worker is blind; None while any of them sees."""
    found = watching(workers, now)
    if not found or any(worker.blind_since is None for worker in found):
        return None
    return max(worker.blind_since for worker in found if worker.blind_since)


def agreed(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with its open incidents in the present state of their components.

    Headline, title, mark, JSON and feed then cannot say different things of one component: what it is now is said once.
    """
    parts = {part.id: part for service in snapshot.services for part in service.components}

    def state(part: ComponentView, cause: Cause) -> str:
        """Who may sign up is told by an incident of its own, and is no outage."""
        by_policy = cause is Cause.OUTAGE and part.health.severity and part.reason is Reason.OK
        return str(Health.OPERATIONAL) if by_policy and not part.maintenance else part.state

    def told(incident: IncidentView) -> IncidentView:
        now = {name: state(parts[name], incident.cause) for name in incident.components if name in parts}
        return replace(incident, now=now) if now else incident

    return replace(snapshot, open_incidents=tuple(map(told, snapshot.open_incidents)))


@dataclass(frozen=True, slots=True)
class DecisionView:
    """Why a route was or was not told about an alert, and how the delivery went."""

    route: str
    send: bool
    why: Why
    at: datetime


@dataclass(frozen=True, slots=True)
class NoticeView:
    """One delivery of an alert."""

    id: int
    channel: str
    route: str
    why: Why
    sending: Sending
    created_at: datetime
    sent_at: datetime | None
    tries: int
    error: str


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert as the person on call sees it."""

    alert: Alert
    service_name: str
    component_name: str
    component_names: Mapping[str, str]
    """Its name in other languages, by their codes."""
    decisions: tuple[DecisionView, ...]
    """Oldest first: answers *why was I (not) paged?*."""
    notices: tuple[NoticeView, ...]
    verdict: Verdict | None
    """What a person said of it afterwards; None is *unreviewed*."""


@dataclass(frozen=True, slots=True)
class SilenceView:
    """A silence, in force, to come or over."""

    id: str
    starts_at: datetime
    ends_at: datetime
    service: str
    component: str
    rule: str
    by: str
    why: str
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditView:
    """One line of who did what, when and why."""

    at: datetime
    who: str
    action: str
    subject: str
    why: str


@dataclass(frozen=True, slots=True)
class ProbeView:
    """A probe at a location with its newest look."""

    probe: Probe
    location: str
    result: Result | None
    evidence_at: datetime | None
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class CostView:
    """What a chat probe used at a location on one UTC day."""

    probe: Probe
    location: str
    day: date
    asks: int
    """Questions that were answered."""
    tokens_in: int
    tokens_out: int
    usd: float | None
    """None while the probe has no prices."""
    pace_s: float | None
    """Mean time between its newest questions; None for a day that is over, and for one question alone."""
