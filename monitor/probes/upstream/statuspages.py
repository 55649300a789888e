"""Where providers of status pages keep their data, and how an answer becomes a reading; shared by two kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from monitor.core.alerts.warning_codes import WarningCode
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.upstream import UpstreamReading
from monitor.probes import base
from monitor.probes.answers import is_html, parse_json, robot_wall
from monitor.probes.base import Context
from monitor.probes.upstream.pages import feed, flashduty
from monitor.probes.upstream.parts import Look, UnreadableError
from monitor.probes.upstream.readers import READERS, google_cloud
from monitor.wire import Answer, HttpClient, WireError, answered

Provider = Literal["statuspage", "incident_io", "instatus", "better_stack", "google_cloud", "feed", "flashduty"]
REDIRECTS = 3
BODY_BYTES = 2 * 2**20
LONG_BODY_BYTES = 6 * 2**20
"""Google's list of incidents goes back for years. Decoding JSON holds up the loop, so no other page may be as long."""
LARGE_BYTES = 64 * 1024
"""Bodies above this are parsed in a thread, so that no other look waits for it."""
_SLOW = frozenset({"feed", "flashduty"})
"""Markup is read by Python, at some microseconds a byte, and always in a thread."""
_HEADERS = {"accept": "application/json, application/atom+xml;q=0.9, text/html;q=0.8, */*;q=0.5"}


class Endpoints(NamedTuple):
    """Where a provider's data is. ``history`` also has what is resolved; ``parts`` has components kept apart."""

    main: str
    history: str = ""
    parts: str = ""
    body_bytes: int = BODY_BYTES
    """Longest answer of ``main``."""


def page_of(url: str) -> str:
    """Return the address of the page that people read, where ``url`` may be that of its data or feed."""
    parts = urlsplit(base.shown_url(url).removesuffix("?…"))
    path = parts.path.partition("/api/")[0].partition("/proxy/")[0]
    folder, _, name = path.rpartition("/")
    return f"{parts.scheme}://{parts.netloc}{folder + '/' if '.' in name else path}"


def endpoints(provider: str, url: str) -> Endpoints:
    """Return the addresses to ask for the page at ``url``."""
    page, direct = url.rstrip("/"), urlsplit(url).path.endswith(".json")
    if provider == "statuspage":
        root = page.rsplit("/api/v2/", 1)[0]
        return Endpoints(url if direct else f"{root}/api/v2/summary.json", f"{root}/api/v2/incidents.json")
    if provider == "incident_io":
        if page.endswith("/api/v1/summary"):  # the documented widget: no list of components, no history
            return Endpoints(page)
        main = page if "/proxy/" in urlsplit(url).path else f"{page}/proxy/{urlsplit(url).hostname}"
        return Endpoints(main, f"{main}/incidents")
    if provider == "instatus":
        return Endpoints(url if direct else f"{page}/summary.json", parts=f"{page}/v2/components.json")
    if provider == "better_stack":
        return Endpoints(url if direct else f"{page}/index.json")
    if provider == "google_cloud":
        return Endpoints(url if direct else f"{page}/incidents.json", body_bytes=LONG_BODY_BYTES)
    return Endpoints(url)


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


async def read(
    provider: str, answer: Answer, look: Look, ctx: Context, watched: tuple[str, ...] = ()
) -> UpstreamReading:
    """Turn an answer into a reading; raises ``UnreadableError`` whatever is wrong with it."""
    if wall := robot_wall(answer.status, answer.headers, answer.body):
        raise UnreadableError(f"turned away by {wall} with HTTP {answer.status}", WarningCode.UPSTREAM_BLOCKED)
    if answer.status in (301, 302, 303, 307, 308, 404, 410):
        raise UnreadableError(f"HTTP {answer.status}: no status page at this address", WarningCode.UPSTREAM_MOVED)
    if answer.status != 200:
        raise UnreadableError(f"HTTP {answer.status}")
    if answer.redirects:
        look.warn(WarningCode.UPSTREAM_REDIRECTED)
    reader = _reader(provider, is_html(answer.headers, answer.body), watched)
    if provider in _SLOW or len(answer.body) > LARGE_BYTES:
        return await base.apart(ctx, lambda: reader(answer.body, look))
    return reader(answer.body, look)


def _reader(provider: str, page: bool, watched: tuple[str, ...]) -> Callable[[bytes, Look], UpstreamReading]:
    if provider == "feed":
        return lambda body, look: feed(body, look, watched)
    if provider == "flashduty":
        return flashduty

    def read_json(body: bytes, look: Look) -> UpstreamReading:
        try:
            document = parse_json(body)
        except ValueError:
            found = "a web page" if page else "no JSON"
            raise UnreadableError(f"{found} where the status page's JSON was", WarningCode.UPSTREAM_MOVED) from None
        if provider == "google_cloud":
            return google_cloud(document, look, watched)
        return READERS[provider](document, look)

    return read_json
