"""Which way out leads to a target: straight, over the proxy that a probe names, or over the environment's.

As curl and Go read the environment: ``http_proxy``, ``https_proxy`` and ``all_proxy``, in small letters or in
capitals, ``HTTP_PROXY`` not in a CGI program (its callers could set it), and ``no_proxy`` as a list of names with all
that is below them, addresses, networks and ``*``, each with a port or without. This machine itself is never proxied.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Protocol
from urllib.parse import unquote, urlsplit

from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.wire.dns.resolve import checked_host, literal
from monitor.wire.model import WireError

PORTS = {"http": 80, "https": 443}
DIRECT = "direct"
"""Says that no proxy is used, whatever the environment has."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; ``scheme`` says whether it is itself spoken to over TLS."""

    scheme: str
    host: str
    port: int
    literal: tuple[int, str] | None
    authorization: str = field(default="", repr=False)
    """The value of ``Proxy-Authorization``."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_proxy(text: str, auth: str = "") -> Proxy:
    """Return the proxy of an address as ``http://proxy.example:3128``; *auth* is ``user:password``.

    Raises ``ValueError`` without the text: it may hold a password.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        checked_host(host, old_spellings=True)
    except ValueError:
        raise ValueError("is no address of a proxy, as in http://proxy.example:3128") from None
    if scheme not in PORTS:
        raise ValueError("names a proxy that is neither http nor https, and no other is spoken to")
    if parts.path not in ("", "/") or parts.query or port == 0:
        raise ValueError("is no address of a proxy, as in http://proxy.example:3128")
    if not auth and parts.username is not None:
        auth = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    authorization = f"Basic {base64.b64encode(auth.encode()).decode()}" if auth else ""
    host = host.encode("idna").decode() if not host.isascii() else host
    return Proxy(scheme, host, port or PORTS[scheme], literal(host), authorization)


class Proxies(Protocol):
    """Says how a target is reached."""

    def for_target(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy, ``None`` for the straight way; raises ``WireError(CONFIG)`` for one that makes no sense."""
        ...


@dataclass(frozen=True, slots=True)
class Always:
    """One way for every target."""

    proxy: Proxy | None = None

    def for_target(self, scheme: str, host: str, port: int) -> Proxy | None:  # noqa: ARG002  # the protocol's
        """As :class:`Proxies`."""
        return self.proxy


STRAIGHT = Always()


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment says."""

    http: Proxy | None = None
    https: Proxy | None = None
    no_proxy: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    """Scheme → the variable whose proxy makes no sense."""

    def for_target(self, scheme: str, host: str, port: int) -> Proxy | None:
        """As :class:`Proxies`."""
        if _is_bypassed(host, port, self.no_proxy):
            return None
        if scheme in self.faults:
            raise WireError(Reason.CONFIG, coded(MessageCode.PROXY_MALFORMED, name=self.faults[scheme]))
        return self.http if scheme == "http" else self.https


def from_environment(environ: Mapping[str, str]) -> Proxies:
    """Return the ways out that the environment names."""
    found: dict[str, Proxy] = {}
    faults: dict[str, str] = {}
    for scheme in PORTS:
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"):
            given = environ.get(name, "")
            if not given or (name == "HTTP_PROXY" and "REQUEST_METHOD" in environ):
                continue
            try:
                found[scheme] = parse_proxy(given)
            except ValueError:
                faults[scheme] = name
            break
    if not found and not faults:
        return STRAIGHT
    listed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    entries = tuple(_ascii(entry) for entry in re.split(r"[,\s]+", listed.lower()) if entry)
    return Environment(found.get("http"), found.get("https"), entries, faults)


def _ascii(entry: str) -> str:
    """Return an entry with its name as it is asked for: ``xn--…`` for letters beyond ASCII."""
    try:
        return entry if entry.isascii() else ".".join(part.encode("idna").decode() for part in entry.split("."))
    except UnicodeError:
        return entry


def _is_bypassed(host: str, port: int, entries: tuple[str, ...]) -> bool:
    host = host.lower().rstrip(".")
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        address = None
    if host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback):
        return True
    for entry in entries:
        if entry == "*":
            return True
        name, wanted = _split(entry)
        if wanted and wanted != str(port):
            continue
        if address is not None:
            try:
                network = ip_network(name.strip("[]"), strict=False)
            except ValueError:
                continue
            if address.version == network.version and address in network:
                return True
        elif (name := name.removeprefix("*").strip(".")) and (host == name or host.endswith(f".{name}")):
            return True
    return False


def _split(entry: str) -> tuple[str, str]:
    """Return name and port of an entry; an IPv6 address without brackets has none."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]+))?", entry)
    return (found[1], found[2] or "") if found else (entry, "")
