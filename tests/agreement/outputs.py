"""What every door says of one snapshot, read from the bytes that it serves, and where two of them disagree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import unescape
from typing import Any

from prometheus_client.core import GaugeMetricFamily

from dashboard import sentences, timeline
from dashboard.scene import Scene, environment, slug
from dashboard.web import api, feeds
from dashboard.words import speak
from monitor.core.catalogue import Catalogue
from monitor.core.model.incident_events import Note
from monitor.core.model.states import Health, IncidentStatus
from monitor.recorder.metrics import Seen, State
from monitor.store.reads.views import Snapshot
from monitor.text.lexicon import Language

URL = "https://status.example"
Json = dict[str, Any]
WORST_FIRST = ("major_outage", "partial_outage", "degraded_performance", "unknown", "maintenance", "operational")
TROUBLE = WORST_FIRST[:3]
PHRASES: Mapping[Language, Sequence[tuple[str, str]]] = {
    Language.EN: (
        (r"sign-up works with delays \(seen from [^)]*\)", "degraded_performance"),
        (r"sign-up is open \(seen from [^)]*\)", "operational"),
        (r"[^;:.]*\(seen from [^)]*\)", "partial_outage"),
        (r"sign-up by [^;.]* is (closed|failing)", "partial_outage"),
        (r"every attempt to sign up fails|sign-up is closed|\b([89]\d|100) % of sign-ups fail", "major_outage"),
        (r"\d+ % of sign-ups (by [^;.]* )?fail|sign-up is (failing|limited to|restricted)", "partial_outage"),
        (r"sign-up needs an invitation|new accounts wait for approval", "partial_outage"),
        (r"sign-up works with delays", "degraded_performance"),
        (r"\bpartly down\b", "partial_outage"),
        (r"\b(is|are) down\b", "major_outage"),
        (r"\bslow or unstable\b", "degraded_performance"),
        (r"we cannot tell", "unknown"),
        (r"under maintenance", "maintenance"),
        (r"\bworks?\b|\bworking\b", "operational"),
    ),
    Language.ZH: (
        (r"注册可用但有延迟（从[^）]*看）", "degraded_performance"),
        (r"注册开放（从[^）]*看）", "operational"),
        (r"[^；：。]*（从[^）]*看）", "partial_outage"),
        (r"不?能?用[^；。]*注册(异常|有 \d+ % 失败)?", "partial_outage"),
        (r"所有注册尝试均失败|注册已关闭|\b([89]\d|100) %的注册失败", "major_outage"),
        (r"\d+ %的注册失败|注册(异常|仅限|受限)|注册需要邀请|新账户需要审核", "partial_outage"),
        (r"注册可用但有延迟", "degraded_performance"),
        (r"部分中断", "partial_outage"),
        (r"中断", "major_outage"),
        (r"缓慢或不稳定", "degraded_performance"),
        (r"无法判断", "unknown"),
        (r"维护", "maintenance"),
        (r"正常|已恢复", "operational"),
    ),
}
"""What a sentence says of a state, in the order in which the phrases are taken out of it."""


def said(sentence: str, language: Language = Language.EN) -> set[str]:
    """Return the states that a sentence speaks of."""
    found = set()
    for phrase, state in PHRASES[language]:
        sentence, times = re.subn(phrase, "", sentence)
        if times:
            found.add(state)
    return found


def worst(states: Sequence[str]) -> str:
    """Return the worst of drawn states."""
    return next((state for state in WORST_FIRST if state in states), "operational")


class Outputs:
    """One snapshot through every door."""

    def __init__(self, snapshot: Snapshot, catalogue: Catalogue) -> None:
        self.snapshot = snapshot
        served = api.documents(snapshot, URL)
        self.summary: Json = json.loads(served["/api/v2/summary.json"])
        self.incidents: list[Json] = json.loads(served["/api/v2/incidents.json"])["incidents"]
        self.own: Json = json.loads(served["/api/v1/services.json"])
        self.files = {path: body.decode() for path, (_, body) in feeds.documents(snapshot, URL).items()}
        self.pages = {language: _page(snapshot, language) for language in Language}
        self.samples = _samples(snapshot, catalogue)
        self.parts = {row["id"]: row for row in self.summary["components"] if not row["group"]}
        self.by_policy = {
            slug(part["id"])
            for service in self.own["services"]
            for part in service["components"]
            if part["state"] in TROUBLE and part["reason"] == "ok"
        }
        """Components at which fewer people may sign up, and of which the looks have nothing to say."""
        self.groups = {row["id"]: row for row in self.summary["components"] if row["group"]}

    def disagreements(self) -> Iterator[str]:
        """Yield a sentence for each pair of outputs that do not say the same."""
        yield from self._services()
        yield from self._page()
        yield from self._metrics()
        for row in self.incidents:
            yield from self._incident(row)
        yield from self._feed()

    def _services(self) -> Iterator[str]:
        for service in self.own["services"]:
            group = self.groups[slug(service["id"])]
            state = worst([part["state"] for part in service["components"]]) if service["components"] else "unknown"
            told = {group["chatwatch_state"], service["state"]}
            if told != {state}:
                yield f"{service['id']}: components are {state}, the documents say {told}"
            word = sentences.state_word(state, speak(Language.EN)).lower()
            if f">{word}</text>" not in self.files[f"/badge/{slug(service['id'])}.svg"]:
                yield f"{service['id']}: the badge does not say {word}"
            for part in service["components"]:
                if self.parts[slug(part["id"])]["chatwatch_state"] != part["state"]:
                    yield f"{part['id']}: v1 says {part['state']}, v2 {self.parts[slug(part['id'])]}"

    def _page(self) -> Iterator[str]:
        whole = worst([row["chatwatch_state"] for row in self.groups.values()])
        if self.snapshot.blind_since is not None or not self.groups:
            whole = "unknown"
        if self.summary["status"]["chatwatch_state"] != whole:
            yield f"services are {whole}, the summary says {self.summary['status']}"
        if feeds.icon(whole).decode() != self.files["/favicon.svg"]:
            yield f"the icon is not that of {whole}"
        for language, page in self.pages.items():
            lines = page.headline
            if worst([state for state, _ in lines]) != whole:
                yield f"services are {whole}, the headline says {lines}"
            for state, text in lines:
                spoken = said(text, language) - {"operational"}
                if state in TROUBLE and spoken and worst(list(spoken)) != state:
                    yield f"a line of {state} says {text!r}"
            for name, state in page.parts.items():
                if self.parts[name]["chatwatch_state"] != state:
                    yield f"{name}: the page shows {state}, the JSON {self.parts[name]['chatwatch_state']}"

    def _metrics(self) -> Iterator[str]:
        for part in (part for service in self.snapshot.services for part in service.components):
            labels = (("component", part.id), ("service", part.service))
            if ("chatwatch_component_known", labels) not in self.samples:
                continue  # no probe looks at it
            state = self.parts[slug(part.id)]["chatwatch_state"]
            known = self.samples["chatwatch_component_known", labels]
            health = self.samples.get(("chatwatch_component_health", labels))
            upkeep = self.samples["chatwatch_component_maintenance", labels]
            if (state == "maintenance") != bool(upkeep):
                yield f"{part.id} is {state}, the metric says maintenance {upkeep}"
            elif state != "maintenance" and (health is None, known) != (state == "unknown", float(state != "unknown")):
                yield f"{part.id} is {state}, the metrics say known {known}, health {health}"
            elif state != "maintenance" and health is not None and health != Health(state).severity:
                yield f"{part.id} is {state}, the metric says {health}"
        told = sum(value for (name, _), value in self.samples.items() if name == "chatwatch_incidents")
        if told != len(self.summary["incidents"]):
            yield f"{len(self.summary['incidents'])} incidents are open, the metric counts {told}"

    def _incident(self, row: Json) -> Iterator[str]:
        is_open = row["resolved_at"] is None
        updates = row["incident_updates"]
        if updates and updates[0]["status"] != row["status"]:
            yield f"{row['id']} is {row['status']}, its newest update {updates[0]}"
        times = [update["display_at"] for update in updates]
        if times != sorted(times, reverse=True):
            yield f"{row['id']}: updates are not in order: {times}"
        if is_open == (row["status"] in (IncidentStatus.RESOLVED, IncidentStatus.POSTMORTEM)):
            yield f"{row['id']} is {row['status']} and ended at {row['resolved_at']}"
        if not is_open:
            return
        yield from self._newest_line(row)
        yield from self._title(row)

    def _states(self, row: Json, cause: str) -> list[str]:
        """Return the states of an incident's components, as far as they are its business."""
        return [
            "operational" if cause == "outage" and part["id"] in self.by_policy else part["chatwatch_state"]
            for part in row["components"]
        ]

    def _title(self, row: Json) -> Iterator[str]:
        (view,) = (item for item in self.snapshot.open_incidents if slug(item.id) == row["id"])
        now = worst(self._states(row, view.cause))
        for language, page in self.pages.items():
            title, mark, lines = page.incidents[row["id"]]
            if not view.title and view.now and view.cause == "outage":
                if now in TROUBLE and worst(list(said(title, language))) != now:
                    yield f"{row['id']}: components are {now}, the title says {title!r}"
                if now not in TROUBLE and said(re.split("[;；]", title)[-1], language) & set(TROUBLE):
                    yield f"{row['id']}: components are {now}, the title says {title!r}"
            if view.now and mark != now:
                yield f"{row['id']}: components are {now}, its mark is {mark}"
            if len(lines) != len(timeline.entries(view, speak(language), {})):
                yield f"{row['id']}: the page leaves out lines"
        if row["name"] != self.pages[Language.EN].incidents[row["id"]][0]:
            yield f"{row['id']}: the JSON calls it {row['name']!r}, the page {self.pages[Language.EN].incidents}"

    def _newest_line(self, row: Json) -> Iterator[str]:
        (view,) = (item for item in self.snapshot.open_incidents if slug(item.id) == row["id"])
        entries = [item for item in timeline.entries(view, speak(Language.EN), {}) if item.voice == "rule"]
        states = [item for item in entries if item.state != "note"]
        if states and re.match(r"Over\b", states[-1].sentence):
            yield f"{row['id']} is open and its newest line says {states[-1].sentence!r}"
        newest = states[-1].state if states else ""
        now = set(self._states(row, view.cause))
        if not now or view.cause != "outage":
            return
        named = any(isinstance(event.what, Note) and event.what.status for event in view.events)
        if row["status"] == "monitoring" and not named and {"major_outage", "partial_outage"} & now:
            yield f"{row['id']} is being watched while {now}"
        if newest in TROUBLE and newest not in now and now <= {*TROUBLE}:
            yield f"{row['id']}: components are {now}, the newest line says {newest}: {states[-1].sentence!r}"
        if (
            newest == "operational"
            and now
            and not now & {"operational", "unknown", "maintenance", "degraded_performance"}
        ):
            yield f"{row['id']}: components are {now}, the newest line says {states[-1].sentence!r}"

    def _feed(self) -> Iterator[str]:
        told = re.findall(r"<entry>.*?<title>(.*?)</title>", self.files["/feed.atom"], re.DOTALL)
        rows = [f"{row['name']} ({sentences_of(row['status'])})" for row in self.incidents]
        if sorted(map(unescape, told)) != sorted(rows):
            yield f"the feed says {told}, the JSON {rows}"


