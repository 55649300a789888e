"""An incident's append-only events as the entries that a reader sees, newest or oldest first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.sentences import (
    Way,
    health_clause,
    registration_sentence,
    status_word,
    way_from,
)
from dashboard.words import Words, capital, plain, web_address
from monitor.core.events import Cause, EventKind, IncidentEvent
from monitor.core.model import Health, Impact, Method, Reason, Registration, Source
from monitor.store.views import IncidentView

OF_HEALTH = (EventKind.COMPONENT_WORSE, EventKind.COMPONENT_BETTER)
TOGETHER = timedelta(seconds=150)
NAMED = 5
"""Other services that an entry names."""
REASONS = {str(reason): reason for reason in Reason if reason is not Reason.OK}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a timeline. ``quote`` and ``by`` are other people's words, already made plain, never yet escaped."""

    at: datetime
    state: str
    """The mark: a drawn state, or ``note`` for words."""
    sentence: str
    voice: str
    """``rule``, ``person`` or ``vendor``: facts and words are told apart."""
    by: str = ""
    quote: str = ""
    url: str = ""
    code: str = ""
    """The reason's code, for people who want it."""
    source: str = ""
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Teller:
    """What an event needs to become a sentence."""

    incident: IncidentView
    words: Words
    names: Mapping[str, str]

    def name(self, event: IncidentEvent) -> str:
        """Return the name of the event's component."""
        part = str(event.data.get("component", ""))
        return self.names.get(part) or plain(self.incident.component_names.get(part, part), 60)

    def clause(self, event: IncidentEvent) -> str:
        """Return "Web chat is down"."""
        return health_clause(health_of(event), [self.name(event)], self.words)


def entries(incident: IncidentView, words: Words, names: Mapping[str, str]) -> tuple[Entry, ...]:
    """Return the timeline, oldest first. Registration changes of one moment become one entry."""
    teller = Teller(incident, words, names)
    told: list[Entry] = []
    held: dict[Method, Way] = {}
    group: list[IncidentEvent] = []
    for event in incident.events:
        if event.kind is EventKind.REGISTRATION_CHANGED:
            if group and not together(group, event):
                told += tell_registration(teller, group, held)
                group = []
            group.append(event)
            continue
        told += tell_registration(teller, group, held)
        group = []
        if incident.cause is Cause.REGISTRATION and event.kind in OF_HEALTH:
            continue  # the change of registration beside it says the same better
        if event.data.get("unsaid"):
            continue
        told += tell(teller, event)
    told += tell_registration(teller, group, held)
    return tuple(sorted(told, key=lambda entry: entry.at))


def together(group: Sequence[IncidentEvent], event: IncidentEvent) -> bool:
    """Return whether a change belongs to those of one moment: a way that changes twice has seen two moments."""
    again = event.data.get("method") in [earlier.data.get("method") for earlier in group]
    return not again and event.at - group[0].at <= TOGETHER


def crowded(entries: Sequence[Entry]) -> bool:
    """Return whether two entries share a minute, so that only seconds tell their order."""
    minutes = [entry.at.replace(second=0, microsecond=0) for entry in entries]
    return len(set(minutes)) < len(minutes)


def health_of(event: IncidentEvent) -> Health:
    """Return the health an event carries; unreadable is unknown."""
    try:
        return Health(str(event.data.get("health")))
    except ValueError:
        return Health.UNKNOWN


def reason_of(event: IncidentEvent) -> Reason | None:
    """Return the reason an event carries, if it is one of ours and not OK."""
    return REASONS.get(str(event.data.get("reason")))


