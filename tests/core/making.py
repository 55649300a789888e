"""Small makers of the nouns, shared by the tests of the rules."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.catalogue import Catalogue, Policy, Probe
from monitor.core.checks import pace, probe_state, steps
from monitor.core.doubt import network, proof
from monitor.core.incidents.event_json import decode, encode
from monitor.core.model.incident_events import EventData, EventKind
from monitor.core.model.observations import Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.scenario.notation import LETTERS, looks

ALONE = network.make_targets(Catalogue())
T0 = datetime(2026, 1, 5, tzinfo=UTC)


def whole(kind: str, data: Mapping[str, Any]) -> EventData:
    """Read an event of which every field must be readable: a word written wrong is a fault of the test."""
    found = decode(kind, data)
    assert found is not None, f"{kind} cannot be read: {data}"
    written = encode(found)
    for name, value in data.items():
        read = written.get(name, getattr(found, name))
        assert json.dumps(read, default=str) == json.dumps(value, default=str), f"{kind}: {name} cannot be {value!r}"
    return found


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def probe(
    id_: str = "chat",
    component: str = "deepseek/api",
    interval_s: int = 30,
    policy: Policy | None = None,
    **more: object,
) -> Probe:
    options = {"timeout_s": min(10.0, interval_s / 2)} | more
    return Probe(id_, component, "http", interval_s, policy=policy or Policy(), **options)  # type: ignore[arg-type]  # keyword passthrough


def look(
    tick_s: float,
    reason: Reason,
    attempt: int = 1,
    probe: str = "chat",
    location: str = "local",
    lag_s: float = 0.0,
    after_s: float | None = None,
) -> Result:
    """Return a look of a tick; it begins ``after_s`` after that, by default a second for each attempt before."""
    started = at(tick_s + (attempt - 1 if after_s is None else after_s))
    phases = Phases(loop_lag_s=lag_s) if lag_s else None
    return Result(RunId(probe, location, at(tick_s), attempt), started, 0.5, Observation(reason, phases=phases))


def results(text: str, probe: Probe, location: str = "local", start_s: float = 0.0) -> Iterator[Result]:
    """Play the notation of scenarios for one probe, early looks included."""
    known = pace.START
    for number, words in enumerate(looks(text)):
        tick_s, after_s = start_s + number * probe.interval_s, 0.0
        for attempt in itertools.count(1):
            word = words[min(attempt, len(words)) - 1]
            if word == ".":
                break
            result = look(tick_s, LETTERS[word], attempt, probe.id, location, after_s=after_s)
            yield result
            known, pause_s = pace.after(known, probe, result, after_s + result.duration_s)
            if attempt >= len(words) and pause_s is None:
                break
            after_s += pace.early_wait_s(probe) if pause_s is None else result.duration_s + pause_s


def state(text: str, probe_: Probe | None = None, location: str = "local") -> probe_state.ProbeState:
    held = probe_ or probe()
    return fold(probe_state.new_probe_state(held.id, location), results(text, held, location), held)


def fold(state: probe_state.ProbeState, seen: Iterable[Result], held: Probe) -> probe_state.ProbeState:
    for result in seen:
        state = steps.step(state, result, held)
        if state.is_doubtful:  # nothing else to look at, so there is no telling
            state = proof.clear(held, state, (), ALONE, result.started_at)
    return state


FAILS = {"component": "deepseek/api", "health": "major_outage"}
LEAST: dict[EventKind, dict[str, Any]] = {
    EventKind.OPENED: {"service": "deepseek", "cause": "outage", "impact": "major"},
    EventKind.COMPONENT_WORSE: FAILS,
    EventKind.COMPONENT_BETTER: FAILS,
    EventKind.RELAPSED: FAILS,
    EventKind.REOPENED: FAILS,
    EventKind.IMPACT_CHANGED: {"impact": "major"},
    EventKind.REGISTRATION_CHANGED: {"component": "deepseek/registration", "method": "email", "after": "closed"},
    EventKind.UPSTREAM_SAID: {
        **dict.fromkeys(("provider", "incident", "name", "status", "body", "url"), ""),
        "said_at": "2026-01-05T00:00:00+00:00",
    },
    EventKind.PROBE_REMOVED: {"component": "deepseek/api"},
}
"""What an event of each kind must say at least; kinds that are not listed need nothing."""
