"""Pages that are not the product: marks declared or learned, words of trouble, and what is learned from what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.http import Options
from monitor.probes.marks import FEWEST_LOOKS, MEMORY, Learned, judge_page, recall, stored
from monitor.probes.page import MOST_MARKS, is_other_site, read_page, site_of
from monitor.text.trouble import foreign_in, trouble_in, trouble_in_path
from tests.edges import driven
from tests.edges.site import HTML, JSON, NOW, Page, look_at, serve

URL = "https://chat.example/"
PRODUCT = """<!doctype html><html><head><title>Wise Chat</title><meta name="commit-id" content="{build}">
<meta property="og:site_name" content="Wise"><script src="https://cdn.wise.example/app-{build}.js"></script></head>
<body><div id="root"><textarea></textarea></div><script src="/assets/index-{build}.js"></script></body></html>"""
NOTICE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
PARKED = (
    "<html><title>chat.example</title><body>This domain is for sale. <script src='//ads.example/p.js'></script></body>"
)
SHELL = '<html><head><title>Wise Chat</title></head><body><div id="root"></div></body></html>'


def product(build: str = "5150a1") -> str:
    return PRODUCT.replace("{build}", build)


def looks(pages: str | list[str], every: timedelta = timedelta(minutes=20), known: Learned | None = None) -> Learned:
    """Look at pages at a steady pace; one page stands for 20 of it."""
    held, at = known or Learned(URL), NOW if known is None else NOW + timedelta(days=1)
    for page in [pages] * FEWEST_LOOKS if isinstance(pages, str) else pages:
        judge_page(read_page(page, URL), (), held, at)
        at += every
    return held


def verdict(page: str, known: Learned, *declared: str) -> tuple[Reason, str]:
    found = judge_page(read_page(page, URL), declared, known, NOW + timedelta(days=2))
    return found.reason, found.detail


def test_what_a_deploy_changes_is_no_mark() -> None:
    assert read_page(product("aaaa1111"), URL).marks == read_page(product("bbbb2222"), URL).marks
    assert set(read_page(product(), URL).marks) == {
        "title:wise chat", "meta:commit-id", "meta:og:site_name=wise", "script:cdn.wise.example", "id:root",
        "script:/assets",
    }  # fmt: skip


def test_marks_are_learned_from_twenty_good_looks_over_six_hours() -> None:
    assert looks([product()] * 19).is_learning
    assert looks([product()] * 30, timedelta(minutes=5)).is_learning, "two and a half hours"
    known = looks(product())
    assert (known.is_learning, known.looks, known.url) == (False, 20, URL)
    assert "title:wise chat" in known.marks
    assert known.at == (NOW + 19 * timedelta(minutes=20)).timestamp()


def test_a_probe_that_looks_every_minute_learns_in_six_hours_and_seldom_writes() -> None:
    known, changes, at = Learned(URL), 0, NOW
    before: dict[str, Any] = {}
    for _ in range(6 * 60 + 1):
        judge_page(read_page(product(), URL), (), known, at)
        changes, before, at = changes + (stored(known) != before), stored(known), at + timedelta(minutes=1)
    assert not known.is_learning
    assert changes < 50


BAD = [
    (NOTICE.format("Wise Chat is at capacity right now"), Reason.OVERLOADED),
    (NOTICE.format("当前访问人数过多，请稍后再试"), Reason.OVERLOADED),
    (NOTICE.format("We are down for scheduled maintenance"), Reason.CONTENT),
    (NOTICE.format("系统升级维护中"), Reason.CONTENT),
    (NOTICE.format("系統維護中，請稍後再試"), Reason.CONTENT),
    (NOTICE.format("Service Unavailable"), Reason.CONTENT),
    (NOTICE.format("Welcome to nginx!"), Reason.CHANGED),
    (NOTICE.format("Please sign in to Hotel WiFi"), Reason.CHANGED),
    (PARKED, Reason.CHANGED),
    (SHELL, Reason.CHANGED),
    ("<html><title>Just a moment...</title><script>window._cf_chl_opt={}</script></html>", Reason.BLOCKED),
    ("<html><script>var arg1='A';document.cookie='acw_sc__v2='</script></html>", Reason.BLOCKED),
]


@pytest.mark.parametrize(("page", "reason"), BAD)
@pytest.mark.parametrize("declared", [(), ("title:Wise Chat", "script:cdn.wise.example")])
def test_a_page_that_is_not_the_product_is_not_green(page: str, reason: Reason, declared: tuple[str, ...]) -> None:
    known = Learned(URL) if declared else looks(product())
    found, detail = verdict(page, known, *declared)
    assert found is reason, detail


NAMED = "<html><head><title>{0}</title><script src=/a/b.js></script></head><body><h1>{1}</h1></body></html>"
STRANGERS = [
    ("deepseek.com", "This domain is for sale. Buy this domain.", Reason.CHANGED),
    ("deepseek.com - This website is for sale! - deepseek Resources", "The best source", Reason.CHANGED),
    ("DeepSeek", "The domain has expired. Is this your domain? Renew now", Reason.CHANGED),
    ("DeepSeek", "DeepSeek.com may be for sale", Reason.CHANGED),
    ("DeepSeek", "This page is parked free, courtesy of a registrar", Reason.CHANGED),
    ("DeepSeek", "域名已过期，请续费", Reason.CHANGED),
    ("DeepSeek", "此網站域名出售", Reason.CHANGED),
    ("DeepSeek | 官网", "购买此域名", Reason.CHANGED),
    ("DeepSeek 官网", "域名出售", Reason.CHANGED),
    ("DeepSeek Casino bonus", "Best slots online", Reason.CHANGED),
    ("Free DeepSeek", "Download now", Reason.CHANGED),
    ("deepseek-mirror", "Hello", Reason.CHANGED),
    ("DeepSeek", "You are in a queue. Estimated wait 12 minutes", Reason.OVERLOADED),
    ("DeepSeek", "You're now in line", Reason.OVERLOADED),
    ("DeepSeek", "当前正在排队，预计等待 12 分钟", Reason.OVERLOADED),
    ("DeepSeek", "排隊中，前面還有 30 位", Reason.OVERLOADED),
    ("DeepSeek", "Service not available in your region", Reason.REGION),
    ("DeepSeek", "您所在的地区不可用", Reason.REGION),
]


@pytest.mark.parametrize(("title", "words", "reason"), STRANGERS)
def test_a_name_in_the_title_makes_no_product_of_a_strangers_page_a_notice_or_a_queue(
    title: str, words: str, reason: Reason
) -> None:
    found, detail = verdict(NAMED.format(title, words), Learned(URL), "title:DeepSeek")
    assert found is reason, detail


@pytest.mark.parametrize(
    "title",
    ["DeepSeek", " deepseek\n", "DeepSeek - Into the Unknown", "DeepSeek | 深度求索", "Log in · DeepSeek",
     "DeepSeek: chat", "DeepSeek – 探索未至之境", "New chat - DeepSeek"],
)  # fmt: skip
def test_a_title_bears_its_mark_as_a_whole_or_as_one_whole_part(title: str) -> None:
    assert verdict(NAMED.format(title, "Ask anything"), Learned(URL), "title:DeepSeek")[0] is Reason.OK


TELLING = [page for page, _ in BAD if "Hotel" not in page]
"""Without a word of trouble a stranger's page is a page like any other to who has never seen the product."""


