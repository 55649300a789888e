"""What happened, said in whole sentences: the headline, an incident's title, one entry of its timeline.

Rules for every sentence: first what a person can and cannot do, then the cause. Text from outside passes through
:func:`dashboard.words.plain` and is quoted, never spoken in our own voice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.words import Words, capital
from monitor.core.catalogue import ComponentKind
from monitor.core.components.baseline import Unusual
from monitor.core.entities import MethodState
from monitor.core.model.incident_events import RegistrationChanged
from monitor.core.model.registration import Method, PlaceWord, Registration
from monitor.core.model.states import Health
from monitor.core.model.warning_codes import WarningCode
from monitor.store.reads.views import MAINTENANCE, ComponentView, ModelChange, RegistrationView, ServiceView, Snapshot
from monitor.text.cleaner import plain
from monitor.text.countries import countries

WORST_FIRST = (Health.MAJOR, Health.PARTIAL, Health.DEGRADED, Health.UNKNOWN)

ALL = 0.995
"""Share from which on it rounds to all."""

STATES_WORST_FIRST = (*map(str, WORST_FIRST), MAINTENANCE, str(Health.OPERATIONAL))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the headline with the state that colours its mark."""

    state: str
    text: str


def name_of(part: ComponentView, words: Words) -> str:
    """Return the component's name in the reader's language."""
    return plain(part.names.get(words.language) or part.name, 60)


def names_of(snapshot: Snapshot, words: Words) -> dict[str, str]:
    """Return component id → name for everything on the page."""
    return {part.id: name_of(part, words) for service in snapshot.services for part in service.components}


def state_of(part: ComponentView) -> str:
    """Return the state that is drawn: health in Statuspage's words, or ``maintenance`` laid over it."""
    return part.state


def state_word(state: str, words: Words) -> str:
    """Return the word for a drawn state."""
    return words("under_maintenance") if state == "maintenance" else words.of(Health(state))


def part_word(part: ComponentView, words: Words) -> str:
    """Return the word beside a component; registration speaks its own words."""
    state = state_of(part)
    if not part.watched and state == "unknown":
        return words("unwatched")
    if part.registration and speaks_of_sign_up(part) and state not in ("maintenance", "unknown"):
        held = {method.state for method in part.registration.methods} - {Registration.UNKNOWN}
        if held == {Registration.CLOSED}:
            return capital(words.of(Registration.CLOSED))
        if Registration.FAILING in held:
            return capital(words.of(Registration.FAILING))
        if held & {Registration.RESTRICTED, Registration.CLOSED}:
            return capital(words.of(Registration.RESTRICTED))
        if Registration.DELAYED in held:
            return capital(words.of(Registration.DELAYED))
        return capital(words.of(Registration.OPEN)) if held else words.of(part.health)
    return state_word(state, words)


def unwatched_sentence(part: ComponentView, service: ServiceView, words: Words) -> str:
    """Return why we do not judge a component ourselves; empty if we do."""
    if part.watched:
        return ""
    seen = service.upstream
    if seen and seen.reading and not seen.failed_since and part.id in seen.reading.mapped:
        return words("unwatched_vendor", health=words.of(seen.reading.mapped[part.id]))
    kind = part.kind if part.kind in (ComponentKind.REGISTRATION, ComponentKind.LOGIN) else "other"
    return words(f"unwatched_{kind}")


def speaks_of_sign_up(part: ComponentView) -> bool:
    """Say whether a component's state is what was read of its ways to sign up, and not what its looks saw."""
    view = part.registration
    return view is not None and part.kind is ComponentKind.REGISTRATION and view.overall is part.health


def inline(part: ComponentView, service: ServiceView, words: Words) -> str:
    """Return how a component is called within a sentence: by its kind where only one has it, else by name."""
    alone = sum(other.kind is part.kind for other in service.components) == 1
    noun = words.section("kind", part.kind) if alone else ""
    return noun or name_of(part, words)


def unusual_sentence(found: Unusual, words: Words) -> str:
    """Return "first token takes 4.1 s, usual for a Monday 14:00 UTC is 0.9 s"."""
    place = words.place_in_week(found.hour) if found.hour else words("this_hour")
    now, usual = words.latency(found.now_s), words.latency(found.usual_s)
    return words(f"unusual_{found.what}", place=place, now=now, usual=usual)


