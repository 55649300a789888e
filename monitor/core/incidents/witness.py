"""The vendor's own page: quoted beside our verdict, never obeyed, and timed against our detection."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import datetime, timedelta

from monitor.core.catalogue import ComponentKind
from monitor.core.entities import Incident, IncidentEvent
from monitor.core.model.incident_events import Cause, ComponentWorse, Opened, Relapsed, Reopened, UpstreamSaid
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading

BEFORE = timedelta(hours=2)
AFTERWARDS = timedelta(minutes=30)


_SIGN_UP = re.compile(
    r"sign(ing)?[ -]?ups?\b|regist|new (users|accounts)|account creation|creating accounts"
    r"|注册|註冊|(创建|创建新)(账号|账户)",
    re.IGNORECASE,
)
_NAMED: Mapping[ComponentKind, re.Pattern[str]] = {
    ComponentKind.REGISTRATION: _SIGN_UP,
    ComponentKind.LOGIN: re.compile(r"\blog(ging)?[ -]?ins?\b|\bsign(ing)?[ -]?ins?\b|登录|登錄|登入", re.IGNORECASE),
    ComponentKind.API: re.compile(r"\bapis?\b|\bmodels?\b|接口", re.IGNORECASE),
    ComponentKind.WEB: re.compile(r"\b(web(site)?|chat|apps?|models?)\b|网页|網頁", re.IGNORECASE),
}
"""What a vendor's title may name, by the kind of our component that it is."""


def concerns(
    item: UpstreamIncident, incident: Incident, kinds: Set[ComponentKind], mapped: Collection[str] = ()
) -> bool:
    """Say whether the vendor's incident is about what ours is about; ``kinds`` are those of our incident's components.

    Where its components are mapped to ours, they decide, also if they are none of ours although all of our incident's
    are ``mapped``. Else its words do: only what speaks of sign-up is about registration, and a title that names other
    parts alone is not about an outage of these. One that names none is.
    """
    if item.ours:
        return bool(set(item.ours) & set(incident.components))
    if item.components and incident.components and set(incident.components) <= set(mapped):
        return False
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
    page: UpstreamReading,
    incident: Incident,
    kinds: Mapping[str, ComponentKind],
    quoted: Iterable[tuple[str, datetime]],
) -> list[UpstreamSaid]:
    """Return the vendor's words about an incident that its timeline does not quote yet, oldest first.

    ``kinds`` are those of our incident's components by id, ``quoted`` are (incident, said_at) pairs. Words from shortly
    before ours until shortly after its end belong to it, unless the vendor's incident was over when ours began.
    """
    known, about = set(quoted), set(kinds.values())
    found = [
        UpstreamSaid(
            page.provider,
            item.id,
            item.name,
            update.status,
            update.body,
            item.url,
            update.at,
            _meant(item, incident, kinds),
        )
        for item in page.incidents
        if concerns(item, incident, about, page.mapped)
        and (item.resolved_at is None or item.resolved_at >= incident.started_at)
        for update in item.updates
        if (item.id, update.at) not in known
        and update.at >= incident.started_at - BEFORE
        and (incident.resolved_at is None or update.at <= incident.resolved_at + AFTERWARDS)
    ]
    return sorted(found, key=lambda said: (said.said_at, said.incident))


def _meant(item: UpstreamIncident, incident: Incident, kinds: Mapping[str, ComponentKind]) -> tuple[str, ...]:
    """Return the components of our incident that the vendor's names; none if it names no part."""
    if item.ours:
        return tuple(name for name in incident.components if name in item.ours)
    named = {kind for kind, pattern in _NAMED.items() if pattern.search(item.name)}
    return tuple(name for name in incident.components if kinds.get(name) in named)


def lead_s(incident: Incident, events: Iterable[IncidentEvent]) -> float | None:
    """Seconds by which our detection was ahead of the vendor's first word about it (negative: behind).

    Like is compared with like: a word about some of our incident's components with when we knew of the first of those.
    ``None`` while the vendor said nothing.
    """
    told = list(events)
    said = [(event.at, event.seq, event.what) for event in told if isinstance(event.what, UpstreamSaid)]
    if not said:
        return None
    at, _, first = min(said, key=lambda item: item[:2])
    return (at - _known_at(incident, told, first.components)).total_seconds()


def _known_at(incident: Incident, events: Iterable[IncidentEvent], components: Collection[str]) -> datetime:
    """Return when the incident first named one of these components; when it was detected if it never did."""
    for event in events:
        match event.what:
            case Opened() as what if set(what.components) & set(components):
                return event.recorded_at
            case ComponentWorse(name) | Relapsed(name) | Reopened(name) if name in components:
                return event.recorded_at
            case _:
                pass
    return incident.detected_at
