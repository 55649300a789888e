"""The snapshot as JSON: the Statuspage v2 paths that people's tools already read, and our own services with more.

Statuspage has no word for *we cannot tell*, and its clients know no word but its own. The mildest that is not green
stands there instead, and beside it, in a field and a description of ours, what we really know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dashboard import sentences, timeline, titles
from dashboard.parts import weakest
from dashboard.scene import slug
from dashboard.words import Words, speak
from monitor.core.entities import PlaceState
from monitor.core.model.incident_events import EventKind
from monitor.core.model.states import Health
from monitor.store.reads.views import (
    ComponentView,
    IncidentView,
    MaintenanceView,
    ModelChange,
    ServiceView,
    Snapshot,
    Uptime,
)
from monitor.text.cleaner import plain
from monitor.text.lexicon import Language

INDICATOR = {
    str(Health.OPERATIONAL): ("none", "All Systems Operational"),
    str(Health.DEGRADED): ("minor", "Partially Degraded Service"),
    str(Health.PARTIAL): ("major", "Partial System Outage"),
    str(Health.MAJOR): ("critical", "Major Service Outage"),
    "maintenance": ("maintenance", "Service Under Maintenance"),
    str(Health.UNKNOWN): ("minor", "We cannot tell"),
}
PAGE = "chatwatch"
STATE = "chatwatch_state"
"""The field that says ``unknown`` where Statuspage's own cannot."""

Json = dict[str, Any]


def stamp(when: datetime | None) -> str | None:
    """Return ISO 8601 in UTC with milliseconds."""
    return None if when is None else when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def documents(snapshot: Snapshot, url: str) -> dict[str, bytes]:
    """Return every JSON document, path → bytes."""
    words = speak(Language.EN)
    page = {
        "id": PAGE,
        "name": "Chatwatch",
        "url": url,
        "time_zone": "Etc/UTC",
        "updated_at": stamp(snapshot.as_of or snapshot.taken_at),
    }
    status, components = {"status": overall(snapshot)}, {"components": component_rows(snapshot, words)}
    unresolved = [incident_row(item, snapshot, url, words) for item in snapshot.open_incidents]
    resolved = [incident_row(item, snapshot, url, words) for item in snapshot.past_incidents]
    planned = [maintenance_row(item, snapshot, url, words) for item in snapshot.maintenances]
    by_state = {
        state: [row for row in planned if row["status"] == state] for state in ("scheduled", "in_progress", "completed")
    }
    ahead = by_state["scheduled"] + by_state["in_progress"]
    found: dict[str, Json] = {
        "summary": components | {"incidents": unresolved, "scheduled_maintenances": ahead} | status,
        "status": status,
        "components": components,
        "incidents": {"incidents": (unresolved + resolved)[:50]},
        "incidents/unresolved": {"incidents": unresolved},
        "scheduled-maintenances": {"scheduled_maintenances": planned[:50]},
        "scheduled-maintenances/upcoming": {"scheduled_maintenances": by_state["scheduled"]},
        "scheduled-maintenances/active": {"scheduled_maintenances": by_state["in_progress"]},
    }
    answers = {f"/api/v2/{name}.json": encode({"page": page} | body) for name, body in found.items()}
    answers["/api/v1/services.json"] = encode(services(snapshot))
    return answers


def encode(body: Json) -> bytes:
    """Return compact UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def overall(snapshot: Snapshot) -> Json:
    """Return the indicator: the worst state; unknown when nothing worse is known and something is unknown."""
    state = sentences.page_state(snapshot)
    indicator, description = INDICATOR[state]
    return {"indicator": indicator, "description": description, STATE: state}


def component_status(state: str) -> Json:
    """Return a drawn state in Statuspage's words, and as it is."""
    known = {"maintenance": "under_maintenance", str(Health.UNKNOWN): str(Health.DEGRADED)}
    return {"status": known.get(state, state), STATE: state}


