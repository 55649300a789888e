"""Thresholds of the two rules before the sequential test: still read, as what a person would write today.

Files, scenarios and ``backtest --set`` may name them; :func:`modern` turns them round and :func:`hints` says what to
write instead. What such a key promised is kept where there is something to keep: three failures with pauses of 5 s
spared outages shorter than 10 s, a rate of 20 % is what a failure ratio of 10 % finds quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.core.checks.sequential import EAGER_PAGES

FORMER: Mapping[str, str] = {
    "open_after_failures": "int",
    "close_after_successes": "int",
    "window_looks": "int",
    "confirm_at_once": "bool",
    "second_look_after_s": "float",
    "rate_window_s": "float",
    "rate_min_looks": "int",
    "rate_open_ratio": "float",
    "rate_close_ratio": "float",
}
"""Name of the field → its type."""
FAILURES, PAUSE_S = 3, 5.0
"""What they were when they were not set."""
SHORTEST_S = 1.0
LEAST_RATIO, MOST_RATIO = 0.05, 0.15


def modern(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a policy that follow from former ones; other names are left out."""
    found: dict[str, Any] = {}
    if "confirm_at_once" in given:
        found["early_looks"] = bool(given["confirm_at_once"])
    if found.get("early_looks", True) and ("open_after_failures" in given or "second_look_after_s" in given):
        failures = int(given.get("open_after_failures", FAILURES))
        found["shortest_outage_s"] = max(SHORTEST_S, (failures - 1) * float(given.get("second_look_after_s", PAUSE_S)))
        if failures == 1:
            found |= {"false_pages_per_year": EAGER_PAGES}
    if "rate_open_ratio" in given:
        found["failure_ratio"] = min(MOST_RATIO, max(LEAST_RATIO, float(given["rate_open_ratio"]) / 2))
    return found


def hints(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what to write instead of the former fields, a sentence for each."""
    new = modern(given)
    shortest = f"write shortest_outage: {new['shortest_outage_s']:g}s" if "shortest_outage_s" in new else ""
    if "false_pages_per_year" in new:
        shortest = f"write false_pages_per_year: {EAGER_PAGES:.0f} to be told of every failed look"
    instead = {
        "confirm_at_once": f"write early_looks: {str(new.get('early_looks', True)).lower()}",
        "open_after_failures": shortest,
        "second_look_after_s": shortest,
        "rate_open_ratio": f"write failure_ratio: {new.get('failure_ratio', 0):g}",
    }
    return tuple(
        f"{name.removesuffix('_s')} is read as before the sequential test; {instead.get(name) or 'leave it out'}"
        for name in FORMER
        if name in given
    )
