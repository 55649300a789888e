"""What can happen to an incident: one class per kind of event, and the union of them.

Each class is the payload of an :class:`monitor.core.entities.IncidentEvent`. How it is stored is the business of
:mod:`monitor.core.incidents.event_json`: fields without a default and those that are :data:`Kept` are always written,
the others only where they differ from their default. A new class belongs into :data:`EventData` and its kind into
:class:`EventKind`; mypy then names every place that has to know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, TypeVar

from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, PlaceWord, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus


class Cause(StrEnum):
    """One incident at a time is open per service and cause."""

    OUTAGE = "outage"
    REGISTRATION = "registration"


class EventKind(StrEnum):
    """The stored word of an event's class: never rename one."""

    OPENED = "opened"
    COMPONENT_WORSE = "component_worse"
    COMPONENT_BETTER = "component_better"
    IMPACT_CHANGED = "impact_changed"
    REGISTRATION_CHANGED = "registration_changed"
    UPSTREAM_SAID = "upstream_said"
    RECOVERING = "recovering"
    RELAPSED = "relapsed"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    NOTE = "note"
    PUBLISHED = "published"
    HIDDEN = "hidden"
    PROBE_REMOVED = "probe_removed"
    POSTMORTEM = "postmortem"
    RELATED = "related"


T = TypeVar("T")
KEPT = "kept"
Kept = Annotated[T, KEPT]
"""A field that is written even where it holds its default."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident begins. From the rules it says what failed first; from a person it has a title."""

    kind: ClassVar = EventKind.OPENED
    service: str
    cause: Cause
    impact: Impact
    components: Kept[tuple[str, ...]] = ()
    health: Kept[Mapping[str, Health]] = field(default_factory=dict)
    public: Kept[bool] = True
    reason: Reason | None = None
    detail: str | None = None
    location_count: int | None = None
    voter_count: int | None = None
    first_failed_at: datetime | None = None
    title: str | None = None
    login: Mapping[str, Health] = field(default_factory=dict)
    """Log-in components that are not part of the incident, with what became of them."""


@dataclass(frozen=True, slots=True)
class ComponentWorse:
    """A component of it began to fail, or fails worse."""

    kind: ClassVar = EventKind.COMPONENT_WORSE
    component: str
    health: Health
    reason: Reason | None = None
    detail: str | None = None
    login: Mapping[str, Health] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComponentBetter:
    """A component of it fails less, or no longer."""

    kind: ClassVar = EventKind.COMPONENT_BETTER
    component: str
    health: Health
    unsaid: bool = False
    """Another incident reports the same component at the same moment, so this line is not shown."""


@dataclass(frozen=True, slots=True)
class ImpactChanged:
    """The impact follows the worst component, or what a person set."""

    kind: ClassVar = EventKind.IMPACT_CHANGED
    impact: Impact


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """A way to sign up changed its state, confirmed by two equal readings."""

    kind: ClassVar = EventKind.REGISTRATION_CHANGED
    component: str
    method: Method
    after: Registration
    before: Kept[Registration] = Registration.UNKNOWN
    source: Kept[Source | None] = None
    excerpt: Kept[str] = ""
    url: Kept[str] = ""
    country_codes: Kept[tuple[str, ...]] = ()
    email_domains: Kept[tuple[str, ...]] = ()
    invite_required: Kept[bool] = False
    approval_required: Kept[bool] = False
    login: Mapping[str, Health] = field(default_factory=dict)
    failed_ratio: float | None = None
    places: tuple[PlaceWord, ...] = ()
    """What each place sees, where they differ."""


@dataclass(frozen=True, slots=True)
class UpstreamSaid:
    """One update of the vendor's own incident, as read by us: quoted, never obeyed."""

    kind: ClassVar = EventKind.UPSTREAM_SAID
    provider: str
    incident: str
    name: str
    status: IncidentStatus | None
    body: str
    url: str
    said_at: datetime
    components: tuple[str, ...] = ()
    """Those of our incident that it names; none if it names no part."""


