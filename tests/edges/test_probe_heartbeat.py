"""The kind ``heartbeat``: a late job fails, a deaf monitor does not know."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from monitor.core.model.reasons import Outcome, Reason
from tests.edges.probing import NOW, context, look_once

NOW_S = NOW.timestamp()
LONG_AGO = NOW_S - 9999


@pytest.mark.parametrize(
    ("beats", "reason"),
    [
        (None, Reason.UNREADABLE),
        ({"since": NOW_S - 100, "last": None}, Reason.UNREADABLE),
        ({"since": NOW_S - 400, "last": None}, Reason.NO_HEARTBEAT),
        ({"since": NOW_S - 100, "last": NOW_S - 5000}, Reason.UNREADABLE),
        ({"since": NOW_S - 100, "last": NOW_S - 200}, Reason.OK),
        ({"since": NOW_S - 100, "last": NOW_S - 200, "failed": True}, Reason.UNREADABLE),
        ({"since": LONG_AGO, "last": NOW_S - 10}, Reason.OK),
        ({"since": LONG_AGO, "last": NOW_S - 359}, Reason.OK),
        ({"since": LONG_AGO, "last": NOW_S - 361}, Reason.NO_HEARTBEAT),
        ({"since": LONG_AGO, "last": NOW_S + 30}, Reason.OK),
        ({"since": LONG_AGO, "last": NOW_S - 10, "failed": True, "text": "disk full"}, Reason.CONTENT),
    ],
)
def test_the_newest_report_is_held_against_the_clock(beats: dict[str, Any] | None, reason: Reason) -> None:
    memory = {} if beats is None else {"beats": beats}
    seen = asyncio.run(look_once("heartbeat", context(memory), name="backup", every_s="5m", grace_s="1m"))
    assert seen.reason is reason
    assert seen.detail
    if reason is Reason.UNREADABLE:
        assert seen.outcome is Outcome.UNKNOWN
    if reason is Reason.CONTENT:
        assert seen.evidence is not None
        assert seen.evidence.excerpt == "disk full"
