"""What the wire takes and gives: limits, chunks, answers and the one error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import httpx

from monitor.core.model.observations import Certificate, Phases
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningText
from monitor.wire import charsets

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may cost at most. Redirect hops share the deadline."""

    deadline_s: float = 10.0
    """The whole look: resolving, connecting, every hop, the last byte."""
    connect_s: float = 5.0
    """Each of resolving, connecting and the TLS handshake, inside the deadline."""
    headers_s: float | None = None
    """From the request to the end of the response's headers, inside the deadline; ``None``: as long as that."""
    header_bytes: int = 256 * 1024
    """As browsers."""
    wire_bytes: int = 2 * 2**20
    """Received bytes of the answer before content decoding."""
    body_bytes: int = 2 * 2**20
    """Bytes of the body after content decoding."""
    own_only: bool = False
    """Talk to no address but those in networks that the operator allowed by name."""
    events: int = 20_000
    """For readers of event streams: the most events. Also the most frames of an HTTP/2 connection."""


class Chunk(NamedTuple):
    """A content-decoded piece of the body, or a line of it."""

    data: bytes
    at_s: float
    """Seconds since the request was fully sent, on the kernel's receive stamp where it can be trusted."""


class WireError(Exception):
    """The exchange failed; says why, and how far it came."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        phases: Phases | None = None,
        certificate: Certificate | None = None,
        address: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.phases = phases
        self.certificate = certificate
        self.address = address
        self.status = status


class MailError(Exception):
    """A mail server was reached and refused the mail. ``permanent`` means that another try would end alike."""

    def __init__(self, words: str, *, permanent: bool) -> None:
        super().__init__(words)
        self.permanent = permanent


@dataclass(frozen=True)
class Answer:
    """A whole bounded response."""

    url: str
    status: int
    raw_headers: list[tuple[bytes, bytes]]
    http_version: str
    address: str
    certificate: Certificate | None
    redirects: int
    body: bytes
    phases: Phases
    wire_bytes: int
    warnings: tuple[WarningText, ...] = ()

    @cached_property
    def headers(self) -> httpx.Headers:
        """The response's headers, case-insensitive."""
        return httpx.Headers(self.raw_headers)

    @cached_property
    def text(self) -> str:
        """The body as text, read as a browser reads it; undecodable bytes are replaced."""
        return text_of(self.headers, self.body)


def text_of(headers: Mapping[str, str], body: bytes) -> str:
    """Return a body as text: by its BOM, its declared charset, what the page says of itself; UTF-8 else."""
    return charsets.text_of(headers.get("content-type", ""), body)


@dataclass(frozen=True, slots=True)
class Connection:
    """What a connection that carried no data told us."""

    address: str
    phases: Phases
    certificate: Certificate | None = None
    tls_version: str = ""
    cipher: str = ""
    warnings: tuple[WarningText, ...] = ()


@dataclass(slots=True)
class Timing:
    """Marks of one exchange in monotonic nanoseconds; durations add up over redirect hops."""

    started_ns: int
    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    request_s: float | None = None
    wait_s: float | None = None
    rtt_s: float | None = None
    sent_ns: int = 0
    first_ns: int = 0
    last_ns: int = 0
    ended_ns: int = 0
    lag_s: float = 0.0
    stamped: bool = False

    def first_byte(self, at_ns: int, stamped: bool) -> None:
        """Mark the first byte of an answer."""
        self.first_ns = self.last_ns = at_ns
        self.stamped = stamped
        self.wait_s = longer(self.wait_s, at_ns - self.sent_ns)

    def phases(self, now_ns: int) -> Phases:
        """Return the phases so far; our overhead is the rest of the elapsed time that no phase explains."""
        transfer_s = max(0, self.last_ns - self.first_ns) / 1e9 if self.first_ns else None
        parts = (self.dns_s, self.connect_s, self.tls_s, self.request_s, self.wait_s, transfer_s)
        elapsed_s = ((self.ended_ns or now_ns) - self.started_ns) / 1e9
        return Phases(
            self.dns_s,
            self.connect_s,
            self.tls_s,
            self.request_s,
            self.wait_s,
            transfer_s,
            self.rtt_s,
            max(0.0, elapsed_s - sum(part for part in parts if part is not None)),
            self.lag_s,
            self.stamped,
        )


def longer(so_far_s: float | None, took_ns: float) -> float:
    """Return a phase made longer by another hop; never by less than nothing, whatever two clocks say."""
    return (so_far_s or 0.0) + max(0.0, took_ns) / 1e9
