"""What a door tells of its start, once it listens and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvicorn


def telling(tell: Callable[[], None]) -> type[uvicorn.Server]:
    """Return uvicorn's server, which calls ``tell`` as soon as visitors can come."""

    class Telling(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                tell()

    return Telling
