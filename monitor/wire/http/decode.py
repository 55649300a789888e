"""Content decoding in bounded steps, so that a small answer cannot become a large one unseen."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from monitor.core.model.reasons import Reason
from monitor.wire.model import WireError

STEP_BYTES = 65536
GZIP_MAGIC = b"\x1f\x8b"
MAX_WBITS_AUTO = 47
"""zlib's "gzip or zlib, look at the head"."""


class Decoder:
    """Undoes one content coding: gzip, deflate (with or without zlib's head) or none."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._zlib = zlib.decompressobj(MAX_WBITS_AUTO)
        self._begun = False
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield decoded pieces of at most 64 KiB; raises ``WireError(PROTOCOL)``."""
        while data and not self._over:
            out = self._step(data)
            self._begun = True
            if out:
                yield out
            if self._zlib.eof:
                data = self._next_member(self._zlib.unused_data)
            else:
                data = self._zlib.unconsumed_tail
                while not data and len(out) == STEP_BYTES:  # zlib may hold more although it took all input
                    out = self._step(b"")
                    if out:
                        yield out

    def _step(self, data: bytes) -> bytes:
        try:
            return self._zlib.decompress(data, STEP_BYTES)
        except zlib.error as error:
            if self._coding == "deflate" and not self._begun:
                self._begun = True
                self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
                return self._step(data)
            raise WireError(Reason.PROTOCOL, f"decode: the body is not {self._coding}") from error

    def _next_member(self, rest: bytes) -> bytes:
        if self._coding == "gzip" and rest.startswith(GZIP_MAGIC):
            self._zlib = zlib.decompressobj(MAX_WBITS_AUTO)
            return rest
        self._over = True  # trailing bytes after the end are ignored, as browsers do
        return b""

    def finish(self) -> None:
        """Check at the end of the body that the coding came to its end."""
        if self._begun and not self._over and not self._zlib.eof:
            raise WireError(Reason.PROTOCOL, f"decode: the {self._coding} body ends too early")


def decoder_for(codings: str) -> Decoder | None:
    """Return the decoder for a ``Content-Encoding`` value; ``None`` for identity."""
    names = [name for name in (part.strip().lower() for part in codings.split(",")) if name not in ("", "identity")]
    if not names:
        return None
    name = names[0].removeprefix("x-")
    if len(names) > 1 or name not in ("gzip", "deflate"):
        raise WireError(Reason.PROTOCOL, f"decode: content coding {codings[:40]!r} was not asked for")
    return Decoder(name)
