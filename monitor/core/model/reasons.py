"""How a look ends: its outcome, the reason for it, and whose trouble the reason is."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property


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
    CERTIFICATE_NOT_YET_VALID = "service.tls.not_yet_valid", 36
    HUNG = "service.hung", 37
    """A model server took the question, and by its own counters it does not work."""
    LOADING = "service.loading", 38
    """A model server says that it loads its model."""
    ENGINE_DEAD = "service.engine_dead", 39
    """A model server answers, and says that the engine behind it died."""

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
    CHANGED = "probe.content_changed", 101
    """A page no longer bears the marks of the product and does not say why: a redesign, another site, a shell."""
    CLOCK = "probe.clock", 102
    """Our own clock is wrong, so certificates look as if they had ended or not begun."""

    PROXY = "probe.proxy", 103
    """The proxy that leads to the service failed: refused, without a name, 407, an error of its own making."""

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


OF_AN_ENGINE = frozenset({Reason.HUNG, Reason.LOADING, Reason.ENGINE_DEAD})
"""What a model server says of itself: of what fails alike it is the more telling."""
NETWORK_CLASS = frozenset({Reason.DNS, Reason.CONNECT, Reason.TIMEOUT_CONNECT, Reason.TIMEOUT_TLS, Reason.NETWORK})


OF_A_CLOCK = frozenset({Reason.CERTIFICATE_EXPIRED, Reason.CERTIFICATE_NOT_YET_VALID})
"""What a wrong clock of ours looks like from here."""