@pytest.mark.parametrize("page", TELLING)
def test_nothing_is_learned_from_a_page_that_is_not_the_product(page: str) -> None:
    known = looks([page] * 40)
    assert (known.is_learning, known.seen, known.counts) == (True, 0, {})


def test_while_it_learns_the_status_judges_and_the_look_says_so() -> None:
    for page in (product(), SHELL, NOTICE.format("at capacity")):
        found = judge_page(read_page(page, URL), (), Learned(URL), NOW)
        assert (found.reason, found.warnings) == (Reason.OK, ("page.learning",))


KEPT = [
    product("another1"),
    product().replace("<title>Wise Chat</title>", "<title>Wise Chat 2</title>"),
    product().replace('id="root"', 'id="app"'),
    product().replace("cdn.wise.example", "cdn2.wise.example"),
    product().replace("<textarea>", "<p>We had scheduled maintenance last week.</p><textarea>"),
]


@pytest.mark.parametrize("page", KEPT)
def test_a_deploy_that_leaves_most_marks_is_still_the_product(page: str) -> None:
    assert verdict(page, looks(product()))[0] is Reason.OK


def test_a_product_that_changes_piece_by_piece_is_followed() -> None:
    second = product().replace("Wise Chat", "Wiser").replace("cdn.wise", "cdn.wiser")
    third = second.replace('id="root"', 'id="app"').replace("/assets/", "/build/").replace("=wise", "=wiser")
    known = looks(product())
    assert verdict(third, recall(stored(known), URL, None))[0] is Reason.CHANGED
    known = looks(second, known=known)
    assert "title:wiser" in known.marks
    assert verdict(third, known)[0] is Reason.OK


def test_a_page_that_lost_its_marks_is_never_learned_by_itself_however_long_it_stays() -> None:
    known = looks(product())
    before = list(known.marks)
    looks([PARKED.replace("This domain is for sale.", "Hello")] * 200, known=known)
    assert known.marks == before


