"""Hung, busy, loading or dead: what a look from outside and the engine's own counters say together.

The outside look rules: an answer that came is never called a failure, and a failure stays one. The counters only tell
which one it is. What they do not tell leaves the reason as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes.chat.engine.counters import Counters

SILENT = frozenset({Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_QUEUED, Reason.TIMEOUT_TOTAL, Reason.STALLED})
"""It took the question, and no word came."""
REFUSED = frozenset({Reason.OVERLOADED, Reason.SERVER_ERROR, Reason.STATUS, Reason.THROTTLED, Reason.EMPTY})
UNREACHED = frozenset({Reason.CONNECT, Reason.TIMEOUT_CONNECT})
FULL = 0.95
"""Share of the KV cache from which on new requests wait for room."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the engine's own addresses said at one moment."""

    at_s: float = 0.0
    """On the monotonic clock."""
    health: int | None = None
    """HTTP status of ``/health``; ``None`` without an answer, or where it was not read."""
    loading: bool = False
    """It said that it loads its model."""
    dead: bool = False
    """It said that its engine died."""
    mute: bool = False
    """``/health`` took the connection and did not answer."""
    counters: Counters = field(default_factory=Counters)
    loop_mute: bool = False
    """The loop that makes the tokens was asked for its counters and did not answer."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Two readings of an engine, the earlier one first; they are the same where there was time for one only."""

    first: Reading
    last: Reading
    hung_s: float
    """So long its counters have to stand still."""

    @property
    def stands_still(self) -> bool | None:
        """True when it has requests and none of its counters moved; ``None`` when that cannot be told."""
        before, now = self.first.counters, self.last.counters
        if now.alive:
            return False
        if not (before.work and now.work) or not self.is_long:
            return None
        return before.work == now.work and now.has_work

    @property
    def is_long(self) -> bool:
        """True when the readings are far enough apart."""
        return self.last.at_s - self.first.at_s >= self.hung_s

    @property
    def is_full(self) -> bool:
        """True when requests wait, or its memory or its slots for them are used up."""
        now = self.last.counters
        taken = now.slots is not None and (now.running or 0) >= now.slots
        return bool(now.waiting) or (now.cache or 0.0) >= FULL or taken


def judge(reason: Reason, engine: Engine) -> tuple[Reason, str]:
    """Return the reason of a look with what the engine says of itself, and a message of it; ``""`` for none."""
    now = engine.last
    if reason in UNREACHED:
        return reason, coded(MessageCode.ENGINE_UNREACHED)
    if reason in (Reason.SLOW, Reason.QUEUED) and now.counters.is_known:
        return (Reason.QUEUED, _said(MessageCode.ENGINE_BUSY, now)) if now.counters.waiting else (reason, _counts(now))
    if reason.outcome is not Outcome.FAILED or reason not in SILENT | REFUSED:
        return reason, ""
    if now.loading:
        return Reason.LOADING, coded(MessageCode.ENGINE_LOADING)
    if now.dead:
        return Reason.ENGINE_DEAD, coded(MessageCode.ENGINE_DEAD, status=now.health or 503)
    return _silent(reason, engine) if reason in SILENT else _refused(reason, engine)


def _silent(reason: Reason, engine: Engine) -> tuple[Reason, str]:
    now = engine.last
    if now.mute:
        return Reason.HUNG, coded(MessageCode.ENGINE_MUTE)
    if engine.first.loop_mute and now.loop_mute and engine.is_long:
        # Once is no sign: a slow machine answers between two batches only.
        return Reason.HUNG, coded(MessageCode.ENGINE_COUNTERS_MUTE)
    if engine.stands_still:
        stood = round(now.at_s - engine.first.at_s)
        return Reason.HUNG, _said(MessageCode.ENGINE_HUNG, now, seconds=stood)
    if not now.counters.is_known:
        return reason, ""
    if engine.stands_still is False and engine.is_full:
        return Reason.OVERLOADED, _said(MessageCode.ENGINE_BUSY, now)
    if not now.counters.has_work and now.counters.waiting is not None:
        return reason, coded(MessageCode.ENGINE_IDLE)
    return reason, _counts(now)


def _refused(reason: Reason, engine: Engine) -> tuple[Reason, str]:
    if engine.is_full:
        return Reason.OVERLOADED, _said(MessageCode.ENGINE_BUSY, engine.last)
    return reason, _counts(engine.last) if engine.last.counters.is_known else ""


def _counts(now: Reading) -> str:
    return _said(MessageCode.ENGINE_COUNTS, now)


def _said(code: MessageCode, now: Reading, **more: float) -> str:
    counters = now.counters
    share = "?" if counters.cache is None else f"{counters.cache * 100:.0f} %"
    running, waiting = ("?" if value is None else value for value in (counters.running, counters.waiting))
    return coded(code, running=running, waiting=waiting, cache=share, **more)
