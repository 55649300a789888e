"""What the demonstration tells on the terminal: the story, what Chatwatch says of it, and what the pager got."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import click
from sqlalchemy import Engine

from monitor import clock
from monitor.core.entities import IncidentEvent
from monitor.core.model.incident_events import (
    ComponentBetter,
    ComponentWorse,
    EventKind,
    Hidden,
    ImpactChanged,
    Note,
    Opened,
    Postmortem,
    ProbeRemoved,
    Published,
    Recovering,
    RegistrationChanged,
    Relapsed,
    Related,
    Reopened,
    Resolved,
    UpstreamSaid,
)
from monitor.simulator.play import play
from monitor.simulator.scenario import Scenario, Step
from monitor.simulator.vendor import Vendor
from monitor.store import reads
from monitor.store.reads.views import IncidentView
from monitor.text.lexicon import lexicon

BEFORE_STORY_S = 8.0
"""Between the worker's start and the story: time for a first look at everything."""
LONGEST_QUOTE = 80


class Narrator:
    """Tells on the terminal what happens to the vendor, and what Chatwatch makes of it."""

    def __init__(self, engine: Engine, vendor: Vendor, story: Scenario) -> None:
        self._engine = engine
        self._vendor = vendor
        self._story = story
        self._told: dict[str, int] = {}
        self._heard: set[tuple[str, object, object]] = set()
        self._notices = 0

    async def tell(self, speed: float | None) -> None:
        """Play the story once and go on telling what the rules say, until cancelled."""
        await asyncio.to_thread(self._events)
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.sleep(BEFORE_STORY_S)
            title = f"{self._story.title.en}, {self._story.label}" if self._story.label else self._story.title.en
            click.echo(f"{title}. Left the clock, then the time of the story; » is what Chatwatch says.")
            await play(self._vendor, self._story, speed=speed, tell=self._step)
            click.echo("The story is told. Everything goes on running; Ctrl-C ends it.")
            await watching
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _step(self, step: Step) -> None:
        when = f"{step.when:%d %b %Y %H:%M}" if step.when else f"{step.at / 60:.0f} min"
        if step.say:
            click.echo(f"{_clock()}  {when}  {step.say.en}")

    async def _watch(self) -> None:
        while True:
            for line in await asyncio.to_thread(self._events):
                click.echo(f"{_clock()}    » {line}")
            notices = list(self._vendor.inbox)
            for notice in notices[self._notices :]:
                click.echo(f"{_clock()}    » pager: {notice_line(notice)}")
            self._notices = len(notices)
            await asyncio.sleep(1)

    def _events(self) -> list[str]:
        """Return a line for each incident event that was not told yet, in the order in which they were written."""
        found: list[tuple[IncidentEvent, IncidentView]] = []
        for view in reads.incidents(self._engine, public=False, limit=20):
            told = self._told.get(view.id, 0)
            found += [(event, view) for event in view.events if event.seq > told and self._is_news(event, view)]
            self._told[view.id] = max([told, *(event.seq for event in view.events)])
        found.sort(key=lambda pair: (pair[0].recorded_at, pair[1].id, pair[0].seq))
        together = itertools.groupby(found, key=lambda pair: (pair[1].id, pair[0].recorded_at, _kind_or_seq(pair[0])))
        groups = [list(group) for _key, group in together]
        return [event_line([event for event, _view in group], group[0][1]) for group in groups]

    def _is_news(self, event: IncidentEvent, view: IncidentView) -> bool:
        """Return whether to tell an event; what the vendor says once may stand in several incidents."""
        if not isinstance(event.what, UpstreamSaid):
            return not (isinstance(event.what, ComponentBetter) and event.what.unsaid)
        said = (view.service, event.at, event.what.body)
        fresh = said not in self._heard
        self._heard.add(said)
        return fresh


def _excerpts(view: IncidentView) -> set[str]:
    """Return what the changes of registration quote, which are told in lines of their own."""
    return {event.what.excerpt for event in view.events if isinstance(event.what, RegistrationChanged)}


def _kind_or_seq(event: IncidentEvent) -> object:
    """Registration changes of one look are told in one line, everything else in a line of its own."""
    return event.kind if event.kind is EventKind.REGISTRATION_CHANGED else event.seq


def event_line(events: Sequence[IncidentEvent], view: IncidentView) -> str:
    """Return incident events of one kind and moment as one short line; the pages have the full sentences."""
    first = events[0]
    match first.what:
        case RegistrationChanged(component) as what:
            changes = (event.what for event in events if isinstance(event.what, RegistrationChanged))
            words = [_named(view, [component]), ", ".join(map(_method, changes)) + ":", _quoted(what.excerpt)]
        case UpstreamSaid() as what:
            words = [f"{what.status or ''}:", _quoted(what.body)]
        case Resolved(duration_s):
            words = [f"after {duration_s:.0f} s"]
        case Opened(_, _, impact, components, detail=detail):
            words = [_named(view, components), impact.value, _detail(detail, view)]
        case ComponentWorse() | Relapsed() | Reopened() as what:
            words = [_named(view, [what.component]), what.health.replace("_", " "), _detail(what.detail, view)]
        case ComponentBetter(component, health):
            words = [_named(view, [component]), health.replace("_", " ")]
        case ImpactChanged(impact):
            words = [impact.value]
        case Recovering(components) | ProbeRemoved(_, components):
            words = [_named(view, components)]
        case Note(_, _, set_by_hand):
            words = [set_by_hand.value if set_by_hand else ""]
        case Published() | Hidden() | Postmortem() | Related():
            words = []
        case _:
            assert_never(first.what)
    told = " ".join(word for word in words if word)
    return f"{view.service_name}: {lexicon().of(first.kind)} {told}".rstrip()


def _named(view: IncidentView, parts: Sequence[str]) -> str:
    return ", ".join(view.component_names.get(name, name) for name in parts)


def _detail(detail: str | None, view: IncidentView) -> str:
    return _quoted(detail) if detail and detail not in _excerpts(view) else ""


def _method(what: RegistrationChanged) -> str:
    codes = "".join(f" +{code}" for code in what.country_codes)
    return f"{what.method} {what.before} → {what.after}{codes}"


def _quoted(text: str) -> str:
    return f'"{text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"}"'


def notice_line(notice: Mapping[str, Any]) -> str:
    """Return what a webhook got as one line."""
    data = notice.get("data", {})
    return f"{data.get('title', '')} ({data.get('why', '')})"


def _clock() -> str:
    return f"{clock.now().astimezone():%H:%M:%S}"
