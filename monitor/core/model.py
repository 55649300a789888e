"""The nouns and the closed enums that every room shares.

Nothing here does anything. What an enum member means is written beside it; what follows from it lives in the
rule modules. Members are stored by ``code`` (raw results) or by value (all else): never renumber or rename one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from monitor.core.alerts.warning_codes import AnyWarning


class Coded(StrEnum):
    """A string enum whose members also carry a small stable integer for compact storage."""

    code: int

    def __new__(cls, value: str, code: int = -1) -> Coded:
        """Make a member from ``value, code``; without a code it is a look-up by value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        return member


class Outcome(Coded):
    """What one look told us."""

    OK = "ok", 0
    SLOW = "slow", 1
    """It worked, but outside its objective: late, queued, or with a wrong answer."""
    FAILED = "failed", 2
    UNKNOWN = "unknown", 3
    """We looked and could not tell: our network, key, quota, overload or bug."""
    MISSED = "missed", 4
    """We did not look."""

    @property
    def is_evidence(self) -> bool:
        """True when the look says something about the service; only such looks may change a verdict."""
        return self in (Outcome.OK, Outcome.SLOW, Outcome.FAILED)


class Scope(StrEnum):
    """Whose trouble a reason is. Only SERVICE and DEGRADED ever touch the public state."""

    NONE = "none"
    SERVICE = "service"
    DEGRADED = "degraded"
    ACCOUNT = "account"
    """Our key, money, plan or region."""
    PROBE = "probe"
    """Our network, configuration, load or bug, or a contract that the vendor changed."""


class Reason(Coded):
    """Why a look ended as it did. The part before the dot is its :class:`Scope`."""

    OK = "ok", 0

    DNS = "service.dns", 10
    CONNECT = "service.connect", 11
    TLS = "service.tls", 12
    PROTOCOL = "service.protocol", 13
    """The answer breaks HTTP: reset midway, short body, garbage, oversized header."""
    TOO_LARGE = "service.too_large", 14
    TIMEOUT_CONNECT = "service.timeout.connect", 15
    TIMEOUT_HEADERS = "service.timeout.headers", 16
    TIMEOUT_QUEUED = "service.timeout.queued", 17
    """Connected and kept alive, but no token before the deadline."""
    TIMEOUT_TOTAL = "service.timeout.total", 18
    REDIRECT = "service.redirect", 19
    STATUS = "service.status", 20
    """An HTTP status outside the accepted ranges that no other reason explains."""
    CONTENT = "service.content", 21
    """The answer arrived and broke a content rule."""
    THROTTLED = "service.throttled", 22
    """429 without a sign that our own limit is reached; counts only when it repeats."""
    OVERLOADED = "service.overloaded", 23
    SERVER_ERROR = "service.error", 24
    STALLED = "service.stalled", 25
    MIDSTREAM_ERROR = "service.midstream_error", 26
    TRUNCATED = "service.truncated", 27
    EMPTY = "service.empty", 28
    MALFORMED = "service.malformed", 29
    CERTIFICATE_EXPIRED = "service.tls.expired", 30
    CERTIFICATE_NAME = "service.tls.name", 31
    CERTIFICATE_UNTRUSTED = "service.tls.untrusted", 32
    TIMEOUT_TLS = "service.timeout.tls", 33
    NO_HEARTBEAT = "service.no_heartbeat", 34
    """A job that must report in did not."""
    AUTH_BROKEN = "service.auth", 35
    """The vendor refuses keys that worked within the hour, confirmed by a second witness."""

    QUEUED = "degraded.queued", 50
    SLOW = "degraded.slow", 51
    QUALITY = "degraded.quality", 52
    """The canary question was answered wrongly: a soft signal that never pages alone."""
    CERTIFICATE_EXPIRING = "degraded.tls.expiring", 53
    UNUSUAL = "degraded.unusual", 54
    """Slower than usual for this hour of the week: said of a component, never of one look."""

    AUTH = "account.auth", 70
    REGION = "account.region", 71
    QUOTA = "account.quota", 72
    RATE_LIMIT = "account.rate_limit", 73

    NETWORK = "probe.network", 90
    """Our own network: controls or independent targets failed together."""
    BLOCKED = "probe.blocked", 91
    """A challenge or HTML page where data was due: the vendor turned the robot away."""
    CONFIG = "probe.config", 92
    MODEL_RETIRED = "probe.model_retired", 93
    POLICY = "probe.policy", 94
    """The vendor's content filter refused our fixed prompt."""
    ADDRESS = "probe.address", 95
    """Our guard refused the address the name resolved to."""
    INTERNAL = "probe.internal", 96
    """A bug of ours."""
    BUDGET = "probe.budget", 98
    """Today's tokens or money are spent; we stopped looking on purpose."""
    LAGGED = "probe.lagged", 99
    """Our event loop was late while the sample was taken."""
    UNREADABLE = "probe.unreadable", 100
    """A source (configuration endpoint, page, feed) could not be read, which says nothing about its content."""

    OVERRUN = "missed.overrun", 120
    """The run before was still going."""
    LATE = "missed.late", 121
    """The scheduler came to it too late."""
    NOT_RUNNING = "missed.not_running", 122
    """The worker was down or asleep."""
    DROPPED = "missed.dropped", 123
    """The result was lost on the way: spool full or torn."""

    @cached_property
    def scope(self) -> Scope:
        """Whose trouble it is; MISSED reasons are the probe's."""
        head = str(self.value).partition(".")[0]
        if head == "ok":
            return Scope.NONE
        return Scope.PROBE if head == "missed" else Scope(head)

    @cached_property
    def outcome(self) -> Outcome:
        """The outcome that follows from the reason; there is no other way to choose one."""
        head = str(self.value).partition(".")[0]
        return {
            "ok": Outcome.OK,
            "service": Outcome.FAILED,
            "degraded": Outcome.SLOW,
            "account": Outcome.UNKNOWN,
            "probe": Outcome.UNKNOWN,
            "missed": Outcome.MISSED,
        }[head]

    @property
    def is_network_class(self) -> bool:
        """True for failures that our own broken network would also produce; many together mean *blind*."""
        return self in NETWORK_CLASS


