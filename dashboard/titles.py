"""An incident in a line: its title, its mark, what it affected, and who saw it first.

An open incident is told as it is now, in the words of the headline; a past one as it was at its worst.
"""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.sentences import (
    STATES_WORST_FIRST,
    Way,
    health_clause,
    pick,
    sign_up_clause,
    way_from,
)
from dashboard.words import Words
from monitor.core.model.incident_events import Cause, RegistrationChanged
from monitor.core.model.registration import Method, Registration
from monitor.core.model.states import Health, Impact
from monitor.store.reads.views import MAINTENANCE, IncidentView
from monitor.text.cleaner import plain

CALM = (str(Health.UNKNOWN), MAINTENANCE, str(Health.OPERATIONAL))
"""States in which nothing is known to fail now."""

SHUT = (Registration.CLOSED, Registration.FAILING, Registration.RESTRICTED)
"""What names an incident of sign-up by its worst moment."""

SAME_TIME_S = 5.0
"""A lead that no clock on either side would vouch for."""


def incident_state(incident: IncidentView) -> str:
    """Return the state whose mark stands beside an incident: what it is now, not what it was at its worst."""
    if incident.resolved_at is not None:
        return str(Health.OPERATIONAL)
    if incident.now is None:
        return unread_state(incident)
    return next((state for state in STATES_WORST_FIRST if state in incident.now.values()), worst_state(incident))


def unread_state(incident: IncidentView) -> str:
    """Return the state of an open incident of whose components nothing else is known."""
    if incident.cause is Cause.REGISTRATION:
        states = {way.state for way in incident_ways(incident).values()}
        if Registration.DELAYED in states and not states & set(SHUT):
            return str(Health.DEGRADED)
    return worst_state(incident)


def worst_state(incident: IncidentView) -> str:
    """Return the state an incident reached at its worst, for lists of the past."""
    return {
        Impact.NONE: str(Health.UNKNOWN),
        Impact.MINOR: str(Health.DEGRADED) if incident.cause is Cause.OUTAGE else str(Health.PARTIAL),
        Impact.MAJOR: str(Health.PARTIAL),
        Impact.CRITICAL: str(Health.MAJOR),
    }[incident.impact]


def affected(incident: IncidentView, words: Words, names: Mapping[str, str]) -> str:
    """Return the names of every component that was part of it."""
    called = (names.get(part) or plain(incident.component_names.get(part, part), 60) for part in incident.components)
    return words.join(called)


def incident_title(incident: IncidentView, words: Words, names: Mapping[str, str]) -> str:
    """Return a person's title, or the rules' own: "DeepSeek: sign-up is limited to phone numbers from China (+86)".

    Of an open incident it says what is so now, in the words of the headline; of a past one what it was at its worst.
    """
    if incident.title:
        return plain(incident.title, 140)
    clause = present_clause(incident, words, names)
    if clause:
        return words("title_outage", service=plain(incident.service_name, 60), clause=clause)
    return past_title(incident, words, names) + afterword(incident, words)


def past_title(incident: IncidentView, words: Words, names: Mapping[str, str]) -> str:
    """Return what an incident was at its worst."""
    service = plain(incident.service_name, 60)
    if incident.cause is Cause.REGISTRATION:
        ways = incident_ways(incident)
        clause = sign_up_clause(list(ways.values()), words) if ways else words("signup_partly")
        return words("title_outage", service=service, clause=clause)
    health = (
        "major" if incident.impact is Impact.CRITICAL else "partial" if incident.impact is Impact.MAJOR else "degraded"
    )
    return words(
        "title_past_outage", service=service, names=affected(incident, words, names), health=words(f"was_{health}")
    )


def present_clause(incident: IncidentView, words: Words, names: Mapping[str, str]) -> str:
    """Return what is wrong now in an open incident, worst first; empty where nothing is, or nobody can tell."""
    now = {} if incident.resolved_at is not None or incident.now is None else incident.now
    if incident.cause is Cause.REGISTRATION:
        held = {} if incident.good_since or incident_state(incident) in CALM else incident_ways(incident)
        return sign_up_clause(list(held.values()), words) if now and held else ""
    clauses = []
    for health in (Health.MAJOR, Health.PARTIAL, Health.DEGRADED):
        alike = [name for name, state in now.items() if state == health]
        if alike:
            called = [names.get(name) or plain(incident.component_names.get(name, name), 60) for name in alike]
            clauses.append(health_clause(health, called, words))
    return words("semicolon").join(clauses)


def afterword(incident: IncidentView, words: Words) -> str:
    """Return what stands behind the title of an open incident in which nothing is known to fail now."""
    if incident.resolved_at is not None or incident.now is None:
        return ""
    state = incident_state(incident)
    if state in (str(Health.UNKNOWN), MAINTENANCE):
        return words(f"title_{state}")
    return words("title_watched" if incident.good_since is not None else "title_unsteady")


def incident_ways(incident: IncidentView) -> dict[Method, Way]:
    """Return the ways that name an incident: as they stand while it is open, so that it says what the page says.

    Afterwards, or while they are open again and watched, as they stood when fewest of them were open.
    """
    held: dict[Method, Way] = {}
    worst: dict[Method, Way] = {}
    for event in incident.events:
        if not isinstance(event.what, RegistrationChanged):
            continue
        way = way_from(event.what)
        if way.state is Registration.UNKNOWN:
            held.pop(way.method, None)
        else:
            held[way.method] = way
        if how_bad(held) >= how_bad(worst):
            worst = dict(held)
    troubled = pick(held.values(), *SHUT, Registration.DELAYED)
    return held if troubled and incident.resolved_at is None else worst


def how_bad(ways: Mapping[Method, Way]) -> tuple[int, float]:
    """Return how many ways are shut, and how much of the worst fails."""
    shut = pick(ways.values(), *SHUT)
    return len(shut), max((way.failed_ratio or 0.0 for way in shut), default=0.0)


def lead_sentence(incident: IncidentView, words: Words) -> str:
    """Return who saw it first, and by how much; empty without a matching announcement."""
    if incident.lead_s is None:
        return ""
    if abs(incident.lead_s) <= SAME_TIME_S:
        return words("same_time")
    key = "we_saw_first" if incident.lead_s > 0 else "vendor_first"
    return words(key, duration=words.duration(abs(incident.lead_s)))