def sentences_of(status: str) -> str:
    """Return an incident's status in the feed's words."""
    return speak(Language.EN).of(IncidentStatus(status)).lower()


class Page:
    """The front page as a reader sees it."""

    def __init__(self, text: str) -> None:
        head = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)
        assert head is not None
        self.headline = [
            (state, plain_text(line))
            for state, line in re.findall(
                r'<span class="mark (\w+)[^"]*" aria-hidden="true"></span>(.*?)(?=<span class="mark|\Z)',
                head[1],
                re.DOTALL,
            )
        ]
        self.parts = dict(
            re.findall(r'<div class="part" id="([^"]+)">.*?<div class="state"><span class="mark (\w+)', text, re.DOTALL)
        )
        self.incidents: dict[str, tuple[str, str, list[str]]] = {}
        for name, body in re.findall(
            r'<article class="incident" id="incident-([^"]+)">(.*?)</article>', text, re.DOTALL
        ):
            found = re.search(r'<span class="mark (\w+)[^>]*></span><h3><a[^>]*>(.*?)</a>', body, re.DOTALL)
            assert found is not None
            lines = [plain_text(line) for line in re.findall(r"<li><time.*?</li>", body, re.DOTALL)]
            self.incidents[name] = plain_text(found[2]), found[1], lines


def plain_text(markup: str) -> str:
    """Return what is read, without tags."""
    return unescape(re.sub(r"<[^>]+>", "", markup)).strip()


def _page(snapshot: Snapshot, language: Language) -> Page:
    scene = Scene(snapshot, language)
    more = {
        "layout": "bare.html",
        "theme": "",
        "svg_allowed": False,
        "lines": sentences.headline(snapshot, scene.words),
        "css": "",
    }
    return Page(environment().get_template("index.html").render(scene.helpers() | more))


def _samples(snapshot: Snapshot, catalogue: Catalogue) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    seen = Seen(lambda: snapshot.taken_at, catalogue=catalogue, snapshot=snapshot, snapshot_at=snapshot.taken_at)
    found = {}
    for family in State(seen).collect():
        assert isinstance(family, GaugeMetricFamily)
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def still(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot without what moves by itself, to see whether anything was said anew."""
    workers = tuple(replace(worker, seen_at=worker.blind_since or snapshot.taken_at) for worker in snapshot.workers)
    return replace(snapshot, taken_at=snapshot.taken_at.min, as_of=None, workers=workers[:0])
