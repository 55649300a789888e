"""Play a scenario: a timeline of looks and clicks, and what must follow, readable by an on-call engineer.

A scenario is a parsed YAML mapping (reading the file is the caller's business)::

    name: A hard outage of the API
    start: 2025-01-27T04:00:00Z
    probes:
      chat: {component: deepseek/api, interval: 30s}
    looks:
      chat: o*10 x*4 o*8
    expect:
      timeline: ["+5m1s opened critical deepseek/api"]
      notices: ["+5m1s first page component_down deepseek/api"]

The notation of looks is in ``notation``; beside or instead of them there may be a ground truth to draw them from
(``world``). An expected line is met by a line that begins with it, in order; no other line may come unless
``only: false`` says so. ``within: 30s`` lets a line come so much sooner or later than expected: a recorded outage does
not repeat to the second.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, assert_never

from monitor.core.catalogue import Catalogue
from monitor.core.checks import pace
from monitor.core.checks.pace import Pace
from monitor.core.commands import (
    AcknowledgeAlert,
    Command,
    CommandError,
    CommandResult,
)
from monitor.core.components.health import ComponentHealth
from monitor.core.entities import Alert, Decision, Incident, IncidentEvent
from monitor.core.model.incident_events import (
    Cause,
    ComponentBetter,
    ComponentWorse,
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
from monitor.core.model.observations import Result, RunId
from monitor.core.model.registration import Registration
from monitor.core.replay import Judge
from monitor.core.scenario import clicks, notation
from monitor.core.scenario.draw import draw
from monitor.core.scenario.notation import ScenarioError, looks, offset, seconds
from monitor.core.scenario.world import World, with_seed
from monitor.core.scenario.world_reader import read_world

LOOK_S = 0.5
MOMENT = re.compile(r"[+-](\d+(h|m|s))+")


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a scenario: every line that was made, and every expectation that was not met."""

    timeline: tuple[str, ...]
    notices: tuple[str, ...]
    withheld: tuple[str, ...]
    """Decisions to tell nobody, with their reason."""
    unmet: tuple[str, ...]
    played: tuple[Result, ...] = field(repr=False)
    judge: Player = field(repr=False, compare=False)
    start: datetime
    world: World | None = field(default=None, repr=False)
    """The ground truth that looks were drawn from."""


class Player(Protocol):
    """Whatever judges: memory (:class:`monitor.core.replay.Judge`), or a database in the tests."""

    @property
    def events(self) -> Sequence[IncidentEvent]:
        """Every incident's events, in the order they were written."""

    @property
    def fired(self) -> Sequence[Alert]:
        """Every alert that ever fired."""

    @property
    def decisions(self) -> Sequence[Decision]:
        """Every decision, in order."""

    def record(self, results: Sequence[Result]) -> None:
        """Judge looks."""

    def sweep(self, now: datetime) -> None:
        """Judge what follows from time alone."""

    def command(self, order: Command, who: str, now: datetime, why: str = "") -> CommandResult:
        """Carry out a person's command."""

    def open_alerts(self) -> Sequence[Alert]:
        """Return the alerts that are not resolved."""

    def latest(self, service: str, cause: Cause) -> Incident | None:
        """Return the latest incident of a service and cause."""

    def shown(self, component: str, now: datetime) -> ComponentHealth | None:
        """Return the verdict that the page shows."""

    def registration_of(self, component: str, now: datetime) -> Registration | None:
        """Return the word over all ways to sign up."""


def run(
    scenario: Mapping[str, Any],
    player: Callable[[Catalogue], Player] = Judge,
    seed: int | None = None,
    seen: Callable[[Result], None] | None = None,
) -> Report:
    """Play a scenario through the rules and compare what came of it with what it expects.

    ``seed`` takes the place of the file's own where looks are drawn. ``seen`` is told of each look, and none is kept.
    """
    play = _Play(scenario, player, seed)
    play.seen = seen or play.played.append
    play.go()
    judge, start = play.judge, play.start
    causes = {item.incident: item.what.cause for item in judge.events if isinstance(item.what, Opened)}
    timeline = tuple(event_line(event, start, causes[event.incident]) for event in judge.events)
    rules = {alert.id: alert for alert in judge.fired}
    lines = [notice_line(decision, rules[decision.alert], start) for decision in judge.decisions]
    notices = tuple(line for line, d in zip(lines, judge.decisions, strict=True) if d.send)
    withheld = tuple(line for line, d in zip(lines, judge.decisions, strict=True) if not d.send)
    expect = scenario.get("expect", {})
    unmet = (
        *_unmet("timeline", expect, timeline),
        *_unmet("notices", expect, notices),
        *_unmet("withheld", {**expect, "only": False}, withheld),
        *play.unmet,
    )
    return Report(timeline, notices, withheld, unmet, tuple(play.played), judge, start, play.world)


