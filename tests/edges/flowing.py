"""A small world for the tests of the flow: two services, and results made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Probe, Route, Service
from monitor.core.checks import pace
from monitor.core.checks.pace import Pace
from monitor.core.model.observations import Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source

T0 = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy(shortest_outage_s=1.0, failure_ratio=0.45, false_pages_per_year=1000.0)
"""Three failed looks are an outage, six or seven good ones end it."""
_PACES: WeakKeyDictionary[Engine, dict[str, Pace]] = WeakKeyDictionary()
SERVICES = (Service("deepseek", "DeepSeek"), Service("openai", "OpenAI"), Service("private", "Private", public=False))
COMPONENTS = (
    Component("deepseek/api", "deepseek", "API", ComponentKind.API),
    Component("deepseek/registration", "deepseek", "Registration", ComponentKind.REGISTRATION),
    Component("deepseek/hidden", "deepseek", "Hidden", public=False),
    Component("openai/api", "openai", "API", ComponentKind.API),
    Component("private/api", "private", "API", ComponentKind.API),
)
PROBES = (
    Probe("ds-api", "deepseek/api", "chat", 60, 10.0, policy=POLICY, target="api.deepseek.example", asks_model=True),
    Probe("ds-reg", "deepseek/registration", "registration", 60, 10.0, policy=POLICY),
    Probe("ds-page", "deepseek/api", "upstream", 60, 10.0, policy=POLICY, witness=True),
    Probe("ds-hid", "deepseek/hidden", "http", 60, 10.0, policy=POLICY),
    Probe("oa-api", "openai/api", "http", 60, 10.0, policy=POLICY),
    Probe("pr-api", "private/api", "http", 60, 10.0, policy=POLICY),
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
    """Record a look a minute, with its early looks, and sweep between them."""
    done, paces = [], _PACES.setdefault(engine, {})
    held = next(item for item in PROBES if item.id == probe)
    for minute in minutes:
        at = start + minute * MINUTE
        batch: list[Result] = []
        pause_s: float | None = 0.0
        while pause_s is not None:
            batch.append(look(probe, at, reason, len(batch) + 1, **seen))
            elapsed_s = (len(batch) - 1) * 10.0 + 0.3
            paces[probe], pause_s = pace.after(paces.get(probe, pace.START), held, batch[-1], elapsed_s)
        done.append(flow.record(engine, batch, at + timedelta(seconds=3)))
        done.append(flow.sweep(engine, at + timedelta(seconds=30)))
    return done


def with_policy(**changes: Any) -> Catalogue:
    """Return the small world under another policy."""
    policy = replace(POLICY, **changes)
    return replace(CATALOGUE, probes=tuple(replace(probe, policy=policy) for probe in PROBES))
