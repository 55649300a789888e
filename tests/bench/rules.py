"""What judging costs: pure rules in one process, no input or output."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from monitor.core.catalogue import Catalogue, Component, Probe, Route, Service
from monitor.core.checks import probe_state, steps
from monitor.core.components import health
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.replay import Judge

START = datetime(2026, 1, 5, tzinfo=UTC)
PROBES = tuple(Probe(name, f"deepseek/{name}", "http", 30, 10.0) for name in ("web", "api"))
WORLD = Catalogue(
    (Service("deepseek", "DeepSeek"),),
    tuple(Component(f"deepseek/{name}", "deepseek", name) for name in ("web", "api")),
    PROBES,
    (Route("oncall", ("pager",)),),
)


def look(number: int, failed: bool, attempt: int = 1, probe: str = "api") -> Result:
    """Return the look of a tick, 30 s apart."""
    tick = START + timedelta(seconds=30 * number)
    again_s = (attempt - 1) * 4.0
    seen = Observation(Reason.SERVER_ERROR if failed else Reason.OK)
    return Result(RunId(probe, "local", tick, attempt), tick + timedelta(seconds=again_s), 0.5, seen)


def rate(count: int, began: float) -> str:
    """Return how many a second."""
    return f"{count / (time.perf_counter() - began):>10,.0f} /s"


def main(quick: bool) -> None:
    """Print throughput."""
    ticks = 10_000 if quick else 100_000
    seen = [look(n, n % 2000 in range(1000, 1020)) for n in range(ticks)]
    state, began = probe_state.new_probe_state("api", "local"), time.perf_counter()
    for result in seen:
        state = steps.step(state, result, PROBES[1])
    print("one look into the state of a probe   ", rate(ticks, began))
    began = time.perf_counter()
    for result in seen:
        health.component_health([(PROBES[1], state)], result.started_at)
    print("verdict of a component               ", rate(ticks, began))
    judge, began = Judge(WORLD), time.perf_counter()
    for result in seen:
        judge.record([result])
    print("whole judgement, one outage in 2,000 ", rate(ticks, began))