def health_clause(health: Health, names: Sequence[str], words: Words) -> str:
    """Return "web chat and log-in are down"."""
    return words.section("health_clause" if len(names) == 1 else "health_clauses", health).format(
        name=words.join(names)
    )


# --- registration -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sign up, from a method's state or from an event."""

    method: Method
    state: Registration
    codes: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    invite: bool = False
    approval: bool = False
    failed_ratio: float | None = None
    places: tuple[PlaceWord, ...] = ()
    """What each place sees, where they differ."""
    weight: int = 0
    """How strong its source is."""


def way_of(state: MethodState) -> Way:
    """Return the part of a method's state that sentences are made of."""
    conditions = (state.country_codes, state.email_domains, state.invite_required, state.approval_required)
    return Way(state.method, state.state, *conditions, state.failed_ratio, state.differing, state.source.weight)


def way_at(way: Way, place: str) -> Way | None:
    """Return the way as it is seen from one place; ``None`` where that place knows nothing of it."""
    if not way.places:
        return way
    word = next((word for word in way.places if word.place == place), None)
    if word is None:
        return None
    conditions = (word.country_codes, word.email_domains, word.invite_required, word.approval_required)
    return Way(way.method, word.state, *conditions, word.failed_ratio, weight=way.weight)


def limits(ways: Iterable[Way], words: Words) -> str:
    """Return "phone numbers from China (+86)"; empty if nobody is let in by number or address."""
    said = []
    for way in ways:
        if way.codes:
            said.append(words("only_phones", countries=countries(way.codes, words)))
        if way.domains:
            said.append(words("only_domains", domains=words.join(plain(name, 60) for name in way.domains[:5])))
    return words.join(dict.fromkeys(said)) if said else ""


def methods(ways: Iterable[Way], words: Words) -> str:
    """Return "e-mail, Google and Apple"."""
    return words.join(words.section("method_inline", way.method) for way in ways)


def pick(ways: Iterable[Way], *states: Registration) -> list[Way]:
    """Return the ways in one of ``states``."""
    return [way for way in ways if way.state in states]


def restriction(ways: Sequence[Way], words: Words, limited: str, plain_word: str, start: str) -> str:
    """Return the clause for ways that are all restricted; the keys choose between a state and an event."""
    said = limits(ways, words)
    if said:
        return words(limited, limits=said)
    if any(way.invite for way in ways):
        return words(f"{start}_invite")
    return words(f"{start}_approval") if any(way.approval for way in ways) else words(plain_word)


def registration_clause(view: RegistrationView, words: Words) -> str:
    """Return what a new user can do now: "sign-up is limited to phone numbers from China (+86)"."""
    known = [way_of(state) for state in view.methods if state.state is not Registration.UNKNOWN]
    return sign_up_clause(known, words) if known else words("signup_unknown")


def sign_up_clause(known: Sequence[Way], words: Words) -> str:
    """Return the clause for ways whose states are known: the same in the headline and in an incident's title."""
    known = telling(known)
    if any(way.places for way in known):
        return seen_from(known, words)
    if pick(known, Registration.FAILING):
        return failing_clause(known, words)
    usable = pick(known, Registration.OPEN, Registration.DELAYED)
    limited = pick(known, Registration.RESTRICTED)
    closed = pick(known, Registration.CLOSED)
    if not usable:
        if not limited:
            return words("signup_closed")
        return restriction(limited, words, "signup_limited", "signup_partly", "signup")
    said = [words("signup_partly")] if limited else []
    if closed:
        said.append(words("signup_methods_closed", methods=methods(closed, words)))
    if pick(usable, Registration.DELAYED):
        said.append(words("signup_delayed"))
    return words("semicolon").join(said) or words("signup_open")


def telling(known: Sequence[Way]) -> Sequence[Way]:
    """Return the ways that the word over all is made of: a stronger word about the whole speaks for the rest."""
    whole = next((way for way in known if way.method is Method.ANY), None)
    others = (way for way in known if way.method is not Method.ANY)
    return [whole] if whole is not None and all(way.weight < whole.weight for way in others) else known


