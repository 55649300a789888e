"""Content decoding in bounded steps, so that a small answer cannot become a large one unseen.

Only ``identity`` is asked for. A server that compresses all the same is read as a browser reads it: every coding that
browsers know, one over another; a coding that nobody knows is none, and the body counts as it came.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode, WarningText, detailed
from monitor.wire.model import WireError

STEP_BYTES = 65536
MOST_LAYERS = 4
BETWEEN_BYTES = 16 * 2**20
"""At most so much may come out of a coding below another: what expands there need not show at the end."""
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_WINDOW_LOG = 23
"""8 MB, as browsers; the library would let a stranger take 128."""
TOKEN = re.compile(r"[!#$%&'+./^_`|~0-9a-z-]+")
"""What browsers take for a coding that they do not know; others they refuse."""
GZIP_WBITS = 16 + zlib.MAX_WBITS


class _Engine(Protocol):
    """A decompressor in steps."""

    over: bool
    """True at the end of the coding; what follows is ignored, as browsers do."""
    more: bool
    """True while another step with ``b""`` may give something."""

    def step(self, data: bytes) -> bytes:
        """Take data and give at most 64 KiB."""
        ...


class _Zlib:
    """gzip, or deflate with or without zlib's head."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._zlib = zlib.decompressobj(GZIP_WBITS if self._gzip else zlib.MAX_WBITS)
        self._begun = self.over = self.more = False
        self._left = b""

    def step(self, data: bytes) -> bytes:
        data = self._left + data
        try:
            out = self._zlib.decompress(data, STEP_BYTES)
        except zlib.error:
            if self._gzip or self._begun:
                raise
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            out = self._zlib.decompress(data, STEP_BYTES)
        self._begun = True
        self._left = self._zlib.unconsumed_tail
        if self._zlib.eof:
            rest = self._zlib.unused_data
            self.over = not (self._gzip and rest.startswith(GZIP_MAGIC))
            if not self.over:
                self._zlib, self._left = zlib.decompressobj(GZIP_WBITS), rest
        # zlib may hold more although it took all input
        self.more = not self.over and (bool(self._left) or len(out) == STEP_BYTES)
        return out


class _Brotli:
    def __init__(self, _: str) -> None:
        import brotli  # late: nobody asks for it

        self._brotli: Any = brotli.Decompressor()
        self.over = self.more = False

    def step(self, data: bytes) -> bytes:
        out: bytes = self._brotli.process(data, output_buffer_limit=STEP_BYTES)
        self.over = self._brotli.is_finished()
        self.more = not self.over and not self._brotli.can_accept_more_data()
        return out


class _Zstd:
    def __init__(self, _: str) -> None:
        self._zstd, self._left = _zstd(), b""
        self.over = self.more = False

    def step(self, data: bytes) -> bytes:
        out: bytes = self._zstd.decompress(self._left + data, STEP_BYTES)
        self._left = b""
        if self._zstd.eof:
            self._left = self._zstd.unused_data
            self.over = not self._left.startswith(ZSTD_MAGIC)
            self._zstd = None if self.over else _zstd()
        self.more = not self.over and (bool(self._left) or not self._zstd.needs_input)
        return out


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd  # late: nobody asks for it
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})


_ENGINES: dict[str, Callable[[str], _Engine]] = {
    "gzip": _Zlib, "x-gzip": lambda _: _Zlib("gzip"), "deflate": _Zlib, "br": _Brotli, "zstd": _Zstd,
}  # fmt: skip


class _Layer:
    """Undoes one coding."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._engine = _ENGINES[coding](coding)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield decoded pieces of at most 64 KiB; raises ``WireError(PROTOCOL)``."""
        engine = self._engine
        while (data or engine.more) and not engine.over:
            try:
                out = engine.step(data)
            except Exception as error:  # each library has an error of its own, and brotli's is not the only one
                raise WireError(Reason.PROTOCOL, f"decode: the body is not {self._coding}") from error
            self._begun, data = True, b""
            if out:
                yield out

    def finish(self) -> None:
        """Check at the end of the body that the coding came to its end."""
        if self._begun and not self._engine.over:
            raise WireError(Reason.PROTOCOL, f"decode: the {self._coding} body ends too early")


class Decoder:
    """Undoes the codings of a body, the one applied last first."""

    def __init__(self, codings: list[str]) -> None:
        self._layers = [_Layer(coding) for coding in reversed(codings)]
        self._between = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield decoded pieces of at most 64 KiB; raises ``WireError``: PROTOCOL, TOO_LARGE between two codings."""
        return self._through(data, self._layers)

    def _through(self, data: bytes, layers: list[_Layer]) -> Iterator[bytes]:
        first, *others = layers
        for piece in first.feed(data):
            if not others:
                yield piece
                continue
            self._between += len(piece)
            if self._between > BETWEEN_BYTES:
                raise WireError(Reason.TOO_LARGE, f"more than {BETWEEN_BYTES} bytes between two content codings")
            yield from self._through(piece, others)

    def finish(self) -> None:
        """Check at the end of the body that each coding came to its end."""
        for layer in self._layers:
            layer.finish()


class Codings(NamedTuple):
    """How to undo a ``Content-Encoding``, and what was sloppy about it."""

    decoder: Decoder | None
    warnings: tuple[WarningText, ...] = ()


def codings_of(value: str) -> Codings:
    """Return the decoder for a ``Content-Encoding``; none for identity and where one of the codings is unknown."""
    names = [name for name in (part.strip().lower() for part in value.split(",")) if name not in ("", "identity")]
    if not names:
        return Codings(None)
    unknown = [name for name in names if name not in _ENGINES]
    if any(not TOKEN.fullmatch(name) for name in unknown):
        raise WireError(Reason.PROTOCOL, "decode: the content coding is malformed")
    if unknown:
        return Codings(None, (detailed(WarningCode.PROTOCOL_UNKNOWN_CODING, unknown[0][:20]),))
    if len(names) > MOST_LAYERS:
        raise WireError(Reason.PROTOCOL, f"decode: more than {MOST_LAYERS} content codings")
    return Codings(Decoder(names), (detailed(WarningCode.PROTOCOL_UNASKED_CODING, ", ".join(names)),))