def _unmet(what: str, expect: Mapping[str, Any], lines: Sequence[str]) -> Iterator[str]:
    wanted = expect.get(what)
    if wanted is None:
        return
    rest, within_s = list(lines), seconds(expect.get("within", "0s"))
    for want in wanted:
        found = next((i for i, line in enumerate(rest) if _meets(line, want, within_s)), None)
        if found is None:
            yield f"{what}: expected {want!r}, which did not come (in order)"
            continue
        if within_s:  # what came nearly together may come in another order
            del rest[found]
            continue
        if expect.get("only", True):
            yield from (f"{what}: not expected: {line!r}" for line in rest[:found])
        rest = rest[found + 1 :]
    if expect.get("only", True):
        yield from (f"{what}: not expected: {line!r}" for line in rest)


def _meets(line: str, want: str, within_s: float) -> bool:
    """Say whether a line begins with the wanted words; moments may differ by ``within_s``."""
    words, wanted = line.split(" "), want.split(" ")
    pairs = zip(words, wanted, strict=False)
    return len(words) >= len(wanted) and all(word == want or _near(word, want, within_s) for word, want in pairs)


def _near(word: str, want: str, within_s: float) -> bool:
    moments = MOMENT.fullmatch(word) and MOMENT.fullmatch(want)
    return bool(moments) and abs(seconds(word) - seconds(want)) <= within_s


def notice_line(decision: Decision, alert: Alert, start: datetime) -> str:
    """Write a decision about an alert as a line of the notices."""
    words = [
        offset(decision.at, start),
        decision.why,
        decision.severity or alert.severity,
        str(alert.rule),
        alert.component,
    ]
    return " ".join([word for word in words if word] + (["to", decision.route] if decision.route else []))


def event_line(event: IncidentEvent, start: datetime, cause: Cause) -> str:
    """Write an incident's event as a line of the timeline."""
    words = [offset(event.recorded_at, start), event.kind.value, *_told(event, start)]
    if event.by:
        words += ["by", event.by]
    if cause is Cause.REGISTRATION:
        words.insert(1, "registration:")
    return " ".join(words)


def _told(event: IncidentEvent, start: datetime) -> list[str]:
    """Return what a line of the timeline says of an event beside its kind."""
    match event.what:
        case Opened(_, _, impact, components):
            return [impact.value, *components, "since", offset(event.at, start)]
        case RegistrationChanged() as what:
            return [
                what.method.value,
                what.before.value,
                what.after.value,
                *("+" + code for code in what.country_codes),
                *([f"{what.failed_ratio:.0%}"] if what.failed_ratio is not None else []),
                *(f"{word.place}:{word.state.value}" for word in what.places),
            ]
        case ComponentWorse(name, health) | ComponentBetter(name, health) | Relapsed(name, health):
            return [name, health.value]
        case Reopened(name, health):
            return [name, health.value]
        case ImpactChanged(impact):
            return [impact.value]
        case UpstreamSaid() as said:
            return [text for text in (said.status.value if said.status else "", said.name) if text]
        case Note() as note:
            return [item.value for item in (note.impact, note.status) if item is not None]
        case ProbeRemoved(name):
            return [name]
        case Related() as found:
            return [str(found.count)]
        case Recovering() | Resolved() | Published() | Hidden() | Postmortem():
            return []
        case _:
            assert_never(event.what)


def _order(item: tuple[datetime, int, Any]) -> tuple[datetime, int]:
    return item[:2]


