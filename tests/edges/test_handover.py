"""The link's end of the prober: it ends when it is told to."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta

from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.prober.uplink import NEWS_LOOKS, URGENT_EVERY_S, Handover
from monitor.runtime.frames import open_link
from tests.edges import driven


def test_sending_ends_when_it_is_cancelled_in_the_moment_of_a_flush() -> None:
    async def scene() -> bool:
        ours, theirs = socket.socketpair()
        handover = Handover(*await open_link(ours.detach()))
        sending = asyncio.create_task(handover.send())
        await asyncio.sleep(URGENT_EVERY_S * 1.5)
        await handover.flush(1.0)
        sending.cancel()
        done, _ = await asyncio.wait([sending], timeout=3 * URGENT_EVERY_S)
        theirs.close()
        if not done:
            sending.cancel()
        return bool(done)

    assert driven.run(scene())


def test_what_changes_goes_at_once_and_what_goes_on_waits() -> None:
    def look(number: int, reason: Reason) -> Result:
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        return Result(RunId("p", "local", at), at, 0.1, Observation(reason))

    async def scene() -> list[bool]:
        ours, theirs = socket.socketpair()
        handover = Handover(*await open_link(ours.detach()))
        story = [Reason.OK, *[Reason.SERVER_ERROR] * (NEWS_LOOKS + 2), Reason.OK, Reason.OK]
        hurried = []
        for number, reason in enumerate(story):
            handover.put(look(number, reason))
            hurried.append(handover._urgent.is_set())
            handover._urgent.clear()
        handover._writer.close()
        theirs.close()
        return hurried

    assert asyncio.run(scene()) == [False, *[True] * NEWS_LOOKS, False, False, True, True]
