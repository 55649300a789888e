"""The prober's side of the link: results wait here until the recorder has acknowledged them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import assert_never

from monitor import clock
from monitor.core.codec import CodecError, dumps_result
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome
from monitor.logs import Event, Room
from monitor.runtime.frames import from_recorder, to_recorder
from monitor.runtime.messages import (
    Ack,
    Batch,
    Configured,
    FrameError,
    FromRecorder,
    JobReport,
    MemoryHandover,
    Own,
    ProberAlive,
    RecorderAlive,
    Refused,
    Remembered,
)

log = Room("prober")

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
        self._inbox = from_recorder(reader)
        self._writer = writer
        self._waiting: deque[bytes] = deque()
        self._sent: OrderedDict[int, int] = OrderedDict()
        self._batch = 0
        self._heard_s = clock.monotonic()
        self._acknowledged = asyncio.Event()
        self._urgent = asyncio.Event()
        self.batch_every_s = BATCH_EVERY_S
        self.dropped = 0
        self.on_report: Callable[[JobReport], None] = lambda _: None
        """Takes a job's report that the recorder received."""
        self.on_own: Callable[[Own], None] = lambda _: None
        """Takes which probes are ours, and since when."""
        self.on_memory: Callable[[MemoryHandover], None] = lambda _: None
        """Takes what a probe remembers that another worker looked at before."""
        self.news: Callable[[], Mapping[str, Remembered]] = dict
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
            text = "Result of %s cannot be encoded"
            log.exception(Event.RESULT_UNREADABLE, text, result.run.probe, probe=result.run.probe)
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
                left: tuple[str, ...] = ()
                if not self._waiting:
                    left, self._left = tuple(self._left), []
                batch = Batch(self._batch, self.news(), left, self.ending, tuple(lines))
                await self._write(to_recorder(batch))

    def settle(self, message: Configured | Refused) -> None:
        """Tell the recorder what is in force; it waits in memory while the recorder does not read."""
        self._writer.write(to_recorder(message))

    async def tell(self, alive: ProberAlive) -> None:
        """Tell the recorder that we live."""
        await self._write(to_recorder(alive))

    async def _write(self, data: bytes) -> None:
        with suppress(ConnectionError):  # the listener notices that the recorder disconnected
            self._writer.write(data)
            await self._writer.drain()

    async def listen(self) -> None:
        """Take acknowledgements; returns when the recorder is gone."""
        try:
            while (message := await self._inbox.receive()) is not None:
                self._heard_s = clock.monotonic()
                self._take(message)
        except FrameError as error:
            log.error(Event.BAD_FRAME, "Recorder sent %s", error)

    def _take(self, message: FromRecorder) -> None:
        match message:
            case Ack(number):
                self._sent.pop(number, None)
                self._acknowledged.set()
            case RecorderAlive():
                pass
            case JobReport():
                self.on_report(message)
            case MemoryHandover():
                self.on_memory(message)
            case Own():
                self.shared = True
                self.on_own(message)
            case _:
                assert_never(message)

    async def flush(self, limit_s: float) -> None:
        """Wait until everything is acknowledged, at most so long."""
        self._urgent.set()
        try:
            async with asyncio.timeout(limit_s):
                while self._waiting or self._left or self._sent:
                    self._acknowledged.clear()
                    await self._acknowledged.wait()
        except TimeoutError:
            text = "%d results not acknowledged"
            log.warning(Event.RESULTS_UNACKNOWLEDGED, text, self.pending, count=self.pending)
        self._writer.close()
