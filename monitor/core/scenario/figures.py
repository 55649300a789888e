"""Writes what was measured as plain values: one seed, and medians and extremes over several."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from monitor.core.scenario.measure import Found, Measured, Sent

Moment = Callable[[float], str]
"""Writes seconds after the start."""


def as_json(found: Measured, at: Moment) -> dict[str, Any]:
    """Return one seed as plain values; ``at`` writes a moment."""
    return {
        "seed": found.seed,
        "looks": found.looks,
        "outages": [_outage(item, at) for item in found.found],
        "false_recoveries": found.false_recoveries,
        "reopenings": found.reopenings,
        "relapses": found.relapses,
        "pages": _counted([one for one in found.sent if one.is_page]),
        "notices": _counted(found.sent),
        "minutes": {
            name: {said.value: {fact.value: round(m, 2) for fact, m in facts.items()} for said, facts in cells.items()}
            for name, cells in found.minutes.items()
        },
        "red_minutes": {
            name: dict(zip(("shown", "true"), (round(m, 2) for m in found.red(name)), strict=True))
            for name in found.minutes
        },
    }


def _outage(item: Found, at: Moment) -> dict[str, Any]:
    return {
        "component": item.episode.component,
        "from": at(item.episode.start_s),
        "to": at(item.episode.end_s),
        "health": item.episode.health.value,
        "blip": item.episode.is_blip,
        "detected_after_s": _rounded(item.seen_after_s),
        "told_after_s": _rounded(item.told_after_s),
        "start_error_s": _rounded(item.start_error_s),
        "end_error_s": _rounded(item.end_error_s),
        "false_recoveries": item.false_recoveries,
        "lead_s": _rounded(item.lead_s),
    }


def _counted(sent: Sequence[Sent]) -> dict[str, Any]:
    return {
        "total": len(sent),
        "false": sum(one.is_false for one in sent),
        "by_cause": dict(sorted(Counter(one.cause for one in sent).items())),
        "by_rule": dict(sorted(Counter(one.rule for one in sent).items())),
        "by_why": dict(sorted(Counter(one.why.value for one in sent).items())),
        "by_severity": dict(sorted(Counter(one.severity.value for one in sent).items())),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def summary(runs: Sequence[Measured]) -> dict[str, Any]:
    """Return medians and extremes over all seeds; of outages, over each outage of each seed."""
    outages = [item for run in runs for item in run.found if not item.episode.is_blip]
    pages = [[one for one in run.sent if one.is_page] for run in runs]
    # Of a component that had but a blip no share of minutes means anything.
    red = [run.red(name) for run in runs for name in {i.episode.component for i in run.found if not i.episode.is_blip}]
    figures: dict[str, Sequence[float | None]] = {
        "detected_after_s": [item.seen_after_s for item in outages],
        "told_after_s": [item.told_after_s for item in outages],
        "start_error_s": [item.start_error_s for item in outages],
        "end_error_s": [item.end_error_s for item in outages],
        "lead_s": [item.lead_s for item in outages],
        "false_recoveries": [run.false_recoveries for run in runs],
        "reopenings": [run.reopenings for run in runs],
        "relapses": [run.relapses for run in runs],
        "pages": [len(sent) for sent in pages],
        "false_pages": [sum(one.is_false for one in sent) for sent in pages],
        "notices": [len(run.sent) for run in runs],
        "false_notices": [sum(one.is_false for one in run.sent) for run in runs],
        "red_minutes_percent": [100 * (shown / true - 1) for shown, true in red],
    }
    missed = sum(item.seen_after_s is None for item in outages)
    return {"outages": len(outages), "missed": missed} | {name: _spread(of) for name, of in figures.items()}


def _spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    known = sorted(value for value in values if value is not None)
    if not known:
        return {"count": 0, "lowest": None, "median": None, "mean": None, "p95": None, "highest": None}
    middle = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
    return {
        "count": len(known),
        "lowest": round(known[0], 2),
        "median": round(middle, 2),
        "mean": round(sum(known) / len(known), 2),
        "p95": round(known[max(0, math.ceil(0.95 * len(known)) - 1)], 2),
        "highest": round(known[-1], 2),
    }
