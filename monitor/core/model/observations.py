"""What a look brings home: measurements and evidence, with its identity and its place in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.registration import MethodReading
from monitor.core.model.upstream import UpstreamReading
from monitor.core.model.warning_codes import AnyWarning

OUT_OF_TURN = 100
"""Looks at a control target out of turn are numbered from here on, behind all second looks of their tick."""


@dataclass(frozen=True, slots=True)
class RunId:
    """Identity of a run, known before it runs: recording it twice equals once."""

    probe: str
    location: str
    tick: datetime
    """The place on the probe's grid, aware UTC; attempts 2, 3 … of the same tick are its second looks."""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Phases:
    """How long each part of one HTTP exchange took, in seconds; ``None`` where the part did not happen."""

    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    request_s: float | None = None
    """Until the last byte of the request was handed to the kernel."""
    wait_s: float | None = None
    """From the request sent to the first byte of the answer (kernel receive stamp where there is one)."""
    transfer_s: float | None = None
    """From the first to the last byte."""
    rtt_s: float | None = None
    """The kernel's smoothed round-trip time of the connection."""
    overhead_s: float | None = None
    """Our own processing inside the look, kept apart so that it is never counted as the vendor's."""
    loop_lag_s: float = 0.0
    """How late our event loop ran during the look; above a limit the sample is flagged and never alerts."""
    kernel_stamped: bool = False


@dataclass(frozen=True, slots=True)
class ChatTimes:
    """One streamed answer. Times in seconds from the request sent; formulae in :mod:`monitor.probes.chat.probe`."""

    ttft_s: float | None = None
    """Time to first token, reasoning tokens included."""
    first_answer_s: float | None = None
    """Time to the first token that is not reasoning."""
    queue_s: float | None = None
    """First token minus response headers, when keep-alives came in between."""
    last_token_s: float | None = None
    longest_gap_s: float | None = None
    itl_p50_s: float | None = None
    """Median gap between chunks (several tokens may share a chunk)."""
    tpot_s: float | None = None
    """(last - first) / (output tokens - 1)."""
    tokens_per_s: float | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None
    reasoning_tokens: int | None = None
    keepalives: int = 0
    chunks: int = 0
    finish_reason: str = ""
    model: str = ""
    system_fingerprint: str = ""
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """The leaf certificate, also of a handshake that failed because of it, and the earliest expiry in its chain."""

    not_after: datetime
    subject: str
    issuer: str
    fingerprint_sha256: str
    trusted: bool
    chain_not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen, kept for people: at most 2 KB of the answer, redacted, hostile until escaped."""

    url: str = ""
    excerpt: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a probe returns. The outcome follows from the reason."""

    reason: Reason
    detail: str = ""
    """One short line for people, redacted: what was seen, not what it means."""
    http_status: int | None = None
    http_version: str = ""
    address: str = ""
    """The IP address we talked to."""
    bytes_received: int | None = None
    phases: Phases | None = None
    chat: ChatTimes | None = None
    certificate: Certificate | None = None
    registration: tuple[MethodReading, ...] = ()
    upstream: UpstreamReading | None = None
    retry_after_s: float | None = None
    warnings: tuple[AnyWarning, ...] = ()
    """Things worth knowing that are no failure, e.g. ``protocol.no_done``."""
    evidence: Evidence | None = None
    with_key: bool = True
    """False for a look that could have used our key and did not: what it saw says nothing of the key."""

    @property
    def outcome(self) -> Outcome:
        """The outcome that the reason implies."""
        return self.reason.outcome


@dataclass(frozen=True, slots=True)
class Result:
    """One look with its identity and its place in time: what travels from the prober to the recorder."""

    run: RunId
    started_at: datetime
    duration_s: float
    observation: Observation

    @property
    def ended_at(self) -> datetime:
        """When the look was over: the moment from which it can be judged."""
        return self.started_at + timedelta(seconds=self.duration_s)

    @property
    def outcome(self) -> Outcome:
        """Short for ``observation.outcome``."""
        return self.observation.reason.outcome

    @property
    def reason(self) -> Reason:
        """Short for ``observation.reason``."""
        return self.observation.reason
