"""Asks name servers for a name and compares the answers of each with rules.

A resolver that does not answer at all says something of our network or of that resolver, not of the service; so does a
single SERVFAIL beside good answers. NXDOMAIN, SERVFAIL or a wrong answer counts once two resolvers agree, or the only
one there is.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from monitor.core.catalogue import Proof
from monitor.core.model.depth import Reach
from monitor.core.model.observations import Observation, Phases
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode, detailed
from monitor.probes import base
from monitor.probes.base import Context, Kind, Seconds, Words, at_most
from monitor.wire.dns.names import NameAnswer, name_server
from monitor.wire.dns.records import forms


class Options(base.Options):
    """Options of the kind ``dns``."""

    name: str = Field(min_length=1)
    record: Literal["A", "AAAA", "CNAME", "MX", "TXT", "NS", "CAA", "SRV", "HTTPS"] = "A"
    resolvers: Words = ()
    """IP addresses, as ``1.1.1.1`` or ``127.0.0.1:5353``; none means the machine's own."""
    contains: Words = ()
    """Answers that must be there, as ``dig`` prints them; compared as records: quotes, case and dots do not matter."""
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
            if any(mark in value for mark in "/:@ "):
                raise UnicodeError(value)
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

    @field_validator("contains", "absent", "only")
    @classmethod
    def _records(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for text in value:
            forms(info.data.get("record", "TXT"), text)
        return value

    def target(self) -> str:
        """Return the name asked for."""
        return self.name


async def run(options: Options, ctx: Context) -> Observation:
    """Ask every resolver at once and compare the answers with the rules."""
    limit_s = ctx.remaining_s() * 0.9  # so that the slowest resolver cannot take the answer of the others with it
    found = await ctx.wire.ask_name(options.resolvers, options.name, options.record, limit_s)
    return _judged(options, [one if one.failure else replace(one, failure=_broken(options, one)) for one in found])


def _judged(options: Options, found: list[NameAnswer]) -> Observation:
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


def _broken(options: Options, said: NameAnswer) -> str:
    answers = said.answers
    if len(answers) < options.min_answers:
        return f"{len(answers)} answers, at least {options.min_answers} wanted"
    rules = {text: forms(options.record, text) for text in (*options.contains, *options.absent, *options.only)}
    missing = [text for text in options.contains if rules[text].isdisjoint(answers)]
    absent = frozenset[str]().union(*(rules[text] for text in options.absent))
    only = frozenset[str]().union(*(rules[text] for text in options.only))
    unwanted = [text for text in answers if text in absent or (options.only and text not in only)]
    if missing:
        return f"{missing[0]} is missing"
    return f"{unwanted[0][:60]} must not be there" if unwanted else ""


KIND = Kind("dns", Options, run, reach=Reach.DNS, imports=("dns.asyncresolver",), proves=at_most(Proof.NAME))
