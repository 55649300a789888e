"""Cloudflare Status, by its public API v3: also the page of products that Cloudflare bought, as Replicate."""

from __future__ import annotations

from typing import Any

from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import COMPONENTS, OVER, ROWS, Look, Part, UnreadableError, impact_word, need, worst
from monitor.probes.upstream.platform import Endpoints, Platform
from monitor.text.cleaner import as_map, as_rows, clean


def endpoints(url: str) -> Endpoints:
    """Return where a page keeps its data."""
    root = url.rstrip("/").partition("/api/v3")[0]
    return Endpoints(f"{root}/api/v3/summary", f"{root}/api/v3/history?type=incident&per_page={ROWS}")


def read(document: Any, look: Look) -> UpstreamReading:
    """Read ``/api/v3/summary``. An incident is about the components that it lists, whatever its text mentions.

    Where it is known which components concern us, the others are left out, and so are their incidents.
    """
    envelope = need(document, dict, "object")
    if envelope.get("success") is not True:
        raise UnreadableError("the status page's API reports a failure of its own", WarningCode.UPSTREAM_SHAPE_CHANGED)
    result = need(envelope.get("result"), dict, "result")
    rows = as_rows(need(result.get("components"), list, "result.components"), 1000)
    active = as_rows(need(result.get("active_incidents"), list, "result.active_incidents"), ROWS)
    components = _parts(rows, look)
    incidents = [_incident(row, look) for row in (*active, *as_rows(result.get("recent_incidents"), ROWS))]
    if look.watched:
        components = _watched(components, look)
        ours = {key for key, _name, _health in components}
        incidents = [one for one in incidents if one is not None and ours & {*one.components}]
    if not components:
        look.warn(WarningCode.UPSTREAM_NO_COMPONENTS)
    states = [health for _id, _name, health in components]
    if any(incident is not None and incident.status not in OVER for incident in incidents):
        states.append(Health.DEGRADED)
    return look.reading(worst(states), components[:COMPONENTS], incidents)


def _parts(rows: list[dict[str, Any]], look: Look) -> list[Part]:
    parents = {clean(row.get("group_id"), 100) for row in rows} - {""}
    found: list[Part] = []
    for row in rows:
        key, health = clean(row.get("id"), 100), look.health(row.get("status"))
        if parent := clean(row.get("group_id"), 100):
            look.group(parent, "", [key])
        if row.get("group") is True or key in parents:
            look.group(key, row.get("name"), (), health)
        else:
            found.append((key, row.get("name"), health))
    return found


def _watched(components: list[Part], look: Look) -> list[Part]:
    """Return those that concern us, by id, name or group: the page has some hundred others, of Cloudflare itself."""
    wanted = {word.casefold() for word in look.watched}
    groups = [key for key, group in look.groups.items() if {key.casefold(), group.name.casefold()} & wanted]
    members = {part for key in groups for part in look.below(key)}
    return [
        part
        for part in components
        if part[0] in members or {clean(part[0], 100).casefold(), clean(part[1], 200).casefold()} & wanted
    ]


def history(document: Any, look: Look) -> list[UpstreamIncident | None]:
    """Read ``/api/v3/history``."""
    return [_incident(row, look) for row in as_rows(as_map(document).get("result"), ROWS)]


def _incident(row: dict[str, Any], look: Look) -> UpstreamIncident | None:
    told = [*as_rows(row.get("updates"), ROWS), as_map(row.get("last_update"))]
    said = [
        look.update(update.get("display_at") or update.get("created_at"), update.get("status"), update.get("message"))
        for update in told
        if update
    ]
    status = look.status(row.get("status"))
    return look.incident(
        id=row.get("id"),
        name=row.get("name"),
        status=status,
        impact=impact_word(row.get("impact")),
        started=(row.get("starts_at"), row.get("created_at")),
        updated=row.get("updated_at"),
        resolved=(row.get("ends_at") or row.get("resolved_at")) if status in OVER else None,
        url=f"{look.page_url.rstrip('/')}/incidents/{clean(row.get('id'), 100)}",
        updates=said,
        components=(part.get("id") for part in as_rows(row.get("components"), COMPONENTS)),
    )


KIND = Platform("cloudflare_status", endpoints, read, history)
