"""The kinds ``tcp``, ``tls`` and ``dns`` against real sockets on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from pydantic import ValidationError

from monitor import clock
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes import KINDS
from monitor.probes.dns import Options as DnsOptions
from monitor.probes.tcp import Options as TcpOptions
from monitor.probes.tls import Options as TlsOptions
from tests.edges import driven
from tests.edges.hostile import black_hole, serve, silent
from tests.edges.hostile_tls import DAY, Authority
from tests.edges.probing import context, look_once


def tcp(**options: Any) -> Observation:
    async def main() -> Observation:
        async with serve(silent) as port:
            return await look_once("tcp", context(), host="127.0.0.1", port=port, **options)

    return driven.run(main())


def test_an_open_port_is_ok_and_a_closed_one_is_not() -> None:
    seen = tcp()
    assert (seen.reason, seen.address) == (Reason.OK, "127.0.0.1")
    assert seen.phases is not None
    assert seen.phases.connect_s is not None
    closed = driven.run(look_once("tcp", context(), host="127.0.0.1", port=9))
    assert (closed.reason, closed.outcome) == (Reason.CONNECT, Outcome.FAILED)


def test_a_connection_slower_than_its_objective_is_slow() -> None:
    assert tcp(slow_s="1ms").reason in (Reason.OK, Reason.SLOW)
    assert tcp(slow_s="0s").reason is Reason.SLOW


def test_a_port_that_swallows_everything_times_out_in_time() -> None:
    async def main() -> tuple[Observation, float]:
        async with black_hole() as port:
            started_s = clock.monotonic()
            seen = await look_once("tcp", context(timeout_s=0.3), host="127.0.0.1", port=port)
            return seen, clock.monotonic() - started_s

    seen, took_s = driven.run(main())
    assert seen.reason is Reason.TIMEOUT_CONNECT
    assert 0.3 <= took_s < 0.4


def test_targets_name_host_and_port() -> None:
    assert TcpOptions(host="db.example", port=5432).target() == "db.example:5432"
    assert TlsOptions(host="example.com").target() == "example.com:443"
    assert DnsOptions(name="example.com").target() == "example.com"
    with pytest.raises(ValidationError):
        TcpOptions(host="x", port=0)
    for bad in ("a..b", "x" * 70 + ".example", "\\"):
        with pytest.raises(ValidationError, match="is no name"):
            DnsOptions(name=bad)


def tls(folder: Path, *, options: dict[str, Any] | None = None, **leaf: Any) -> Observation:
    authority = Authority(folder)

    async def main() -> Observation:
        async with serve(silent, authority.server(**leaf)) as port:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now())
            return await look_once("tls", ctx, host="127.0.0.1", port=port, **(options or {}))

    return driven.run(main())


def test_a_handshake_tells_version_cipher_and_certificate(tmp_path: Path) -> None:
    seen = tls(tmp_path)
    assert seen.reason is Reason.OK
    assert seen.detail.startswith("TLSv1.3 TLS_")
    assert seen.certificate is not None
    assert seen.certificate.trusted
    assert seen.phases is not None
    assert seen.phases.tls_s is not None


def test_each_fault_of_a_certificate_has_its_reason_and_is_shown(tmp_path: Path) -> None:
    for leaf, reason in (
        ({"ends_in": -DAY, "starts_in": -9 * DAY}, Reason.CERTIFICATE_EXPIRED),
        ({"names": ("other.example",)}, Reason.CERTIFICATE_NAME),
        ({"self_signed": True}, Reason.CERTIFICATE_UNTRUSTED),
        ({"ends_in": 3 * DAY}, Reason.CERTIFICATE_EXPIRING),
    ):
        seen = tls(tmp_path, **leaf)
        assert seen.reason is reason, leaf
        assert seen.certificate is not None, leaf


def test_the_name_to_ask_for_may_differ_from_the_host(tmp_path: Path) -> None:
    assert tls(tmp_path, options={"server_name": "chat.example"}, names=("chat.example",)).reason is Reason.OK


def test_a_version_below_the_wanted_one_is_a_tls_failure(tmp_path: Path) -> None:
    import ssl

    authority = Authority(tmp_path)
    old = authority.server()
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    async def main(version: str) -> Observation:
        async with serve(silent, old) as port:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now())
            return await look_once("tls", ctx, host="127.0.0.1", port=port, min_version=version)

    assert driven.run(main("TLSv1.2")).reason is Reason.OK
    seen = driven.run(main("TLSv1.3"))
    assert (seen.reason, seen.outcome) == (Reason.TLS, Outcome.FAILED)
    assert "TLSv1.2" in seen.detail


class Resolver(asyncio.DatagramProtocol):
    """A name server that answers every A question with ``addresses``, or with ``rcode``, or not at all."""

    def __init__(self, addresses: tuple[str, ...], rcode: dns.rcode.Rcode, delay_s: float, *, mute: bool) -> None:
        self.addresses, self.rcode, self.delay_s, self.mute = addresses, rcode, delay_s, mute

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.mute:
            return
        question = dns.message.from_wire(data)
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.RA
        reply.set_rcode(self.rcode)
        if self.addresses:
            reply.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", *self.addresses))
        wire = reply.to_wire()
        asyncio.get_running_loop().call_later(self.delay_s, self.transport.sendto, wire, addr)


@asynccontextmanager
async def resolver(
    *addresses: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, delay_s: float = 0.0, mute: bool = False
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Resolver(addresses, rcode, delay_s, mute=mute), local_addr=("127.0.0.1", 0)
    )
    try:
        yield "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()
        await asyncio.sleep(0)


GOOD: dict[str, Any] = {"delay_s": 0.0}
NXDOMAIN: dict[str, Any] = {"rcode": dns.rcode.NXDOMAIN}
SERVFAIL: dict[str, Any] = {"rcode": dns.rcode.SERVFAIL}
REFUSED: dict[str, Any] = {"rcode": dns.rcode.REFUSED}
MUTE: dict[str, Any] = {"mute": True}


def name(*servers: dict[str, Any], address: str = "192.0.2.7", **options: Any) -> Observation:
    async def main() -> Observation:
        async with AsyncExitStack() as stack:
            found = []
            for server in servers:
                answers = () if server.get("mute") or server.get("rcode") else (address,)
                found.append(await stack.enter_async_context(resolver(*answers, **server)))
            return await look_once("dns", context(timeout_s=0.5), name="chat.example.com", resolvers=found, **options)

    return driven.run(main())


def test_every_resolver_is_named_with_its_latency() -> None:
    seen = name(GOOD, {"delay_s": 0.05})
    assert (seen.reason, seen.warnings) == (Reason.OK, ())
    assert seen.detail.count("127.0.0.1:") == 2
    assert seen.detail.count(" ms 1 answers") == 2
    assert seen.phases is not None
    assert seen.phases.dns_s is not None


@pytest.mark.parametrize(
    ("servers", "reason"),
    [
        ((NXDOMAIN,), Reason.DNS), ((SERVFAIL,), Reason.DNS), ((NXDOMAIN, SERVFAIL), Reason.DNS),
        ((NXDOMAIN, NXDOMAIN, GOOD), Reason.DNS), ((SERVFAIL, GOOD), Reason.OK), ((MUTE, GOOD), Reason.OK),
        ((REFUSED, GOOD), Reason.OK), ((MUTE,), Reason.NETWORK), ((MUTE, MUTE), Reason.NETWORK),
        ((REFUSED,), Reason.NETWORK), ((NXDOMAIN, MUTE), Reason.NETWORK),
    ],
)  # fmt: skip
def test_a_name_fails_when_two_resolvers_agree_and_silence_is_ours(
    servers: tuple[dict[str, Any], ...], reason: Reason
) -> None:
    seen = name(*servers)
    assert seen.reason is reason
    assert bool(seen.warnings) is (reason is Reason.OK)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"contains": "192.0.2.7"}, Reason.OK),
        ({"contains": ["192.0.2.8"]}, Reason.CONTENT),
        ({"absent": "192.0.2.7"}, Reason.CONTENT),
        ({"only": ["192.0.2.7", "192.0.2.9"]}, Reason.OK),
        ({"only": "192.0.2.9"}, Reason.CONTENT),
        ({"min_answers": 2}, Reason.CONTENT),
    ],
)
def test_answers_are_held_against_the_rules(rules: dict[str, Any], reason: Reason) -> None:
    assert name(GOOD, GOOD, **rules).reason is reason


def test_a_name_without_a_record_of_the_kind_is_a_failure_unless_none_is_wanted() -> None:
    empty: dict[str, Any] = {"rcode": dns.rcode.NOERROR, "delay_s": 0.001}

    async def main(wanted: int) -> Observation:
        async with resolver(**empty) as server:
            return await look_once("dns", context(), name="a.example", resolvers=server, min_answers=wanted)

    assert driven.run(main(1)).reason is Reason.DNS
    assert driven.run(main(0)).reason is Reason.OK


def test_slow_resolvers_are_slow() -> None:
    assert name({"delay_s": 0.1}, slow_s="50ms").reason is Reason.SLOW


def test_resolvers_are_addresses_and_not_names() -> None:
    for good in ("1.1.1.1", "127.0.0.1:5353", "[::1]:53", "2606:4700:4700::1111"):
        assert DnsOptions(name="x.example", resolvers=(good,)).resolvers == (good,)
    for bad in ("dns.google", "1.1.1.1:port", "1.1.1.1:0", "1.1.1.1:65536", "1.1.1.1:99999", "[::1]:-1", ""):
        with pytest.raises(ValidationError):
            DnsOptions(name="x.example", resolvers=(bad,))


def test_a_resolver_in_a_private_network_is_asked_only_where_that_is_allowed_by_name() -> None:
    async def main(*allowed: str) -> Observation:
        async with resolver("192.0.2.7") as server:
            ctx = context(allow_networks=allowed)
            return await look_once("dns", ctx, name="chat.example.com", resolvers=[server])

    refused = driven.run(main())
    assert (refused.reason, refused.outcome) == (Reason.ADDRESS, Outcome.UNKNOWN)
    assert "127.0.0.1 is refused: loopback" in refused.detail
    assert driven.run(main("127.0.0.0/8")).reason is Reason.OK


def test_no_allow_list_makes_a_metadata_service_a_resolver() -> None:
    ctx = context(allow_networks=["0.0.0.0/0"])
    seen = driven.run(look_once("dns", ctx, name="x.example", resolvers="169.254.169.254"))
    assert seen.reason is Reason.ADDRESS


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("https://127.0.0.1", "web address"), ("localhost/", "web address"), ("chat.example:443", "port"),
        ("127.0.0.1:443", "port"), ("[::1]", "brackets"), ("[::1]:443", "brackets"), ("256.1.1.1", "is none"),
        ("10.0.0", "is none"), ("127.1", "is none"), ("a..b", "no name"), (".", "no name"), ("", "no name"),
        ("chat example", "no name"), ("me@chat.example", "no name"), ("a" * 64 + ".example", "no name"),
        ("2001:db8::g", "no name"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_a_host_that_is_more_or_less_than_a_host_is_a_typing_error_of_ours(kind: str, host: str, hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        KINDS[kind].options.model_validate({"host": host, "port": 443})


@pytest.mark.parametrize(
    "host",
    [
        "chat.example",
        "chat.example.",
        "a_b.example",
        "münchen.example",
        "::1",
        "fe80::1%eth0",
        "10.0.0.1",
        "localhost",
        "7-eleven.example",
        "1and1",
    ],
)
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert KINDS["tcp"].options.model_validate({"host": f" {host} ", "port": 443}).target() == f"{host}:443"


@pytest.mark.parametrize("host", ["256.1.1.1", "1.2.3.4.5", "a..b", "chat.0x", "1.2.3.999"])
def test_an_address_of_the_web_whose_host_cannot_be_is_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="its host"):
        KINDS["http"].options.model_validate({"url": f"https://{host}/"})


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "017700000001", "[::1]", "chat.example.", "2130706433"])
def test_every_host_that_a_browser_opens_may_be_written(host: str) -> None:
    assert KINDS["http"].options.model_validate({"url": f"https://{host}/"}).address() == f"https://{host}/"


@pytest.mark.parametrize("name", ["https://chat.example", "chat.example:53", "chat.example/", "me@chat.example"])
def test_a_name_that_is_an_address_of_the_web_is_asked_of_no_name_server(name: str) -> None:
    with pytest.raises(ValidationError, match="no name"):
        DnsOptions(name=name)
