"""incident.io, as the page's own front end reads it (``/proxy/<host>``), or by the documented widget."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import COMPONENTS, LISTED, OVER, ROWS, Look, impact_of, need, worst
from monitor.probes.upstream.platform import Endpoints, Platform
from monitor.text.cleaner import as_map, as_rows, clean


def endpoints(url: str) -> Endpoints:
    """Return where a page keeps its data."""
    page = url.rstrip("/")
    if page.endswith("/api/v1/summary"):  # the documented widget: no list of components, no history
        return Endpoints(page)
    main = page if "/proxy/" in urlsplit(url).path else f"{page}/proxy/{urlsplit(url).hostname}"
    return Endpoints(main, f"{main}/incidents")


def read(document: Any, look: Look) -> UpstreamReading:
    """Read ``/proxy/<host>``, or the documented widget ``/api/v1/summary``.

    A healthy component is simply absent from ``affected_components``; while one that is there cannot be told by its
    id, nobody knows which of the others is healthy.
    """
    if "page_title" in need(document, dict, "object"):
        return _widget(document, look)
    summary = need(document.get("summary"), dict, "summary")
    rows = as_rows(need(summary.get("components"), list, "summary.components"), LISTED)
    listed = need(summary.get("affected_components"), list, "summary.affected_components")
    ongoing = as_rows(need(summary.get("ongoing_incidents"), list, "summary.ongoing_incidents"), ROWS)
    states = _affected(as_rows(listed, LISTED), look)
    if not all(isinstance(row, dict) for row in listed):
        look.warn(WarningCode.UPSTREAM_SHAPE_CHANGED)
        states[""] = worst((states.get("", Health.UNKNOWN), Health.UNKNOWN))
    names = {clean(row.get("id"), 100): row.get("name") for row in rows}
    rest = Health.UNKNOWN if "" in states else Health.OPERATIONAL
    _groups(as_map(summary.get("structure")), look)
    components = [(key, name, states.get(key, rest)) for key, name in names.items()]
    components += [(key, "", health) for key, health in states.items() if key not in names]
    if not names:
        look.warn(WarningCode.UPSTREAM_NO_COMPONENTS)
    incidents = [_incident(row, look) for row in ongoing]
    trouble = [health for health in states.values() if health is not Health.OPERATIONAL]
    if any(incident is None or incident.status not in OVER for incident in incidents):
        trouble.append(Health.DEGRADED)
    return look.reading(worst(trouble) if trouble else Health.OPERATIONAL, components, incidents)


def _groups(structure: dict[str, Any], look: Look) -> None:
    """Note the groups; each member stands in a group of the structure or by itself."""
    for item in as_rows(structure.get("items"), COMPONENTS):
        if group := as_map(item.get("group")):
            members = as_rows(group.get("components"), COMPONENTS)
            look.group(group.get("id"), group.get("name"), (part.get("component_id") for part in members))


def _widget(document: dict[str, Any], look: Look) -> UpstreamReading:
    """Read the widget. It lists affected components only, so that nothing can be mapped while all is well."""
    found, parts, trouble = [], [], []
    for row in as_rows(need(document.get("ongoing_incidents"), list, "ongoing_incidents"), ROWS):
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


def history(document: Any, look: Look) -> list[UpstreamIncident | None]:
    """Read ``/proxy/<host>/incidents``."""
    return [_incident(row, look) for row in as_rows(as_map(document).get("incidents"), ROWS)]


def _affected(rows: list[dict[str, Any]], look: Look) -> dict[str, Health]:
    """Return id → worst state; what has no readable id is under the empty one."""
    states: dict[str, Health] = {}
    for row in rows:
        key = clean(row.get("component_id") or row.get("id"), 100)
        health = look.health(row.get("status") or row.get("current_status"))
        states[key] = worst((states.get(key, health), health))
    return states


def _incident(row: dict[str, Any], look: Look) -> UpstreamIncident | None:
    said = [
        look.update(
            update.get("published_at"),
            update.get("to_status"),
            update.get("message_string") or as_map(update.get("message")).get("markdown"),
        )
        for update in as_rows(row.get("updates"), ROWS)
    ]
    touched = _affected(as_rows(row.get("affected_components"), COMPONENTS), look)
    impacts = _affected(as_rows(row.get("component_impacts"), COMPONENTS), look)
    is_maintenance = row.get("type") == "maintenance"
    key = clean(row.get("id"), 100)
    status = None if is_maintenance else look.status(row.get("status"))
    began, ended = _span(as_rows(row.get("component_impacts"), COMPONENTS), look)
    return look.incident(
        id=key,
        name=row.get("name"),
        status=status,
        impact=impact_of(worst([*touched.values(), *impacts.values()])),
        started=(began, row.get("published_at")),
        updated=row.get("last_update_at"),
        resolved=ended if status in OVER else None,
        url=row.get("url") or f"{look.page_url.rstrip('/')}/incidents/{key}",
        updates=said,
        components=(*touched, *impacts),
    )


def _span(impacts: list[dict[str, Any]], look: Look) -> tuple[float | None, float | None]:
    """Return when the first component was affected and when the last was well again; None while one is not.

    This is the length that the page shows; when somebody wrote about it says less.
    """
    began = [at.timestamp() for row in impacts if (at := look.time(row.get("start_at")))]
    ended = [at.timestamp() for row in impacts if (at := look.time(row.get("end_at")))]
    whole = bool(ended) and len(ended) == len(impacts)
    return min(began, default=None), max(ended) if whole else None


KIND = Platform("incident_io", endpoints, read, history)
