"""The way out over a proxy: tunnels, forwarded requests, whose trouble is whose, and who gets to read what."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.message_codes import MessageCode
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes import KINDS
from monitor.wire import Answer, Resolver, Way, Wire, WireError, from_environment, parse_proxy
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, Behave, Recorder, says, serve, with_length
from tests.edges.hostile_tls import Authority
from tests.edges.probing import KEY, context, look_once
from tests.edges.proxying import ProxyServer

NO_NAMES = Resolver(lambda _, __: (_ for _ in ()).throw(socket.gaierror(socket.EAI_NONAME, "unknown")))
"""A resolver of a network that knows no names of the outside."""
PAGE = says(with_length(b"Welcome"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def asked(
    proxy: ProxyServer,
    *,
    target: Behave = PAGE,
    tls: Authority | None = None,
    proxy_tls: Authority | None = None,
    host: str = "127.0.0.1",
    auth: str = "",
    allow: list[str] = LOOPBACK,
    resolver: Resolver | None = None,
    http2: bool = False,
    **request: Any,
) -> Answer | WireError:
    """Ask for a page over the proxy."""

    async def main() -> Answer | WireError:
        inner = tls.server(names=("127.0.0.1", "localhost", "chat.example")) if tls else None
        outer = proxy_tls.server() if proxy_tls else None
        trust = tls or proxy_tls
        async with serve(target, inner) as port, serve(proxy, outer) as out:
            wire = Wire(allow_networks=allow, ca_file=str(trust.ca_file) if trust else None, resolver=resolver)
            over = wire.by(Way(f"{'https' if outer else 'http'}://127.0.0.1:{out}", auth))
            try:
                address = f"{'https' if tls else 'http'}://{host}:{port}/page{request.pop('query', '')}"
                return await over.fetch("GET", address, http2=http2, **request)
            except WireError as error:
                return error

    return driven.run(main())


def first_line(proxy: ProxyServer) -> str:
    return proxy.heads[0].split(b"\r\n")[0].decode()


def test_a_plain_page_is_forwarded_and_an_encrypted_one_tunnelled(authority: Authority) -> None:
    plain, inside = ProxyServer(), ProxyServer()
    found, sealed = asked(plain), asked(inside, tls=authority)
    assert isinstance(found, Answer), found
    assert isinstance(sealed, Answer), sealed
    assert found.body == sealed.body == b"Welcome"
    assert first_line(plain).startswith("GET http://127.0.0.1:")
    assert first_line(inside).startswith("CONNECT 127.0.0.1:")
    assert sealed.certificate is not None
    assert b"Welcome" not in inside.seen
    assert b"page" not in inside.seen
    for answer in (found, sealed):
        assert answer.phases.connect_s is not None
        assert answer.phases.wait_s is not None
    assert (found.phases.tls_s, sealed.phases.tls_s is not None) == (None, True)


def test_the_proxy_itself_may_be_spoken_to_over_tls(authority: Authority) -> None:
    for tls in (None, authority):
        proxy = ProxyServer()
        found = asked(proxy, tls=tls, proxy_tls=authority)
        assert isinstance(found, Answer), found
        assert found.body == b"Welcome"
        assert len(proxy.heads) == 1


def test_http2_goes_through_a_tunnel(authority: Authority) -> None:
    proxy = ProxyServer()
    found = asked(proxy, tls=authority, http2=True)
    assert isinstance(found, Answer), found
    assert first_line(proxy).startswith("CONNECT ")


SECRETS: list[dict[str, Any]] = [
    {"secret_headers": {"x-own": KEY}},
    {"headers": {"Authorization": f"Bearer {KEY}"}},
    {"headers": {"cookie": KEY}},
    {"content": KEY.encode()},
    {"query": f"?key={KEY}"},
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda one: next(iter(one)))
def test_no_request_to_a_proxy_holds_a_secret(secret: dict[str, Any]) -> None:
    proxy = ProxyServer()
    found = asked(proxy, auth=f"user:p{KEY}", **secret)
    assert isinstance(found, Answer), found
    assert first_line(proxy).startswith("CONNECT ")
    assert KEY.encode() not in proxy.heads[0]


def test_the_proxys_own_password_goes_to_the_proxy_and_never_on(authority: Authority) -> None:
    for tls in (None, authority):
        recorder = Recorder()
        proxy = ProxyServer()
        assert isinstance(asked(proxy, target=recorder, tls=tls, auth="user:pass"), Answer)
        assert b"Proxy-Authorization: Basic dXNlcjpwYXNz" in proxy.heads[0].replace(b"proxy-a", b"Proxy-A")
        if tls is not None:
            assert all(b"roxy" not in head for head in recorder.heard)


def fails(status: int, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "Content-Length: 2", "", "no"]).encode()


TROUBLE: dict[str, tuple[bytes, bool, bool]] = {
    "407 to a forwarded request": (fails(407, "Proxy-Authenticate: Basic"), False, True),
    "407 to a tunnel": (fails(407, "Proxy-Authenticate: Basic"), True, True),
    "502 to a tunnel": (fails(502), True, True),
    "503 to a tunnel": (fails(503), True, True),
    "403 to a tunnel": (fails(403), True, True),
    "200 and more to a tunnel": (fails(200), True, True),
    "no HTTP to a tunnel": (b"SSH-2.0-x\r\n\r\n", True, True),
    "nothing to a tunnel": (b"\r\n", True, True),
    "502 to a forwarded request": (fails(502), False, True),
    "504 to a forwarded request": (fails(504), False, True),
    "nothing to a forwarded request": (b"\r\n", False, True),
    "no HTTP to a forwarded request": (b"SSH-2.0-x\r\n\r\n", False, True),
    "half a head to a forwarded request": (b"HTTP/1.1 200 OK\r\nX", False, True),
    "Squid's 503": (fails(503, "X-Squid-Error: ERR_CONNECT_FAIL 111"), False, True),
    "tinyproxy's 500": (fails(500, "Server: tinyproxy/1.11.1"), False, True),
    "an error by RFC 9209": (fails(503, "Proxy-Status: p; error=connection_refused"), False, True),
    "the service's own 503": (fails(503, "Via: 1.1 proxy"), False, False),
    "the service's own 404": (fails(404), False, False),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_what_fails_at_the_proxy_is_ours(name: str, authority: Authority) -> None:
    answer, tunnel, ours = TROUBLE[name]
    found = asked(ProxyServer(answer), tls=authority if tunnel else None)
    assert isinstance(found, WireError) is ours
    if isinstance(found, WireError):
        assert found.reason is Reason.PROXY
        assert found.reason.outcome is Outcome.UNKNOWN
        assert MessageCode.PROXY_FAILED.value in found.detail


@pytest.mark.parametrize(
    ("proxy", "resolver"),
    [
        ("http://127.0.0.1:9", None),
        ("https://127.0.0.1:9", None),
        ("http://proxy.invalid:3128", NO_NAMES),
    ],
)
@pytest.mark.parametrize("url", ["http://127.0.0.1:8/", "https://127.0.0.1:8/"])
def test_a_proxy_that_cannot_be_reached_is_ours(proxy: str, resolver: Resolver | None, url: str) -> None:
    async def main() -> WireError:
        with pytest.raises(WireError) as caught:
            await Wire(allow_networks=LOOPBACK, resolver=resolver).by(Way(proxy)).fetch("GET", url)
        return caught.value

    assert driven.run(main()).reason is Reason.PROXY


def test_a_proxy_with_a_bad_certificate_or_without_tls_is_ours(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert (
        getattr(asked(ProxyServer(), tls=authority, proxy_tls=Authority(tmp_path / "other")), "reason", None)
        is Reason.PROXY
    )


def test_a_bad_certificate_behind_the_proxy_is_the_services(authority: Authority) -> None:
    found = asked(
        ProxyServer(hosts={"other.example": "127.0.0.1"}), tls=authority, host="other.example", resolver=NO_NAMES
    )
    assert isinstance(found, WireError)
    assert found.reason is Reason.CERTIFICATE_NAME


def test_a_name_that_only_the_proxy_knows_is_left_to_it(authority: Authority) -> None:
    proxy = ProxyServer(hosts={"chat.example": "127.0.0.1"})
    found = asked(proxy, tls=authority, host="chat.example", resolver=NO_NAMES, allow=[])
    assert isinstance(found, Answer), found
    assert first_line(proxy).startswith("CONNECT chat.example:")


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::1]", "inside.example"])
def test_the_guard_holds_for_what_is_named_to_a_proxy(host: str) -> None:
    proxy = ProxyServer()
    private = Resolver(lambda _, __: [(socket.AF_INET, "192.168.0.7")])
    found = asked(proxy, host=host, allow=[], resolver=private)
    assert isinstance(found, WireError)
    assert found.reason is Reason.ADDRESS
    assert proxy.heads == []


def test_no_metadata_service_is_a_proxy() -> None:
    async def main() -> WireError:
        with pytest.raises(WireError) as caught:
            await Wire().by(Way("http://169.254.169.254:80")).fetch("GET", "http://example.com/")
        return caught.value

    assert driven.run(main()).reason is Reason.ADDRESS


ENVIRONMENTS: list[tuple[dict[str, str], str, str]] = [
    ({"http_proxy": "http://p:1"}, "http://a.example/", "p:1"),
    ({"http_proxy": "http://p:1"}, "https://a.example/", ""),
    ({"HTTP_PROXY": "p:1"}, "http://a.example/", "p:1"),
    ({"HTTP_PROXY": "p:1", "REQUEST_METHOD": "GET"}, "http://a.example/", ""),
    ({"http_proxy": "p:1", "HTTP_PROXY": "q:2"}, "http://a.example/", "p:1"),
    ({"HTTPS_PROXY": "https://p"}, "https://a.example/", "p:443"),
    ({"ALL_PROXY": "http://p"}, "https://a.example/", "p:80"),
    ({"all_proxy": "p:1", "HTTPS_PROXY": "q:2"}, "https://a.example/", "q:2"),
    ({"http_proxy": ""}, "http://a.example/", ""),
    ({"all_proxy": "p:1"}, "http://localhost/", ""),
    ({"all_proxy": "p:1"}, "http://127.0.0.9/", ""),
    ({"all_proxy": "p:1"}, "http://[::1]/", ""),
    ({"all_proxy": "p:1", "no_proxy": "*"}, "http://a.example/", ""),
    ({"all_proxy": "p:1", "NO_PROXY": "a.example"}, "http://A.example./", ""),
    ({"all_proxy": "p:1", "no_proxy": "x, a.example"}, "http://b.a.example/", ""),
    ({"all_proxy": "p:1", "no_proxy": ".a.example"}, "http://b.a.example/", ""),
    ({"all_proxy": "p:1", "no_proxy": "*.a.example"}, "http://b.a.example/", ""),
    ({"all_proxy": "p:1", "no_proxy": "a.example"}, "http://ba.example/", "p:1"),
    ({"all_proxy": "p:1", "no_proxy": "a.example:8080"}, "http://a.example/", "p:1"),
    ({"all_proxy": "p:1", "no_proxy": "a.example:8080"}, "http://a.example:8080/", ""),
    ({"all_proxy": "p:1", "no_proxy": "bücher.example:80"}, "http://a.bücher.example/", ""),
    ({"all_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, "http://10.1.2.3/", ""),
    ({"all_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, "http://11.1.2.3/", "p:1"),
    ({"all_proxy": "p:1", "no_proxy": "192.0.2.1"}, "http://192.0.2.1/", ""),
    ({"all_proxy": "p:1", "no_proxy": "2001:db8::/32"}, "http://[2001:db8::1]/", ""),
    ({"all_proxy": "p:1", "no_proxy": "[2001:db8::1]:443"}, "https://[2001:db8::1]/", ""),
]


@pytest.mark.parametrize(("environ", "url", "way"), ENVIRONMENTS)
def test_the_environment_is_read_as_curl_and_go_read_it(environ: Mapping[str, str], url: str, way: str) -> None:
    from monitor.wire.http.http1 import parse

    target = parse(url)
    found = from_environment(environ).for_target(target.scheme, target.host, target.port)
    assert str(found or "") == way


def test_a_proxy_of_the_environment_that_cannot_be_is_named_and_ours() -> None:
    ways = from_environment({"ALL_PROXY": "socks5://secret@p:1"})
    with pytest.raises(WireError, match="name=ALL_PROXY") as caught:
        ways.for_target("https", "a.example", 443)
    assert caught.value.reason is Reason.CONFIG
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    "text", ["socks5://p:1", "http://", "http://p:0", "http://p:99999", "http://p/x", "http://a b", ""]
)
def test_what_is_no_proxy_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"proxy") as caught:
        parse_proxy(text)
    assert "a b" not in str(caught.value)


def test_a_proxys_user_and_password_may_stand_in_the_environments_address() -> None:
    found = parse_proxy("http://us%40er:p%3Aw@p.example:3128")
    assert found.authorization == "Basic dXNAZXI6cDp3"
    assert "dXNA" not in repr(found)


def looked(kind: str, behave: Behave, **options: Any) -> tuple[Observation, ProxyServer]:
    """Look once over a proxy that the probe names."""

    async def main() -> tuple[Observation, ProxyServer]:
        proxy = ProxyServer()
        async with serve(behave) as port, serve(proxy) as out:
            given = {
                name: value.replace("PORT", str(port)) if isinstance(value, str) else value
                for name, value in options.items()
            }
            return await look_once(kind, context(), proxy=f"http://127.0.0.1:{out}", **given), proxy

    return driven.run(main())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("http", {"url": "http://127.0.0.1:PORT/"}),
        ("login", {"url": "http://127.0.0.1:PORT/"}),
        ("registration", {"url": "http://127.0.0.1:PORT/", "detector": "page_text"}),
        ("upstream", {"url": "http://127.0.0.1:PORT/", "provider": "statuspage"}),
        ("chat", {"base_url": "http://127.0.0.1:PORT", "model": "m", "key": KEY}),
        ("tls", {"host": "127.0.0.1", "port": 9}),
    ],
)
def test_every_kind_that_speaks_http_or_tls_goes_by_its_proxy(kind: str, options: dict[str, Any]) -> None:
    seen, proxy = looked(kind, says(with_length(b"{}")), **options)
    assert len(proxy.heads) >= 1, seen.detail
    assert KEY.encode() not in b"".join(proxy.heads)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"proxy": "http://user:pw@p:1"}, "proxy_auth"),
        ({"proxy": "socks5://p:1"}, "neither http nor https"),
        ({"proxy_auth": "u:p"}, "needs a proxy"),
        ({"proxy": "direct", "proxy_auth": "u:p"}, "needs a proxy"),
        ({"client_key": "k.pem"}, "needs a client_certificate"),
        ({"client_certificate": "/no/such.pem"}, "no such file"),
    ],
)
def test_a_way_out_that_cannot_be_gone_is_refused_before_any_look(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        KINDS["http"].options.model_validate({"url": "https://a.example/", **options})


def test_direct_goes_past_the_environments_proxy() -> None:
    async def main() -> int:
        async with serve(PAGE) as port:
            wire = Wire(allow_networks=LOOPBACK, proxies=from_environment({"all_proxy": "http://127.0.0.1:9"}))
            return (await wire.by(Way("direct")).fetch("GET", f"http://127.0.0.1:{port}/")).status

    assert driven.run(main()) == 200
