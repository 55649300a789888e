"""The prober's side of the link: results wait here until the recorder has acknowledged them."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from monitor import clock
from monitor.core.codec import CodecError, dumps_result
from monitor.core.model import Outcome, Result
from monitor.link import LinkError, pack, receive

log = logging.getLogger("chatwatch.prober")

BATCH_RESULTS = 500
BATCH_EVERY_S = 4.0
"""What is no news waits this long, so that one transaction takes many; less where probes look more often."""
NEWS_LOOKS = 20
"""So many looks after a probe's outcome changed go at once: whatever confirms a failure or a recovery is among them."""
URGENT_EVERY_S = 0.1
BATCHES_IN_FLIGHT = 8
MOST_WAITING = 20_000
"""Results kept for a recorder that does not answer; beyond this the oldest are dropped and counted."""


class Handover:
    """Sends batches in order and forgets one only when it was acknowledged."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: deque[bytes] = deque()
        self._sent: OrderedDict[int, int] = OrderedDict()
        self._batch = 0
        self._heard_s = clock.monotonic()
        self._acknowledged = asyncio.Event()
        self._urgent = asyncio.Event()
        self.batch_every_s = BATCH_EVERY_S
        self.dropped = 0
        self.on_beat: Callable[[Mapping[str, Any]], None] | None = None
        """Takes a job's report that the recorder received."""
        self.on_own: Callable[[Mapping[str, Any]], None] | None = None
        """Takes which probes are ours, and since when."""
        self.on_carried: Callable[[Mapping[str, Any]], None] | None = None
        """Takes what probes remember that another worker looked at before."""
        self.news: Callable[[], Mapping[str, Any]] = dict
        """Gives what probes remember since it was asked last."""
        self.ending = False
        """True once nothing more will come of any probe."""
        self.shared = False
        """True once we were told."""
        self._left: list[str] = []
        self._course: dict[str, tuple[Outcome, int]] = {}
        """Probe → how its last look ended, and how many in a row did before it."""

    def put(self, result: Result) -> None:
        """Take a result; never blocks."""
        try:
            line = dumps_result(result)
        except CodecError:
            log.exception("a result of %s cannot be written", result.run.probe)
            self.dropped += 1
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(line)
        if self._is_news(result) or len(self._waiting) >= BATCH_RESULTS:
            self._urgent.set()

    def _is_news(self, result: Result) -> bool:
        """Say whether a look may change a verdict; a good first look, or one more of a long row, may not."""
        before, row = self._course.get(result.run.probe, (Outcome.OK, NEWS_LOOKS))
        row = row + 1 if result.outcome is before else 0
        self._course[result.run.probe] = (result.outcome, row)
        return row < NEWS_LOOKS

    def leave(self, name: str) -> None:
        """Tell the recorder, behind all results so far, that nothing more will come of a probe."""
        self._left.append(name)
        self._urgent.set()

    @property
    def pending(self) -> int:
        """Results that were not acknowledged yet."""
        return len(self._waiting) + sum(self._sent.values())

    @property
    def silent_s(self) -> float:
        """How long the recorder has owed us an answer; 0 when it owes none."""
        return clock.monotonic() - self._heard_s if self._sent else 0.0

    async def send(self) -> None:
        """Send batches until cancelled."""
        while True:
            await asyncio.sleep(URGENT_EVERY_S)
            # Not wait_for: before Python 3.12 it forgets a cancellation that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(self.batch_every_s - URGENT_EVERY_S):
                    await self._urgent.wait()
            self._urgent.clear()
            while (self._waiting or self._left) and len(self._sent) < BATCHES_IN_FLIGHT:
                lines = [self._waiting.popleft() for _ in range(min(BATCH_RESULTS, len(self._waiting)))]
                if not self._sent:
                    self._heard_s = clock.monotonic()
                self._batch += 1
                self._sent[self._batch] = len(lines)
                head: dict[str, Any] = {"batch": self._batch}
                if news := self.news():
                    head["memories"] = news
                if self.ending:
                    head["ending"] = True
                if self._left and not self._waiting:
                    head["left"], self._left = self._left, []
                await self._write(pack(head, lines))

    async def tell(self, head: Mapping[str, Any]) -> None:
        """Send a message without results."""
        await self._write(pack(head))

    async def _write(self, data: bytes) -> None:
        with suppress(ConnectionError):  # the listener notices that the recorder is gone
            self._writer.write(data)
            await self._writer.drain()

    async def listen(self) -> None:
        """Take acknowledgements; returns when the recorder is gone."""
        try:
            while (frame := await receive(self._reader)) is not None:
                self._heard_s = clock.monotonic()
                batch = frame.head.get("ack")
                if isinstance(batch, int):
                    self._sent.pop(batch, None)
                self._acknowledged.set()
                beat = frame.head.get("beat")
                if isinstance(beat, Mapping) and self.on_beat is not None:
                    self.on_beat(beat)
                carried = frame.head.get("carried")
                if isinstance(carried, Mapping) and self.on_carried is not None:
                    self.on_carried(carried)
                own = frame.head.get("own")
                if isinstance(own, Mapping) and self.on_own is not None:
                    self.shared = True
                    self.on_own(own)
        except LinkError as error:
            log.error("the recorder sent %s", error)

    async def flush(self, limit_s: float) -> None:
        """Wait until everything is acknowledged, at most so long."""
        self._urgent.set()
        try:
            async with asyncio.timeout(limit_s):
                while self._waiting or self._left or self._sent:
                    self._acknowledged.clear()
                    await self._acknowledged.wait()
        except TimeoutError:
            log.warning("%d results were not acknowledged", self.pending)
        self._writer.close()
