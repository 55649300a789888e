"""The nouns of judgement: states kept between looks, incident events, alerts and notices.

Facts are appended and the present is folded from them; the folding itself is in the rule modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from monitor.core.model import (
    AlertState,
    Health,
    Impact,
    IncidentStatus,
    Method,
    Reason,
    Registration,
    Severity,
    Source,
    Why,
)
from monitor.core.rules import AnyRule


@dataclass(frozen=True, slots=True)
class MethodState:
    """What we hold to be true of one way to sign up."""

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


class Cause(StrEnum):
    """One incident at a time is open per service and cause."""

    OUTAGE = "outage"
    REGISTRATION = "registration"


class EventKind(StrEnum):
    """What can happen to an incident. ``data`` keys of each kind are listed beside it; all values are JSON."""

    OPENED = "opened"
    """service, cause, components: [id], health: {id: health}, reason, detail, location_count, voter_count,
    first_failed_at, impact, public; from a person also title, text"""
    COMPONENT_WORSE = "component_worse"
    """component, health, reason"""
    COMPONENT_BETTER = "component_better"
    """component, health; unsaid: true where another incident tells of the component in the same breath"""
    IMPACT_CHANGED = "impact_changed"
    """impact"""
    REGISTRATION_CHANGED = "registration_changed"
    """component, method, before, after, country_codes, email_domains, invite_required, approval_required, source,
    excerpt, url"""
    UPSTREAM_SAID = "upstream_said"
    """provider, incident, name, status, body, url, said_at"""
    RECOVERING = "recovering"
    """Good evidence again; the incident is being monitored."""
    RELAPSED = "relapsed"
    """component, health, reason; it failed again while being monitored"""
    RESOLVED = "resolved"
    """duration_s, by_rule: bool"""
    REOPENED = "reopened"
    """component, health, reason; it failed again within the reopen window"""
    NOTE = "note"
    """A person's update. text; optional: status (that the person sets), impact, title"""
    PUBLISHED = "published"
    HIDDEN = "hidden"
    PROBE_REMOVED = "probe_removed"
    """component; closed because nobody looks any more, which is no recovery"""
    POSTMORTEM = "postmortem"
    """text"""
    RELATED = "related"
    """others: [[incident, service]] (the nearest), count, within_s; outages of other services that began together"""


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One append-only line of an incident's history."""

    incident: str
    seq: int
    """1, 2, 3 … within the incident."""
    at: datetime
    """When it happened (for OPENED the first failed look), not when it was written."""
    recorded_at: datetime
    kind: EventKind
    by: str = ""
    """Empty for the rules, else the name of the person."""
    data: Mapping[str, Any] = field(default_factory=dict)


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
