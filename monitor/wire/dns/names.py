"""Questions to name servers, each asked and timed by itself: what the ``dns`` kind looks at.

A name server that somebody named is a target and passes the guard as any other. The machine's own is the operator's, is
what every other look depends on, and is usually at a private address: it is asked as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from monitor.clock import monotonic
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.wire.guard import Guard
from monitor.wire.model import WireError

PORT = 53


class NameServer(NamedTuple):
    """Where to ask."""

    address: str
    port: int = PORT

    def __str__(self) -> str:
        return self.address if self.port == PORT else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """What one name server said of a name."""

    server: str
    latency_s: float
    answers: tuple[str, ...] = ()
    failure: str = ""
    silent: bool = False
    """It did not answer, or not sensibly: nothing is known of the name."""


def name_server(text: str) -> NameServer:
    """Read an IP address, as ``1.1.1.1``, ``127.0.0.1:5353`` or ``[::1]:53``. Raises ``ValueError``."""
    try:
        return NameServer(str(ip_address(text)))
    except ValueError:
        host, _, digits = text.rpartition(":")
        port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
        if not 0 < port < 65536:
            raise ValueError(f'"{text[:60]}" is no IP address, with a port or without') from None
        return NameServer(str(ip_address(host.strip("[]"))), port)


async def ask_all(guard: Guard, servers: Sequence[str], name: str, record: str, limit_s: float) -> list[NameAnswer]:
    """Ask every server at once, the machine's own when none is named.

    Raises ``WireError``: ADDRESS before anything is sent when one of those named is refused, CONFIG when there is none.
    """
    named = [name_server(text) for text in servers]
    for server in named:
        if refusal := guard.refusal(server.address):
            detail = f"resolver {server.address} is refused: {refusal}"
            raise WireError(Reason.ADDRESS, detail, address=server.address)
    return await asyncio.gather(*(_ask(server, name, record, limit_s) for server in named or _own()))


def _own() -> list[NameServer]:
    from dns.asyncresolver import Resolver
    from dns.resolver import NoResolverConfiguration

    try:
        addresses = Resolver().nameservers
    except NoResolverConfiguration:
        raise WireError(Reason.CONFIG, coded(MessageCode.NO_RESOLVER)) from None
    return [NameServer(address) for address in addresses if isinstance(address, str)]


async def _ask(server: NameServer, name: str, record: str, limit_s: float) -> NameAnswer:
    from dns.asyncresolver import Resolver
    from dns.exception import DNSException, Timeout
    from dns.nameserver import Do53Nameserver
    from dns.resolver import NXDOMAIN, NoNameservers

    from monitor.wire.dns.bounds import BoundedBackend
    from monitor.wire.dns.records import normal

    resolver = Resolver(configure=False)
    resolver.nameservers = [Do53Nameserver(server.address, server.port)]
    started_s = monotonic()
    answers: tuple[str, ...] = ()
    failure, silent = "", False
    try:
        async with asyncio.timeout(limit_s):  # the library's own limit is passed by its pause between two tries
            reply = await resolver.resolve(
                name, record, raise_on_no_answer=False, search=False, lifetime=limit_s, backend=BoundedBackend()
            )
        answers = tuple(sorted(normal(record, item) for item in reply.rrset or ()))
    except NXDOMAIN:
        failure = "NXDOMAIN"
    except NoNameservers as error:
        failure = next((word for word in ("SERVFAIL", "REFUSED") if word in str(error)), "no usable answer")
        silent = failure != "SERVFAIL"
    except (Timeout, TimeoutError):
        failure, silent = "silent", True
    except (DNSException, OSError) as error:
        failure, silent = type(error).__name__, True
    return NameAnswer(str(server), monotonic() - started_s, answers, failure, silent)
