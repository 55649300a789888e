"""A pasted, piped or stored error as plain text, at a bounded cost: its beginning and its end are kept.

A status stands at the beginning of an answer, an exception at the end of a traceback.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

HEAD_BYTES = 32 * 1024
TAIL_BYTES = 64 * 1024
MOST_BYTES = 16 * 2**20
"""A stream without end (a log that is followed, ``/dev/zero``) is left after so much."""
_PIECE = 64 * 1024

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[A-Za-z]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""Colours, and links as terminals write them."""
_FRAME = re.compile(r"(?m)^[ \t]*[│┃║|][ \t]?|[ \t]*[│┃║][ \t]*$")
"""The frame that rich draws around a traceback."""
_QUOTE = re.compile(r"(?m)^(?:[ \t]{0,3}>[ \t]?)+")
_MARKS = (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")


def read(source: BinaryIO) -> str:
    """Return the text of a stream."""
    head, tail, size = bytearray(), bytearray(), 0
    while size < MOST_BYTES and (piece := source.read(_PIECE)):
        size += len(piece)
        room = HEAD_BYTES - len(head)
        head += piece[: max(0, room)]
        tail += piece[max(0, room) :]
        del tail[: max(0, len(tail) - TAIL_BYTES)]
    if size <= HEAD_BYTES + TAIL_BYTES:
        return as_text(bytes(head + tail))
    return f"{as_text(bytes(head))}\n{as_text(bytes(tail), _coding(bytes(head)))}"


def as_text(data: bytes, coding: str = "") -> str:
    """Decode what PowerShell (UTF-16) and everybody else (UTF-8) writes, without colours, frames and quoting."""
    text = data.decode(coding.replace("-sig", "") or _coding(data), "replace").replace("\x00", "")
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    if "\u2502" in text or "\u2503" in text or "\u2551" in text:
        text = _FRAME.sub("", text)
    return _unquoted(text)


def _coding(data: bytes) -> str:
    for mark, coding in _MARKS:
        if data.startswith(mark):
            return coding
    if data[1:200:2].count(0) > len(data[:200]) // 3:
        return "utf-16-le"  # no mark, and every other byte is nothing
    return "utf-8"


def _unquoted(text: str) -> str:
    """Take off the marks of a quotation in a mail, where every line has them; curl's own ``> `` stands on some."""
    lines = [line for line in text.split("\n") if line.strip()]
    return _QUOTE.sub("", text) if lines and all(line.lstrip().startswith(">") for line in lines) else text
