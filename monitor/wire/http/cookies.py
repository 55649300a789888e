"""Cookies between the hops of one look: what an origin set goes back to that origin, and is forgotten with the look.

RFC 6265 without a memory: a gate that sets a cookie and sends the visitor on is common, and whoever brings nothing back
goes round in circles. Another origin never gets any of it, not even one that a browser would count as the same site.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

MOST_COOKIES = 50
"""Of one origin."""
COOKIE_BYTES = 4096
HEADER_BYTES = 16 * 1024
Origin = tuple[str, str, int]


class _Cookie(NamedTuple):
    name: str
    value: str
    path: str


class Jar:
    """The cookies of one look."""

    def __init__(self) -> None:
        self._kept: dict[Origin, dict[tuple[str, str], _Cookie]] = {}

    def take(self, origin: Origin, path: str, lines: Sequence[bytes], now: datetime) -> None:
        """Take the ``Set-Cookie`` lines of an answer from *origin*, asked for *path*."""
        kept = self._kept.setdefault(origin, {})
        for line in lines[: 2 * MOST_COOKIES]:
            parsed = _parsed(line.decode("utf-8", "surrogateescape"), origin, path)  # any bytes, and the same back
            if parsed is None:
                continue
            cookie, ends = parsed
            kept.pop((cookie.name, cookie.path), None)
            if (ends is None or ends > now) and len(kept) < MOST_COOKIES:
                kept[cookie.name, cookie.path] = cookie

    def header(self, origin: Origin, path: str, given: str = "") -> str:
        """Return the ``Cookie`` for a request: what the look was *given*, and what was set since."""
        found = [one for one in self._kept.get(origin, {}).values() if _is_under(path, one.path)]
        found.sort(key=lambda one: -len(one.path))
        names = {one.name for one in found}
        own = [
            part.strip() for part in given.split(";") if part.strip() and part.partition("=")[0].strip() not in names
        ]
        return "; ".join([*own, *(f"{one.name}={one.value}" if one.name else one.value for one in found)])[
            :HEADER_BYTES
        ]

    def __bool__(self) -> bool:
        return any(self._kept.values())


def _parsed(line: str, origin: Origin, path: str) -> tuple[_Cookie, datetime | None] | None:
    """Return a cookie and when it ends; ``None`` for one that a browser would not keep."""
    pair, *rest = line.split(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(" \t"), value.strip(" \t")
    if (
        len(name) + len(value) > COOKIE_BYTES
        or not (name or value)
        or any(mark < " " and mark != "\t" for mark in pair)
    ):
        return None
    given: dict[str, str] = {}
    for part in rest:
        key, _, text = part.partition("=")
        given[key.strip().lower()] = text.strip()
    if not _belongs(name, given, origin):
        return None
    asked = urlsplit(path).path
    default = asked[: asked.rfind("/")] or "/" if asked.startswith("/") else "/"
    chosen = given.get("path", "")
    return _Cookie(name, value, chosen if chosen.startswith("/") else default), _ends(given)


def _belongs(name: str, given: dict[str, str], origin: Origin) -> bool:
    scheme, host, _ = origin
    secure, lower = scheme == "https", name.lower()
    # Browsers trust this machine without encryption.
    if "secure" in given and not (secure or host == "localhost" or _is_loopback(host)):
        return False
    if lower.startswith(("__secure-", "__host-")) and "secure" not in given:
        return False
    domain = given.get("domain", "").lower().removeprefix(".").rstrip(".")
    if lower.startswith("__host-") and (domain or given.get("path") != "/"):
        return False
    host = host.lower().rstrip(".")
    return not domain or host == domain or (host.endswith(f".{domain}") and "." in domain)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.endswith(".localhost")


def _ends(given: dict[str, str]) -> datetime | None:
    age = given.get("max-age", "")
    if age.lstrip("-").isdecimal() and age.isascii():
        return datetime.min.replace(tzinfo=UTC) if int(age[:9]) <= 0 else None
    try:
        ends = parsedate_to_datetime(given["expires"].replace("-", " "))
    except (KeyError, ValueError, TypeError, IndexError):
        return None
    return ends if ends.tzinfo else ends.replace(tzinfo=UTC)


def _is_under(path: str, folder: str) -> bool:
    path = urlsplit(path).path or "/"
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")
