"""Records in files that only grow: length and CRC-32 (four bytes each, big-endian), then a JSON object.

What was appended is on the disk when :func:`append` returns. A file whose end is torn, or that is damaged in its
middle, still yields every record that is whole.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_HEAD = struct.Struct(">II")
LONGEST_RECORD = 4 * 2**20


def record(body: bytes) -> bytes:
    """Return a body, which begins with ``{``, as a record."""
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def records(data: bytes) -> Iterator[tuple[bytes | None, int]]:
    """Yield each sound record's body with the position behind it, and None once for every stretch that is damaged."""
    at = 0
    while at < len(data):
        body = _body_at(data, at)
        at = _next_record(data, at + 1) if body is None else at + _HEAD.size + len(body)
        yield body, at


def append(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Append to a file; after an ``OSError`` nothing of ``data`` is left behind.

    Without ``sync`` a death of the process loses nothing, a loss of power may.
    """
    # Unbuffered: a buffer that failed to go out would be tried again on closing, in front of the next batch.
    with path.open("ab", buffering=0) as out:
        before = out.tell()
        try:
            write_all(out.fileno(), data)
            if sync:
                os.fsync(out.fileno())
        except OSError:
            os.ftruncate(out.fileno(), before)
            raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, in as many steps as it takes."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def rewrite(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace a file; whoever opens it sees the old one or the new one."""
    other = path.with_suffix(".new")
    with other.open("wb") as out:
        out.writelines(pieces)
        out.flush()
        os.fsync(out.fileno())
    other.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Bring names that were made, changed or removed in a folder to the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _body_at(data: bytes, at: int) -> bytes | None:
    """Return the record that begins at ``at``; None unless it is whole and sound."""
    if at + _HEAD.size > len(data):
        return None
    length, crc = _HEAD.unpack_from(data, at)
    if not 0 < length <= min(LONGEST_RECORD, len(data) - at - _HEAD.size):
        return None
    body = data[at + _HEAD.size : at + _HEAD.size + length]
    return body if zlib.crc32(body) == crc else None


def _next_record(data: bytes, at: int) -> int:
    """Return where the next sound record begins at or after ``at``; the end of the data if there is none."""
    while (brace := data.find(b"{", at + _HEAD.size)) >= 0:
        at = brace - _HEAD.size
        if _body_at(data, at) is not None:
            return at
        at += 1
    return len(data)
