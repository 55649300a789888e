"""The reading of an engine's own addresses while a question is under way: two moments at most, no question more.

It reads at once, so that the counters are those from before our question was served, and again when three quarters of
the time are over, because after the deadline nothing can be read. A question that ends before that is followed by a
reading only when it failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from monitor.clock import monotonic
from monitor.core.model.observations import Evidence, Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes.answers import parse_json
from monitor.probes.base import Context, from_wire, same_origin, shown_url
from monitor.probes.chat.answer.reply import table, word
from monitor.probes.chat.engine.counters import MOST_BYTES, Counters, read_instead, read_metrics
from monitor.probes.chat.engine.names import ENGINES
from monitor.probes.chat.engine.states import REFUSED, SILENT, Engine, Reading, judge
from monitor.probes.chat.options import Options, secret_headers
from monitor.wire import Answer, WireError

LONGEST_S = 3.0
"""Of one reading."""
_NO_ANSWER = frozenset({Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_TOTAL})
_EVIDENCE_BYTES = 900


async def beside(options: Options, ctx: Context, look: Callable[[], Awaitable[Observation]]) -> Observation:
    """Look, and read the engine's counters meanwhile if the options name an engine."""
    if options.engine is None:
        return await look()
    watch = _Watch(options, ctx)
    reading = asyncio.create_task(watch.go())
    try:
        seen = await look()
    except WireError as error:
        seen = from_wire(error)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    if seen.outcome is Outcome.FAILED:
        await watch.afterwards(seen.reason)
    return watch.told(seen)


class _Watch:
    """The readings of one look."""

    def __init__(self, options: Options, ctx: Context) -> None:
        self.options, self.ctx = options, ctx
        self.engine = ENGINES[options.engine or ""]
        self.readings: list[Reading] = []
        self.limit_s = min(LONGEST_S, ctx.timeout_s / 6)

    async def go(self) -> None:
        """Read now, and once more before the time is over."""
        await self.read(health=not self.engine.health_asks)
        await asyncio.sleep(max(0.0, self.ctx.remaining_s() - self.ctx.timeout_s / 4))
        await self.read(health=not self.engine.health_asks)

    async def afterwards(self, reason: Reason) -> None:
        """Read after a failure, late enough to tell standing still from working, if there is time."""
        left_s = self.ctx.remaining_s() - self.limit_s
        if reason not in SILENT | REFUSED or left_s < 0:
            return
        if reason in SILENT and self.readings:
            still_s = self.options.engine_hung_s - (monotonic() - self.readings[0].at_s)
            await asyncio.sleep(min(max(still_s, 0.0), left_s))
        # A server that refuses at once says so of itself as well, before its model is asked for the token.
        await self.read(health=not self.engine.health_asks or reason in REFUSED)

    async def read(self, *, health: bool) -> None:
        """Take one reading; what could not be read is missing from it."""
        alive, counted = await asyncio.gather(self.health() if health else _unread(), self.counters())
        self.readings.append(
            replace(counted, health=alive.health, loading=alive.loading, mute=alive.mute, dead=alive.dead)
        )

    async def health(self) -> Reading:
        try:
            answer = await self.get("/health")
        except WireError as error:
            return Reading(mute=error.reason in _NO_ANSWER)
        own = answer.status == 503 and not answer.body.strip()
        loads = (own and self.engine.health_asks) or (answer.status == 503 and _says_loading(answer))
        return Reading(health=answer.status, loading=loads, dead=own and self.engine.tells_death)

    async def counters(self) -> Reading:
        at_s, of_loop, found = monotonic(), self.engine.loop_tells, Counters()
        try:
            answer = await self.get("/metrics")
            found = read_metrics(self.engine, answer.body) if answer.status == 200 else found
            if not found.is_known and self.engine.instead:
                of_loop = True
                answer = await self.get(self.engine.instead)
                found = read_instead(self.engine, answer.body) if answer.status == 200 else found
        except WireError as error:
            return Reading(at_s, loop_mute=of_loop and error.reason in _NO_ANSWER)
        return Reading(at_s, counters=found)

    async def get(self, path: str) -> Answer:
        limit_s = min(self.limit_s, self.ctx.remaining_s())
        url = self.options.engine_address()
        keys = secret_headers(self.options) if same_origin(url, self.options.base_url) else {}
        limits = self.ctx.limits(deadline_s=limit_s, connect_s=limit_s, body_bytes=MOST_BYTES, wire_bytes=MOST_BYTES)
        return await self.ctx.wire.fetch(
            "GET", url + path, headers=self.options.headers, secret_headers=keys, limits=limits
        )

    def told(self, seen: Observation) -> Observation:
        """Return the look with what the engine says of itself."""
        readings = self.readings or [Reading()]
        engine = Engine(readings[0], readings[-1], self.options.engine_hung_s)
        reason, message = judge(seen.reason, engine)
        if not message:
            return seen
        shown = self.evidence(seen.evidence, engine)
        return replace(seen, reason=reason, detail="; ".join(filter(None, (message, seen.detail))), evidence=shown)

    def evidence(self, before: Evidence | None, engine: Engine) -> Evidence | None:
        """Put the counters in front of what was kept of the answer."""
        lines = engine.last.counters.lines
        if engine.last.health is not None:
            lines = (f"/health {engine.last.health}", *lines)
        if not lines:
            return before
        kept = before or Evidence(shown_url(self.options.engine_address()))
        said = "\n".join(lines)[:_EVIDENCE_BYTES]
        return replace(kept, excerpt=f"{said}\n\n{kept.excerpt}".strip())


async def _unread() -> Reading:
    return Reading()


def _says_loading(answer: Answer) -> bool:
    """llama.cpp: ``{"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}``."""
    try:
        told = table(parse_json(answer.body))
    except ValueError:
        return False
    words = f"{word(table(told.get('error')).get('message'))} {word(told.get('status'))}".lower()
    return "loading model" in words
