"""Pieces that both status pages draw: day bars, the small latency line, the figures behind a number."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup, escape

from dashboard.sentences import share, state_word
from dashboard.words import Words
from monitor.core.components.slo import PERIOD_DAYS, Budget
from monitor.core.entities import MethodState
from monitor.core.model.registration import Method, PlaceWord, Registration
from monitor.core.model.states import Health
from monitor.store.reads.views import (
    ComponentView,
    DayBar,
    Latency,
    LatencyPoint,
    RegistrationView,
    ServiceView,
    Snapshot,
    Uptime,
    WorkerView,
)
from monitor.text.cleaner import plain
from monitor.text.countries import countries

STEPS = 20
AROUND = 4
"""Steps on each side that tell how far apart looks usually are."""
LEAST = 5
"""The smallest fill in twentieths: a minute of outage in a day must still be seen."""


HYPHENED = re.compile(r"(\b[a-z]{1,8}-[a-z]{1,8}\b)", re.IGNORECASE)


class Cell(NamedTuple):
    """One day: CSS classes and what it says."""

    classes: str
    title: str


def seconds_by_state(bar: DayBar) -> dict[str, float]:
    """Return seconds per drawn state, worst first."""
    return {
        "major_outage": bar.major_s,
        "partial_outage": bar.partial_s,
        "degraded_performance": bar.degraded_s,
        "unknown": bar.unknown_s,
        "maintenance": bar.maintenance_s,
        "operational": bar.operational_s,
    }


def cell(bar: DayBar, words: Words) -> Cell:
    """Return a day's cell, filled by its worst state in proportion to the time, unknown hatched."""
    parts = seconds_by_state(bar)
    total = sum(parts.values())
    worst = next((state for state, seconds in parts.items() if seconds > 0), "unknown")
    share = parts[worst] / total if total else 1.0
    if worst == "operational":
        classes, said = worst, words("bar_all")
    elif worst == "unknown" and share > 0.999:
        classes, said = "none", words("bar_no_data")
    else:
        classes = f"{worst} f{max(LEAST, math.ceil(STEPS * share))}"
        said = words("comma").join(
            words("bar_part", state=state_word(state, words).lower(), duration=words.duration(seconds))
            for state, seconds in parts.items()
            if seconds >= 1 and state != "operational"
        )
    if bar.incidents:
        said += words("comma") + words("bar_incidents", n=bar.incidents)
    return Cell(classes, words("bar_day", day=words.day(bar.day), parts=said))


def cells(days: Sequence[DayBar], words: Words) -> list[Cell]:
    """Return 90 cells, oldest first; days before the first are drawn as days without data."""
    missing = [Cell("none", words("bar_no_data"))] * (90 - len(days))
    return missing + [cell(bar, words) for bar in days[-90:]]


def bars_summary(name: str, days: Sequence[DayBar], words: Words) -> str:
    """Return what a row of bars says to somebody who does not see it."""
    drawn = [cell(bar, words).classes.partition(" ")[0] for bar in days]
    unknown = sum(state in ("none", "unknown") for state in drawn)
    good = sum(state in ("operational", "maintenance") for state in drawn)
    parts = [words("bars_good", n=good), words("bars_bad", n=len(drawn) - good - unknown)]
    if unknown:
        parts.append(words("bars_unknown", n=unknown))
    return words("bars_summary", name=name, days=words("days", n=len(drawn)), parts=words("comma").join(parts))


def trouble_days(days: Sequence[DayBar], words: Words) -> list[Cell]:
    """Return the days worth naming, newest first, at most twelve."""
    drawn = [cell(bar, words) for bar in reversed(days)]
    return [day for day in drawn if not day.classes.startswith(("operational", "none"))][:12]


class Share(NamedTuple):
    """One part of a window of wall time."""

    label: str
    duration: str


def shares(uptime: Uptime, words: Words) -> list[Share]:
    """Return the window's five parts; they add up to it."""
    parts = (
        ("window", uptime.window_s),
        ("up", uptime.up_s),
        ("degraded", uptime.degraded_s),
        ("down", uptime.down_s),
        ("in_maintenance", uptime.maintenance_s),
        ("unknown", uptime.unknown_s),
    )
    return [Share(words(key), words.duration(seconds)) for key, seconds in parts]


def budget_line(budget: Budget | None, words: Words) -> str:
    """Return what is left of an error budget, with its objective, window and formula; empty if nothing is known."""
    left = budget.left_ratio if budget else None
    if budget is None or left is None:
        return ""
    allowed, down = words.duration(budget.allowed_s), words.duration(budget.down_s)
    said = words(
        "budget_left" if left > 0 else "budget_spent",
        days=str(PERIOD_DAYS),
        target=words.percent(budget.target_ratio),
        allowed=allowed,
        down=down,
        left=words.percent(left),
    )
    return f"{said} {words('budget_formula')}"


def weakest(service: ServiceView) -> ComponentView | None:
    """Return the component with the lowest uptime: a mean of all would hide an outage of one."""
    known = [part for part in service.judged if part.uptime.ratio is not None]
    return min(known, key=lambda part: part.uptime.ratio or 0.0, default=None)


def window_days(uptime: Uptime, words: Words) -> str:
    """Return the window's length: "90 days"."""
    return words("days", n=max(1, math.ceil(uptime.window_s / 86400 - 1e-9)))


