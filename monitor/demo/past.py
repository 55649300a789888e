"""Ninety days that might have been: the looks that a monitor would have taken at the simulated services.

One real look of each probe at the healthy vendor is the pattern; the past repeats it with other times, and with the
troubles of :data:`EPISODES`. It goes through the same rules as the present. Same seed and clock, same past.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from typing import NamedTuple

from monitor.core.catalogue import Probe, service_of
from monitor.core.checks import pace
from monitor.core.model.observations import Evidence, Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamUpdate
from monitor.core.schedule import slot, ticks_between
from monitor.simulator.state import Sign

FINE_S = 300
"""Ticks of a probe's grid near an episode of its service, in seconds."""
COARSE = 9
"""Elsewhere only every so many ticks are looked at."""
BEFORE, AFTER = timedelta(minutes=30), timedelta(hours=1)
"""How far around an episode the ticks are fine."""
CLOSE_BATCH, FAR_BATCH = timedelta(seconds=FINE_S), timedelta(hours=12)
LAG = timedelta(seconds=20)
"""From the newest look of a batch until it is recorded."""


class Episode(NamedTuple):
    """One trouble of the past. ``who`` is a service, a component or a probe; empty is every probe."""

    who: str
    days_ago: float
    hours: float
    reason: Reason = Reason.OK
    status: int | None = None
    detail: str = ""
    share: float = 1.0
    slower: float = 1.0
    """Factor on all times while it lasts."""
    sign: Sign | None = None
    told_after_h: float | None = None
    """When the vendor's page speaks of it, hours after the start."""
    told: str = ""

    def covers(self, probe: Probe, at: datetime, now: datetime) -> bool:
        """Say whether it touches the probe at that time."""
        return self.concerns(probe) and self.start(now) <= at < self.end(now)

    def concerns(self, probe: Probe) -> bool:
        """Say whether it is about the probe at all."""
        return not self.who or self.who in (probe.id, probe.component, service_of(probe.component))

    def start(self, now: datetime) -> datetime:
        """When it began."""
        return now - timedelta(days=self.days_ago)

    def end(self, now: datetime) -> datetime:
        """When it was over."""
        return self.start(now) + timedelta(hours=self.hours)


BUSY = "503 from the chat endpoint: the service is too busy"
EPISODES = (
    Episode("deepseek/api", 77.3, 0.75, Reason.OVERLOADED, 503, BUSY, told_after_h=0.5, told="API errors"),
    Episode("deepseek/web", 58.6, 0.4, Reason.STATUS, 502, "502 from the web app"),
    Episode("deepseek/registration", 41.2, 5.0, sign=Sign.BUSY),
    Episode("deepseek/api", 33.1, 3.0, Reason.SLOW, 200, "first token far over its objective", slower=5.0),
    Episode("deepseek/login", 20.4, 0.6, Reason.SERVER_ERROR, 500, "500 from the sign-in endpoint"),
    Episode("deepseek/api", 9.7, 1.2, Reason.OVERLOADED, 503, BUSY, 0.5, told_after_h=0.8, told="Elevated API errors"),
    Episode("deepseek/web", 9.7, 0.7, Reason.STATUS, 503, "503 from the web app"),
    Episode(
        "chatgpt/api",
        66.8,
        1.6,
        Reason.SERVER_ERROR,
        500,
        "500 from the chat endpoint",
        told_after_h=0.3,
        told="Errors",
    ),
    Episode("chatgpt/web", 66.8, 1.2, Reason.STATUS, 502, "502 from the web app"),
    Episode("chatgpt/api", 27.5, 2.0, Reason.SLOW, 200, "first token far over its objective", slower=4.0),
    Episode("chatgpt/login", 14.9, 0.5, Reason.TIMEOUT_HEADERS, None, "no answer from the sign-in endpoint"),
    Episode(
        "claude/api", 49.3, 0.9, Reason.OVERLOADED, 529, "529 overloaded", told_after_h=0.2, told="Elevated errors"
    ),
    Episode("claude/api", 12.2, 0.5, Reason.OVERLOADED, 529, "529 overloaded"),
    Episode("claude/web", 30.2, 0.9, Reason.STATUS, 503, "503 from the web app"),
    # Grey: no looks, or the fault was ours
    Episode("", 44.5, 2.5, Reason.NOT_RUNNING, None, "the worker was not running"),
    Episode("claude-api-chat", 16.8, 4.0, Reason.AUTH, 401, "our key was refused: it had expired"),
    Episode("", 23.6, 2.0, Reason.NETWORK, None, "our own network was down"),
)


class Planned(NamedTuple):
    """Maintenance that was announced."""

    service: str
    components: tuple[str, ...]
    days_ago: float
    hours: float
    title: str
    text: str


