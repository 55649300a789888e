"""AWS Health: ``public/events``, one event per incident, for every service and region at once. UTF-16 with a mark."""

from __future__ import annotations

import re
from typing import Any

from monitor.core.model.states import Health, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.answers import parse_json
from monitor.probes.upstream.parts import ROWS, Look, UnreadableError, impact_of, need, worst
from monitor.probes.upstream.platform import Endpoints, Platform, is_document
from monitor.text.cleaner import as_map, as_rows, clean, visible_text

LONG_BODY_BYTES = 6 * 2**20
EVENTS = 2000
_LEVELS = {"0": Health.OPERATIONAL, "1": Health.DEGRADED, "2": Health.DEGRADED, "3": Health.MAJOR}
"""A message, worse performance, a disruption: the colours of the dashboard."""
_OVER = re.compile(r"(?i)\[resolved\]|operating normally")


def endpoints(url: str) -> Endpoints:
    """Return where the events are."""
    is_data = is_document(url) or "/public/" in url
    return Endpoints(url if is_data else f"{url.rstrip('/')}/public/events", body_bytes=LONG_BODY_BYTES)


def read(document: Any, look: Look) -> UpstreamReading:
    """Read the events. What is watched are services (``BEDROCK``) or one of their regions (``BEDROCK/us-east-1``).

    The list has no services, only what happens to them: one that is never mentioned is operational, and one that was
    renamed cannot be told from a healthy one. Of a whole service, trouble of one region is at most a partial outage.
    """
    rows = need(document, list, "list of events")
    events = [row for row in as_rows(rows, EVENTS) if row.get("service") and look.time(_seconds(row.get("startTime")))]
    if rows and not events:
        raise UnreadableError("no event with a service and a start", WarningCode.UPSTREAM_SHAPE_CHANGED)
    states = dict.fromkeys(look.watched, Health.OPERATIONAL)
    for row in rows[:EVENTS]:
        states |= dict.fromkeys(_untold(row, look), Health.UNKNOWN)
    found, trouble = [], []
    for row in events:
        service, region = clean(row["service"], 60), clean(row.get("region"), 60)
        everywhere = region in ("", "global")
        named = {service.casefold(): False, f"{service}/{region}".casefold(): True}
        regions = f"{service}/".casefold() if everywhere else "\n"  # which no name contains
        touched = [key for key in look.watched if key.casefold() in named or key.casefold().startswith(regions)]
        if look.watched and not touched:
            continue
        log = _log(row)
        health = worst([Health.DEGRADED, *(_LEVELS.get(clean(line.get("status"), 9), Health.DEGRADED) for line in log)])
        over = look.time(_seconds(row.get("endTime"))) is not None or bool(
            log and _OVER.search(str(log[-1].get("summary")))
        )
        for key in touched if not over else ():
            is_region = everywhere or named[key.casefold()]
            now = health if is_region or health is not Health.MAJOR else Health.PARTIAL
            states[key] = worst((states[key], now))
        trouble += [] if over else [health]
        found.append(_incident(row, log, over, health, look))
    indicator = worst(states.values() if states else trouble or [Health.OPERATIONAL])
    return look.reading(indicator, [(key, key, health) for key, health in states.items()], found)


def _untold(row: object, look: Look) -> tuple[str, ...]:
    """Return what of the watched an event may concern that cannot be read: no start, or no service."""
    about = as_map(row)
    service, start = clean(about.get("service"), 60), _seconds(about.get("startTime"))
    if (service and start and look.has_begun(start) is not None) or look.has_ended(_seconds(about.get("endTime"))):
        return ()
    return tuple(key for key in look.watched if not service or key.partition("/")[0].casefold() == service.casefold())


def _seconds(millis: object) -> float | None:
    is_number = isinstance(millis, int | float) and not isinstance(millis, bool) and millis > 0
    return float(millis) / 1000 if is_number and isinstance(millis, int | float) else None


def _log(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was said of an event, oldest first: JSON in a string."""
    raw = as_map(row.get("metadata")).get("EVENT_LOG")
    try:
        lines = as_rows(parse_json(raw) if isinstance(raw, str) else raw, ROWS)
    except ValueError:
        return []
    return sorted(lines, key=lambda line: at if isinstance(at := line.get("timestamp"), int | float) else 0)


def _incident(
    row: dict[str, Any], log: list[dict[str, Any]], over: bool, health: Health, look: Look
) -> UpstreamIncident | None:
    start = row["startTime"]
    service, region = clean(row["service"], 60), clean(row.get("region"), 60)
    title = clean(log[0].get("summary"), 200) if log else ""
    said = [
        look.update(
            line.get("timestamp"),
            "resolved" if _OVER.search(str(line.get("summary"))) else "investigating",
            visible_text(str(line.get("message") or line.get("summary") or ""))[:2000],
        )
        for line in log
    ]
    return look.incident(
        id=row.get("arn") or f"{service}/{region}/{start}",
        name=_OVER.sub("", title).strip() or clean(row.get("typeCode"), 100) or service,
        status=IncidentStatus.RESOLVED if over else IncidentStatus.INVESTIGATING,
        impact=impact_of(health),
        started=(_seconds(start),),
        updated=_seconds(row.get("lastUpdatedTime")),
        resolved=_seconds(row.get("endTime")) if over else None,
        url=look.page_url,
        updates=said,
        components=(service, f"{service}/{region}"),
    )


KIND = Platform("aws_health", endpoints, read, lists_components=False)
