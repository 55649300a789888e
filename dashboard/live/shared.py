"""What every public Streamlit view shares: language, theme, the cached reading, the line with its age."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import streamlit as st

from dashboard.data import ADDRESS, Reader, Reading, aged, database_url, marked, nothing
from dashboard.scene import block, in_zone
from dashboard.words import Words, others, web_address, words_for
from monitor import clock
from monitor.store.reads.views import Snapshot

TTL_S = 5
ANY_HOST = re.compile(r"//(0\.0\.0\.0|\[::\])(?=[:/]|$)")


class Visit(NamedTuple):
    """One drawing of one view."""

    reading: Reading
    words: Words
    theme: str
    reader: Reader

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot shown."""
        return self.reading.snapshot


class Held:
    """The last reading of this process, shared by all visitors."""

    def __init__(self, url: str) -> None:
        self.reader = Reader(url)
        self.reading: Reading | None = None
        self.read_at = 0.0
        self.failing = False

    def now(self, now: datetime) -> Reading:
        """Return a reading at most a few seconds old; a failed read keeps the last one, which grows old."""
        if self.reading is None or clock.monotonic() - self.read_at > TTL_S:
            self.read_at = clock.monotonic()
            try:
                self.reading = self.reader.read(now)
                self.failing = False
            except Exception:  # a missing or locked database is shown, not raised
                self.failing = True
        return aged(marked(self.reading or nothing(now), self.reader.url), now)


@st.cache_resource
def held(url: str) -> Held:
    """Return the holder for the database at ``url``: one for all sessions."""
    return Held(url)


def words_of_visit() -> Words:
    """Return the words of this visit, with times in the browser's zone."""
    return words_for(st.query_params.get("lang", ""), st.context.locale or "", st.context.timezone or "UTC")


def theme_of_visit() -> str:
    """Return ``light`` or ``dark``."""
    return "dark" if getattr(st.context.theme, "type", None) == "dark" else "light"


def style() -> None:
    """Fit Streamlit's own frame to our page; selectors are Streamlit's stable test ids."""
    st.html(
        "<style>"
        '[data-testid="stMainBlockContainer"]{max-width:1008px;padding:4.5rem 1.5rem 3rem}'
        '[data-testid="stHeader"]{border-bottom:1px solid color-mix(in srgb,currentcolor 12%,transparent)}'
        '@media(max-width:760px){[data-testid="stMainBlockContainer"]{padding:4rem 1rem 3rem}}'
        ".age{display:flex;gap:4px 20px;flex-wrap:wrap;font-size:13px;line-height:20px}"
        ".pages{display:none;flex-basis:100%;flex-wrap:wrap;gap:0 20px}"
        ".pages a{display:flex;align-items:center;min-height:44px}"
        "@media(max-width:760px){.age .pages{display:flex}}"
        '[data-testid="stButtonGroup"] button{color:inherit!important}'
        ".age span:first-child{margin-right:auto}.age a{color:inherit}"
        ".foot{display:block;margin-top:2rem;padding-top:1rem;"
        "border-top:1px solid color-mix(in srgb,currentcolor 12%,transparent)}"
        ".foot nav{display:flex;flex-wrap:wrap;gap:0 20px}.foot nav a{display:flex;align-items:center;min-height:44px}"
        '[data-testid="stHtml"] .foot p{margin:0;font-size:13px;opacity:.8}'
        "</style>"
    )


def frame(draw: Callable[[Visit], None]) -> None:
    """Draw the age line, then the view. The age is apart so that an unchanged block is sent as a hash."""
    now, words = clock.now(), words_of_visit()
    holder = held(database_url())
    reading = holder.now(now)
    as_of = reading.snapshot.as_of
    if as_of is None:
        said = words("as_of_none")
    else:
        age = words("ago", duration=words.duration((now - as_of).total_seconds()))
        said = f"{words('as_of', time=words.moment(as_of, 'clock'))} {words.zone_label} · {age}"
    brand = f"<b>Chatwatch</b> {words('title')}"
    links = "".join(
        f'<a href="?lang={other}" lang="{other.tag}" target="_self">{name}</a>'
        for other, name in others(words.language)
    )
    st.html(f'<div class="age"><span>{brand}</span><span role="status">{said}</span>{links}{page_links(words)}</div>')
    if holder.failing:
        st.warning(words("cannot_read"), icon=":material/cloud_off:")
    draw(Visit(reading, words, theme_of_visit(), holder.reader))
    st.html(footer(words, os.environ.get(ADDRESS, ""), urlsplit(st.context.url or "").hostname or ""))


def page_links(words: Words) -> str:
    """Return the views in one line for a phone, where Streamlit hides its own navigation behind a sign."""
    asked = st.query_params.get("lang", "")
    query = f"?lang={words.language}" if asked else ""
    drawn = [
        f'<a href="{path}{query}" target="_self">{words(key)}</a>'
        for path, key in (("./", "overview"), ("charts", "charts"), ("history", "history"), ("method", "method"))
    ]
    return f'<nav class="pages" aria-label="{words("views")}">{"".join(drawn)}</nav>'


def footer(words: Words, address: str, host: str) -> str:
    """Return the foot of a page; ``address`` is the ready-made page's, ``host`` the one this visitor came by."""
    address = web_address(ANY_HOST.sub(f"//{host}", address)).rstrip("/")
    links = (("status_page", words.language.home), ("api", "/api/v2/summary.json"), ("feeds", "/feed.atom"))
    drawn = [f'<a href="{address}{path}">{words(key)}</a>' for key, path in links if address]
    stop = words("full_stop").rstrip()
    said = f"{words('footer')} {words('zone_local', zone=words.zone_label)}{stop}"
    return f'<footer class="age foot"><nav aria-label="{words("links")}">{"".join(drawn)}</nav><p>{said}</p></footer>'


def show(visit: Visit, template: str, snapshot: Snapshot | None = None, **more: object) -> None:
    """Draw a page's middle as one block."""
    shown = snapshot or visit.snapshot
    if not shown.open_incidents:  # nothing on the page counts seconds, so the block may stay the same for a minute
        shown = replace(shown, taken_at=shown.taken_at.replace(second=0, microsecond=0))
    st.html(in_zone(block(template, shown, visit.words.language, visit.theme, **more), visit.words))


def choose_service(visit: Visit) -> str:
    """Return the service that the visitor filters by; empty is all. The choice is in the address."""
    names = {"": visit.words("all_services")} | {service.id: service.name for service in visit.snapshot.services}
    return str(
        st.selectbox(
            visit.words("choose_service"),
            list(names),
            format_func=lambda key: names.get(key, key),
            key="service",
            bind="query-params",
            width=280,
        )
        or ""
    )


def only(snapshot: Snapshot, service: str) -> Snapshot:
    """Return the snapshot with one service; an unknown name is all of them."""
    if service not in {view.id for view in snapshot.services}:
        return snapshot
    return replace(
        snapshot,
        services=tuple(view for view in snapshot.services if view.id == service),
        open_incidents=tuple(item for item in snapshot.open_incidents if item.service == service),
        past_incidents=tuple(item for item in snapshot.past_incidents if item.service == service),
        model_changes=tuple(change for change in snapshot.model_changes if change.service == service),
        maintenances=tuple(item for item in snapshot.maintenances if item.service == service),
    )