NETWORK_CLASS = frozenset({Reason.DNS, Reason.CONNECT, Reason.TIMEOUT_CONNECT, Reason.TIMEOUT_TLS, Reason.NETWORK})


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


class Registration(StrEnum):
    """Can a new user sign up, by one method."""

    OPEN = "open"
    RESTRICTED = "restricted"
    DELAYED = "delayed"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Method(StrEnum):
    """A way to sign up."""

    EMAIL = "email"
    PHONE = "phone"
    GOOGLE = "google"
    APPLE = "apple"
    MICROSOFT = "microsoft"
    GITHUB = "github"
    WECHAT = "wechat"
    SSO = "sso"
    """Single sign-on by OAuth, OpenID, SAML or LDAP of the operator's own."""
    ANY = "any"
    """The source speaks of registration as a whole."""


class Source(StrEnum):
    """Where a registration reading comes from. Listed from the strongest to the weakest."""

    CONFIG_ENDPOINT = "config_endpoint"
    PROTOCOL = "protocol"
    OFFICIAL_TEXT = "official_text"
    PAGE_TEXT = "page_text"
    NEWS = "news"

    @property
    def weight(self) -> int:
        """Higher wins against lower while both are fresh."""
        return {"config_endpoint": 5, "protocol": 4, "official_text": 3, "page_text": 2, "news": 1}[self.value]


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


class Sending(StrEnum):
    """State of one delivery."""

    DUE = "due"
    HELD = "held"
    SENT = "sent"
    RETRYING = "retrying"
    DEAD = "dead"


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


class Severity(StrEnum):
    """How loud an alert is."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


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
class MethodReading:
    """What one source says of one way to sign up."""

    method: Method
    state: Registration
    source: Source
    country_codes: tuple[str, ...] = ()
    """Allowed telephone country codes, E.164 without the plus sign, as in ``("86",)``; empty means any."""
    email_domains: tuple[str, ...] = ()
    invite_required: bool = False
    approval_required: bool = False
    excerpt: str = ""
    """The words or field the reading rests on: at most 300 characters, redacted, hostile until escaped."""
    url: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamUpdate:
    """One update of the vendor's own incident. Its text is hostile until escaped."""

    at: datetime
    status: IncidentStatus | None
    body: str


@dataclass(frozen=True, slots=True)
class UpstreamIncident:
    """An incident as the vendor's page tells it: the vendor's components, and those of ours they are mapped to."""

    id: str
    name: str
    status: IncidentStatus | None
    impact: Impact
    started_at: datetime
    updated_at: datetime | None = None
    resolved_at: datetime | None = None
    url: str = ""
    updates: tuple[UpstreamUpdate, ...] = ()
    components: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamReading:
    """The vendor's own page: a witness beside our verdict, never merged into it."""

    provider: str  # ``statuspage``, ``incident_io``, …
    page_url: str
    indicator: Health
    components: Mapping[str, Health] = field(default_factory=dict)  # by the vendor's id; unmapped words are UNKNOWN
    component_names: Mapping[str, str] = field(default_factory=dict)
    mapped: Mapping[str, Health] = field(default_factory=dict)
    """Our component id → the worst state of the vendor's components that are mapped to it."""
    incidents: tuple[UpstreamIncident, ...] = ()
    page_updated_at: datetime | None = None


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
    def outcome(self) -> Outcome:
        """Short for ``observation.outcome``."""
        return self.observation.reason.outcome

    @property
    def reason(self) -> Reason:
        """Short for ``observation.reason``."""
        return self.observation.reason
