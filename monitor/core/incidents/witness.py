"""The vendor's own page: quoted beside our verdict, never obeyed, and timed against our detection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from datetime import datetime, timedelta

from monitor.core.catalogue import ComponentKind
from monitor.core.entities import Incident, IncidentEvent
from monitor.core.model.incident_events import Cause, EventKind, UpstreamSaid
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading

BEFORE = timedelta(hours=2)
AFTERWARDS = timedelta(minutes=30)


_SIGN_UP = re.compile(r"sign(ing)?[ -]?ups?\b|regist|new (users|accounts)|注册|註冊", re.IGNORECASE)
_NAMED: Mapping[ComponentKind, re.Pattern[str]] = {
    ComponentKind.REGISTRATION: _SIGN_UP,
    ComponentKind.LOGIN: re.compile(r"\blog(ging)?[ -]?ins?\b|\bsign(ing)?[ -]?ins?\b|登录|登錄|登入", re.IGNORECASE),
    ComponentKind.API: re.compile(r"\bapis?\b|\bmodels?\b|接口", re.IGNORECASE),
    ComponentKind.WEB: re.compile(r"\b(web(site)?|chat|apps?|models?)\b|网页|網頁", re.IGNORECASE),
}
"""What a vendor's title may name, by the kind of our component that it is."""


def concerns(item: UpstreamIncident, incident: Incident, kinds: Set[ComponentKind]) -> bool:
    """Say whether the vendor's incident is about what ours is about; ``kinds`` are those of our incident's components.

    Where its components are mapped to ours, they decide; else its words do: only what speaks of sign-up is about
    registration, and a title that names other parts alone is not about an outage of these. One that names none is.
    """
    if item.ours:
        return bool(set(item.ours) & set(incident.components))
    if incident.cause is Cause.REGISTRATION:
        return any(_SIGN_UP.search(text) for text in (item.name, *(update.body for update in item.updates)))
    named = {kind for kind, pattern in _NAMED.items() if pattern.search(item.name)}
    if not kinds or ComponentKind.OTHER in kinds:  # nobody said what it is: it may be anything but sign-up
        return named != {ComponentKind.REGISTRATION}
    return not named or bool(named & kinds)


def is_quoted(incident: Incident | None, now: datetime) -> bool:
    """Say whether what the vendor publishes about an incident is still quoted."""
    over = incident.resolved_at if incident is not None else None
    return incident is not None and (over is None or now - over <= 2 * AFTERWARDS)


def unquoted(
    page: UpstreamReading, incident: Incident, kinds: Set[ComponentKind], quoted: Iterable[tuple[str, datetime]]
) -> list[UpstreamSaid]:
    """Return the vendor's words about an incident that its timeline does not quote yet, oldest first.

    ``quoted`` are (incident, said_at) pairs. Words from shortly before ours until shortly after its end belong to it,
    unless the vendor's incident was over when ours began.
    """
    known = set(quoted)
    found = [
        UpstreamSaid(page.provider, item.id, item.name, update.status, update.body, item.url, update.at)
        for item in page.incidents
        if concerns(item, incident, kinds) and (item.resolved_at is None or item.resolved_at >= incident.started_at)
        for update in item.updates
        if (item.id, update.at) not in known
        and update.at >= incident.started_at - BEFORE
        and (incident.resolved_at is None or update.at <= incident.resolved_at + AFTERWARDS)
    ]
    return sorted(found, key=lambda said: (said.said_at, said.incident))


def lead_s(incident: Incident, events: Iterable[IncidentEvent]) -> float | None:
    """Seconds by which our detection was ahead of the vendor's first word about it (negative: behind).

    ``None`` while the vendor said nothing.
    """
    said = [event.at for event in events if event.kind is EventKind.UPSTREAM_SAID]
    return (min(said) - incident.detected_at).total_seconds() if said else None