def component_rows(snapshot: Snapshot, words: Words) -> list[Json]:
    """Return a group for each service and its components after it."""
    rows: list[Json] = []
    for position, service in enumerate((service for service in snapshot.services if service.judged), 1):
        group = slug(service.id)
        state = sentences.service_state(service)
        common = {
            "created_at": stamp(snapshot.as_of or snapshot.taken_at),
            "updated_at": stamp(snapshot.as_of or snapshot.taken_at),
            "showcase": False,
            "start_date": None,
            "page_id": PAGE,
            "only_show_if_degraded": False,
        }
        rows.append(
            common
            | {
                "id": group,
                "name": plain(service.name, 60),
                "position": position,
                "description": plain(sentences.service_sentence(service, words)),
                "group_id": None,
                "group": True,
                "components": [slug(part.id) for part in service.judged],
            }
            | component_status(state)
        )
        rows += [component_row(part, group, index, common, words) for index, part in enumerate(service.judged, 1)]
    return rows


def component_row(part: ComponentView, group: str | None, position: int, common: Json, words: Words) -> Json:
    """Return one component."""
    state = sentences.state_of(part)
    learning = words("learning") if part.learning else None
    return (
        common
        | component_status(state)
        | {
            "id": slug(part.id),
            "name": plain(part.name, 60),
            "created_at": stamp(part.since) or common["created_at"],
            "updated_at": stamp(part.observed_at) or common["updated_at"],
            "position": position,
            "description": INDICATOR[state][1] if state == str(Health.UNKNOWN) else learning,
            "group_id": group,
            "group": False,
        }
    )


def incident_row(incident: IncidentView, snapshot: Snapshot, url: str, words: Words) -> Json:
    """Return an incident with its updates, newest first."""
    names = sentences.names_of(snapshot, words)
    key = slug(incident.id)
    rows = [update_row(key, entry, words) for entry in timeline.entries(incident, words, names)]
    watched = [event.at for event in incident.events if event.kind is EventKind.RECOVERING]
    parts = {part.id: part for service in snapshot.services for part in service.components}
    common: Json = {
        "created_at": stamp(incident.detected_at),
        "updated_at": stamp(incident.updated_at),
        "page_id": PAGE,
    }
    extra = {"showcase": False, "start_date": None, "only_show_if_degraded": False}
    return common | {
        "id": key,
        "name": titles.incident_title(incident, words, names),
        "status": str(incident.status),
        "monitoring_at": stamp(watched[-1]) if watched else None,
        "resolved_at": stamp(incident.resolved_at),
        "impact": str(incident.impact),
        "shortlink": f"{url}/incidents/{key}",
        "started_at": stamp(incident.started_at),
        "incident_updates": rows[::-1],
        "components": [
            component_row(parts[part], slug(incident.service), index, common | extra, words)
            for index, part in enumerate(incident.components, 1)
            if part in parts
        ],
    }


def update_row(incident: str, entry: timeline.Entry, words: Words) -> Json:
    """Return one update; other people's words are quoted after our sentence."""
    sentence = timeline.text_of(entry, words)
    body = f"{sentence} “{entry.quote}”".strip() if entry.quote else sentence
    if entry.voice == "person":
        body = entry.quote or sentence
    return {
        "id": f"{incident}-{entry.seq}",
        "incident_id": incident,
        "status": str(entry.status),
        "body": body,
        "created_at": stamp(entry.at),
        "updated_at": stamp(entry.at),
        "display_at": stamp(entry.at),
        "affected_components": None,
        "deliver_notifications": False,
        "custom_tweet": None,
        "tweet_id": None,
    }


def maintenance_row(item: MaintenanceView, snapshot: Snapshot, url: str, words: Words) -> Json:
    """Return a maintenance window as Statuspage tells it."""
    now = snapshot.taken_at
    status = "scheduled" if now < item.starts_at else "in_progress" if now < item.ends_at else "completed"
    key, first = slug(item.id), stamp(min(item.starts_at, now))
    parts = {part.id: part for service in snapshot.services for part in service.components}
    common: Json = {"created_at": first, "updated_at": first, "page_id": PAGE}
    extra = {"showcase": False, "start_date": None, "only_show_if_degraded": False}
    text = plain(item.text, 2000) or words("maintenance")
    entry = timeline.Entry(min(item.starts_at, now), "maintenance", text, "person", seq=1)
    return common | {
        "id": key,
        "name": plain(item.title, 140),
        "status": status,
        "monitoring_at": None,
        "resolved_at": stamp(item.ends_at) if status == "completed" else None,
        "impact": "maintenance",
        "shortlink": url + "/",
        "started_at": stamp(item.starts_at),
        "scheduled_for": stamp(item.starts_at),
        "scheduled_until": stamp(item.ends_at),
        "incident_updates": [update_row(key, entry, words) | {"status": status}],
        "components": [
            component_row(parts[part], slug(item.service), index, common | extra, words)
            for index, part in enumerate(item.components, 1)
            if part in parts
        ],
    }


