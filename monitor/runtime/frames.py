"""The stream between prober and recorder: frames of :mod:`monitor.runtime.messages` over an inherited socket pair.

A frame is its length (four bytes, big-endian) and a message. The end of the stream means that the other side died.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from typing import Generic

from monitor.logs import Event, Room
from monitor.runtime.messages import (
    FROM_PROBER,
    FROM_RECORDER,
    Codec,
    FrameError,
    FromProber,
    FromRecorder,
    M,
    UnknownKind,
)

log = Room("link")

LONGEST_FRAME_BYTES = 32 * 2**20
PEER_GONE = 75
"""Exit code of a program that ends because its peer did: whoever ended first is to blame."""
LIFE_VARIABLE = "CHATWATCH_LIFE_FD"
_LENGTH = struct.Struct("!I")


class Inbox(Generic[M]):
    """The messages that come from the other side."""

    def __init__(self, reader: asyncio.StreamReader, codec: Codec[M]) -> None:
        self._reader = reader
        self._codec = codec
        self._unknown: set[str] = set()

    async def receive(self) -> M | None:
        """Return the next message, or None when the other side is gone (a torn last frame included).

        A kind that only another version knows is told once and left out. Raises :class:`FrameError`.
        """
        while True:
            try:
                length = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))[0]
                if length > LONGEST_FRAME_BYTES:
                    raise FrameError(f"a frame of {length} bytes")
                data = await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            try:
                return self._codec.loads(data)
            except UnknownKind as error:
                if str(error) not in self._unknown:
                    self._unknown.add(str(error))
                    text = "%s ignored: the other process is of another version"
                    log.warning(Event.BAD_FRAME, text, error)


def from_prober(reader: asyncio.StreamReader) -> Inbox[FromProber]:
    """Return what the prober says."""
    return Inbox(reader, FROM_PROBER)


def from_recorder(reader: asyncio.StreamReader) -> Inbox[FromRecorder]:
    """Return what the recorder says."""
    return Inbox(reader, FROM_RECORDER)


def to_recorder(message: FromProber) -> bytes:
    """Return a message of the prober as a frame."""
    return _frame(FROM_PROBER.dumps(message))


def to_prober(message: FromRecorder) -> bytes:
    """Return a message of the recorder as a frame."""
    return _frame(FROM_RECORDER.dumps(message))


def _frame(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


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