class _Play:
    """One run of a scenario: the looks, clicks and checks in order of time."""

    def __init__(self, scenario: Mapping[str, Any], player: Callable[[Catalogue], Player], seed: int | None) -> None:
        self.scenario = scenario
        start = scenario.get("start", "2026-01-05T00:00:00Z")
        self.start = start if isinstance(start, datetime) else datetime.fromisoformat(str(start))
        self.start = self.start.replace(tzinfo=self.start.tzinfo or UTC)
        self.catalogue = notation.catalogue(scenario)
        self.probes = {probe.id: probe for probe in self.catalogue.probes}
        self.world = read_world(scenario, self.catalogue) if "world" in scenario else None
        if self.world is not None and seed is not None:
            self.world = with_seed(self.world, seed)
        self.judge = player(self.catalogue)
        self.words: Mapping[str, Any] = scenario.get("words", {})
        for order in (*clicks.maintenance(scenario, self.start), *clicks.silences(scenario, self.start)):
            self.judge.command(order, "scenario", self.start)
        self.unmet: list[str] = []
        self.played: list[Result] = []
        self.seen: Callable[[Result], None] = self.played.append
        self.paces: dict[tuple[str, str], Pace] = {}

    def at(self, text: str) -> datetime:
        return self.start + timedelta(seconds=seconds(text))

    def go(self) -> None:
        todo: list[tuple[datetime, int, Any]] = []
        for number, (name, text) in enumerate(self.scenario.get("looks", {}).items()):
            todo += [(at, number, look) for at, look in self._looks(name, str(text))]
        drawn = draw(self.world, self.catalogue, self.start) if self.world is not None else ()
        todo += [(self.at(click["at"]), -1, click) for click in self.scenario.get("clicks", ())]
        end = max((at for at, _, _ in todo), default=self.start)
        if "until" in self.scenario:
            end = max(end, self.at(self.scenario["until"]))
        every = timedelta(seconds=seconds(self.scenario.get("sweep", "10s")))
        sweeps = ((self.start + n * every, 10_000, None) for n in range(1, (end - self.start) // every + 1))
        checks = self.scenario.get("expect", {}).get("health", {})
        todo += [(self.at(when), 20_000, ("check", when, want)) for when, want in checks.items()]
        looks_ = ((look.ended_at, 0, look) for look in drawn)
        self._all(heapq.merge(sorted(todo, key=_order), looks_, sweeps, key=_order))

    def _all(self, given: Iterable[tuple[datetime, int, Any]]) -> None:
        """Do everything in order of time, with what follows from it."""
        counter, waiting = itertools.count(), list[tuple[datetime, int, int, Any]]()

        def do(at: datetime, number: int, what: Any) -> None:
            for again_at, more in self._do(at, what):
                heapq.heappush(waiting, (again_at, number, next(counter), more))

        def until(moment: tuple[datetime, int] | None) -> None:
            while waiting and (moment is None or waiting[0][:2] < moment):
                at, number, _, what = heapq.heappop(waiting)
                do(at, number, what)

        for at, number, what in given:
            until((at, number))
            do(at, number, what)
        until(None)

    def _do(self, at: datetime, what: Any) -> Iterator[tuple[datetime, Any]]:
        """Do what is due; yields what follows from it."""
        if what is None:
            self.judge.sweep(at)
        elif isinstance(what, Mapping):
            self._click(at, what)
        elif isinstance(what, Result):
            self._record(what)
        elif what[0] == "check":
            self._check(at, what[1], what[2])
        else:
            yield from self._look(at, *what)

    def _record(self, result: Result) -> None:
        self.seen(result)
        self.judge.record([result])

    def _looks(self, name: str, text: str) -> Iterator[tuple[datetime, tuple[RunId, tuple[str, ...]]]]:
        id_, _, location = name.partition("@")
        probe = self.probes.get(id_)
        if probe is None:
            raise ScenarioError(f"looks: no probe named {id_!r}")
        options = self.scenario["probes"][id_]
        first = self.start + timedelta(seconds=seconds(options.get("offset", "0s")))
        for number, words in enumerate(looks(text)):
            tick = first + timedelta(seconds=number * probe.interval_s)
            yield tick, (RunId(id_, location or probe.locations[0], tick), words)

    def _look(self, at: datetime, run: RunId, words: tuple[str, ...]) -> Iterator[tuple[datetime, Any]]:
        """Make one look; yields the next of its tick: the one that is written down, else one that is needed."""
        word, key, probe = words[min(run.attempt, len(words)) - 1], (run.probe, run.location), self.probes[run.probe]
        if word == ".":
            return
        result = Result(run, at, LOOK_S, notation.seen(word, self.words, self.start))
        self._record(result)
        elapsed_s = (at - run.tick).total_seconds() + LOOK_S
        self.paces[key], pause_s = pace.after(self.paces.get(key, pace.START), probe, result, elapsed_s)
        if pause_s is not None or run.attempt < len(words):
            wait_s = pace.early_wait_s(probe) if pause_s is None else LOOK_S + pause_s
            yield at + timedelta(seconds=wait_s), (replace(run, attempt=run.attempt + 1), words)

    def _check(self, at: datetime, when: str, want: Mapping[str, str]) -> None:
        self.judge.sweep(at)
        for component, health_ in want.items():
            verdict = self.judge.shown(component, at)
            found = verdict.health.value if verdict else "nothing"
            word = self.judge.registration_of(component, at)
            if word is not None and health_ in set(Registration):
                found = word.value
            if found != health_:
                self.unmet.append(f"health: at {when} {component} is {found}, expected {health_}")

    def _click(self, at: datetime, click: Mapping[str, Any]) -> None:
        who = click.get("by", "alice")
        if "acknowledge" in click:
            for alert in self.judge.open_alerts():
                if alert.rule == click["acknowledge"]:
                    self.judge.command(AcknowledgeAlert(alert.id), who, at)
            return
        incident = self.judge.latest(click["service"], Cause(click.get("cause", "outage")))
        if incident is None:
            raise ScenarioError(f"clicks: there is no incident of {click['service']} at {click['at']}")
        try:
            self.judge.command(clicks.order(click, incident.id), who, at)
        except CommandError as error:
            raise ScenarioError(f"clicks: at {click['at']}: {error}") from None
