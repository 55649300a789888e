"""Scenarios as data: a timeline of looks, clicks and what must follow, readable by an on-call engineer.

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

A look is a letter of :data:`LETTERS`, a reason as in ``service.stalled``, or a word of the scenario's own ``words``;
``x*4`` repeats it on the next ticks, ``x/o`` gives the second look of a tick its own outcome, ``(x/o o*3)*5`` repeats
a group. An expected line is met by a line that begins with it, in order; ``only: true`` allows no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core import health
from monitor.core.alerts import SilenceWindow
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Probe, Publishing, Route, Service
from monitor.core.events import Cause, EventKind, IncidentEvent
from monitor.core.maintenance import Window
from monitor.core.model import (
    Health,
    Impact,
    IncidentStatus,
    Method,
    MethodReading,
    Observation,
    Reason,
    Registration,
    Result,
    RunId,
    Severity,
    Source,
    UpstreamIncident,
    UpstreamReading,
    UpstreamUpdate,
)
from monitor.core.replay import Judge

LETTERS: Mapping[str, Reason] = {
    "o": Reason.OK,
    "s": Reason.SLOW,
    "q": Reason.QUEUED,
    "x": Reason.SERVER_ERROR,
    "v": Reason.OVERLOADED,
    "t": Reason.TIMEOUT_HEADERS,
    "c": Reason.CONNECT,
    "d": Reason.DNS,
    "h": Reason.THROTTLED,
    "a": Reason.AUTH,
    "m": Reason.QUOTA,
    "l": Reason.LAGGED,
    "b": Reason.BLOCKED,
    "u": Reason.UNREADABLE,
    "i": Reason.INTERNAL,
    "-": Reason.NOT_RUNNING,
}
"""One letter per look: ok, slow, queued, error, overloaded, timeout, connect, dns, throttled, auth, money, lagged,
blocked, unreadable, internal, missed."""
SECOND_LOOK = timedelta(seconds=1)
LOOK_S = 0.5
_BY_VALUE = {reason.value: reason for reason in Reason}
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class ScenarioError(ValueError):
    """The scenario cannot be read; says which part."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a scenario: every line that was made, and every expectation that was not met."""

    timeline: tuple[str, ...]
    notices: tuple[str, ...]
    withheld: tuple[str, ...]
    """Decisions to tell nobody, with their reason."""
    unmet: tuple[str, ...]
    judge: Judge = field(repr=False, compare=False)


