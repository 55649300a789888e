"""A year of thirty probes at three vendors with everything mixed: who was told what, and what it rested on.

The weeks of :mod:`tests.bench.year_world` through the whole judgement, in memory; each starts anew.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from monitor.core.model.states import Health
from monitor.core.replay import Judge
from monitor.core.scenario.figures import summary
from monitor.core.scenario.measure import Found, Measured, measure
from monitor.core.scenario.play import run
from tests.bench.year_world import scenario

WEEKS, QUICK_DAYS = 52, 2


@dataclass(frozen=True, slots=True)
class Played:
    """One week: what was measured, and the looks that it took."""

    measured: Measured
    days: float


def main(quick: bool, as_json: bool = False) -> None:
    """Print pages and notices of a year by what they rest on, and how outages were found and ended."""
    weeks = [(0, QUICK_DAYS), (1, QUICK_DAYS)] if quick else [(number, 7) for number in range(WEEKS)]
    played: list[Played] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for one in pool.map(play, *zip(*weeks, strict=True)):
            played.append(one)
            if sys.stderr.isatty():
                print(f"\r{len(played)} of {len(weeks)} parts", end="", file=sys.stderr, flush=True)
    found = figures(played)
    print(json.dumps(found, indent=2) if as_json else _told(found))


def play(number: int, days: int) -> Played:
    """Judge the first days of a week."""
    data = scenario(number) | {"until": f"{days}d", "sweep": "30s"}
    for name in ("own_side", "vendor_says"):
        key = "from" if name == "own_side" else "at"
        data[name] = [item for item in data[name] if float(item[key].rstrip("s")) < days * 86_400]
    data["world"] = {
        name: [item for item in items if float(item.get("from", "0s").rstrip("s")) < days * 86_400]
        for name, items in data["world"].items()
    }
    looks = Counter[str]()
    report = run(data, partial(Judge, latencies=None), seen=lambda result: looks.update((result.run.probe,)))
    assert report.world is not None
    assert isinstance(report.judge, Judge)
    return Played(measure(report.judge, report.world, report.start, looks.total()), days)


def figures(played: list[Played]) -> dict[str, Any]:
    """Return what was counted, a year of it, and the medians and extremes."""
    years = sum(one.days for one in played) / 365
    runs = [one.measured for one in played]
    sent = [one for run_ in runs for one in run_.sent]
    pages = Counter((one.cause, one.rule, one.is_false) for one in sent if one.is_page)
    notices = Counter((one.cause, one.rule, one.why.value, one.severity.value, one.is_false) for one in sent)
    shown: dict[tuple[Health, Health], float] = {}
    for run_ in runs:
        for of_component in run_.minutes.values():
            for said, facts in of_component.items():
                for fact, minutes in facts.items():
                    shown[said, fact] = shown.get((said, fact), 0.0) + minutes
    return {
        "years": round(years, 3),
        "looks": sum(run_.looks for run_ in runs),
        "pages": [_row(("cause", "rule", "false"), key, n, years) for key, n in pages.most_common()],
        "notices": [
            _row(("cause", "rule", "why", "severity", "false"), key, n, years) for key, n in notices.most_common()
        ],
        "minutes": [_row(("said", "true"), key, round(n, 1), years) for key, n in sorted(shown.items())],
        "missed": [_missed(item) for run_ in runs for item in run_.found if is_missed(item)],
        "summary": summary(runs),
    }


def is_missed(item: Found) -> bool:
    """Say whether an outage that somebody should have heard of was never shown."""
    return item.seen_after_s is None and not item.episode.is_blip


def _missed(item: Found) -> str:
    episode = item.episode
    return f"{episode.health}, {(episode.end_s - episode.start_s) / 60:.1f} min, {episode.component}"


def _row(names: tuple[str, ...], key: tuple[Any, ...], count: float, years: float) -> dict[str, Any]:
    return dict(zip(names, key, strict=True)) | {"count": count, "per_year": round(count / years, 1)}


def _told(found: dict[str, Any]) -> str:
    lines = [f"{found['years']:.2f} years of 30 probes at three vendors, {found['looks']:,} looks"]
    for part in ("pages", "notices", "minutes"):
        lines += ["", f"{part} a year"]
        for row in found[part]:
            words = [f"{name} {row[name]}" for name in row if name not in ("count", "per_year", "false")]
            lines.append(f"{row['per_year']:>12,.1f}  {', '.join(words)}{'  FALSE' if row.get('false') else ''}")
    total = found["summary"]
    lines += ["", f"{total['outages']} outages, {total['missed']} not found:", *(f"  {one}" for one in found["missed"])]
    for name, spread in total.items():
        if isinstance(spread, dict):
            cells = "  ".join(f"{key} {spread[key]}" for key in ("lowest", "median", "p95", "highest"))
            lines.append(f"  {name:<22} {cells}")
    return "\n".join(lines)
