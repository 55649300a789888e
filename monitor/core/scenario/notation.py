"""The notation of scenarios: looks as letters, probes, words and times as a parsed YAML mapping.

A look is a letter of :data:`LETTERS`, a reason as in ``service.stalled``, or a word of the scenario's own ``words``;
``x*4`` repeats it on the next ticks, ``x/x/o`` gives the second looks of a tick their own outcomes (what is needed
beyond them is like the last of them), ``x/.`` has none, and
``(x/o o*3)*5`` repeats a group. A word may say how long its answer ``took``, or its first token (``ttft``), and the
HTTP ``status`` of what was answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.catalogue import (
    Catalogue,
    Component,
    ComponentKind,
    Policy,
    Probe,
    Proof,
    Publishing,
    Route,
    Service,
    service_of,
    share_out,
)
from monitor.core.checks.former import FORMER, modern
from monitor.core.model.alerting import Severity
from monitor.core.model.depth import Reach
from monitor.core.model.observations import ChatTimes, Observation, Phases
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.core.scenario import durations

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
BY_VALUE = {reason.value: reason for reason in Reason}


class ScenarioError(ValueError):
    """The scenario cannot be read; says which part."""


def seconds(text: str | float) -> float:
    """Read ``90s``, ``1h30m``, ``+5m1s`` or ``-2m`` as seconds."""
    try:
        return durations.seconds(text, signed=True)
    except ValueError as error:
        raise ScenarioError(f"not a duration: {str(text)[:80]!r}; {error}") from None


def offset(at: datetime, start: datetime) -> str:
    """Write a moment as ``+1h2m3s`` after the start, whole seconds."""
    return durations.written((at - start).total_seconds())


def looks(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the look of each tick with those of its second looks that are written down."""
    tokens = re.findall(r"\(|\)(?:\*\d+)?|[^\s()]+", text)
    position = 0

    def group() -> Iterator[tuple[str, ...]]:
        nonlocal position
        while position < len(tokens):
            piece = tokens[position]
            position += 1
            if piece == "(":
                inner = list(group())
                times = int(tokens[position - 1].partition("*")[2] or 1)
                yield from inner * times
            elif piece.startswith(")"):
                return
            else:
                word, _, times_text = piece.partition("*")
                yield from [tuple(word.split("/"))] * int(times_text or 1)

    yield from group()


def catalogue(scenario: Mapping[str, Any]) -> Catalogue:
    """Return the catalogue that a scenario describes; services and components follow from its probes."""
    defaults = scenario.get("policy", {})
    probes = share_out(_probe(id_, options, defaults) for id_, options in scenario["probes"].items())
    described = scenario.get("components", {})
    names = dict.fromkeys([*(probe.component for probe in probes), *described])
    components = tuple(
        Component(
            name,
            service_of(name),
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


def reach_of(kind: str) -> Reach:
    """Return how far a good look gets, by the protocol that a kind is named after; HTTP for all others."""
    return Reach(kind) if kind in set(Reach) else Reach.HTTP


def _probe(id_: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> Probe:
    interval_s = int(seconds(options.get("interval", "30s")))
    return Probe(
        id_,
        options["component"],
        options.get("kind", "http"),
        interval_s,
        seconds(options["timeout"]) if "timeout" in options else min(10.0, interval_s / 2),
        tuple(options.get("locations", ("local",))),
        policy({**defaults, **options.get("policy", {})}),
        witness=bool(options.get("witness", False)),
        control=bool(options.get("control", False)),
        target=options.get("target", ""),
        key=options.get("key", ""),
        reach=Reach(options["reach"]) if "reach" in options else reach_of(options.get("kind", "")),
        impact_when_down=Health(options.get("impact_when_down", Health.MAJOR.value)),
        proves=Proof(options.get("proves", Proof.WORK if options.get("kind") == "chat" else Proof.EDGE)),
        asks_model=options.get("kind") == "chat",
    )


def policy(options: Mapping[str, Any]) -> Policy:
    """Return a policy with the given fields, former ones too; seconds may be written as durations."""
    known = {item.name for item in fields(Policy)}
    unknown = set(options) - known - set(FORMER)
    if unknown:
        raise ScenarioError(f"policy: no field named {', '.join(sorted(unknown))}")
    kept: dict[str, Any] = {
        name: seconds(value) if name.endswith("_s") and isinstance(value, str) else value
        for name, value in options.items()
    }
    kept |= {name: Publishing(str(value)) for name, value in kept.items() if name.startswith("publish_")}
    return replace(Policy(), **(modern(kept) | {name: value for name, value in kept.items() if name in known}))


def observation(word: Mapping[str, Any], start: datetime) -> Observation:
    """Return the observation that a word of the scenario stands for."""
    return Observation(
        BY_VALUE[word.get("reason", "ok")],
        detail=word.get("detail", ""),
        http_status=word.get("status"),
        with_key=word.get("with_key", True),
        registration=tuple(_reading(item) for item in word.get("registration", ())),
        upstream=_upstream(word["upstream"], start) if "upstream" in word else None,
        phases=Phases(wait_s=seconds(word["took"])) if "took" in word else None,
        chat=ChatTimes(ttft_s=seconds(word["ttft"])) if "ttft" in word else None,
    )


def seen(word: str, words: Mapping[str, Any], start: datetime, where: str = "looks") -> Observation:
    """Return what a letter, a reason or one of the scenario's own words stands for."""
    own = words.get(word)
    if own is not None:
        return observation(own, start)
    reason = LETTERS.get(word) or BY_VALUE.get(word)
    if reason is None:
        raise ScenarioError(f"{where}: {word!r} is no letter, no reason and none of the scenario's words")
    return Observation(reason, detail=reason.value if reason is not Reason.OK else "")


def _reading(item: Mapping[str, Any]) -> MethodReading:
    return MethodReading(
        Method(item["method"]),
        Registration(item["state"]),
        Source(item.get("source", "config_endpoint")),
        tuple(str(code) for code in item.get("country_codes", ())),
        tuple(item.get("email_domains", ())),
        excerpt=item.get("excerpt", ""),
        url=item.get("url", ""),
        invite_required=bool(item.get("invite_required", False)),
        approval_required=bool(item.get("approval_required", False)),
        failed_ratio=item.get("failed_ratio"),
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
    if "resolved" in item:
        done = [start + timedelta(seconds=seconds(item["resolved"]))]
    return UpstreamIncident(
        item["id"],
        item.get("name", ""),
        updates[-1].status if updates else None,
        Impact(item.get("impact", "minor")),
        first,
        resolved_at=done[0] if done else None,
        url=item.get("url", ""),
        updates=updates,
        ours=tuple(item.get("components", ())),
    )
