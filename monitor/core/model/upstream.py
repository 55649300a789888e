"""What the vendor's own status page says: a witness beside our verdict, never merged into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.core.model.states import Health, Impact, IncidentStatus


@dataclass(frozen=True, slots=True)
class UpstreamUpdate:
    """One update of the vendor's own incident. Its text is hostile until escaped."""

    at: datetime
    status: IncidentStatus | None
    body: str


@dataclass(frozen=True, slots=True)
class UpstreamIncident:
    """An incident as the vendor's page tells it: the vendor's components, and those of ours they are mapped to."""

    id: str
    name: str
    status: IncidentStatus | None
    impact: Impact
    started_at: datetime
    updated_at: datetime | None = None
    resolved_at: datetime | None = None
    url: str = ""
    updates: tuple[UpstreamUpdate, ...] = ()
    components: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamReading:
    """The vendor's own page: a witness beside our verdict, never merged into it."""

    provider: str  # ``statuspage``, ``incident_io``, …
    page_url: str
    indicator: Health
    components: Mapping[str, Health] = field(default_factory=dict)  # by the vendor's id; unmapped words are UNKNOWN
    component_names: Mapping[str, str] = field(default_factory=dict)
    mapped: Mapping[str, Health] = field(default_factory=dict)
    """Our component id → the worst state of the vendor's components that are mapped to it."""
    incidents: tuple[UpstreamIncident, ...] = ()
    page_updated_at: datetime | None = None
