"""What the public reads: the state of a component, and the status and impact of an incident."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property


class Health(StrEnum):
    """State of a component, in Statuspage's words; maintenance is a window laid over it."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded_performance"
    PARTIAL = "partial_outage"
    MAJOR = "major_outage"
    UNKNOWN = "unknown"

    @cached_property
    def severity(self) -> int:
        """0 operational … 3 major outage; unknown is 0, as it is no trouble. No good news either: see :attr:`rank`."""
        return {"operational": 0, "degraded_performance": 1, "partial_outage": 2, "major_outage": 3}.get(self.value, 0)

    @cached_property
    def rank(self) -> int:
        """Place when the worst of several is to be shown: trouble goes before ignorance, ignorance before good."""
        return self.severity + 1 if self.severity else int(self is Health.UNKNOWN)


class IncidentStatus(StrEnum):
    """What the public reads."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    POSTMORTEM = "postmortem"


class Impact(StrEnum):
    """How bad an incident is at its worst, in Statuspage's words."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"
