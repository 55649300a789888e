"""From a host name to a stream that can be written to: resolve, check, connect, shake hands, each timed."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor import clock
from monitor.core.doubt.clock import TrustedTime
from monitor.core.model.observations import Certificate, Phases
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode, WarningText, detailed
from monitor.wire.deadline import Deadline, Slots, Step
from monitor.wire.dial import Stream, dial
from monitor.wire.dns.resolve import Resolver
from monitor.wire.guard import Guard
from monitor.wire.model import Limits, Timing, WireError, longer
from monitor.wire.proxies import STRAIGHT, Proxies, Proxy
from monitor.wire.tls import TlsStream, Trust, failure

if TYPE_CHECKING:
    from monitor.wire.certificates import Facts

OF_OUR_CERTIFICATE = tuple(
    f"{version} alert {name}"
    for version in ("tlsv1", "tlsv13", "sslv3")
    for name in (
        "certificate",
        "bad certificate",
        "unsupported certificate",
        "unknown ca",
        "access denied",
        "no certificate",
    )
)
"""How a server says in the handshake that it does not take the certificate that we showed."""
ENVELOPE = 2
"""Records and frames may at most double what is received: one byte in a TLS record takes twenty-three."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all exchanges of a process stand on."""

    guard: Guard
    resolver: Resolver
    trust: Trust
    slots: Slots
    proxies: Proxies = STRAIGHT
    client: Trust | None = None
    """Trust with a certificate of our own, shown to the origin that a look asks and to no other."""
    unknown_names: dict[str, float] = field(default_factory=dict)
    """Names that only a proxy knows → until when that is believed, in monotonic seconds."""
    time: TrustedTime = field(default_factory=TrustedTime)
    """What servers said of the time over verified connections."""