PLANNED = (
    Planned(
        "claude", ("claude/web",), 30.22, 1.5, "Database maintenance", "The web app may be away for a few minutes."
    ),
    Planned("chatgpt", ("chatgpt/api",), 53.1, 1.5, "Network maintenance", "Some requests may take longer."),
)
PACE = {"deepseek": 1.0, "chatgpt": 0.75, "claude": 0.9}
"""How fast each service is on an ordinary day, as a factor on its times."""


class Batch(NamedTuple):
    """Results that are recorded together, and the time at which that is."""

    now: datetime
    results: tuple[Result, ...]
    close: bool
    """True near an episode, where time must also pass between the batches."""


@dataclass(frozen=True)
class Past:
    """The past of the given probes up to ``now``, learnt from one good look of each."""

    probes: Sequence[Probe]
    patterns: Mapping[str, Observation]
    """Probe id → what it saw of the healthy service."""
    signs: Mapping[tuple[str, Sign], Observation]
    """(Probe id, registration) → what it saw while registration was like that."""
    now: datetime
    seed: int = 2025

    def batches(self, days: int) -> Iterator[Batch]:
        """Yield all looks of so many days, oldest first: a day at a time, but tick by tick near an episode."""
        pending: list[Result] = []
        begun, near = self.now, False
        for close, result in heapq.merge(*(self._results(probe, days) for probe in self.probes), key=_order):
            limit = CLOSE_BATCH if near else FAR_BATCH
            if pending and (result.run.tick - begun >= limit or close != near):
                yield Batch(_recorded_at(pending), tuple(pending), near)
                pending = []
            if not pending:
                begun, near = result.run.tick, close
            pending.append(result)
        if pending:
            yield Batch(_recorded_at(pending), tuple(pending), close=True)

    @cached_property
    def _spans(self) -> list[tuple[datetime, datetime, Episode]]:
        """Episodes with their surroundings."""
        return [(e.start(self.now) - BEFORE, e.end(self.now) + AFTER, e) for e in EPISODES]

    def _results(self, probe: Probe, days: int) -> Iterator[tuple[bool, Result]]:
        """Yield the looks of one probe in their order, each with whether any episode is near."""
        dice = random.Random(f"{self.seed}/{probe.id}")  # noqa: S311 - repeatable dice, nothing secret
        ticks = ticks_between(FINE_S, slot(probe.id, FINE_S), self.now - timedelta(days=days), self.now)
        paces: dict[str, pace.Pace] = {}
        for number, tick in enumerate(ticks):
            near = [episode for begin, end, episode in self._spans if begin <= tick < end]
            if number % COARSE == 0 or any(_same_service(episode, probe) for episode in near):
                for result in self._looks(probe, tick, dice, near, paces):
                    yield bool(near), result

    def _looks(
        self, probe: Probe, tick: datetime, dice: random.Random, near: list[Episode], paces: dict[str, pace.Pace]
    ) -> Iterator[Result]:
        """Yield the looks of a tick, early ones as a prober would make them: without those no outage ends in time."""
        for location in probe.locations:
            known, after_s = paces.get(location, pace.START), 0.0
            for attempt in count(1):
                seen = self._see(probe, tick + timedelta(seconds=after_s), dice, near)
                yield (result := self._result(RunId(probe.id, location, tick, attempt), after_s, seen, dice))
                known, pause_s = pace.after(known, probe, result, after_s + result.duration_s)
                if pause_s is None:
                    break
                after_s += result.duration_s + pause_s
            paces[location] = known

    def _result(self, run: RunId, after_s: float, seen: Observation, dice: random.Random) -> Result:
        started = run.tick + timedelta(seconds=after_s, milliseconds=dice.randint(1, 40))
        phases, chat = seen.phases, seen.chat
        spans = (phases.dns_s, phases.connect_s, phases.tls_s, phases.wait_s, phases.transfer_s) if phases else ()
        took = sum(span or 0.0 for span in spans) + ((chat.last_token_s or 0.0) if chat else 0.0)
        return Result(run, started, round(took, 6), seen)

    def _see(self, probe: Probe, at: datetime, dice: random.Random, near: list[Episode]) -> Observation:
        pattern = self.patterns[probe.id]
        slower = PACE.get(service_of(probe.component), 1.0) * _daily(at) * math.exp(dice.gauss(0.0, 0.22))
        if probe.witness:
            return _paced(self._told(probe, pattern, at), slower)
        for episode in near:
            if not episode.covers(probe, at, self.now) or dice.random() >= episode.share:
                continue
            if episode.sign is not None:
                return _paced(self.signs.get((probe.id, episode.sign), pattern), slower)
            if episode.reason is Reason.SLOW and pattern.chat is None:
                continue
            return _struck(_paced(pattern, slower * episode.slower), episode, probe)
        return _paced(pattern, slower)

    def _told(self, probe: Probe, pattern: Observation, at: datetime) -> Observation:
        """Return what the vendor's own page said at that time."""
        if self._grey(probe, at) is not None:
            return self._grey(probe, at) or pattern
        service = service_of(probe.component)
        told = [e for e in EPISODES if e.told_after_h is not None and service_of(e.who) == service]
        incidents = [said for e in told if (said := _upstream_incident(e, self.now, at)) is not None]
        if pattern.upstream is None or not incidents:
            return pattern
        is_open = any(said.resolved_at is None for said in incidents)
        indicator = Health.PARTIAL if is_open else Health.OPERATIONAL
        return replace(pattern, upstream=replace(pattern.upstream, indicator=indicator, incidents=tuple(incidents)))

    def _grey(self, probe: Probe, at: datetime) -> Observation | None:
        found = next((e for e in EPISODES if not e.who and e.covers(probe, at, self.now)), None)
        return Observation(found.reason, found.detail) if found else None


