"""The driven clock of the other tests: what it says does not come from the machine."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from monitor import clock
from tests.edges import driven


def test_an_hour_of_waiting_takes_no_hour_and_is_an_hour() -> None:
    async def main() -> float:
        started_s = clock.monotonic()
        await asyncio.sleep(3600)
        return clock.monotonic() - started_s

    assert driven.run(main()) == pytest.approx(3600, abs=0.01)


def test_timers_come_in_the_order_of_their_moments_however_late_the_machine_is() -> None:
    async def main() -> list[str]:
        told: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, told.append, "second")
        loop.call_later(0.01, told.append, "first")
        time.sleep(0.05)  # noqa: ASYNC251 - a machine that does not come to us
        await asyncio.sleep(0.03)
        return told

    assert driven.run(main()) == ["first", "second"]


def test_a_deadline_waits_for_a_thread() -> None:
    def work() -> str:
        time.sleep(0.1)
        return "done"

    async def main() -> str:
        async with asyncio.timeout(0.001):
            return await asyncio.to_thread(work)

    assert driven.run(main()) == "done"


def test_time_does_not_jump_past_a_thread_of_somebody_else() -> None:
    done = threading.Event()

    async def main() -> None:
        threading.Thread(target=done.wait, name="a server").start()
        await asyncio.sleep(1)

    try:
        with pytest.raises(AssertionError, match="a server works beside the driven loop"):
            driven.run(main())
    finally:
        done.set()


def test_the_wall_clock_goes_along_and_can_be_set_alone() -> None:
    async def main() -> tuple[timedelta, timedelta, float]:
        first, first_s = clock.now(), clock.monotonic()
        await asyncio.sleep(60)
        second = clock.now()
        driven.set_wall(-7200)
        return second - first, clock.now() - second, clock.monotonic() - first_s

    went, stepped, by_s = driven.run_by_the_wall(main())
    assert went.total_seconds() == pytest.approx(60, abs=0.01)
    assert stepped.total_seconds() == pytest.approx(-7200, abs=0.01)
    assert by_s == pytest.approx(60, abs=0.01)


def test_steps_are_counted_between_turns_and_in_threads() -> None:
    def work(rounds: int) -> None:
        for _ in range(rounds):
            len("")

    async def main() -> driven.Steps:
        with driven.Steps() as steps:
            for _ in range(10):
                work(1000)
                await asyncio.sleep(0)
            await asyncio.to_thread(work, 5000)
        return steps

    steps = driven.run(main())
    assert 1000 < steps.longest < 2000
    assert 5000 < steps.apart < 6000


def test_the_programs_clock_is_the_machines_again_afterwards() -> None:
    driven.run(asyncio.sleep(10**6))
    assert time.monotonic() <= clock.monotonic() <= time.monotonic()