def tell(teller: Teller, event: IncidentEvent) -> list[Entry]:
    """Return the entry of one event; registration changes are told together elsewhere."""
    words = teller.words
    match event.kind:
        case EventKind.OPENED:
            return opened(teller, event)
        case EventKind.COMPONENT_WORSE | EventKind.RELAPSED | EventKind.REOPENED:
            return [worse(teller, event)]
        case EventKind.COMPONENT_BETTER:
            return [better(teller, event)]
        case EventKind.IMPACT_CHANGED:
            return impact_changed(teller, event)
        case EventKind.UPSTREAM_SAID:
            return [upstream_said(teller, event)]
        case EventKind.RECOVERING:
            return [fact(event, "operational", words("event_recovering"))]
        case EventKind.RESOLVED:
            return [resolved(teller, event)]
        case EventKind.NOTE | EventKind.POSTMORTEM:
            return [person_wrote(teller, event)]
        case EventKind.PUBLISHED | EventKind.HIDDEN:
            return published(teller, event)
        case EventKind.PROBE_REMOVED:
            return [fact(event, "unknown", words("event_removed", name=teller.name(event)))]
        case EventKind.RELATED | EventKind.REGISTRATION_CHANGED:
            return related(teller, event) if event.kind is EventKind.RELATED else tell_registration(teller, [event], {})


def fact(event: IncidentEvent, state: str, sentence: str, code: str = "") -> Entry:
    """Return an entry in the rules' own voice."""
    return Entry(event.at, state, sentence, "rule", code=code, recorded_at=event.recorded_at)


def opened(teller: Teller, event: IncidentEvent) -> list[Entry]:
    """Tell what broke and why; of a registration incident the changes that follow tell it better."""
    others = [other for other in teller.incident.events if other.kind is EventKind.REGISTRATION_CHANGED]
    reason = reason_of(event)
    if reason is None and others:
        return []
    parts = [str(part) for part in event.data.get("components", ())]
    called = teller.words.join(
        teller.names.get(part) or plain(teller.incident.component_names.get(part, part), 60) for part in parts
    )
    if reason is None:
        return [fact(event, "partial_outage", teller.words("event_opened_ok", names=called))]
    words, worst = teller.words, worst_health(event.data.get("health"))
    if worst.severity and parts:
        names = [teller.names.get(part) or plain(teller.incident.component_names.get(part, part), 60) for part in parts]
        clause = capital(health_clause(worst, names, words))
        sentence = words("event_worse", clause=clause, reason=words.of(reason))
    else:
        sentence = words("event_opened", names=called, reason=words.of(reason))
    places = event.data.get("location_count")
    if isinstance(places, int) and places > 1:
        sentence += " " + teller.words("event_opened_places", n=places)
    state = {"minor": "degraded_performance", "critical": "major_outage"}.get(str(event.data.get("impact")))
    state = str(worst) if worst.severity else state
    return [fact(event, state or "partial_outage", sentence, str(reason))]


def worst_health(held: object) -> Health:
    """Return the worst of the healths an incident opened with (component → health); unknown if there are none."""
    if not isinstance(held, Mapping):
        return Health.UNKNOWN
    known = [Health(value) for value in held.values() if value in list(Health)]
    return max(known, key=lambda health: health.severity, default=Health.UNKNOWN)


def worse(teller: Teller, event: IncidentEvent) -> Entry:
    """Tell that a component got worse, or failed again."""
    words, reason = teller.words, reason_of(event)
    clause = teller.clause(event)
    if event.kind is EventKind.COMPONENT_WORSE:
        key = "event_worse" if reason else "event_worse_plain"
        sentence = words(key, clause=capital(clause), reason=words.of(reason) if reason else "")
    else:
        sentence = words(f"event_{event.kind}", clause=clause)
    return fact(event, str(health_of(event)), sentence, str(reason or ""))


def published(teller: Teller, event: IncidentEvent) -> list[Entry]:
    """Tell insiders, on an incident that is not public, when it was published or hidden."""
    return [] if teller.incident.public else [fact(event, "note", teller.words(f"event_{event.kind}"))]


def better(teller: Teller, event: IncidentEvent) -> Entry:
    """Tell that a component got better."""
    key = "event_better" if health_of(event) is Health.OPERATIONAL else "event_better_partly"
    return fact(
        event, str(health_of(event)), capital(teller.words(key, clause=teller.clause(event), name=teller.name(event)))
    )


