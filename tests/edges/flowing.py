"""A small world for the tests of the flow: two services, and results made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Probe, Route, Service
from monitor.core.model.observations import Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source

T0 = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy()
SERVICES = (Service("deepseek", "DeepSeek"), Service("openai", "OpenAI"), Service("private", "Private", public=False))
COMPONENTS = (
    Component("deepseek/api", "deepseek", "API", ComponentKind.API),
    Component("deepseek/registration", "deepseek", "Registration", ComponentKind.REGISTRATION),
    Component("deepseek/hidden", "deepseek", "Hidden", public=False),
    Component("openai/api", "openai", "API", ComponentKind.API),
    Component("private/api", "private", "API", ComponentKind.API),
)
PROBES = (
    Probe("ds-api", "deepseek/api", "chat", 60, 10.0, target="api.deepseek.example", asks_model=True),
    Probe("ds-reg", "deepseek/registration", "registration", 60, 10.0),
    Probe("ds-page", "deepseek/api", "upstream", 60, 10.0, witness=True),
    Probe("ds-hid", "deepseek/hidden", "http", 60, 10.0),
    Probe("oa-api", "openai/api", "http", 60, 10.0),
    Probe("pr-api", "private/api", "http", 60, 10.0),
)
CATALOGUE = Catalogue(SERVICES, COMPONENTS, PROBES, (Route("oncall", ("pager",)),), "1")


def publish(engine: Engine, catalogue: Catalogue = CATALOGUE, at: datetime = T0) -> None:
    """Put the small world in force."""
    flow.publish_catalogue(engine, catalogue, at)


def look(
    probe: str, at: datetime, reason: Reason = Reason.OK, attempt: int = 1, location: str = "local", **seen: Any
) -> Result:
    """Return one look that took 0.3 s."""
    seen.setdefault("phases", Phases(dns_s=0.01, connect_s=0.02, wait_s=0.2))
    started = at + timedelta(seconds=attempt - 1)
    return Result(RunId(probe, location, at, attempt), started, 0.3, Observation(reason, **seen))


def readings(**states: Registration) -> tuple[MethodReading, ...]:
    """Return registration readings, as ``readings(email=Registration.OPEN)``."""
    return tuple(
        MethodReading(
            Method(name),
            state,
            Source.CONFIG_ENDPOINT,
            country_codes=("86",) if state is Registration.RESTRICTED else (),
            excerpt=f"{name}: {state}",
        )
        for name, state in states.items()
    )


def play(
    engine: Engine,
    minutes: Iterable[int],
    reason: Reason = Reason.OK,
    probe: str = "ds-api",
    *,
    start: datetime = T0,
    **seen: Any,
) -> list[flow.Recorded]:
    """Record a look a minute, with its second looks when it failed, and sweep between them."""
    done = []
    for minute in minutes:
        at = start + minute * MINUTE
        batch = [look(probe, at, reason, **seen)]
        if reason.outcome.value == "failed":
            batch += [look(probe, at, reason, attempt, **seen) for attempt in (2, 3)]
        done.append(flow.record(engine, batch, at + timedelta(seconds=3)))
        done.append(flow.sweep(engine, at + timedelta(seconds=30)))
    return done


def with_policy(**changes: Any) -> Catalogue:
    """Return the small world under another policy."""
    policy = replace(POLICY, **changes)
    return replace(CATALOGUE, probes=tuple(replace(probe, policy=policy) for probe in PROBES))
