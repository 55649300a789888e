"""The life of an incident: a transition table, and the projection that its events fold into.

Events are appended and never changed. A pair of status and event that the table does not list is refused, whoever
asks. README's diagram is printed from the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monitor.core.events import Cause, EventKind, Incident, IncidentEvent
from monitor.core.model import Health, Impact, IncidentStatus

INVESTIGATING, IDENTIFIED, MONITORING, RESOLVED, POSTMORTEM = (
    IncidentStatus.INVESTIGATING,
    IncidentStatus.IDENTIFIED,
    IncidentStatus.MONITORING,
    IncidentStatus.RESOLVED,
    IncidentStatus.POSTMORTEM,
)
K = EventKind
_STAYS = (
    K.COMPONENT_WORSE,
    K.COMPONENT_BETTER,
    K.IMPACT_CHANGED,
    K.REGISTRATION_CHANGED,
    K.UPSTREAM_SAID,
    K.NOTE,
    K.PUBLISHED,
    K.HIDDEN,
    K.RELATED,
)
TRANSITIONS: dict[tuple[IncidentStatus | None, EventKind], IncidentStatus] = {
    (None, K.OPENED): INVESTIGATING,
    **{(status, kind): status for status in (INVESTIGATING, IDENTIFIED, MONITORING) for kind in _STAYS},
    (INVESTIGATING, K.RECOVERING): MONITORING,
    (IDENTIFIED, K.RECOVERING): MONITORING,
    (MONITORING, K.RECOVERING): MONITORING,
    (INVESTIGATING, K.RELAPSED): INVESTIGATING,
    (IDENTIFIED, K.RELAPSED): INVESTIGATING,
    (MONITORING, K.RELAPSED): INVESTIGATING,
    (INVESTIGATING, K.RESOLVED): RESOLVED,
    (IDENTIFIED, K.RESOLVED): RESOLVED,
    (MONITORING, K.RESOLVED): RESOLVED,
    (INVESTIGATING, K.PROBE_REMOVED): RESOLVED,
    (IDENTIFIED, K.PROBE_REMOVED): RESOLVED,
    (MONITORING, K.PROBE_REMOVED): RESOLVED,
    (RESOLVED, K.REOPENED): INVESTIGATING,
    (POSTMORTEM, K.REOPENED): INVESTIGATING,
    (RESOLVED, K.POSTMORTEM): POSTMORTEM,
    (POSTMORTEM, K.POSTMORTEM): POSTMORTEM,
    **{
        (status, kind): status
        for status in (RESOLVED, POSTMORTEM)
        for kind in (K.NOTE, K.UPSTREAM_SAID, K.PUBLISHED, K.HIDDEN)
    },
    **{(status, K.REGISTRATION_CHANGED): status for status in (RESOLVED, POSTMORTEM)},
}
"""(status, event) → status. A pair that is not listed is refused. A note may also carry a status of its own."""
NOTE_STATUSES = (INVESTIGATING, IDENTIFIED, MONITORING)
"""What a person may set with a note on an open incident; resolving is an event of its own."""
IMPACT = {Health.DEGRADED: Impact.MINOR, Health.PARTIAL: Impact.MAJOR, Health.MAJOR: Impact.CRITICAL}
RANK = {Impact.NONE: 0, Impact.MINOR: 1, Impact.MAJOR: 2, Impact.CRITICAL: 3}


class IllegalTransitionError(ValueError):
    """An event that the incident's status does not allow; names both."""


def is_open(incident: Incident | None) -> bool:
    """Say whether the incident is neither resolved nor told to the end."""
    return incident is not None and incident.status not in (RESOLVED, POSTMORTEM)


def apply(incident: Incident | None, event: IncidentEvent) -> Incident:
    """Return the incident after one more event. Raises :class:`IllegalTransitionError` on one the table refuses."""
    status = incident.status if incident else None
    target = TRANSITIONS.get((status, event.kind))
    if target is None:
        raise IllegalTransitionError(f"{event.kind} is not allowed while the incident is {status or 'not open'}")
    if incident is None:
        return _opened(event)
    if event.seq <= incident.last_seq:
        raise IllegalTransitionError(f"event {event.seq} comes after event {incident.last_seq}")
    changed = replace(incident, status=target, last_seq=event.seq)
    effect = _EFFECTS.get(event.kind)
    return effect(changed, incident, event) if effect else changed


