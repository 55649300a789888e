"""Results into the database: judged in their order, and what cannot be judged is held in quarantine and tried again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine

from monitor import clock, flow
from monitor.config.settled import Settled
from monitor.core.catalogue import service_of
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.flow.record import Recorded
from monitor.logs import Event, Room
from monitor.recorder import quarantine
from monitor.recorder.metrics import Counters, Seen
from monitor.recorder.quarantine import ERROR_CHARS, Quarantine, Request
from monitor.store.connection.engine import is_away
from monitor.store.leases import Claim
from monitor.text.cleaner import plain
from monitor.text.redaction import redact

log = Room("recorder")

LATE = timedelta(minutes=5)
"""What is older when it is stored belongs to the past: it is judged, and nobody is paged for it."""
FIRST_RETRY_S = 120.0
LONGEST_RETRY_S = 3600.0
NAMED = 5
"""So many held services, or probes, are named in the alert."""
LEFT_OUT_S = 3600.0
"""The alert about looks that were left out ends when none was for so long: one alert, however many come."""


class Judging:
    """Takes results of one worker, in one thread."""

    def __init__(
        self, engine: Engine, held: Quarantine, seen: Seen, counters: Counters, claim: Callable[[], Claim | None]
    ) -> None:
        self._engine = engine
        self.quarantine = held
        self._seen = seen
        self._counters = counters
        self._claim = claim
        self._secrets: tuple[str, ...] = ()
        self._service_of: dict[str, str] = {}
        self._due_s: dict[str, float] = {}
        """Held service → when it is tried again, on the clock that never steps; at the start all at once."""
        self._pauses_s: dict[str, float] = {}
        self._given_up = 0
        self._left_out = Counter[str]()
        self._left_out_s = -math.inf
        self._tell()

    def apply(self, config: Settled) -> None:
        """Take a configuration: which service a probe speaks for, and which secrets no text may hold."""
        self._secrets = config.secrets
        of_component = {component.id: component.service for component in config.catalogue.components}
        self._service_of = {
            probe.id: of_component.get(probe.component, service_of(probe.component))
            for probe in config.catalogue.probes
        }

    def holds(self, probe: str) -> bool:
        """Say whether looks of a probe wait in quarantine."""
        return self._service_of.get(probe, "") in self.quarantine.held

    def without_held(self, missed: Sequence[Result]) -> list[Result]:
        """Leave out the ticks that were looked at: the database does not know of looks that were not judged."""
        return [result for result in missed if not self.quarantine.knows(result.run)]

    def take(self, results: Sequence[Result]) -> None:
        """Judge and store; raises what ``AWAY`` lists, and ``OSError`` when quarantine cannot take what it must."""
        if results:
            # This order survives kill -9 in between: the others are stored twice, which is harmless (D3).
            held = [result for result in results if self.holds(result.run.probe)]
            # A worker that starts, or whose database was put back, brings again what it had taken before.
            first = {result.run for result in held if self.quarantine.precedes(result.run)}
            waiting = [one for one in held if one.run not in first and not self.quarantine.has(one.run)]
            self._record([one for one in results if one.run in first or not self.holds(one.run.probe)])
            for service, some in self._by_service(waiting).items():
                self.quarantine.hold(service, some, "", clock.now())
            self._tell()
        self._seen.stored_at = clock.now()

    def due(self, now_s: float) -> dict[str, Request]:
        """Return the held services to be tried now, because a person asks for it or because it is time."""
        found = {name: Request.RETRY for name in self.quarantine.held if self._due_s.get(name, now_s) <= now_s}
        return found | self.quarantine.requests()

    def retry(self, service: str, request: Request) -> Iterator[None]:
        """Try a held service again, a batch a step; raises what ``AWAY`` lists."""
        drop, looks = request is Request.DROP, self.quarantine.held[service].looks
        yield from quarantine.retry(self.quarantine, service, self._judge_held, clock.now, drop=drop)
        known = self.quarantine.held.get(service)
        if known is None:
            done = "dropped from quarantine" if drop else "judged; none left in quarantine"
            log.info(Event.QUARANTINE_RELEASED, "%d looks of %s %s", looks, service, done, service=service, count=looks)
            self._due_s.pop(service, None)
            self._pauses_s.pop(service, None)
        else:
            pause_s = self._pauses_s.get(service, FIRST_RETRY_S)
            text = "Looks of %s still cannot be judged; next try in %.0f s: %s"
            log.error(Event.QUARANTINE_HELD, text, service, pause_s, known.error, service=service, count=looks)
            self._due_s[service] = clock.monotonic() + pause_s
            self._pauses_s[service] = min(2 * pause_s, LONGEST_RETRY_S)
        self.quarantine.answer(service)
        self._tell()

    def alert(self) -> str:
        """Say for the operator's alert what is held or was left out, and what to do; empty while nothing is."""
        return "; ".join(text for text in (self._said_of_held(), self._said_of_left_out()) if text)

    def leave_out(self, counts: Mapping[str, int]) -> None:
        """Tell of looks that cannot be true, or be read, by probe (or location, where the probe is not known)."""
        for name, count in counts.items():
            text = "Left out %d looks of %s: impossible time or number, or unreadable"
            log.error(Event.RESULT_IMPOSSIBLE, text, count, name, probe=name, count=count)
        self._counters.dropped.inc(sum(counts.values()))
        self._left_out.update(counts)
        self._left_out_s = clock.monotonic()

    def _said_of_left_out(self) -> str:
        if clock.monotonic() - self._left_out_s >= LEFT_OUT_S:
            self._left_out.clear()
        if not self._left_out:
            return ""
        names = ", ".join(sorted(self._left_out)[:NAMED]) + (", …" if len(self._left_out) > NAMED else "")
        return coded(MessageCode.LOOKS_LEFT_OUT, n=self._left_out.total(), names=names)

    def _said_of_held(self) -> str:
        held = sorted(self.quarantine.held.values(), key=lambda item: item.since)
        if not held:
            return ""
        names = ", ".join(item.service for item in held[:NAMED])
        since, error, left = f"{held[0].since:%Y-%m-%d %H:%M}", held[0].error, len(held) - NAMED
        if left > 0:
            return coded(MessageCode.CANNOT_BE_JUDGED_MORE, names=names, n=left, since=since, error=error)
        return coded(MessageCode.CANNOT_BE_JUDGED, names=names, since=since, error=error)

    def _judge_held(self, results: Sequence[Result]) -> str:
        """Judge results of one held service; returns why it cannot be done, empty if it was."""
        for done in self._recorded(results):
            for unjudged in done.unjudged.values():
                return self._clean(unjudged.error)
        return ""

    def _record(self, results: Sequence[Result]) -> None:
        for done in self._recorded(results):
            for service, unjudged in done.unjudged.items():
                self._hold(service, unjudged.results, unjudged.error)

    def _recorded(self, results: Sequence[Result]) -> Iterator[Recorded]:
        """Record what is late without paging anyone, then the rest."""
        now, claim = clock.now(), self._claim()
        old = [result for result in results if now - result.started_at > LATE]
        new = [result for result in results if now - result.started_at <= LATE]
        for part, backfill in ((old, True), (new, False)):
            if part:
                for done in self._attempt(part, now, backfill, claim):
                    self._count(done)
                    yield done

    def _attempt(
        self, results: Sequence[Result], now: datetime, backfill: bool, claim: Claim | None
    ) -> Iterator[Recorded]:
        """Record; should that fail for another reason than the database's absence, record service by service."""
        try:
            yield flow.record(self._engine, results, now, backfill=backfill, claim=claim)
        except Exception as error:
            if is_away(error):
                raise
            log.exception(Event.JUDGEMENT_FAILED, "Recording %d results failed", len(results))
            services = self._by_service(results)
            if len(services) > 1:
                for some in services.values():
                    yield from self._attempt(some, now, backfill, claim)
            else:
                words = f"{type(error).__name__}: {error}"
                yield Recorded(unjudged={name: flow.Unjudged(tuple(some), words) for name, some in services.items()})

    def _count(self, done: Recorded) -> None:
        if done.skipped:
            self._counters.missed.labels(str(Reason.NOT_RUNNING)).inc(done.skipped)
        if done.left_out:
            self.leave_out(done.left_out)
        if done.fenced:
            self._counters.fenced.inc(done.fenced)
            text = "Fenced off %d late results of probes that another worker took over"
            log.info(Event.RESULTS_FENCED, text, done.fenced, count=done.fenced)
        for name in sorted(done.rewound):
            text = "Watermark of %s was in the future and is reset: the clock was set back"
            log.warning(Event.WATERMARK_REWOUND, text, name, probe=name)

    def _hold(self, service: str, results: Sequence[Result], error: str) -> None:
        self._counters.failures.labels("record").inc()
        words = self._clean(error)
        text, held = "%d looks of %s cannot be judged; held in quarantine: %s", len(results)
        log.error(Event.QUARANTINE_HELD, text, held, service, words, service=service, count=held)
        self.quarantine.hold(service, results, words, clock.now())
        self._due_s[service] = clock.monotonic() + FIRST_RETRY_S
        self._pauses_s[service] = 2 * FIRST_RETRY_S

    def _clean(self, error: str) -> str:
        return plain(redact(error or "no reason was given", self._secrets), ERROR_CHARS)

    def _by_service(self, results: Sequence[Result]) -> Mapping[str, list[Result]]:
        found: dict[str, list[Result]] = {}
        for result in results:
            found.setdefault(self._service_of.get(result.run.probe, "unknown"), []).append(result)
        return found

    def _tell(self) -> None:
        """Bring the metrics up to date."""
        self._seen.held_services, self._seen.held_looks = len(self.quarantine.held), self.quarantine.looks
        given_up = self.quarantine.dropped - self._given_up
        if given_up:
            self._counters.held_given_up.inc(given_up)
            log.error(Event.QUARANTINE_FULL, "Quarantine full; dropped %d looks", given_up, count=given_up)
            self._given_up = self.quarantine.dropped
