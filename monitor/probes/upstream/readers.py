"""Readers of status pages that speak JSON: Statuspage, incident.io, Instatus, Better Stack, Google Cloud.

Each takes parsed JSON of any shape and returns a reading or raises ``UnreadableError``; nothing else is raised. What
decides about green must be there in its right type: a missing list of affected components is not an empty one.
Sources: Statuspage's public API v2; incident.io's page as its own front end reads it (``/proxy/<host>``); Instatus'
``summary.json``; Better Stack's JSON API; Google Cloud's ``incidents.schema.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.core.alerts.warning_codes import WarningCode
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.probes.upstream.parts import COMPONENTS, OVER, Look, impact_of, impact_word, need, worst
from monitor.text.cleaner import as_map, as_rows, clean

_ROWS = 60


def statuspage(document: Any, look: Look) -> UpstreamReading:
    """Read ``/api/v2/summary.json``; also what others serve in its shape, as Rootly's ``/api/v1/status.json``."""
    page = need(document, dict, "object")
    status = need(page.get("status"), dict, "status")
    need(page.get("incidents"), list, "incidents")
    listed = need(page.get("components", []), list, "components")  # Rootly's document has none
    rows = [row for row in as_rows(listed, 400) if row.get("group") is not True]
    components = [(row.get("id"), row.get("name"), look.health(row.get("status"))) for row in rows]
    if not components:
        look.warn(WarningCode.UPSTREAM_NO_COMPONENTS)
    incidents = statuspage_incidents(page, look)
    maintenances = [
        _statuspage_incident(row, look)
        for row in as_rows(page.get("scheduled_maintenances"), _ROWS)
        if clean(row.get("status"), 40) in ("in_progress", "verifying")
    ]
    updated = look.time(as_map(page.get("page")).get("updated_at"))
    return look.reading(look.health(status.get("indicator")), components, [*incidents, *maintenances], updated)


def statuspage_incidents(document: Any, look: Look) -> list[UpstreamIncident | None]:
    """Read the incidents of ``summary.json`` or ``incidents.json``."""
    return [_statuspage_incident(row, look) for row in as_rows(as_map(document).get("incidents"), _ROWS)]


def _statuspage_incident(row: dict[str, Any], look: Look) -> UpstreamIncident | None:
    said = [
        look.update(update.get("display_at") or update.get("created_at"), update.get("status"), update.get("body"))
        for update in as_rows(row.get("incident_updates"), _ROWS)
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


def incident_io(document: Any, look: Look) -> UpstreamReading:
    """Read ``/proxy/<host>``, or the documented widget ``/api/v1/summary``.

    A healthy component is simply absent from ``affected_components``; while one that is there cannot be told by its
    id, nobody knows which of the others is healthy.
    """
    if "page_title" in need(document, dict, "object"):
        return _widget(document, look)
    summary = need(document.get("summary"), dict, "summary")
    rows = as_rows(need(summary.get("components"), list, "summary.components"), 400)
    affected = as_rows(need(summary.get("affected_components"), list, "summary.affected_components"), 400)
    ongoing = as_rows(need(summary.get("ongoing_incidents"), list, "summary.ongoing_incidents"), _ROWS)
    states = _affected(affected, look)
    names = {clean(row.get("id"), 100): row.get("name") for row in rows}
    rest = Health.UNKNOWN if "" in states else Health.OPERATIONAL
    components = [(key, name, states.get(key, rest)) for key, name in names.items()]
    components += [(key, "", health) for key, health in states.items() if key not in names]
    if not names:
        look.warn(WarningCode.UPSTREAM_NO_COMPONENTS)
    incidents = [_incident_io_incident(row, look) for row in ongoing]
    trouble = [health for health in states.values() if health is not Health.OPERATIONAL]
    if any(incident is None or incident.status not in OVER for incident in incidents):
        trouble.append(Health.DEGRADED)
    return look.reading(worst(trouble) if trouble else Health.OPERATIONAL, components, incidents)


def _widget(document: dict[str, Any], look: Look) -> UpstreamReading:
    """Read the widget. It lists affected components only, so that nothing can be mapped while all is well."""
    found, parts, trouble = [], [], []
    for row in as_rows(need(document.get("ongoing_incidents"), list, "ongoing_incidents"), _ROWS):
        touched = as_rows(row.get("affected_components"), COMPONENTS)
        states = _affected(touched, look)
        worst_word = look.health(row.get("current_worst_impact"))
        trouble += [worst_word if worst_word.severity else Health.DEGRADED, *states.values()]
        parts += [
            (part.get("id"), part.get("name"), states.get(clean(part.get("id"), 100), worst_word)) for part in touched
        ]
        found.append(
            look.incident(
                id=row.get("id"),
                name=row.get("name"),
                status=look.status(row.get("status")),
                impact=impact_of(worst_word),
                started=(row.get("last_update_at"),),
                url=row.get("url"),
                updates=[look.update(row.get("last_update_at"), row.get("status"), row.get("last_update_message"))],
                components=states,
            )
        )
    return look.reading(worst(trouble) if trouble else Health.OPERATIONAL, parts, found)


def incident_io_incidents(document: Any, look: Look) -> list[UpstreamIncident | None]:
    """Read ``/proxy/<host>/incidents``."""
    return [_incident_io_incident(row, look) for row in as_rows(as_map(document).get("incidents"), _ROWS)]


def _affected(rows: list[dict[str, Any]], look: Look) -> dict[str, Health]:
    """Return id → worst state; what has no readable id is under the empty one."""
    states: dict[str, Health] = {}
    for row in rows:
        key = clean(row.get("component_id") or row.get("id"), 100)
        health = look.health(row.get("status") or row.get("current_status"))
        states[key] = worst((states.get(key, health), health))
    return states


def _incident_io_incident(row: dict[str, Any], look: Look) -> UpstreamIncident | None:
    said = [
        look.update(
            update.get("published_at"),
            update.get("to_status"),
            update.get("message_string") or as_map(update.get("message")).get("markdown"),
        )
        for update in as_rows(row.get("updates"), _ROWS)
    ]
    touched = _affected(as_rows(row.get("affected_components"), COMPONENTS), look)
    impacts = _affected(as_rows(row.get("component_impacts"), COMPONENTS), look)
    is_maintenance = row.get("type") == "maintenance"
    key = clean(row.get("id"), 100)
    return look.incident(
        id=key,
        name=row.get("name"),
        status=None if is_maintenance else look.status(row.get("status")),
        impact=impact_of(worst([*touched.values(), *impacts.values()])),
        started=(row.get("published_at"),),
        updated=row.get("last_update_at"),
        url=row.get("url") or f"{look.page_url.rstrip('/')}/incidents/{key}",
        updates=said,
        components=(*touched, *impacts),
    )


def instatus(document: Any, look: Look) -> UpstreamReading:
    """Read ``summary.json``, with the rows of ``components.json`` under ``components`` where they were fetched."""
    page = need(need(document, dict, "object").get("page"), dict, "page")
    rows = as_rows(document.get("components"), 400)
    components = [(row.get("id"), row.get("name"), look.health(row.get("status"))) for row in rows]
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
        for row in as_rows(document.get("activeIncidents"), _ROWS)
    ]
    return look.reading(look.health(page.get("status")), components, found)


