"""The life of an incident: a transition table, and the projection that its events fold into.

**Theory of operation.** An incident is what the public reads of one service and one :class:`Cause`; at most one of each
is open at a time. It is not a row that is edited but a history of events that is appended to, numbered from one.
What a page shows, the row in the database included, is the :func:`fold` of that history and can be rebuilt from it
(``chatwatch rebuild``); pages, feeds, notices and exports read the same events, so they cannot disagree.

*States.* ``investigating`` (open, cause unknown), ``identified`` (open, and a person said what it is), ``monitoring``
(open, all good, waiting whether it stays so), ``resolved``, and ``postmortem`` (resolved, and explained). The words are
Statuspage's. Three are open, two are over; *no incident* is the sixth, from which only ``opened`` leads out.

*Events and who may cause them.*

- The rules (:func:`monitor.core.incidents.rules.decide`), from confirmed verdicts: opened, component_worse,
  component_better, impact_changed, recovering, relapsed, resolved, reopened, registration_changed, related, published.
- The catalogue: probe_removed, when nothing is left that could see the incident end.
- The vendor: upstream_said. It is quoted and changes nothing: a vendor's page neither opens nor resolves an incident.
- A person: opened (with a title), note (which may carry a status, an impact, a title), published, hidden, resolved and
  postmortem. Only a person makes an incident identified, hides one, lowers an impact or explains one.

An event is refused (:class:`IllegalTransitionError`) where :data:`TRANSITIONS` does not list it for the present status,
whoever asks; the table is the whole of what is allowed, and the diagram in the documentation is printed from it.

*What time does.* Good evidence that has lasted ``recovery_window_s`` turns monitoring into resolved, and it has to go
on meanwhile: silence is no recovery, it only makes the page unknown. Trouble within ``reopen_window_s`` of the end
reopens the same incident instead of beginning another. Trouble that outlasts planned work opens an incident when the
work ends. Some minutes into an outage the others that began together with it are named, once. An incident that waited
``review_limit_s`` for its review is published.

*What never happens.*

- Looks that are UNKNOWN or MISSED open, heal or close nothing, however many there are.
- The rules never undo a person's word. A status or impact that a person set (``status_by``, ``impact_by``) stays until
  a relapse or the end; what a person hid (``hidden_by``) is not published again by a rule.
- The impact never falls by a rule: it says how bad the incident was at its worst.
- An event never changes or disappears. What was wrong is set right by a later event.
- The clock is never read here: every time comes with its event (D4), so replay, backtest and live agree.

*Invariants,* held by tests/core/test_incidents.py. ``last_seq`` is the number of events. ``resolved_at`` is set exactly
while the incident is over. ``good_since`` is set from recovering until a relapse or the end, also where a person's
status hides that. ``failing`` is empty while ``good_since`` is set, and each component in it is one of ``components``.
Deciding twice on the same facts adds no second event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from monitor.core.entities import Incident, IncidentEvent
from monitor.core.model.incident_events import (
    ComponentBetter,
    ComponentWorse,
    EventKind,
    Hidden,
    ImpactChanged,
    Note,
    Opened,
    Postmortem,
    ProbeRemoved,
    Published,
    Recovering,
    RegistrationChanged,
    Relapsed,
    Related,
    Reopened,
    Resolved,
    UpstreamSaid,
)
from monitor.core.model.states import Health, Impact, IncidentStatus

INVESTIGATING, IDENTIFIED, MONITORING, RESOLVED, POSTMORTEM = (
    IncidentStatus.INVESTIGATING,
    IncidentStatus.IDENTIFIED,
    IncidentStatus.MONITORING,
    IncidentStatus.RESOLVED,
    IncidentStatus.POSTMORTEM,
)
K = EventKind
_OPEN = (INVESTIGATING, IDENTIFIED, MONITORING)
_OVER = (RESOLVED, POSTMORTEM)


def _moves(kind: EventKind) -> Mapping[IncidentStatus | None, IncidentStatus]:
    """Return what an event of this kind makes of each status that allows it."""
    match kind:
        case K.OPENED:
            return {None: INVESTIGATING}
        case K.COMPONENT_WORSE | K.COMPONENT_BETTER | K.IMPACT_CHANGED | K.RELATED:
            return {status: status for status in _OPEN}
        case K.REGISTRATION_CHANGED | K.UPSTREAM_SAID | K.NOTE | K.PUBLISHED | K.HIDDEN:
            return {status: status for status in (*_OPEN, *_OVER)}
        case K.RECOVERING:
            return dict.fromkeys(_OPEN, MONITORING)
        case K.RELAPSED:
            return dict.fromkeys(_OPEN, INVESTIGATING)
        case K.RESOLVED | K.PROBE_REMOVED:
            return dict.fromkeys(_OPEN, RESOLVED)
        case K.REOPENED:
            return dict.fromkeys(_OVER, INVESTIGATING)
        case K.POSTMORTEM:
            return dict.fromkeys(_OVER, POSTMORTEM)


TRANSITIONS: dict[tuple[IncidentStatus | None, EventKind], IncidentStatus] = {
    (before, kind): after for kind in EventKind for before, after in _moves(kind).items()
}
"""(status, event) → status. A pair that is not listed is refused. A note may also carry a status of its own."""
NOTE_STATUSES = _OPEN
"""What a person may set with a note on an open incident; resolving is an event of its own."""
IMPACT = {Health.DEGRADED: Impact.MINOR, Health.PARTIAL: Impact.MAJOR, Health.MAJOR: Impact.CRITICAL}
RANK = {Impact.NONE: 0, Impact.MINOR: 1, Impact.MAJOR: 2, Impact.CRITICAL: 3}


class IllegalTransitionError(ValueError):
    """An event that the incident's status does not allow; names both."""


