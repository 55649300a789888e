"""The Streamlit status page over a real database, its charts and its settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import serve
from dashboard.live import figures, shared
from dashboard.parts import with_gaps
from dashboard.scene import block, by_month
from dashboard.words import speak
from monitor import clock
from monitor.store.reads.views import LatencyPoint
from monitor.text.lexicon import Language
from tests.doors import sample, seeded

MINUTE = timedelta(minutes=1)
LIVE = Path(serve.__file__).parent / "live" / "app.py"


@contextmanager
def environment(url: str) -> Iterator[None]:
    """Name the database in the environment, as the programs find it."""
    before = os.environ.get("CHATWATCH_DATABASE")
    os.environ["CHATWATCH_DATABASE"] = url
    try:
        yield
    finally:
        shared.held(url).reader.close()
        st.cache_resource.clear()
        if before is None:
            del os.environ["CHATWATCH_DATABASE"]
        else:
            os.environ["CHATWATCH_DATABASE"] = before


def drawn(page: AppTest) -> str:
    """Everything that the page drew as HTML."""
    assert not page.exception
    return " ".join(str(piece.proto.body) for piece in page.get("html"))


def test_the_status_page_draws_what_the_database_holds(tmp_path: Path) -> None:
    url = seeded.database(tmp_path, clock.now(), trouble=True)
    with environment(url):
        page = AppTest.from_file(str(LIVE), default_timeout=120).run()
        text = drawn(page)
    assert "limited to phone numbers from China (+86)" in text
    assert "the API is down" in text
    assert "it says that it is overloaded" in text
    assert "<svg" not in text, "Streamlit strips SVG"
    assert "ago" in text


def test_the_choice_of_a_service_filters_the_page(tmp_path: Path) -> None:
    url = seeded.database(tmp_path, clock.now(), trouble=True)
    with environment(url):
        page = AppTest.from_file(str(LIVE), default_timeout=120).run()
        page.selectbox(key="service").select("claude").run()
        text = drawn(page)
    assert "All services are working normally." in text
    assert 'id="deepseek"' not in text


def test_the_page_speaks_chinese_when_asked(tmp_path: Path) -> None:
    url = seeded.database(tmp_path, clock.now(), trouble=False)
    with environment(url):
        page = AppTest.from_file(str(LIVE), default_timeout=120)
        page.query_params["lang"] = "zh"
        text = drawn(page.run())
    assert "所有服务正常。" in text


def test_a_missing_database_is_a_sentence_and_no_exception(tmp_path: Path) -> None:
    with environment(f"sqlite:///{tmp_path / 'none.db'}"):
        page = AppTest.from_file(str(LIVE), default_timeout=120).run()
        text = drawn(page)
        assert [warning.value for warning in page.warning] == [speak(Language.EN)("cannot_read")]
    assert "Nothing is being watched yet." in text


def test_the_block_stays_the_same_while_only_seconds_pass() -> None:
    first = block("index.html", sample.january(), Language.EN, "light")
    later = replace(sample.january(), as_of=sample.NOW + timedelta(seconds=3))
    assert block("index.html", later, Language.EN, "light") == first


def window(now: datetime) -> figures.Window:
    return figures.Window(now - timedelta(hours=24), now, timedelta(minutes=15))


def test_failures_are_drawn_over_the_bucket_in_which_they_happened() -> None:
    start = sample.NOW - timedelta(minutes=30)
    points = [LatencyPoint(start, None, None, 15, {"service.overloaded": 5})]
    span = figures.Span(start, start + timedelta(minutes=15), "major_outage", "outage")
    figure = figures.latency_figure(points, [span], window(sample.NOW), "ttft", speak(Language.EN), "light")
    bar = next(trace for trace in figure.data if trace.type == "bar")
    half = timedelta(milliseconds=bar.width / 2)
    shade = figure.layout.shapes[0]
    assert (bar.x[0] - half, bar.x[0] + half) == (shade.x0, shade.x1)


def test_a_chart_of_a_day_shows_the_day_however_little_of_it_is_known() -> None:
    points = [LatencyPoint(sample.NOW - timedelta(minutes=30), 1.0, 2.0, 15, {})]
    figure = figures.latency_figure(points, [], window(sample.NOW), "ttft", speak(Language.EN), "light")
    first, last = figure.layout.xaxis.range
    assert last - first == timedelta(hours=24)


def test_charts_show_percentiles_failures_and_incidents() -> None:
    now = sample.NOW
    points = sample.latency(now, "ttft", 1.5, 18.0).recent
    span = figures.Span(now - timedelta(hours=4), now, "partial_outage", "outage")
    figure = figures.latency_figure(points, [span], window(now), "ttft", speak(Language.EN), "dark")
    names = {trace.name for trace in figure.data if trace.name}
    assert {"p50", "p95", "It says that it is overloaded"} <= names
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.annotations[0].text == "How long until the first token?"
    assert len(figure.layout.shapes) == 2


def test_the_history_is_grouped_by_the_months_of_the_reader() -> None:
    incident, *_ = sample.january().past_incidents
    late = replace(incident, started_at=datetime.fromisoformat("2026-01-31T17:30:00+00:00"))
    assert [name for name, _ in by_month([late], speak(Language.EN))] == ["January 2026"]
    assert [name for name, _ in by_month([late], speak(Language.EN, "Asia/Tokyo"))] == ["February 2026"]


def test_a_chart_without_failures_says_so() -> None:
    points = sample.latency(sample.NOW, "response", 0.4).recent
    figure = figures.latency_figure(points, [], window(sample.NOW), "response", speak(Language.ZH), "light")
    assert any(note.text == "此时间窗内没有问题。" for note in figure.layout.annotations)


def test_no_line_bridges_a_gap() -> None:
    points = sample.latency(sample.NOW, "ttft", 1.0).recent
    left_out = [point for point in points if point.looks]
    assert sum(point.p50_s is None for point in with_gaps(left_out)) == 1


def test_a_probe_that_changes_its_rhythm_leaves_no_gap() -> None:
    seldom = [LatencyPoint(sample.NOW + minute * MINUTE, 1.0, 2.0, 3, {}) for minute in range(0, 450, 45)]
    often = [LatencyPoint(sample.NOW + minute * MINUTE, 1.0, 2.0, 3, {}) for minute in range(410, 440)]
    assert all(point.p50_s is not None for point in with_gaps(seldom + often))
    torn = with_gaps(seldom + often[:10] + often[15:])
    assert [point.at for point in torn if point.p50_s is None] == [sample.NOW + 420 * MINUTE]


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://status.example/", 'href="https://status.example/api/v2/summary.json"'),
        ("http://0.0.0.0:8500", 'href="http://chat.example:8500/zh/"'),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
def test_the_foot_of_the_live_page_leads_to_the_status_page(address: str, link: str | None) -> None:
    foot = shared.footer(speak(Language.ZH), address, "chat.example")
    assert link in foot if link else "href" not in foot
    assert "UTC" in foot


def test_the_csv_holds_numbers_and_codes_alone() -> None:
    lines = figures.as_csv(sample.latency(sample.NOW, "ttft", 1.5, 18.0).recent).decode().splitlines()
    assert lines[0] == "at_utc,looks,p50_s,p95_s,service.overloaded,service.timeout.queued"
    assert len(lines) == 97
    assert not [cell for line in lines[1:] for cell in line.split(",") if cell[:1] in ("=", "+", "-", "@")]


@pytest.mark.parametrize("door", ["live", "console"])
def test_every_setting_we_pass_exists_and_garbage_is_not_collected_after_each_rerun(door: str) -> None:
    flags = dict(item.removeprefix("--").split("=", 1) for item in serve.arguments(door)[6:])
    assert flags["runner.postScriptGC"] == "false"
    assert flags["client.showErrorDetails"] == "none"
    assert flags["server.enableXsrfProtection"] == flags["server.enableCORS"] == "true"
    known = config.get_config_options()
    assert [name for name in flags if name not in known] == []


def test_the_public_web_door_is_started_with_its_address() -> None:
    assert serve.arguments("web", "0.0.0.0", 80)[1:] == ["-m", "dashboard.web.app", "--host", "0.0.0.0", "--port", "80"]
