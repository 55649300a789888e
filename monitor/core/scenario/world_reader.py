"""Reads ``world:`` and what stands beside it; whatever is wrong there is said in one line, with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.core.catalogue import Catalogue
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.scenario import notation
from monitor.core.scenario.notation import ScenarioError
from monitor.core.scenario.world import FOREVER, Statement, Stretch, World
from monitor.core.schedule import EPOCH

STRETCH = ("from", "to", "at", "fails", "reason", "answers", "took", "fail_took", "spread")
STREAM = ("ttft", "tokens_per_s", "tokens")
OWN = ("from", "to", "location", "fails", "reason", "fail_took")
SAYS = ("at", "service", "id", "name", "status", "impact", "body", "components")


def read_world(scenario: Mapping[str, Any], catalogue: Catalogue) -> World:
    """Read the ground truth of a scenario. Raises :class:`ScenarioError` with where and what."""
    given = _mapping(scenario["world"] or {}, "world")
    probes = {probe.id: probe for probe in catalogue.probes}
    if unknown := [name for name in given if name not in probes]:
        raise ScenarioError(f"world: no probe named {unknown[0]!r}; there are {', '.join(probes)}")
    if "until" not in scenario:
        raise ScenarioError("world: say when the scenario ends, as in until: 4h")
    until_s = _time(scenario["until"], "until")
    if until_s <= 0:
        raise ScenarioError(f"until: {scenario['until']!r} is not after the start; write until: 4h")
    words = _mapping(scenario.get("words") or {}, "words")
    places = {location for probe in catalogue.probes for location in probe.locations}
    reader = _Reader(words, places, until_s)
    stretches = {
        name: tuple(
            reader.stretch(item, f"world: {name}[{n}]") for n, item in enumerate(_list(items, f"world: {name}"))
        )
        for name, items in given.items()
    }
    own = tuple(
        reader.own(item, f"own_side[{n}]") for n, item in enumerate(_list(scenario.get("own_side") or [], "own_side"))
    )
    options = {name: _mapping(item or {}, f"probes: {name}") for name, item in scenario["probes"].items()}
    return World(
        until_s,
        _whole(scenario.get("seed", 1), "seed"),
        stretches,
        own,
        _statements(scenario, catalogue),
        {n: _length(o["slow_after"], f"probes: {n}: slow_after") for n, o in options.items() if "slow_after" in o},
        {n: _time(o["offset"], f"probes: {n}: offset") for n, o in options.items() if "offset" in o},
    )


@dataclass(frozen=True)
class _Reader:
    """Reads stretches of one scenario."""

    words: Mapping[str, Any]
    places: set[str]
    until_s: float

    def stretch(self, item: Any, where: str) -> Stretch:
        """Read one stretch of a probe."""
        given = _known(item, (*STRETCH, *STREAM, "truth"), where)
        start_s, end_s = self._span(given, where)
        changes: dict[str, Any] = {}
        if "fails" in given:
            changes["fails"] = _ratio(given["fails"], f"{where}: fails")
        if "reason" in given:
            changes["failing"] = self._failing(given["reason"], f"{where}: reason")
        if "answers" in given:
            changes["answers"] = self._seen(given["answers"], f"{where}: answers")
        for name in ("took", "fail_took", "ttft"):
            if name in given:
                changes[f"{name}_s"] = _length(given[name], f"{where}: {name}")
        if "spread" in given:
            changes["spread"] = _number(given["spread"], f"{where}: spread", most=3)
        if "tokens_per_s" in given:
            changes["tokens_per_s"] = _number(given["tokens_per_s"], f"{where}: tokens_per_s", least=0.001)
        if "tokens" in given:
            changes["tokens"] = _whole(given["tokens"], f"{where}: tokens", least=1)
        if "truth" in given:
            changes["truth"] = _member(Health, given["truth"], f"{where}: truth")
        return Stretch(start_s, end_s, changes, self._places(given.get("at"), f"{where}: at"))

    def own(self, item: Any, where: str) -> Stretch:
        """Read one stretch in which our own side fails: all of it unless ``fails`` says otherwise."""
        given = _known(item, OWN, where)
        start_s, end_s = self._span(given, where)
        changes: dict[str, Any] = {"fails": _ratio(given.get("fails", 1), f"{where}: fails")}
        if "reason" in given:
            changes["failing"] = self._failing(given["reason"], f"{where}: reason")
        if "fail_took" in given:
            changes["fail_took_s"] = _length(given["fail_took"], f"{where}: fail_took")
        return Stretch(start_s, end_s, changes, self._places(given.get("location"), f"{where}: location"))

    def _span(self, given: Mapping[str, Any], where: str) -> tuple[float, float]:
        start_s = _time(given.get("from", "0s"), f"{where}: from")
        end_s = _time(given["to"], f"{where}: to") if "to" in given else FOREVER
        if end_s <= start_s:
            raise ScenarioError(f"{where}: to ({given['to']}) is not after from ({given.get('from', 'the start')})")
        if start_s >= self.until_s:
            raise ScenarioError(f"{where}: from ({given['from']}) is not before the end of the scenario (until)")
        return start_s, end_s

    def _places(self, given: Any, where: str) -> tuple[str, ...]:
        names = () if given is None else (given,) if isinstance(given, str) else tuple(_list(given, where))
        if unknown := [name for name in names if name not in self.places]:
            raise ScenarioError(
                f"{where}: no location named {unknown[0]!r}; there are {', '.join(sorted(self.places))}"
            )
        return names

    def _failing(self, given: Any, where: str) -> tuple[Observation, ...]:
        names = [given] if isinstance(given, str) else _list(given, where)
        if not names:
            raise ScenarioError(f"{where}: name at least one, as in service.error")
        found = tuple(self._seen(name, where) for name in names)
        if good := next((name for name, seen in zip(names, found, strict=True) if seen.reason is Reason.OK), None):
            raise ScenarioError(f"{where}: {good!r} is no failure; how a good look ends is said by answers")
        return found

    def _seen(self, word: Any, where: str) -> Observation:
        if isinstance(word, str) and "upstream" in (self.words.get(word) or {}):
            raise ScenarioError(f"{where}: {word!r} is a vendor's page; say its words under vendor_says")
        return notation.seen(str(word), self.words, EPOCH, where)


def _statements(scenario: Mapping[str, Any], catalogue: Catalogue) -> tuple[Statement, ...]:
    services, components = [item.id for item in catalogue.services], {item.id for item in catalogue.components}
    found: list[Statement] = []
    for n, item in enumerate(_list(scenario.get("vendor_says") or [], "vendor_says")):
        where = f"vendor_says[{n}]"
        given = _known(item, SAYS, where)
        if "service" not in given and len(services) > 1:
            raise ScenarioError(f"{where}: say whose words they are, as in service: {services[0]}")
        service = given.get("service", services[0])
        if service not in services:
            raise ScenarioError(f"{where}: no service named {service!r}; there are {', '.join(services)}")
        if "at" not in given:
            raise ScenarioError(f"{where}: say when, as in at: 43m")
        named = tuple(_list(given.get("components", []), f"{where}: components"))
        if unknown := [name for name in named if name not in components]:
            raise ScenarioError(
                f"{where}: no component named {unknown[0]!r}; there are {', '.join(sorted(components))}"
            )
        incident = str(given.get("id", "1"))
        before = next((one for one in reversed(found) if (one.service, one.incident) == (service, incident)), None)
        fresh = Statement(
            _time(given["at"], f"{where}: at"),
            service,
            incident,
            str(given.get("name", before.name if before else "Incident")),
            _member(IncidentStatus, given.get("status", "investigating"), f"{where}: status"),
            _member(Impact, given.get("impact", before.impact if before else "major"), f"{where}: impact"),
            str(given.get("body", "")),
            named or (before.components if before else ()),
        )
        if before is not None and fresh.at_s < before.at_s:
            raise ScenarioError(f"{where}: it comes before the words above it; write them in order")
        found.append(fresh)
    return tuple(sorted(found, key=lambda one: one.at_s))


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ScenarioError(f"{where}: must be a mapping, not {value!r:.60}")
    return value


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ScenarioError(f"{where}: must be a list, not {value!r:.60}")
    return value


def _known(item: Any, names: Sequence[str], where: str) -> Mapping[str, Any]:
    given = _mapping(item, where)
    if unknown := [name for name in given if name not in names]:
        raise ScenarioError(f"{where}: nothing is called {unknown[0]!r}; there are {', '.join(names)}")
    return given


def _time(value: Any, where: str) -> float:
    """Read a moment as seconds after the start."""
    try:
        return notation.seconds(value)
    except ScenarioError as error:
        raise ScenarioError(f"{where}: {error}") from None


def _length(value: Any, where: str) -> float:
    length_s = _time(value, where)
    if length_s <= 0:
        raise ScenarioError(f"{where}: {value!r} is no length of time; write 400ms or 9s")
    return length_s


def _number(value: Any, where: str, *, least: float = 0.0, most: float = FOREVER) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        limit = f"from {least:g} to {most:g}" if most < FOREVER else f"of at least {least:g}"
        raise ScenarioError(f"{where}: must be a number {limit}, not {value!r:.60}")
    return float(value)


def _whole(value: Any, where: str, *, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ScenarioError(f"{where}: must be a whole number of at least {least}, not {value!r:.60}")
    return value


def _ratio(value: Any, where: str) -> float:
    """Read ``0.25`` or ``25%``."""
    text = value.strip() if isinstance(value, str) else ""
    if text.endswith("%"):
        try:
            value = float(text[:-1]) / 100
        except ValueError:
            value = text
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ScenarioError(f"{where}: must be a share from 0 to 1, as in 0.25 or 25%, not {value!r:.60}")
    return float(value)


def _member(kind: Any, value: Any, where: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ScenarioError(f"{where}: {value!r} is none of {', '.join(item.value for item in kind)}") from None
