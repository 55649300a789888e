"""Every number of a page opens to its counts, window, exclusions and formula; the rules shown are those in force."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from enum import Enum
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from dashboard import method, parts, scene
from dashboard.web import render
from dashboard.words import Words, speak
from monitor.core.catalogue import Policy
from monitor.store.reads.views import ComponentView, Snapshot, Uptime
from monitor.text.lexicon import Language
from tests.doors import sample

FIGURE = re.compile(r"\d\s?%|\d\s?(ms|µs)\b|\bp(50|95)\b")
QUOTED = {"why", "timeline", "evidence", "witness"}
"""Where our own sentences and the vendor's words stand: they say what a number is about in the same breath."""
SHOWN = {"calm": sample.calm(), "january": sample.january(), "stale": sample.stale()}


class Figures(HTMLParser):
    """The numbers that stand open on a page, and by id the text of what each one opens to."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, dict[str, str]]] = []
        self.bare: list[str] = []
        self.opened: dict[str, list[str]] = {}
        self.summaries: dict[str, list[str]] = {}
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br"):
            self.stack.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.stack]
        classes = {name for _, attributes in self.stack for name in attributes.get("class", "").split()}
        if {"style", "script", "title"} & set(tags) or classes & QUOTED:
            return
        figures = [a["id"] for tag, a in self.stack if tag == "details" and "figures" in a.get("class", "").split()]
        if not figures:
            self.bare += [data] if FIGURE.search(data) else []
        elif "summary" in tags:
            self.summaries.setdefault(figures[-1], []).append(data)
        else:
            self.opened.setdefault(figures[-1], []).append(data)


def said(pieces: list[str]) -> str:
    return " ".join(" ".join(pieces).split())


def uptime_told(text: str, uptime: Uptime, words: Words) -> None:
    """Assert that the text tells the window, what is up and down, what is left out, and how it is divided."""
    seconds = {
        "window": uptime.window_s, "up": uptime.up_s, "degraded": uptime.degraded_s, "down": uptime.down_s,
        "in_maintenance": uptime.maintenance_s, "unknown": uptime.unknown_s,
    }  # fmt: skip
    for key, length_s in seconds.items():
        assert f"{words(key)} {words.duration(length_s)}" in text
    assert words("uptime_formula") in text
    assert words.percent(uptime.ratio) in text


def budget_told(text: str, part: ComponentView, words: Words) -> None:
    budget = part.budget
    assert budget is not None
    left = budget.left_ratio
    assert words.duration(budget.allowed_s) in text
    assert words.percent(budget.target_ratio) in text
    assert words("budget_formula") in text
    assert (left is not None and left > 0 and words.percent(left) in text) or words("budget_spent").split("{")[-1][
        len("down}") :
    ] in text


def latency_told(text: str, part: ComponentView, words: Words) -> None:
    latency = part.latency
    assert latency is not None
    assert f"{words('looks')} {words.number(latency.looks)}" in text
    assert words("latency_window", duration=words.duration(latency.window_s)) in text
    assert words(f"{latency.what}_formula") in text
    assert words("percentile_formula") in text


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", list(SHOWN))
def test_every_number_of_a_page_opens_to_its_counts_window_exclusions_and_formula(
    name: str, language: Language
) -> None:
    snapshot, words = SHOWN[name], speak(language)
    pages = render.pages(snapshot, sample.catalogue())
    whole = {path: body.decode() for path, body in pages.items() if (path.startswith("/zh") == (language == "zh"))}
    whole["live"] = scene.block("index.html", snapshot, language, "dark")
    for path, body in whole.items():
        if not path.endswith("/method"):
            assert Figures(body).bare == [], path
    for path in (f"{language.prefix}/", "live"):
        board_is_told(Figures(whole[path]), snapshot, words)


def board_is_told(found: Figures, snapshot: Snapshot, words: Words) -> None:
    for service in snapshot.services:
        name = f"{scene.slug(service.id)}-figures"
        least = parts.weakest(service)
        uptime_told(said(found.opened[name]), least.uptime if least else service.uptime, words)
        for part in service.components:
            name = f"{scene.slug(part.id)}-figures"
            opened, summary = said(found.opened[name]), said(found.summaries[name])
            uptime_told(opened, part.uptime, words)
            budget_told(opened, part, words)
            if "p50" in summary:
                latency_told(opened, part, words)
            else:
                assert words.percent(part.uptime.ratio) in summary


def other(value: Any) -> Any:
    """Return another value of a threshold."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(item for item in type(value) if item is not value)
    return value * 2 + 1


@pytest.mark.parametrize("language", list(Language))
def test_the_method_page_shows_the_policy_in_force_and_whose_differs(language: Language) -> None:
    words, usual = speak(language), Policy()
    strict = Policy(**{field.name: other(getattr(usual, field.name)) for field in fields(Policy)})
    catalogue = sample.catalogue()
    ours = tuple(replace(probe, policy=strict) for probe in catalogue.probes)
    odd = replace(ours[3], policy=usual)
    catalogue = replace(catalogue, probes=(*ours[:3], odd, *ours[4:]))
    body = unescape(render.pages(sample.calm(), catalogue)[f"{language.prefix}/method"].decode())
    rows = re.findall(r'<code>(\w+)</code></td><td class="short">([^<]*)</td><td>([^<]*)</td>', body)
    assert {name for name, _, _ in rows} == {field.name for field in fields(Policy)}
    for name, value, others in rows:
        assert value == method.policy_value(words, name, getattr(strict, name)), name
        assert others == words(
            "policy_probe", value=method.policy_value(words, name, getattr(usual, name)), probes=odd.id
        ), name
