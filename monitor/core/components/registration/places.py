"""Several places look at one way to sign up: both words are kept, and one word follows over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.components.registration.claims import age_limit, meaning
from monitor.core.entities import MethodState, PlaceState
from monitor.core.model.registration import PlaceWord, Registration

FORGOTTEN_AFTER = timedelta(days=1)
"""A place that has told nothing for so long has no part any more."""
BADNESS = {
    Registration.UNKNOWN: 0,
    Registration.OPEN: 0,
    Registration.DELAYED: 1,
    Registration.RESTRICTED: 2,
    Registration.FAILING: 3,
    Registration.CLOSED: 4,
}


def over_places(found: Mapping[str, MethodState], before: MethodState | None, at: datetime) -> MethodState:
    """Return one state over what each place's claims say.

    ``before`` is the state before: places that tell nothing now are kept from it, unknown, until they are forgotten.
    """
    old = {item.word.place: item for item in (before.places if before is not None else ())}
    states = {place: _place_state(place, state, old.get(place)) for place, state in found.items()}
    states |= {place: item for place, item in old.items() if place not in found}
    loud = max(found.values(), key=lambda state: (BADNESS[state.state], state.source.weight, state.read_at))
    return folded(replace(loud, places=aged((state for _, state in sorted(states.items())), at)), at)


def aged(places: Iterable[PlaceState], now: datetime) -> tuple[PlaceState, ...]:
    """Return the places with what they say now: unknown where it is too old, and those that told lately only."""
    return tuple(_aged(item, now) for item in places if now - item.read_at <= FORGOTTEN_AFTER)


def _aged(item: PlaceState, now: datetime) -> PlaceState:
    over = item.read_at + age_limit(item.source)
    if item.word.state is Registration.UNKNOWN or now <= over:
        return item
    return replace(item, word=PlaceWord(item.word.place, Registration.UNKNOWN), since=over)


def folded(item: MethodState, now: datetime) -> MethodState:
    """Return a state with the word that follows from its places; details only where all of them agree.

    A place that was not simply open when it was known last holds "open" back: its silence is no opening.
    """
    known = [place for place in item.places if place.word.state is not Registration.UNKNOWN]
    words = {replace(place.word, place="", failed_ratio=None) for place in known}
    state = _over(place.word.state for place in known)
    if state is Registration.OPEN and any(_holds_back(place) for place in item.places):
        state = Registration.UNKNOWN
    one = next(iter(words)) if len(words) == 1 and state is not Registration.UNKNOWN else PlaceWord("", state)
    ratios = [place.word.failed_ratio for place in known]
    least = min((ratio for ratio in ratios if ratio is not None), default=None)
    all_fail = state is Registration.FAILING and all(place.word.state is state for place in known)
    return replace(
        item,
        state=state,
        country_codes=one.country_codes,
        email_domains=one.email_domains,
        invite_required=one.invite_required,
        approval_required=one.approval_required,
        failed_ratio=least if all_fail and None not in ratios else None,
        since=max((place.since for place in item.places), default=now),
        read_at=max((place.read_at for place in known), default=item.read_at),
        excerpt=item.excerpt if known else "",
    )


def differs(item: MethodState) -> tuple[object, ...]:
    """Return the share and what each place says where they differ: if these change, that is told as a change."""
    return item.failed_ratio, *((word.place, meaning(word), word.failed_ratio) for word in item.differing)


def troubled_places(item: MethodState) -> frozenset[str]:
    """Return the places from which sign-up is known to be anything but open, where places differ."""
    return frozenset(word.place for word in item.differing if BADNESS[word.state])


def _place_state(place: str, state: MethodState, old: PlaceState | None) -> PlaceState:
    word = PlaceWord(
        place,
        state.state,
        state.country_codes,
        state.email_domains,
        state.invite_required,
        state.approval_required,
        state.failed_ratio,
    )
    last = old.last if old is not None and state.state is Registration.UNKNOWN else state.state
    since = state.since
    if old is not None and meaning(old.word) == meaning(word):
        since = old.since
    elif old is not None:  # a weaker source may have said so before, but did not count then
        since = max(since, old.since if old.word.state is Registration.UNKNOWN else old.read_at)
    return PlaceState(word, since, state.read_at, state.source, last)


def _holds_back(place: PlaceState) -> bool:
    return place.word.state is Registration.UNKNOWN and place.last is not Registration.OPEN


def _over(states: Iterable[Registration]) -> Registration:
    found: Sequence[Registration] = list(set(states))
    if len(found) <= 1:
        return found[0] if found else Registration.UNKNOWN
    if Registration.FAILING in found:
        return Registration.FAILING
    if Registration.CLOSED in found or Registration.RESTRICTED in found:
        return Registration.RESTRICTED
    return Registration.DELAYED
