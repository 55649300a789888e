"""The nouns of judgement: states kept between looks, incident events, alerts and notices.

Facts are appended and the present is folded from them; the folding itself is in the rule modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from monitor.core.model.alert_rules import AnyRule
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.core.model.incident_events import Cause, EventData, EventKind
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, PlaceWord, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus


@dataclass(frozen=True, slots=True)
class PlaceState:
    """What we hold to be true of one way to sign up as seen from one place."""

    word: PlaceWord
    since: datetime
    read_at: datetime
    source: Source
    last: Registration
    """Its last known state, kept while it is unknown."""


@dataclass(frozen=True, slots=True)
class MethodState:
    """What we hold to be true of one way to sign up, over all places."""

    method: Method
    state: Registration
    since: datetime
    read_at: datetime
    """When the newest reading that supports it was taken; past the source's age limit the state is unknown."""
    source: Source
    country_codes: tuple[str, ...] = ()
    email_domains: tuple[str, ...] = ()
    invite_required: bool = False
    approval_required: bool = False
    excerpt: str = ""
    url: str = ""
    failed_ratio: float | None = None
    places: tuple[PlaceState, ...] = ()
    """What each place sees that has told of it within a day, whether they agree or not; none in old rows."""

    @property
    def differing(self) -> tuple[PlaceWord, ...]:
        """What each place sees, if it is not the same everywhere; places of which nothing is known have no voice."""
        known = tuple(item.word for item in self.places if item.word.state is not Registration.UNKNOWN)
        return known if len({replace(word, place="", failed_ratio=None) for word in known}) > 1 else ()


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One append-only line of an incident's history."""

    incident: str
    seq: int
    """1, 2, 3 … within the incident."""
    at: datetime
    """When it happened (for OPENED the first failed look), not when it was written."""
    recorded_at: datetime
    what: EventData
    by: str = ""
    """Empty for the rules, else the name of the person."""

    @property
    def kind(self) -> EventKind:
        """The word that it is stored by."""
        return self.what.kind


@dataclass(frozen=True, slots=True)
class Incident:
    """The projection of an incident's events. ``title`` is a person's; empty means the rules' sentence is shown."""

    id: str
    service: str
    cause: Cause
    status: IncidentStatus
    impact: Impact
    started_at: datetime
    detected_at: datetime
    components: tuple[str, ...]
    """Every component that was ever part of it."""
    failing: Mapping[str, Health] = field(default_factory=dict)
    """Components failing now, with their health."""
    good_since: datetime | None = None
    """Start of the unbroken good evidence while it is being monitored."""
    resolved_at: datetime | None = None
    public: bool = True
    title: str = ""
    status_by: str = ""
    """Who set the status last; a person's word wins over the rules until the next relapse or the resolution."""
    last_seq: int = 0
    impact_by: str = ""
    """Who set the impact last; empty while the rules do."""
    hidden_by: str = ""
    """Who took it from the public page; the rules do not publish it again."""
    related: tuple[str, ...] = ()
    """Incidents of other services that its timeline says began together with it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What pages a person. ``key`` is the deduplication key: sha256 over service, component, rule and scope."""

    id: str
    key: str
    rule: AnyRule
    """One of ours, or the word of an alert from outside."""
    severity: Severity
    state: AlertState
    service: str
    component: str
    started_at: datetime
    fired_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    resolved_at: datetime | None = None
    incident: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Facts that the words are made of: health, reason, registration change, expiry …"""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a route is told about an alert, and why or why not. Stored either way."""

    alert: str
    route: str
    send: bool
    why: Why
    at: datetime
    severity: Severity | None = None
    """How loud the alert was then; it may grow louder later."""


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """A component's verdict changed; the start is the first look that showed it."""

    component: str
    before: Health
    after: Health
    at: datetime
    since: datetime
    reason: Reason
    detail: str = ""
    locations: int = 1


@dataclass(frozen=True, slots=True)
class RegistrationChange:
    """A way to sign up changed its state, confirmed by two equal readings."""

    component: str
    at: datetime
    before: MethodState | None
    after: MethodState
