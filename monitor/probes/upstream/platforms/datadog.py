"""Datadog Status Pages: ``config.json``, the one document that a page is drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.core.model.states import Health, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import (
    COMPONENTS,
    LISTED,
    OVER,
    ROWS,
    Look,
    Part,
    UnreadableError,
    impact_of,
    need,
    worst,
)
from monitor.probes.upstream.platform import Endpoints, Platform, is_document
from monitor.text.cleaner import as_rows, clean

_DEPTH = 4
"""Groups in groups; real pages have one level."""


def endpoints(url: str) -> Endpoints:
    """Return where a page keeps its data."""
    return Endpoints(url if is_document(url) else f"{url.rstrip('/')}/config.json")


def read(document: Any, look: Look) -> UpstreamReading:
    """Read ``config.json``. A component's state is its own; a group has none beside its members'.

    What an incident says of a component *now* is in its timeline. The incident's own list has the states of today,
    which for one that is over are all green.
    """
    page = need(document, dict, "object")
    components = list(_leaves(as_rows(need(page.get("components"), list, "components"), LISTED), look, ()))
    rows = as_rows(need(page.get("incidents"), list, "incidents"), ROWS)
    if not components:
        raise UnreadableError("no component in the page's data", WarningCode.UPSTREAM_NO_COMPONENTS)
    incidents = [_incident(row, look) for row in rows]
    works = [row for row in as_rows(page.get("maintenances"), ROWS) if row.get("resolved") is False]
    incidents += [_incident(row, look, is_work=True) for row in works if look.time(row.get("publishedDate"))]
    trouble = [health for _id, _name, health in components if health is not Health.OPERATIONAL]
    if any(
        incident is not None and incident.status is not None and incident.status not in OVER for incident in incidents
    ):
        trouble.append(Health.DEGRADED)
    return look.reading(worst(trouble) if trouble else Health.OPERATIONAL, components, incidents)


def _leaves(rows: list[dict[str, Any]], look: Look, above: tuple[dict[str, Any], ...]) -> Iterator[Part]:
    for row in rows:
        if isinstance(row.get("components"), list):
            if len(above) < _DEPTH:
                yield from _leaves(as_rows(row["components"], COMPONENTS), look, (*above, row))
            continue
        for group in above:
            look.group(group.get("id"), group.get("name"), [row.get("id")])
        yield row.get("id"), row.get("name"), look.health(row.get("status"))


def _incident(row: dict[str, Any], look: Look, *, is_work: bool = False) -> UpstreamIncident | None:
    """Build an incident; ``startedAt`` is when it happened, ``createdAt`` when somebody wrote it down."""
    timeline = as_rows(row.get("timeline"), ROWS)
    said = [
        look.update(told.get("startedAt") or told.get("createdAt"), told.get("status"), told.get("description"))
        for told in timeline
    ]
    touched = [part for told in timeline for part in as_rows(told.get("componentsAffected"), COMPONENTS)]
    status = None if is_work else _status(row, look)
    key = clean(row.get("id"), 100)
    return look.incident(
        id=key,
        name=row.get("title"),
        status=status,
        impact=impact_of(Health.UNKNOWN if is_work else worst(look.health(part.get("status")) for part in touched)),
        started=(row.get("publishedDate"),),
        updated=row.get("lastModifiedAt"),
        resolved=row.get("resolvedDate") if status in OVER else None,
        url=f"{look.page_url.rstrip('/')}/incidents/{key}",
        updates=said,
        components=(part.get("id") for part in (*touched, *as_rows(row.get("componentsAffected"), COMPONENTS))),
    )


def _status(row: dict[str, Any], look: Look) -> IncidentStatus | None:
    """Return the status; whether it is over is told by the flag, where there is one."""
    word, over = look.status(row.get("currentStatus")), row.get("resolved")
    if over is True:
        return word if word in OVER else IncidentStatus.RESOLVED
    return IncidentStatus.INVESTIGATING if over is False and (word is None or word in OVER) else word


KIND = Platform("datadog", endpoints, read)
