"""What no look of ours judges is said to be that, and makes neither its service nor the page grey."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dashboard import sentences
from dashboard.web import api, render
from dashboard.words import speak
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.store.reads.views import Snapshot, UpstreamView
from monitor.text.lexicon import Language
from tests.doors import sample

NOW = sample.NOW
UNSEEN: dict[str, Any] = {"watched": False, "health": Health.UNKNOWN, "since": None, "registration": None}
WORDS = speak(Language.EN)


def snapshot() -> Snapshot:
    """One service whose registration nobody can see, and one of which only the vendor's word is known."""
    calm = sample.calm()
    said = UpstreamReading(
        "statuspage", "https://status.x.example/", Health.MAJOR, mapped={"copilot/api": Health.MAJOR}
    )
    seen = UpstreamView(said, NOW - timedelta(seconds=70), None, Reason.OK)
    half = sample.service("qwen", "Qwen", NOW)
    half = replace(half, components=tuple(replace(c, **UNSEEN) if "registr" in c.id else c for c in half.components))
    told = sample.service("copilot", "Copilot", NOW, upstream=seen)
    told = replace(told, components=tuple(replace(part, **UNSEEN) for part in told.components))
    return replace(calm, services=(half, told))


def test_a_registration_that_cannot_be_seen_makes_nothing_grey_and_says_so() -> None:
    found = snapshot()
    assert sentences.service_state(found.services[0]) == "operational"
    assert sentences.page_state(found) == "operational"
    (line,) = sentences.headline(found, WORDS)
    assert (line.state, line.text) == ("operational", "Qwen is working normally."), (
        "and not all: nobody saw Copilot work"
    )
    page = render.pages(found, sample.catalogue())["/"].decode()
    assert page.count("This vendor&#39;s registration cannot be seen from outside.") == 2
    assert "从外部看不到这家厂商的注册状态。" in render.pages(found, sample.catalogue())["/zh/"].decode()


def test_the_vendors_word_on_what_we_do_not_watch_is_quoted_and_judges_nothing() -> None:
    copilot = snapshot().services[1]
    api_part = next(part for part in copilot.components if part.id == "copilot/api")
    said = sentences.unwatched_sentence(api_part, copilot, WORDS)
    assert said == "We do not look at this ourselves. The vendor's page says: Down"
    assert sentences.part_word(api_part, WORDS) == "Not watched"
    assert sentences.unwatched_sentence(snapshot().services[0].components[0], copilot, WORDS) == ""


def test_statuspages_readers_hear_only_of_what_is_judged_and_our_own_document_tells_the_rest() -> None:
    documents = api.documents(snapshot(), "https://status.example/")
    rows = json.loads(documents["/api/v2/components.json"])["components"]
    assert [row["id"] for row in rows if row["group"]] == ["qwen"]
    assert not [row for row in rows if "registration" in row["id"]]
    own = json.loads(documents["/api/v1/services.json"])["services"]
    assert [part["watched"] for part in own[1]["components"]] == [False] * 4
    assert {part["id"]: part["watched"] for part in own[0]["components"]}["qwen/registration"] is False


def test_a_page_with_nothing_that_we_judge_says_that_nothing_is_watched() -> None:
    found = replace(snapshot(), services=snapshot().services[1:])
    assert sentences.page_state(found) == "unknown"
    assert sentences.headline(found, WORDS)[0].text == "Nothing is being watched yet."