def test_the_day_of_a_redesign_makes_it_learn_anew() -> None:
    memory = stored(looks(product()))
    assert not recall(memory, URL, date(2026, 1, 1)).is_learning
    assert recall(memory, URL, (NOW + timedelta(days=1)).date()).is_learning
    assert recall(memory, "https://other.example/", None).is_learning


@pytest.mark.parametrize(
    "memory", [None, 7, "x", [], {}, {"url": URL, "marks": 3}, {"url": URL, "counts": {"a": "b"}}, {"url": URL, "x": 1}]
)
def test_a_memory_that_makes_no_sense_is_none(memory: Any) -> None:
    assert recall(memory, URL, None) == Learned(URL)


def test_a_clock_that_was_set_back_starts_the_window_anew() -> None:
    known = looks([product()] * 19)
    judge_page(read_page(product(), URL), (), known, NOW - timedelta(days=1))
    assert (known.is_learning, known.seen) == (True, 1)


GOOD_DAYS: dict[str, Page] = {"/": Page(product().encode(), 200, HTML)}


def at_the_door(page: Page, memory: dict[str, Any] | None = None, kind: str = "http", **options: Any) -> Observation:
    async def story() -> Observation:
        async with serve({"/": page, "/in": Page(product().encode(), 200, HTML)}) as site:
            url = f"{site.url}/"
            held = {MEMORY: memory | {"url": url}} if memory else None
            return await look_at(kind, held, url=url, **options)

    return driven.run(story())


ANSWERS = [
    (Page(b"", 200, HTML), Reason.EMPTY),
    (Page(b'{"detail":"x"}', 200, JSON), Reason.CHANGED),
    (Page(b"", 302, {"location": "https://other.example/"}), Reason.CHANGED),
    (Page(b"", 302, {"location": "/maintenance"}), Reason.CONTENT),
    (Page(b"", 302, {"location": "/in"}), Reason.CHANGED),
    (Page(NOTICE.format("Bad gateway").encode(), 200, HTML), Reason.CONTENT),
    (Page(product("9").encode(), 200, HTML), Reason.OK),
    (Page(b"", 503, HTML), Reason.OVERLOADED),
]


@pytest.mark.parametrize(("page", "reason"), ANSWERS)
@pytest.mark.parametrize("learned", [True, False])
def test_an_answer_where_the_page_is_due_has_its_reason(page: Page, reason: Reason, learned: bool) -> None:
    options = {} if learned else {"marks": "title:Wise Chat"}
    found = at_the_door(page, stored(looks(product())) if learned else None, **options)
    assert found.reason is reason, found.detail


def test_a_redirect_on_the_same_site_is_followed_to_the_page() -> None:
    page = Page(b"", 302, {"location": "/in"})
    assert at_the_door(page, marks=["title:Wise Chat"], redirects=3).reason is Reason.OK


def test_what_never_was_a_page_is_judged_by_its_status() -> None:
    for page in (Page(b"", 204, {}), Page(b"ok", 200, {"content-type": "text/plain"}), Page(b"{}", 200, JSON)):
        assert (at_the_door(page).reason, at_the_door(page).warnings) == (Reason.OK, ())


@pytest.mark.parametrize("kind", ["http", "login"])
@pytest.mark.parametrize("headers", [HTML, JSON, {"content-type": "text/plain"}, {}])
@pytest.mark.parametrize("body", [b"", b" \n\t "])
def test_an_empty_200_is_empty_for_every_kind_with_marks_and_without(
    kind: str, headers: dict[str, str], body: bytes
) -> None:
    assert at_the_door(Page(body, 200, headers), kind=kind).reason is Reason.EMPTY
    assert at_the_door(Page(body, 200, headers), kind=kind, marks="title:Wise Chat").reason is Reason.EMPTY


def test_an_empty_answer_that_is_asked_for_is_good() -> None:
    assert at_the_door(Page(b"", 200, {"x-health": "fine"}), header_contains={"x-health": "fine"}).reason is Reason.OK
    assert at_the_door(Page(b"", 200, HTML), method="HEAD").reason is Reason.OK


def test_rules_about_the_content_stand_for_marks() -> None:
    page = Page(NOTICE.format("Hello").encode(), 200, HTML)
    assert at_the_door(page, stored(looks(product())), contains="Hello").warnings == ()


