"""Time: the phases tell the service's time and keep ours apart, also when our own loop is late."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from monitor import clock
from monitor.core.model.observations import Phases
from monitor.core.model.reasons import Reason
from monitor.wire import Limits, Resolver, Wire, WireError
from monitor.wire.deadline import Deadline, Slots, Step
from monitor.wire.dial import Clocks
from monitor.wire.model import Timing
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, Behave, request_of, says, serve, with_length

LOOPS: list[Any] = [asyncio.new_event_loop, uvloop.new_event_loop]
linux = pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are a feature of Linux")


CLOCKS_S = 0.002
"""By so much a stamp of the kernel, carried over to our clock, may differ from a reading of it."""


class Slow:
    """Answers when it is let, and reads the clock on both sides of its work; ``None`` for one that never waits."""

    def __init__(self, pause_s: float | None = None) -> None:
        self.pause_s = pause_s
        self.heard_s = self.answers_s = self.answered_s = 0.0
        self.asked, self.let, self.answered = threading.Event(), threading.Event(), threading.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        self.heard_s = clock.monotonic()
        self.asked.set()
        if self.pause_s is None:
            await asyncio.to_thread(self.let.wait, 60)
        else:
            await asyncio.sleep(self.pause_s)
        self.answers_s = clock.monotonic()
        writer.write(with_length(b"answer"))
        await writer.drain()
        self.answered_s = clock.monotonic()
        self.answered.set()


def parts_of(told: Phases) -> float:
    parts = (told.dns_s, told.connect_s, told.request_s, told.wait_s, told.transfer_s, told.overhead_s)
    assert all(part is not None for part in parts)
    return sum(part for part in parts if part is not None)


async def timed(slow: Slow) -> tuple[Phases, float]:
    async with serve(slow) as port:
        wire = Wire(allow_networks=LOOPBACK)
        started = clock.monotonic()
        answer = await wire.fetch("GET", f"http://localhost:{port}/")
        return answer.phases, clock.monotonic() - started


@pytest.mark.parametrize("loop", LOOPS)
def test_the_wait_is_no_shorter_than_the_servers_work_and_part_of_the_look(loop: Any) -> None:
    slow = Slow(0.1)
    with asyncio.Runner(loop_factory=loop) as runner:
        told, took_s = runner.run(timed(slow))
    assert told.wait_s is not None
    assert slow.answers_s - slow.heard_s - CLOCKS_S <= told.wait_s <= took_s + CLOCKS_S
    assert parts_of(told) <= took_s + CLOCKS_S


def test_the_phases_add_up_to_the_look_and_the_wait_is_the_servers() -> None:
    told, took_s = driven.run(timed(Slow(0.1)))
    assert told.wait_s is not None
    assert 0.1 <= told.wait_s < 0.11
    assert parts_of(told) == pytest.approx(took_s, abs=0.001)


@contextmanager
def elsewhere(behave: Behave) -> Iterator[int]:
    """Serve *behave* from a thread with a loop of its own, so that only the prober's loop gets blocked."""
    started = threading.Event()
    told: dict[str, Any] = {}

    async def main() -> None:
        told["loop"], told["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with serve(behave) as told["port"]:
            started.set()
            await told["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    started.wait(60)
    yield told["port"]
    told["loop"].call_soon_threadsafe(told["stop"].set)
    thread.join(60)


class TooBusyError(Exception):
    """The answer came after the deadline, because of the machine: this shows nothing."""


def look_while_blocked(loop: Any, deadline_s: float, until_s: float) -> tuple[Phases, float]:
    """Block our loop once the server was asked, until 0.3 s after its answer and *until_s* after the start.

    Return the phases, and how long after the start the answer was sent.
    """
    slow = Slow()

    async def main(port: int) -> tuple[Phases, float]:
        wire, started_s = Wire(allow_networks=LOOPBACK), clock.monotonic()
        url = f"http://127.0.0.1:{port}/"
        look = asyncio.create_task(wire.fetch("GET", url, limits=Limits(deadline_s=deadline_s)))
        await asyncio.to_thread(slow.asked.wait, 60)
        slow.let.set()
        slow.answered.wait(60)  # the blocked loop is the point
        answered_s = slow.answered_s - started_s
        if answered_s >= deadline_s:
            look.cancel()
            raise TooBusyError
        time.sleep(max(0.3, started_s + until_s - clock.monotonic()))  # noqa: ASYNC251
        return (await look).phases, answered_s

    with elsewhere(slow) as port, asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main(port))


@linux
@pytest.mark.parametrize("loop", LOOPS)
def test_a_blocked_loop_is_not_counted_as_the_services_time(loop: Any) -> None:
    told, answered_s = look_while_blocked(loop, deadline_s=60, until_s=0)
    assert told.kernel_stamped
    assert told.wait_s is not None
    assert told.wait_s <= answered_s + CLOCKS_S
    assert told.loop_lag_s > 0.25, "the lag is told with the sample"
    assert told.overhead_s is not None
    assert told.overhead_s > 0.25, "and is ours"


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_that_was_there_in_time_is_no_timeout_although_our_loop_slept(loop: Any) -> None:
    for deadline_s in (1, 4, 16):
        try:
            told, _ = look_while_blocked(loop, deadline_s, deadline_s + 0.2)
        except TooBusyError:
            continue
        assert told.loop_lag_s > 0.1
        return
    pytest.skip("this machine is too busy to answer within 16 s")


def test_a_timeout_tells_how_far_it_came() -> None:
    async def main() -> WireError:
        async with serve(says(then=5)) as port:
            url = f"http://127.0.0.1:{port}/"
            with pytest.raises(WireError) as caught:
                await Wire(allow_networks=LOOPBACK).fetch("GET", url, limits=Limits(deadline_s=0.2))
            return caught.value

    error = driven.run(main())
    assert error.reason is Reason.TIMEOUT_HEADERS
    assert error.address == "127.0.0.1"
    assert error.phases is not None
    assert error.phases.connect_s is not None
    assert error.phases.request_s is not None


def test_a_wait_for_a_place_is_our_overhead_and_its_end_is_our_trouble() -> None:
    async def main() -> tuple[list[str], Reason]:
        slots = Slots(1)
        order = []

        async def work(name: str) -> None:
            deadline = Deadline(asyncio.get_running_loop(), 1)
            await slots.take(deadline)
            order.append(name)
            await asyncio.sleep(0.01)
            slots.give()
            deadline.close()

        await asyncio.gather(work("a"), work("b"), work("c"))
        hurried = Deadline(asyncio.get_running_loop(), 0.05)
        hurried.enter(Step.HANDSHAKE_SLOT)
        await slots.take(hurried)
        with pytest.raises(WireError) as caught:
            await slots.take(hurried)
        slots.give()
        await slots.take(Deadline(asyncio.get_running_loop(), 1))
        return order, caught.value.reason

    assert driven.run(main()) == (["a", "b", "c"], Reason.LAGGED)


def test_two_clocks_that_disagree_never_make_a_negative_phase() -> None:
    timing = Timing(started_ns=1_000)
    timing.sent_ns = 5_000
    timing.first_byte(4_000, stamped=True)
    told = timing.phases(500)
    assert told.wait_s == 0.0
    assert told.transfer_s == 0.0
    assert told.overhead_s == 0.0


def test_a_stamp_is_carried_over_to_the_monotonic_clock() -> None:
    clocks = Clocks(at_ns=1_000, offset_ns=500_000_000)
    assert clocks.carry(stamp_ns=500_002_000, now_ns=3_000, offset_ns=500_000_000) == 2_000


def test_a_stepped_wall_clock_discredits_the_stamp_and_only_that_one() -> None:
    clocks = Clocks(at_ns=0, offset_ns=0)
    hour_ns = 3_600_000_000_000
    assert clocks.carry(stamp_ns=1_500, now_ns=2_000, offset_ns=hour_ns) is None
    assert clocks.carry(stamp_ns=hour_ns + 4_500, now_ns=5_000, offset_ns=hour_ns) == 4_500


def test_a_slewed_wall_clock_is_no_step() -> None:
    clocks = Clocks(at_ns=0, offset_ns=0)
    minute_ns = 60_000_000_000
    slewed_ns = minute_ns // 2000
    assert clocks.carry(minute_ns + slewed_ns - 7, minute_ns, slewed_ns) == minute_ns - 7


def test_a_stamp_of_the_future_is_not_believed() -> None:
    assert Clocks(at_ns=0, offset_ns=0).carry(stamp_ns=9_000, now_ns=5_000, offset_ns=0) is None


def test_a_name_is_resolved_in_its_own_phase() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    def slowly(host: str, port: int) -> list[tuple[int, str]]:
        driven.pass_time(0.1, loops[0])
        return [(socket.AF_INET, "127.0.0.1")]

    async def main() -> Phases:
        loops.append(asyncio.get_running_loop())
        async with serve(says(with_length(b"ok"))) as port:
            wire = Wire(allow_networks=LOOPBACK, resolver=Resolver(slowly))
            return (await wire.fetch("GET", f"http://slow.example:{port}/")).phases

    told = driven.run(main())
    assert told.dns_s is not None
    assert 0.1 <= told.dns_s < 0.2
    assert told.connect_s is not None
    assert told.connect_s < 0.05