@dataclass(frozen=True, slots=True)
class Recovering:
    """Good evidence again; the incident is being monitored."""

    kind: ClassVar = EventKind.RECOVERING
    components: Kept[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Relapsed:
    """It failed again while being monitored."""

    kind: ClassVar = EventKind.RELAPSED
    component: str
    health: Health
    reason: Reason | None = None
    detail: str | None = None
    login: Mapping[str, Health] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved:
    """It is over: by the rules after the recovery window, or by a person's word."""

    kind: ClassVar = EventKind.RESOLVED
    duration_s: Kept[float] = 0.0
    by_rule: Kept[bool] = False


@dataclass(frozen=True, slots=True)
class Reopened:
    """It failed again within the reopen window."""

    kind: ClassVar = EventKind.REOPENED
    component: str
    health: Health
    reason: Reason | None = None
    detail: str | None = None
    login: Mapping[str, Health] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """A person's update, with the status, impact or title that the person sets."""

    kind: ClassVar = EventKind.NOTE
    text: str = ""
    status: IncidentStatus | None = None
    impact: Impact | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """It is shown to the public; the rules say whether a review took too long."""

    kind: ClassVar = EventKind.PUBLISHED
    review_expired: bool | None = None


@dataclass(frozen=True, slots=True)
class Hidden:
    """A person took it from the public page."""

    kind: ClassVar = EventKind.HIDDEN


@dataclass(frozen=True, slots=True)
class ProbeRemoved:
    """Closed because nobody looks any more, which is no recovery."""

    kind: ClassVar = EventKind.PROBE_REMOVED
    component: str
    components: Kept[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Postmortem:
    """The account written after the resolution."""

    kind: ClassVar = EventKind.POSTMORTEM
    text: Kept[str] = ""


@dataclass(frozen=True, slots=True)
class Related:
    """Outages of other services that began together with it; the nearest are named."""

    kind: ClassVar = EventKind.RELATED
    others: Kept[tuple[tuple[str, ...], ...]] = ()
    """(incident, service) pairs."""
    count: Kept[int] = 0
    within_s: Kept[float] = 0.0
    names: tuple[str, ...] = ()
    """The services' names, as far as a reader may see them: filled in by reads, never stored."""


EventData = (
    Opened
    | ComponentWorse
    | ComponentBetter
    | ImpactChanged
    | RegistrationChanged
    | UpstreamSaid
    | Recovering
    | Relapsed
    | Resolved
    | Reopened
    | Note
    | Published
    | Hidden
    | ProbeRemoved
    | Postmortem
    | Related
)
FailedAgain = ComponentWorse | Relapsed | Reopened
"""They tell the same of a component, at different moments of an incident's life."""


def class_of(kind: EventKind) -> type[EventData]:  # noqa: C901  one case a member, so that mypy asks for the next one
    """Return the class of a kind."""
    match kind:
        case EventKind.OPENED:
            return Opened
        case EventKind.COMPONENT_WORSE:
            return ComponentWorse
        case EventKind.COMPONENT_BETTER:
            return ComponentBetter
        case EventKind.IMPACT_CHANGED:
            return ImpactChanged
        case EventKind.REGISTRATION_CHANGED:
            return RegistrationChanged
        case EventKind.UPSTREAM_SAID:
            return UpstreamSaid
        case EventKind.RECOVERING:
            return Recovering
        case EventKind.RELAPSED:
            return Relapsed
        case EventKind.RESOLVED:
            return Resolved
        case EventKind.REOPENED:
            return Reopened
        case EventKind.NOTE:
            return Note
        case EventKind.PUBLISHED:
            return Published
        case EventKind.HIDDEN:
            return Hidden
        case EventKind.PROBE_REMOVED:
            return ProbeRemoved
        case EventKind.POSTMORTEM:
            return Postmortem
        case EventKind.RELATED:
            return Related
