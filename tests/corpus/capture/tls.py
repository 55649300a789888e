"""What servers answer to a TLS handshake that they refuse, or that they do not understand."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.corpus.capture import programs, web
from tests.corpus.capture.running import HOST, Server, Wish, debian, free_port, output, program, running
from tests.corpus.capture.site import certificate


def hello(name: str = HOST, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """Return the first record of a handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, newest
    out = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return out.read()


def at_plain(server: Server) -> Server:
    """Return the wish for what a server says to TLS at its port for plain HTTP."""
    return dataclasses.replace(server, name=f"tls-at-{server.name}", wishes=(Wish("hello", hello(), "tls"),), idle_s=3)


@contextmanager
def openssl(folder: Path) -> Iterator[dict[str, int]]:
    """Run OpenSSL's servers: one of TLS 1.3 alone, one of a cipher that nobody has."""
    cert, key = certificate(folder)
    ports = {"newest": free_port(), "cipher": free_port(), "oldest": free_port()}
    with (
        running(_s_server(ports["newest"], cert, key, "-tls1_3"), ports["newest"], cwd=folder),
        running(
            _s_server(ports["cipher"], cert, key, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-CCM8"),
            ports["cipher"],
            cwd=folder,
        ),
        running(
            _s_server(ports["oldest"], cert, key, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), ports["oldest"], cwd=folder
        ),
    ):
        yield ports


def _s_server(port: int, cert: Path, key: Path, *more: str) -> list[str]:
    return [
        program("openssl"),
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-cert",
        str(cert),
        "-key",
        str(key),
        "-quiet",
        *more,
    ]


NGINX = """
daemon off; error_log {folder}/error.log; pid {folder}/pid; user root;
events {{ worker_connections 64; }}
http {{ access_log off; server {{ listen 127.0.0.1:{main} ssl default_server; ssl_reject_handshake on; }} }}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[dict[str, int]]:
    """Run nginx that knows no such name."""
    ports = {"main": free_port()}
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, **ports))
    with running(
        [program("nginx", "/usr/sbin"), "-p", str(folder), "-c", str(folder / "nginx.conf")], ports["main"], cwd=folder
    ):
        yield ports


HAPROXY = """
defaults
  mode http
  timeout connect 1s
  timeout client 3s
  timeout server 1s
frontend web
  bind 127.0.0.1:{main} ssl crt {folder}/both.pem strict-sni
"""


@contextmanager
def haproxy(folder: Path) -> Iterator[dict[str, int]]:
    """Run HAProxy that knows no such name."""
    certificate(folder)
    ports = {"main": free_port()}
    (folder / "haproxy.cfg").write_text(HAPROXY.format(folder=folder, **ports))
    with running(
        [program("haproxy", "/usr/sbin"), "-f", str(folder / "haproxy.cfg"), "-db"], ports["main"], cwd=folder
    ):
        yield ports


PLAIN = [
    one
    for one in (*web.SERVERS, *programs.SERVERS)
    if one.name in ("nginx", "apache", "caddy", "haproxy", "tomcat", "uvicorn", "node")
]
SERVERS = (
    *map(at_plain, PLAIN),
    Server("tls-openssl", "OpenSSL", lambda: output("openssl", "version"), openssl, (
        Wish("too-new", hello(newest=ssl.TLSVersion.TLSv1_2), "tls", port="newest"),
        Wish("no-common-cipher", hello(), "tls", port="cipher"),
        Wish("too-old", hello(), "tls", port="oldest"),
    ), idle_s=2),
    Server("tls-nginx", "Debian: nginx-light", debian("nginx"), nginx, (Wish("no-such-name", hello(), "tls"),), idle_s=2),
    Server("tls-haproxy", "Debian: haproxy", debian("haproxy"), haproxy, (Wish("no-such-name", hello("other.example"), "tls"),), idle_s=2),
)  # fmt: skip
