"""The simulated vendor's own status page, in Statuspage's v2 format and in incident.io's native one.

It says what it was told to say, and nothing of what the vendor really does: that is the point of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.core.model.states import Health, IncidentStatus
from monitor.simulator.state import Announcement

PARTS = {"api": "API 服务 (API Service)", "web": "网页对话服务 (Web Chat Service)"}
INDICATORS = {
    0: ("none", "All Systems Operational"),
    1: ("minor", "Partially Degraded Service"),
    2: ("major", "Partial System Outage"),
    3: ("critical", "Major Service Outage"),
}
INCIDENT_IO = {Health.DEGRADED: "degraded_performance", Health.PARTIAL: "partial_outage", Health.MAJOR: "full_outage"}


@dataclass(slots=True)
class Said:
    """One incident on the vendor's page with all that was said of it, oldest first."""

    id: str
    title: str
    impact: str
    updates: list[tuple[datetime, Announcement]] = field(default_factory=list)

    @property
    def status(self) -> IncidentStatus:
        """What was said last."""
        return self.updates[-1][1].status

    @property
    def resolved_at(self) -> datetime | None:
        """When it was called resolved."""
        return self.updates[-1][0] if self.status is IncidentStatus.RESOLVED else None


class Page:
    """The page of one service."""

    def __init__(self, service: str, title: str, since: datetime) -> None:
        self._service = service
        self._title = title
        self._updated_at = since
        self._components = dict.fromkeys(PARTS, Health.OPERATIONAL)
        self.incidents: list[Said] = []

    def announce(self, said: Announcement, at: datetime) -> None:
        """Open an incident, or update the open one."""
        if not self.incidents or self.incidents[-1].status is IncidentStatus.RESOLVED:
            title = said.title or "Degraded service"
            self.incidents.append(Said(f"sim{len(self.incidents) + 1:09}", title, said.impact))
        incident = self.incidents[-1]
        incident.updates.append((at, said))
        incident.impact = max(incident.impact, said.impact, key=["none", "minor", "major", "critical"].index)
        self._updated_at = at
        resolved = said.status is IncidentStatus.RESOLVED
        self._components.update(dict.fromkeys(PARTS, Health.OPERATIONAL) if resolved else dict(said.components.items()))

    # Statuspage v2

    def statuspage(self, name: str, base: str) -> dict[str, Any] | None:
        """Return the document of that name under ``/api/v2/``; ``None`` if there is none."""
        page = {"page": self._page(base)}
        incidents = [self._incident(said, base) for said in reversed(self.incidents)]
        unresolved = [incident for incident in incidents if incident["resolved_at"] is None]
        components = self._rows()
        match name:
            case "summary.json":
                both = {"components": components, "incidents": unresolved, "scheduled_maintenances": []}
                return page | both | {"status": self._indicator()}
            case "status.json":
                return page | {"status": self._indicator()}
            case "components.json":
                return page | {"components": components}
            case "incidents.json":
                return page | {"incidents": incidents[:50]}
            case "incidents/unresolved.json":
                return page | {"incidents": unresolved}
            case (
                "scheduled-maintenances.json"
                | "scheduled-maintenances/upcoming.json"
                | "scheduled-maintenances/active.json"
            ):
                return page | {"scheduled_maintenances": []}
        return None

    def _page(self, base: str) -> dict[str, Any]:
        ids = {"id": f"simulated-{self._service or 'vendor'}", "name": f"{self._title} Status", "url": f"{base}/status"}
        return ids | {"time_zone": "Etc/UTC", "updated_at": _stamp(self._updated_at)}

    def _indicator(self) -> dict[str, str]:
        worst = max((health.severity for health in self._components.values()), default=0)
        indicator, description = INDICATORS[worst]
        return {"indicator": indicator, "description": description}

    def _rows(self) -> list[dict[str, Any]]:
        shared: dict[str, Any] = {
            "description": None,
            "showcase": True,
            "start_date": None,
            "group_id": None,
            "group": False,
        }
        shared |= {"only_show_if_degraded": False, "page_id": f"simulated-{self._service or 'vendor'}"}
        stamps = {"created_at": "2024-05-06T00:00:00.000Z", "updated_at": _stamp(self._updated_at)}
        return [
            {"id": part, "name": PARTS[part], "status": health.value, "position": number} | stamps | shared
            for number, (part, health) in enumerate(self._components.items(), start=1)
        ]

    def _incident(self, said: Said, base: str) -> dict[str, Any]:
        first, last = said.updates[0][0], said.updates[-1][0]
        updates = [
            {
                "id": f"{said.id}-{number}",
                "incident_id": said.id,
                "status": update.status.value,
                "body": update.text,
                **{key: _stamp(at) for key in ("created_at", "updated_at", "display_at")},
                "affected_components": None,
                "deliver_notifications": True,
                "custom_tweet": None,
                "tweet_id": None,
            }
            for number, (at, update) in enumerate(said.updates, start=1)
        ]
        monitored = next((at for at, update in said.updates if update.status is IncidentStatus.MONITORING), None)
        touched = {part for _at, update in said.updates for part in update.components}
        return {
            "id": said.id,
            "name": said.title,
            "status": said.status.value,
            "impact": said.impact,
            "created_at": _stamp(first),
            "started_at": _stamp(first),
            "updated_at": _stamp(last),
            "monitoring_at": _stamp(monitored) if monitored else None,
            "resolved_at": _stamp(said.resolved_at) if said.resolved_at else None,
            "shortlink": f"{base}/status/incidents/{said.id}",
            "page_id": f"simulated-{self._service or 'vendor'}",
            "incident_updates": updates[::-1],
            "components": [row for row in self._rows() if row["id"] in touched],
        }

    # incident.io

    def incident_io(self, base: str) -> dict[str, Any]:
        """Return the summary; a healthy component is simply absent from ``affected_components``."""
        structure = [{"group": {"id": "all", "name": self._title, "hidden": False, "components": [
            {"component_id": part, "name": name, "hidden": False} for part, name in PARTS.items()]}}]  # fmt: skip
        return {
            "summary": {
                "id": f"simulated-{self._service or 'vendor'}",
                "name": self._title,
                "public_url": f"{base}/status",
                "components": [{"id": part, "name": name} for part, name in PARTS.items()],
                "affected_components": self._affected(),
                "structure": {"items": structure},
                "ongoing_incidents": [
                    self._incident_io(said) for said in reversed(self.incidents) if said.resolved_at is None
                ],
                "in_progress_maintenances": [],
                "scheduled_maintenances": [],
            }
        }

    def incident_io_incidents(self) -> dict[str, Any]:
        """Return all incidents, newest first."""
        return {"incidents": [self._incident_io(said) for said in reversed(self.incidents)]}

    def _affected(self) -> list[dict[str, str]]:
        pairs = self._components.items()
        return [
            {"component_id": part, "status": INCIDENT_IO[health]} for part, health in pairs if health in INCIDENT_IO
        ]

    def _incident_io(self, said: Said) -> dict[str, Any]:
        return {
            "id": said.id,
            "name": said.title,
            "status": said.status.value,
            "type": "incident",
            "published_at": _stamp(said.updates[0][0]),
            "updates": [
                {"published_at": _stamp(at), "message_string": update.text, "to_status": update.status.value}
                for at, update in reversed(said.updates)
            ],
            "affected_components": [] if said.resolved_at else self._affected(),
            "component_impacts": [],
            "status_summaries": [],
        }

    # For people and feed readers

    def html(self) -> str:
        """Return the page itself, bare."""
        rows = "".join(f"<li>{PARTS[part]}: {health.value}</li>" for part, health in self._components.items())
        said = "".join(
            f"<h2>{incident.title}</h2>"
            + "".join(f"<p>{update.status}: {update.text}</p>" for _at, update in incident.updates)
            for incident in reversed(self.incidents)
        )
        return f"<!doctype html><title>{self._title} Status</title><h1>{self._title}</h1><ul>{rows}</ul>{said}"


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
