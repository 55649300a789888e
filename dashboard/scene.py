"""What the doors draw from a snapshot: the names that templates may call, and a page's middle as one block.

Pure: a snapshot goes in, markup comes out. Everything is escaped by the templates; text from outside is made plain
before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboard import parts, sentences, timeline, titles
from dashboard.palette import style_sheet
from dashboard.words import Words, capital, speak, web_address
from monitor.core.entities import MethodState
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health
from monitor.store.reads.views import ComponentView, IncidentView, RegistrationView, ServiceView, Snapshot
from monitor.text.cleaner import plain
from monitor.text.lexicon import Language
from monitor.text.messages import told

TEMPLATES = Path(__file__).with_name("templates")
STALE_AFTER_S = 90.0
"""Past this age the counter on the page is struck through."""
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MOMENT = re.compile(r'<time datetime="([0-9T:.+-]+)" data-f="(clock|short|long|exact|full)">[^<]*</time>')


@cache
def environment() -> Environment:
    """Return the template environment: escaping always, unknown names are errors."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters["slug"] = slug
    return found


@cache
def asset(name: str) -> str:
    """Return a style sheet, with the palette in it, or a script that is written into the page."""
    return style_sheet((TEMPLATES / name).read_text("utf-8"))


def slug(text: str) -> str:
    """Return an id that is safe in a path and as a fragment; odd ids become their hash."""
    name = str(text).replace("/", "-")
    return name if SAFE_ID.fullmatch(name) else hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


def time_tag(words: Words, when: datetime | None, style: str) -> Markup:
    """Return a ``<time>``: UTC as written, the reader's zone once the script has run."""
    if when is None:
        return Markup("–")
    tag = Markup('<time datetime="{}" data-f="{}">{}</time>')
    return tag.format(when.isoformat(), style, words.moment(when, style))


def rich(words: Words, key: str, **values: object) -> Markup:
    """Return a text whose places hold markup; everything else is escaped."""
    return Markup("{}").format(words.table["text"][key]).format(**values)


def link(address: str) -> Markup:
    """Return a link that shows its host; nothing if the address is not plain http(s)."""
    safe = web_address(address)
    host = safe.partition("://")[2].partition("/")[0]
    if not host:
        return Markup("")
    return Markup('<a href="{}" rel="noopener noreferrer nofollow">{} ↗</a>').format(safe, plain(host, 60))


def strongest(view: RegistrationView) -> MethodState | None:
    """Return the method whose evidence is worth showing: a restriction before an open door."""
    told = [state for state in view.methods if state.excerpt and state.state is not Registration.OPEN]
    return max(told, key=lambda state: state.source.weight, default=None)


def agreement(service: ServiceView, words: Words) -> str:
    """Return whether the vendor's page says what we measure; empty where one of us does not know."""
    seen = service.upstream
    if seen is None or seen.reading is None or seen.reading.indicator is Health.UNKNOWN:
        return ""
    state = sentences.service_state(service)
    if state in ("unknown", "maintenance"):
        return ""
    theirs = str(seen.reading.indicator)
    if state == theirs:
        return words("vendor_agrees")
    if Health.OPERATIONAL in (state, theirs):
        return words("vendor_disagrees")
    return words("vendor_nearly", state=sentences.state_word(state, words))


def because(part: ComponentView, words: Words) -> Markup:
    """Return since when a component is not well, and why."""
    since = rich(words, "since", time=time_tag(words, part.since, "long"))
    if part.reason is Reason.OK:
        return since
    said = sentences.unusual_sentence(part.unusual, words) if part.unusual else told(part.detail, words, 160)
    detail = f" ({said})" if said else ""
    return Markup("{} · {}{}").format(since, words("reason_line", reason=words.of(part.reason)), detail)


