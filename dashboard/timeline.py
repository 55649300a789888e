"""An incident's append-only events as the entries that a reader sees, in the order in which they became known.

What is only learned later stands where it was learned, and says since when it was so: a start that is dated back, or
the vendor's word from an hour ago, never slips behind what the reader has read already.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from dashboard.sentences import Way, health_clause, registration_sentence, way_from
from dashboard.words import Words, capital, web_address
from monitor.core.components.registration.rules import health_of
from monitor.core.entities import IncidentEvent
from monitor.core.incidents.transitions import statuses
from monitor.core.model.incident_events import (
    Cause,
    ComponentBetter,
    ComponentWorse,
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
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, nobody_gets_in
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.store.reads.views import IncidentView
from monitor.text.cleaner import plain

TOGETHER = timedelta(seconds=150)
NAMED = 5
"""Other services that an entry names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a timeline. ``quote`` and ``by`` are other people's words, already made plain, never yet escaped."""

    at: datetime
    """When it was known."""
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
    since: datetime | None = None
    """When it happened, where that is another minute than the one in which it was known."""
    seq: int = 0
    """Number of its (first) event: it stays when other entries come."""
    status: IncidentStatus = IncidentStatus.INVESTIGATING
    """What the incident was once this was told."""


@dataclass(frozen=True, slots=True)
class Teller:
    """What an event needs to become a sentence."""

    incident: IncidentView
    words: Words
    names: Mapping[str, str]

    def name(self, part: str) -> str:
        """Return the name of a component."""
        return self.names.get(part) or plain(self.incident.component_names.get(part, part), 60)

    def clause(self, health: Health, part: str) -> str:
        """Return "Web chat is down"."""
        return health_clause(health, [self.name(part)], self.words)

    def login(self, held: Mapping[str, Health]) -> str:
        """Return " Log-in works." to stand after a sentence; empty if nothing is known of log-in."""
        worst = max(held.values(), key=lambda health: health.rank, default=Health.UNKNOWN)
        said = {
            Health.OPERATIONAL: "login_works",
            Health.DEGRADED: "login_slow",
            Health.PARTIAL: "login_partly",
            Health.MAJOR: "login_down",
        }
        if worst not in said:
            return ""
        stop = self.words("full_stop")
        return stop.replace(stop.strip(), "") + self.words(said[worst]) + stop.rstrip()


Change = tuple[IncidentEvent, RegistrationChanged]


def entries(incident: IncidentView, words: Words, names: Mapping[str, str]) -> tuple[Entry, ...]:
    """Return the timeline, what was known first first. Registration changes of one moment become one entry.

    Each entry bears the status that the incident had until the next one was told, so the last bears its present one.
    """
    teller = Teller(incident, words, names)
    told: list[Entry] = []
    held: dict[Method, Way] = {}
    group: list[Change] = []
    for event in incident.events:
        if isinstance(event.what, RegistrationChanged):
            if group and not together(group, event, event.what):
                told += tell_registration(teller, group, held)
                group = []
            group.append((event, event.what))
            continue
        told += tell_registration(teller, group, held)
        group = []
        told += [placed(entry, event) for entry in tell(teller, event)]
    told += tell_registration(teller, group, held)
    return tuple(in_order(told, incident))


def placed(entry: Entry, event: IncidentEvent) -> Entry:
    """Return the entry at the moment when its event was known."""
    known, happened = event.recorded_at, event.at
    same = happened >= known or happened.replace(second=0, microsecond=0) == known.replace(second=0, microsecond=0)
    return replace(entry, at=known, since=None if same else happened, seq=event.seq)


def in_order(told: Sequence[Entry], incident: IncidentView) -> Iterator[Entry]:
    """Yield the entries with their statuses, none earlier than the one before it.

    Looks that come in late are judged as of their own time: what they add is known no sooner than what is told already.
    """
    held, latest = statuses(incident.events), datetime.min.replace(tzinfo=UTC)
    for number, entry in enumerate(told):
        latest = max(latest, entry.at)
        until = told[number + 1].seq if number + 1 < len(told) else math.inf
        status = next((status for seq, status in reversed(held) if seq < until), entry.status)
        yield replace(entry, at=latest, status=status)


