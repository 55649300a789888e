"""The vendor's own page: quoted beside our verdict, never obeyed, and timed against our detection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monitor.core.events import Cause, Incident
from monitor.core.model import IncidentStatus, UpstreamIncident


@dataclass(frozen=True, slots=True)
class UpstreamSaid:
    """One update of the vendor's own incident, as read by us."""

    provider: str
    incident: str
    name: str
    status: IncidentStatus | None
    body: str
    url: str
    said_at: datetime


_SIGN_UP = re.compile(r"sign(ing)?[ -]?ups?\b|regist|new (users|accounts)|注册|註冊", re.IGNORECASE)
_OTHERS = re.compile(r"\b(api|web|chat|app|log[ -]?in|sign[ -]?in|models?)\b|服务|网页|登录|接口", re.IGNORECASE)


def concerns(item: UpstreamIncident, incident: Incident) -> bool:
    """Say whether the vendor's incident is about what ours is about.

    Where its components are mapped to ours, they decide; else its words do: only what speaks of sign-up is about
    registration, and what is named after nothing but sign-up is not about an outage.
    """
    if item.ours:
        return bool(set(item.ours) & set(incident.components))
    if incident.cause is Cause.REGISTRATION:
        return any(_SIGN_UP.search(text) for text in (item.name, *(update.body for update in item.updates)))
    return not _SIGN_UP.search(item.name) or bool(_OTHERS.search(item.name))


def sayings(
    provider: str, upstream: Iterable[UpstreamIncident], heard: Iterable[tuple[str, datetime]]
) -> list[UpstreamSaid]:
    """Return the vendor's updates that were not heard yet, oldest first; ``heard`` are (incident, said_at) pairs."""
    known = set(heard)
    found = [
        UpstreamSaid(provider, item.id, item.name, update.status, update.body, item.url, update.at)
        for item in upstream
        for update in item.updates
        if (item.id, update.at) not in known
    ]
    return sorted(found, key=lambda said: (said.said_at, said.incident))


def lead_s(incident: Incident, upstream: Iterable[UpstreamIncident], slack_s: float = 7200.0) -> float | None:
    """Seconds by which our detection was ahead of the vendor's announcement (negative: behind).

    The vendor's incident that overlaps ours, or starts within ``slack_s`` of it, and was announced first counts;
    ``None`` without one. Its announcement is its first update, which may be later than the start it claims.
    """
    slack = timedelta(seconds=slack_s)
    begin, end = incident.started_at - slack, incident.resolved_at or datetime.max.replace(tzinfo=UTC) - slack
    announced = [
        min([update.at for update in item.updates], default=item.started_at)
        for item in upstream
        if item.started_at <= end + slack
        and (item.resolved_at is None or item.resolved_at >= incident.started_at)
        and item.started_at >= begin
    ]
    return (min(announced) - incident.detected_at).total_seconds() if announced else None
