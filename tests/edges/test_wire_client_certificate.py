"""Certificates of our own: shown to the origin that a look asks, to no other, and whose trouble a refusal is."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr, ValidationError

from monitor import clock
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes import KINDS
from monitor.wire import ClientCertificate, Limits, Way, Wire, WireError, check_certificate
from tests.edges.hostile import LOOPBACK, says, serve, with_length
from tests.edges.hostile_tls import DAY, Authority
from tests.edges.probing import context, look_once
from tests.edges.proxying import ProxyServer

PAGE = with_length(b"Welcome")
LIMITS = Limits(deadline_s=3)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def wants(authority: Authority, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Return a server that lets nobody in without a certificate of the authority."""
    context = authority.server()
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    return context


@contextmanager
def guarded(server: ssl.SSLContext, answer: bytes = PAGE) -> Iterator[int]:
    """Serve in a thread: asyncio's own servers hang up without telling why."""

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(3)
                with server.wrap_socket(connection, server_side=True) as line:
                    line.recv(65536)
                    line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,), daemon=True)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread up
            accepting.join(timeout=5)


def seen(authority: Authority, kind: str, server: ssl.SSLContext, **options: Any) -> Observation:
    async def main() -> Observation:
        with guarded(server) as port:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now())
            where = {"host": "127.0.0.1", "port": port} if kind == "tls" else {"url": f"https://127.0.0.1:{port}/"}
            return await look_once(kind, ctx, **where, **options)

    return asyncio.run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_has_a_certificate_is_let_in(authority: Authority, version: ssl.TLSVersion) -> None:
    own = str(authority.server_file(names=("prober",)))
    found = seen(authority, "http", wants(authority, version), client_certificate=own, contains="Welcome")
    assert found.reason is Reason.OK, found.detail
    assert seen(authority, "tls", wants(authority, version), client_certificate=own).reason is Reason.OK
    assert seen(authority, "http", wants(authority, version)).reason is Reason.TLS


def test_a_key_may_lie_in_a_file_of_its_own_under_a_password(authority: Authority, tmp_path: Path) -> None:
    whole = authority.server_file(names=("prober",)).read_bytes()
    head, mark, rest = whole.partition(b"-----BEGIN CERTIFICATE-----")
    key = serialization.load_pem_private_key(head, None)
    sealed = serialization.BestAvailableEncryption(b"pass word")
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
    )
    (tmp_path / "cert.pem").write_bytes(mark + rest)
    files = {"client_certificate": str(tmp_path / "cert.pem"), "client_key": str(tmp_path / "key.pem")}
    found = seen(authority, "http", wants(authority), client_key_password=SecretStr("pass word"), **files)
    assert found.reason is Reason.OK, found.detail
    found = seen(authority, "http", wants(authority), client_key_password=SecretStr("opensesame"), **files)
    assert found.reason is Reason.CONFIG
    assert "opensesame" not in found.detail
    with pytest.raises(ValidationError, match="cannot be used as a certificate"):
        KINDS["http"].options.model_validate({"url": "https://a.example/", **files})


WRONG: dict[str, Callable[[Authority, Path], Path]] = {
    "expired": lambda authority, _: authority.server_file(names=("prober",), starts_in=-9 * DAY, ends_in=-2 * DAY),
    "of a stranger": lambda _, folder: Authority(folder, name="Stranger").server_file(names=("prober",)),
    "its own": lambda authority, _: authority.server_file(names=("prober",), self_signed=True),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", WRONG)
def test_a_certificate_of_ours_that_is_refused_is_our_account(
    authority: Authority, tmp_path: Path, name: str, version: ssl.TLSVersion
) -> None:
    (tmp_path / "other").mkdir()
    own = WRONG[name](authority, tmp_path / "other")
    found = seen(authority, "http", wants(authority, version), client_certificate=str(own))
    assert found.reason is Reason.AUTH, found.detail


def test_no_other_origin_is_shown_our_certificate(authority: Authority) -> None:
    own = ClientCertificate(str(authority.server_file(names=("prober",))))

    async def main() -> Reason:
        with guarded(wants(authority)) as other:
            away = b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % other
            with guarded(wants(authority), away) as port:
                wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file)).by(Way(certificate=own))
                with pytest.raises(WireError) as caught:
                    await wire.fetch("GET", f"https://127.0.0.1:{port}/", redirects=2, limits=LIMITS)
                return caught.value.reason

    assert asyncio.run(main()) is Reason.TLS


def test_a_certificate_goes_through_a_tunnel_to_the_target_and_not_to_the_proxy(authority: Authority) -> None:
    own = str(authority.server_file(names=("prober",)))

    async def main() -> Observation:
        async with serve(says(PAGE), wants(authority)) as port, serve(ProxyServer(), authority.server()) as out:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now())
            way = {"proxy": f"https://127.0.0.1:{out}", "client_certificate": own}
            return await look_once("http", ctx, url=f"https://127.0.0.1:{port}/", **way)

    found = asyncio.run(main())
    assert found.reason is Reason.OK, found.detail


def test_a_certificate_without_its_key_is_told_in_words(authority: Authority, tmp_path: Path) -> None:
    _, mark, rest = authority.server_file().read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    bare = tmp_path / "bare.pem"
    bare.write_bytes(mark + rest)
    assert "cannot be used as a certificate with its key" in check_certificate(ClientCertificate(str(bare)))
    assert check_certificate(ClientCertificate(str(authority.server_file()))) == ""


def test_a_certificate_that_is_renewed_in_its_place_is_taken_at_the_next_look(authority: Authority) -> None:
    path = authority.server_file(names=("prober",), starts_in=-9 * DAY, ends_in=-2 * DAY)
    wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
    way = Way(certificate=ClientCertificate(str(path)))

    async def main() -> tuple[Reason, int]:
        with guarded(wants(authority)) as port:
            with pytest.raises(WireError) as caught:
                await wire.by(way).fetch("GET", f"https://127.0.0.1:{port}/", limits=LIMITS)
            path.write_bytes(authority.server_file(names=("prober",)).read_bytes())
            os.utime(path, ns=(1, 1))
            return caught.value.reason, (
                await wire.by(way).fetch("GET", f"https://127.0.0.1:{port}/", limits=LIMITS)
            ).status

    assert asyncio.run(main()) == (Reason.AUTH, 200)
    assert wire.by(way) is wire.by(way)
