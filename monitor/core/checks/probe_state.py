"""What is kept of a probe at one location between looks: small, of fixed size, and written with every look.

It is changed by :func:`monitor.core.checks.steps.step`, and by ``clear`` and ``forget`` of
:mod:`monitor.core.doubt.proof`, only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.checks.flapping import STEADY, Flapping
from monitor.core.checks.slowness import NOT_SLOW, Slowness
from monitor.core.checks.suspicion import CALM, Suspicion
from monitor.core.model.depth import DOUBTED
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.schedule import from_micros, micros

CLOCK_SLACK = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What is kept of a probe at one location between looks; small and of fixed size."""

    probe: str
    location: str
    tick: datetime | None = None
    """Watermark (D3): the newest run folded in is ``(tick, attempt)``."""
    attempt: int = 0

    suspicion: Suspicion = CALM
    """The sequential test: what speaks against the service, and whether it is down."""
    failed_in_a_row: int = 0
    failing_since: datetime | None = None
    """Start of the failed looks in a row up to the newest; ``None`` when that was good."""
    last_failed_at: datetime | None = None
    """Start of the newest failed look of all."""
    ours_at: datetime | None = None
    """Start of the newest failed look that was found to be our own side's."""
    network_worked_at: datetime | None = None
    """When our own network was known to work while the failures lasted; later ones are the vendor's (D6). ``None``
    without such a proof, and once the failures are over."""
    slowness: Slowness = NOT_SLOW
    flaps: Flapping = STEADY
    since: datetime | None = None
    """Start of the present health: the first look that showed it."""

    good_since: datetime | None = None
    """Start of the unbroken good evidence; a long time without evidence breaks it."""
    good_tick: datetime | None = None
    good_in_a_row: int = 0
    """Good looks in a row, on different ticks."""
    inconclusive_in_a_row: int = 0
    throttled_in_a_row: int = 0
    """429s in a row that do not count as failures yet, or that do."""
    throttled_since: datetime | None = None
    """Start of the first of them."""
    key_refusals: int = 0
    """Looks that found our key refused since it was last accepted."""
    key_refused_at: datetime | None = None
    """Start of the first of them."""

    evidence_at: datetime | None = None
    """Start of the newest look that was evidence."""
    key_worked_at: datetime | None = None
    """When the vendor last accepted our key."""
    answered_at: datetime | None = None
    """When the target last answered anything at all, even an error: proof that we can reach the world."""
    reason: Reason = Reason.OK
    """Why the health is what it is."""
    detail: str = ""
    last_reason: Reason = Reason.NOT_RUNNING
    """Reason of the newest look, evidence or not."""
    last_detail: str = ""

    @property
    def down(self) -> bool:
        """Nearly every look fails: an outage is confirmed."""
        return self.suspicion.down and self.suspicion.major

    @property
    def partial(self) -> bool:
        """A partial outage is confirmed."""
        return self.suspicion.down and not self.suspicion.major

    @property
    def degraded(self) -> bool:
        """Too many of the newest looks were slow."""
        return self.slowness.degraded

    @property
    def flapping(self) -> bool:
        """The state changes all the time."""
        return self.flaps.flapping

    @property
    def health(self) -> Health:
        """Verdict of this probe alone, as of its newest evidence; how old that is, is the reader's business."""
        if self.evidence_at is None:
            return Health.UNKNOWN
        if self.down:
            return Health.MAJOR
        if self.partial:
            return Health.PARTIAL
        return Health.DEGRADED if self.slowness.degraded else Health.OPERATIONAL

    @property
    def is_doubtful(self) -> bool:
        """True for trouble that our own broken network would look like, too, with nothing that speaks against it."""
        cleared, failed = self.network_worked_at, self.last_failed_at
        proven = cleared is not None and failed is not None and cleared <= failed
        return (self.down or self.partial) and self.reason in DOUBTED and not proven

    def to_json(self) -> dict[str, Any]:
        """Return flat, plain JSON: times as microseconds, defaults left out."""
        data = _filled(self, _OWN)
        if self.slowness is not NOT_SLOW:
            data |= _filled(self.slowness, _OF_SLOWNESS)
        if self.suspicion is not CALM:
            data |= _filled(self.suspicion, _OF_SUSPICION)
        if self.flaps is not STEADY:
            data |= _filled(self.flaps, _OF_FLAPS)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProbeState:
        """Inverse of :meth:`to_json`; keys it does not know are left out.

        What a version before the sequential test wrote keeps its outage, hard or partial, and forgets its suspicions.
        """
        slowness, flaps, suspicion = _kept(data, _OF_SLOWNESS), _kept(data, _OF_FLAPS), _kept(data, _OF_SUSPICION)
        own = _kept(data, _OWN)
        if data.get("partial") or (data.get("down") and "began_at" not in data):
            began_at, hard = own.get("since") or own.get("tick"), bool(data.get("down"))
            suspicion = {"down": True, "major": hard, "began_at": began_at, "mask": 1, "looks": 1}
        own["suspicion"] = Suspicion(**suspicion) if suspicion else CALM
        own["slowness"] = Slowness(**slowness) if slowness else NOT_SLOW
        own["flaps"] = Flapping(**flaps) if flaps else STEADY
        return cls(**own)


