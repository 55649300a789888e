"""The public page: ready bytes, complete without script, honest about its age, deaf to hostile text."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import feedparser
import httpx
import pytest
from sqlalchemy.exc import OperationalError

from dashboard import scene
from dashboard.data import STALE_AFTER, Reading, aged, last_good_path, load, save
from dashboard.web import api, feeds, render
from dashboard.web.app import PATIENCE, Site, application
from dashboard.words import speak
from monitor import clock
from monitor.core.catalogue import Policy
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health
from monitor.store.reads.views import Snapshot
from monitor.text.lexicon import Language
from tests.doors import sample
from tests.doors.hostile import hostile
from tests.doors.serving import served

PAGES = ("/", "/zh/", "/history", "/method", "/zh/method", "/incidents/outage-0127", "/zh/incidents/registration-0127")


class Elements(HTMLParser):
    """What a browser would make of a page: its tags, attributes and text."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def reading(snapshot: Snapshot) -> Reading:
    return Reading(snapshot, sample.catalogue())


def fresh(make: Callable[[datetime], Snapshot]) -> Callable[[datetime], Reading]:
    """A source whose snapshot is always of this moment."""
    return lambda now: reading(make(now))


def january_now(now: datetime) -> Snapshot:
    """January with the data of this moment."""
    ahead = sample.calm(now).maintenances
    return replace(sample.january(), taken_at=now, as_of=now - timedelta(seconds=5), maintenances=ahead)


@contextmanager
def visitor(source: Callable[[datetime], Reading], last_good: Path | None = None) -> Iterator[httpx.Client]:
    with served(application(Site(source, "https://status.example", last_good))) as client:
        yield client


@pytest.fixture
def january() -> Iterator[httpx.Client]:
    with visitor(fresh(january_now)) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_without_script_and_without_other_hosts(january: httpx.Client, path: str) -> None:
    answer = january.get(path)
    assert answer.status_code == 200
    page = Elements(answer.text)
    loaded = [
        attributes.get("src") or attributes.get("href", "")
        for tag, attributes in page.tags
        if tag in ("script", "img", "link", "iframe", "source")
    ]
    assert all(not address or address.startswith("/") for address in loaded)
    assert [tag for tag, _ in page.tags].count("h1") == 1
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert not [
        tag for tag, attributes in page.tags if "style" in attributes or any(k.startswith("on") for k in attributes)
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (Health.OPERATIONAL, Health.OPERATIONAL, "We measure the same."),
        (Health.MAJOR, Health.MAJOR, "We measure the same."),
        (Health.DEGRADED, Health.PARTIAL, "We measure trouble too: Slow or unstable."),
        (Health.MAJOR, Health.OPERATIONAL, "We measure something else."),
        (Health.OPERATIONAL, Health.MAJOR, "We measure something else."),
        (Health.UNKNOWN, Health.MAJOR, ""),
        (Health.MAJOR, Health.UNKNOWN, ""),
    ],
)
def test_a_vendor_agrees_only_where_it_says_the_same(ours: Health, theirs: Health, said: str) -> None:
    service = next(view for view in sample.calm().services if view.upstream and view.upstream.reading)
    assert service.upstream is not None
    assert service.upstream.reading is not None
    seen = replace(service.upstream, reading=replace(service.upstream.reading, indicator=theirs))
    parts = tuple(replace(part, health=ours, maintenance=False) for part in service.components)
    assert scene.agreement(replace(service, components=parts, upstream=seen), speak(Language.EN)) == said


def test_the_page_says_who_can_still_do_what(january: httpx.Client) -> None:
    text = " ".join(Elements(january.get("/").text).text)
    assert "sign-up is limited to phone numbers from China (+86)" in text
    assert "We saw it 15 min before the vendor said so" in text
    assert "limiting registrations to ensure continued service" in text
    assert "January 2025, reconstructed. This is not the present." in text