def spark(latency: Latency, words: Words) -> Markup:
    """Return the last 24 hours as a line (p50) in a band (up to p95), log scale over a decade; gaps stay gaps."""
    known = [point.p50_s for point in latency.recent if point.p50_s]
    if len(known) < 2:
        return Markup("")
    tops = [point.p95_s or point.p50_s or 0.0 for point in latency.recent if point.p50_s]
    low, high = min(known), max(tops)
    logarithmic = high > 10 * low

    def height(value: float) -> float:
        if high <= low:
            return 10.0
        ratio = math.log(value / low) / math.log(high / low) if logarithmic else (value - low) / (high - low)
        return round(19 - 18 * ratio, 1)

    first, length = latency.recent[0].at, (latency.recent[-1].at - latency.recent[0].at).total_seconds() or 1.0

    def place(when: datetime) -> float:
        return round(100 * (when - first).total_seconds() / length, 1)

    lines, bands = [], []
    for run in runs(latency.recent):
        at = [(place(point.at), height(point.p50_s or low), height(point.p95_s or point.p50_s or low)) for point in run]
        lines.append("M" + "L".join(f"{x} {middle}" for x, middle, _ in at))
        upper = "L".join(f"{x} {top}" for x, _, top in at)
        lower = "L".join(f"{x} {middle}" for x, middle, _ in reversed(at))
        bands.append(f"M{upper}L{lower}Z")
    said = words("spark", what=words(latency.what), low=words.latency(low), high=words.latency(max(known)))
    return Markup(
        '<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{said}">'
        '<path class="band" d="{bands}"/><path class="line" d="{lines}"/></svg>'
    ).format(said=said, bands="".join(bands), lines="".join(lines))


def with_gaps(points: Sequence[LatencyPoint]) -> list[LatencyPoint]:
    """Return the series with an empty point wherever a bucket is missing, so that no line bridges a gap.

    Looks that measured nothing of this kind and failed at nothing are no gap. What is usual is told by the buckets
    around, because a probe's rhythm may change within the window.
    """
    points = [point for point in points if point.p50_s is not None or point.failures]
    steps = [after.at - before.at for before, after in pairwise(points)]
    filled = list(points[:1])
    for index, (point, width) in enumerate(zip(points[1:], steps, strict=True)):
        around = sorted(steps[max(0, index - AROUND) : index] + steps[index + 1 : index + 1 + AROUND])
        usual = around[len(around) // 2] if around else width
        if width > 2.5 * usual:
            filled.append(LatencyPoint(point.at - width + usual, None, None, 0, {}))
        filled.append(point)
    return filled


def runs(points: Sequence[LatencyPoint]) -> list[list[LatencyPoint]]:
    """Return the unbroken stretches of a series."""
    found: list[list[LatencyPoint]] = [[]]
    for point in with_gaps(points):
        if point.p50_s:
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def mark(state: str, more: str = "") -> Markup:
    """Return a state's shape; the word stands beside it."""
    return Markup('<span class="mark {}{}" aria-hidden="true"></span>').format(state, f" {more}" if more else "")


def unbroken(said: str) -> Markup:
    """Return a text in which no line ends within a short word such as log-in."""
    return Markup("").join(
        Markup('<span class="whole-word">{}</span>').format(piece) if index % 2 else escape(piece)
        for index, piece in enumerate(HYPHENED.split(said))
    )


def sightless(snapshot: Snapshot) -> list[WorkerView]:
    """Return, for each location none of whose workers sees while another location does, the one blind the longest."""
    if snapshot.stale or snapshot.blind_since is not None:
        return []
    seeing = {worker.location for worker in snapshot.watching if worker.blind_since is None}
    found: dict[str, WorkerView] = {}
    for worker in sorted(snapshot.watching, key=lambda worker: worker.blind_since or snapshot.taken_at):
        if worker.location not in seeing:
            found.setdefault(worker.location, worker)
    return list(found.values())


def registration_mark(state: str) -> str:
    """Return the drawn state of a way to sign up."""
    return {
        "open": str(Health.OPERATIONAL),
        "restricted": str(Health.PARTIAL),
        "delayed": str(Health.DEGRADED),
        "failing": str(Health.PARTIAL),
        "closed": str(Health.MAJOR),
    }.get(state, str(Health.UNKNOWN))


def method_word(state: MethodState, words: Words) -> str:
    """Return the short word beside a method: "China (+86) only"."""
    if state.differing:
        said = (
            words("method_from", word=short_word(word, words), place=plain(word.place, 60)) for word in state.differing
        )
        return words("semicolon").join(said)
    return short_word(state, words)


def short_word(state: MethodState | PlaceWord, words: Words) -> str:
    """Return the short word of one state, over all places or at one."""
    if state.state is Registration.FAILING and state.failed_ratio is not None:
        return words("method_failing_share", share=share(state.failed_ratio, words))
    if state.state is not Registration.RESTRICTED:
        return words(f"method_{state.state}")
    if state.country_codes:
        return words("method_limited", limits=countries(state.country_codes, words))
    if state.email_domains:
        return words("method_limited", limits=words.join(plain(name, 60) for name in state.email_domains[:5]))
    if state.invite_required:
        return words("method_invite")
    return words("method_approval") if state.approval_required else words("method_restricted")


def shown_ways(view: RegistrationView) -> list[MethodState]:
    """Return the methods worth a chip: the whole is left out where the single ways say the same."""
    single = [state for state in view.methods if state.method is not Method.ANY]
    whole = [state for state in view.methods if state.method is Method.ANY]
    return (
        single
        if single and {state.state for state in whole} <= {state.state for state in single}
        else [*whole, *single]
    )
