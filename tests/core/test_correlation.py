from dataclasses import replace
from datetime import datetime

import pytest

from monitor.core.catalogue import Policy
from monitor.core.entities import Incident
from monitor.core.incidents import correlation
from monitor.core.incidents.correlation import due, related, within_s
from monitor.core.incidents.rules import Facts, decide
from monitor.core.incidents.transitions import apply
from monitor.core.model.incident_events import Cause, EventKind, Related
from monitor.core.model.states import Impact, IncidentStatus

from .making import at


def incident(service: str, start_s: float, cause: Cause = Cause.OUTAGE, seen_after_s: float = 0.0) -> Incident:
    begins = at(start_s)
    return Incident(
        f"{service}-{start_s}",
        service,
        cause,
        IncidentStatus.INVESTIGATING,
        Impact.MAJOR,
        begins,
        at(start_s + seen_after_s),
        (f"{service}/api",),
        last_seq=1,
    )


A, B, C, LATE = incident("deepseek", 0), incident("openai", 200), incident("anthropic", 450), incident("mistral", 9000)


def test_outages_of_other_services_that_begin_within_minutes_are_related() -> None:
    assert related(B, [A, C, LATE], at(9999)) == (A, C)
    assert within_s(B, [A, C]) == 250
    assert related(A, [B, C, LATE], at(9999)) == (B,)
    assert related(LATE, [A, B, C], at(9999)) == ()


def test_one_service_or_its_registration_is_no_correlation() -> None:
    assert related(A, [incident("deepseek", 10), incident("openai", 5, Cause.REGISTRATION)], at(9999)) == ()


def test_what_was_not_known_yet_is_left_to_the_next_question() -> None:
    slow = incident("openai", 20, seen_after_s=200)
    assert related(A, [slow], at(120)) == ()
    assert related(A, [slow], at(420)) == (slow,)


@pytest.mark.parametrize(
    ("now_s", "asked"), [(0, None), (119, None), (120, 120), (419, 120), (420, 420), (1020, 420), (1021, None)]
)
def test_an_incident_is_asked_at_two_moments(now_s: float, asked: float | None) -> None:
    found: datetime | None = due(A, at(now_s))
    assert found == (at(asked) if asked is not None else None)


def test_a_resolved_an_answered_or_a_registration_incident_is_not_asked() -> None:
    assert due(None, at(120)) is None
    assert due(replace(A, status=IncidentStatus.RESOLVED), at(120)) is None
    assert due(replace(A, related=("x",)), at(120)) is None
    assert due(incident("deepseek", 0, Cause.REGISTRATION), at(120)) is None


def test_the_timeline_says_it_once_and_names_at_most_twenty() -> None:
    others = tuple(incident(f"s{number:03}", number / 10) for number in range(300))
    facts = Facts("deepseek", Cause.OUTAGE, {}, beside=(A, *others))
    assert not [event for event in decide(A, facts, at(100), Policy()) if event.kind is EventKind.RELATED]
    (event,) = [event for event in decide(A, facts, at(130), Policy()) if event.kind is EventKind.RELATED]
    assert isinstance(event.what, Related)
    assert (event.what.count, len(event.what.others)) == (300, correlation.LISTED)
    assert event.what.within_s == pytest.approx(29.9)
    told = apply(A, event)
    assert not [event for event in decide(told, facts, at(500), Policy()) if event.kind is EventKind.RELATED]