def seen_from(known: Sequence[Way], words: Words) -> str:
    """Return what each place sees: "sign-up is closed (seen from sin); sign-up is open (seen from fra)"."""
    said: dict[str, list[str]] = {}
    places = {
        place: [seen for way in known if (seen := way_at(way, place)) is not None]
        for place in sorted({word.place for way in known for word in way.places})
    }
    for place, ways in sorted(places.items(), key=lambda item: len(pick(item[1], Registration.OPEN)) - len(item[1])):
        said.setdefault(sign_up_clause(ways, words), []).append(plain(place, 60))
    clauses = (words("signup_from", clause=clause, places=words.join(places)) for clause, places in said.items())
    return words("semicolon").join(clauses)


def failing_clause(known: Sequence[Way], words: Words) -> str:
    """Return the clause for ways of which some fail although they are open: the whole, a share, or single ways."""
    failing, limited = pick(known, Registration.FAILING), pick(known, Registration.RESTRICTED)
    others = [way for way in known if way.state not in (Registration.FAILING, Registration.CLOSED)]
    if any(way.method is Method.ANY for way in failing) or not others:
        said = [failing_words(failing, words, "signup")]
    else:
        said = [failing_methods(failing, words, "signup")]
        if closed := pick(known, Registration.CLOSED):
            said.append(words("signup_methods_closed", methods=methods(closed, words)))
    if limited:
        said.append(restriction(limited, words, "signup_limited", "signup_partly", "signup"))
    return words("semicolon").join(said)


def failing_words(failing: Sequence[Way], words: Words, start: str) -> str:
    """Return how much fails, as far as it is known: the least share of the ways that fail."""
    share_ = known_share(failing)
    if share_ is None:
        return words(f"{start}_failing")
    return words("signup_failing_all") if share_ >= ALL else words("signup_failing_share", share=share(share_, words))


def failing_methods(failing: Sequence[Way], words: Words, start: str) -> str:
    """Return the same of single ways, by their names."""
    share_, names = known_share(failing), methods(failing, words)
    if share_ is None:
        return words(f"{start}_methods_failing", methods=names)
    return words(f"{start}_methods_failing_share", methods=names, share=share(share_, words))


def known_share(failing: Sequence[Way]) -> float | None:
    """Return the least share of the ways that fail; ``None`` where one of them has none."""
    shares = [way.failed_ratio for way in failing if way.failed_ratio is not None]
    return min(shares) if shares and len(shares) == len(failing) else None


def share(ratio: float, words: Words) -> str:
    """Return "69 %"."""
    return f"{words.number(100 * ratio, 0)} %"


def way_from(what: RegistrationChanged) -> Way:
    """Return the part of a change that sentences are made of."""
    conditions = (what.country_codes, what.email_domains, what.invite_required, what.approval_required)
    return Way(
        what.method, what.after, *conditions, what.failed_ratio, what.places, what.source.weight if what.source else 0
    )


def registration_sentence(changed: Sequence[Way], held: Mapping[Method, Way], words: Words, first: bool) -> str:
    """Return the sentences for ways that changed together; ``held`` is every way known after the change."""
    if not changed:
        return ""
    if any(way.places for way in changed):
        return capital(seen_from(changed, words)) + words("full_stop").rstrip()
    whole = any(way.method is Method.ANY for way in changed)
    usable = pick(held.values(), Registration.OPEN, Registration.DELAYED)
    limited = pick(changed, Registration.RESTRICTED)
    said = []
    if limited and (whole or (not usable and len(held) > 1)):
        said.append(restriction(limited, words, "new_users_limited", "signup_partly", "new_users"))
        changed = pick(changed, Registration.OPEN, Registration.DELAYED, Registration.FAILING)
    elif limited:
        key = "method_sentence_limited" if limits(limited, words) else "method_sentence_restricted"
        said.append(words(key, methods=methods(limited, words), limits=limits(limited, words)))
    if failing := pick(changed, Registration.FAILING):
        as_a_whole = any(way.method is Method.ANY for way in failing)
        said.append((failing_words if as_a_whole else failing_methods)(failing, words, "new_users"))
    for state in (Registration.CLOSED, Registration.DELAYED, Registration.OPEN, Registration.UNKNOWN):
        ways = pick(changed, state)
        if ways:
            middle = "" if any(way.method is Method.ANY for way in ways) else "methods_"
            again = "first_" if state is Registration.OPEN and first else ""
            said.append(words(f"new_users_{middle}{again}{state}", methods=methods(ways, words)))
    return words("full_stop").join(capital(sentence) for sentence in said) + words("full_stop").rstrip()


