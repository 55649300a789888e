"""Is it slower than usual for this hour of the week? A robust guess for people to look at; it never pages by itself.

Every five minutes the median of the newest half hour is compared with the medians of past weeks at the same place in
the week (UTC), on a log scale: the median absolute deviation and the sampling error of the newest looks make the
spread. The hours before and after must be exceeded as well, so that neither an hour's turn nor the end of daylight
saving, which moves everybody's habits by an hour, looks like news. Hours with trouble are left out, or an outage
would become the new normal; a new normal that is no trouble is taken for usual after about a month. A finding needs
a large deviation and a difference that a person would feel, and it goes only when most of that is gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median

from monitor.core.catalogue import Policy
from monitor.core.checks.steps import QUIET_REASONS
from monitor.core.components import sketch
from monitor.core.components.health import ComponentHealth, quorum
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health

HOURS_A_WEEK = 168
HOUR = timedelta(hours=1)
WEEKS = 8
"""How far back an hour is compared."""
MIN_WEEKS = 3
MIN_LOOKS = 10
"""Good looks of an hour; fewer make no median worth keeping."""
MIN_RECENT = 6
"""Good looks of the newest half hour; a probe that looks every five minutes has as many."""
Z_LIMIT = 6.0
MIN_RATIO = 1.25
MIN_EXTRA_S = 0.3
GONE = 0.5
"""What stands out goes on standing out until it falls below this part of every limit."""
ASIDE = 0.5
"""The hours beside it are only a cross-check: this part of the deviation is enough against them."""
SPREAD_FLOOR = 0.1
"""Smallest spread on the log scale: equal hours, or a few that are alike by chance, would make any difference huge."""
MAX_BAD_RATIO = 0.2
"""An hour with a larger share of failed or slow looks is disturbed."""
RECENT = timedelta(minutes=30)
EVERY_S = 300
SETTLE = timedelta(seconds=60)
"""A moment is judged so long after it, when its looks are in."""
HOLDS = timedelta(hours=1)
"""A finding that could not be looked at again for this long is given up."""


@dataclass(frozen=True, slots=True)
class Hour:
    """Median latency of one UTC hour. ``disturbed`` if too many of its looks were bad."""

    start: datetime
    p50_s: float
    looks: int
    disturbed: bool = False
    error: float = 0.0
    """Standard error of the median on the log scale."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """A latency that stands out, with what it was compared to."""

    now_s: float
    usual_s: float
    z: float
    weeks: int
    what: str = "response"
    """``ttft`` or ``response``."""
    probe: str = ""
    hour: datetime | None = None
    """The UTC hour whose place in the week it was compared at."""
    since: datetime | None = None
    """When it stood out first."""
    at: datetime | None = None
    """When it was looked at last."""
    locations: int = 1


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known of one probe at one location: its newest half hour, and how to get its past hours."""

    probe: str
    what: str
    now: Hour | None
    past: Callable[[], Sequence[Hour]]


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of comparing a component: what stands out, and which probes are known to be as usual."""

    found: tuple[Unusual, ...] = ()
    over: tuple[str, ...] = ()


def hour_of_week(at: datetime) -> int:
    """Return 0 (Monday 00:00 UTC) … 167."""
    return at.weekday() * 24 + at.hour


def moment(now: datetime) -> datetime:
    """Return the newest moment that may be judged: a multiple of five minutes whose looks are in."""
    seconds = int((now - SETTLE).timestamp())
    return datetime.fromtimestamp(seconds - seconds % EVERY_S, UTC)


def own_hour(at: datetime) -> datetime:
    """Return the hour that the half hour before ``at`` belongs to: that of its middle."""
    return (at - RECENT / 2).replace(minute=0, second=0, microsecond=0)


def past_hours(at: datetime) -> list[datetime]:
    """Return the starts of the hours that the half hour before ``at`` is compared with, oldest first."""
    own = own_hour(at)
    return [own - timedelta(weeks=week) + aside * HOUR for week in range(WEEKS, 0, -1) for aside in (-1, 0, 1)]


def is_bad(reason: Reason) -> bool:
    """Say whether a look with this reason makes its hour a bad measure of what is usual."""
    late = reason.outcome is Outcome.SLOW and reason not in QUIET_REASONS
    return late or reason.outcome is Outcome.FAILED


def hour(start: datetime, latencies: sketch.Sketch, looks: int, bad: int) -> Hour | None:
    """Return an hour from its sketch; ``looks`` told something, ``bad`` of them nothing good."""
    p50_s = sketch.quantile(latencies, 0.5)
    if p50_s is None:
        return None
    low, high, n = sketch.quantile(latencies, 0.25), sketch.quantile(latencies, 0.75), sketch.count(latencies)
    # The quartiles of a normal lie 1.349 deviations apart, and its median varies 1.253 times as much as its mean.
    error = 1.253 * math.log(high / low) / 1.349 / math.sqrt(n) if low and high else 0.0
    return Hour(start, p50_s, n, bad > MAX_BAD_RATIO * looks, error)


def unusual(now: Hour, past: Iterable[Hour], *, held: bool = False) -> Unusual | None:
    """Compare an hour with the same hour of earlier weeks; ``None`` if it is usual or there is too little to tell.

    ``held`` says that it stood out before.
    """
    by_place = _by_place(now, past)
    if not _is_enough(now, by_place):
        return None
    ease = GONE if held else 1.0
    limit_z, limit_ratio, extra_s = Z_LIMIT * ease, 1 + (MIN_RATIO - 1) * ease, MIN_EXTRA_S * ease
    compared = {place: _compare(now, same) for place, same in by_place.items() if len(same) >= MIN_WEEKS}
    for place, (usual_s, z) in compared.items():
        enough = z > limit_z * (1 if place == 0 else ASIDE)
        if not (enough and now.p50_s > limit_ratio * usual_s and now.p50_s - usual_s > extra_s):
            return None
    usual_s, z = compared[0]
    return Unusual(now.p50_s, usual_s, z, len(by_place[0]), hour=now.start)


def _by_place(now: Hour, past: Iterable[Hour]) -> dict[int, list[float]]:
    """Return the medians of past hours by their place in the week: 0 the same, -1 and 1 those beside it."""
    found: dict[int, list[float]] = {0: []}
    for item in past:
        aside = (hour_of_week(item.start) - hour_of_week(now.start) + 1) % HOURS_A_WEEK - 1
        usable = item.looks >= MIN_LOOKS and not item.disturbed and item.p50_s > 0
        if usable and aside in (-1, 0, 1) and item.start < now.start - 2 * HOUR:
            found.setdefault(aside, []).append(item.p50_s)
    return found


def _is_enough(now: Hour, by_place: Mapping[int, Sequence[float]]) -> bool:
    return len(by_place[0]) >= MIN_WEEKS and now.looks >= MIN_RECENT and now.p50_s > 0


def _compare(now: Hour, same: Sequence[float]) -> tuple[float, float]:
    logs = [math.log(item) for item in same]
    middle = median(logs)
    # 1.4826 makes it consistent with a normal's standard deviation; of few values it comes out too small.
    spread = 1.4826 * (1 + 1 / len(logs)) * median(abs(item - middle) for item in logs)
    return math.exp(middle), (math.log(now.p50_s) - middle) / math.hypot(max(spread, SPREAD_FLOOR), now.error)


def compare(
    paces: Iterable[Pace], standing: Sequence[Unusual], at: datetime, policies: Mapping[str, Policy]
) -> Compared:
    """Compare a component's probes as of ``at``. ``standing`` is what stood out before; ``policies`` are by probe.

    Locations vote as they do on failures. A probe of which nothing can be told keeps its finding for an hour.
    """
    before = {item.probe: item for item in standing}
    votes: dict[str, list[Unusual | None]] = {}
    for pace in paces:
        told, found = _told(pace, pace.probe in before)
        if told:
            votes.setdefault(pace.probe, []).append(found and replace(found, what=pace.what, probe=pace.probe))
    kept: list[Unusual] = []
    over: list[str] = []
    for probe in dict.fromkeys([*before, *votes]):
        old = before.get(probe)
        if probe not in votes and old is not None and old.at is not None and at - old.at <= HOLDS:
            kept.append(old)
            continue
        found_here = [item for item in votes.get(probe, ()) if item is not None]
        if found_here and len(found_here) >= quorum(len(votes[probe]), policies.get(probe, Policy())):
            worst = max(found_here, key=lambda item: item.z)
            since = old.since if old is not None else at
            kept.append(replace(worst, since=since, at=at, locations=len(found_here)))
        elif old is not None:
            over.append(probe)
    return Compared(tuple(kept), tuple(over))


def _told(pace: Pace, held: bool) -> tuple[bool, Unusual | None]:
    """Return whether anything can be told, and what stands out."""
    if pace.now is None or pace.now.looks < MIN_RECENT:
        return False, None
    if pace.now.p50_s <= MIN_EXTRA_S * (GONE if held else 1.0):
        return True, None  # too fast to matter, however fast is usual
    past = pace.past()
    if not _is_enough(pace.now, _by_place(pace.now, past)):
        return False, None
    return True, unusual(pace.now, past, held=held)


def worst(standing: Iterable[Unusual], now: datetime) -> Unusual | None:
    """Return what stands out most and still holds."""
    fresh = [item for item in standing if item.at is not None and now - item.at <= HOLDS + SETTLE * 5]
    return max(fresh, key=lambda item: item.now_s / item.usual_s, default=None)


def laid_over(seen: ComponentHealth, standing: Iterable[Unusual], now: datetime) -> ComponentHealth:
    """Return what is shown of a component that works, but slower than usual; any trouble goes first."""
    found = worst(standing, now) if seen.health is Health.OPERATIONAL else None
    if found is None:
        return seen
    detail = sentence(found)
    return replace(
        seen, health=Health.DEGRADED, since=found.since, reason=Reason.UNUSUAL, detail=detail, good_since=None
    )


def sentence(found: Unusual) -> str:
    """Return the message for it: "first token takes 4.1 s, usual for a Monday 14:00 UTC is 0.9 s"."""
    code = MessageCode.FIRST_TOKEN_UNUSUAL if found.what == "ttft" else MessageCode.ANSWER_UNUSUAL
    place = coded(MessageCode.THIS_HOUR)
    if found.hour is not None:
        place = coded(MessageCode.THAT_HOUR, day=found.hour.weekday(), hour=f"{found.hour:%H}")
    return coded(code, now_s=f"{found.now_s:.1f}", usual_s=f"{found.usual_s:.1f}", place=place)