def is_open(incident: Incident | None) -> bool:
    """Say whether the incident is neither resolved nor explained by a post-mortem."""
    return incident is not None and incident.status not in (RESOLVED, POSTMORTEM)


def apply(incident: Incident | None, event: IncidentEvent) -> Incident:
    """Return the incident after one more event. Raises :class:`IllegalTransitionError` on one the table refuses."""
    status = incident.status if incident else None
    target = TRANSITIONS.get((status, event.kind))
    if target is None:
        raise IllegalTransitionError(f"{event.kind} is not allowed while the incident is {status or 'not open'}")
    if incident is None:
        assert isinstance(event.what, Opened)
        return _opened(event, event.what)
    if event.seq <= incident.last_seq:
        raise IllegalTransitionError(f"event {event.seq} comes after event {incident.last_seq}")
    changed = replace(incident, status=target, last_seq=event.seq)
    return _effect(changed, incident, event)


def fold(events: Iterable[IncidentEvent]) -> Incident:
    """Fold an incident's events, oldest first, into its projection. Raises ``ValueError`` if there are none."""
    incident: Incident | None = None
    for event in events:
        incident = apply(incident, event)
    if incident is None:
        raise ValueError("an incident without events")
    return incident


def statuses(events: Iterable[IncidentEvent]) -> list[tuple[int, IncidentStatus]]:
    """Return (number, status after it) of each event, oldest first, whoever's word the status is.

    Events that a reader may not see, or that cannot be read, may be missing: what does not fit then changes nothing.
    """
    found: list[tuple[int, IncidentStatus]] = []
    incident: Incident | None = None
    for event in events:
        if incident is not None or event.kind is K.OPENED:
            with suppress(IllegalTransitionError):
                incident = apply(incident, event)
        found.append((event.seq, incident.status if incident else INVESTIGATING))
    return found


def _opened(event: IncidentEvent, what: Opened) -> Incident:
    return Incident(
        id=event.incident,
        service=what.service,
        cause=what.cause,
        status=INVESTIGATING,
        impact=what.impact,
        started_at=event.at,
        detected_at=event.recorded_at,
        components=what.components,
        failing=dict(what.health),
        public=what.public,
        title=what.title or "",
        status_by=event.by,
        impact_by=event.by,
        last_seq=event.seq,
    )


def _effect(new: Incident, old: Incident, event: IncidentEvent) -> Incident:
    """Return what the event does beside moving the status: ``new`` has the status and number already."""
    match event.what:
        case ComponentWorse(component, health) | ComponentBetter(component, health):
            return _component(new, old, component, health)
        case Relapsed(component, health) | Reopened(component, health):
            new = replace(new, good_since=None, resolved_at=None, status_by="", impact_by="")
            return _component(new, replace(old, failing={}), component, health)
        case Recovering():
            status = old.status if old.status_by else new.status
            return replace(new, status=status, failing={}, good_since=event.at)
        case Resolved() | ProbeRemoved():
            return replace(new, failing={}, good_since=None, resolved_at=event.at, status_by=event.by)
        case Note() as note:
            return _note(new, old, note, event.by)
        case ImpactChanged(impact):
            return replace(new, impact=impact, impact_by=event.by)
        case Published():
            return replace(new, public=True, hidden_by="")
        case Hidden():
            return replace(new, public=False, hidden_by=event.by)
        case Related() as found:
            return replace(new, related=tuple(name for name, _ in found.others))
        case Opened() | RegistrationChanged() | UpstreamSaid() | Postmortem():
            return new
        case _:
            assert_never(event.what)


def _component(new: Incident, old: Incident, name: str, health: Health) -> Incident:
    failing = {key: value for key, value in old.failing.items() if key != name}
    if health.severity:
        failing[name] = health
    components = old.components if name in old.components else (*old.components, name)
    return replace(new, failing=failing, components=components)


def _note(new: Incident, old: Incident, note: Note, by: str) -> Incident:
    if note.status is not None:
        if note.status not in NOTE_STATUSES or old.status not in NOTE_STATUSES:
            raise IllegalTransitionError(f"a note cannot take an incident from {old.status} to {note.status}")
        new = replace(new, status=note.status, status_by=by)
    if note.impact is not None:
        new = replace(new, impact=note.impact, impact_by=by)
    return replace(new, title=note.title) if note.title else new


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
