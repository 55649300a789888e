"""What the readers of vendors' status pages share: words → states, bounded incidents, and the one error.

All text that leaves here is one printable line of bounded length; everything is optional in what comes in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.core.model.warning_codes import WarningCode
from monitor.text.cleaner import as_time, as_url, clean

COMPONENTS, INCIDENTS, RESOLVED, UPDATES = 200, 20, 5, 10
LISTED = 1000
"""As many components are read of a page. Past ``COMPONENTS`` only those are kept that a mapping may mean."""
ROWS = 60
"""As many rows of a list of incidents or updates are read."""
ID_CHARS, NAME_CHARS, BODY_CHARS = 100, 200, 1000

_HEALTH = {
    "operational": Health.OPERATIONAL,
    "available": Health.OPERATIONAL,
    "up": Health.OPERATIONAL,
    "none": Health.OPERATIONAL,
    "degraded": Health.DEGRADED,
    "degradedperformance": Health.DEGRADED,
    "minor": Health.DEGRADED,
    "hasissues": Health.DEGRADED,
    "minoroutage": Health.DEGRADED,
    "serviceinformation": Health.DEGRADED,
    "partialoutage": Health.PARTIAL,
    "major": Health.PARTIAL,
    "servicedisruption": Health.PARTIAL,
    "majoroutage": Health.MAJOR,
    "fulloutage": Health.MAJOR,
    "critical": Health.MAJOR,
    "downtime": Health.MAJOR,
    "serviceoutage": Health.MAJOR,
}
_MAINTENANCE = frozenset({"maintenance", "undermaintenance", "maintenanceinprogress", "maintenancescheduled"})
_SILENT = frozenset({"notmonitored", "unknown"})
_STATUS = {
    "investigating": IncidentStatus.INVESTIGATING,
    "identified": IncidentStatus.IDENTIFIED,
    "fixing": IncidentStatus.IDENTIFIED,
    "monitoring": IncidentStatus.MONITORING,
    "verifying": IncidentStatus.MONITORING,
    "resolved": IncidentStatus.RESOLVED,
    "completed": IncidentStatus.RESOLVED,
    "postmortem": IncidentStatus.POSTMORTEM,
}
_STATUSLESS = frozenset({"scheduled", "inprogress", "notstartedyet", "update", *_MAINTENANCE, "maintenancecomplete"})
"""Words of maintenance and of a bare update, which stand for no status of an incident."""
OVER = frozenset({IncidentStatus.RESOLVED, IncidentStatus.POSTMORTEM})
_IMPACT = {
    Health.DEGRADED: Impact.MINOR,
    Health.PARTIAL: Impact.MAJOR,
    Health.MAJOR: Impact.CRITICAL,
}
_LETTERS = re.compile(r"[^a-z]+")

Part = tuple[object, object, Health]
"""A component: its id, its name and how it is."""


class UnreadableError(Exception):
    """The page could not be read; ``warning`` is for the operator, the text says what was found instead."""

    def __init__(self, detail: str, warning: WarningCode = WarningCode.UPSTREAM_UNREADABLE) -> None:
        super().__init__(detail)
        self.warning = warning


@dataclass(frozen=True, slots=True)
class Group:
    """Components that a page shows together. A page may give the whole a state of its own."""

    name: str
    members: tuple[str, ...]
    """The vendor's ids of its components."""
    health: Health | None = None