# --- our own ----------------------------------------------------------------------------------------------------------


def services(snapshot: Snapshot) -> Json:
    """Return what Statuspage has no words for: registration, latency, uptime with its parts, the vendor's own page."""
    return {
        "as_of": stamp(snapshot.as_of),
        "stale": snapshot.stale,
        "blind_since": stamp(snapshot.blind_since),
        "label": plain(snapshot.label, 120),
        "services": [service_row(service) for service in snapshot.services],
        "model_changes": [model_change(change) for change in snapshot.model_changes],
    }


def model_change(change: ModelChange) -> Json:
    """Return what became of a model, and for how long."""
    return {
        "service": change.service,
        "component": change.component,
        "what": change.what.value,
        "asked": plain(change.asked, 100),
        "answered_by": plain(change.told, 100),
        "began_at": stamp(change.began_at),
        "ended_at": stamp(change.ended_at),
    }


def service_row(service: ServiceView) -> Json:
    """Return one service."""
    seen, least = service.upstream, weakest(service)
    page: Json | None = None
    if seen is not None and seen.reading is not None:
        told = Health.UNKNOWN if seen.failed_since is not None else seen.reading.indicator
        page = {"state": str(told), "read_at": stamp(seen.read_at)}
        page["failed_since"] = stamp(seen.failed_since)
    return {
        "id": service.id,
        "name": plain(service.name, 60),
        "state": sentences.service_state(service),
        "uptime": None if least is None else {"component": least.id} | uptime(least.uptime),
        "components": [own_component(part) for part in service.components],
        "vendor_page": page,
    }


def own_component(part: ComponentView) -> Json:
    """Return one component."""
    latency, view = part.latency, part.registration
    return {
        "id": part.id,
        "name": plain(part.name, 60),
        "kind": str(part.kind),
        "state": sentences.state_of(part),
        "since": stamp(part.since),
        "observed_at": stamp(part.observed_at),
        "reason": str(part.reason),
        "learning": part.learning,
        "watched": part.watched,
        "uptime": uptime(part.uptime),
        "latency": None
        if latency is None
        else {
            "what": latency.what,
            "window_s": latency.window_s,
            "p50_s": latency.p50_s,
            "p95_s": latency.p95_s,
            "looks": latency.looks,
        },
        "registration": None if view is None else [method(way) for way in view.methods],
        "error_budget": None if part.budget is None else asdict(part.budget) | {"left_ratio": part.budget.left_ratio},
    }


def method(way: Any) -> Json:
    """Return one way to sign up with what it rests on."""
    return {
        "method": str(way.method),
        "state": str(way.state),
        "country_codes": [plain(code, 8) for code in way.country_codes],
        "email_domains": [plain(name, 60) for name in way.email_domains],
        "invite_required": way.invite_required,
        "approval_required": way.approval_required,
        "since": stamp(way.since),
        "read_at": stamp(way.read_at),
        "source": str(way.source),
        "failed_ratio": way.failed_ratio,
        "locations": [location(item) for item in way.places],
    }


def location(item: PlaceState) -> Json:
    """Return what one location sees of a way to sign up."""
    word = item.word
    return {
        "location": plain(word.place, 60),
        "state": str(word.state),
        "country_codes": [plain(code, 8) for code in word.country_codes],
        "email_domains": [plain(name, 60) for name in word.email_domains],
        "invite_required": word.invite_required,
        "approval_required": word.approval_required,
        "failed_ratio": word.failed_ratio,
        "since": stamp(item.since),
        "read_at": stamp(item.read_at),
        "source": str(item.source),
    }


def uptime(parts: Uptime) -> Json:
    """Return a window's parts in seconds and the ratio they give."""
    names: Iterable[str] = ("window_s", "up_s", "degraded_s", "down_s", "maintenance_s", "unknown_s")
    return {"ratio": parts.ratio} | {name: getattr(parts, name) for name in names}