def _recorded_at(looks: Sequence[Result]) -> datetime:
    return max(look.started_at for look in looks) + LAG


def _order(item: tuple[bool, Result]) -> tuple[datetime, int]:
    return item[1].run.tick, item[1].run.attempt


def _same_service(episode: Episode, probe: Probe) -> bool:
    service = service_of(probe.component)
    return not episode.who or episode.who == service or episode.who.startswith((service + "/", service + "-"))


def _daily(at: datetime) -> float:
    """Load over the day (most at 14:00 UTC) and over the weeks, as a factor on times."""
    hours = at.hour + at.minute / 60
    weeks = at.timestamp() / (21 * 86_400)
    return 1.0 + 0.25 * math.cos((hours - 14) / 24 * 2 * math.pi) + 0.12 * math.sin(weeks * 2 * math.pi)


def _paced(seen: Observation, slower: float) -> Observation:
    """Return the observation with its service's share of the times multiplied."""

    def times(value: float | None) -> float | None:
        return None if value is None else round(value * slower, 6)

    phases, chat = seen.phases, seen.chat
    if phases is not None:
        phases = replace(phases, wait_s=times(phases.wait_s), transfer_s=times(phases.transfer_s), loop_lag_s=0.0)
    if chat is not None:
        chat = replace(
            chat,
            ttft_s=times(chat.ttft_s),
            first_answer_s=times(chat.first_answer_s),
            last_token_s=times(chat.last_token_s),
            longest_gap_s=times(chat.longest_gap_s),
            itl_p50_s=times(chat.itl_p50_s),
            tpot_s=times(chat.tpot_s),
            tokens_per_s=None if chat.tokens_per_s is None else round(chat.tokens_per_s / slower, 3),
        )
    return replace(seen, phases=phases, chat=chat)


def _struck(seen: Observation, episode: Episode, probe: Probe) -> Observation:
    """Return what the episode made of the look."""
    if episode.reason is Reason.SLOW:
        return replace(seen, reason=Reason.SLOW, detail=episode.detail)
    if episode.reason.outcome.is_evidence:
        evidence = Evidence(url=f"http://{probe.target}/", excerpt=episode.detail)
        return Observation(
            episode.reason, episode.detail, http_status=episode.status, phases=seen.phases, evidence=evidence
        )
    phases = seen.phases if episode.status else None
    return Observation(episode.reason, episode.detail, http_status=episode.status, phases=phases)


def _upstream_incident(episode: Episode, now: datetime, at: datetime) -> UpstreamIncident | None:
    """Return the vendor's incident as its page showed it at that time, a day long after its end."""
    assert episode.told_after_h is not None
    begin = episode.start(now) + timedelta(hours=episode.told_after_h)
    end = episode.end(now) + timedelta(minutes=25)
    if not begin <= at < end + timedelta(days=1):
        return None
    updates = [UpstreamUpdate(begin, IncidentStatus.INVESTIGATING, "We are investigating elevated errors.")]
    if at >= end:
        updates.append(UpstreamUpdate(end, IncidentStatus.RESOLVED, "This incident has been resolved."))
    return UpstreamIncident(
        id=f"past-{episode.who.replace('/', '-')}-{episode.days_ago:g}",
        name=episode.told,
        status=updates[-1].status,
        impact=Impact.MAJOR,
        started_at=begin,
        updated_at=updates[-1].at,
        resolved_at=end if at >= end else None,
        updates=tuple(updates),
    )