@dataclass(slots=True)
class Look:
    """One reading under way: the clock, the page's address, and what is odd about it so far."""

    now: datetime
    page_url: str
    provider: str
    watched: tuple[str, ...] = ()
    """Components or products that matter, by the vendor's own ids or names."""
    odd: dict[WarningCode, None] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    """By the vendor's id. No component itself, but a mapping may name one."""

    def warn(self, code: WarningCode) -> None:
        """Note a warning once."""
        self.odd[code] = None

    def group(self, id: object, name: object, members: Iterable[object], health: Health | None = None) -> None:  # noqa: A002 - the name of the field
        """Note a group of components; what is said of one id twice is joined."""
        key, before = clean(id, ID_CHARS), self.groups.get(clean(id, ID_CHARS))
        is_wanted = {key.casefold(), clean(name, NAME_CHARS).casefold()} & self._wanted()
        if not key or (before is None and len(self.groups) >= COMPONENTS and not is_wanted):
            return
        ids = dict.fromkeys([*(before.members if before else ()), *(clean(part, ID_CHARS) for part in members)])
        own = [one for one in (before.health if before else None, health) if one is not None]
        called = clean(name, NAME_CHARS) or (before.name if before else "")
        self.groups[key] = Group(called, tuple(filter(None, ids))[:LISTED], worst(own) if own else None)

    def below(self, group: str) -> set[str]:
        """Return the ids of what a group holds, and of what the groups in it hold."""
        found, waiting = set[str](), [group]
        while waiting:
            inside = self.groups.get(waiting.pop())
            fresh = [part for part in inside.members if part not in found] if inside else []
            found.update(fresh)
            waiting += fresh
        return found

    def _wanted(self) -> set[str]:
        return {word.casefold() for word in self.watched}

    def health(self, word: object) -> Health:
        """Translate the vendor's word; maintenance and unmapped words are unknown, never green."""
        letters = _LETTERS.sub("", clean(word, 60).lower())
        if letters in _MAINTENANCE:
            self.warn(WarningCode.UPSTREAM_MAINTENANCE)
        elif letters not in _HEALTH and letters not in _SILENT:
            self.warn(WarningCode.UPSTREAM_UNKNOWN_WORD)
        return _HEALTH.get(letters, Health.UNKNOWN)

    def status(self, word: object) -> IncidentStatus | None:
        """Translate an incident's status; ``None`` for a word we do not know."""
        letters = _LETTERS.sub("", clean(word, 60).lower())
        found = _STATUS.get(letters)
        if found is None and word is not None and letters not in _STATUSLESS:
            self.warn(WarningCode.UPSTREAM_UNKNOWN_WORD)
        return found

    def time(self, *candidates: object) -> datetime | None:
        """Return the first candidate that is a plausible time."""
        for value in candidates:
            if value is None:
                continue
            if (at := as_time(value, self.now)) is not None:
                return at
            self.warn(WarningCode.UPSTREAM_BAD_TIME)
        return None

    def has_begun(self, value: object) -> bool | None:
        """Tell whether a time has come; ``None`` where there is none that can be read."""
        if as_time(value, self.now) is not None:
            return True
        if as_time(value, self.now + _AHEAD) is not None:
            return False
        self.warn(WarningCode.UPSTREAM_BAD_TIME)
        return None

    def has_ended(self, end: object) -> bool:
        """Tell whether something is over by its end: not where there is none, where it lies ahead or is unreadable."""
        return end is not None and self.has_begun(end) is True

    def update(self, at: object, status: object, body: object) -> UpstreamUpdate | None:
        """Return one update, or ``None`` without a time."""
        when = self.time(at)
        return UpstreamUpdate(when, self.status(status), clean(body, BODY_CHARS)) if when else None

    def incident(
        self,
        *,
        id: object,  # noqa: A002 - the name of the field it fills
        name: object,
        status: IncidentStatus | None,
        impact: Impact,
        started: Iterable[object],
        updated: object = None,
        resolved: object = None,
        url: object = "",
        updates: Iterable[UpstreamUpdate | None] = (),
        components: Iterable[object] = (),
    ) -> UpstreamIncident | None:
        """Build a bounded incident; without an id or any time it is dropped with a warning."""
        known = {update: None for update in updates if update}
        told = sorted(known, key=lambda update: update.at, reverse=True)
        newest = tuple(told[:UPDATES])
        began = self.time(*started) or (min(update.at for update in known) if known else None)
        key = clean(id, ID_CHARS)
        if not key or began is None:
            self.warn(WarningCode.UPSTREAM_INCIDENT_DROPPED)
            return None
        ended = self.time(resolved) if resolved is not None else None
        ended = ended if status is None or status in OVER else None  # one that was opened again has an old end
        over = status in OVER
        newest = newest or (UpstreamUpdate(self.time(updated) or began, status, ""),)
        return UpstreamIncident(
            id=key,
            name=clean(name, NAME_CHARS),
            status=status,
            impact=impact,
            started_at=began,
            updated_at=self.time(updated) or newest[0].at,
            resolved_at=max(began, ended or _end_of(told) or newest[0].at) if over or ended else None,
            url=as_url(url),
            updates=newest,
            components=tuple(dict.fromkeys(part for item in components if (part := clean(item, ID_CHARS))))[
                :COMPONENTS
            ],
        )

    def reading(
        self,
        indicator: Health,
        components: Iterable[Part] = (),
        incidents: Iterable[UpstreamIncident | None] = (),
        updated: datetime | None = None,
    ) -> UpstreamReading:
        """Put a page together; in ``components`` a repeated id keeps its worst state."""
        states: dict[str, Health] = {}
        names: dict[str, str] = {}
        wanted = self._wanted()
        groups = [key for key, group in self.groups.items() if {key.casefold(), group.name.casefold()} & wanted]
        wanted.update(part.casefold() for group in groups for part in self.below(group))
        for raw_id, name, health in components:
            key = clean(raw_id, ID_CHARS)
            is_wanted = {key.casefold(), clean(name, NAME_CHARS).casefold()} & wanted
            if not key or (key not in states and len(states) >= COMPONENTS and not is_wanted):
                continue
            if key in states:
                self.warn(WarningCode.UPSTREAM_DUPLICATE_ID)
            states[key] = worst((states.get(key, health), health))
            names[key] = clean(name, NAME_CHARS)
        found = self._distinct(incidents)
        return UpstreamReading(
            self.provider, self.page_url, indicator, states, names, incidents=found, page_updated_at=updated
        )

    def _distinct(self, incidents: Iterable[UpstreamIncident | None]) -> tuple[UpstreamIncident, ...]:
        """Keep the newest word on each id, open incidents first, and few of those that are over."""
        newest: dict[str, UpstreamIncident] = {}
        for incident in incidents:
            if incident is None:
                continue
            if (other := newest.get(incident.id)) is not None:
                self.warn(WarningCode.UPSTREAM_DUPLICATE_ID)
                if last_word(other) >= last_word(incident):
                    continue
            newest[incident.id] = incident
        ordered = sorted(newest.values(), key=last_word, reverse=True)
        going_on = [incident for incident in ordered if incident.status not in OVER]
        ended = [incident for incident in ordered if incident.status in OVER]
        return (*going_on[:INCIDENTS], *ended[:RESOLVED])


