"""dnspython's sockets, with bounds on what a hostile name server may make us read.

The library takes some 25 µs for a record and much more where each has a type of its own, on our loop; and it reads on
until its time is up as long as what arrives is no answer to the question.
"""

from __future__ import annotations

from typing import Any, Self

from dns._asyncbackend import Backend  # the class that the public module hands out without naming it
from dns.asyncbackend import get_backend

MOST_BYTES = 8192
"""Of one answer. TXT records of large domains come to five thousand."""
MOST_DATAGRAMS = 5
"""Taken for an answer to one question."""
MOST_STRAYS = 100
"""Thrown away unread, because they answer no question of ours."""


class _Bounded:
    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._left, self._strays = MOST_DATAGRAMS, MOST_STRAYS
        self._question = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sock.close()

    async def sendto(self, what: bytes, destination: Any, timeout: float | None) -> int:
        self._question = what[:2]
        return int(await self._sock.sendto(what, destination, timeout))

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, Any]:
        while True:
            data, sender = await self._sock.recvfrom(size, timeout)
            if data[:2] == self._question:
                self._left -= 1
            else:
                self._strays -= 1
            if min(self._left, self._strays) < 0 or len(data) > MOST_BYTES:
                raise EOFError("more than an answer has")
            if data[:2] == self._question:
                return data, sender

    async def recv(self, size: int, timeout: float | None) -> bytes:
        if size > MOST_BYTES:
            raise EOFError("more than an answer has")
        data: bytes = await self._sock.recv(size, timeout)
        return data


class BoundedBackend(Backend):
    """As the library's own for asyncio."""

    def __init__(self) -> None:
        self._asyncio: Any = get_backend("asyncio")

    def name(self) -> str:
        """As the library's own."""
        return str(self._asyncio.name())

    async def make_socket(self, *given: Any, **named: Any) -> Any:
        """Make a bounded socket."""
        return _Bounded(await self._asyncio.make_socket(*given, **named))

    async def sleep(self, interval: float) -> None:
        """As the library's own."""
        await self._asyncio.sleep(interval)
