"""How soon and how falsely outages are found and ended, by our rule and by others', on the same streams of looks.

Every figure has an interval that holds 95 of 100 times; the streams come from seeds of their own. ``--json`` prints
rows.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.bench import detection_figures as figures
from tests.bench.detection_figures import Ending, Figure
from tests.bench.detection_watchers import WATCHERS, Ours, Watcher

CHANCES = (0.001, 0.01, 0.02)
HARD, PARTIAL = 1.0, 0.25
RECOVERED_AT = (0.9, 0.5, 0.25)
HEAD = (
    "rule",
    "interval",
    *(f"false pages a year at {chance:.1%}" for chance in CHANCES),
    "pages a year in bursts",
    "hard outage after, mean s",
    "p95 s",
    "25 % failing after, p50 min",
    "p95 min",
)
RECOVERY_HEAD = (
    "rule",
    "false recoveries in 3 h at 90 / 50 / 25 % failing",
    "share of ends within 2 min",
    "red minutes of 2 h at 50 %",
)
RECOVERY_S, RED_S = 3 * 3600.0, 2 * 3600.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is played."""

    months: dict[float, int]
    """Chance of a look to fail → months."""
    burst_months: int
    outages: int
    recoveries: int


FULL = Size({0.001: 1200, 0.01: 1440, 0.02: 480}, 1200, 10_000, 1000)
QUICK = Size({0.001: 12, 0.01: 12, 0.02: 6}, 12, 200, 20)


def main(quick: bool, as_json: bool = False) -> None:
    """Print a row for each rule."""
    found = rows(QUICK if quick else FULL)
    print(json.dumps(found, indent=2) if as_json else f"{_table(found)}\n\n{_recovery_table(found)}")


