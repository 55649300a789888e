"""What is kept of a probe at one location between looks: small, of fixed size, and written with every look.

It is changed by :func:`monitor.core.checks.steps.step` and :func:`monitor.core.checks.network_doubt.clear` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.model import Health, Reason
from monitor.core.schedule import from_micros, micros

CLOCK_SLACK = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What is kept of a probe at one location between looks; small and of fixed size."""

    probe: str
    location: str
    tick: datetime | None = None
    """Watermark: the newest run taken in is ``(tick, attempt)``."""
    attempt: int = 0
    looks: int = 0
    """Newest evidence looks as bits, newest lowest, 1 for failed. A confirmed outage leaves one bit, however long it
    was: to the failure-rate rule it is one episode."""
    seen: int = 0
    """How many looks the mask holds, at most 64."""
    slow: int = 0
    """The same for slow looks, emptied when slowness ends."""
    fresh: int = 0
    """Looks since the last recovery; older ones cannot confirm a new failure."""
    failed_row: int = 0
    failed_at: tuple[datetime, ...] = ()
    """Starts of the newest failed looks in the mask, oldest first."""
    bad_at: datetime | None = None
    """Start of the newest failed look of all."""
    row_since: datetime | None = None
    """Start of the failed looks in a row up to the newest; ``None`` when that was good."""
    cleared_at: datetime | None = None
    """When our own network was known to work while the failures lasted; later ones are the vendor's. ``None`` without
    such a proof, and once the failures are over."""
    down: bool = False
    partial: bool = False
    degraded: bool = False
    flapping: bool = False
    since: datetime | None = None
    """Start of the present health: the first look that showed it."""
    suspect_since: datetime | None = None
    """First failed look of those that are not confirmed yet."""
    slow_since: datetime | None = None
    good_since: datetime | None = None
    """Start of the unbroken good evidence; long blindness breaks it."""
    good_tick: datetime | None = None
    good_row: int = 0
    """Good looks in a row, on different ticks."""
    brisk_row: int = 0
    """The same for looks that were not even slow."""
    brisk_since: datetime | None = None
    blank: int = 0
    """Looks in a row that told nothing."""
    throttled: int = 0
    flips: int = 0
    evidence_at: datetime | None = None
    reason: Reason = Reason.OK
    """Why the health is what it is."""
    detail: str = ""
    last_reason: Reason = Reason.NOT_RUNNING
    """Reason of the newest look, evidence or not."""
    last_detail: str = ""
    refused: int = 0
    """Looks that found our key refused since the newest evidence."""
    key_worked_at: datetime | None = None
    """When the vendor last accepted our key."""
    answered_at: datetime | None = None
    """When the target last answered anything at all, even an error: proof that we can reach the world."""

    @property
    def health(self) -> Health:
        """Verdict of this probe alone, as of its newest evidence; how old that is, is the reader's business."""
        if not self.seen:
            return Health.UNKNOWN
        if self.down:
            return Health.MAJOR
        if self.partial:
            return Health.PARTIAL
        return Health.DEGRADED if self.degraded else Health.OPERATIONAL

    @property
    def is_doubtful(self) -> bool:
        """True for trouble that our own broken network would look like, too, with nothing that speaks against it."""
        proven = self.cleared_at is not None and self.bad_at is not None and self.cleared_at <= self.bad_at
        return (self.down or self.partial) and self.reason.is_network_class and not proven

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: times as microseconds, defaults left out."""
        return {name: _plain(value) for name, blank in _BLANKS if (value := getattr(self, name)) != blank}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProbeState:
        """Inverse of :meth:`to_json`; keys it does not know are left out."""
        kept = {name: _read(name, data[name]) for name, _ in _BLANKS if name in data}
        return cls(**kept)


_BLANKS = tuple((field.name, field.default) for field in fields(ProbeState))
_TIMES = frozenset(n for n, _ in _BLANKS if n.endswith(("since", "_at", "tick")) and n != "failed_at")
_REASONS = frozenset({"reason", "last_reason"})
_REASON_BY_CODE = {reason.code: reason for reason in Reason}


def _plain(value: Any) -> Any:
    if isinstance(value, Reason):
        return value.code
    if isinstance(value, datetime):
        return micros(value)
    return [micros(at) for at in value] if isinstance(value, tuple) else value


def _read(name: str, value: Any) -> Any:
    if name == "failed_at":
        return tuple(from_micros(at) for at in value)
    if name in _TIMES:
        return from_micros(value)
    return _REASON_BY_CODE[value] if name in _REASONS else value


def new_probe_state(probe: str, location: str) -> ProbeState:
    """Return the state of a probe that never looked."""
    return ProbeState(probe, location)


def rewind(state: ProbeState, now: datetime) -> ProbeState:
    """Undo a clock that ran ahead and was set back: a watermark in the future would swallow every look until then."""
    if state.tick is None or state.tick - now <= CLOCK_SLACK:
        return state
    clipped = {name: now for name in _TIMES if (value := getattr(state, name)) is not None and value > now}
    return replace(state, **(clipped | {"tick": None, "good_tick": None, "attempt": 0}))  # type: ignore[arg-type]  # names of times