def since_key(entry: Entry) -> str:
    """Return how a moment is told that lies before its entry: of the vendor's words it is when they were written."""
    return "written" if entry.voice == "vendor" else "since"


def text_of(entry: Entry, words: Words) -> str:
    """Return the sentence with since when it was so, for readers of plain text: their times are UTC."""
    if entry.since is None:
        return entry.sentence
    since = words(since_key(entry), time=words.moment(entry.since) + " UTC")
    return words("sentence_gap").join(part for part in (entry.sentence, f"({since})") if part)


def together(group: Sequence[Change], event: IncidentEvent, what: RegistrationChanged) -> bool:
    """Return whether a change belongs to those of one moment: a way that changes twice has seen two moments."""
    again = what.method in [earlier.method for _, earlier in group]
    return not again and event.at - group[0][0].at <= TOGETHER


def crowded(entries: Sequence[Entry]) -> bool:
    """Return whether two entries share a minute, so that only seconds tell their order."""
    minutes = [entry.at.replace(second=0, microsecond=0) for entry in entries]
    return len(set(minutes)) < len(minutes)


def tell(teller: Teller, event: IncidentEvent) -> list[Entry]:  # noqa: C901  one case a kind, so that none is forgotten
    """Return the entries of one event."""
    words, beside = teller.words, teller.incident.cause is Cause.REGISTRATION
    match event.what:
        case Opened() as what:
            return opened(teller, event, what)
        case ComponentWorse() as what:
            return [] if beside else [worse(teller, event, what)]  # the registration event says the same in more detail
        case Relapsed() | Reopened() as what:
            return [again(teller, event, what)]
        case ComponentBetter() as what:
            return [] if beside or what.unsaid else [better(teller, event, what)]
        case ImpactChanged(impact):
            return [fact(event, "note", words("event_impact", impact=words.of(impact)))]
        case UpstreamSaid() as what:
            return [upstream_said(teller, event, what)]
        case Recovering():
            return [fact(event, "operational", words("event_recovering"))]
        case Resolved():
            return [resolved(teller, event)]
        case Note(text, status):
            sentence = words("event_note_status", status=words.of(status)) if status else ""
            return [person_wrote(event, sentence, text)]
        case Postmortem(text):
            return [person_wrote(event, words("event_postmortem"), text)]
        case Published() | Hidden():  # shown to signed-in people only: the incident is not public
            return [] if teller.incident.public else [fact(event, "note", words(f"event_{event.kind}"))]
        case ProbeRemoved(component):
            return [fact(event, "unknown", words("event_removed", name=teller.name(component)))]
        case Related() as what:
            return related(teller, event, what)
        case RegistrationChanged() as what:
            return tell_registration(teller, [(event, what)], {})
        case _:
            assert_never(event.what)


def fact(event: IncidentEvent, state: str, sentence: str, code: str = "") -> Entry:
    """Return an entry in the rules' own voice."""
    return Entry(event.at, state, sentence, "rule", code=code, recorded_at=event.recorded_at)


def opened(teller: Teller, event: IncidentEvent, what: Opened) -> list[Entry]:
    """Tell what broke and why; of a registration incident the changes that follow tell it better."""
    reason = what.reason if what.reason is not Reason.OK else None
    if reason is None and any(isinstance(other.what, RegistrationChanged) for other in teller.incident.events):
        return []
    words, names = teller.words, [teller.name(part) for part in what.components]
    names = names or [plain(teller.incident.service_name, 60)]
    if reason is None:
        return [fact(event, "partial_outage", words("event_opened_ok", names=words.join(names)))]
    worst = max(what.health.values(), key=lambda health: health.rank, default=Health.UNKNOWN)
    if worst.severity and what.components:
        clause = capital(health_clause(worst, names, words))
        sentence = words("event_worse", clause=clause, reason=words.of(reason))
    else:
        sentence = words("event_opened", names=words.join(names), reason=words.of(reason))
    if what.location_count is not None and what.location_count > 1:
        sentence += " " + words("event_opened_places", n=what.location_count)
    state = {Impact.MINOR: "degraded_performance", Impact.CRITICAL: "major_outage"}.get(what.impact, "partial_outage")
    state = str(worst) if worst.severity else state
    return [fact(event, state, sentence + teller.login(what.login), str(reason))]


