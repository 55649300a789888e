"""A timeline is told in the order in which things became known, and its newest line is what the incident is now."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dashboard import timeline
from dashboard.web import api, feeds
from dashboard.words import speak
from monitor.core.model.incident_events import Cause, EventKind
from monitor.core.model.states import IncidentStatus
from monitor.store.reads.views import IncidentView
from monitor.text.lexicon import Language
from tests.doors import sample
from tests.doors.sample_story import at, event, incident

EN = speak(Language.EN)
API = {"component": "deepseek/api", "health": "major_outage"}
OPENED = event("i", 1, at("01-27 10:00"), EventKind.OPENED, components=["deepseek/api"], impact="critical")


def story(*more: tuple[str, EventKind, str, dict[str, Any]], **settings: Any) -> IncidentView:
    """An outage of the API; each further event happened at a time and is known 20 s later."""
    events = [event("i", n, at(f"01-27 {when}"), kind, by, **data) for n, (when, kind, by, data) in enumerate(more, 2)]
    return incident("i", Cause.OUTAGE, [OPENED, *events], components=("deepseek/api",), **settings)


def updates(view: IncidentView) -> list[dict[str, Any]]:
    snapshot = replace(sample.january(), open_incidents=(view,), past_incidents=())
    answer = json.loads(api.documents(snapshot, "https://status.example")["/api/v2/incidents.json"])
    found: list[dict[str, Any]] = answer["incidents"][0]["incident_updates"]
    return found


def test_what_is_learned_later_stands_where_it_was_learned_and_says_since_when_it_was_so() -> None:
    view = story(("10:30", EventKind.RECOVERING, "", {}), ("10:20", EventKind.RELAPSED, "", API))
    late = replace(view.events[2], recorded_at=at("01-27 10:40"))
    view = replace(view, events=(*view.events[:2], late))
    told = timeline.entries(view, EN, {})
    assert [entry.seq for entry in told] == [1, 2, 3]
    assert (told[-1].at, told[-1].since) == (at("01-27 10:40"), at("01-27 10:20"))
    assert timeline.text_of(told[-1], EN) == "It came back: API is down. (since 27 Jan, 10:20 UTC)"
    assert timeline.text_of(told[-1], speak(Language.ZH)).endswith("(始于 1月27日 10:20 UTC)")
    assert [row["status"] for row in updates(view)] == ["investigating", "monitoring", "investigating"]
    assert b"(since 27 Jan, 10:20 UTC)" in feeds.atom(
        replace(sample.january(), open_incidents=(view,)), "https://status.example"
    )


def test_a_moment_within_the_minute_in_which_it_was_known_is_not_told_twice() -> None:
    (entry,) = timeline.entries(story(), EN, {})
    assert entry.since is None


def test_no_entry_is_earlier_than_the_one_before_it() -> None:
    view = story(("10:30", EventKind.RECOVERING, "", {}))
    late = replace(view.events[0], recorded_at=at("01-27 11:00"))
    told = timeline.entries(replace(view, events=(late, view.events[1])), EN, {})
    assert [entry.at for entry in told] == [at("01-27 11:00")] * 2
    rows = updates(replace(view, events=(late, view.events[1])))
    assert [row["display_at"] for row in rows] == sorted((row["display_at"] for row in rows), reverse=True)


def test_a_persons_status_outlives_good_looks_in_the_updates_as_in_the_incident() -> None:
    named = ("10:10", EventKind.NOTE, "alice", {"text": "A gateway.", "status": "identified"})
    view = story(named, ("10:30", EventKind.RECOVERING, "", {}), status=IncidentStatus.IDENTIFIED)
    assert [row["status"] for row in updates(view)] == ["identified", "identified", "investigating"]


def test_an_update_keeps_its_id_when_others_come() -> None:
    short = story(("10:30", EventKind.RECOVERING, "", {}))
    longer = story(("10:30", EventKind.RECOVERING, "", {}), ("10:32", EventKind.RELAPSED, "", API))
    assert [row["id"] for row in updates(longer)][1:] == [row["id"] for row in updates(short)]


def test_an_event_that_a_reader_may_not_see_leaves_the_status_of_the_others_right() -> None:
    view = story(("10:30", EventKind.RECOVERING, "", {}), ("10:32", EventKind.RELAPSED, "", API))
    known = timedelta(seconds=20)
    assert [entry.at for entry in timeline.entries(view, EN, {})] == [item.at + known for item in view.events]
    cut = replace(view, events=(view.events[0], view.events[2]))
    assert [row["status"] for row in updates(cut)] == ["investigating", "investigating"]
