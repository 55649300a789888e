"""Statuspage, by its public API v2, and what others serve in the shape of it."""

from __future__ import annotations

from typing import Any

from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import COMPONENTS, LISTED, ROWS, Look, Part, impact_word, need
from monitor.probes.upstream.platform import Endpoints, Platform, is_document
from monitor.text.cleaner import as_map, as_rows, clean


def endpoints(url: str) -> Endpoints:
    """Return where a page keeps its data."""
    root = url.rstrip("/").rsplit("/api/v2/", 1)[0]
    main = url if is_document(url) else f"{root}/api/v2/summary.json"
    return Endpoints(main, f"{root}/api/v2/incidents.json")


def read(document: Any, look: Look) -> UpstreamReading:
    """Read ``/api/v2/summary.json``; also what others serve in its shape, as Rootly's ``/api/v1/status.json``."""
    page = need(document, dict, "object")
    status = need(page.get("status"), dict, "status")
    need(page.get("incidents"), list, "incidents")
    listed = need(page.get("components", []), list, "components")  # Rootly's document has none
    components = parts(as_rows(listed, LISTED), look)
    if not components:
        look.warn(WarningCode.UPSTREAM_NO_COMPONENTS)
    incidents = history(page, look)
    maintenances = [
        _incident(row, look)
        for row in as_rows(page.get("scheduled_maintenances"), ROWS)
        if clean(row.get("status"), 40) in ("in_progress", "verifying")
    ]
    updated = look.time(as_map(page.get("page")).get("updated_at"))
    return look.reading(look.health(status.get("indicator")), components, [*incidents, *maintenances], updated)


def parts(rows: list[dict[str, Any]], look: Look) -> list[Part]:
    """Read a list of components, in which a group is a row as well, with the state that the page gives it."""
    groups = [row for row in rows if row.get("group") is True]
    for row in groups:
        members = [part.get("id") for part in rows if part.get("group_id") and part.get("group_id") == row.get("id")]
        listed = row.get("components")
        members += listed if isinstance(listed, list) else []
        look.group(row.get("id"), row.get("name"), members, look.health(row.get("status")))
    rest = [row for row in rows if row.get("group") is not True]
    return [(row.get("id"), row.get("name"), look.health(row.get("status"))) for row in rest]


def history(document: Any, look: Look) -> list[UpstreamIncident | None]:
    """Read the incidents of ``summary.json`` or ``incidents.json``."""
    return [_incident(row, look) for row in as_rows(as_map(document).get("incidents"), ROWS)]


def _incident(row: dict[str, Any], look: Look) -> UpstreamIncident | None:
    said = [
        look.update(update.get("display_at") or update.get("created_at"), update.get("status"), update.get("body"))
        for update in as_rows(row.get("incident_updates"), ROWS)
    ]
    is_maintenance = row.get("impact") == "maintenance" or "scheduled_for" in row
    return look.incident(
        id=row.get("id"),
        name=row.get("name"),
        status=None if is_maintenance else look.status(row.get("status")),
        impact=impact_word(row.get("impact")),
        started=(row.get("started_at"), row.get("scheduled_for"), row.get("created_at")),
        updated=row.get("updated_at"),
        resolved=row.get("resolved_at"),
        url=row.get("shortlink"),
        updates=said,
        components=(part.get("id") for part in as_rows(row.get("components"), COMPONENTS)),
    )


KIND = Platform("statuspage", endpoints, read, history)
