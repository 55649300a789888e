"""What the servers of all doors have in common: when they tell that they serve, what each answer says to a browser.

Nobody may frame an answer, guess its type or learn where a visitor came from. That is pure ASGI, so that it holds for
whatever answers: our pages, Streamlit's files, and an error of either.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STREAMLIT = (
    f"{NOTHING}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; media-src 'self'"
)
"""Streamlit writes its styles into the page as it draws; its scripts are files, but for those in its first page."""
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
UNSUPPORTED_DATA = 1003
"""RFC 6455, 7.4.1."""
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def streamlit_policy(first_page: str) -> str:
    """Return the Content-Security-Policy of a Streamlit door, given the page that it begins with."""
    digests = [b64encode(sha256(script.encode()).digest()).decode() for script in INLINE.findall(first_page)]
    allowed = "".join(f" 'sha256-{digest}'" for digest in digests)
    return f"{_STREAMLIT}; script-src 'self'{allowed}"


class Secured:
    """Adds the headers that an answer has not set itself; ends a websocket that speaks what nobody understands."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self.app = app
        self.headers = ALWAYS | {"Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; the first message of an answer gets its headers."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and message.get("bytes") is None:
                # Streamlit's own page sends bytes only, and a text would end in a traceback there.
                return {"type": "websocket.disconnect", "code": UNSUPPORTED_DATA}
            return message

        if scope["type"] == "websocket":
            await self.app(scope, heard, send)
        else:
            await self.app(scope, receive, told if scope["type"] == "http" else send)


def telling(tell: Callable[[], None], begin: Callable[[uvicorn.Config], object] = id) -> type[uvicorn.Server]:
    """Return uvicorn's server, which calls ``tell`` as soon as visitors can come, and ``begin`` before it is set up."""

    class Telling(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            begin(config)
            super().__init__(config)

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                tell()

    return Telling
