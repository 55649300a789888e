"""Server-sent events as the WHATWG HTML standard parses them (section 9.2.6), with the time each one was complete.

LF, CR and CRLF end a line, also when a chunk ends between CR and LF; several ``data`` lines join with LF; a line that
starts with a colon is a comment; an event without its blank line at the end of the stream is thrown away. Comments and
stray blank lines are handed out too: vendors send them to keep a connection open, and they are not progress.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LINE_BYTES = 1 << 20
LINES = 100_000
"""Lines of one stream; a megabyte of two-letter lines would keep our loop busy for half a second."""
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """A complete event. ``name`` is ``message`` where the stream gives none."""

    name: str
    data: str
    at_s: float


class KeepAlive(NamedTuple):
    """A comment, or a blank line that ends no event (then ``text`` is empty)."""

    text: str
    at_s: float


class LineTooLong(Exception):  # noqa: N818 - it names what was seen, as the reasons do
    """A line or an event is longer than the cap, or there are too many lines."""


class Parser:
    """Bytes in, events out, however the bytes are cut."""

    def __init__(self, cap_bytes: int = LINE_BYTES) -> None:
        self._cap = cap_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first_line = True
        self._name = ""
        self._data: list[str] = []
        self._data_size = 0
        self._lines_left = LINES
        self._quiet = True
        """The line before was blank or there was none, so that another blank line is a keep-alive."""

    def feed(self, data: bytes, at_s: float) -> Iterator[Event | KeepAlive]:
        """Yield what *data* completes; ``LineTooLong`` past the cap. Drain it before feeding again."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        start = 0
        for end in _LINE_END.finditer(data):
            self._keep(data[start : end.start()])
            start = end.end()
            self._lines_left -= 1
            if self._lines_left < 0:
                raise LineTooLong
            line, self._parts, self._size = b"".join(self._parts), [], 0
            yield from self._line(line, at_s)
        self._keep(data[start:])
        self._after_cr = self._after_cr or data.endswith(b"\r")

    def rest(self, at_s: float) -> Event | None:
        """Return the event that an orderly end of the stream left without its blank line.

        The standard throws it away, since it may be cut; whoever can see that it is whole may use it.
        """
        line, self._parts, self._size = b"".join(self._parts), [], 0
        for _ in self._line(line, at_s) if line else ():
            pass
        return next((item for item in self._dispatch(at_s) if isinstance(item, Event)), None)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._cap:
            raise LineTooLong
        if part:
            self._parts.append(part)

    def _line(self, line: bytes, at_s: float) -> Iterator[Event | KeepAlive]:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            yield from self._dispatch(at_s)
        elif line.startswith(b":"):
            self._quiet = False
            yield KeepAlive(line[1:].decode("utf-8", "replace").strip(), at_s)
        else:
            self._quiet = False
            self._field(line)

    def _field(self, line: bytes) -> None:
        name, _, raw = line.partition(b":")
        value = raw.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            self._data.append(value)
            self._data_size += len(raw)
            if self._data_size > self._cap:
                raise LineTooLong
        elif name == b"event":
            self._name = value

    def _dispatch(self, at_s: float) -> Iterator[Event | KeepAlive]:
        if self._data:
            yield Event(self._name or "message", "\n".join(self._data), at_s)
        elif self._quiet:
            yield KeepAlive("", at_s)
        self._name, self._data, self._data_size, self._quiet = "", [], 0, True