def rows(size: Size) -> list[dict[str, Any]]:
    """Return the row of each rule, worked out on all cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = _jobs(size)
        waiting = {key: [pool.submit(work, *args) for work, *args in parts] for key, parts in jobs.items()}
        done = _collected(waiting)
    return [_row(watcher, size, done) for watcher in WATCHERS]


Key = tuple[str, str, float]
"""(rule, what is measured, chance of a look to fail)."""
Work = tuple[Callable[..., Any], *tuple[Any, ...]]
MONTHS_AT_ONCE = 24
OUTAGES_AT_ONCE = 250


def _jobs(size: Size) -> dict[Key, list[Work]]:
    jobs: dict[Key, list[Work]] = {}
    for watcher in WATCHERS:
        name = watcher.name
        for chance, months in size.months.items():
            parts = _parts(months, MONTHS_AT_ONCE)
            jobs[name, "false", chance] = [(figures.false_pages, watcher, chance, part) for part in parts]
        jobs[name, "bursts", 0.0] = [
            (figures.burst_pages, watcher, part) for part in _parts(size.burst_months, MONTHS_AT_ONCE)
        ]
        for chance in (HARD, PARTIAL):
            jobs[name, "delays", chance] = [
                (figures.delays, watcher, chance, part) for part in _parts(size.outages, OUTAGES_AT_ONCE)
            ]
        if isinstance(watcher, Ours):
            for chance in RECOVERED_AT:
                jobs[name, "endings", chance] = _endings(watcher, chance, RECOVERY_S, size)
            jobs[name, "red", 0.5] = _endings(watcher, 0.5, RED_S, size)
    return jobs


def _endings(watcher: Watcher, chance: float, length_s: float, size: Size) -> list[Work]:
    return [(_listed, watcher, chance, length_s, part) for part in _parts(size.recoveries, 50)]


def _listed(watcher: Watcher, chance: float, length_s: float, trials: Sequence[int]) -> list[Ending]:
    return list(figures.endings(watcher, chance, length_s, trials))


def _parts(count: int, size: int) -> list[range]:
    return [range(first, min(count, first + size)) for first in range(0, count, size)]


def _collected(waiting: dict[Key, list[Future[Any]]]) -> dict[Key, list[Any]]:
    """Wait for all of it; on a terminal stderr says how far it is."""
    total, number = sum(map(len, waiting.values())), 0
    done: dict[Key, list[Any]] = {}
    for key, parts in waiting.items():
        done[key] = []
        for part in parts:
            done[key].append(part.result())
            number += 1
            if sys.stderr.isatty():
                print(f"\r{number} of {total} parts: {key[0]}, {key[1]:<12}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return done


def _row(watcher: Watcher, size: Size, done: dict[Key, list[Any]]) -> dict[str, Any]:
    name = watcher.name
    hard, partial = ([at for part in done[name, "delays", chance] for at in part] for chance in (HARD, PARTIAL))
    minutes = [at / 60 for at in partial]
    false = {
        f"{chance:g}": figures.per_year(sum(done[name, "false", chance]), size.months[chance] / 12)
        for chance in CHANCES
    }
    single = {
        "burst_pages_per_year": figures.per_year(sum(done[name, "bursts", 0.0]), size.burst_months / 12),
        "hard_mean_s": figures.mean(hard),
        "hard_p95_s": figures.quantile(hard, 0.95),
        "partial_p50_min": figures.quantile(minutes, 0.5),
        "partial_p95_min": figures.quantile(minutes, 0.95),
    }
    row: dict[str, Any] = {"rule": name, "interval_s": watcher.interval_s}
    row["false_pages_per_year"] = {chance: _value(figure) for chance, figure in false.items()}
    row |= {key: _value(figure) for key, figure in single.items()}
    row["intervals"] = {"false_pages_per_year": {chance: _ends(figure) for chance, figure in false.items()}}
    row["intervals"] |= {key: _ends(figure) for key, figure in single.items()}
    if (name, "red", 0.5) in done:
        row["recovery"] = _recovery(name, done)
    return row


def _recovery(name: str, done: dict[Key, list[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"false_recoveries_in_3_h": {}, "end_within_2_min_ratio": {}, "intervals": {}}
    for chance in RECOVERED_AT:
        endings: list[Ending] = [one for part in done[name, "endings", chance] for one in part]
        wrong = figures.per_year(sum(one.false_recoveries for one in endings), len(endings))
        seen = [one for one in endings if one.found]
        near = figures.share(
            sum(one.end_error_s is not None and abs(one.end_error_s) <= 120 for one in seen), len(seen)
        )
        for key, figure in (("false_recoveries_in_3_h", wrong), ("end_within_2_min_ratio", near)):
            found[key][f"{chance:g}"] = _value(figure)
            found["intervals"].setdefault(key, {})[f"{chance:g}"] = _ends(figure)
    red = [100 * (one.red_ratio - 1) for part in done[name, "red", 0.5] for one in part]
    for key, figure in (
        ("red_minutes_mean_percent", figures.mean(red)),
        ("red_minutes_p5_percent", figures.quantile(red, 0.05)),
        ("red_minutes_p95_percent", figures.quantile(red, 0.95)),
        ("red_minutes_within_5_percent_ratio", figures.share(sum(abs(off) <= 5 for off in red), len(red))),
    ):
        found[key] = _value(figure)
        found["intervals"][key] = _ends(figure)
    return found


def _value(figure: Figure) -> float:
    return round(figure.value, 3)


def _ends(figure: Figure) -> list[float]:
    return [round(figure.low, 3), round(figure.high, 3)]


def _table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [" | ".join(HEAD)]
    for row in rows:
        ends = row["intervals"]
        cells = [f"{row['interval_s']:g} s"]
        cells += [_cell(row["false_pages_per_year"][f"{c:g}"], ends["false_pages_per_year"][f"{c:g}"]) for c in CHANCES]
        cells += [_cell(row[key], ends[key]) for key in list(row)[3:8]]
        lines.append(" | ".join((row["rule"], *cells)))
    return "\n".join(lines)


def _cell(value: float, ends: Sequence[float]) -> str:
    return str(Figure(value, ends[0], ends[1]))


def _recovery_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [" | ".join(RECOVERY_HEAD)]
    for row in rows:
        if "recovery" not in row:
            continue
        known, ends = row["recovery"], row["recovery"]["intervals"]
        cells = [
            " / ".join(_cell(known[key][f"{c:g}"], ends[key][f"{c:g}"]) for c in RECOVERED_AT)
            for key in ("false_recoveries_in_3_h", "end_within_2_min_ratio")
        ]
        off = _cell(known["red_minutes_mean_percent"], ends["red_minutes_mean_percent"])
        cells.append(f"{off} %, p5 {known['red_minutes_p5_percent']:.1f}, p95 {known['red_minutes_p95_percent']:.1f} %")
        lines.append(" | ".join((row["rule"], *cells)))
    return "\n".join(lines)
