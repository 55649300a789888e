"""Whose fault is it: how often a vendor's true outage is taken for our own, what the doubt costs, and our own minutes.

Each row plays rounds of half an hour through the whole judgement, in memory, with the prober's own pace: one probe a
vendor every 60 s at one location, server errors, everything else fine. Outages of several vendors begin at the same
second, which is the worst case; the prober asks its controls at once, which is not played: here they wait their turn.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.catalogue import service_of
from monitor.core.model.alert_rules import Rule
from monitor.core.replay import run
from monitor.core.scenario import notation
from monitor.core.scenario.draw import draw
from monitor.core.scenario.world_reader import read_world

START = datetime(2026, 1, 5, tzinfo=UTC)
VENDORS = ("deepseek", "openai", "anthropic")
CONTROLS: Mapping[str, Mapping[str, Any]] = {
    "no control": {},
    "two open ports": {
        name: {"component": "ours/port", "interval": "30s", "kind": "tcp", "control": True} for name in ("p1", "p2")
    },
    "a page": {"page": {"component": "ours/page", "interval": "60s", "control": True}},
}
BEGIN_S, OUTAGE_S, ROUND_S = 600, 900, 1800
HOSTS = {"deepseek": "a.example.com", "openai": "b.example.org", "anthropic": "c.example.net", "page": "d.example.info"}
LOST = ["service.timeout.headers", "service.protocol", "service.timeout.tls"]
"""What becomes of looks over a line that loses packets."""
WATCHED = ((3, "a page"), (3, "no control"), (2, "no control"), (1, "a page"))


def scenario(seed: int, watched: int, failing: int, controls: str, own_s: float = 0.0) -> dict[str, Any]:
    """Return a round: so many vendors are watched, and the first of them fail, or our own side does."""
    begin_s = BEGIN_S + seed * 7.3 % 60
    probes = {name: {"component": f"{name}/web", "interval": "60s"} for name in VENDORS[:watched]}
    out = [{"from": f"{begin_s:.1f}s", "to": f"{begin_s + OUTAGE_S:.1f}s", "fails": 1, "reason": "service.error"}]
    own = [{"from": f"{begin_s:.1f}s", "to": f"{begin_s + own_s:.1f}s", "fails": 1, "reason": "service.error"}]
    return {
        "name": "doubt",
        "seed": seed,
        "until": f"{ROUND_S}s",
        "probes": {**probes, **CONTROLS[controls]},
        "world": dict.fromkeys(VENDORS[:failing], out) or {"deepseek": []},
        "own_side": own if own_s else [],
    }


def partly(seed: int, watched: int, failing: int, controls: str, share: float) -> dict[str, Any]:
    """Return a round in which the first vendors fail at so many looks; with ``failing`` 0 our line loses as many.

    The line does for ten minutes, the vendors until the end of a longer round.
    """
    begin_s = BEGIN_S + seed * 7.3 % 60
    until_s = ROUND_S if not failing else 2 * ROUND_S
    vendors = {name: {"component": f"{name}/web", "interval": "60s"} for name in VENDORS[:watched]}
    probes: dict[str, Mapping[str, Any]] = {**vendors, **CONTROLS[controls]}
    ours: dict[str, Any] = {"to": f"{begin_s + 600:.1f}s", "reason": LOST, "truth": "operational"}
    theirs: dict[str, Any] = {"reason": "service.error"}
    bad = {"from": f"{begin_s:.1f}s", "fails": share} | (theirs if failing else ours)
    hit = VENDORS[:failing] if failing else tuple(probes)
    return {
        "name": "doubt",
        "seed": seed,
        "until": f"{until_s}s",
        "probes": {name: {"target": HOSTS[name], **probe} for name, probe in probes.items()},
        "world": {name: [{"fails": 0.001}, *([bad] if name in hit else [])] for name in probes},
    }


def play(data: Mapping[str, Any]) -> tuple[dict[str, float], int, int]:
    """Return seconds from the beginning to each vendor's page, pages about vendors, and pages about ourselves."""
    catalogue = notation.catalogue(data)
    judge = run(catalogue, draw(read_world(data, catalogue), catalogue, START), latencies=False, sweep_s=5.0)
    judge.sweep(START + timedelta(seconds=2 * ROUND_S))
    alerts = {alert.id: alert for alert in judge.fired}
    found: dict[str, float] = {}
    vendors = ours = 0
    for decision in judge.decisions:
        alert = alerts[decision.alert]
        if not decision.send or decision.why != "first":
            continue
        if alert.rule == Rule.COMPONENT_DOWN:
            vendors += 1
            found.setdefault(service_of(alert.component), (decision.at - START).total_seconds())
        elif alert.rule == Rule.BLIND:
            ours += 1
    return found, vendors, ours


def main(quick: bool) -> None:
    """Print how often outages of one to three vendors are told as such, how soon, and what our own minutes page."""
    rounds = 20 if quick else 200
    print("watched | down | control        | told as the vendor's | taken for ours | after, mean / p95 s")
    for watched, failing in ((1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)):
        for controls in CONTROLS:
            _row(watched, failing, controls, rounds)
    print("\nour own side fails, all as server errors: rounds with a page about a vendor / about ourselves")
    for watched in (1, 2, 3):
        for own_s in (60.0, 600.0):
            pages = [play(scenario(seed, watched, 0, "no control", own_s))[1:] for seed in range(rounds)]
            wrong, right = (sum(bool(item[part]) for item in pages) for part in (0, 1))
            print(f"{watched} watched, {own_s:>4.0f} s: {wrong:>4} / {right:<4} of {rounds}")
    _partly(max(8, rounds // 4))


def _partly(rounds: int) -> None:
    print(f"\nour line loses looks for ten minutes: of {rounds} rounds those with a page about a vendor / ourselves")
    for watched, controls in WATCHED:
        told = []
        for share in (0.8, 0.67, 0.5, 0.3):
            pages = [play(partly(seed, watched, 0, controls, share))[1:] for seed in range(rounds)]
            told.append(f"{share:.0%}: {sum(bool(item[0]) for item in pages)} / {sum(bool(item[1]) for item in pages)}")
        print(f"{watched} watched, {controls:10}: {', '.join(told)}")
    print("\none vendor fails at some looks: told after, mean / p95 s (share not told within the hour)")
    for watched, controls in ((1, "no control"), *WATCHED[:3]):
        told = []
        for share in (0.5, 0.25):
            rows = [(play(partly(seed, watched, 1, controls, share))[0], seed) for seed in range(rounds)]
            after = [at_s - BEGIN_S - seed * 7.3 % 60 for found, seed in rows for at_s in found.values()]
            told.append(f"{share:.0%}: {_quantiles(after)} ({1 - len(after) / rounds:.0%})")
        print(f"{watched} watched, {controls:10}: {', '.join(told)}")


def _row(watched: int, failing: int, controls: str, rounds: int) -> None:
    after: list[float] = []
    missed = blind = 0
    for seed in range(rounds):
        data = scenario(seed, watched, failing, controls)
        found, _, ours = play(data)
        begin_s = BEGIN_S + seed * 7.3 % 60
        after += [at_s - begin_s for at_s in found.values()]
        missed += failing - len(found)
        blind += bool(ours)
    told = _quantiles(after) if after else "never"
    share = 1 - missed / (failing * rounds)
    print(f"{watched:>7} | {failing:>4} | {controls:14} | {share:>20.1%} | {blind / rounds:>14.1%} | {told}")


def _quantiles(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{statistics.fmean(ordered):.0f} / {ordered[int(0.95 * (len(ordered) - 1))]:.0f}"
