"""TLS: what a certificate says, whether it is trusted or not, and how each failure is called."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor import clock
from monitor.core.model.reasons import Reason
from monitor.wire import Answer, Connection, Limits, Resolver, Wire, WireError, certificates, dial
from monitor.wire.tls import make_context
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, OK_HEAD, Recorder, request_of, says, serve, with_length
from tests.edges.hostile_tls import DAY, Authority

LIMITS = Limits(deadline_s=3)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def fetch(context: ssl.SSLContext, authority: Authority | None, host: str = "127.0.0.1") -> Answer:
    async def main() -> Answer:
        async with serve(says(with_length(b"fine")), context) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file) if authority else None)
            return await wire.fetch("GET", f"https://{host}:{port}/", limits=LIMITS)

    return driven.run(main())


def failure(context: ssl.SSLContext, authority: Authority | None, host: str = "127.0.0.1") -> WireError:
    with pytest.raises(WireError) as caught:
        fetch(context, authority, host)
    return caught.value


def days_left(error: WireError) -> int:
    assert error.certificate is not None
    return (error.certificate.not_after - datetime.now(UTC)).days


def test_a_good_certificate_is_told_with_its_expiry(authority: Authority) -> None:
    answer = fetch(authority.server(ends_in=30 * DAY), authority)
    assert answer.body == b"fine"
    assert answer.certificate is not None
    assert answer.certificate.trusted
    assert answer.certificate.subject == "127.0.0.1"
    assert answer.certificate.issuer == "Loopback Root"
    assert answer.certificate.chain_not_after == answer.certificate.not_after
    assert len(answer.certificate.fingerprint_sha256) == 64
    assert answer.warnings == ()
    assert answer.phases.tls_s is not None
    assert answer.phases.tls_s > 0


def test_an_expired_certificate_is_named_and_its_expiry_still_told(authority: Authority) -> None:
    error = failure(authority.server(starts_in=-9 * DAY, ends_in=-2 * DAY), authority)
    assert error.reason is Reason.CERTIFICATE_EXPIRED
    assert days_left(error) == -3
    assert error.certificate is not None
    assert not error.certificate.trusted


def test_a_certificate_of_tomorrow_is_not_valid_yet(authority: Authority) -> None:
    error = failure(authority.server(starts_in=DAY), authority)
    assert error.reason is Reason.CERTIFICATE_NOT_YET_VALID
    assert "not yet valid" in error.detail


def test_a_self_signed_certificate_is_untrusted(authority: Authority) -> None:
    error = failure(authority.server(self_signed=True), authority)
    assert error.reason is Reason.CERTIFICATE_UNTRUSTED
    assert days_left(error) == 59


def test_an_unknown_authority_is_untrusted(authority: Authority) -> None:
    error = failure(authority.server(), None)
    assert error.reason is Reason.CERTIFICATE_UNTRUSTED
    assert days_left(error) == 59


def test_a_certificate_of_another_host_is_a_name_failure(authority: Authority) -> None:
    error = failure(authority.server(names=("other.example",)), authority)
    assert error.reason is Reason.CERTIFICATE_NAME
    assert error.certificate is not None
    assert error.certificate.subject == "other.example"


NAMED: list[tuple[tuple[str, ...], bool, str, Reason | None]] = [
    (("localhost",), False, "localhost", None),
    (("localhost",), False, "localhost.", None),
    (("localhost",), False, "LOCALHOST", None),
    (("localhost",), True, "localhost", Reason.CERTIFICATE_NAME),
    (("localhost",), True, "localhost.", Reason.CERTIFICATE_NAME),
    (("127.0.0.1",), True, "127.0.0.1", Reason.CERTIFICATE_NAME),
    (("127.0.0.1",), False, "127.0.0.1", None),
    (("127.0.0.1",), False, "localhost", Reason.CERTIFICATE_NAME),
    (("*.example.com",), False, "a.example.com", None),
    (("*.example.com",), False, "a.example.com.", None),
    (("*.example.com",), False, "a.b.example.com", Reason.CERTIFICATE_NAME),
    (("*.example.com",), False, "example.com", Reason.CERTIFICATE_NAME),
    (("a*.example.com",), False, "ab.example.com", Reason.CERTIFICATE_NAME),
    (("other.example", "xn--mnchen-3ya.example"), False, "münchen.example", None),
]


def test_only_alternative_names_count_and_a_final_dot_is_no_part_of_a_name(authority: Authority) -> None:
    async def main() -> list[Reason | None]:
        found: list[Reason | None] = []
        wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
        for names, common, asked, _ in NAMED:
            async with serve(says(), authority.server(names=names, common_name_only=common)) as port:
                try:
                    await wire.connect("127.0.0.1", port, tls=True, limits=LIMITS, server_name=asked)
                    found.append(None)
                except WireError as error:
                    found.append(error.reason)
        return found

    assert driven.run(main()) == [reason for *_, reason in NAMED]


def test_a_certificate_without_alternative_names_is_told_as_such(authority: Authority) -> None:
    error = failure(authority.server(names=("localhost",), common_name_only=True), authority, "localhost")
    assert (error.reason, error.detail) == (
        Reason.CERTIFICATE_NAME,
        "the certificate has a common name and no alternative name",
    )


def test_an_absolute_name_in_an_address_is_asked_for_without_its_dot(authority: Authority) -> None:
    async def main() -> int:
        async with serve(says(with_length(b"fine")), authority.server(names=("chat.example",))) as port:
            resolver = Resolver(lambda _, __: [(socket.AF_INET, "127.0.0.1")])
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file), resolver=resolver)
            return (await wire.fetch("GET", f"https://chat.example.:{port}/", limits=LIMITS)).status

    assert driven.run(main()) == 200


def test_the_second_handshake_sends_no_data(authority: Authority) -> None:
    recorder = Recorder()

    async def main() -> None:
        async with serve(recorder, authority.server(ends_in=-timedelta(hours=1))) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            with pytest.raises(WireError):
                await wire.fetch("GET", f"https://127.0.0.1:{port}/", secret_headers={"x-api-key": "canary-8842"})
            await asyncio.sleep(0.05)

    driven.run(main())
    assert recorder.heard == []


def test_a_chain_that_only_strict_checking_refuses_is_a_warning(tmp_path: Path) -> None:
    lax = Authority(tmp_path, strict=False)
    answer = fetch(lax.server(), lax)
    assert answer.status == 200
    assert "tls.strict: CA without key usage" in answer.warnings


def test_strict_checking_is_cleared_on_every_python() -> None:
    assert not make_context(None).verify_flags & ssl.VERIFY_X509_STRICT


def test_the_context_writes_no_key_log() -> None:
    assert make_context(None).keylog_filename is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning")
def test_a_server_of_tls_1_0_alone_is_a_tls_failure_that_names_the_version(authority: Authority) -> None:
    context = authority.server()
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
    except (ssl.SSLError, ValueError):
        pytest.skip("this OpenSSL cannot serve TLS 1.0 any more, so there is no such server to look at")

    def serve_once(listener: socket.socket) -> None:  # blocking, because asyncio drops the alert that tells why
        connection, _ = listener.accept()
        with connection, pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)

    async def main() -> WireError:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            served = asyncio.create_task(asyncio.to_thread(serve_once, listener))
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            with pytest.raises(WireError) as caught:
                await wire.connect("127.0.0.1", listener.getsockname()[1], tls=True, limits=LIMITS)
            await served
            return caught.value

    error = driven.run(main())
    assert error.reason is Reason.TLS
    assert "version" in error.detail


def test_connect_tells_version_cipher_and_certificate(authority: Authority) -> None:
    async def main() -> tuple[Connection, Connection]:
        async with serve(says(), authority.server()) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            tls = await wire.connect("127.0.0.1", port, tls=True, limits=LIMITS)
            named = await wire.connect("127.0.0.1", port, tls=True, limits=LIMITS, server_name="localhost")
            await wire.aclose()
            return tls, named

    for told in driven.run(main()):
        assert told.tls_version == "TLSv1.3"
        assert told.cipher
        assert told.certificate is not None
        assert told.phases.connect_s is not None


def test_connect_without_tls_tells_the_round_trip() -> None:
    async def main() -> Connection:
        async with serve(says()) as port:
            return await Wire(allow_networks=LOOPBACK).connect("127.0.0.1", port, tls=False, limits=LIMITS)

    before_s = time.monotonic()
    told = driven.run(main())
    took_s = time.monotonic() - before_s
    assert told.address == "127.0.0.1"
    assert told.certificate is None
    if dial.STAMPS:
        assert told.phases.rtt_s is not None
        assert 0 < told.phases.rtt_s < took_s, "the kernel's time is the machine's, whoever drives ours"


@pytest.mark.skipif(not dial.STAMPS, reason="only Linux tells the round trip of a handshake")
def test_the_connect_phase_is_the_kernels_round_trip_and_not_our_loops_lag() -> None:
    async def main() -> Connection:
        async with serve(says()) as port:
            wire = Wire(allow_networks=LOOPBACK)
            task = asyncio.create_task(wire.connect("127.0.0.1", port, tls=False, limits=LIMITS))
            await asyncio.sleep(0)  # the kernel shakes hands at once
            driven.pass_time(0.3)  # and we come to it late
            return await task

    told = driven.run(main()).phases
    assert told.connect_s is not None
    assert told.loop_lag_s > 0.29
    assert told.connect_s < told.loop_lag_s


def test_a_body_that_ends_with_the_connection_and_no_goodbye_is_kept_with_a_warning(authority: Authority) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await writer.drain()
        writer.transport.abort()

    async def main() -> Answer:
        async with serve(rude, authority.server()) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            return await wire.fetch("GET", f"https://127.0.0.1:{port}/", limits=LIMITS)

    answer = driven.run(main())
    assert answer.body == b"all of it"
    assert any(warning.startswith("tls.no_close_notify") for warning in answer.warnings)


def test_a_server_that_wants_a_client_certificate_is_a_tls_failure_and_no_reset(authority: Authority) -> None:
    context = authority.server()
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED

    def serve_once(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)

    async def main() -> WireError:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            served = asyncio.create_task(asyncio.to_thread(serve_once, listener))
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
            with pytest.raises(WireError) as caught:
                await wire.fetch("GET", url, limits=LIMITS)
            await served
            return caught.value

    error = driven.run(main())
    assert error.reason is Reason.TLS
    assert "certificate required" in error.detail


def test_a_flood_of_records_with_one_byte_each_is_too_large(authority: Authority) -> None:
    async def crumbs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK_HEAD + b"\r\n")
        while True:
            for _ in range(500):
                writer.write(b"a")
            await writer.drain()

    async def main() -> WireError:
        async with serve(crumbs, authority.server()) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            limits = Limits(deadline_s=20, wire_bytes=20_000)
            with pytest.raises(WireError) as caught:
                await wire.fetch("GET", f"https://127.0.0.1:{port}/", limits=limits)
            return caught.value

    error = driven.run(main())
    assert error.reason is Reason.TOO_LARGE
    assert "far more bytes" in error.detail


def test_a_chain_of_many_kilobytes_is_read_and_not_kept(authority: Authority) -> None:
    kept = certificates._facts.cache_info().currsize
    names = ("127.0.0.1", *(f"name-{number}.example" for number in range(1000)))
    assert days_left(failure(authority.server(names=names, self_signed=True), authority)) in (59, 60)
    assert certificates._facts.cache_info().currsize == kept
    failure(authority.server(self_signed=True), authority)
    assert certificates._facts.cache_info().currsize == kept + 1


def test_no_server_may_choose_a_key_exchange_that_takes_us_a_fifth_of_a_second() -> None:
    for context in (make_context(None), make_context(None, verify=False)):
        exchanges = {cipher["kea"] for cipher in context.get_ciphers()}
        assert "kx-ecdhe" in exchanges
        assert "kx-dhe" not in exchanges


def test_a_date_that_came_over_a_trusted_connection_is_remembered(authority: Authority) -> None:
    head = b"HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"

    async def main() -> list[timedelta | None]:
        wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
        async with serve(says(head), authority.server()) as one, serve(says(head)) as plain:
            await wire.fetch("GET", f"http://127.0.0.1:{plain}/", limits=LIMITS)
            await wire.fetch("GET", f"https://127.0.0.1:{one}/", limits=LIMITS)
            wire.ground.time.heard("other.example", "Mon, 05 Jan 2026 00:00:00 GMT", clock.monotonic())
        return [wire.ground.time.ahead(datetime(2028, 1, 5, tzinfo=UTC), clock.monotonic())]

    (ahead,) = driven.run(main())
    assert ahead is not None
    assert abs(ahead - timedelta(days=730)) < timedelta(minutes=1)


def test_who_has_no_certificate_that_we_trust_says_nothing_of_the_time(authority: Authority, tmp_path: Path) -> None:
    elsewhere = tmp_path / "stranger"
    elsewhere.mkdir()
    stranger = Authority(elsewhere)

    async def main() -> timedelta | None:
        wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
        wire.ground.time.heard("other.example", "Mon, 05 Jan 2026 00:00:00 GMT", clock.monotonic())
        async with serve(says(OK_HEAD), stranger.server()) as port:
            with pytest.raises(WireError) as caught:
                await wire.fetch("GET", f"https://127.0.0.1:{port}/", limits=LIMITS)
        assert caught.value.reason is Reason.CERTIFICATE_UNTRUSTED
        return wire.ground.time.ahead(datetime(2028, 1, 5, tzinfo=UTC), clock.monotonic())

    assert driven.run(main()) is None
