"""What judging costs, and how soon and how falsely the rules speak: pure rules in one process, no input or output."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

from monitor.core import health
from monitor.core.catalogue import Catalogue, Component, Policy, Probe, Route, Service
from monitor.core.health import ProbeState
from monitor.core.model import Observation, Outcome, Reason, Result, RunId
from monitor.core.replay import Judge

START = datetime(2026, 1, 5, tzinfo=UTC)
POLICY = Policy()
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
    seen = Observation(Reason.SERVER_ERROR if failed else Reason.OK)
    return Result(RunId(probe, "local", tick, attempt), tick + timedelta(seconds=attempt - 1), 0.5, seen)


def rate(count: int, began: float) -> str:
    """Return how many a second."""
    return f"{count / (time.perf_counter() - began):>10,.0f} /s"


def main(quick: bool) -> None:
    """Print throughput, detection and false alarms."""
    ticks = 10_000 if quick else 100_000
    seen = [look(n, n % 2000 in range(1000, 1020)) for n in range(ticks)]
    state, began = health.new_probe_state("api", "local"), time.perf_counter()
    for result in seen:
        state = health.step(state, result, POLICY)
    print("one look into the state of a probe   ", rate(ticks, began))
    began = time.perf_counter()
    for result in seen:
        health.component_health([(PROBES[1], state)], result.started_at)
    print("verdict of a component               ", rate(ticks, began))
    judge, began = Judge(WORLD), time.perf_counter()
    for result in seen:
        judge.record([result], result.started_at)
    print("whole judgement, one outage in 2,000 ", rate(ticks, began))
    rng, rounds = random.Random(1), 200 if quick else 2000
    for ratio in (0.25, 0.5, 1.0):
        found = sorted(looks_until_found(ratio, rng) for _ in range(rounds))
        median, late = found[rounds // 2], found[rounds * 9 // 10]
        print(f"{ratio:4.0%} of looks fail: found after {median} looks (median), {late} (p90)")
    months = 1 if quick else 12
    for ratio in (0.001, 0.002, 0.005, 0.01):
        alarms = blip_alarms(ratio, rng, months) / months
        print(f"{ratio:4.1%} single blips: {alarms:.2f} false alarms a month, looks every 30 s")


def calm() -> ProbeState:
    """Return the state after half an hour of good looks."""
    state = health.new_probe_state("api", "local")
    for number in range(60):
        state = health.step(state, look(number, False), POLICY)
    return state


def looks_until_found(ratio: float, rng: random.Random) -> int:
    """Count looks, second looks included, until trouble is seen."""
    state, looked, tick = calm(), 0, 60
    while not (state.down or state.partial):
        first = look(tick, rng.random() < ratio)
        state, looked = health.step(state, first, POLICY), looked + 1
        if first.outcome is Outcome.FAILED:
            state, looked = health.step(state, look(tick, rng.random() < ratio, 2), POLICY), looked + 1
        tick += 1
    return looked


def blip_alarms(ratio: float, rng: random.Random, months: int) -> int:
    """Count alarms when a look fails now and then and its second look is always good."""
    state, alarms = calm(), 0
    for tick in range(60, 60 + months * 86_400):
        bad = rng.random() < ratio
        if not bad and not state.looks:
            continue
        before = state.down or state.partial
        state = health.step(state, look(tick, bad), POLICY)
        state = health.step(state, look(tick, False, 2), POLICY) if bad else state
        alarms += (state.down or state.partial) and not before
    return alarms
