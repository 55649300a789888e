"""The link's end of the prober: it ends when it is told to."""

from __future__ import annotations

import asyncio
import socket

from monitor.handover import URGENT_EVERY_S, Handover
from monitor.link import open_link


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

    assert asyncio.run(scene())
