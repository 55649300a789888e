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
MOST_DATAGRAMS = 20
"""Read for one question: an answer, and strays."""


class _Bounded:
    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._left = MOST_DATAGRAMS

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sock.close()

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, Any]:
        data, sender = await self._sock.recvfrom(size, timeout)
        self._left -= 1
        if self._left < 0 or len(data) > MOST_BYTES:
            raise EOFError("more than an answer has")
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
