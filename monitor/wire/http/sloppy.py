"""The head of an answer that llhttp refuses, read as browsers read it (RFC 9112 where it lets us, Chromium where not).

One bad line costs that line and not the page. What stays refused is what a browser refuses as well: lengths that
differ, redirects that differ, and a NUL. Only such heads come here; a clean one never pays for this.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode, WarningText, detailed
from monitor.wire.model import WireError

SLOP_BYTES = 4
"""So much of what is no HTTP may stand before the status line."""
MAY_BEGIN_BYTES = 16
END_OF_HEAD = re.compile(rb"\n\r?\n")
_ASSUMED = re.compile(rb"HTTP/[0-9]\.[0-9][ \t]*", re.IGNORECASE)
"""A status line without a status, which browsers take for 200."""
_STATUS = re.compile(rb"HTTP(?:/([0-9])(?:\.([0-9]))?)?[^ \t]*[ \t]+([1-9][0-9]{2})(?![0-9])", re.IGNORECASE)
_LINES = re.compile(rb"\r?\n|\r")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x01-\x08\x0a-\x1f\x7f]")
_MOST_DIGITS = 18
"""A longer number is no length that anything has; browsers then read until the connection ends."""
STRICT_STATUS = re.compile(rb"HTTP/[0-9]\.[0-9] [1-9][0-9]{2}( .*)?", re.DOTALL)


class SloppyHead(NamedTuple):
    """A status line and headers, and how the body is framed: ``length`` bytes, chunks, or until the connection ends."""

    status: int
    version: str
    headers: list[tuple[bytes, bytes]]
    chunked: bool
    length: int | None
    warnings: tuple[WarningText, ...]

    def canonical(self) -> bytes:
        """Return a head that says only how the body is framed."""
        line = b"transfer-encoding: chunked\r\n" if self.chunked else b""
        if not self.chunked and self.length is not None:
            line = b"content-length: %d\r\n" % self.length
        return b"HTTP/1.1 %d \r\n%s\r\n" % (self.status, line)


def may_begin(data: bytes) -> bool:
    """Say whether *data* may be the beginning of an answer, so that the rest is worth waiting for."""
    start = data[: SLOP_BYTES + 4].upper()
    return any(
        start[at : at + 4] == b"HTTP"[: len(start) - at] for at in range(min(SLOP_BYTES + 1, max(1, len(start))))
    )


def end_of_heads(data: bytes | bytearray, heads: int, start: int = 0) -> int:
    """Return where so many heads end, -1 while they do not; what stands before *start* was searched already.

    Blank lines before the first head end none.
    """
    if start == 0:
        start = len(data) - len(data.lstrip(b"\r\n"))
    for _ in range(heads):
        found = END_OF_HEAD.search(data, start)
        if found is None:
            return -1
        start = found.end()
    return start


def read_head(head: bytes) -> SloppyHead:
    """Read a head, from its status line to the line before the blank one. Raises ``WireError(PROTOCOL)``."""
    if b"\0" in head:
        raise WireError(Reason.PROTOCOL, "not HTTP: a NUL in the headers")
    start = max(head[: SLOP_BYTES + 4].upper().find(b"HTTP"), 0)
    first, *lines = _LINES.split(head[start:])
    found = _STATUS.match(first + b" 200" if _ASSUMED.fullmatch(first) else first)
    if found is None:
        raise WireError(Reason.PROTOCOL, "not HTTP: no status line")
    warnings: list[WarningText] = []
    if start or not STRICT_STATUS.fullmatch(first):
        warnings.append(detailed(WarningCode.PROTOCOL_ODD_HEADER, "a status line of an odd form"))
    headers = _fields(lines, warnings)
    status = int(found[3])
    chunked = _chunked(headers, warnings)
    length = None if chunked else _length(headers, warnings)
    if chunked and any(name.lower() == b"content-length" for name, _ in headers):
        warnings.append(detailed(WarningCode.PROTOCOL_ODD_LENGTH, "a length beside chunks"))
    version = f"{(found[1] or b'1').decode()}.{(found[2] or b'0').decode()}"
    return SloppyHead(status, version, headers, chunked, length, tuple(dict.fromkeys(warnings)))


def _fields(lines: list[bytes], warnings: list[WarningText]) -> list[tuple[bytes, bytes]]:
    """Return names and values; a line that is no header is left out, a folded one joined by a space."""
    fields: list[tuple[bytes, bytes]] = []
    last_kept = False
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            said = "a folded line"
            if last_kept and (more := line.strip(b" \t")):
                name, value = fields[-1]
                fields[-1] = name, f"{value.decode('latin-1')} {more.decode('latin-1')}".strip().encode("latin-1")
        elif not line:
            continue
        else:
            name, colon, value = line.partition(b":")
            name, value = name.rstrip(b" \t"), value.strip(b" \t")
            last_kept = bool(colon) and _TOKEN.fullmatch(name) is not None
            said = _said(line, name, value, kept=last_kept)
            if last_kept:
                fields.append((name, value))
        if said:
            warnings.append(detailed(WarningCode.PROTOCOL_ODD_HEADER, said))
    return fields


def _said(line: bytes, name: bytes, value: bytes, *, kept: bool) -> str:
    if not kept:
        what = "without a colon" if b":" not in line else "without a name" if not name else "with a malformed name"
        return f"a line {what}, left out"
    if line[len(name) : len(name) + 1] != b":":
        return "white space before a colon"
    return "a control character in a value" if _CONTROL.search(value) else ""


def _values(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [part.strip(b" \t") for name, value in headers if name.lower() == wanted for part in value.split(b",")]


def _chunked(headers: list[tuple[bytes, bytes]], warnings: list[WarningText]) -> bool:
    codings = [one.lower() for one in _values(headers, b"transfer-encoding")]
    if codings and codings != [b"chunked"]:
        warnings.append(detailed(WarningCode.PROTOCOL_ODD_LENGTH, "an odd transfer coding"))
    return b"chunked" in codings


def _length(headers: list[tuple[bytes, bytes]], warnings: list[WarningText]) -> int | None:
    given = _values(headers, b"content-length")
    if not given:
        return None
    numbers = [one for one in given if one.isdigit() and len(one) <= _MOST_DIGITS]
    if len(set(given)) > 1:
        raise WireError(Reason.PROTOCOL, "not HTTP: conflicting body lengths")
    if not numbers:
        warnings.append(detailed(WarningCode.PROTOCOL_ODD_LENGTH, "a length that is no number"))
        return None
    if len(given) > 1:
        warnings.append(detailed(WarningCode.PROTOCOL_ODD_LENGTH, "the same length more than once"))
    return int(numbers[0])