def impact_changed(teller: Teller, event: IncidentEvent) -> list[Entry]:
    """Tell the new impact, unless it was unreadable."""
    try:
        impact = Impact(str(event.data.get("impact")))
    except ValueError:
        return []
    return [fact(event, "note", teller.words("event_impact", impact=teller.words.of(impact)))]


def related(teller: Teller, event: IncidentEvent) -> list[Entry]:
    """Tell that outages of other services began together with this one; nothing if none may be named."""
    names = list(dict.fromkeys(plain(name, 60) for name in event.data.get("names", ())))
    if not names:
        return []
    words, count = teller.words, event.data.get("count", 0)
    left = max(len(names), count if isinstance(count, int) else 0) - len(names[:NAMED])
    called = words("and_more", names=words("comma").join(names[:NAMED]), n=left) if left else words.join(names)
    minutes = max(60.0, 60.0 * math.ceil(float(event.data.get("within_s", 0.0)) / 60))
    return [fact(event, "note", words("event_related", names=called, duration=words.duration(minutes)))]


def resolved(teller: Teller, event: IncidentEvent) -> Entry:
    """Tell that it is over, and how long it took: the same length as in the incident's head."""
    length_s = (event.at - teller.incident.started_at).total_seconds()
    sentence = teller.words("event_resolved", duration=teller.words.duration(length_s))
    entry = fact(event, "operational", sentence)
    return entry if not event.by else Entry(entry.at, entry.state, sentence, "person", by=plain(event.by, 60))


def upstream_said(teller: Teller, event: IncidentEvent) -> Entry:
    """Quote the vendor's own page."""
    data, words = event.data, teller.words
    service = plain(teller.incident.service_name, 60)
    status = status_word(data.get("status"), words)
    sentence = words("event_upstream" if status else "event_upstream_plain", service=service, status=status)
    quote = plain(data.get("body") or data.get("name") or "", 600)
    voice = "vendor"
    return Entry(event.at, "note", sentence, voice, service, quote, web_address(data.get("url", "")), source="vendor")


def person_wrote(teller: Teller, event: IncidentEvent) -> Entry:
    """Tell a person's words as theirs."""
    words = teller.words
    status = status_word(event.data.get("status"), words)
    sentence = words("event_note_status", status=status) if status else ""
    if event.kind is EventKind.POSTMORTEM:
        sentence = words("event_postmortem")
    text = plain(event.data.get("text", ""), 2000)
    return Entry(event.at, "note", sentence, "person", plain(event.by, 60), text)


def tell_registration(teller: Teller, group: list[IncidentEvent], held: dict[Method, Way]) -> list[Entry]:
    """Return one entry for changes of one moment; ``held`` grows by them."""
    first = not held
    ways = [(event, way) for event in group if (way := way_from(event)) is not None]
    if not ways:
        return []
    held |= {way.method: way for _, way in ways}
    words = teller.words
    sentence = registration_sentence([way for _, way in ways], held, words, first)
    strongest = next((event for event, _ in ways if event.data.get("excerpt")), ways[0][0])
    login = strongest.data.get("login")
    if login in (Health.OPERATIONAL, Health.MAJOR):
        key = "login_works" if login == Health.OPERATIONAL else "login_down"
        sentence += words("full_stop").lstrip(".").replace("。", "") + words(key) + words("full_stop").rstrip()
    bad = {Registration.CLOSED: "major_outage", Registration.RESTRICTED: "partial_outage"}
    states = {bad.get(way.state, "") for way in held.values()}
    state = "partial_outage" if len(states) > 1 and "major_outage" in states else next(iter(states), "")
    delayed = any(way.state is Registration.DELAYED for way in held.values())
    return [
        Entry(
            strongest.at,
            state or ("degraded_performance" if delayed else "operational"),
            sentence,
            "rule",
            quote=plain(strongest.data.get("excerpt", ""), 300),
            url=web_address(strongest.data.get("url", "")),
            source=source_word(strongest.data.get("source"), words),
            recorded_at=strongest.recorded_at,
        )
    ]


def source_word(value: object, words: Words) -> str:
    """Return where a reading came from; empty if it is none of ours."""
    try:
        return words.of(Source(str(value)))
    except ValueError:
        return ""
