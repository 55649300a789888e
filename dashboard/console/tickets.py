"""How a session's token reaches the browser: not through script, but as a cookie that script cannot read.

The page has no answer of its own to put a cookie into, so it leaves a ticket here, and the browser exchanges it at
:data:`PATH` for the cookie. A ticket is good once and for seconds.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from threading import Lock

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from monitor import clock

PATH, SCRIPT = "/session", "/session.js"
EXCHANGE = f'fetch("{PATH}",{{method:"POST",body:document.currentScript.dataset.ticket}})'
"""The script is a file, so that no page needs to allow script that stands in it."""
COOKIE = "chatwatch_session"
LASTS_S = 12 * 3600
GOOD_FOR_S = 30.0
LONGEST_TICKET = 64

_left: dict[str, tuple[str, float]] = {}
_lock = Lock()


def leave(token: str) -> str:
    """Return a ticket for the token; an empty token takes the cookie away."""
    ticket, now = secrets.token_urlsafe(32), clock.monotonic()
    with _lock:
        for old in [name for name, (_, until) in _left.items() if until < now]:
            del _left[old]
        _left[ticket] = token, now + GOOD_FOR_S
    return ticket


def redeem(ticket: str) -> str | None:
    """Return the ticket's token, once; None if there is none or it is too old."""
    with _lock:
        token, until = _left.pop(ticket, ("", 0.0))
    return token if clock.monotonic() < until else None


async def hand_over(request: Request) -> Response:
    """Answer a ticket with its cookie, anything else with 403."""
    ticket = bytearray()
    with suppress(ClientDisconnect):  # whoever leaves in the middle left no ticket
        async for chunk in request.stream():
            ticket += chunk
            if len(ticket) > LONGEST_TICKET:
                break
    token = redeem(ticket.decode("ascii", "replace"))
    if token is None:
        return Response(status_code=403)
    answer = Response(status_code=204, headers={"Cache-Control": "no-store"})
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    answer.set_cookie(
        COOKIE, token, max_age=LASTS_S if token else 0, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return answer


async def exchange(_: Request) -> Response:
    """Return the script that exchanges the ticket it was given."""
    return Response(EXCHANGE, media_type="text/javascript")


ROUTES = (Route(PATH, hand_over, methods=["POST"]), Route(SCRIPT, exchange))
