"""The plain network kinds: ``tcp`` (a port accepts), ``tls`` (handshake, certificate), ``dns`` (answers per resolver).

A resolver that does not answer at all says something of our network or of that resolver, not of the service; so does a
single SERVFAIL beside good answers. NXDOMAIN, SERVFAIL or a wrong answer counts once two resolvers agree, or the only
one there is.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from monitor.core.alerts.warning_codes import WarningCode, detailed
from monitor.core.model import Observation, Phases, Reason
from monitor.probes import base
from monitor.probes.answers import EXPIRY_WARNING_S, expiring, total_s
from monitor.probes.base import Context, Seconds
from monitor.wire import Connection
from monitor.wire.names import NameAnswer, name_server

Words = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else tuple(value))]


class TcpOptions(base.Options):
    """Options of the kind ``tcp``."""

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    slow_s: Seconds | None = None

    def target(self) -> str:
        """Return host and port."""
        return f"{self.host}:{self.port}"


class TlsOptions(base.Options):
    """Options of the kind ``tls``."""

    host: str = Field(min_length=1)
    port: int = Field(443, ge=1, le=65535)
    server_name: str | None = None
    """Name to ask for and to check the certificate against, when it is not ``host``."""
    min_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    expiry_warning_s: Seconds = EXPIRY_WARNING_S
    slow_s: Seconds | None = None

    def target(self) -> str:
        """Return host and port."""
        return f"{self.host}:{self.port}"


async def run_tcp(options: TcpOptions, ctx: Context) -> Observation:
    """Connect and hang up."""
    connection = await ctx.wire.connect(options.host, options.port, tls=False, limits=ctx.limits())
    return _connected(connection, f"port {options.port} accepts", options.slow_s)


async def run_tls(options: TlsOptions, ctx: Context) -> Observation:
    """Shake hands, check version and certificate, hang up."""
    connection = await ctx.wire.connect(
        options.host, options.port, tls=True, limits=ctx.limits(), server_name=options.server_name
    )
    detail = f"{connection.tls_version} {connection.cipher}".strip()
    if connection.tls_version < options.min_version:
        reason, detail = Reason.TLS, f"{detail}; at least {options.min_version} is wanted"
    elif ends := expiring(connection.certificate, options.expiry_warning_s, ctx.now):
        reason, detail = Reason.CERTIFICATE_EXPIRING, ends
    else:
        return _connected(connection, detail, options.slow_s)
    return _observed(connection, reason, detail)


def _connected(connection: Connection, detail: str, slow_s: float | None) -> Observation:
    took_s = total_s(connection.phases)
    if slow_s is not None and took_s > slow_s:
        return _observed(connection, Reason.SLOW, f"{detail}; took {took_s:.3g} s, objective {slow_s:g} s")
    return _observed(connection, Reason.OK, detail)


def _observed(connection: Connection, reason: Reason, detail: str) -> Observation:
    return Observation(
        reason,
        detail,
        address=connection.address,
        phases=connection.phases,
        certificate=connection.certificate,
        warnings=connection.warnings,
    )


class DnsOptions(base.Options):
    """Options of the kind ``dns``."""

    name: str = Field(min_length=1)
    record: Literal["A", "AAAA", "CNAME", "MX", "TXT", "NS", "CAA", "SRV", "HTTPS"] = "A"
    resolvers: Words = ()
    """IP addresses, as ``1.1.1.1`` or ``127.0.0.1:5353``; none means the machine's own."""
    contains: Words = ()
    """Answers that must be there."""
    absent: Words = ()
    """Answers that must not be there."""
    only: Words = ()
    """When given, no other answer may be there."""
    min_answers: int = Field(1, ge=0, le=100)
    slow_s: Seconds | None = None

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        from dns.exception import DNSException  # late: only this kind needs dnspython
        from dns.name import from_text

        try:
            from_text(value)
        except (DNSException, UnicodeError):
            raise ValueError(f'"{value[:60]}" is no name that a resolver could be asked for') from None
        return value

    @field_validator("resolvers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            name_server(text)
        return value

    def target(self) -> str:
        """Return the name asked for."""
        return self.name


async def run_dns(options: DnsOptions, ctx: Context) -> Observation:
    """Ask every resolver at once and compare the answers with the rules."""
    limit_s = ctx.remaining_s() * 0.9  # so that the slowest resolver cannot take the answer of the others with it
    found = await ctx.wire.ask_name(options.resolvers, options.name, options.record, limit_s)
    return _judged(options, [one if one.failure else replace(one, failure=_broken(options, one)) for one in found])


def _judged(options: DnsOptions, found: list[NameAnswer]) -> Observation:
    speaking = [finding for finding in found if not finding.silent]
    bad = [finding for finding in speaking if finding.failure]
    good = [finding for finding in speaking if not finding.failure]
    detail = ", ".join(_words(finding) for finding in found)
    latency_s = median(finding.latency_s for finding in speaking) if speaking else None
    phases = Phases(dns_s=latency_s)
    notes = tuple(
        detailed(WarningCode.DNS_RESOLVER_FAILED, finding.server)
        for finding in found
        if finding.silent or finding.failure
    )
    if not speaking:
        return Observation(Reason.NETWORK, f"no resolver answered: {detail}", phases=phases)
    if bad and len(bad) >= min(2, len(found)):
        wrong = all(finding.answers for finding in bad)
        return Observation(Reason.CONTENT if wrong else Reason.DNS, detail, phases=phases)
    if not good:
        return Observation(Reason.NETWORK, f"resolvers disagree or are silent: {detail}", phases=phases)
    is_slow = options.slow_s is not None and latency_s is not None and latency_s > options.slow_s
    return Observation(Reason.SLOW if is_slow else Reason.OK, detail, phases=phases, warnings=notes)


def _words(finding: NameAnswer) -> str:
    said = finding.failure or f"{len(finding.answers)} answers"
    return f"{finding.server} {finding.latency_s * 1000:.0f} ms {said}"


def _broken(options: DnsOptions, said: NameAnswer) -> str:
    answers = said.answers
    if len(answers) < options.min_answers:
        return f"{len(answers)} answers, at least {options.min_answers} wanted"
    missing = [text for text in options.contains if text not in answers]
    unwanted = [text for text in answers if text in options.absent or (options.only and text not in options.only)]
    if missing:
        return f"{missing[0]} is missing"
    return f"{unwanted[0][:60]} must not be there" if unwanted else ""
