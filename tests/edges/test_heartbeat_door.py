"""Reports of jobs at the worker's HTTP side: who may report, how often, how much, and what reaches the prober."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr, ValidationError

from monitor import clock
from monitor.probes import heartbeat
from monitor.probes.heartbeat import Options, begin, go_on, take
from monitor.recorder.metrics import Seen
from monitor.recorder.scrape import BEAT_BYTES, BEATS_A_MINUTE, WRONG_TOKENS_A_MINUTE, Beats, application
from monitor.runtime.messages import JobReport
from tests.edges import driven
from tests.edges.probing import NOW

TOKEN = "f00dfacef00dfacef00dface"
SHOWN = {"authorization": f"Bearer {TOKEN}"}
OPTIONS = Options(name="backup", every_s="5m", token=TOKEN)
TOKENS: Mapping[str, str] = {"shop-backup": TOKEN}


def report(*requests: tuple[str, Mapping[str, str], bytes]) -> tuple[list[int], list[JobReport]]:
    """Post each (path, headers, body); returns the answers' statuses and what was handed over."""
    taken: list[JobReport] = []

    async def main() -> list[int]:
        app = application(Seen(clock.now), CollectorRegistry(), Beats(lambda: TOKENS, taken.append))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
            return [
                (await client.post(path, headers=dict(headers), content=body)).status_code
                for path, headers, body in requests
            ]

    return driven.run_by_the_wall(main()), taken


@pytest.mark.parametrize(
    ("body", "failed", "text"),
    [
        (b"", False, ""),
        (b"copied 7 files\n", False, "copied 7 files"),
        (b'{"failed": true, "text": "disk full"}', True, "disk full"),
        (b"\xff\xfe", False, "\N{REPLACEMENT CHARACTER}" * 2),
    ],
)
def test_a_report_with_the_token_reaches_the_prober(body: bytes, failed: bool, text: str) -> None:
    statuses, (beat,) = report(("/heartbeat/shop-backup", SHOWN, body))
    assert statuses == [202]
    assert (beat.probe, beat.failed, beat.text) == ("shop-backup", failed, text)
    assert driven.WALL <= beat.at < driven.WALL + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/heartbeat/shop-backup", {}),
        ("/heartbeat/shop-backup", {"authorization": "Bearer wrong"}),
        ("/heartbeat/shop-backup", {"authorization": f"Basic {TOKEN}"}),
        ("/heartbeat/shop-backup", {"authorization": "Bearer "}),
        ("/heartbeat/shop-mute", {"authorization": "Bearer "}),
        ("/heartbeat/shop-mute", SHOWN),
        ("/heartbeat/nobody", SHOWN),
    ],
)
def test_without_the_right_token_nothing_is_taken_nor_told(path: str, headers: Mapping[str, str]) -> None:
    assert report((path, headers, b"")) == ([401], [])


@pytest.mark.parametrize(
    "body", [b"x" * (BEAT_BYTES + 1), b"{", b'{"failed": "yes"}', b'{"text": 3}', b"{" * 4000], ids=range(5)
)
def test_a_report_that_makes_no_sense_is_refused(body: bytes) -> None:
    assert report(("/heartbeat/shop-backup", SHOWN, body)) == ([400], [])


def test_reports_and_guesses_are_limited_and_guessing_shuts_nobody_out() -> None:
    wrong = ("/heartbeat/shop-backup", {"authorization": "Bearer wrong"}, b"")
    right = ("/heartbeat/shop-backup", SHOWN, b"")
    statuses, taken = report(*[wrong] * (WRONG_TOKENS_A_MINUTE + 2), *[right] * (BEATS_A_MINUTE + 2))
    assert statuses.count(401) == WRONG_TOKENS_A_MINUTE
    assert statuses.count(202) == len(taken) == BEATS_A_MINUTE
    assert statuses[-1] == 429


def test_a_token_that_is_easily_guessed_is_no_token() -> None:
    with pytest.raises(ValidationError, match="at least 16 characters"):
        Options(name="backup", every_s="5m", token=SecretStr("short"))


def test_listening_begins_anew_after_a_gap_and_keeps_what_was_heard() -> None:
    memory: dict[str, Any] = {}
    begin(memory, OPTIONS, NOW)
    take(memory, NOW.timestamp() + 5, failed=False, text="x" * 9999)
    go_on(memory, OPTIONS, NOW.replace(hour=13))
    assert memory["beats"]["since"] == NOW.timestamp()
    begin(memory, OPTIONS, NOW.replace(hour=13))
    assert memory["beats"]["since"] == NOW.replace(hour=13).timestamp()
    assert memory["beats"]["last"] == NOW.timestamp() + 5
    assert len(memory["beats"]["text"]) == heartbeat.TEXT_CHARS
    go_on(memory, Options(name="backup", every_s="5m"), NOW)
    assert "beats" not in memory
