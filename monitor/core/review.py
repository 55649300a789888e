"""What the alerts were worth: precision, recall, times to act, noise, and a threshold tried on the recorded past.

Unreviewed alerts are a bucket of their own and count neither for nor against a rule. Times are medians with
their n; alerts that are still open are censored, not dropped: they are counted beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.core.catalogue import Catalogue, Policy
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import AnyRule
from monitor.core.model.alerting import Severity, Verdict, Why
from monitor.core.model.observations import Result
from monitor.core.replay import Judge, run

QUICK_S = 300.0
"""An alert that was over sooner than this, with nobody's help, is a candidate for noise."""
NIGHT_HOURS = (22, 7)
"""Local hours [from, to) in which a page wakes somebody."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An alert with what a person said of it afterwards and how often it made noise."""

    alert: Alert
    verdict: Verdict | None = None
    notices: int = 1
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """Durations in seconds; ``open`` are those that have not ended yet."""

    n: int
    median_s: float | None
    open: int = 0


@dataclass(frozen=True, slots=True)
class RuleReview:
    """One rule over a period. Ratios are ``None`` where nothing was reviewed."""

    rule: AnyRule
    alerts: int
    notices: int
    verdicts: Mapping[Verdict, int]
    unreviewed: int
    precision: float | None
    """Actionable / reviewed alerts; informational, noise and duplicate are the rest."""
    noise: float | None
    quick: int
    """Over within five minutes and never acknowledged."""
    flapping: int
    detect: Times
    """First failed look → alert."""
    acknowledge: Times
    """Alert → acknowledged (MTTA)."""
    resolve: Times
    """Start → resolved (MTTR)."""
    night_pages: int


@dataclass(frozen=True, slots=True)
class Review:
    """All rules of a period, noisiest first, and how much trouble had an alert at all."""

    rules: tuple[RuleReview, ...]
    missed: int
    recall: float | None
    """Actionable alerts / (actionable alerts + trouble that was reported as missed)."""