def worse(teller: Teller, event: IncidentEvent, what: ComponentWorse) -> Entry:
    """Tell that a component got worse."""
    words, reason = teller.words, what.reason if what.reason is not Reason.OK else None
    clause = capital(teller.clause(what.health, what.component))
    sentence = words("event_worse", clause=clause, reason=words.of(reason)) if reason else ""
    sentence = sentence or words("event_worse_plain", clause=clause)
    return fact(event, str(what.health), sentence + teller.login(what.login), str(reason or ""))


def again(teller: Teller, event: IncidentEvent, what: Relapsed | Reopened) -> Entry:
    """Tell that a component failed again."""
    code = "" if what.reason in (None, Reason.OK) else str(what.reason)
    sentence = teller.words(f"event_{event.kind}", clause=teller.clause(what.health, what.component))
    return fact(event, str(what.health), sentence + teller.login(what.login), code)


def better(teller: Teller, event: IncidentEvent, what: ComponentBetter) -> Entry:
    """Tell that a component got better."""
    key = "event_better" if what.health is Health.OPERATIONAL else "event_better_partly"
    clause, name = teller.clause(what.health, what.component), teller.name(what.component)
    return fact(event, str(what.health), capital(teller.words(key, clause=clause, name=name)))


def related(teller: Teller, event: IncidentEvent, what: Related) -> list[Entry]:
    """Tell that outages of other services began together with this one; nothing if none may be named."""
    names = list(dict.fromkeys(plain(name, 60) for name in what.names))
    if not names:
        return []
    words = teller.words
    left = max(len(names), what.count) - len(names[:NAMED])
    called = words("and_more", names=words("comma").join(names[:NAMED]), n=left) if left else words.join(names)
    minutes = max(60.0, 60.0 * math.ceil(what.within_s / 60))
    return [fact(event, "note", words("event_related", names=called, duration=words.duration(minutes)))]


def resolved(teller: Teller, event: IncidentEvent) -> Entry:
    """Tell that it is over, and how long it took: the same length as in the incident's head."""
    length_s = (event.at - teller.incident.started_at).total_seconds()
    sentence = teller.words("event_resolved", duration=teller.words.duration(length_s))
    entry = fact(event, "operational", sentence)
    return entry if not event.by else Entry(entry.at, entry.state, sentence, "person", by=plain(event.by, 60))


def upstream_said(teller: Teller, event: IncidentEvent, what: UpstreamSaid) -> Entry:
    """Quote the vendor's own page."""
    words = teller.words
    service = plain(teller.incident.service_name, 60)
    status = words.of(what.status) if what.status else ""
    sentence = words("event_upstream" if status else "event_upstream_plain", service=service, status=status)
    quote = plain(what.body or what.name, 600)
    return Entry(event.at, "note", sentence, "vendor", service, quote, web_address(what.url), source="vendor")


def person_wrote(event: IncidentEvent, sentence: str, text: str) -> Entry:
    """Tell a person's words as theirs."""
    return Entry(event.at, "note", sentence, "person", plain(event.by, 60), plain(text, 2000))


def tell_registration(teller: Teller, group: Sequence[Change], held: dict[Method, Way]) -> list[Entry]:
    """Return one entry for changes of one moment; ``held`` grows by them."""
    if not group:
        return []
    first, ways, words = not held, [way_from(what) for _, what in group], teller.words
    held |= {way.method: way for way in ways}
    sentence = registration_sentence(ways, held, words, first)
    event, strongest = next((pair for pair in group if pair[1].excerpt), group[0])
    worst = max((health_of(way.state, way.failed_ratio) for way in held.values()), key=lambda health: health.rank)
    usable = any(not nobody_gets_in(way.state, way.failed_ratio) for way in held.values())
    state = Health.PARTIAL if worst is Health.MAJOR and usable else worst
    return [
        placed(
            Entry(
                event.at,
                str(state),
                sentence + teller.login(strongest.login),
                "rule",
                quote=plain(strongest.excerpt, 300),
                url=web_address(strongest.url),
                source=words.of(strongest.source) if strongest.source else "",
                recorded_at=event.recorded_at,
            ),
            group[0][0],
        )
    ]