def last_word(incident: UpstreamIncident) -> datetime:
    """Return when the vendor last said something of an incident."""
    return max(filter(None, (incident.updated_at, incident.resolved_at, incident.started_at)), default=_NEVER)


def _end_of(newest_first: Iterable[UpstreamUpdate]) -> datetime | None:
    """Return when an incident ended by its updates: the first word of its end, which a post-mortem may follow."""
    end = None
    for update in newest_first:
        if update.status is not None and update.status not in OVER:
            break
        end = update.at if update.status is not None else end
    return end


_AHEAD = timedelta(days=3650)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def worst(states: Iterable[Health]) -> Health:
    """Return the worst of several states; unknown yields to any trouble but not to green."""
    return max(states, key=lambda health: health.rank, default=Health.UNKNOWN)


def impact_of(health: Health) -> Impact:
    """Return the impact of an incident whose worst component is in this state."""
    return _IMPACT.get(health, Impact.NONE)


def impact_word(word: object) -> Impact:
    """Translate Statuspage's impact; a word we do not know is none."""
    try:
        return Impact(clean(word, 20).lower())
    except ValueError:
        return Impact.NONE


def need(value: object, kind: type[Any], what: str) -> Any:
    """Return ``value`` if it is of that type; otherwise the page is not what it was."""
    if not isinstance(value, kind):
        raise UnreadableError(f"no readable {what} in the page's data", WarningCode.UPSTREAM_SHAPE_CHANGED)
    return value
