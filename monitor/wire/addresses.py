"""Addresses and headers as people write them: checked before anybody is asked, and shown without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from monitor.wire.dns.resolve import checked_host
from monitor.wire.http.http1 import sendable


def host_of(url: str) -> str:
    """Return the host of a URL, with the port where it is not the scheme's own; ``""`` when there is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.hostname or "") + (f":{port}" if port and port != usual else "")


def same_origin(one: str, other: str) -> bool:
    """Say whether two URLs have the same scheme, host and port, so that a secret may go to both."""
    return host_of(one) == host_of(other) and urlsplit(one).scheme == urlsplit(other).scheme


def checked_url(value: str) -> str:
    """Return a URL that a probe may ask: http or https, a host, no user or password in it; else ``ValueError``."""
    value = value.strip()
    if not value.isprintable() or " " in value:
        raise ValueError("holds a space, the end of a line or another character that no address has")
    parts = urlsplit(value)
    if parts.scheme in ("http", "https") and not _has_port(parts):
        raise ValueError("names a port that does not exist: ports are 1 to 65535")
    if parts.scheme not in ("http", "https") or not host_of(value):
        raise ValueError("must be a whole address that starts with https:// or http://")
    try:
        checked_host(parts.hostname or "", old_spellings=True)
    except ValueError as error:
        raise ValueError(f"its host {error}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("no user or password in an address; put them under secret_headers")
    return value


def _has_port(parts: SplitResult) -> bool:
    """Say whether an address names a port that exists, or none."""
    try:
        return parts.port != 0
    except ValueError:
        return False


_SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key"}
)


def checked_headers(value: dict[str, str]) -> dict[str, str]:
    """Return plain headers; ``ValueError`` for one that HTTP forbids or that belongs under ``secret_headers``."""
    sendable(value)
    for name in value:
        if name.lower() in _SECRET_HEADERS:
            raise ValueError(f'"{name}" carries a secret: move it to secret_headers and take its value from ${{NAME}}')
    return value


def checked_secret_headers(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Return headers that carry secrets; ``ValueError`` for one that HTTP forbids."""
    sendable(opened(value))
    return value


def opened(secret_headers: Mapping[str, SecretStr]) -> dict[str, str]:
    """Return the plain text of secret headers, for the wire only."""
    return {name: value.get_secret_value().strip() for name, value in secret_headers.items()}


def shown_url(url: str) -> str:
    """Return a URL that may be shown: no user, no query, no fragment; nothing for what cannot be read as one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{host_of(url)}{parts.path}" + ("?…" if parts.query else "")
