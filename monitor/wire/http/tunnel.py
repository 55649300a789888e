"""The way to a target over a proxy: a tunnel (CONNECT) wherever something is secret, a forwarded request else.

What fails at the proxy is ours (``probe.proxy``) and never the service's: it is refused, has no name, wants another
log-in, or answers with an error of its own making. Its address is the operator's and not guarded, but for metadata
services. Targets are named to it, so they are checked by what we can know: addresses always, names where the machine's
own resolver knows them; a name that it does not know is left to the proxy.
"""

from __future__ import annotations

import asyncio

from monitor import clock
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason, Scope
from monitor.wire.connection import Link
from monitor.wire.deadline import Deadline, Step
from monitor.wire.dial import Stream
from monitor.wire.http.http1 import TOO_LARGE
from monitor.wire.http.sloppy import END_OF_HEAD, read_head
from monitor.wire.model import Timing, WireError, longer
from monitor.wire.proxies import Proxy
from monitor.wire.tls import TlsStream, failure

KNOWN_S = 1.0
"""A resolver that takes longer knows no names of the outside, as in most networks that have a proxy."""
UNKNOWN_FOR_S = 300.0
HEAD_BYTES = 64 * 1024
MADE_BY_PROXIES = ("squid", "tinyproxy", "privoxy", "mitmproxy", "cisco-wsa", "bluecoat", "zscaler")
"""How the ``Server`` of an error begins that a proxy made itself."""


async def reach(
    link: Link, scheme: str, host: str, port: int, literal: tuple[int, str] | None, *, tunnel: bool
) -> Stream | TlsStream:
    """Return a stream to a target, or to a proxy that forwards a plain request unless a *tunnel* is wanted.

    The connect phase lasts until the target is reached: over a proxy its TLS and its answer to CONNECT are in it.
    """
    proxy = link.ground.proxies.for_target(scheme, host, port)
    if proxy is None:
        return await link.connect(host, port, literal)
    await _check(link, host, port, literal)
    link.proxy = proxy
    try:
        stream: Stream | TlsStream = await link.connect(proxy.host, proxy.port, proxy.literal, operators=True)
        started_ns = clock.monotonic_ns()
        if proxy.scheme == "https":
            link.stream = stream = tls = TlsStream(stream, link.ground.trust.verified, proxy.host)
            own = Timing(started_ns)
            await tls.handshake(link.ground.slots, link.deadline, link.limits.connect_s, own)
        if tunnel:
            await _connect(link, stream, proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        link.timing.connect_s = longer(link.timing.connect_s, clock.monotonic_ns() - started_ns)
    except (WireError, OSError) as error:
        raise _failed(proxy, error) from None
    return stream


async def _check(link: Link, host: str, port: int, literal: tuple[int, str] | None) -> None:
    """Refuse a target at an address that the guard refuses, as far as its address can be known from here."""
    ground = link.ground
    found = [literal] if literal is not None else []
    if literal is None and ground.unknown_names.get(host, 0.0) < clock.monotonic():
        deadline = Deadline(asyncio.get_running_loop(), KNOWN_S)
        try:
            found = list((await ground.resolver.resolve(host, port, deadline, KNOWN_S))[0])
        except WireError:
            if len(ground.unknown_names) > 4096:
                ground.unknown_names.clear()
            ground.unknown_names[host] = clock.monotonic() + UNKNOWN_FOR_S
        finally:
            deadline.close()
    if not found and link.limits.own_only:
        raise WireError(Reason.ADDRESS, "only the proxy knows the name, so nobody can tell that it is our own")
    for _, address in found:
        if refusal := link.refusal(address):
            raise WireError(Reason.ADDRESS, f"{address} is refused: {refusal}", address=address)


async def _connect(link: Link, stream: Stream | TlsStream, proxy: Proxy, target: str) -> None:
    """Ask the proxy for a tunnel."""
    link.deadline.enter(Step.CONNECT, link.limits.connect_s)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "Proxy-Connection: keep-alive"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await stream.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    data = b""
    while True:
        end = END_OF_HEAD.search(data)
        if end is not None:
            status = read_head(data[: end.start()]).status
            if 200 <= status < 300 and data[end.end() :]:
                raise WireError(Reason.PROTOCOL, "more than an answer to CONNECT")
            if 200 <= status < 300:
                return
            if status >= 200:
                raise WireError(Reason.PROTOCOL, coded(MessageCode.PROXY_ANSWERED, status=status))
            data = data[end.end() :]
            continue
        piece = await stream.read()
        if piece is None or len(data) > HEAD_BYTES:
            raise WireError(Reason.PROTOCOL, "no answer to CONNECT")
        data += piece.data


def _failed(proxy: Proxy, error: Exception) -> WireError:
    """Return what a failure on the way to and at the proxy means: ours, unless it was ours by another name already."""
    wire = error if isinstance(error, WireError) else None
    if wire is not None and wire.reason.scope is not Scope.SERVICE and wire.reason is not Reason.NETWORK:
        return wire
    if wire is None and hasattr(error, "verify_code"):
        wire = failure(error)  # type: ignore[arg-type]  # only a certificate's failure has one
    why = wire.detail if wire is not None else (getattr(error, "strerror", "") or type(error).__name__).lower()
    return WireError(
        Reason.PROXY, coded(MessageCode.PROXY_FAILED, proxy=str(proxy), why=why), address=wire.address if wire else ""
    )


def without_answer(proxy: Proxy, error: WireError) -> WireError:
    """Return what it means that a forwarded request got no answer that could be read.

    Whatever the target did, a proxy has to answer: one that closes, or speaks no HTTP, failed by itself. A silence is
    left with the target, which may well be what the proxy waits for.
    """
    return _failed(proxy, error) if error.reason is Reason.PROTOCOL and error.detail != TOO_LARGE else error


def refuse_own_error(link: Link, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    """Raise ``WireError(PROXY)`` for an answer to a forwarded request that the proxy made itself.

    A 502 or 504 could be the target's as well; nobody can tell, so it is not held against the service.
    """
    if link.proxy is None or status < 400:
        return
    found = {name.lower(): value.lower() for name, value in headers}
    made = (
        status in (407, 502, 504)
        or b"x-squid-error" in found
        or b"error=" in found.get(b"proxy-status", b"")
        or found.get(b"server", b"").decode("latin-1").startswith(MADE_BY_PROXIES)
    )
    if made:
        why = coded(MessageCode.PROXY_ANSWERED, status=status)
        raise WireError(Reason.PROXY, coded(MessageCode.PROXY_FAILED, proxy=str(link.proxy), why=why))
