"""What routes were told of alerts so far, and the limits beyond which they are told of many together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.core.model import Severity, Why
from monitor.core.rules import Rule

DIGEST = Rule.DIGEST
"""Rule of the alert that stands for many."""
GROUP_AFTER = 5
"""Alerts of one severity that a route is told of singly within the window; what comes on top is told together."""
GROUP_WINDOW_S = 300.0
DIGEST_HOLD_S = 30.0
"""A digest waits so long for the others before it is sent; it is sent again when it has grown to twice the size."""
Lately = dict[tuple[str, Severity], int]
"""(Route, severity) → alerts that it was told of singly within the window."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a route was told about an alert so far."""

    triggered_at: datetime | None = None
    last_at: datetime | None = None
    severity: Severity | None = None
    resolved_at: datetime | None = None
    last_why: Why | None = None
    """The newest stored decision, sent or not: the same answer is not stored twice."""
    grouped_at: datetime | None = None
    """Since when it is told of only together with others."""
    size: int = 0
    """How many alerts a digest stood for when it was told."""


NOTHING = Told()
