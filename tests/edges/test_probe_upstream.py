"""Each reader of a vendor's status page against the real shape, and against what pages turn into."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.core.codec import dumps_result, loads_result
from monitor.core.model.observations import Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamReading
from monitor.probes.upstream.mapping import mapped
from monitor.probes.upstream.parts import INCIDENTS, Look, UnreadableError
from monitor.probes.upstream.platforms import PLATFORMS
from monitor.probes.upstream.probe import Options
from monitor.probes.upstream.statuspages import endpoints, page_of
from monitor.simulator.play import serve as serve_vendor
from tests.edges import driven
from tests.edges.site import HTML, JSON, NOW, Page, fixture, fixture_json, look_at, serve

MAIN = {
    "statuspage": ("/api/v2/summary.json", "statuspage_summary.json"),
    "incident_io": ("/proxy/127.0.0.1", "incident_io_summary.json"),
    "instatus": ("/summary.json", "instatus_summary.json"),
    "better_stack": ("/index.json", "better_stack_index.json"),
    "google_cloud": ("/incidents.json", "google_incidents.json"),
    "feed": ("/", "feed_xai.xml"),
    "flashduty": ("/", "flashduty_active.json"),
    "datadog": ("/config.json", "datadog_config.json"),
    "cloudflare_status": ("/api/v3/summary", "cloudflare_summary.json"),
    "aws_health": ("/public/events", "aws_events.json"),
}
CHAT, API = "01KY4ND2PNYT9FY5W4ZH80VGJ4", "01KY4MVS8BM3F9JSYWACGQVG7A"
GEMINI = "Z0FZJAMvEB4j3NbCJs6B"
READERS = {name: platform.read for name, platform in PLATFORMS.items()}
google_cloud, feed, flashduty = READERS["google_cloud"], READERS["feed"], READERS["flashduty"]


def new_look(provider: str = "statuspage", *watched: str) -> Look:
    return Look(NOW, "https://status.example", provider, watched)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, 22, hour, minute, second, tzinfo=UTC)


def test_every_platform_has_a_recorded_answer() -> None:
    assert set(MAIN) == set(PLATFORMS)


# What each reader sees


def test_statuspage_keeps_each_components_own_state_and_skips_groups() -> None:
    reading = READERS["statuspage"](fixture_json("statuspage_summary.json"), new_look())
    assert reading.indicator is Health.PARTIAL
    assert reading.components == {
        "rwppv331jlwc": Health.PARTIAL,
        "0qbwn08sd68x": Health.OPERATIONAL,
        "k8w3r06qmzrp": Health.DEGRADED,
        "yyzkbfz2thpt": Health.OPERATIONAL,
    }
    assert reading.component_names["rwppv331jlwc"] == "claude.ai"
    assert str(reading.page_updated_at) == "2026-11-22 13:40:10.101000+00:00"


def test_statuspage_incidents_have_their_updates_newest_first() -> None:
    look = new_look()
    reading = READERS["statuspage"](fixture_json("statuspage_summary.json"), look)
    assert not look.odd
    incident, maintenance = reading.incidents
    assert (incident.id, incident.status, incident.impact) == ("461yvfrzpwtt", IncidentStatus.IDENTIFIED, Impact.MAJOR)
    assert incident.url == "https://stspg.io/9xz4hhmd1jzn"
    assert [update.at for update in incident.updates] == [at(13, 40, 10), at(13, 28)]
    assert incident.components == ("rwppv331jlwc", "k8w3r06qmzrp")
    assert (maintenance.id, maintenance.status, maintenance.impact) == ("m1", None, Impact.NONE)


def test_the_shim_of_a_moved_page_gives_its_words_but_no_components() -> None:
    look = new_look()
    reading = READERS["statuspage"](fixture_json("statuspage_shim.json"), look)
    assert (reading.indicator, reading.components) == (Health.DEGRADED, {})
    assert reading.incidents[0].status is IncidentStatus.IDENTIFIED
    assert "upstream.no_components" in look.odd


def test_a_rootly_page_gives_its_indicator_and_incidents() -> None:
    look = new_look()
    page: dict[str, Any] = {"page": {"name": "M"}, "status": {"indicator": "minor"}, "incidents": []}
    reading = READERS["statuspage"](page, look)
    assert (reading.indicator, reading.components) == (Health.DEGRADED, {})
    assert "upstream.no_components" in look.odd
    for missing in ("status", "incidents"):
        with pytest.raises(UnreadableError):
            READERS["statuspage"]({key: value for key, value in page.items() if key != missing}, new_look())


def test_incident_io_takes_an_absent_component_for_healthy() -> None:
    reading = READERS["incident_io"](fixture_json("incident_io_summary.json"), new_look("incident_io"))
    assert reading.indicator is Health.MAJOR
    assert reading.components["01CONV"] is Health.MAJOR
    assert reading.components["01LOGIN"] is Health.OPERATIONAL
    (incident,) = reading.incidents
    assert (incident.status, incident.impact) == (IncidentStatus.IDENTIFIED, Impact.CRITICAL)
    assert [update.body for update in incident.updates] == [
        "We are implementing a **mitigation**.",
        "We are investigating.",
    ]
    assert incident.url == "https://status.example/incidents/01JN2BQN4N618RG49BPMBDQGWZ"


def test_the_documented_widget_of_incident_io_is_read_too() -> None:
    incident = {
        "id": "01K",
        "name": "Slow answers",
        "status": "identified",
        "url": "https://status.example/incidents/01K",
        "last_update_at": "2026-11-22T14:30:00Z",
        "last_update_message": "A fix is being made.",
        "current_worst_impact": "partial_outage",
        "affected_components": [{"id": "c1", "name": "API", "group_name": "APIs", "current_status": "partial_outage"}],
    }
    page = {"page_title": "Example", "page_url": "https://status.example", "ongoing_incidents": [incident]}
    reading = READERS["incident_io"](page, new_look("incident_io"))
    assert (reading.indicator, reading.components) == (Health.PARTIAL, {"c1": Health.PARTIAL})
    assert reading.incidents[0].updates[0].body == "A fix is being made."
    quiet = READERS["incident_io"](page | {"ongoing_incidents": []}, new_look("incident_io"))
    assert quiet.indicator is Health.OPERATIONAL
    with pytest.raises(UnreadableError):
        READERS["incident_io"](page | {"ongoing_incidents": None}, new_look("incident_io"))
    assert endpoints("incident_io", "https://s.example/api/v1/summary")[:2] == ("https://s.example/api/v1/summary", "")


@pytest.mark.parametrize("key", ["components", "affected_components", "ongoing_incidents"])
@pytest.mark.parametrize("value", [None, "none", {}, ...])
def test_incident_io_without_a_list_that_decides_is_unreadable_not_green(key: str, value: object) -> None:
    document = fixture_json("incident_io_summary.json")
    if value is ...:
        del document["summary"][key]
    else:
        document["summary"][key] = value
    with pytest.raises(UnreadableError):
        READERS["incident_io"](document, new_look())


def test_instatus_has_an_incident_without_text() -> None:
    reading = READERS["instatus"](fixture_json("instatus_summary.json"), new_look("instatus"))
    assert reading.indicator is Health.DEGRADED
    (incident,) = reading.incidents
    assert (incident.status, incident.impact) == (IncidentStatus.IDENTIFIED, Impact.MAJOR)
    assert [(update.at, update.body) for update in incident.updates] == [(at(14, 30), "")]


def test_better_stack_does_not_take_unmonitored_for_down() -> None:
    look = new_look("better_stack")
    reading = READERS["better_stack"](fixture_json("better_stack_index.json"), look)
    assert reading.indicator is Health.DEGRADED
    assert reading.components == {"r1": Health.MAJOR, "r2": Health.OPERATIONAL, "r3": Health.UNKNOWN}
    running, over = reading.incidents
    assert (running.name, running.impact, running.components) == ("Chat API errors", Impact.CRITICAL, ("r1",))
    assert running.updates[0].body == "We are looking into it."
    assert (over.status, over.resolved_at) == (IncidentStatus.RESOLVED, datetime(2026, 11, 20, 15, tzinfo=UTC))
    assert not look.odd


def test_google_cloud_is_read_for_the_products_that_concern_us() -> None:
    reading = google_cloud(fixture_json("google_incidents.json"), new_look("google_cloud", GEMINI, "Cloud SQL"))
    assert reading.indicator is Health.PARTIAL
    assert reading.components == {GEMINI: Health.PARTIAL, "Cloud SQL": Health.OPERATIONAL}
    assert [incident.id for incident in reading.incidents] == ["abc", "old"]
    assert reading.incidents[0].url == "https://status.example/incidents/abc"
    everything = google_cloud(fixture_json("google_incidents.json"), new_look("google_cloud"))
    assert everything.indicator is Health.MAJOR


def test_google_clouds_incidents_are_over_when_they_have_an_end_whatever_their_last_word() -> None:
    rows = fixture_json("google_incidents.json")
    rows[0] |= {"end": "2026-11-22T14:30:00+00:00"}
    reading = google_cloud(rows, new_look("google_cloud", GEMINI))
    assert (reading.indicator, reading.components) == (Health.OPERATIONAL, {GEMINI: Health.OPERATIONAL})
    assert {incident.status for incident in reading.incidents} == {IncidentStatus.RESOLVED}


def test_a_better_stack_report_of_maintenance_is_no_incident_with_a_status() -> None:
    page = fixture_json("better_stack_index.json")
    for row in page["included"]:
        if row["id"] == "p1":
            row["attributes"] |= {"report_type": "maintenance", "aggregate_state": "maintenance"}
    running, _ = READERS["better_stack"](page, new_look("better_stack")).incidents
    assert (running.name, running.status, running.impact) == ("Chat API errors", None, Impact.NONE)


def test_a_feed_groups_entries_of_one_incident_and_finds_the_watched_parts() -> None:
    look = new_look("feed", "api.x.ai", "grok.com", "Voice")
    reading = feed(fixture("feed_xai.xml"), look)
    assert reading.indicator is Health.PARTIAL
    assert reading.components == {
        "Global (api.x.ai)": Health.PARTIAL,
        "api.x.ai": Health.PARTIAL,
        "grok.com": Health.PARTIAL,
        "Voice": Health.OPERATIONAL,
    }
    running, over = reading.incidents
    assert (running.id, running.status) == ("INC1", IncidentStatus.INVESTIGATING)
    assert running.components == ("Global (api.x.ai)", "grok.com", "api.x.ai")
    assert running.name == "Outages across API and Grok"
    assert over.status is IncidentStatus.RESOLVED
    assert not look.odd


def test_a_statuspage_feeds_newest_word_is_its_status() -> None:
    reading = feed(fixture("feed_statuspage.atom"), new_look("feed"))
    assert reading.indicator is Health.OPERATIONAL
    assert reading.incidents[0].status is IncidentStatus.RESOLVED
    assert reading.page_updated_at == at(14, 50)


def test_an_aws_feed_tells_resolved_by_its_title_and_forgets_what_is_old() -> None:
    reading = feed(fixture("feed_aws.rss"), new_look("feed"))
    assert [(incident.name, incident.status) for incident in reading.incidents] == [
        ("Service degradation: Increased error rates", None),
        ("Increased latency", IncidentStatus.RESOLVED),
    ]
    assert reading.indicator is Health.DEGRADED


def test_an_empty_feed_is_not_green() -> None:
    look = new_look("feed", "API")
    reading = feed(b'<rss version="2.0"><channel><title>x</title></channel></rss>', look)
    assert reading.indicator is Health.UNKNOWN
    assert reading.components == {"API": Health.UNKNOWN}
    assert "upstream.empty_feed" in look.odd


def test_a_feed_is_never_taken_for_a_files_name(tmp_path: Any) -> None:
    secret = tmp_path / "feed.xml"
    secret.write_bytes(fixture("feed_xai.xml"))
    for body in (str(secret).encode(), b"/etc/passwd", b"http://127.0.0.1:1/"):
        with pytest.raises(UnreadableError):
            feed(body, new_look("feed"))


@pytest.mark.parametrize(
    "body",
    [
        b'<rss version="2.0" ' + b" ".join(b'a%d="x"' % n for n in range(20_000)) + b"><channel></channel></rss>",
        b'<rss version="2.0"><channel>' + b"<item><a>" * 50_000,
        b'<?xml version="1.0" encoding="punycode"?><rss version="2.0"><channel>-' + b"b9" * 100_000,
        b"<?xml version='1.0'  encoding = 'unicode_escape' ?><rss version='2.0'><channel>\\N{" + b"x" * 100_000,
        b'<rss version="2.0"><channel>' + b"<a>" * 20_000,
    ],
    ids=[
        "many attributes",
        "entries without end",
        "a slow encoding",
        "an encoding of Python's own",
        "nothing but tags",
    ],
)
def test_what_would_keep_the_feed_parser_busy_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        feed(body, new_look("feed"))


def test_a_feed_of_marked_up_entries_is_read() -> None:
    text = b"<content type='xhtml'><div>" + b"<p>All <b>good</b> <i>again</i></p>" * 60 + b"</div></content>"
    entry = b"<entry><id>%d</id><title>Resolved</title><updated>2026-11-22T14:00:00Z</updated>" + text + b"</entry>"
    body = b'<feed xmlns="http://www.w3.org/2005/Atom">' + b"".join(entry % n for n in range(50)) + b"</feed>"
    assert len(feed(body, new_look("feed")).incidents) == 5


def test_a_feed_is_cut_after_its_newest_entries_and_stays_whole() -> None:
    entry = b"<item><title>[RESOLVED] n</title><guid>g%d</guid><pubDate>Sun, 22 Nov 2026 14:00:00 GMT</pubDate></item>"
    body = b'<rss version="2.0"><channel>' + b"".join(entry % n for n in range(20_000)) + b"</channel></rss>"
    reading = feed(body, new_look("feed"))
    assert reading.indicator is Health.OPERATIONAL
    assert len(reading.incidents) == 5


def test_flashdutys_document_and_page_are_both_read() -> None:
    document = flashduty(fixture("flashduty_active.json"), new_look("flashduty"))
    assert document.indicator is Health.DEGRADED
    assert document.components[API] is Health.DEGRADED
    assert document.components[CHAT] is Health.OPERATIONAL
    assert document.incidents[0].status is IncidentStatus.IDENTIFIED
    assert "已定位原因" in document.incidents[0].updates[0].body
    page = flashduty(fixture("flashduty_page.html"), new_look("flashduty"))
    assert page.components[CHAT] is Health.PARTIAL
    assert page.components[API] is Health.OPERATIONAL
    assert page.indicator is Health.PARTIAL
    assert page.incidents[0].status is IncidentStatus.RESOLVED


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"<html>DeepSeek</html>",
        b'{"data":{"page":{"components":[]}}}',
        b'<script>self.__next_f.push([1,"x"])</script>',
        b"self.__next_f.push([1," * 500_000,
        b'self.__next_f.push([1,"\\"initialData\\":{"])' * 200_000,
    ],
    ids=lambda body: body[:30],
)
@pytest.mark.timeout(60)  # naming the place of each fault would take minutes
def test_flashduty_without_its_data_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        flashduty(body, new_look("flashduty"))


# What pages turn into: rows 58 to 60 of the catalogue of faults


def bent(change: Callable[[dict[str, Any]], Any]) -> tuple[UpstreamReading, Look]:
    document = fixture_json("statuspage_summary.json")
    document["scheduled_maintenances"] = []
    change(document)
    look = new_look()
    return READERS["statuspage"](document, look), look


def test_an_unknown_status_word_is_unknown_and_noted() -> None:
    reading, look = bent(lambda d: d["components"][0].update(status="on_fire"))
    assert reading.components["rwppv331jlwc"] is Health.UNKNOWN
    assert "upstream.unknown_word" in look.odd


def test_maintenance_is_neither_green_nor_red() -> None:
    reading, look = bent(lambda d: d["components"][0].update(status="under_maintenance"))
    assert reading.components["rwppv331jlwc"] is Health.UNKNOWN
    assert "upstream.maintenance" in look.odd


def test_times_in_the_future_are_not_believed() -> None:
    reading, look = bent(lambda d: d["incidents"][0].update(started_at="2031-01-01T00:00:00Z"))
    assert reading.incidents[0].started_at == at(13, 28)
    assert "upstream.bad_time" in look.odd


def test_a_time_without_zone_is_utc() -> None:
    reading, _ = bent(lambda d: d["incidents"][0].update(started_at="2026-11-22T13:00:00"))
    assert reading.incidents[0].started_at == at(13)


def test_updates_out_of_order_are_sorted() -> None:
    reading, _ = bent(lambda d: d["incidents"][0]["incident_updates"].reverse())
    assert [update.at for update in reading.incidents[0].updates] == [at(13, 40, 10), at(13, 28)]


def test_of_incidents_with_one_id_the_newest_word_counts() -> None:
    def double(document: dict[str, Any]) -> None:
        old = document["incidents"][0] | {"name": "Old", "updated_at": "2026-11-01T00:00:00Z", "incident_updates": []}
        document["incidents"].append(old | {"started_at": "2026-11-01T00:00:00Z"})

    reading, look = bent(double)
    assert [incident.name for incident in reading.incidents] == ["Elevated errors for multiple models"]
    assert "upstream.duplicate_id" in look.odd


def test_a_component_listed_twice_keeps_its_worst_state() -> None:
    reading, look = bent(lambda d: d["components"].append(d["components"][0] | {"status": "operational"}))
    assert reading.components["rwppv331jlwc"] is Health.PARTIAL
    assert "upstream.duplicate_id" in look.odd


def test_an_incident_without_any_time_is_dropped_with_a_warning() -> None:
    def timeless(document: dict[str, Any]) -> None:
        document["incidents"] = [{"id": "x", "name": "When?", "status": "investigating"}]

    reading, look = bent(timeless)
    assert reading.incidents == ()
    assert "upstream.incident_dropped" in look.odd


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) ![](https://evil.example/beacon) "
    "\u202etxt.exe\u200b \x00\x1b[31mred\x07 {{7*7}} |a|b|\n|-|-| /etc/passwd =cmd|' /C calc'!A0 \ud800"
)


def test_hostile_text_is_one_printable_bounded_line_and_survives_the_spool() -> None:
    def hostile(document: dict[str, Any]) -> None:
        incident = document["incidents"][0]
        incident |= {"name": HOSTILE * 20, "shortlink": "javascript:alert(1)"}
        incident["incident_updates"][0]["body"] = HOSTILE * 500
        document["components"][0]["name"] = HOSTILE * 50

    document = fixture_json("statuspage_summary.json")
    hostile(document)
    reading = READERS["statuspage"](document, new_look())
    incident = reading.incidents[0]
    for text, limit in (
        (incident.name, 200),
        (incident.updates[0].body, 1000),
        (reading.component_names["rwppv331jlwc"], 200),
    ):
        assert 0 < len(text) <= limit
        assert text.isprintable()
        assert not {"\u202e", "\u200b", "\x00", "\x1b", "\n", "\ud800"} & set(text)
    assert incident.url == ""
    assert reading.incidents[0].updates[0].body.encode()


def test_counts_are_bounded() -> None:
    def many(document: dict[str, Any]) -> None:
        row = document["incidents"][0]
        update = row["incident_updates"][0]
        document["incidents"] = [
            row | {"id": f"i{n}", "incident_updates": [update | {"body": f"{m}"} for m in range(300)]}
            for n in range(300)
        ]
        document["components"] = [{"id": f"c{n}", "name": "x", "status": "operational"} for n in range(5000)]

    reading, _ = bent(many)
    assert len(reading.incidents) == INCIDENTS
    assert max(len(incident.updates) for incident in reading.incidents) == 10
    assert len(reading.components) == 200


def keys_of(node: object) -> Iterator[str]:
    """Every key that a document has, however deep."""
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from keys_of(item)
    if isinstance(node, dict):
        yield from node


SHAPES = [name for _path, name in MAIN.values() if name.endswith(".json")]
keys = st.sampled_from(sorted({key for name in SHAPES for key in keys_of(fixture_json(name))}))
words = st.sampled_from(
    ["operational", "major_outage", "resolved", "investigating", "2026-11-22T14:00:00Z", "in_progress", "status_report"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=6),
    max_leaves=30,
)


@given(anything)
def test_no_json_whatsoever_breaks_a_reader(document: Any) -> None:
    readers: list[Callable[[Any, Look], object]] = [lambda value, look: flashduty(json.dumps(value).encode(), look)]
    for platform in PLATFORMS.values():
        further = (platform.history, platform.parts)
        readers += [reader for reader in (platform.read, *further) if reader and not platform.is_markup]
    for reader, watched in itertools.product(readers, ((), (GEMINI,))):
        try:
            reading = reader(document, new_look("statuspage", *watched))
        except UnreadableError:
            continue
        if isinstance(reading, UpstreamReading):
            assert all(incident.started_at <= NOW for incident in reading.incidents)


@given(
    keys,
    anything,
    st.sampled_from(
        ["statuspage", "incident_io", "instatus", "better_stack", "datadog", "cloudflare_status", "aws_health"]
    ),
)
def test_no_single_wrong_value_in_a_real_page_breaks_a_reader(key: str, value: Any, provider: str) -> None:
    def replaced(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: value if name == key else replaced(item) for name, item in node.items()}
        return [replaced(item) for item in node] if isinstance(node, list) else node

    try:
        READERS[provider](replaced(fixture_json(MAIN[provider][1])), new_look(provider))
    except UnreadableError:
        return


@given(st.binary(max_size=300))
def test_no_bytes_whatsoever_break_feed_or_page(body: bytes) -> None:
    for reader in (feed, flashduty):
        for whole in (body, b'<rss version="2.0"><channel><item>' + body, b'self.__next_f.push([1,"' + body + b'"])'):
            try:
                reader(whole, new_look("feed"))
            except UnreadableError:
                continue


def test_a_bomb_of_entities_costs_nothing() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "%s">' % (b"x" * 1000)
    bomb += b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 20 if n else b"&a;" * 20) for n in range(8))
    bomb += b']><rss version="2.0"><channel><item><title>&a7;</title><guid>1</guid></item></channel></rss>'
    try:
        reading = feed(bomb, new_look("feed"))
    except UnreadableError:
        return
    assert all(len(incident.name) <= 200 for incident in reading.incidents)


# Mapping, and whole looks over a real socket


def test_a_mapping_takes_ids_or_names_and_keeps_the_worst() -> None:
    reading = READERS["statuspage"](fixture_json("statuspage_summary.json"), new_look())
    states, vanished = mapped(
        reading,
        {
            "rwppv331jlwc": "c/web",
            "Claude Code": "c/web",
            "k8w3r06qmzrp": "c/api",
            "gone": "c/api",
            "gone too": "c/login",
        },
    )
    assert states == {"c/web": Health.PARTIAL, "c/api": Health.DEGRADED, "c/login": Health.UNKNOWN}
    assert vanished == ("gone", "gone too")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("operational", "major_outage"), Health.MAJOR),
        (("major_outage", "operational"), Health.MAJOR),
        (("operational", "no such word"), Health.UNKNOWN),
        (("operational", "operational"), Health.OPERATIONAL),
    ],
)
def test_of_two_components_with_the_name_that_is_mapped_neither_is_overlooked(
    states: tuple[str, str], expected: Health
) -> None:
    document = fixture_json("statuspage_summary.json")
    rows = [{"id": f"c{number}", "name": "API", "status": state} for number, state in enumerate(states)]
    reading = READERS["statuspage"](document | {"components": rows}, new_look())
    assert mapped(reading, {"api": "c/api"}) == ({"c/api": expected}, ())


def test_an_affected_component_without_an_id_leaves_no_other_certainly_well() -> None:
    document = fixture_json("incident_io_summary.json")
    summary = document["summary"]
    summary |= {"ongoing_incidents": [], "affected_components": [{"status": "full_outage"}]}
    reading = READERS["incident_io"](document, new_look("incident_io"))
    assert reading.indicator is Health.MAJOR
    assert set(reading.components.values()) == {Health.UNKNOWN}
    page = fixture_json("flashduty_active.json")
    for change in page.get("active_changes") or page["data"]["active_changes"]:
        for part in change["affected_components"]:
            part.pop("component_id", None)
    read = flashduty(json.dumps(page).encode(), new_look("flashduty"))
    assert Health.OPERATIONAL not in read.components.values()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, Health.UNKNOWN),
        ({"affected_products": "all of them"}, Health.UNKNOWN),
        ({"affected_products": [{"id": "another", "title": "Another"}]}, Health.OPERATIONAL),
        ({"end": "2026-11-22T10:00:00Z"}, Health.OPERATIONAL),
    ],
)
def test_an_open_incident_of_google_that_names_no_product_may_be_about_ours(
    more: dict[str, Any], expected: Health
) -> None:
    row = {"id": "x", "begin": "2026-11-22T09:00:00Z", "most_recent_update": {"status": "SERVICE_OUTAGE"}} | more
    reading = google_cloud([row], new_look("google_cloud", GEMINI))
    assert (reading.indicator, reading.components) == (expected, {GEMINI: expected})


def test_addresses_are_made_from_the_page_or_taken_as_given() -> None:
    assert endpoints("statuspage", "https://s.example/").main == "https://s.example/api/v2/summary.json"
    given_directly = endpoints("statuspage", "https://s.example/x/api/v2/summary.json")
    assert given_directly.main == "https://s.example/x/api/v2/summary.json"
    assert given_directly.history == "https://s.example/x/api/v2/incidents.json"
    assert endpoints("incident_io", "https://status.openai.com/").history == (
        "https://status.openai.com/proxy/status.openai.com/incidents"
    )
    assert endpoints("incident_io", "http://h:1/i/proxy/status.x").main == "http://h:1/i/proxy/status.x"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://status.x.ai/feed.xml", "https://status.x.ai/"),
        ("https://status.example/", "https://status.example/"),
        ("https://h.example/sub/status?x=1", "https://h.example/sub/status"),
        ("https://h.example/io/proxy/status.x", "https://h.example/io"),
        ("https://s.example/api/status-page/6410630422455/summary/active", "https://s.example"),
        ("https://health.aws.amazon.com/public/events", "https://health.aws.amazon.com"),
        ("https://www.cloudflarestatus.com/api/v3/summary", "https://www.cloudflarestatus.com"),
        ("https://status.openrouter.ai/config.json", "https://status.openrouter.ai/"),
    ],
)
def test_people_are_sent_to_the_page_not_to_its_data(url: str, page: str) -> None:
    assert page_of(url) == page


@pytest.mark.parametrize("provider", MAIN)
def test_a_look_reads_every_provider_over_the_wire(provider: str) -> None:
    async def story() -> None:
        path, name = MAIN[provider]
        async with serve({path: Page(fixture(name))}) as site:
            seen = await look_at("upstream", provider=provider, url=site.url + "/")
        assert seen.reason is Reason.OK, seen.detail
        assert seen.upstream is not None
        assert seen.upstream.provider == provider
        assert seen.upstream.page_url.startswith(site.url)
        assert seen.upstream.indicator not in (Health.OPERATIONAL, Health.UNKNOWN)
        assert (seen.http_status, seen.address, seen.phases) == (200, "127.0.0.1", None)
        result = Result(RunId("p", "l", NOW), NOW, 0.1, seen)
        assert loads_result(dumps_result(result)) == result

    driven.run(story())


BROKEN = [
    (Page(b"<!doctype html><html>We have moved</html>", 200, HTML), Reason.UNREADABLE, "upstream.moved"),
    (Page(b"gone", 404, HTML), Reason.UNREADABLE, "upstream.moved"),
    (Page(b"page is inactive", 401, HTML), Reason.UNREADABLE, "upstream.unreadable"),
    (Page(b"oops", 500, HTML), Reason.UNREADABLE, "upstream.unreadable"),
    (Page(fixture("challenge_cloudflare.html"), 403, HTML), Reason.BLOCKED, "upstream.blocked"),
    (Page(b"", 200, JSON), Reason.UNREADABLE, "upstream.moved"),
    (Page(b"[" * 200_000, 200, JSON), Reason.UNREADABLE, "upstream.moved"),
    (Page(b'{"a": 1}', 200, JSON), Reason.UNREADABLE, ""),
]


@pytest.mark.parametrize("provider", MAIN)
@pytest.mark.parametrize(("page", "reason", "warning"), BROKEN)
def test_a_page_that_cannot_be_read_is_unknown_never_green(
    provider: str, page: Page, reason: Reason, warning: str
) -> None:
    async def story() -> None:
        async with serve({MAIN[provider][0]: page}) as site:
            seen = await look_at("upstream", provider=provider, url=site.url + "/")
        assert (seen.reason, seen.upstream) == (reason, None)
        assert seen.detail
        assert any(code.startswith(warning or "upstream.") for code in seen.warnings)
        assert seen.evidence is not None

    driven.run(story())


def test_a_redirect_to_the_sites_root_is_a_moved_page() -> None:
    async def story() -> None:
        pages = {
            "/api/v2/summary.json": Page(b"", 301, {"location": "/"}),
            "/": Page(b"<!doctype html><html>Welcome</html>", 200, HTML),
        }
        async with serve(pages) as site:
            seen = await look_at("upstream", provider="statuspage", url=site.url)
        assert (seen.reason, seen.warnings, seen.upstream) == (
            Reason.UNREADABLE,
            ("upstream.moved", "upstream.redirected"),
            None,
        )

    driven.run(story())


def test_a_status_page_that_is_down_says_nothing_of_the_service() -> None:
    async def story() -> None:
        async with serve({}) as site:
            url = site.url
        seen = await look_at("upstream", provider="statuspage", url=url)
        assert (seen.reason, seen.warnings) == (Reason.UNREADABLE, ("upstream.unreachable",))
        assert seen.phases is None
        assert "service.connect" in seen.detail

    driven.run(story())


def statuspage_look(**options: Any) -> Any:
    async def story() -> Any:
        async with serve({"/api/v2/summary.json": Page(fixture("statuspage_quiet.json"))}) as site:
            return await look_at("upstream", provider="statuspage", url=site.url, **options)

    return driven.run(story())


def test_a_component_that_vanished_is_unknown_and_told_to_the_operator() -> None:
    seen = statuspage_look(components={"rwppv331jlwc": "c/web", "vanished": "c/api"})
    assert seen.reason is Reason.UNREADABLE
    assert seen.warnings == ("upstream.component_vanished",)
    assert seen.upstream.mapped == {"c/web": Health.OPERATIONAL, "c/api": Health.UNKNOWN}
    assert "c/api" in seen.detail


def test_one_of_several_sources_of_a_component_may_vanish_with_a_warning_only() -> None:
    seen = statuspage_look(components={"rwppv331jlwc": "c/web", "vanished": "c/web"})
    assert (seen.reason, seen.warnings) == (Reason.OK, ("upstream.component_vanished",))
    assert seen.upstream.mapped == {"c/web": Health.OPERATIONAL}


def test_a_page_that_is_quiet_for_weeks_is_read_and_one_that_was_left_behind_is_unknown() -> None:
    assert statuspage_look().warnings == ()
    seen = statuspage_look(now=NOW + timedelta(days=45), components={"rwppv331jlwc": "c/web"})
    assert (seen.reason, seen.warnings) == (Reason.OK, ())
    assert seen.upstream.mapped == {"c/web": Health.OPERATIONAL}
    seen = statuspage_look(now=NOW + timedelta(days=190), components={"rwppv331jlwc": "c/web"})
    assert (seen.reason, seen.warnings) == (Reason.UNREADABLE, ("upstream.frozen",))
    assert seen.detail == "not updated since 2026-11-22"
    assert seen.upstream.indicator is Health.UNKNOWN
    assert seen.upstream.mapped == {"c/web": Health.UNKNOWN}
    assert statuspage_look(now=NOW + timedelta(days=190), frozen_after_s=None).warnings == ()


@pytest.mark.parametrize(
    ("provider", "quiet", "history_path", "history"),
    [
        ("statuspage", fixture("statuspage_quiet.json"), "/api/v2/incidents.json", "statuspage_incidents.json"),
        ("incident_io", None, "/proxy/127.0.0.1/incidents", "incident_io_incidents.json"),
    ],
)
def test_an_incident_that_left_the_summary_is_looked_up_in_the_history(
    provider: str, quiet: bytes | None, history_path: str, history: str
) -> None:
    async def story() -> None:
        path, name = MAIN[provider]
        memory: dict[str, Any] = {}
        if quiet is None:
            document = fixture_json(name)
            document["summary"] |= {"ongoing_incidents": [], "affected_components": []}
            quiet_now = json.dumps(document).encode()
        else:
            quiet_now = quiet
        later = NOW + timedelta(minutes=20)
        async with serve({path: Page(fixture(name))}) as site:
            first = await look_at("upstream", memory, provider=provider, url=site.url)
            assert first.upstream
            known = first.upstream.incidents[0].id
            site.pages[path] = Page(quiet_now)
            lost = await look_at("upstream", memory, provider=provider, url=site.url, now=later)
            assert lost.upstream
            assert lost.upstream.incidents == ()
            assert known in memory["open"]
            site.pages[history_path] = Page(fixture(history))
            found = await look_at("upstream", memory, provider=provider, url=site.url, now=later)
            quiet_again = await look_at("upstream", memory, provider=provider, url=site.url, now=later)
        assert found.upstream
        assert [(i.id, i.status) for i in found.upstream.incidents] == [(known, IncidentStatus.RESOLVED)]
        assert found.upstream.incidents[0].resolved_at
        assert quiet_again.upstream
        assert quiet_again.upstream.incidents == ()
        assert [asked.path for asked in site.asked].count(history_path) == 2

    driven.run(story())


def test_the_end_of_an_incident_at_flashduty_is_in_two_lists_of_their_own() -> None:
    async def story() -> None:
        root, memory = "/api/status-page/64/", dict[str, Any]()
        active, quiet = fixture_json("flashduty_active.json"), fixture_json("flashduty_active.json")
        quiet["data"]["active_changes"] = []
        change = active["data"]["active_changes"][0]
        began = change["start_at_seconds"]
        impacts = [{"change_id": change["change_id"], "start_at_seconds": began, "end_at_seconds": began + 3600}]
        async with serve({f"{root}summary/active": Page(json.dumps(active).encode())}) as site:
            options: dict[str, Any] = {"provider": "flashduty", "url": f"{site.url}{root}summary/active"}
            await look_at("upstream", memory, **options)
            site.pages[f"{root}summary/active"] = Page(json.dumps(quiet).encode())
            site.pages[f"{root}change/list"] = Page(json.dumps({"data": {"items": [change]}}).encode())
            site.pages[f"{root}summary/structure"] = Page(json.dumps({"data": {"component_impacts": impacts}}).encode())
            seen = await look_at("upstream", memory, **options)
        (ended,) = seen.upstream.incidents if seen.upstream else ()
        assert (ended.status, ended.resolved_at) == (
            IncidentStatus.RESOLVED,
            datetime.fromtimestamp(began + 3600, UTC),
        )
        (asked,) = [asked.path for asked in site.asked if "change/list" in asked.path]
        until = int(NOW.timestamp())
        assert asked.partition("?")[2] == f"start_at_seconds={until - 30 * 86400}&end_at_seconds={until}"

    driven.run(story())


def test_an_incident_that_the_vendor_deleted_is_noted() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {"open": ["never-seen-again"]}
        pages = {"/api/v2/summary.json": Page(fixture("statuspage_quiet.json"))}
        pages["/api/v2/incidents.json"] = Page(b'{"incidents": []}')
        async with serve(pages) as site:
            seen = await look_at("upstream", memory, provider="statuspage", url=site.url)
        assert seen.warnings == ("upstream.incident_deleted",)
        assert memory["open"] == []

    driven.run(story())


def test_instatus_components_are_fetched_where_a_mapping_asks_for_them() -> None:
    async def story() -> None:
        pages = {
            "/summary.json": Page(fixture("instatus_summary.json")),
            "/v2/components.json": Page(fixture("instatus_components.json")),
        }
        async with serve(pages) as site:
            seen = await look_at("upstream", provider="instatus", url=site.url, components={"API": "p/api"})
        assert seen.upstream
        assert seen.upstream.mapped == {"p/api": Health.PARTIAL}

    driven.run(story())


@pytest.mark.parametrize(
    ("provider", "path"),
    [("statuspage", "/status"), ("incident_io", "/incident-io/proxy/status.simulated")],
)
def test_the_simulated_vendors_page_is_read_and_its_incident_followed_to_its_end(provider: str, path: str) -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}

        async def see() -> Any:
            now = datetime.now(UTC) + timedelta(minutes=1)
            seen = await look_at(
                "upstream", memory, now=now, provider=provider, url=vendor.url + path, components={"api": "s/api"}
            )
            assert seen.reason is Reason.OK, seen.detail
            return seen.upstream

        async with serve_vendor() as vendor:
            vendor.set("*", latency_s=0)
            assert (await see()).mapped == {"s/api": Health.OPERATIONAL}
            said: dict[str, Any] = {"title": "Log-in trouble", "impact": "major"}
            trouble: dict[str, Any] = {"components": {"api": "degraded_performance"}, "text": "We are looking."}
            vendor.announce(**said, status="investigating", **trouble)
            during = await see()
            vendor.announce(**said, status="resolved", text="This is resolved.")
            after = await see()
        assert during.mapped == {"s/api": Health.DEGRADED}
        assert [(i.status, i.name, i.updates[0].body) for i in during.incidents] == [
            (IncidentStatus.INVESTIGATING, "Log-in trouble", "We are looking.")
        ]
        assert after.indicator is Health.OPERATIONAL
        assert [(i.id, i.status) for i in after.incidents] == [(during.incidents[0].id, IncidentStatus.RESOLVED)]

    driven.run(story())


def test_options_reject_what_is_no_page() -> None:
    for wrong in (
        {"provider": "carrier_pigeon", "url": "https://x.example"},
        {"provider": "feed", "url": "file:///etc/passwd"},
    ):
        with pytest.raises(ValidationError):
            Options.model_validate(wrong)
    assert Options(provider="feed", url="https://status.example/feed").target() == "status.example"
