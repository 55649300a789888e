"""A loop whose time is driven: it stands still while there is work and jumps to the next timer when there is none.

What a test says of time is then true on an idle machine and on a busy one: however long the machine takes for a turn of
the loop, it is ``TURN_S`` long. Servers share the loop; threads of the loop and of the resolver make time wait.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any, TypeVar, TypeVarTuple, Unpack

import time_machine

from monitor import clock

Found = TypeVar("Found")
Given = TypeVarTuple("Given")

TURN_S = 0.0002
"""A turn of the loop takes so long, so that a flood comes to its deadline too."""
QUIET_S = 0.02
"""Real seconds without any event after which nothing is held to be on its way: loopback delivers at once."""
START_S = 1000.0
WAITED_FOR = ("asyncio_", "resolve ", "database_", "chores_")
"""Threads that do nothing but what the loop waits for: its own, the resolver's and the recorder's."""
WALL = datetime(2021, 3, 1, 12, tzinfo=UTC)


class _Hands(selectors.DefaultSelector):
    """The hands of the clock, where the loop waits for events."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = START_S
        self.at_work = 0
        """Calls in the loop's threads that somebody waits for."""
        self.turned: Callable[[], None] = lambda: None
        self.wall: time_machine.Traveller | None = None
        """The wall clock, where it is driven too."""
        self.hung = ""
        """Lookups of names that end so never come back, and nobody waits for them."""
        self._before = frozenset(threading.enumerate())

    def select(self, timeout: float | None = None) -> Any:
        self.turned()
        self.advance(TURN_S)
        if timeout is not None and timeout <= 0:
            return super().select(0)
        while True:
            if ready := super().select(QUIET_S):
                return ready
            if timeout is not None and not self.at_work and not self._resolving():
                self._is_alone()
                self.advance(timeout)
                return []

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        if self.wall is not None:
            self.wall.shift(seconds)

    def monotonic(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return round(self.now_s * 1e9)

    def time_ns(self) -> int:
        """Return a wall clock of the past, by which no stamp of the kernel is believed."""
        return self.monotonic_ns() if self.wall is None else time.time_ns()

    def _is_alone(self) -> None:
        """Refuse to jump past a thread that may be about to answer: how long it takes is the machine's business."""
        for thread in threading.enumerate():
            beside = thread not in self._before and not thread.name.startswith(WAITED_FOR)
            assert not beside, f"{thread.name} works beside the driven loop, whose time does not wait for it"

    def _resolving(self) -> bool:
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("resolve ")]
        return any(not self.hung or not name.endswith(self.hung) for name in names)


class DrivenLoop(asyncio.SelectorEventLoop):
    """An event loop on driven time."""

    def __init__(self) -> None:
        self.hands = _Hands()
        super().__init__(self.hands)

    def time(self) -> float:
        return self.hands.now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Given]], Found], *args: *Given
    ) -> asyncio.Future[Found]:
        future = super().run_in_executor(executor, func, *args)
        self.hands.at_work += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: object) -> None:
        self.hands.at_work -= 1


def at_work() -> bool:
    """Tell whether somebody waits for a thread of the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, DrivenLoop)
    return loop.hands.at_work > 0


def pass_time(seconds: float, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Let time go by while the running loop does nothing else: somebody holds it up. A thread names the loop."""
    loop = loop or asyncio.get_running_loop()
    assert isinstance(loop, DrivenLoop)
    loop.hands.advance(seconds)


def set_wall(by_s: float) -> None:
    """Set the wall clock of the running loop, and it alone, by so many seconds."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, DrivenLoop)
    assert loop.hands.wall is not None
    loop.hands.wall.shift(by_s)


@contextmanager
def _by(hands: _Hands) -> Iterator[None]:
    """Let the program read its clock from *hands*."""
    before, vars(clock)["time"] = clock.__dict__["time"], hands
    try:
        yield
    finally:
        vars(clock)["time"] = before


def run(main: Coroutine[Any, Any, Found], *, hung: str = "") -> Found:
    """As ``asyncio.run``, on driven time, which does not wait for lookups of names that end in *hung*."""
    with asyncio.Runner(loop_factory=DrivenLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, DrivenLoop)
        loop.hands.hung = hung
        with _by(loop.hands):
            return runner.run(main)


def run_by_the_wall(main: Coroutine[Any, Any, Found]) -> Found:
    """As :func:`run`, and the wall clock goes with it, from ``WALL`` on: for what lies on a grid of ticks."""

    async def travelling() -> Found:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DrivenLoop)
        with time_machine.travel(WALL, tick=False) as loop.hands.wall:
            return await main

    return run(travelling())


class Steps:
    """Counts calls, of Python's functions and of C's: what work costs, told by no clock.

    ``longest`` is the most between two turns of the loop, ``apart`` the sum of those in threads that the loop began.
    """

    _apart = 0
    """Over all counts: a thread that serves several of them counts on."""

    def __init__(self) -> None:
        self.longest = self.apart = self._run = 0

    def _on_loop(self, frame: FrameType, event: str, _: object) -> None:
        self._run += event in ("call", "c_call")

    @classmethod
    def _in_thread(cls, frame: FrameType, event: str, _: object) -> None:
        cls._apart += event in ("call", "c_call")

    def _turned(self) -> None:
        self.longest, self._run = max(self.longest, self._run), 0

    def __enter__(self) -> Steps:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DrivenLoop)
        self._hands, self._before = loop.hands, sys.getprofile()
        self._hands.turned, self._apart_before = self._turned, Steps._apart
        threading.setprofile(self._in_thread)
        sys.setprofile(self._on_loop)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)
        threading.setprofile(None)
        self._turned()
        self._hands.turned, self.apart = lambda: None, Steps._apart - self._apart_before