# --- models -----------------------------------------------------------------------------------------------------------


def model_sentence(change: ModelChange, names: Mapping[str, str], words: Words) -> str:
    """Return "sonnet was answered by gpt-5-mini", or "sonnet left the vendor's list"."""
    part = plain(change.asked, 80) or names.get(change.component) or plain(change.component, 80)
    tense = "now" if change.ended_at is None else "then"
    if change.what is WarningCode.MODEL_REROUTED:
        return words(f"model_rerouted_{tense}", model=part, other=plain(change.told, 80))
    return words(f"model_unlisted_{tense}", model=part)


# --- the headline -----------------------------------------------------------------------------------------------------


def service_clauses(service: ServiceView, words: Words) -> list[str]:
    """Return what is wrong with a service, worst first; components in the same state share a clause."""
    clauses = []
    for health in WORST_FIRST:
        names = []
        for part in service.judged:
            if part.maintenance or part.health is not health:
                continue
            if part.registration and health is not Health.UNKNOWN and speaks_of_sign_up(part):
                clauses.append(registration_clause(part.registration, words))
            else:
                names.append(inline(part, service, words))
        if names:
            clauses.append(health_clause(health, names, words))
    upkeep = [inline(part, service, words) for part in service.judged if part.maintenance]
    return clauses + [words("maintenance_clause", name=name) for name in upkeep]


def service_sentence(service: ServiceView, words: Words) -> str:
    """Return "DeepSeek: sign-up is limited to phone numbers from China (+86). Web chat and log-in work."."""
    name = plain(service.name, 60)
    if not service.judged:
        return words("headline_unwatched", name=name)
    if all(part.health is Health.UNKNOWN and not part.maintenance for part in service.judged):
        return words("headline_unknown", names=name)
    clauses = service_clauses(service, words)
    fine = [part for part in service.judged if part.health is Health.OPERATIONAL and not part.maintenance]
    if not clauses:
        return words("others_working", n=1, names=name)
    sentence = words("headline_service", service=name, clauses=words("semicolon").join(clauses))
    if fine:
        working = capital(words.join(inline(part, service, words) for part in fine))
        sentence += words("sentence_gap") + words("still_works", n=len(fine), names=working)
    return sentence


def service_state(service: ServiceView) -> str:
    """Return the worst drawn state of a service: trouble, then what is unknown, then planned work, then good."""
    healths = [part.health for part in service.judged if not part.maintenance]
    worst = max(healths, key=lambda health: health.rank, default=Health.OPERATIONAL)
    planned = len(healths) < len(service.judged)
    if worst is Health.OPERATIONAL and planned:
        return "maintenance"
    return str(worst if healths else Health.UNKNOWN)


def page_state(snapshot: Snapshot) -> str:
    """Return the state of the whole page, in the order of :func:`service_state`."""
    states = {service_state(service) for service in snapshot.services if service.judged}
    if snapshot.stale or snapshot.as_of is None or snapshot.blind_since is not None or not states:
        return str(Health.UNKNOWN)
    return next(state for state in STATES_WORST_FIRST if state in states)


def headline(snapshot: Snapshot, words: Words) -> tuple[Line, ...]:
    """Return the sentence of the page, a line for each service in trouble."""
    unknown = str(Health.UNKNOWN)
    judged = [service for service in snapshot.services if service.judged]
    if not judged:
        return (Line(unknown, words("nothing_watched")),)
    if snapshot.as_of is None:
        return (Line(unknown, words("no_data")),)
    if snapshot.stale:
        age = words("ago", duration=words.duration((snapshot.taken_at - snapshot.as_of).total_seconds()))
        return (Line(unknown, words("headline_stale", ago=age)),)
    if snapshot.blind_since is not None:
        return (Line(unknown, words("headline_blind")),)
    fine = [service for service in judged if service_state(service) == Health.OPERATIONAL]
    if len(fine) == len(snapshot.services):
        return (Line(str(Health.OPERATIONAL), words("all_working")),)
    lines = [
        Line(service_state(service), service_sentence(service, words)) for service in judged if service not in fine
    ]
    if fine:
        names = words.join(plain(service.name, 60) for service in fine)
        lines.append(Line(str(Health.OPERATIONAL), words("others_working", n=len(fine), names=names)))
    return tuple(lines)