@pytest.mark.parametrize("kind", ["http", "login"])
def test_a_real_look_learns_into_the_memory_of_its_probe(kind: str) -> None:
    async def story() -> dict[str, Any]:
        memory: dict[str, Any] = {}
        async with serve(GOOD_DAYS) as site:
            for number in range(20):
                seen = await look_at(kind, memory, now=NOW + number * timedelta(minutes=20), url=f"{site.url}/")
                assert seen.reason is Reason.OK
                assert ("page.learning" in seen.warnings) is (number < 19)
                assert seen.detail.startswith("learning: ") is (number < 19)
            site.pages["/"] = Page(PARKED.encode(), 200, HTML)
            seen = await look_at(kind, memory, now=NOW + timedelta(days=1), url=f"{site.url}/")
            assert seen.reason is Reason.CHANGED
        return memory[MEMORY]  # type: ignore[no-any-return]  # JSON

    kept = driven.run(story())
    assert (kept["looks"], kept["at"] > 0, kept["url"].startswith("http://127.0.0.1:")) == (20, True, True)
    assert kept["missing"] == kept["marks"]


def test_marks_that_are_none_are_refused_with_what_to_write() -> None:
    for wrong in ("ChatGPT", "title:", "colour:red", "id:" + "x" * 200):
        with pytest.raises(ValidationError, match="is no mark; write one of title, id"):
            Options(url=URL, marks=wrong)


SITES = [
    ("www.chatgpt.com", "chatgpt.com"), ("chatgpt.com", "chatgpt.com"), ("a.b.example.co.uk", "example.co.uk"),
    ("chat.example.com.cn", "example.com.cn"), ("team.vercel.app", "team.vercel.app"), ("10.0.0.1", "10.0.0.1"),
    ("[::1]", "::1"), ("localhost", "localhost"),
]  # fmt: skip


@pytest.mark.parametrize(("host", "site"), SITES)
def test_the_domain_that_somebody_registered(host: str, site: str) -> None:
    assert site_of(host) == site


def test_a_declared_site_and_a_subdomain_are_no_other_site() -> None:
    assert not is_other_site("https://auth.openai.com/x", "https://chatgpt.com/", ("openai.com",))
    assert not is_other_site("https://www.chatgpt.com/x", "https://chatgpt.com/", ())
    assert not is_other_site("/path", "https://chatgpt.com/", ())
    assert is_other_site("https://chatgpt.com.evil.example/", "https://chatgpt.com/", ())
    assert is_other_site("http://[::1", "https://chatgpt.com/", ())


HARMLESS = [
    "How can I help you today?",
    "Uptime and maintenance-free hosting",
    "Log in",
    "登录",
    "有什么可以帮你？",
    "",
]


@pytest.mark.parametrize("words", HARMLESS)
def test_words_of_a_good_page_are_no_words_of_trouble(words: str) -> None:
    assert (trouble_in(words), foreign_in(words)) == (None, "")


@pytest.mark.parametrize(
    ("path", "said"),
    [("/maintenance", "trouble"), ("/503.html", "trouble"), ("/login?error=1", "error"), ("/error", "error"),
     ("/home", ""), ("/c/new", ""), ("/terror", "")],
)  # fmt: skip
def test_an_address_may_say_trouble(path: str, said: str) -> None:
    assert trouble_in_path(path) == said


def hostile() -> Iterator[str]:
    yield from (
        "<" * 500_000,
        "<div id=a>" * 50_000,
        "<title" * 80_000,
        "<a-b>" * 100_000,
        "<script src=/a/b>" * 30_000,
    )
    yield from (f"<meta {'a=b ' * 100_000}>", "".join(f"<div id=x{n}></div>" for n in range(30_000)), "<!--" * 100_000)


@pytest.mark.parametrize("page", list(hostile()), ids=range(8))
def test_a_hostile_page_leaves_a_small_memory(page: str) -> None:
    held = looks([page] * 25)
    assert len(read_page(page, URL).marks) <= MOST_MARKS
    assert len(str(stored(held))) < 16_384


@given(st.text(alphabet="<>/ \"'=abcdivscripttitle:id-\n维护中0", max_size=400))
@settings(max_examples=200, deadline=None)
def test_no_markup_breaks_the_reader(text: str) -> None:
    page = read_page(text, URL)
    judge_page(page, (), Learned(URL), datetime(2026, 11, 30, tzinfo=UTC))
    assert all(page.bears(mark) for mark in page.marks)


@pytest.mark.parametrize(
    ("page", "whose"),
    [
        ("<title>Making sure you&#39;re not a bot!</title><script id='x'></script>", "Anubis"),
        ('<title>Einen Moment</title><script id="anubis_challenge" type="application/json">{}</script>', "Anubis"),
        (
            "<title>Request Rejected</title>The requested URL was rejected. Please consult with your administrator.",
            "F5",
        ),
        ("<title>Anubis, god of the dead</title><p>We make sure that you are not a bot.</p>", ""),
    ],
)
def test_a_challenge_served_as_a_good_page_is_told_from_one(page: str, whose: str) -> None:
    assert read_page(page, "https://chat.example/").challenge == whose
