"""The guard: which addresses are refused, in whatever clothes they come."""

from __future__ import annotations

import socket

import pytest

from monitor.core.model.reasons import Reason
from monitor.wire import Guard, Limits, Resolver, Wire, WireError
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, Recorder, serve

REFUSED = (
    "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.1.1 169.254.169.254 172.16.0.1 "
    "172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 "
    "239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 100.100.100.200 :: ::1 ::127.0.0.1 ::8.8.8.8 "
    "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe "
    "64:ff9b::10.1.2.3 64:ff9b:1::1 100::1 2001::1 2001:db8::1 3fff::1 5f00::1 2002:7f00:1:: 2002:a9fe:a9fe:: "
    "2002:a00:1:: fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1 2a00:1450:4001::5efe:7f00:1 "
    "2a00:1450:4001::200:5efe:10.0.0.1 192.0.0.8 192.0.0.170 ::ffff:0:127.0.0.1 not-an-address "
)
PUBLIC = (
    "1.1.1.1 8.8.8.8 104.18.26.90 2606:4700:4700::1111 2a00:1450:4001:80b::200e 64:ff9b::8.8.8.8 ::ffff:8.8.8.8 "
    "2002:808:808::1 "
)
METADATA = (
    "169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254 "
    "64:ff9b::169.254.169.254 2002:a9fe:a9fe:: ::ffff:0:169.254.169.254 64:ff9b:1::169.254.169.254 "
    "64:ff9b:1:a9fe:a9:fe00:: "
)


@pytest.mark.parametrize("address", REFUSED.split())
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert Guard().refusal(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_passes(address: str) -> None:
    assert Guard().refusal(address) == ""


@pytest.mark.parametrize("address", METADATA.split())
def test_no_allow_list_opens_a_metadata_service(address: str) -> None:
    assert Guard(["0.0.0.0/0", "::/0"]).refusal(address) == "a cloud metadata service"


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"])
def test_a_network_allowed_by_name_passes(address: str) -> None:
    assert Guard(["10.0.0.0/8", "fd12::/16"]).refusal(address) == ""
    assert Guard(["192.168.0.0/16"]).refusal(address)


def test_an_allowed_ipv6_network_does_not_open_the_ipv4_address_inside() -> None:
    assert Guard(["::1/128"]).refusal("::ffff:127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0"],
)
def test_no_spelling_of_loopback_gets_through(host: str) -> None:
    recorder = Recorder()

    async def main() -> WireError:
        async with serve(recorder) as port:
            with pytest.raises(WireError) as caught:
                await Wire().fetch("GET", f"http://{host}:{port}/", limits=Limits(deadline_s=3))
            return caught.value

    assert driven.run(main()).reason in (Reason.ADDRESS, Reason.CONFIG, Reason.DNS)
    assert recorder.heard == []


def test_an_answer_that_changes_between_check_and_connect_changes_nothing() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[tuple[int, str]]:
        asked.append(host)
        return [(socket.AF_INET, "192.0.2.1" if len(asked) == 1 else "127.0.0.1")]

    recorder = Recorder()

    async def main() -> list[WireError]:
        errors = []
        async with serve(recorder) as port:
            wire = Wire(resolver=Resolver(rebinding))
            for _ in range(2):
                with pytest.raises(WireError) as caught:
                    await wire.fetch("GET", f"http://rebind.example:{port}/", limits=Limits(deadline_s=2))
                errors.append(caught.value)
        return errors

    errors = driven.run(main())
    assert [error.reason for error in errors] == [Reason.ADDRESS, Reason.ADDRESS]
    assert len(asked) == 2, "one lookup per look: what was checked is what is connected to"
    assert recorder.heard == []


def test_of_a_mixed_answer_only_the_checked_address_is_used_and_the_other_told() -> None:
    def mixed(host: str, port: int) -> list[tuple[int, str]]:
        return [(socket.AF_INET, "169.254.169.254"), (socket.AF_INET, "127.0.0.1")]

    async def main() -> tuple[str, tuple[str, ...]]:
        async with serve(Recorder()) as port:
            answer = await Wire(allow_networks=LOOPBACK, resolver=Resolver(mixed)).fetch(
                "GET", f"http://mixed.example:{port}/"
            )
            return answer.address, answer.warnings

    address, warnings = driven.run(main())
    assert address == "127.0.0.1"
    assert warnings == ("address.refused: 169.254.169.254: a cloud metadata service",)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "gopher://x/", "http://", "http://u:p@h/"])
def test_only_web_addresses_without_credentials_are_looked_at(url: str) -> None:
    async def main() -> WireError:
        with pytest.raises(WireError) as caught:
            await Wire().fetch("GET", url)
        return caught.value

    assert driven.run(main()).reason is Reason.CONFIG


def test_connect_is_guarded_too() -> None:
    async def main() -> WireError:
        async with serve(Recorder()) as port:
            with pytest.raises(WireError) as caught:
                await Wire().connect("127.0.0.1", port, tls=False)
            return caught.value

    assert driven.run(main()).reason is Reason.ADDRESS