def fold(events: Iterable[IncidentEvent]) -> Incident:
    """Fold an incident's events, oldest first, into its projection. Raises ``ValueError`` if there are none."""
    incident: Incident | None = None
    for event in events:
        incident = apply(incident, event)
    if incident is None:
        raise ValueError("an incident without events")
    return incident


def _opened(event: IncidentEvent) -> Incident:
    data = event.data
    return Incident(
        id=event.incident,
        service=data["service"],
        cause=Cause(data["cause"]),
        status=INVESTIGATING,
        impact=Impact(data["impact"]),
        started_at=event.at,
        detected_at=event.recorded_at,
        components=tuple(data["components"]),
        failing={name: Health(health) for name, health in data.get("health", {}).items()},
        public=data.get("public", True),
        title=data.get("title", ""),
        status_by=event.by,
        impact_by=event.by,
        last_seq=event.seq,
    )


def _component(new: Incident, old: Incident, event: IncidentEvent) -> Incident:
    name, health = event.data["component"], Health(event.data["health"])
    failing = {key: value for key, value in old.failing.items() if key != name}
    if health.severity:
        failing[name] = health
    components = old.components if name in old.components else (*old.components, name)
    return replace(new, failing=failing, components=components)


def _relapsed(new: Incident, old: Incident, event: IncidentEvent) -> Incident:
    new = replace(new, good_since=None, resolved_at=None, status_by="", impact_by="")
    return _component(new, replace(old, failing={}), event)


def _recovering(new: Incident, old: Incident, event: IncidentEvent) -> Incident:
    status = old.status if old.status_by else new.status
    return replace(new, status=status, failing={}, good_since=event.at)


def _resolved(new: Incident, _: Incident, event: IncidentEvent) -> Incident:
    return replace(new, failing={}, good_since=None, resolved_at=event.at, status_by=event.by)


def _note(new: Incident, old: Incident, event: IncidentEvent) -> Incident:
    data = event.data
    if data.get("status"):
        status = IncidentStatus(data["status"])
        if status not in NOTE_STATUSES or old.status not in NOTE_STATUSES:
            raise IllegalTransitionError(f"a note cannot take an incident from {old.status} to {status}")
        new = replace(new, status=status, status_by=event.by)
    if data.get("impact"):
        new = replace(new, impact=Impact(data["impact"]), impact_by=event.by)
    return replace(new, title=data["title"]) if data.get("title") else new


def _impact(new: Incident, _: Incident, event: IncidentEvent) -> Incident:
    return replace(new, impact=Impact(event.data["impact"]), impact_by=event.by)


def _related(new: Incident, _: Incident, event: IncidentEvent) -> Incident:
    return replace(new, related=tuple(name for name, _ in event.data["others"]))


def _shown(new: Incident, _: Incident, event: IncidentEvent) -> Incident:
    return replace(new, public=event.kind is K.PUBLISHED, hidden_by=event.by if event.kind is K.HIDDEN else "")


_EFFECTS = {
    K.COMPONENT_WORSE: _component,
    K.COMPONENT_BETTER: _component,
    K.RELAPSED: _relapsed,
    K.REOPENED: _relapsed,
    K.RECOVERING: _recovering,
    K.RESOLVED: _resolved,
    K.PROBE_REMOVED: _resolved,
    K.NOTE: _note,
    K.IMPACT_CHANGED: _impact,
    K.PUBLISHED: _shown,
    K.HIDDEN: _shown,
    K.RELATED: _related,
}


def diagram() -> str:
    """Print :data:`TRANSITIONS` as a Mermaid state diagram; what leaves the status alone is one line per status."""
    lines = ["stateDiagram-v2"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, kind), after in TRANSITIONS.items():
        if before is not after:
            arrows.setdefault((before.value if before else "[*]", after.value), []).append(kind.value)
    lines += [f"    {before} --> {after}: {', '.join(kinds)}" for (before, after), kinds in arrows.items()]
    lines.append(f"    {POSTMORTEM.value} --> [*]")
    return "\n".join(lines) + "\n"
