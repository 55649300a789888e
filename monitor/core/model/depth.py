"""How far a look got before it failed, which tells who may have stopped it.

A look passes four gates: a connection, a trusted handshake, an answer, a good answer. What fails at a gate may be
the vendor's or ours: our resolver, line, clock, an inspecting proxy or a captive portal stop everybody's looks at the
same gate. Only something independent that passed that gate speaks for our own side: an open port says nothing about
certificates, and an error page nothing about whoever may have written it.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from ipaddress import ip_address

from monitor.core.model.observations import Result
from monitor.core.model.reasons import OF_A_CLOCK, Outcome, Reason, Scope


class Depth(IntEnum):
    """The last gate that a look passed."""

    NOTHING = 0
    """No name, no connection."""
    REACHED = 1
    """A connection."""
    TRUSTED = 2
    """A handshake, with a certificate that we believe."""
    ANSWERED = 3
    """A whole answer, whatever it says and whoever gave it: our own proxy gives answers, too."""
    SERVED = 4
    """A good answer."""


class Reach(StrEnum):
    """How far the good look of a probe gets."""

    NONE = "none"
    """It waits to be told, and proves nothing about our way out."""
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    PLAIN = "plain"
    """HTTP without TLS: anybody on the way may have answered."""
    HTTP = "http"


_PASSES = {
    Reach.NONE: frozenset[Depth](),
    Reach.DNS: frozenset({Depth.REACHED}),
    Reach.TCP: frozenset({Depth.REACHED}),
    Reach.TLS: frozenset({Depth.REACHED, Depth.TRUSTED}),
    Reach.PLAIN: frozenset({Depth.REACHED, Depth.ANSWERED, Depth.SERVED}),
    Reach.HTTP: frozenset({Depth.REACHED, Depth.TRUSTED, Depth.ANSWERED, Depth.SERVED}),
}
_NOTHING = {Reason.DNS, Reason.CONNECT, Reason.TIMEOUT_CONNECT, Reason.NETWORK}
_REACHED = {
    Reason.TLS,
    Reason.TIMEOUT_TLS,
    *OF_A_CLOCK,
    Reason.CERTIFICATE_NAME,
    Reason.CERTIFICATE_UNTRUSTED,
    Reason.CLOCK,
}
_TRUSTED = {
    Reason.PROTOCOL,
    Reason.TIMEOUT_HEADERS,
    Reason.TIMEOUT_QUEUED,
    Reason.TIMEOUT_TOTAL,
    Reason.STALLED,
    Reason.TRUNCATED,
}
_ANSWERED = {
    Reason.AUTH,
    Reason.QUOTA,
    Reason.REGION,
    Reason.BLOCKED,
    Reason.POLICY,
    Reason.MODEL_RETIRED,
    Reason.CHANGED,
}


def _depth(reason: Reason) -> Depth | None:
    for depth, reasons in ((Depth.NOTHING, _NOTHING), (Depth.REACHED, _REACHED), (Depth.TRUSTED, _TRUSTED)):
        if reason in reasons:
            return depth
    if reason is Reason.NO_HEARTBEAT:
        return None
    if reason in _ANSWERED or reason.scope is Scope.SERVICE:
        return Depth.ANSWERED
    return Depth.SERVED if reason.outcome in (Outcome.OK, Outcome.SLOW) else None


GOT: dict[Reason, Depth | None] = {reason: _depth(reason) for reason in Reason}
"""How far a look with this reason got; None if it tells nothing, as a look that was not made or not sent."""
DOUBTED = frozenset(
    reason
    for reason in Reason
    if reason.outcome is Outcome.FAILED and reason not in (Reason.NO_HEARTBEAT, Reason.AUTH_BROKEN)
)
"""Failures that our own side may produce as well. A refused key has witnesses of its own."""
OURS = frozenset({Reason.NETWORK, Reason.CLOCK})
"""Failures that were found to be our own side's."""


def is_answer(result: Result) -> bool:
    """Say whether a look got a whole answer: by its reason, or by an HTTP status where that says nothing of it."""
    got = GOT[result.reason]
    return result.observation.http_status is not None if got is None else got >= Depth.ANSWERED


def needed(reason: Reason) -> Depth:
    """Return the gate at which a look with this reason failed: only who passed it speaks for our own side."""
    return Depth((GOT[reason] or Depth.NOTHING) + 1)


def passes(reach: Reach, gate: Depth) -> bool:
    """Say whether a good look with this reach passes a gate."""
    return gate in _PASSES[reach]


def by_address(target: str) -> bool:
    """Say whether a target (host, or host and port) is an address: its answer proves no working names."""
    host = target.removeprefix("[").partition("]")[0] if target.startswith("[") else target
    try:
        ip_address(host.rpartition(":")[0] if host.count(":") == 1 else host)
    except ValueError:
        return False
    return True