class Link:
    """One connection: made, used and closed under one deadline; keeps what it learnt for answers and errors alike."""

    def __init__(self, ground: Ground, limits: Limits, deadline: Deadline, timing: Timing, *, own: bool = True) -> None:
        self.ground = ground
        self.trust = (ground.client if own else None) or ground.trust
        """A foreign origin, *own* is false, never gets our certificate."""
        self.proxy: Proxy | None = None
        self.limits = limits
        self.deadline = deadline
        self.timing = timing
        self.address = ""
        self.certificate: Certificate | None = None
        self.warnings: tuple[WarningText, ...] = ()
        self.stream: Stream | TlsStream | None = None

    async def connect(
        self, host: str, port: int, literal: tuple[int, str] | None, *, operators: bool = False
    ) -> Stream:
        """Resolve, check every address and connect to one of the checked ones.

        The *operator's* own way out is checked for metadata services only.
        """
        addresses = await self._addresses(host, port, literal, operators=operators)
        self.deadline.enter(Step.CONNECT, self.limits.connect_s)
        self.address = addresses[0][1]
        sock, peer, warnings = await dial(addresses, port, self.deadline, self.timing)
        self.address = peer[1]
        self.warnings += warnings
        most_bytes = ENVELOPE * self.limits.wire_bytes + self.limits.header_bytes
        self.stream = stream = Stream(sock, peer, self.deadline, most_bytes)
        return stream

    async def _addresses(
        self, host: str, port: int, literal: tuple[int, str] | None, *, operators: bool
    ) -> Sequence[tuple[int, str]]:
        found: Sequence[tuple[int, str]]
        if literal is not None:
            found = (literal,)
        else:
            asked_ns = clock.monotonic_ns()
            try:
                found, took_s = await self.ground.resolver.resolve(host, port, self.deadline, self.limits.connect_s)
            except WireError as error:
                if error.reason is Reason.DNS:
                    self.timing.dns_s = longer(self.timing.dns_s, clock.monotonic_ns() - asked_ns)
                raise
            self.timing.dns_s = longer(self.timing.dns_s, took_s * 1e9)
        refuse = self.ground.guard.operators_refusal if operators else self.refusal
        refusals = [(address, refuse(address)) for _, address in found]
        allowed = [one for one, (_, refusal) in zip(found, refusals, strict=True) if not refusal]
        if not allowed:
            address, refusal = refusals[0] if refusals else ("", "no address")
            self.address = address
            raise WireError(Reason.ADDRESS, f"{address} is refused: {refusal}")
        self.warnings += tuple(
            detailed(WarningCode.ADDRESS_REFUSED, f"{address}: {refusal}") for address, refusal in refusals if refusal
        )
        return allowed

    def refusal(self, address: str) -> str:
        """Return why the guard refuses a target's address; empty when it does not."""
        guard = self.ground.guard
        return guard.refusal_of_others(address) if self.limits.own_only else guard.refusal(address)

    async def secure(
        self, stream: Stream | TlsStream, context: ssl.SSLContext, server_name: str, *, look_again: bool = True
    ) -> TlsStream:
        """Put TLS on the stream; *look_again* at a bad certificate without trusting it, to know its dates."""
        try:
            # RFC 6066, 3: a name goes into SNI, and into a certificate, without its final dot.
            self.stream = tls = TlsStream(stream, context, server_name.removesuffix("."))
        except ValueError as error:
            raise WireError(Reason.CONFIG, "not a server name") from error
        try:
            await tls.handshake(self.ground.slots, self.deadline, self.limits.connect_s, self.timing)
        except ssl.SSLCertVerificationError as error:
            stream.close()
            wire, facts = failure(error), None
            if look_again and isinstance(stream, Stream) and self.proxy is None:
                facts = await self._unverified(stream.peer, server_name)
                self._keep(facts)
            if facts is not None and not facts.has_names and wire.reason is Reason.CERTIFICATE_NAME:
                wire.detail = "the certificate has a common name and no alternative name"
            raise wire from error
        except ssl.SSLError as error:
            raise failure(error) from error
        except OSError as error:
            raise WireError(Reason.TLS, f"{_words(error)} in the TLS handshake") from error
        self._keep(_facts_of(tls.ssl, trusted=True))
        return tls

    async def _unverified(self, peer: tuple[int, str, int], server_name: str) -> Facts | None:
        """Shake hands again without verification, send no data, and return what the certificate says."""
        family, address, port = peer
        timing = Timing(clock.monotonic_ns())
        try:
            self.deadline.enter(Step.TLS, self.limits.connect_s)
            sock, peer, _ = await dial([(family, address)], port, self.deadline, timing)
            stream = Stream(sock, peer, self.deadline)
            try:
                tls = TlsStream(stream, self.ground.trust.unverified, server_name.removesuffix("."))
                await tls.handshake(self.ground.slots, self.deadline, self.limits.connect_s, timing)
                return _facts_of(tls.ssl, trusted=False)
            finally:
                stream.close()
        except (WireError, OSError):
            return None

    def _keep(self, facts: Facts | None) -> None:
        if facts is not None:
            self.certificate = facts.certificate
            self.warnings += facts.warnings

    def explain(self, error: Exception, status: int | None = None) -> WireError:
        """Return the error with all that this link knows."""
        if isinstance(error, WireError):
            wire = error
        elif isinstance(error, ssl.SSLError):
            wire = failure(error)
        else:
            wire = WireError(Reason.PROTOCOL, _words(error))
        if self.trust.shows_certificate and wire.reason is Reason.TLS and wire.detail.startswith(OF_OUR_CERTIFICATE):
            wire.reason = Reason.AUTH
        wire.address = wire.address or self.address
        wire.certificate = wire.certificate or self.certificate
        wire.status = wire.status if wire.status is not None else status
        wire.phases = self.finish()
        return wire

    def finish(self) -> Phases:
        """Return the phases up to now."""
        now_ns = clock.monotonic_ns()
        stream = self.stream
        while isinstance(stream, TlsStream):
            stream = stream.stream
        lag_s = stream.lag_ns / 1e9 if stream is not None else 0.0
        self.timing.lag_s = max(self.timing.lag_s, self.deadline.lag_s, lag_s)
        return self.timing.phases(now_ns)

    def close(self) -> None:
        """Close what is open."""
        if self.stream is not None:
            self.stream.close()


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionResetError):
        return "connection reset"
    if isinstance(error, BrokenPipeError):
        return "connection closed by the other side"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _facts_of(connection: ssl.SSLObject, *, trusted: bool) -> Facts | None:
    from monitor.wire.certificates import facts_of  # late: ten megabytes that plain HTTP does without

    return facts_of(connection, trusted=trusted)