def times(durations_s: Iterable[float], still_open: int = 0) -> Times:
    """Return the median (nearest rank)."""
    values = sorted(durations_s)
    if not values:
        return Times(0, None, still_open)
    return Times(len(values), values[(len(values) - 1) // 2], still_open)


def is_night(at: datetime, time_zone: str = "UTC") -> bool:
    """Say whether a page at that moment wakes somebody in that time zone."""
    hour = at.astimezone(ZoneInfo(time_zone)).hour
    return hour >= NIGHT_HOURS[0] or hour < NIGHT_HOURS[1]


def review(items: Iterable[Reviewed], missed: int = 0, time_zone: str = "UTC") -> Review:
    """Review the alerts of a period; ``missed`` is how often trouble was reported that no alert announced."""
    by_rule: dict[AnyRule, list[Reviewed]] = {}
    for item in items:
        by_rule.setdefault(item.alert.rule, []).append(item)
    rules = [_rule(name, found, time_zone) for name, found in by_rule.items()]
    rules.sort(key=lambda rule: (-rule.notices, rule.rule))
    caught = sum(rule.verdicts.get(Verdict.ACTIONABLE, 0) for rule in rules)
    total_missed = missed + sum(rule.verdicts.get(Verdict.MISSED, 0) for rule in rules)
    known = caught + total_missed
    return Review(tuple(rules), total_missed, caught / known if known else None)


def _rule(name: AnyRule, found: Sequence[Reviewed], time_zone: str) -> RuleReview:
    alerts = [item.alert for item in found]
    verdicts = Counter(item.verdict for item in found if item.verdict is not None)
    judged = sum(count for verdict, count in verdicts.items() if verdict is not Verdict.MISSED)
    ended = [alert for alert in alerts if alert.resolved_at is not None]
    acked = [alert for alert in alerts if alert.acknowledged_at is not None]
    quick = [a for a in ended if a.acknowledged_at is None and _seconds(a.fired_at, a.resolved_at) < QUICK_S]
    pages = [alert for alert in alerts if alert.severity is Severity.PAGE]
    return RuleReview(
        rule=name,
        alerts=len(alerts),
        notices=sum(item.notices for item in found),
        verdicts=dict(verdicts),
        unreviewed=sum(item.verdict is None for item in found),
        precision=verdicts[Verdict.ACTIONABLE] / judged if judged else None,
        noise=(verdicts[Verdict.NOISE] + verdicts[Verdict.DUPLICATE]) / judged if judged else None,
        quick=len(quick),
        flapping=sum(item.flapping for item in found),
        detect=times(_seconds(a.started_at, a.fired_at) for a in alerts),
        acknowledge=times((_seconds(a.fired_at, a.acknowledged_at) for a in acked), len(alerts) - len(acked)),
        resolve=times((_seconds(a.started_at, a.resolved_at) for a in ended), len(alerts) - len(ended)),
        night_pages=sum(is_night(alert.fired_at, time_zone) for alert in pages),
    )


def _seconds(start: datetime, end: datetime | None) -> float:
    return (end - start).total_seconds() if end is not None else 0.0


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was, or would have been, sent."""

    at: datetime
    rule: AnyRule
    service: str
    component: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Backtest:
    """Two policies on the same recorded looks."""

    before: tuple[Page, ...]
    after: tuple[Page, ...]
    kept: tuple[tuple[Page, Page], ...]
    """The same trouble under both policies, old page and new."""
    gone: tuple[Page, ...]
    """Sent before, not sent any more."""
    new: tuple[Page, ...]
    looks: int

    @property
    def delayed(self) -> tuple[tuple[Page, Page], ...]:
        """Kept pages that would have come later."""
        return tuple(pair for pair in self.kept if pair[1].at > pair[0].at)

    @property
    def earlier(self) -> tuple[tuple[Page, Page], ...]:
        """Kept pages that would have come sooner."""
        return tuple(pair for pair in self.kept if pair[1].at < pair[0].at)

    def delay_s(self) -> Times:
        """Return how much later the kept pages would have come (negative: sooner)."""
        return times((new.at - old.at).total_seconds() for old, new in self.kept)


@dataclass
class _Open:
    """Pages of the changed policy that no page of the present one has claimed yet."""

    left: list[Page] = field(default_factory=list)

    def claim(self, page: Page, slack: timedelta) -> Page | None:
        for candidate in self.left:
            same = (candidate.rule, candidate.component) == (page.rule, page.component)
            if same and abs(candidate.started_at - page.started_at) <= slack:
                self.left.remove(candidate)
                return candidate
        return None


def backtest(
    catalogue: Catalogue,
    results: Sequence[Result],
    change: Mapping[str, Policy],
    *,
    slack_s: float = 1800.0,
) -> Backtest:
    """Fold the recorded looks once as they were judged and once with other policies, and compare the pages.

    ``change`` maps probe ids to their policy to try. Pages about the same component whose trouble began within
    ``slack_s`` of each other are the same page.
    """
    tried = with_policies(catalogue, change)
    before, after = (
        pages(run(catalogue, results, latencies=False, budgets=True)),
        pages(run(tried, results, latencies=False, budgets=True)),
    )
    return compared(before, after, len(results), slack_s=slack_s)


def with_policies(catalogue: Catalogue, change: Mapping[str, Policy]) -> Catalogue:
    """Return the catalogue with other policies for some probes, by id."""
    probes = (replace(probe, policy=change.get(probe.id, probe.policy)) for probe in catalogue.probes)
    return replace(catalogue, probes=tuple(probes))


def compared(before: tuple[Page, ...], after: tuple[Page, ...], looks: int, *, slack_s: float = 1800.0) -> Backtest:
    """Say which pages of two policies on the same looks are the same; see :func:`backtest`."""
    rest, kept, gone = _Open(list(after)), [], []
    for page in before:
        match = rest.claim(page, timedelta(seconds=slack_s))
        if match is None:
            gone.append(page)
        else:
            kept.append((page, match))
    return Backtest(before, after, tuple(kept), tuple(gone), tuple(rest.left), looks)


def pages(judge: Judge) -> tuple[Page, ...]:
    """Return the pages of a replay, repeats left out, oldest first."""
    known = {alert.id: alert for alert in judge.fired}
    firsts: dict[str, Page] = {}
    for decision in judge.decisions:
        alert = known[decision.alert]
        if decision.why in (Why.FIRST, Why.SILENCE_OVER, Why.ESCALATED, Why.WORSE) and alert.severity is Severity.PAGE:
            firsts.setdefault(alert.id, Page(decision.at, alert.rule, alert.service, alert.component, alert.started_at))
    return tuple(firsts.values())
