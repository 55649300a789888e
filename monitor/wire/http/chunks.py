"""Chunks that llhttp refuses, read as browsers do: spaces around extensions, bare line feeds, trailers of any form."""

from __future__ import annotations

import re
from enum import Enum, auto

from monitor.core.model.reasons import Reason
from monitor.wire.model import WireError

LINE_BYTES = 16 * 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16}) *(?:;.*)?\Z", re.DOTALL)


class _At(Enum):
    SIZE = auto()
    DATA = auto()
    AFTER = auto()
    TRAILER = auto()
    END = auto()


class Chunks:
    """Takes a chunked body in pieces of any length."""

    def __init__(self) -> None:
        self._at = _At.SIZE
        self._line = b""
        self._need = 0

    @property
    def complete(self) -> bool:
        """True once the last chunk and its trailers were there."""
        return self._at is _At.END

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces of body in *data*; raises ``WireError(PROTOCOL)`` for what no browser reads either."""
        body: list[bytes] = []
        at = 0
        while at < len(data) and self._at is not _At.END:
            if self._at is _At.DATA:
                piece = data[at : at + self._need]
                body.append(piece)
                at += len(piece)
                self._need -= len(piece)
                self._at = _At.DATA if self._need else _At.AFTER
                continue
            end = data.find(b"\n", at)
            self._line += data[at : end if end >= 0 else len(data)]
            if len(self._line) > LINE_BYTES:
                raise WireError(Reason.PROTOCOL, "not HTTP: a line between chunks without end")
            if end < 0:
                break
            at = end + 1
            self._take(self._line.removesuffix(b"\r"))
            self._line = b""
        return body

    def _take(self, line: bytes) -> None:
        if self._at is _At.AFTER:
            if line:
                raise WireError(Reason.PROTOCOL, "not HTTP: a chunk is longer than its size")
            self._at = _At.SIZE
        elif self._at is _At.TRAILER:
            self._at = _At.TRAILER if line else _At.END
        else:
            found = _SIZE.match(line)
            if found is None:
                raise WireError(Reason.PROTOCOL, "not HTTP: invalid chunk size")
            self._need = int(found[1], 16)
            self._at = _At.DATA if self._need else _At.TRAILER
