"""What judging costs, and how soon and how falsely the rules speak: pure rules in one process, no input or output."""

from __future__ import annotations

import itertools
import math
import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.core.catalogue import Catalogue, Component, Policy, Probe, Route, Service
from monitor.core.checks import probe_state, steps
from monitor.core.checks.probe_state import ProbeState
from monitor.core.components import health
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
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
    again_s = (attempt - 1) * (0.5 + POLICY.second_look_after_s)
    seen = Observation(Reason.SERVER_ERROR if failed else Reason.OK)
    return Result(RunId(probe, "local", tick, attempt), tick + timedelta(seconds=again_s), 0.5, seen)


def rate(count: int, began: float) -> str:
    """Return how many a second."""
    return f"{count / (time.perf_counter() - began):>10,.0f} /s"


def main(quick: bool) -> None:
    """Print throughput, detection and false alarms."""
    ticks = 10_000 if quick else 100_000
    seen = [look(n, n % 2000 in range(1000, 1020)) for n in range(ticks)]
    state, began = probe_state.new_probe_state("api", "local"), time.perf_counter()
    for result in seen:
        state = steps.step(state, result, POLICY)
    print("one look into the state of a probe   ", rate(ticks, began))
    began = time.perf_counter()
    for result in seen:
        health.component_health([(PROBES[1], state)], result.started_at)
    print("verdict of a component               ", rate(ticks, began))
    judge, began = Judge(WORLD), time.perf_counter()
    for result in seen:
        judge.record([result])
    print("whole judgement, one outage in 2,000 ", rate(ticks, began))
    print(table(quick))


TRIED = {
    "2 of 3, one second look (before)": Policy(open_after_failures=2, window_looks=3),
    "3 of 5, as shipped": Policy(),
    "3 of 3": Policy(window_looks=3),
    "4 of 4": Policy(open_after_failures=4, window_looks=4),
}
BLIPS = {0.001: 60, 0.005: 24, 0.01: 8, 0.02: 4}
"""Ratio of independent failures → months that are played."""


def table(quick: bool) -> str:
    """Return, for each policy, false alarms a month and how many looks find partial failures."""
    lines = ["policy | " + " | ".join(f"{ratio:.1%} blips" for ratio in BLIPS) + " | 25 % p50 | p95 | 50 % p50 | p95"]
    for name, policy in TRIED.items():
        rng, rounds = random.Random(1), 300 if quick else 1000
        cells = [name]
        for ratio, most in BLIPS.items():
            months = max(1, most // 10) if quick else most
            cells.append(f"{blip_alarms(ratio, rng, months, policy) / months:.2f}")
        for ratio in (0.25, 0.5):
            found = sorted(looks_until_found(ratio, rng, policy) for _ in range(rounds))
            cells += [str(found[rounds // 2]), str(found[rounds * 95 // 100])]
        lines.append(" | ".join(cells))
    return "\n".join(["false alarms a month of independent blips at a look in 30 s; looks until found", *lines])


def calm(policy: Policy) -> ProbeState:
    """Return the state after half an hour of good looks."""
    state = probe_state.new_probe_state("api", "local")
    for number in range(70):
        state = steps.step(state, look(number, False), policy)
    return state


def one_tick(
    state: ProbeState, tick: int, ratio: float, rng: random.Random, policy: Policy, *, fails: bool = False
) -> tuple[ProbeState, int]:
    """Look as the prober does; each look fails by itself with the given ratio, the first surely if it ``fails``."""
    held = replace(PROBES[1], policy=policy)
    for attempt in itertools.count(1):
        before = state.failed_in_a_row
        result = look(tick, (fails and attempt == 1) or rng.random() < ratio, attempt)
        state = steps.step(state, result, policy)
        if state.down or state.partial or not steps.needs_second_look(held, result, before):
            return state, attempt
    raise AssertionError("looks never end")


def looks_until_found(ratio: float, rng: random.Random, policy: Policy) -> int:
    """Count looks, second looks included, until trouble is seen."""
    state, looked, tick = calm(policy), 0, 70
    while not (state.down or state.partial):
        state, more = one_tick(state, tick, ratio, rng, policy)
        looked, tick = looked + more, tick + 1
    return looked


def blip_alarms(ratio: float, rng: random.Random, months: int, policy: Policy) -> int:
    """Count alarms when every look fails by itself with the given ratio; long calm is skipped over."""
    state, alarms, tick, end = calm(policy), 0, 70, 70 + months * 86_400
    while tick < end:
        idle = not (state.failed_mask & (1 << 3 * policy.rate_min_looks) - 1 or state.down or state.partial)
        if idle:
            tick += int(math.log(1 - rng.random()) / math.log(1 - ratio))
        before = state.down or state.partial
        state, _ = one_tick(state, tick, ratio, rng, policy, fails=idle)
        alarms += (state.down or state.partial) and not before
        tick += 1
    return alarms