Blanks = tuple[tuple[str, Any], ...]
"""Names of fields with their defaults."""
_PARTS = ("slowness", "flaps", "suspicion")
_OWN: Blanks = tuple((field.name, field.default) for field in fields(ProbeState) if field.name not in _PARTS)
_OF_SLOWNESS: Blanks = tuple((field.name, field.default) for field in fields(Slowness))
_OF_SUSPICION: Blanks = tuple((field.name, field.default) for field in fields(Suspicion))
_OF_FLAPS: Blanks = tuple((field.name, field.default) for field in fields(Flapping))
_TIME_ENDINGS = ("since", "_at", "tick")


def _times(blanks: Blanks) -> frozenset[str]:
    return frozenset(name for name, _ in blanks if name.endswith(_TIME_ENDINGS))


_TIMES = _times(_OWN) | _times(_OF_SLOWNESS) | _times(_OF_SUSPICION)
_REASONS = frozenset({"reason", "last_reason"})
_REASON_BY_CODE = {reason.code: reason for reason in Reason}


def _filled(part: object, blanks: Blanks) -> dict[str, Any]:
    return {name: _plain(value) for name, blank in blanks if (value := getattr(part, name)) != blank}


def _kept(data: Mapping[str, Any], blanks: Blanks) -> dict[str, Any]:
    return {name: _read(name, data[name]) for name, _ in blanks if name in data}


def _plain(value: Any) -> Any:
    if isinstance(value, Reason):
        return value.code
    return micros(value) if isinstance(value, datetime) else value


def _read(name: str, value: Any) -> Any:
    if name in _TIMES:
        return from_micros(value)
    return _REASON_BY_CODE[value] if name in _REASONS else value


def new_probe_state(probe: str, location: str) -> ProbeState:
    """Return the state of a probe that never looked."""
    return ProbeState(probe, location)


def withdrawn(state: ProbeState) -> ProbeState:
    """Return the state without its suspicion, because the looks behind it were no evidence.

    Nothing has been seen since they began: what was called down by them is unknown, and no time is good.
    """
    known = replace(state, suspicion=CALM, failed_in_a_row=0, failing_since=None)
    return replace(known, evidence_at=None, since=None, reason=Reason.OK, detail="") if state.suspicion.down else known


def rewind(state: ProbeState, now: datetime) -> ProbeState:
    """Undo a clock that ran ahead and was set back: a watermark in the future would swallow every look until then."""
    ahead = state.tick is not None and state.tick - now > CLOCK_SLACK
    if not ahead and (state.evidence_at is None or state.evidence_at - now <= CLOCK_SLACK):
        return state
    slowness = replace(state.slowness, **_clipped(state.slowness, _OF_SLOWNESS, now))
    suspicion = replace(state.suspicion, **_clipped(state.suspicion, _OF_SUSPICION, now))
    own = _clipped(state, _OWN, now) | {"slowness": slowness, "suspicion": suspicion}
    if ahead:
        own |= {"tick": None, "good_tick": None, "attempt": 0}
    return replace(state, **own)


def _clipped(part: object, blanks: Blanks, now: datetime) -> dict[str, Any]:
    """Return the times that lie in the future, as of now."""
    return {name: now for name, _ in blanks if name in _TIMES and (at := getattr(part, name)) is not None and at > now}