def better_stack(document: Any, look: Look) -> UpstreamReading:
    """Read ``index.json`` (JSON:API). A resource that is not monitored is unknown, not down."""
    attributes = as_map(need(need(document, dict, "object").get("data"), dict, "data").get("attributes"))
    included = as_rows(document.get("included"), 2000)
    components = []
    for row in included:
        if row.get("type") == "status_page_resource":
            about = as_map(row.get("attributes"))
            components.append((row.get("id"), about.get("public_name"), look.health(about.get("status"))))
    updates = _better_stack_updates(included, look)
    incidents = [_better_stack_report(row, updates, look) for row in included if row.get("type") == "status_report"]
    return look.reading(
        look.health(attributes.get("aggregate_state")), components, incidents, look.time(attributes.get("updated_at"))
    )


def _better_stack_updates(included: list[dict[str, Any]], look: Look) -> dict[str, UpstreamUpdate]:
    found = {}
    for row in included:
        if row.get("type") == "status_update":
            about = as_map(row.get("attributes"))
            if update := look.update(about.get("published_at"), None, about.get("message")):
                found[clean(row.get("id"), 100)] = update
    return found


def _better_stack_report(
    row: dict[str, Any], updates: dict[str, UpstreamUpdate], look: Look
) -> UpstreamIncident | None:
    about = as_map(row.get("attributes"))
    links = as_rows(as_map(as_map(row.get("relationships")).get("status_updates")).get("data"), _ROWS)
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


def google_cloud(document: Any, look: Look, products: tuple[str, ...] = ()) -> UpstreamReading:
    """Read ``incidents.json``; ``products`` are the ids (or titles) that concern us, none means all.

    The file lists no products, only those in trouble: one that is never mentioned is operational, and a retired id
    cannot be told from a healthy one. An open incident that names no product may be about any of them.
    """
    rows = as_rows(need(document, list, "list of incidents"), 500)
    wanted = {product.casefold(): product for product in products}
    states = dict.fromkeys(products, Health.OPERATIONAL)
    found, trouble = [], []
    for row in rows:
        named = [key for key in _products(row) if key]
        touched = [wanted[key] for key in named if key in wanted]
        if products and not touched:
            if not named and row.get("end") is None:
                trouble.append(Health.UNKNOWN)
                states.update({product: worst((health, Health.UNKNOWN)) for product, health in states.items()})
            continue
        latest = as_map(row.get("most_recent_update"))
        health = look.health(latest.get("status"))
        is_over = row.get("end") is not None
        if not is_over:
            trouble.append(health)
            states.update({product: worst((states[product], health)) for product in touched})
        found.append(_google_incident(row, touched, is_over, health, look))
    components = [(product, product, health) for product, health in states.items()]
    return look.reading(worst(trouble) if trouble else Health.OPERATIONAL, components, found)


def _products(row: dict[str, Any]) -> Iterator[str]:
    for product in as_rows(row.get("affected_products"), COMPONENTS):
        yield from (clean(product.get(key), 100).casefold() for key in ("id", "title"))


def _google_incident(
    row: dict[str, Any], touched: list[str], is_over: bool, health: Health, look: Look
) -> UpstreamIncident | None:
    severity = {"low": Impact.MINOR, "medium": Impact.MAJOR, "high": Impact.CRITICAL}
    said = [look.update(update.get("when"), None, update.get("text")) for update in as_rows(row.get("updates"), _ROWS)]
    uri = clean(row.get("uri"), 200)
    return look.incident(
        id=row.get("id"),
        name=row.get("external_desc") or row.get("service_name"),
        status=IncidentStatus.RESOLVED if is_over else IncidentStatus.INVESTIGATING,
        impact=severity.get(clean(row.get("severity"), 20).lower(), impact_of(health)),
        started=(row.get("begin"), row.get("created")),
        updated=row.get("modified"),
        resolved=row.get("end"),
        url=f"{look.page_url.rstrip('/')}/{uri.lstrip('/')}" if uri else "",
        updates=said,
        components=touched,
    )


READERS = {
    "statuspage": statuspage,
    "incident_io": incident_io,
    "instatus": instatus,
    "better_stack": better_stack,
}
