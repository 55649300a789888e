"""Better Stack: ``index.json``, its JSON API."""

from __future__ import annotations

from typing import Any

from monitor.core.model.states import Health, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.probes.upstream.parts import COMPONENTS, ROWS, Look, impact_of, need
from monitor.probes.upstream.platform import Endpoints, Platform, is_document
from monitor.text.cleaner import as_map, as_rows, clean


def endpoints(url: str) -> Endpoints:
    """Return where a page keeps its data."""
    return Endpoints(url if is_document(url) else f"{url.rstrip('/')}/index.json")


def read(document: Any, look: Look) -> UpstreamReading:
    """Read ``index.json`` (JSON:API). A resource that is not monitored is unknown, not down."""
    attributes = as_map(need(need(document, dict, "object").get("data"), dict, "data").get("attributes"))
    included = as_rows(document.get("included"), 2000)
    components = []
    sections = {clean(row.get("id"), 100): row for row in included if row.get("type") == "status_page_section"}
    for row in included:
        if row.get("type") == "status_page_resource":
            about = as_map(row.get("attributes"))
            components.append((row.get("id"), about.get("public_name"), look.health(about.get("status"))))
            if (section := clean(about.get("status_page_section_id"), 100)) in sections:
                look.group(section, as_map(sections[section].get("attributes")).get("name"), [row.get("id")])
    updates = _updates(included, look)
    incidents = [_report(row, updates, look) for row in included if row.get("type") == "status_report"]
    return look.reading(
        look.health(attributes.get("aggregate_state")), components, incidents, look.time(attributes.get("updated_at"))
    )


def _updates(included: list[dict[str, Any]], look: Look) -> dict[str, UpstreamUpdate]:
    found = {}
    for row in included:
        if row.get("type") == "status_update":
            about = as_map(row.get("attributes"))
            if update := look.update(about.get("published_at"), None, about.get("message")):
                found[clean(row.get("id"), 100)] = update
    return found


def _report(row: dict[str, Any], updates: dict[str, UpstreamUpdate], look: Look) -> UpstreamIncident | None:
    about = as_map(row.get("attributes"))
    links = as_rows(as_map(as_map(row.get("relationships")).get("status_updates")).get("data"), ROWS)
    ended = about.get("ends_at")
    over = about.get("aggregate_state") == "resolved" or (ended is not None and look.time(ended) is not None)
    is_maintenance = about.get("report_type") == "maintenance"
    status = IncidentStatus.RESOLVED if over else IncidentStatus.INVESTIGATING
    health = Health.UNKNOWN if over else look.health(about.get("aggregate_state"))
    return look.incident(
        id=row.get("id"),
        name=about.get("title"),
        status=None if is_maintenance else status,
        impact=impact_of(health),
        started=(about.get("starts_at"),),
        resolved=ended if over else None,
        updates=(updates.get(clean(link.get("id"), 100)) for link in links),
        components=(
            part.get("status_page_resource_id") for part in as_rows(about.get("affected_resources"), COMPONENTS)
        ),
    )


KIND = Platform("better_stack", endpoints, read)
