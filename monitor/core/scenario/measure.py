"""Measures what came of a drawn scenario against its truth: how soon, how falsely, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.core.catalogue import Catalogue, service_of
from monitor.core.entities import Alert, ComponentChange, Decision
from monitor.core.model.alert_rules import Audience, row
from monitor.core.model.alerting import Severity, Why
from monitor.core.model.incident_events import EventKind
from monitor.core.model.states import Health
from monitor.core.replay import Judge
from monitor.core.scenario.draw import OVER
from monitor.core.scenario.truth import RED, Episode, Piece, episodes, pieces
from monitor.core.scenario.world import World

WORKING = (Health.OPERATIONAL, Health.DEGRADED)
SAID_BEFORE_S, SAID_AFTER_S = 7200.0, 1800.0
"""How long before an outage, and after its end, the vendor's words are still about it."""
OUTAGE, BLIP, OWN_SIDE, SLOW, UNCLEAR, CHANCE = "outage", "blip", "own_side", "slow", "unclear", "chance"
"""What a notice rests on in truth; ``chance`` is bad luck of a service that worked."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one outage. Seconds; ``None`` where it never came."""

    episode: Episode
    seen_after_s: float | None
    """From its true beginning until the component was shown as failing."""
    told_after_s: float | None
    """… until a person was told."""
    start_error_s: float | None
    """Stated beginning minus the true one."""
    end_error_s: float | None
    """Stated end minus the true one; ``None`` if it was not over when the scenario ended."""
    false_recoveries: int
    """How often it was shown as working again before it did."""
    lead_s: float | None
    """By how much we were ahead of the vendor's first word; negative: behind."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One notice that reached a person."""

    at_s: float
    severity: Severity
    rule: str
    why: Why
    cause: str
    component: str
    is_false: bool

    @property
    def is_page(self) -> bool:
        """True if it wakes somebody: the good news of a resolution does not."""
        return self.severity is Severity.PAGE and self.why is not Why.RESOLVED


@dataclass(frozen=True)
class Measured:
    """One seed."""

    seed: int
    looks: int
    found: tuple[Found, ...]
    sent: tuple[Sent, ...]
    reopenings: int
    relapses: int
    minutes: Mapping[str, Mapping[Health, Mapping[Health, float]]] = field(repr=False)
    """Component → what was said → what was true → minutes."""

    @property
    def false_recoveries(self) -> int:
        """How often anything was shown as working again inside an outage."""
        return sum(item.false_recoveries for item in self.found)

    def red(self, component: str) -> tuple[float, float]:
        """Return the minutes shown as an outage, and those that were one."""
        cells = self.minutes[component]
        shown = sum(sum(cells.get(health, {}).values()) for health in RED)
        true = sum(of_truth.get(health, 0.0) for of_truth in cells.values() for health in RED)
        return shown, true


def measure(judge: Judge, world: World, start: datetime, looks: int) -> Measured:
    """Compare everything that was said until the end of a scenario with its truth."""
    catalogue = judge.catalogue
    true = {item.id: pieces(world, catalogue, item.id) for item in catalogue.components}
    all_episodes = {name: episodes(world, catalogue, name) for name in true}
    sent = tuple(_sent(judge, world, start, true, all_episodes))
    changes: dict[str, list[ComponentChange]] = {}
    for change in judge.evaluation.changes:
        changes.setdefault(change.component, []).append(change)
    shown = {name: _shown(judge, name, start, world.until_s) for name in true}
    found = tuple(
        _found(episode, changes.get(name, ()), shown[name], sent, world, start)
        for name, of_component in all_episodes.items()
        for episode in of_component
    )
    kinds = Counter(event.kind for event in judge.events)
    minutes = {name: _minutes(shown[name], true[name]) for name in true}
    return Measured(world.seed, looks, found, sent, kinds[EventKind.REOPENED], kinds[EventKind.RELAPSED], minutes)


def _shown(judge: Judge, component: str, start: datetime, until_s: float) -> list[Piece]:
    """Return what the page tells of the past of a component, once all is known."""
    spans = [(span.start, span.end, span.health) for span in judge.store.spans if span.component == component]
    now = judge.store.rows[component]
    spans.append((now.span_at, start + timedelta(seconds=until_s), now.health))
    clipped = [(max(0.0, _s(since, start)), min(until_s, _s(end, start)), health) for since, end, health in spans]
    return [Piece(since, end, health) for since, end, health in clipped if end > since]


def _s(at: datetime, start: datetime) -> float:
    return (at - start).total_seconds()


def _minutes(shown: Sequence[Piece], true: Sequence[Piece]) -> dict[Health, dict[Health, float]]:
    cells: dict[Health, dict[Health, float]] = {}
    for said in shown:
        for fact in true:
            both_s = min(said.end_s, fact.end_s) - max(said.start_s, fact.start_s)
            if both_s > 0:
                of_said = cells.setdefault(said.health, {})
                of_said[fact.health] = of_said.get(fact.health, 0.0) + both_s / 60
    return cells


