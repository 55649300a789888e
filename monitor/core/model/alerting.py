"""What a person on call reads: the state of an alert, why somebody was told or not, what became of the notice."""

from __future__ import annotations

from enum import StrEnum


class AlertState(StrEnum):
    """State of what pages a person."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Verdict(StrEnum):
    """What a person said of an alert afterwards."""

    ACTIONABLE = "actionable"
    INFORMATIONAL = "informational"
    NOISE = "noise"
    DUPLICATE = "duplicate"
    MISSED = "missed"


class Severity(StrEnum):
    """How loud an alert is."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


class Why(StrEnum):
    """Why a notice is sent, or why nobody was told."""

    FIRST = "first"
    ESCALATED = "escalated"
    SILENCE_OVER = "silence_over"
    """The silence that held its first notice back has ended, and it still fires."""
    WORSE = "worse"
    REPEAT = "repeat"
    RESOLVED = "resolved"
    IN_MAINTENANCE = "in_maintenance"
    SILENCED = "silenced"
    NOT_SERVICE = "our_fault"
    BLIND = "blind"
    INHIBITED = "inhibited"
    FLAPPING = "flapping"
    ALREADY_SENT = "already_sent"
    ACKNOWLEDGED = "acknowledged"
    TOO_SOON = "too_soon"
    LATE_DATA = "late_data"
    GROUPED = "grouped"
    """It is told of together with many others."""
    NO_ROUTE = "no_route"
    NEVER_TRIGGERED = "never_triggered"


class Sending(StrEnum):
    """State of one delivery."""

    DUE = "due"
    HELD = "held"
    SENT = "sent"
    RETRYING = "retrying"
    DEAD = "dead"
