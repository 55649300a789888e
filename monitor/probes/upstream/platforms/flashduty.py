"""Flashduty: its ``summary/active`` document, or the stream of Next.js that its pages are drawn from.

Both as public clients of DeepSeek's page read them; the stream is what ``self.__next_f.push`` is called with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.answers import parse_json
from monitor.probes.upstream.parts import (
    COMPONENTS,
    ID_CHARS,
    LISTED,
    OVER,
    ROWS,
    Look,
    UnreadableError,
    impact_of,
    need,
    worst,
)
from monitor.probes.upstream.platform import Endpoints, Platform
from monitor.text.cleaner import as_map, as_rows, clean


def read(body: bytes, look: Look) -> UpstreamReading:
    """Read Flashduty's page: its JSON document, or the web page with the same data in its stream."""
    data = _data(body)
    page = need(data.get("page"), dict, "page")
    rows = as_rows(need(page.get("components"), list, "page.components"), LISTED)
    for row in as_rows(page.get("sections"), COMPONENTS):
        key = row.get("section_id")
        look.group(key, row.get("name"), (part.get("component_id") for part in rows if part.get("section_id") == key))
    changes, impacts = data.get("active_changes"), data.get("component_impacts")
    if not isinstance(changes, list) and not isinstance(impacts, list):
        raise UnreadableError(
            "neither active changes nor component impacts in the page's data", WarningCode.UPSTREAM_SHAPE_CHANGED
        )
    states = _states(as_rows(changes, ROWS), as_rows(impacts, 2000), look)
    if not all(isinstance(row, dict) for row in (*_listed(changes), *_listed(impacts))):
        look.warn(WarningCode.UPSTREAM_SHAPE_CHANGED)
        states[""] = Health.UNKNOWN
    rest = Health.UNKNOWN if "" in states else Health.OPERATIONAL  # something is affected, and nobody knows what
    components = [
        (
            row.get("component_id"),
            row.get("name"),
            look.health(row["status"])
            if isinstance(row.get("status"), str)
            else states.get(clean(row.get("component_id"), ID_CHARS), rest),
        )
        for row in rows
    ]
    if not components:
        look.warn(WarningCode.UPSTREAM_NO_COMPONENTS)
    past = as_rows(as_map(data.get("changeList")).get("items"), ROWS)
    incidents = [_incident(row, look) for row in (*as_rows(changes, ROWS), *past)]
    shown = [*(health for _id, _name, health in components), *states.values()]
    trouble = [health for health in shown if health is not Health.OPERATIONAL]
    if any(incident and incident.status and incident.status not in OVER for incident in incidents):
        trouble.append(Health.DEGRADED)
    quiet = Health.OPERATIONAL if components else Health.UNKNOWN
    return look.reading(worst(trouble) if trouble else quiet, components, incidents)


def endpoints(url: str) -> Endpoints:
    """Return where a page keeps its data. ``summary/active`` knows no resolution: that is in two lists of their own."""
    root, found, _ = url.partition("/summary/active")
    if not found or "/api/status-page/" not in root:
        return Endpoints(url)
    span = "start_at_seconds={since}&end_at_seconds={now}"
    return Endpoints(url, f"{root}/change/list?{span}", impacts=f"{root}/summary/structure?{span}")


