"""Asking for a status page, and how the answer becomes a reading; shared by two kinds of probe."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.upstream import UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes import base
from monitor.probes.answers import is_html, parse_json, robot_wall
from monitor.probes.base import Context
from monitor.probes.upstream.parts import Look, UnreadableError
from monitor.probes.upstream.platform import BODY_BYTES, Endpoints
from monitor.probes.upstream.platforms import PLATFORMS
from monitor.wire import Answer, HttpClient, WireError, answered

Provider = Annotated[str, AfterValidator(base.one_of(PLATFORMS))]
"""Name of a platform."""
REDIRECTS = 3
LARGE_BYTES = 64 * 1024
"""Bodies above this are parsed in a thread, so that no other look waits for it."""
_HEADERS = {"accept": "application/json, application/atom+xml;q=0.9, text/html;q=0.8, */*;q=0.5"}


def page_of(url: str) -> str:
    """Return the address of the page that people read, where ``url`` may be that of its data or feed."""
    parts = urlsplit(base.shown_url(url).removesuffix("?…"))
    path = parts.path.partition("/api/")[0].partition("/proxy/")[0].partition("/public/")[0]
    folder, _, name = path.rpartition("/")
    return f"{parts.scheme}://{parts.netloc}{folder + '/' if '.' in name else path}"


def endpoints(provider: str, url: str) -> Endpoints:
    """Return the addresses to ask for the page at ``url``."""
    return PLATFORMS[provider].endpoints(url)


async def fetch(url: str, ctx: Context, body_bytes: int = BODY_BYTES) -> Answer:
    """Ask for a document of a status page."""
    limits = ctx.limits(body_bytes=body_bytes, wire_bytes=body_bytes)
    async with HttpClient(ctx.wire, limits, redirects=REDIRECTS) as client:
        return answered(await client.get(url, headers=_HEADERS))


def unreachable(error: WireError) -> Observation:
    """Turn a failed exchange into "could not read"; what is our own fault stays that."""
    ours = error.reason.scope == "probe"
    return replace(
        base.from_wire(error),
        reason=error.reason if ours else Reason.UNREADABLE,
        detail=f"{error.reason}: {error.detail}",
        warnings=(WarningCode.UPSTREAM_UNREACHABLE,),
    )


async def read(answer: Answer, look: Look, ctx: Context) -> UpstreamReading:
    """Turn an answer into a reading; raises ``UnreadableError`` whatever is wrong with it."""
    if wall := robot_wall(answer.status, answer.headers, answer.body):
        raise UnreadableError(f"turned away by {wall} with HTTP {answer.status}", WarningCode.UPSTREAM_BLOCKED)
    if answer.status in (301, 302, 303, 307, 308, 404, 410):
        raise UnreadableError(f"HTTP {answer.status}: no status page at this address", WarningCode.UPSTREAM_MOVED)
    if answer.status != 200:
        raise UnreadableError(f"HTTP {answer.status}")
    if answer.redirects:
        look.warn(WarningCode.UPSTREAM_REDIRECTED)
    platform = PLATFORMS[look.provider]
    if platform.is_markup:
        return await base.apart(ctx, lambda: platform.read(answer.body, look))
    if len(answer.body) > LARGE_BYTES:
        return await base.apart(ctx, lambda: platform.read(_document(answer), look))
    return platform.read(_document(answer), look)


def _document(answer: Answer) -> Any:
    try:
        return parse_json(answer.body)
    except ValueError:
        found = "a web page" if is_html(answer.headers, answer.body) else "no JSON"
        raise UnreadableError(f"{found} where the status page's JSON was", WarningCode.UPSTREAM_MOVED) from None
