"""HTTP/1.1: the bytes of a request, and a response parser that holds what llhttp leaves open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import httptools
import httpx

from monitor.core.model.reasons import Reason
from monitor.wire.model import WireError
from monitor.wire.resolve import literal

HEADER_COUNT = 1000
HIGHEST_PORT = 65535
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
USER_AGENT = "chatwatch/0.1"


class Target(NamedTuple):
    """A checked URL."""

    url: str
    scheme: str
    host: str
    port: int
    literal: tuple[int, str] | None
    authority: str
    """The ``Host`` header."""
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port


def parse_anew(url: str) -> Target:
    """Return the target of an ``http`` or ``https`` URL; raises ``WireError(CONFIG)`` for all else."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise WireError(Reason.CONFIG, "not a URL") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise WireError(Reason.CONFIG, "only http and https URLs with a host are looked at")
    if parsed.userinfo:
        raise WireError(Reason.CONFIG, "user names and passwords do not belong in a URL")
    host = parsed.raw_host.decode("ascii")
    port = (443 if parsed.scheme == "https" else 80) if parsed.port is None else parsed.port
    if not 1 <= port <= HIGHEST_PORT:
        raise WireError(Reason.CONFIG, f"there is no port {port}: ports are 1 to {HIGHEST_PORT}")
    return Target(
        str(parsed.copy_with(fragment=None)),
        parsed.scheme,
        host.strip("[]"),
        port,
        literal(host.strip("[]")),
        parsed.netloc.decode("ascii"),
        parsed.raw_path.decode("ascii"),
    )


parse = lru_cache(maxsize=4096)(parse_anew)
"""The same, remembered: for addresses of our own configuration."""


def sendable(headers: Mapping[str, str]) -> None:
    """Refuse headers that HTTP forbids. Raises ``ValueError`` with a name and never a value, which may be a secret."""
    for name, value in headers.items():
        if not TOKEN.match(name):
            raise ValueError(f"{name[:40]!r} is no name of a header: letters, digits and dashes")
        if BAD_VALUE.search(value):
            raise ValueError(f'the value of "{name[:40]}" holds the end of a line or another control character')


def checked_headers(method: str, target: Target, headers: Mapping[str, str], content: bytes) -> dict[str, str]:
    """Return ours and the caller's headers, names in lower case; raises ``WireError(CONFIG)`` for forbidden ones."""
    lines = {
        "host": target.authority,
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": USER_AGENT,
        "connection": "close",
    }
    if content or method in ("POST", "PUT", "PATCH"):
        lines["content-length"] = str(len(content))
    for name, value in headers.items():
        lower = name.lower()
        if lower in ("content-length", "transfer-encoding", "connection"):
            continue  # the framing is ours
        if not TOKEN.match(name) or BAD_VALUE.search(value):
            raise WireError(Reason.CONFIG, f"header {name[:40]!r} holds characters that HTTP forbids")
        lines[lower] = value
    if not TOKEN.match(method):
        raise WireError(Reason.CONFIG, "not an HTTP method")
    return lines


def request_head(method: str, target: Target, headers: Mapping[str, str], content: bytes) -> bytes:
    """Return the request up to the blank line."""
    lines = checked_headers(method, target, headers, content)
    head = f"{method} {target.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode("utf-8") + b"\r\n"


class ResponseParser:
    """Feeds llhttp and keeps status, headers and body pieces. llhttp knows neither caps nor the end of the stream."""

    def __init__(self, method: str, header_bytes: int) -> None:
        self.status = 0
        self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.headers_done = False
        self.complete = False
        self.interim = 0
        """How many 1xx responses came first."""
        self._bodyless = method == "HEAD"
        self._header_room = header_bytes
        self.seen = 0
        self._until_close = True
        self._body: list[bytes] = []
        self._fault = ""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # Bare line feeds come from old servers that every browser reads; a monitor must not call them down.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_data_after_close=True)

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes and return the pieces of body in them; raises ``WireError(PROTOCOL)``."""
        if self.complete or self._parser is None:
            return []
        self.seen += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise WireError(Reason.PROTOCOL, "the server switched protocols unasked") from None
        except httptools.HttpParserError as error:
            if not self.complete:
                raise WireError(Reason.PROTOCOL, self._fault or f"not HTTP: {_words(error)}") from None
        if not self.headers_done and self.seen > self._header_room:
            raise WireError(Reason.PROTOCOL, "response headers larger than the limit")
        body, self._body = self._body, []
        return body

    def end(self) -> None:
        """Take note that the stream ended; raises ``WireError(PROTOCOL)`` unless that is how the response ends."""
        if self.complete:
            return
        if not self.headers_done:
            words = "closed in the middle of the headers" if self.seen else "closed without a response"
            raise WireError(Reason.PROTOCOL, words)
        if not self._until_close:
            raise WireError(Reason.PROTOCOL, "closed in the middle of the body")
        self.complete = True

    def close(self) -> None:
        """Break the cycle with the C parser: the prober runs without automatic garbage collection."""
        self._parser = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or trailer from llhttp."""
        self._header_room -= len(name) + len(value) + 4
        if self._header_room < 0 or len(self.headers) >= HEADER_COUNT:
            self._fault = "response headers larger than the limit"
            raise ValueError(self._fault)
        if not self.headers_done:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the end of the headers from llhttp: forget a 1xx response, decide how the body of any other ends."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.interim += 1
            self.headers.clear()
            return
        self.status = status
        self.version = self._parser.get_http_version()
        self.headers_done = True
        names = [name.lower() for name, _ in self.headers]
        if names.count(b"content-length") > 1 or (b"content-length" in names and b"transfer-encoding" in names):
            self._fault = "conflicting body lengths"
            raise ValueError(self._fault)
        self._until_close = b"content-length" not in names and not self._chunked()
        self.complete = self._bodyless

    def _chunked(self) -> bool:
        return any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Take a piece of body from llhttp."""
        if not self._bodyless:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Take the end of a message from llhttp."""
        if self.headers_done:
            self.complete = True


def _words(error: Exception) -> str:
    return str(error).splitlines()[0][:120].lower() if str(error) else type(error).__name__