class Scene:
    """One snapshot in one language: what the templates may call."""

    def __init__(self, snapshot: Snapshot, language: Language) -> None:
        self.snapshot = snapshot
        self.words = speak(language)
        self.names = sentences.names_of(snapshot, self.words)

    def length(self, incident: IncidentView) -> str:
        """Return how long an incident lasted, or has lasted so far."""
        end = incident.resolved_at or self.snapshot.taken_at
        return self.words.duration((end - incident.started_at).total_seconds())

    def helpers(self) -> dict[str, Any]:
        """Return the names the templates know."""
        words, names = self.words, self.names
        return {
            "w": words,
            "snapshot": self.snapshot,
            "prefix": words.language.prefix,
            "home": words.language.home,
            "layout": "base.html",
            "inside": False,
            "history": words.language.prefix + "/history",
            "address": lambda incident: f"{words.language.prefix}/incidents/{slug(incident.id)}",
            "limit_s": STALE_AFTER_S,
            "units": "|".join(words.unit(unit, "{n}") for unit in ("d", "h", "min", "s")),
            "svg_allowed": True,
            "plain": plain,
            "told": lambda text: told(text, words),
            "capital": capital,
            "link": link,
            "mark": parts.mark,
            "unbroken": parts.unbroken,
            "label": words.table["label"].get(self.snapshot.label) or plain(self.snapshot.label, 120),
            "sightless": parts.sightless(self.snapshot),
            "cells": parts.cells,
            "spark": parts.spark,
            "shares": parts.shares,
            "budget_line": parts.budget_line,
            "weakest": parts.weakest,
            "window_days": parts.window_days,
            "bars_summary": parts.bars_summary,
            "trouble_days": parts.trouble_days,
            "registration_mark": parts.registration_mark,
            "speaks_of_sign_up": sentences.speaks_of_sign_up,
            "state_of": sentences.state_of,
            "state_word": sentences.state_word,
            "name_of": sentences.name_of,
            "method_word": parts.method_word,
            "shown_ways": parts.shown_ways,
            "incident_state": titles.incident_state,
            "strongest": strongest,
            "model_sentence": lambda change: sentences.model_sentence(change, names, words),
            "code": lambda text: Markup("<code>{}</code>").format(text),
            "time": lambda when, style: time_tag(words, when, style),
            "rich": lambda key, **values: rich(words, key, **values),
            "word": lambda part: sentences.part_word(part, words),
            "because": lambda part: because(part, words),
            "unwatched": lambda part, service: sentences.unwatched_sentence(part, service, words),
            "verdict": lambda service: agreement(service, words),
            "source_line": lambda state: rich(
                words, "source_line", source=words.of(state.source), time=time_tag(words, state.read_at, "long")
            ),
            "length_of": self.length,
            "lead_sentence": lambda incident: titles.lead_sentence(incident, words),
            "incident_title": lambda incident: titles.incident_title(incident, words, names),
            "affected": lambda incident: titles.affected(incident, words, names),
            "entries": lambda incident: timeline.entries(incident, words, names),
            "crowded": timeline.crowded,
            "since_key": timeline.since_key,
            "worst_mark": titles.worst_state,
        }


def by_month(incidents: Iterable[IncidentView], words: Words) -> list[tuple[str, list[IncidentView]]]:
    """Return incidents by the month they began in where the reader is, newest first."""
    ordered = sorted(incidents, key=lambda item: item.started_at, reverse=True)
    months = groupby(ordered, lambda item: words.month(item.started_at.astimezone(words.zone).date()))
    return [(name, list(items)) for name, items in months]


def block(template: str, snapshot: Snapshot, language: Language, theme: str, **more: Any) -> str:
    """Return a page's middle as one block for Streamlit: same template and style, no SVG, no age.

    ``theme`` is ``light``, ``dark`` or empty (as the system).
    """
    scene = Scene(snapshot, language)
    context = scene.helpers() | {
        "layout": "bare.html",
        "theme": theme,
        "svg_allowed": False,
        "home": "./",
        "history": "history",
        "address": lambda incident: f"history?incident={slug(incident.id)}",
        "lines": sentences.headline(snapshot, scene.words),
        "css": Markup(asset("style.css")),  # noqa: S704  our own file
    }
    return environment().get_template(template).render(context | more)


def in_zone(drawn: str, words: Words) -> str:
    """Return a block with its moments in the reader's zone, UTC in the tooltip: there is no script to do it."""

    def local(found: re.Match[str]) -> str:
        when = datetime.fromisoformat(found[1])
        return f'<time datetime="{found[1]}" title="{when:%Y-%m-%d %H:%M:%S} UTC">{words.moment(when, found[2])}</time>'

    return MOMENT.sub(local, drawn)