def _found(
    episode: Episode,
    changes: Sequence[ComponentChange],
    shown: Sequence[Piece],
    sent: Sequence[Sent],
    world: World,
    start: datetime,
) -> Found:
    begin_s, end_s = episode.start_s, episode.end_s
    known = [(_s(change.at, start), change) for change in changes]
    before = next((change.after for at_s, change in reversed(known) if at_s < begin_s), Health.UNKNOWN)
    inside = [(at_s, change) for at_s, change in known if begin_s <= at_s < end_s]
    seen_s = begin_s if before in RED else next((at_s for at_s, change in inside if change.after in RED), None)
    recoveries = sum(change.before in RED and change.after in WORKING for _, change in inside)
    about = [one for one in sent if one.component == episode.component and one.why is not Why.RESOLVED]
    told_s = next((one.at_s for one in about if begin_s <= one.at_s < end_s and one.cause == _cause(episode)), None)
    red = [piece for piece in shown if piece.health in RED and piece.end_s > begin_s and piece.start_s < end_s]
    said = _said(episode, world)
    is_over = bool(red) and red[-1].end_s < world.until_s
    return Found(
        episode,
        _less(seen_s, begin_s),
        _less(told_s, begin_s),
        red[0].start_s - begin_s if red else None,
        red[-1].end_s - end_s if is_over else None,
        recoveries,
        min(said) - seen_s if said and seen_s is not None else None,
    )


def _said(episode: Episode, world: World) -> list[float]:
    """Return when the vendor spoke of an outage; what it called over when the outage began was about another."""
    mine = [one for one in world.statements if one.service == service_of(episode.component)]
    over = {one.incident for one in mine if one.status in OVER and one.at_s <= episode.start_s}
    return [
        one.at_s
        for one in mine
        if one.status not in OVER
        and one.incident not in over
        and (not one.components or episode.component in one.components)
        and episode.start_s - SAID_BEFORE_S <= one.at_s <= episode.end_s + SAID_AFTER_S
    ]


def _less(at_s: float | None, begin_s: float) -> float | None:
    return None if at_s is None else at_s - begin_s


def _cause(episode: Episode) -> str:
    return BLIP if episode.is_blip else OUTAGE


def _sent(
    judge: Judge,
    world: World,
    start: datetime,
    true: Mapping[str, Sequence[Piece]],
    all_episodes: Mapping[str, Sequence[Episode]],
) -> Iterator[Sent]:
    """Yield the notices that reached somebody, with what each rests on."""
    alerts = {alert.id: alert for alert in judge.fired}
    places = {location for probe in judge.catalogue.probes for location in probe.locations}
    own = [(a, b) for place in places for a, b, answer in world.own_side(place).pieces(world.until_s) if answer.fails]
    causes: dict[str, str] = {}
    for decision in judge.decisions:
        if not decision.send:
            continue
        alert = alerts[decision.alert]
        if alert.id not in causes:
            causes[alert.id] = _cause_of(alert, judge.catalogue, start, true, all_episodes, own)
        yield _as_sent(decision, alert, causes[alert.id], start)


def _as_sent(decision: Decision, alert: Alert, cause: str, start: datetime) -> Sent:
    ours = row(alert.rule).audience is Audience.OPERATOR
    is_false = cause == CHANCE or (cause in (BLIP, OWN_SIDE) and not ours)
    severity = decision.severity or alert.severity
    return Sent(_s(decision.at, start), severity, str(alert.rule), decision.why, cause, alert.component, is_false)


def _cause_of(
    alert: Alert,
    catalogue: Catalogue,
    start: datetime,
    true: Mapping[str, Sequence[Piece]],
    all_episodes: Mapping[str, Sequence[Episode]],
    own: Sequence[tuple[float, float]],
) -> str:
    """Return the worst that was true of what an alert is about, between what it began with and its firing."""
    since_s, fired_s = _s(alert.started_at, start), _s(alert.fired_at, start)
    about = [
        item.id
        for item in catalogue.components
        if alert.component in ("", item.id) and alert.service in ("", item.service)
    ]

    def within(begin_s: float, end_s: float) -> bool:
        return begin_s <= fired_s and end_s > since_s

    met = [item for name in about for item in all_episodes[name] if within(item.start_s, item.end_s)]
    if any(not item.is_blip for item in met):
        return OUTAGE
    if any(within(begin_s, end_s) for begin_s, end_s in own):
        return OWN_SIDE
    if met:
        return BLIP
    facts = {piece.health for name in about for piece in true[name] if within(piece.start_s, piece.end_s)}
    return SLOW if Health.DEGRADED in facts else UNCLEAR if Health.UNKNOWN in facts else CHANCE