def history(document: Any, look: Look) -> list[UpstreamIncident | None]:
    """Read the incidents of ``change/list``; ``summary/structure`` under ``impacts`` has the ends that it lacks."""
    rows = as_rows(as_map(as_map(document).get("data")).get("items"), ROWS)
    structure = as_map(as_map(as_map(document).get("impacts")).get("data"))
    ends: dict[str, list[Any]] = {}
    for impact in as_rows(structure.get("component_impacts"), 2000):
        ends.setdefault(clean(impact.get("change_id"), ID_CHARS), []).append(impact.get("end_at_seconds"))
    for row in rows:
        known = ends.get(clean(row.get("change_id"), ID_CHARS), [])
        numbers = [end for end in known if isinstance(end, int | float) and end > 0]
        if numbers and len(numbers) == len(known) and not row.get("close_at_seconds"):
            row["close_at_seconds"] = max(numbers)
            row["status"] = "resolved"
    return [_incident(row, look) for row in rows]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _states(changes: list[dict[str, Any]], impacts: list[dict[str, Any]], look: Look) -> dict[str, Health]:
    found: dict[str, list[Health]] = {}
    for change in changes:
        if look.status(change.get("status")) in OVER:
            continue
        listed = change.get("affected_components") or []  # null stands for an empty list
        if not isinstance(listed, list) or not all(isinstance(part, dict) for part in listed):
            look.warn(WarningCode.UPSTREAM_SHAPE_CHANGED)
            found.setdefault("", []).append(Health.UNKNOWN)
        for part in as_rows(listed, COMPONENTS):
            found.setdefault(clean(part.get("component_id"), ID_CHARS), []).append(look.health(part.get("status")))
    for impact in impacts:
        begun = look.has_begun(impact.get("start_at_seconds"))
        if begun is not False and not look.has_ended(impact.get("end_at_seconds") or None):
            health = look.health(impact.get("status")) if begun else Health.UNKNOWN
            found.setdefault(clean(impact.get("component_id"), ID_CHARS), []).append(health)
    return {key: worst(states) for key, states in found.items()}


def _incident(row: dict[str, Any], look: Look) -> UpstreamIncident | None:
    updates = as_rows(row.get("updates"), ROWS)
    touched = as_rows(row.get("affected_components"), COMPONENTS)
    changed = [part for update in updates for part in as_rows(update.get("component_changes"), COMPONENTS)]
    health = worst(look.health(part.get("status")) for part in (*touched, *changed))
    status = None if row.get("type") == "maintenance" else look.status(row.get("status"))
    return look.incident(
        id=row.get("change_id"),
        name=row.get("title"),
        status=status,
        impact=impact_of(health),
        started=(row.get("start_at_seconds"),),
        resolved=(row.get("close_at_seconds") or None) if status in OVER else None,
        url=look.page_url,
        updates=[look.update(u.get("at_seconds"), u.get("status"), u.get("description")) for u in updates],
        components=(part.get("component_id") for part in touched),
    )


def _data(body: bytes) -> dict[str, Any]:
    try:
        documents: Iterable[Any] = [parse_json(body)]
    except ValueError:
        documents = _streamed(body.decode("utf-8", "replace"))
    for document in documents:
        outer = as_map(document)
        history = {"changeList": outer["changeList"]} if "changeList" in outer else {}
        for candidate in (outer.get("data"), outer.get("active"), outer.get("initialData"), outer):
            data = as_map(candidate)
            if isinstance(as_map(data.get("page")).get("components"), list):
                return history | data
    raise UnreadableError("no Flashduty data at this address", WarningCode.UPSTREAM_MOVED)


_PUSH = re.compile(r"self\.__next_f\.push\(\[\s{0,3}1\s{0,3},\s{0,3}")
_ANCHORS = (
    re.compile(r'"initialData"\s{0,5}:\s{0,5}(?=\{)'),
    re.compile(r'(?=\{\s{0,5}"page"\s{0,5}:\s{0,5}\{)'),
)
_TRIES = 10


def _streamed(page: str) -> Iterable[Any]:
    """Yield the objects in a Next.js page's stream that may hold the data."""
    decoder = json.JSONDecoder()
    pieces: list[str] = []
    at = bad = 0
    while match := _PUSH.search(page, at):
        at = match.end()
        try:
            piece, at = decoder.raw_decode(page, at)
        except (ValueError, RecursionError):
            bad += 1  # naming the place of a fault goes through the whole page each time
            if bad > _TRIES:
                return
            continue
        if isinstance(piece, str):
            pieces.append(piece)
    stream = "".join(pieces)
    for anchor in _ANCHORS:
        for _number, match in zip(range(_TRIES), anchor.finditer(stream), strict=False):
            try:
                yield decoder.raw_decode(stream, match.end())[0]
            except (ValueError, RecursionError):
                continue


KIND = Platform("flashduty", endpoints, read, history, is_markup=True)
