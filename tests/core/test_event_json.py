"""An event survives its JSON, whatever it says; what an older or a newer version wrote is read as far as it goes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.incidents.event_json import decode, encode
from monitor.core.model.incident_events import (
    ComponentBetter,
    ComponentWorse,
    EventData,
    EventKind,
    Note,
    Opened,
    RegistrationChanged,
    class_of,
)
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, Registration, Source
from monitor.core.model.states import Health

from .making import LEAST, whole

moments = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
pairs = st.tuples(st.text(max_size=9), st.text(max_size=9))


def events(kind: EventKind) -> st.SearchStrategy[EventData]:
    """Any event of a kind, its fields drawn by their types."""
    found = class_of(kind)
    hints = get_type_hints(found)
    drawn = {item.name: st.from_type(hints[item.name]) for item in dataclasses.fields(found)}
    numbers: dict[str, st.SearchStrategy[Any]] = {
        "within_s": st.floats(0, 1e9),
        "duration_s": st.floats(0, 1e9),
        "others": st.tuples(pairs, pairs),
    }
    numbers |= {"said_at": moments, "first_failed_at": st.none() | moments}
    return st.builds(found, **{name: numbers.get(name, strategy) for name, strategy in drawn.items()})


def test_every_kind_has_a_class_of_its_own_and_every_class_a_kind() -> None:
    assert [class_of(kind).kind for kind in EventKind] == list(EventKind)
    assert {class_of(kind) for kind in EventKind} == set(get_args(EventData))


@given(st.sampled_from(EventKind).flatmap(events))
def test_any_event_survives_its_json(what: EventData) -> None:
    stored = json.loads(json.dumps(encode(what)))
    assert decode(what.kind.value, stored) == what
    assert whole(what.kind.value, stored) == what


@given(st.sampled_from(EventKind), st.dictionaries(st.text(max_size=12), st.none() | st.text() | st.integers()))
def test_what_cannot_be_read_is_no_event_or_one_with_defaults_but_never_an_error(
    kind: EventKind, data: dict[str, Any]
) -> None:
    known = LEAST.get(kind, {})
    assert decode(kind.value, known | {"of_the_future": [1, {}]}) == decode(kind.value, known)
    attempts: list[object] = [data, dict.fromkeys(known, 7), [], None, "x"]
    for broken in attempts:
        found = decode(kind.value, broken)
        assert found is None or found.kind is kind


@pytest.mark.parametrize("kind", ["of_the_future", "", "Opened"])
def test_a_kind_that_nobody_knows_is_no_event(kind: str) -> None:
    assert decode(kind, {"text": "x"}) is None


def test_a_word_that_nobody_knows_is_left_out() -> None:
    with pytest.raises(AssertionError, match="note: status cannot be 'identifed'"):
        whole("note", {"status": "identifed"})
    assert decode("note", {"status": "identifed", "text": "x"}) == Note("x")


OLD: list[tuple[str, dict[str, Any], EventData]] = [
    ("component_better", {"component": "a/b", "health": "operational"}, ComponentBetter("a/b", Health.OPERATIONAL)),
    (
        "component_worse",
        {"component": "a/b", "health": "major_outage", "reason": "service.error", "detail": ""},
        ComponentWorse("a/b", Health.MAJOR, Reason.SERVER_ERROR, ""),
    ),
    (
        "registration_changed",
        {
            "component": "a/registration",
            "method": "phone",
            "before": "open",
            "after": "restricted",
            "source": "page_text",
            "excerpt": "",
            "url": "",
            "country_codes": ["86"],
            "email_domains": [],
            "invite_required": False,
            "approval_required": False,
        },
        RegistrationChanged(
            "a/registration",
            Method.PHONE,
            Registration.RESTRICTED,
            Registration.OPEN,
            Source.PAGE_TEXT,
            country_codes=("86",),
        ),
    ),
]
"""Rows as version 0.1.0 wrote them before events had classes."""


@pytest.mark.parametrize(("kind", "stored", "what"), OLD, ids=[kind for kind, _, _ in OLD])
def test_the_stored_shape_is_the_old_one(kind: str, stored: dict[str, Any], what: EventData) -> None:
    assert decode(kind, stored) == what
    assert encode(what) == stored


def test_an_opening_by_the_rules_and_one_by_a_person_keep_their_own_fields() -> None:
    common = {"service": "a", "cause": "outage", "impact": "major", "components": ["a/b"], "public": True}
    rules = common | {
        "health": {"a/b": "major_outage"},
        "reason": "service.error",
        "detail": "",
        "location_count": 1,
        "voter_count": 2,
        "first_failed_at": "2025-01-27T04:00:00+00:00",
    }
    person = common | {"health": {}, "title": "", "public": False}
    for stored in (rules, person):
        what = decode("opened", stored)
        assert isinstance(what, Opened)
        assert encode(what) == stored
