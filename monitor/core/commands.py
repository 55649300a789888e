"""What a person can tell the system to do. Each is carried out, with who and why, in one transaction by the flow.

Times are aware UTC. Ids are those of the views. A command is a plain value: it can be stored in the audit row as is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.core.model.alerting import Severity, Verdict
from monitor.core.model.incident_events import Cause
from monitor.core.model.states import Impact, IncidentStatus


class CommandError(Exception):
    """The command cannot be carried out; the text is for the person who gave it."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came of a command. ``subject`` is the id of what it was about or made."""

    subject: str
    changed: bool


@dataclass(frozen=True, slots=True)
class AcknowledgeAlert:
    """Somebody has it: no repeats, no escalation. Acknowledging twice or after the resolution changes nothing."""

    alert: str


@dataclass(frozen=True, slots=True)
class ResolveAlert:
    """Close an alert by hand; it fires again if its condition ends and returns."""

    alert: str


@dataclass(frozen=True, slots=True)
class JudgeAlert:
    """Say afterwards what an alert was worth."""

    alert: str
    verdict: Verdict
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReportMissed:
    """Tell of trouble that no alert announced; it counts against recall."""

    service: str
    component: str
    started_at: datetime
    ended_at: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """Open an incident that the rules did not see."""

    service: str
    components: tuple[str, ...]
    impact: Impact
    title: str
    text: str = ""
    cause: Cause = Cause.OUTAGE
    public: bool = True


@dataclass(frozen=True, slots=True)
class PostUpdate:
    """Add a person's words to an incident; status, impact and title are changed if given."""

    incident: str
    text: str
    status: IncidentStatus | None = None
    impact: Impact | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class ResolveIncident:
    """End an incident by a person's word."""

    incident: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class PublishIncident:
    """Show an incident to the public."""

    incident: str


@dataclass(frozen=True, slots=True)
class HideIncident:
    """Take an incident from the public page; the rules will not publish it again."""

    incident: str


@dataclass(frozen=True, slots=True)
class WritePostmortem:
    """Add or replace the account written after the resolution."""

    incident: str
    text: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Hold notices back for a time. Empty fields match everything; all three empty needs ``everything=True``."""

    until: datetime
    service: str = ""
    component: str = ""
    rule: str = ""
    starts_at: datetime | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Unsilence:
    """End a silence now."""

    silence: str


@dataclass(frozen=True, slots=True)
class ScheduleMaintenance:
    """Announce planned work; see :mod:`monitor.core.maintenance` for ``repeat`` and ``time_zone``."""

    service: str
    components: tuple[str, ...]
    title: str
    starts_at: datetime
    ends_at: datetime
    text: str = ""
    repeat: str = ""
    time_zone: str = "UTC"
    repeat_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CancelMaintenance:
    """Call planned work off, or end it now."""

    maintenance: str


@dataclass(frozen=True, slots=True)
class SendTest:
    """Send a test notice through a channel."""

    channel: str
    severity: Severity = Severity.INFO


Command = (
    AcknowledgeAlert
    | ResolveAlert
    | JudgeAlert
    | ReportMissed
    | OpenIncident
    | PostUpdate
    | ResolveIncident
    | PublishIncident
    | HideIncident
    | WritePostmortem
    | Silence
    | Unsilence
    | ScheduleMaintenance
    | CancelMaintenance
    | SendTest
)
