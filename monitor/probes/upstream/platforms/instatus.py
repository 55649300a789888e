"""Instatus: ``summary.json``, with the components in a document of their own."""

from __future__ import annotations

from typing import Any

from monitor.core.model.upstream import UpstreamReading
from monitor.probes.upstream.parts import LISTED, ROWS, Look, Part, impact_of, need
from monitor.probes.upstream.platform import Endpoints, Platform, is_document
from monitor.text.cleaner import as_map, as_rows


def endpoints(url: str) -> Endpoints:
    """Return where a page keeps its data."""
    page = url.rstrip("/")
    return Endpoints(url if is_document(url) else f"{page}/summary.json", parts=f"{page}/v2/components.json")


def read(document: Any, look: Look) -> UpstreamReading:
    """Read ``summary.json``, with the rows of ``components.json`` under ``components`` where they were fetched."""
    page = need(need(document, dict, "object").get("page"), dict, "page")
    found = [
        look.incident(
            id=row.get("id") or row.get("url"),
            name=row.get("name"),
            status=look.status(row.get("status")),
            impact=impact_of(look.health(row.get("impact"))),
            started=(row.get("started"),),
            updated=row.get("updatedAt"),
            url=row.get("url"),
        )
        for row in as_rows(document.get("activeIncidents"), ROWS)
    ]
    return look.reading(look.health(page.get("status")), parts(document, look), found)


def parts(document: Any, look: Look) -> list[Part]:
    """Read the components of ``components.json``, or of a summary that has them."""
    rows = as_rows(as_map(document).get("components"), LISTED)
    for row in rows:
        if group := as_map(row.get("group")):
            look.group(group.get("id"), group.get("name"), [row.get("id")])
    return [(row.get("id"), row.get("name"), look.health(row.get("status"))) for row in rows]


KIND = Platform("instatus", endpoints, read, parts=parts)
