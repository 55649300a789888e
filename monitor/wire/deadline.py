"""One timer for one exchange, however many phases it has. Nothing here cancels a task."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum

from monitor import clock
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.wire.model import WireError

LATE_S = 0.005
"""A timer later than this was held up by our own loop."""
GRACE_S = 0.002
MOST_LATE_BYTES = 65536


class Step(Enum):
    """What is being waited for, and what it means when the time is up."""

    RESOLVER = Reason.NETWORK, coded(MessageCode.RESOLVERS_BUSY)
    DNS = Reason.DNS, "timed out resolving the name"
    CONNECT = Reason.TIMEOUT_CONNECT, "timed out connecting"
    HANDSHAKE_SLOT = Reason.LAGGED, coded(MessageCode.NO_HANDSHAKE_SLOT)
    TLS = Reason.TIMEOUT_TLS, "timed out in the TLS handshake"
    HEADERS = Reason.TIMEOUT_HEADERS, "timed out waiting for the response headers"
    BODY = Reason.TIMEOUT_TOTAL, "deadline reached while the body was arriving"
    MAIL = Reason.TIMEOUT_TOTAL, "deadline reached while the mail was being handed over"

    @property
    def reason(self) -> Reason:
        """The reason of a timeout in this step."""
        return self.value[0]

    @property
    def words(self) -> str:
        """The same for people."""
        return self.value[1]


class Deadline:
    """The total deadline and the limit of the step at hand. One wait at a time."""

    __slots__ = (
        "_expired",
        "_grace",
        "_late_bytes",
        "_overdue",
        "_timer",
        "_timer_at",
        "_waiter",
        "due",
        "end",
        "lag_s",
        "loop",
        "step",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, total_s: float) -> None:
        self.loop = loop
        self.end = self.due = clock.monotonic() + total_s
        self.step = Step.DNS
        self.lag_s = 0.0
        """How late our own timer was, when it fired."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._overdue: asyncio.Future[None] | None = None
        self._expired = False
        self._grace = False
        self._late_bytes = 0

    def enter(self, step: Step, limit_s: float | None = None) -> None:
        """Begin *step*, at most *limit_s* long and inside the total deadline."""
        self.step = step
        self.due = self.end if limit_s is None else min(self.end, clock.monotonic() + limit_s)
        if self._timer is not None and self.due < self._timer_at:
            self._arm()

    async def wait(self, waiter: asyncio.Future[None]) -> None:
        """Wait for *waiter* or raise the step's timeout. Who resolves a waiter must see whether it is done already."""
        if self._expired:
            raise self.error()
        if self._timer is None:
            self._arm()
        self._waiter = waiter
        try:
            await waiter
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._overdue is not waiter or (task is not None and task.cancelling()):
                raise
        finally:
            self._waiter = None
        if self._overdue is waiter:
            raise self.error()

    def admit(self, size: int, at_ns: int) -> None:
        """Let *size* bytes in that arrived at *at_ns* (monotonic), or raise the step's timeout.

        A flood never waits and would never hear of its time being up. Once it is up, only what was there in time
        counts, and of that no more than one reading: going through the kernel's whole buffer can take seconds.
        """
        if self._expired:
            self._late_bytes += size
            if self._late_bytes > MOST_LATE_BYTES or at_ns > self.due * 1e9:
                raise self.error()

    def error(self) -> WireError:
        """Return the error of the step at hand."""
        return WireError(self.step.reason, self.step.words)

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, in_s: float | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self.due
        delay_s = max(0.0, self.due - clock.monotonic()) if in_s is None else in_s
        self._timer = self.loop.call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        late_s = clock.monotonic() - self.due
        if late_s < -0.0005:  # a later step took over; asyncio may also fire a clock tick early
            self._arm()
            return
        self.lag_s = max(self.lag_s, late_s)
        if late_s > LATE_S and not self._grace:
            # Our loop was held up: what arrived meanwhile sits in the kernel, and libuv runs timers before it reads.
            self._grace = True
            self._arm(GRACE_S)
            return
        self._expired = True
        if self._waiter is not None and not self._waiter.done():
            # Cancelled, because an exception that sits in a future and names it would be a cycle for the collector.
            self._overdue = self._waiter
            self._waiter.cancel()


class Slots:
    """A number of places, taken in order of arrival, waited for under a deadline."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._queue: deque[asyncio.Future[None]] = deque()

    async def take(self, deadline: Deadline) -> None:
        """Take a place; whoever took one gives it back."""
        if self._free > 0:
            self._free -= 1
            return
        waiter = deadline.loop.create_future()
        self._queue.append(waiter)
        try:
            await deadline.wait(waiter)
        except BaseException:
            if waiter in self._queue:
                self._queue.remove(waiter)
            elif not waiter.cancelled():
                self.give()  # the slot became free at the moment we gave up
            raise

    def give(self) -> None:
        """Give a place back."""
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1
