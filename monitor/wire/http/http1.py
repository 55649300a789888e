"""HTTP/1.1: the bytes of a request, and a response parser that holds what llhttp leaves open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import httptools
import httpx

from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode, WarningText, detailed
from monitor.wire.dns.resolve import literal
from monitor.wire.http.chunks import Chunks
from monitor.wire.http.sloppy import MAY_BEGIN_BYTES, end_of_heads, may_begin, read_head
from monitor.wire.model import WireError

HEADER_COST = 32
"""What a header costs beside its name and value, as HTTP/2 counts it (RFC 9113, 6.5.2): small ones cost us more."""
HEADER_COUNT = 5000
"""As curl; browsers know no such limit."""
SWITCHED = "the server switched protocols unasked"
TOO_LARGE = "response headers larger than the limit"
WHITE = b" \t"
HIGHEST_PORT = 65535
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
USER_AGENT = "chatwatch/0.1"
_ONE_IS_ENOUGH = "a second answer"
"""What follows a whole answer in the same packet: nobody asked for it, and no client reads it."""


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
    return head.encode("utf-8", "surrogateescape") + b"\r\n"


class ResponseParser:
    """Feeds llhttp and keeps status, headers and body pieces. llhttp knows neither caps nor the end of the stream.

    A head that llhttp refuses is read once more by :mod:`monitor.wire.http.sloppy`, as a browser would, and llhttp then
    gets one that says the same of the body.
    """

    def __init__(self, method: str, header_bytes: int) -> None:
        self.status = 0
        self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.headers_done = False
        self.complete = False
        self.interim = 0
        """How many 1xx responses came first."""
        self.warnings: tuple[WarningText, ...] = ()
        """What was sloppy and is no failure."""
        self._bodyless = method == "HEAD"
        self._header_bytes = self._header_room = header_bytes
        self.seen = 0
        self._until_close = True
        self._body: list[bytes] = []
        self._fault = ""
        self._head: bytes | bytearray = b""
        """What was received while no end of the headers was."""
        self._refused = ""
        """Why llhttp refused the head."""
        self._searched = 0
        self._raw: list[bytes] | None = None
        """A chunked body as it came, while llhttp may still refuse it."""
        self._delivered = 0
        self._chunks: Chunks | None = None
        self._read = False
        """True once a refused head was read after all."""
        self._parser: httptools.HttpResponseParser | None = self._new_parser()

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        # Bare line feeds come from old servers that every browser reads; a monitor must not call them down.
        parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_data_after_close=True, lenient_spaces_after_chunk_size=True
        )
        return parser

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes and return the pieces of body in them; raises ``WireError(PROTOCOL)``."""
        if self.complete or self._parser is None:
            return []
        self.seen += len(data)
        if self.headers_done:
            self._feed_body(data)
        else:
            self._feed_head(data)
        body, self._body = self._body, []
        self._delivered += sum(map(len, body)) if self._raw is not None else 0
        return body

    def _feed_head(self, data: bytes) -> None:
        if not self._head:
            self._head = data
        else:
            self._head = self._head if isinstance(self._head, bytearray) else bytearray(self._head)
            self._head += data
        if not self._refused:
            try:
                self._feed(data)
            except httptools.HttpParserError as error:
                if self.headers_done and not self.complete:
                    # The head was fine, so it ends where it must.
                    self._raw = None if self._raw is None else self._raw_body()
                    self._read_chunks(error)
                elif not self.complete:
                    self._refused = self._fault or f"not HTTP: {_words(error)}"
                    if self._fault:
                        raise WireError(Reason.PROTOCOL, self._fault) from None
        if self._refused:
            self._read_refused()
        if self.headers_done:
            if self._raw == []:
                self._raw = self._raw_body()
            self._head = b""
        elif self.seen > self._header_bytes:
            raise WireError(Reason.PROTOCOL, TOO_LARGE)

    def _raw_body(self) -> list[bytes]:
        """Return what came behind the head that llhttp took, and behind the 1xx ones before it."""
        return [bytes(self._head[end_of_heads(self._head, self.interim + 1) :])]

    def _feed(self, data: bytes | bytearray) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise WireError(Reason.PROTOCOL, SWITCHED) from None

    def _feed_body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._body += self._chunks.feed(data)
            self.complete = self._chunks.complete
            return
        if self._raw is not None:
            self._raw.append(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if not self.complete:
                self._read_chunks(error)

    def _read_chunks(self, error: httptools.HttpParserError) -> None:
        """Read a chunked body that llhttp refuses once more from its beginning, and go on so."""
        refused = WireError(Reason.PROTOCOL, self._fault or f"not HTTP: {_words(error)}")
        if self._raw is None or self._fault:
            raise refused from None
        self._chunks = Chunks()
        try:
            body = b"".join(self._chunks.feed(b"".join(self._raw)))
        except WireError:
            raise refused from None
        self._raw = None
        self._body = [body[self._delivered :]]
        self.complete = self._chunks.complete
        self.warnings += (detailed(WarningCode.PROTOCOL_ODD_LENGTH, "chunks of an odd form"),)

    def _read_refused(self) -> None:
        """Read what llhttp refused, once all of the head is here."""
        self.headers.clear()
        if not may_begin(bytes(self._head[:MAY_BEGIN_BYTES])):
            raise WireError(Reason.PROTOCOL, self._refused)
        # Sought only where it can be new: a head may come byte by byte.
        end = end_of_heads(self._head, 1, self._searched)
        if end < 0:
            self._searched = max(0, len(self._head) - 2) if len(self._head) > MAY_BEGIN_BYTES else 0
            return
        if end > self._header_bytes:
            raise WireError(Reason.PROTOCOL, TOO_LARGE)
        found, rest = read_head(bytes(self._head[:end]).lstrip(b"\r\n")), bytes(self._head[end:])
        cost = sum(len(name) + len(value) + HEADER_COST for name, value in found.headers)
        if len(found.headers) > HEADER_COUNT or cost > self._header_bytes:
            raise WireError(Reason.PROTOCOL, TOO_LARGE)
        self.warnings = tuple(dict.fromkeys((*self.warnings, *found.warnings)))
        if 100 <= found.status < 200 and found.status != 101:
            self.interim += 1
            self._head, self._searched = rest, 0
            if rest:
                self._read_refused()
            return
        self._read = True
        self._parser = self._new_parser()
        self._feed(found.canonical())
        self._raw = [] if found.chunked and not self.complete else None
        self.status, self.version, self.headers = found.status, found.version, found.headers
        self._until_close = not found.chunked and found.length is None
        if rest and not self.complete:
            self._feed_body(rest)

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
        if self.complete:
            return
        self._header_room -= len(name) + len(value) + HEADER_COST
        if self._header_room < 0 or len(self.headers) >= HEADER_COUNT:
            self._fault = TOO_LARGE
            raise ValueError(self._fault)
        if not self.headers_done:
            # RFC 9112, 5.1: white space around a value is no part of it; llhttp leaves what follows.
            self.headers.append((name, value.rstrip(WHITE) if value[-1:] in WHITE else value))

    def on_headers_complete(self) -> None:
        """Take the end of the headers from llhttp: forget a 1xx response, decide how the body of any other ends."""
        assert self._parser is not None
        if self.complete:
            raise ValueError(_ONE_IS_ENOUGH)
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.interim += 1
            self.headers.clear()
            return
        if status == 101:
            self._fault = SWITCHED
            raise ValueError(self._fault)
        self.status = status
        self.version = self._parser.get_http_version()
        self.headers_done = True
        if not self._read:
            names = [name.lower() for name, _ in self.headers]
            if b"transfer-encoding" in names and self._value(b"transfer-encoding").lower() != b"chunked":
                self.headers_done = False
                raise ValueError("an odd transfer coding")  # llhttp would read on until the connection ends
            self._raw = [] if b"transfer-encoding" in names else None
            self._until_close = b"content-length" not in names and b"transfer-encoding" not in names
        self.complete = self._bodyless

    def _value(self, wanted: bytes) -> bytes:
        return b",".join(value for name, value in self.headers if name.lower() == wanted)

    def on_body(self, body: bytes) -> None:
        """Take a piece of body from llhttp."""
        if not self._bodyless and not self.complete:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Take the end of a message from llhttp."""
        if self.headers_done:
            self.complete = True


def _words(error: Exception) -> str:
    return str(error).splitlines()[0][:120].lower() if str(error) else type(error).__name__
