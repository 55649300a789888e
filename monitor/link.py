"""Frames between prober and recorder over an inherited socket pair: length, JSON head, one line per result.

Heads the prober sends: ``{"batch": n}`` with results, ``{"alive": {...}}``. Heads the recorder sends: ``{"ack": n}``,
``{"beat": {...}}`` (a job's report), ``{"carried": {probe: [at, memory, cut off]}}`` (what probes remember that
another worker looked at before), ``{"own": {probe: since}}`` (what to look at, from which Unix second on) and
``{"alive": {}}``. A batch may also say ``"memories": {probe: [at, memory]}``, what probes remember now,
``"left": [probe, …]``, of which nothing more will come, and ``"ending": true``, when nothing more will come of any.
A batch is acknowledged once it is committed or safely spooled; the end of the stream means that the other died.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_FRAME_BYTES = 32 * 2**20
LIFE_VARIABLE = "CHATWATCH_LIFE_FD"
_LENGTH = struct.Struct("!I")


class LinkError(Exception):
    """The stream holds something else than our frames."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    head: Mapping[str, Any]
    lines: tuple[bytes, ...] = ()


def pack(head: Mapping[str, Any], lines: Iterable[bytes] = ()) -> bytes:
    """Return a frame as bytes; lines must not hold line ends."""
    payload = b"\n".join([json.dumps(head, separators=(",", ":")).encode(), *lines])
    return _LENGTH.pack(len(payload)) + payload


async def receive(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next frame, or None when the other side is gone (a torn last frame included)."""
    try:
        length = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
        if length > LONGEST_FRAME_BYTES:
            raise LinkError(f"a frame of {length} bytes")
        head, *lines = (await reader.readexactly(length)).split(b"\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    try:
        parsed = json.loads(head)
    except ValueError:
        raise LinkError("a frame without a head") from None
    if not isinstance(parsed, dict):
        raise LinkError("a frame without a head")
    return Frame(parsed, tuple(lines))


async def open_link(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of an inherited socket."""
    import socket

    inherited = socket.socket(fileno=descriptor)
    inherited.setblocking(False)
    return await asyncio.open_connection(sock=inherited)


def watch_parent(stop: Callable[[], None]) -> None:
    """In a program of ours: call ``stop`` once the supervisor is gone. Does nothing without a supervisor."""
    descriptor = os.environ.get(LIFE_VARIABLE, "")
    if not descriptor.isdecimal():
        return
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(int(descriptor))
        stop()

    loop.add_reader(int(descriptor), ended)
