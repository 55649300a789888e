"""On pages, badges and documents, what is not known is neither drawn as well nor hides what is worse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dashboard import parts, sentences, timeline
from dashboard.web import api, feeds, render
from dashboard.words import speak
from monitor.core.catalogue import Catalogue
from monitor.core.model.incident_events import EventKind, RegistrationChanged
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, Registration
from monitor.core.model.states import Health
from monitor.store.reads.views import DayBar, ServiceView, Snapshot
from monitor.text.lexicon import Language
from tests.doors.sample import NOW, calm, event, open_registration, service
from tests.doors.sample_story import outage, registration_cut

EN = speak(Language.EN)
MAJOR, DEGRADED, UNKNOWN = ({"health": health} for health in (Health.MAJOR, Health.DEGRADED, Health.UNKNOWN))
PLANNED = {"maintenance": True}


def page_of(*services: ServiceView) -> Snapshot:
    return replace(calm(), services=services)


def with_parts(changes: Mapping[str, Mapping[str, Any]], slug: str = "deepseek") -> ServiceView:
    return service(slug, slug.title(), NOW, changes)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"web": UNKNOWN, "api": MAJOR}, "major_outage"),
        ({"web": UNKNOWN, "api": DEGRADED}, "degraded_performance"),
        ({"web": UNKNOWN, "api": PLANNED}, "unknown"),
        ({"web": UNKNOWN}, "unknown"),
        ({"web": PLANNED}, "maintenance"),
        ({"web": UNKNOWN | PLANNED}, "maintenance"),
        (dict.fromkeys(("web", "api", "registration", "login"), UNKNOWN), "unknown"),
        ({}, "operational"),
    ],
)
def test_a_service_a_badge_and_the_documents_say_the_worst_that_is_known_and_then_that_it_is_not(
    changes: dict[str, dict[str, Any]], state: str
) -> None:
    shown = with_parts(changes)
    assert sentences.service_state(shown) == state
    snapshot = page_of(shown, with_parts({}, "claude"))
    assert sentences.page_state(snapshot) == state
    assert api.overall(snapshot)[api.STATE] == state
    (group,) = [row for row in api.component_rows(snapshot, EN) if row["id"] == "deepseek"]
    assert group[api.STATE] == state
    assert (api.overall(snapshot)["indicator"] == "none") is (state == "operational")
    found = feeds.documents(snapshot, "https://status.example")
    assert sentences.state_word(state, EN).lower() in found["/badge/deepseek.svg"][1].decode()


def test_the_icon_of_the_page_is_that_of_its_worst_service_not_of_its_first() -> None:
    snapshot = page_of(with_parts({"web": UNKNOWN}), with_parts({"web": MAJOR}, "claude"))
    assert feeds.documents(snapshot, "")["/favicon.svg"][1] == feeds.icon("major_outage")


def test_a_day_that_was_mostly_unknown_is_not_counted_as_good_for_an_hour_of_planned_work() -> None:
    day = DayBar(NOW.date(), 0.0, 0.0, 0.0, 0.0, maintenance_s=3600.0, unknown_s=82_800.0, incidents=0)
    assert parts.cell(day, EN).classes.startswith("unknown")
    assert "0 days without trouble" in parts.bars_summary("Web", [day], EN)
    assert parts.cell(replace(day, major_s=60.0), EN).classes.startswith("major_outage")


def test_a_sign_up_page_that_is_down_is_not_called_open_because_it_was_read_as_open_before() -> None:
    down = {"health": Health.MAJOR, "reason": Reason.SERVER_ERROR, "registration": open_registration(NOW)}
    shown = with_parts({"registration": down})
    part = next(part for part in shown.components if part.registration)
    assert sentences.part_word(part, EN) == sentences.state_word("major_outage", EN)
    said = sentences.service_sentence(shown, EN)
    assert "sign-up is down" in said
    assert "open" not in said
    home = render.pages(page_of(shown), Catalogue())["/"].decode()
    assert EN.of(Reason.SERVER_ERROR) in home


@pytest.mark.parametrize(
    ("states", "mark"),
    [
        ((Registration.OPEN, Registration.RESTRICTED), "partial_outage"),
        ((Registration.OPEN, Registration.CLOSED), "partial_outage"),
        ((Registration.CLOSED, Registration.CLOSED), "major_outage"),
        ((Registration.OPEN, Registration.DELAYED), "degraded_performance"),
        ((Registration.OPEN, Registration.UNKNOWN), "unknown"),
        ((Registration.OPEN, Registration.OPEN), "operational"),
    ],
)
def test_the_mark_of_a_change_of_sign_up_is_that_of_its_worst_way(
    states: tuple[Registration, Registration], mark: str
) -> None:
    cut = registration_cut()
    first = next(item for item in cut.events if isinstance(item.what, RegistrationChanged))
    assert isinstance(first.what, RegistrationChanged)
    told = tuple(
        replace(first, what=replace(first.what, method=method, after=state))
        for method, state in zip((Method.EMAIL, Method.PHONE), states, strict=True)
    )
    (entry,) = timeline.entries(replace(cut, events=told), EN, {})
    assert entry.state == mark


def test_a_stored_event_that_knows_one_log_in_of_two_does_not_say_that_log_in_works() -> None:
    base = outage()
    held = {"deepseek/login": "operational", "deepseek/login-2": "unknown"}
    facts = {"service": "deepseek", "cause": "outage", "impact": "major", "components": ["deepseek/api"]}
    happened = event(base.id, 1, base.started_at, EventKind.OPENED, reason="service.overloaded", login=held, **facts)
    (entry,) = timeline.entries(replace(base, events=(happened,)), EN, {})
    assert "Log-in" not in entry.sentence


def test_a_vendors_page_that_cannot_be_read_any_more_is_unknown_in_our_document() -> None:
    shown = with_parts({})
    assert shown.upstream is not None
    lost = replace(shown, upstream=replace(shown.upstream, failed_since=NOW))
    for seen, state in ((shown, "operational"), (lost, "unknown")):
        (row,) = json.loads(json.dumps(api.services(page_of(seen))))["services"]
        assert row["vendor_page"]["state"] == state