def test_language_is_chosen_by_path_or_by_query(january: httpx.Client) -> None:
    assert january.get("/zh/").text == january.get("/?lang=zh").text == january.get("/zh").text
    assert 'lang="zh-Hans"' in january.get("/zh/history").text
    assert january.get("/zh/?lang=en").text == january.get("/").text
    assert january.get("/?lang=klingon").text == january.get("/").text


@pytest.mark.parametrize(
    ("accepted", "path"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "/zh/"),
        ("en; q=0.4, zh-Hans; q=0.7", "/zh/"),
        ("de,en;q=0.5", None),
        ("zh;q=0, *", None),
        ("zh;q=often", None),
        ("", None),
    ],
)
def test_the_front_page_alone_follows_the_browsers_language(
    january: httpx.Client, accepted: str, path: str | None
) -> None:
    asked = {"accept-language": accepted}
    answer = january.get("/", headers=asked)
    assert (answer.status_code, answer.headers.get("location")) == ((302, path) if path else (200, None))
    assert "Accept-Language" in answer.headers["vary"]
    for chosen in ("/en/", "/en", "/?lang=en", "/history"):
        answer = january.get(chosen, headers=asked)
        assert answer.status_code == 200, chosen
        assert 'lang="en"' in answer.text, chosen


def test_an_unchanged_page_costs_304_and_a_changed_one_is_compressed(january: httpx.Client) -> None:
    first = january.get("/", headers={"accept-encoding": "identity"})
    packed = january.get("/", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == first.content
    same = january.get("/", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (same.status_code, same.content) == (304, b"")
    assert len(gzip.compress(first.content)) < 40_000


@pytest.mark.parametrize(
    "path", ["/nope", "/incidents/none", "/incidents/..%2f..%2fetc%2fpasswd", "/404", "/zh/404", "/badge/none.svg"]
)
def test_what_does_not_exist_is_404_and_says_where_to_go(january: httpx.Client, path: str) -> None:
    answer = january.get(path)
    assert answer.status_code == 404
    assert "passwd" not in answer.text


def test_only_reading_is_possible(january: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert january.request(method, "/", headers={"x-http-method-override": "GET"}).status_code == 405


@pytest.mark.parametrize("path", ["/", "/zh/", "/incidents/hostile", "/incidents/hostile-1", "/history", "/method"])
def test_hostile_text_is_inert_on_every_page(path: str) -> None:
    def source(now: datetime) -> Reading:
        return reading(replace(hostile(), taken_at=now, as_of=now))

    with visitor(source) as client:
        body = client.get(path).text
    page = Elements(body)
    allowed = {"html", "head", "meta", "title", "link", "style", "script", "body", "a", "header", "div", "span", "nav"}
    allowed |= {"button", "i", "main", "h1", "h2", "h3", "h4", "p", "section", "article", "ol", "ul", "li", "time", "b"}
    allowed |= {"details", "summary", "blockquote", "dl", "dt", "dd", "footer", "svg", "path", "code", "br", "table"}
    allowed |= {"thead", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in page.tags} <= allowed
    assert [tag for tag, _ in page.tags].count("script") == 1
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not attributes.get("href", "").startswith(("javascript:", "data:", "//")), tag
    assert not set(body) & {"\x00", "\x1b", "\u202e", "\u2066", "\u2069"}
    assert "49" not in "".join(text for text in page.text if "{{7*7}}" in text)


def test_the_last_good_page_survives_a_restart_with_the_database_gone(tmp_path: Path) -> None:
    kept = tmp_path / "last.json"
    with visitor(fresh(january_now), kept) as client:
        assert "Partly down" in client.get("/").text

    def gone(now: datetime) -> Reading:
        raise OperationalError("SELECT", {}, Exception(f"no database at {now}"))

    with visitor(gone, kept) as client:
        assert client.get("/healthz").json()["database_failing_since"]
        assert "sign-up is limited" in client.get("/").text
    old = reading(replace(sample.january(), as_of=clock.now() - timedelta(hours=2)))
    save(old, kept)
    with visitor(gone, kept) as client:
        text = client.get("/").text
    assert "We cannot tell: our data stopped 2 h ago." in text
    assert "Everything below is shown as unknown" in text
    assert "Partly down" not in text


def test_a_database_that_is_not_there_yet_is_no_news_until_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    def gone(now: datetime) -> Reading:
        raise OperationalError("SELECT", {}, Exception("no such table"))

    begun = clock.now()
    site = Site(gone, "http://127.0.0.1", None)
    site.start(begun)
    site.refresh(begun + PATIENCE / 2)
    assert not caplog.records
    site.refresh(begun + PATIENCE)
    site.refresh(begun + PATIENCE * 2)
    assert [record.getMessage() for record in caplog.records] == [
        "Database cannot be read; showing the last reading: OperationalError"
    ]
    site.source = fresh(january_now)
    site.refresh(begun + PATIENCE * 3)
    site.source = gone
    site.refresh(begun + PATIENCE * 4)
    assert len(caplog.records) == 2  # a database that goes away is told at once


def test_a_reading_that_cannot_be_drawn_does_not_end_all_drawing(caplog: pytest.LogCaptureFixture) -> None:
    now = clock.now()
    whole = january_now(now)
    site = Site(lambda _: reading(replace(whole, services=(None,))), "http://127.0.0.1", None)  # type: ignore[arg-type]  # on purpose
    site.start(now)
    assert "Rendering failed" in caplog.text
    site.source = fresh(january_now)
    site.refresh(now)
    assert b"Partly down" in site.answers["/"].body


def test_without_any_data_the_page_says_what_to_do(tmp_path: Path) -> None:
    def gone(now: datetime) -> Reading:
        raise OperationalError("SELECT", {}, Exception(f"no database at {now}"))

    with visitor(gone, tmp_path / "none.json") as client:
        assert "chatwatch check" in client.get("/").text
    with visitor(fresh(sample.empty)) as client:
        page = client.get("/").text
    assert "chatwatch up" in page
    assert "secret DEEPSEEK_API_KEY is not set" in page


def test_each_database_has_its_own_last_good_page() -> None:
    first, second = (last_good_path(f"sqlite:///some/where/{name}.db") for name in ("a", "b"))
    assert first.parent == second.parent == Path("some/where/web")
    assert first != second
    assert "secret" not in str(last_good_path("postgresql://user:secret@db/chatwatch"))


def test_a_torn_file_of_the_last_run_is_ignored(tmp_path: Path) -> None:
    kept = tmp_path / "last.json"
    save(reading(sample.january()), kept)
    assert load(kept) == reading(sample.january())
    kept.write_bytes(kept.read_bytes()[:500])
    assert load(kept) is None


def test_data_past_its_limit_is_shown_as_unknown() -> None:
    base = replace(sample.january(), as_of=sample.NOW)
    young = aged(reading(base), sample.NOW + STALE_AFTER).snapshot
    old = aged(reading(base), sample.NOW + STALE_AFTER + timedelta(seconds=1)).snapshot
    assert (young.stale, old.stale) == (False, True)
    assert {str(part.health) for service in old.services for part in service.components} == {"unknown"}


def test_blindness_is_a_banner_with_its_reason() -> None:
    def source(now: datetime) -> Reading:
        return reading(replace(sample.blind(), taken_at=now, as_of=now))

    with visitor(source) as client:
        text = " ".join(Elements(client.get("/").text).text)
        status = client.get("/api/v2/status.json").json()
    assert "our own network is down" in text
    assert "all controls failed" in text
    assert status["status"] == {"indicator": "minor", "description": "We cannot tell", "chatwatch_state": "unknown"}


def test_a_location_that_sees_nothing_is_told_while_others_see() -> None:
    blind = {"blind_since": sample.NOW - timedelta(minutes=4), "blind_reason": "all controls failed"}
    seeing = replace(sample.worker(sample.NOW), location="tokyo")
    partly = replace(sample.calm(), workers=(sample.worker(sample.NOW, **blind), seeing))
    helped = replace(partly, workers=(*partly.workers, sample.worker(sample.NOW)))
    for snapshot, banner in ((partly, True), (helped, False), (replace(partly, stale=True), False)):
        text = " ".join(Elements(dict(render.pages(snapshot, sample.catalogue()))["/"].decode()).text)
        assert ("We cannot see from frankfurt since" in text) is banner


def test_the_method_page_has_every_reason_outcome_and_threshold(january: httpx.Client) -> None:
    body = january.get("/method").text
    for name in [*(str(item) for item in (*Reason, *Outcome)), *(field.name for field in fields(Policy))]:
        if name != "ok":
            assert f"<code>{name}</code>" in body, name
    assert "1 min for deepseek-api" in body


# --- programs ---------------------------------------------------------------------------------------------------------

COMPONENT_KEYS = {
    "id", "name", "status", "created_at", "updated_at", "position", "description", "showcase", "start_date",
    "group_id", "page_id", "group", "only_show_if_degraded", "chatwatch_state",
}  # fmt: skip
INCIDENT_KEYS = {
    "id", "name", "status", "created_at", "updated_at", "monitoring_at", "resolved_at", "impact", "shortlink",
    "started_at", "page_id", "incident_updates", "components",
}  # fmt: skip


def document(client: httpx.Client, name: str) -> dict[str, Any]:
    answer = client.get(f"/api/v2/{name}.json")
    assert answer.headers["access-control-allow-origin"] == "*"
    body: dict[str, Any] = answer.json()
    assert set(body["page"]) == {"id", "name", "url", "time_zone", "updated_at"}
    return body


def test_the_summary_speaks_statuspage(january: httpx.Client) -> None:
    body = document(january, "summary")
    assert body["status"] == {
        "indicator": "major",
        "description": "Partial System Outage",
        "chatwatch_state": "partial_outage",
    }
    assert all(set(row) - {"components"} == COMPONENT_KEYS for row in body["components"])
    assert {row["id"]: row["status"] for row in body["components"]}["deepseek-web"] == "partial_outage"
    assert [row["id"] for row in body["incidents"]] == ["registration-0127", "outage-0127"]
    for row in body["incidents"]:
        assert set(row) == INCIDENT_KEYS
        times = [update["display_at"] for update in row["incident_updates"]]
        assert times == sorted(times, reverse=True)
        assert row["incident_updates"][-1]["status"] == "investigating"
    assert [row["status"] for row in body["scheduled_maintenances"]] == ["scheduled"]


def test_lists_hold_what_their_names_say(january: httpx.Client) -> None:
    assert len(document(january, "incidents")["incidents"]) == 3
    assert len(document(january, "incidents/unresolved")["incidents"]) == 2
    assert len(document(january, "scheduled-maintenances/upcoming")["scheduled_maintenances"]) == 1
    assert document(january, "scheduled-maintenances/active")["scheduled_maintenances"] == []
    resolved = document(january, "incidents")["incidents"][-1]
    assert resolved["resolved_at"] == "2025-01-25T08:10:00.000Z"
    assert resolved["monitoring_at"] == "2025-01-25T08:08:00.000Z"


def test_what_we_cannot_tell_is_the_mildest_word_that_statuspage_knows_with_the_truth_beside_it() -> None:
    body = json.loads(api.documents(sample.stale(), "https://status.example")["/api/v2/summary.json"])
    assert body["status"]["indicator"] == "minor"
    assert {row["status"] for row in body["components"]} == {"degraded_performance"}
    assert {row["chatwatch_state"] for row in (body["status"], *body["components"])} == {"unknown"}
    assert all("e cannot tell" in row["description"] for row in (body["status"], *body["components"]))


def test_a_component_that_is_judged_by_its_status_alone_says_that_its_page_is_being_learned() -> None:
    calm = sample.calm()
    service, *others = calm.services
    part, *rest = service.components
    components = (replace(part, learning=True), *(replace(item, learning=False) for item in rest))
    snapshot = replace(calm, services=(replace(service, components=components), *others))
    documents = api.documents(snapshot, "https://status.example")
    for name in ("summary", "components"):
        told = {row["id"]: row["description"] for row in json.loads(documents[f"/api/v2/{name}.json"])["components"]}
        assert told[scene.slug(part.id)].startswith("learning: "), name
        assert [told[scene.slug(item.id)] for item in rest] == [None] * len(rest)


def test_our_own_document_has_what_statuspage_has_no_words_for(january: httpx.Client) -> None:
    body = january.get("/api/v1/services.json").json()
    parts = {part["id"]: part for service in body["services"] for part in service["components"]}
    phone = next(way for way in parts["deepseek/registration"]["registration"] if way["method"] == "phone")
    assert (phone["state"], phone["country_codes"]) == ("restricted", ["86"])
    assert parts["deepseek/api"]["latency"]["what"] == "ttft"
    uptime = parts["deepseek/web"]["uptime"]
    assert parts["deepseek/web"]["error_budget"]["target_ratio"] == 0.99
    assert parts["deepseek/web"]["error_budget"]["left_ratio"] < 1
    whole = sum(uptime[key] for key in ("up_s", "degraded_s", "down_s", "maintenance_s", "unknown_s"))
    assert whole == pytest.approx(uptime["window_s"])


@pytest.mark.parametrize("snapshot", [sample.january(), hostile(), sample.calm()], ids=["january", "hostile", "calm"])
def test_feeds_are_well_formed(snapshot: Snapshot) -> None:
    with visitor(lambda now: reading(replace(snapshot, taken_at=now, as_of=now))) as client:
        for path in ("/feed.atom", "/feed.rss"):
            feed = feedparser.parse(client.get(path).content)
            assert not feed.bozo, feed.get("bozo_exception")
            assert len(feed.entries) == len(snapshot.open_incidents) + len(snapshot.past_incidents)
        lines = client.get("/calendar.ics").content.split(b"\r\n")
        assert lines[0] == b"BEGIN:VCALENDAR"
        assert max(map(len, lines)) <= 75


CALENDAR = re.compile(rb"(BEGIN|END|VERSION|PRODID|X-WR-CALNAME|UID|DTSTAMP|DTSTART|DTEND|SUMMARY|DESCRIPTION|URL):| ")


def test_hostile_text_is_inert_in_badges_feeds_and_the_calendar() -> None:
    """A badge names its service and holds nothing but shapes and text; no line of a calendar is anybody else's."""
    found = feeds.documents(hostile(), "https://status.example")
    drawn = {"svg", "title", "rect", "path", "g", "text"}
    for path in (path for path in found if path.startswith("/badge/")):
        root = ElementTree.fromstring(found[path][1])
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= drawn, path
        assert set(root.attrib) == {"width", "height", "role", "aria-label"}, path
    assert any(b"onerror" in body for path, (_, body) in found.items() if path.startswith("/badge/"))
    for path in ("/feed.atom", "/feed.rss"):
        for element in ElementTree.fromstring(found[path][1]).iter():
            words = element.text or ""
            assert not Elements(words).tags if element.tag == "description" else True, path
            assert not set(words) & {"\x00", "\x1b", "\u202e"}, path
    lines = found["/calendar.ics"][1].split(b"\r\n")
    assert all(CALENDAR.match(line) for line in lines[:-1])
    assert not any(b"\n" in line or b"\x1b" in line for line in lines)
    assert sum(line == b"BEGIN:VEVENT" for line in lines) == len(hostile().maintenances)


def test_a_badge_says_name_and_state(january: httpx.Client) -> None:
    answer = january.get("/badge/deepseek.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "DeepSeek: partly down" in answer.text


def test_odd_ids_become_safe_ones() -> None:
    assert scene.slug("deepseek/web") == "deepseek-web"
    assert re.fullmatch(r"[0-9a-f]{16}", scene.slug("../../etc/passwd\n"))


def test_health_tells_the_age_of_the_data(january: httpx.Client) -> None:
    body = january.get("/healthz").json()
    assert body["serving"] is True
    assert 0 <= body["data_age_s"] < 60
