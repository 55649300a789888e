"""The state of registration as the plain JSON that is stored. Rows from before a field was added keep their meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.core.components.registration.claims import Claim
from monitor.core.entities import MethodState, PlaceState
from monitor.core.model.registration import Method, MethodReading, PlaceWord, Registration, Source
from monitor.core.schedule import from_micros, micros


def claim_json(item: Claim) -> list[Any]:
    """Return a claim as plain JSON."""
    return [
        reading_json(item.reading),
        micros(item.since),
        micros(item.read_at),
        reading_json(item.candidate) if item.candidate else None,
        micros(item.candidate_since) if item.candidate_since else None,
        item.repeats,
        *([item.place] if item.place else []),
    ]


def claim_from(data: Sequence[Any]) -> Claim:
    """Inverse of :func:`claim_json`."""
    reading, since, read_at, candidate, candidate_since, repeats, *more = data
    return Claim(
        reading_from(reading),
        from_micros(since),
        from_micros(read_at),
        reading_from(candidate) if candidate else None,
        from_micros(candidate_since) if candidate_since is not None else None,
        repeats,
        more[0] if more else "",
    )


def method_json(item: MethodState) -> list[Any]:
    """Return a method's state as plain JSON."""
    return [
        item.method.value,
        item.state.value,
        micros(item.since),
        micros(item.read_at),
        item.source.value,
        *_conditions(item),
        item.excerpt,
        item.url,
        *_added(failed_ratio=item.failed_ratio, places=[_place_json(place) for place in item.places]),
    ]


def method_from(data: Sequence[Any]) -> MethodState:
    """Inverse of :func:`method_json`."""
    method, state, since, read_at, source, codes, domains, invite, approval, excerpt, url, *more = data
    added: Mapping[str, Any] = more[0] if more else {}
    return MethodState(
        Method(method),
        Registration(state),
        from_micros(since),
        from_micros(read_at),
        Source(source),
        tuple(codes),
        tuple(domains),
        invite,
        approval,
        excerpt,
        url,
        added.get("failed_ratio"),
        tuple(_place_from(place) for place in added.get("places", ())),
    )


def reading_json(item: MethodReading) -> list[Any]:
    """Return a reading as plain JSON."""
    return [
        item.method.value,
        item.state.value,
        item.source.value,
        *_conditions(item),
        item.excerpt,
        item.url,
        *_added(failed_ratio=item.failed_ratio),
    ]


def reading_from(data: Sequence[Any]) -> MethodReading:
    """Inverse of :func:`reading_json`."""
    method, state, source, codes, domains, invite, approval, excerpt, url, *more = data
    return MethodReading(
        Method(method),
        Registration(state),
        Source(source),
        tuple(codes),
        tuple(domains),
        invite,
        approval,
        excerpt,
        url,
        (more[0] if more else {}).get("failed_ratio"),
    )


def _place_json(item: PlaceState) -> list[Any]:
    word = item.word
    return [
        word.place,
        word.state.value,
        *_conditions(word),
        word.failed_ratio,
        micros(item.since),
        micros(item.read_at),
        item.source.value,
        item.last.value,
    ]


def _place_from(data: Sequence[Any]) -> PlaceState:
    place, state, codes, domains, invite, approval, ratio, since, read_at, source, last = data
    word = PlaceWord(place, Registration(state), tuple(codes), tuple(domains), invite, approval, ratio)
    return PlaceState(word, from_micros(since), from_micros(read_at), Source(source), Registration(last))


def _conditions(item: MethodState | MethodReading | PlaceWord) -> list[Any]:
    return [list(item.country_codes), list(item.email_domains), item.invite_required, item.approval_required]


def _added(**fields: Any) -> list[Any]:
    """Return what later versions added, at the end and only where there is any: an earlier one reads the rest."""
    told = {name: value for name, value in fields.items() if value not in (None, [])}
    return [told] if told else []