def seconds(text: str | float) -> float:
    """Read ``90s``, ``1h30m`` or ``+5m1s`` as seconds."""
    parts = re.findall(r"([\d.]+)(ms|s|m|h|d)", str(text))
    if not parts or "".join(a + b for a, b in parts) != str(text).lstrip("+"):
        raise ScenarioError(f"not a duration: {text!r}; write 30s, 5m or +1h2m3s")
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def offset(at: datetime, start: datetime) -> str:
    """Write a moment as ``+1h2m3s`` after the start, whole seconds."""
    left = int((at - start).total_seconds())
    sign, left = ("-", -left) if left < 0 else ("+", left)
    parts = [(left // 3600, "h"), (left // 60 % 60, "m"), (left % 60, "s")]
    return sign + ("".join(f"{number}{unit}" for number, unit in parts if number) or "0s")


def looks(text: str) -> Iterator[tuple[str, str]]:
    """Yield (first look, second look) per tick; the second is ``""`` where it is like the first."""
    tokens = re.findall(r"\(|\)(?:\*\d+)?|[^\s()]+", text)
    position = 0

    def group() -> Iterator[tuple[str, str]]:
        nonlocal position
        while position < len(tokens):
            token = tokens[position]
            position += 1
            if token == "(":
                inner = list(group())
                times = int(tokens[position - 1].partition("*")[2] or 1)
                yield from inner * times
            elif token.startswith(")"):
                return
            else:
                word, _, times_text = token.partition("*")
                first, _, second = word.partition("/")
                yield from [(first, second)] * int(times_text or 1)

    yield from group()


def run(scenario: Mapping[str, Any]) -> Report:
    """Play a scenario through the rules and compare what came of it with what it expects."""
    play = _Play(scenario)
    play.go()
    judge, start = play.judge, play.start
    timeline = tuple(_event_line(event, start, judge) for event in judge.events)
    rules = {alert.id: alert for alert in judge.fired}
    lines = [
        f"{offset(d.at, start)} {d.why} {rules[d.alert].severity} {rules[d.alert].rule} {rules[d.alert].component}".strip()
        + (f" to {d.route}" if d.route else "")
        for d in judge.decisions
    ]
    notices = tuple(line for line, d in zip(lines, judge.decisions, strict=True) if d.send)
    withheld = tuple(line for line, d in zip(lines, judge.decisions, strict=True) if not d.send)
    expect = scenario.get("expect", {})
    unmet = [
        *_unmet("timeline", expect, timeline),
        *_unmet("notices", expect, notices),
        *_unmet("withheld", {**expect, "only": False}, withheld),
        *play.unmet,
    ]
    return Report(timeline, notices, withheld, tuple(unmet), judge)


def _unmet(what: str, expect: Mapping[str, Any], lines: Sequence[str]) -> Iterator[str]:
    wanted = expect.get(what)
    if wanted is None:
        return
    rest = list(lines)
    for want in wanted:
        found = next((i for i, line in enumerate(rest) if line == want or line.startswith(want + " ")), None)
        if found is None:
            yield f"{what}: expected {want!r}, which did not come (in order)"
            continue
        if expect.get("only", True):
            yield from (f"{what}: not expected: {line!r}" for line in rest[:found])
        rest = rest[found + 1 :]
    if expect.get("only", True):
        yield from (f"{what}: not expected: {line!r}" for line in rest)


def _event_line(event: IncidentEvent, start: datetime, judge: Judge) -> str:
    incident = next(item for item in judge.events if item.incident == event.incident and item.kind is EventKind.OPENED)
    data = event.data
    words = [offset(event.recorded_at, start), event.kind.value]
    if event.kind is EventKind.OPENED:
        words += [data["impact"], *data["components"], "since", offset(event.at, start)]
    elif event.kind is EventKind.REGISTRATION_CHANGED:
        words += [data["method"], data["before"], data["after"], *("+" + code for code in data["country_codes"])]
    else:
        words += [str(data[key]) for key in ("component", "health", "impact", "status", "name") if data.get(key)]
    if event.by:
        words += ["by", event.by]
    if incident.data["cause"] == Cause.REGISTRATION.value:
        words.insert(1, "registration:")
    return " ".join(words)


class _Play:
    """One run of a scenario: the looks, clicks and checks in order of time."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        self.scenario = scenario
        start = scenario.get("start", "2026-01-05T00:00:00Z")
        self.start = start if isinstance(start, datetime) else datetime.fromisoformat(str(start))
        self.start = self.start.replace(tzinfo=self.start.tzinfo or UTC)
        self.catalogue = catalogue(scenario)
        self.probes = {probe.id: probe for probe in self.catalogue.probes}
        self.judge = Judge(self.catalogue, _windows(scenario, self.start), _silences(scenario, self.start))
        self.unmet: list[str] = []

    def at(self, text: str) -> datetime:
        return self.start + timedelta(seconds=seconds(text))

    def go(self) -> None:
        todo: list[tuple[datetime, int, Any]] = []
        for number, (name, text) in enumerate(self.scenario.get("looks", {}).items()):
            todo += [(at, number, look) for at, look in self._looks(name, str(text))]
        todo += [(self.at(click["at"]), -1, click) for click in self.scenario.get("clicks", ())]
        end = max((at for at, _, _ in todo), default=self.start)
        if "until" in self.scenario:
            end = max(end, self.at(self.scenario["until"]))
        every = timedelta(seconds=seconds(self.scenario.get("sweep", "10s")))
        todo += [(self.start + n * every, 10_000, None) for n in range(1, (end - self.start) // every + 1)]
        checks = self.scenario.get("expect", {}).get("health", {})
        todo += [(self.at(when), 20_000, ("check", when, want)) for when, want in checks.items()]
        for at, _, what in sorted(todo, key=lambda item: item[:2]):
            self._do(at, what)

    def _do(self, at: datetime, what: Any) -> None:
        if what is None:
            self.judge.sweep(at)
        elif isinstance(what, Mapping):
            self._click(at, what)
        elif what[0] == "check":
            self._check(at, what[1], what[2])
        else:
            for result in self._results(at, *what):
                self.judge.record([result], result.started_at + timedelta(seconds=LOOK_S))

    def _looks(self, name: str, text: str) -> Iterator[tuple[datetime, tuple[Probe, str, str, str]]]:
        id_, _, location = name.partition("@")
        probe = self.probes.get(id_)
        if probe is None:
            raise ScenarioError(f"looks: no probe named {id_!r}")
        options = self.scenario["probes"][id_]
        first = self.start + timedelta(seconds=seconds(options.get("offset", "0s")))
        for number, (one, two) in enumerate(looks(text)):
            yield (
                first + timedelta(seconds=number * probe.interval_s),
                (probe, location or probe.locations[0], one, two),
            )

    def _results(self, at: datetime, probe: Probe, location: str, one: str, two: str) -> Iterator[Result]:
        first = Result(RunId(probe.id, location, at), at, LOOK_S, self._observation(one, at))
        yield first
        if two or health.needs_second_look(probe, first):
            late = at + SECOND_LOOK
            yield Result(RunId(probe.id, location, at, 2), late, LOOK_S, self._observation(two or one, late))

    def _observation(self, word: str, at: datetime) -> Observation:
        own = self.scenario.get("words", {}).get(word)
        if own is not None:
            return observation(own, self.start)
        reason = LETTERS.get(word) or _BY_VALUE.get(word)
        if reason is None:
            raise ScenarioError(f"looks: {word!r} is no letter, no reason and none of the scenario's words")
        return Observation(reason, detail=reason.value if reason is not Reason.OK else "")

    def _check(self, at: datetime, when: str, want: Mapping[str, str]) -> None:
        self.judge.sweep(at)
        for component, health_ in want.items():
            verdict = self.judge.verdicts.get(component)
            found = verdict.health.value if verdict else "nothing"
            if component in self.judge.registrations and health_ in set(Registration):
                found = self.judge.registration_of(component, at).value
            if found != health_:
                self.unmet.append(f"health: at {when} {component} is {found}, expected {health_}")

    def _click(self, at: datetime, click: Mapping[str, Any]) -> None:
        who = click.get("by", "alice")
        if "acknowledge" in click:
            for alert in list(self.judge.standing.values()):
                if alert.rule == click["acknowledge"]:
                    self.judge.acknowledge(alert.id, who, at)
            return
        kind = EventKind(click["do"])
        cause = Cause(click.get("cause", "outage"))
        incident = self.judge.latest[click["service"], cause]
        data = {key: click[key] for key in ("text", "status", "impact", "title") if key in click}
        self.judge.tell(IncidentEvent(incident.id, incident.last_seq + 1, at, at, kind, who, data))


def catalogue(scenario: Mapping[str, Any]) -> Catalogue:
    """Return the catalogue that a scenario describes; services and components follow from its probes."""
    defaults = scenario.get("policy", {})
    probes = tuple(_probe(id_, options, defaults) for id_, options in scenario["probes"].items())
    described = scenario.get("components", {})
    names = dict.fromkeys([*(probe.component for probe in probes), *described])
    components = tuple(
        Component(
            name,
            name.partition("/")[0],
            name,
            ComponentKind(described.get(name, {}).get("kind", "other")),
            depends_on=tuple(described.get(name, {}).get("depends_on", ())),
        )
        for name in names
    )
    services = tuple(Service(id_, id_) for id_ in dict.fromkeys(component.service for component in components))
    routes = tuple(
        Route(
            id_,
            (id_,),
            severities=tuple(Severity(word) for word in options.get("severities", ("page", "ticket"))),
            escalate_after_s=seconds(options["after"]) if "after" in options else 0.0,
        )
        for id_, options in scenario.get("routes", {"oncall": {}}).items()
    )
    return Catalogue(services, components, probes, routes, "scenario")


def _probe(id_: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> Probe:
    interval_s = int(seconds(options.get("interval", "30s")))
    return Probe(
        id_,
        options["component"],
        options.get("kind", "http"),
        interval_s,
        min(10.0, interval_s / 2),
        tuple(options.get("locations", ("local",))),
        policy({**defaults, **options.get("policy", {})}),
        witness=bool(options.get("witness", False)),
        control=bool(options.get("control", False)),
        impact_when_down=Health(options.get("impact_when_down", Health.MAJOR.value)),
    )


def policy(options: Mapping[str, Any]) -> Policy:
    """Return a policy with the given fields; seconds may be written as durations."""
    known = {item.name: item.type for item in fields(Policy)}
    unknown = set(options) - set(known)
    if unknown:
        raise ScenarioError(f"policy: no field named {', '.join(sorted(unknown))}")
    kept = {
        name: seconds(value) if name.endswith("_s") and isinstance(value, str) else value
        for name, value in options.items()
    }
    kept |= {name: Publishing(value) for name, value in kept.items() if name.startswith("publish_")}
    return replace(Policy(), **kept)


def _windows(scenario: Mapping[str, Any], start: datetime) -> tuple[Window, ...]:
    return tuple(
        Window(
            start + timedelta(seconds=seconds(item["from"])),
            start + timedelta(seconds=seconds(item["to"])),
            item["service"],
            tuple(item.get("components", ())),
        )
        for item in scenario.get("maintenance", ())
    )


def _silences(scenario: Mapping[str, Any], start: datetime) -> tuple[SilenceWindow, ...]:
    return tuple(
        SilenceWindow(
            str(number),
            start + timedelta(seconds=seconds(item["from"])),
            start + timedelta(seconds=seconds(item["to"])),
            item.get("service", ""),
            item.get("component", ""),
            item.get("rule", ""),
        )
        for number, item in enumerate(scenario.get("silences", ()))
    )


def observation(word: Mapping[str, Any], start: datetime) -> Observation:
    """Return the observation that a word of the scenario stands for."""
    return Observation(
        _BY_VALUE[word.get("reason", "ok")],
        detail=word.get("detail", ""),
        registration=tuple(_reading(item) for item in word.get("registration", ())),
        upstream=_upstream(word["upstream"], start) if "upstream" in word else None,
    )


def _reading(item: Mapping[str, Any]) -> MethodReading:
    return MethodReading(
        Method(item["method"]),
        Registration(item["state"]),
        Source(item.get("source", "config_endpoint")),
        tuple(str(code) for code in item.get("country_codes", ())),
        excerpt=item.get("excerpt", ""),
        invite_required=bool(item.get("invite_required", False)),
        approval_required=bool(item.get("approval_required", False)),
    )


def _upstream(item: Mapping[str, Any], start: datetime) -> UpstreamReading:
    return UpstreamReading(
        item.get("provider", "statuspage"),
        item.get("url", "https://status.example/"),
        Health(item.get("indicator", "operational")),
        incidents=tuple(_upstream_incident(one, start) for one in item.get("incidents", ())),
    )


def _upstream_incident(item: Mapping[str, Any], start: datetime) -> UpstreamIncident:
    updates = tuple(
        UpstreamUpdate(
            start + timedelta(seconds=seconds(one["at"])),
            IncidentStatus(one["status"]) if "status" in one else None,
            one.get("body", ""),
        )
        for one in item.get("updates", ())
    )
    first = min((update.at for update in updates), default=start)
    done = [update.at for update in updates if update.status is IncidentStatus.RESOLVED]
    return UpstreamIncident(
        item["id"],
        item.get("name", ""),
        updates[-1].status if updates else None,
        Impact(item.get("impact", "minor")),
        first,
        resolved_at=done[0] if done else None,
        updates=updates,
    )


def export_looks(results: Iterable[Result]) -> dict[str, str]:
    """Write recorded results in the notation of ``looks``, per ``probe@location``; the inverse of playing them."""
    letters = {reason: letter for letter, reason in LETTERS.items()}
    ticks: dict[str, dict[datetime, list[str]]] = {}
    for result in sorted(results, key=lambda item: (item.run.tick, item.run.attempt)):
        name = f"{result.run.probe}@{result.run.location}"
        word = letters.get(result.reason, result.reason.value)
        ticks.setdefault(name, {}).setdefault(result.run.tick, []).append(word)
    return {name: _compress(["/".join(words) for words in by_tick.values()]) for name, by_tick in ticks.items()}


def _compress(words: Sequence[str]) -> str:
    out: list[list[Any]] = []
    for word in words:
        first, _, second = word.partition("/")
        short = first if second == first else word
        if out and out[-1][0] == short:
            out[-1][1] += 1
        else:
            out.append([short, 1])
    return " ".join(word if times == 1 else f"{word}*{times}" for word, times in out)
