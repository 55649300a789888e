"""A hostile server costs a chat look at most its deadline plus a tenth of a second and fifty megabytes."""

from __future__ import annotations

import asyncio

import pytest

from monitor import clock
from monitor.core.model import Observation, Outcome, Reason
from tests.edges.chat_shapes import ANTHROPIC, OPENAI
from tests.edges.hostile import Behave, PeakMemory, drips, gzip_bomb, resets_after, says, serve, silent, with_length
from tests.edges.probing import KEY, STREAM, context, look_once

pytestmark = pytest.mark.alone

DEADLINE_S = 0.6
TOKEN = OPENAI.word.replace(b"@SUM@", b"x")
GZIP_STREAM = STREAM.replace(b"connection: close", b"content-encoding: gzip\r\nconnection: close")

HOSTILE: dict[str, tuple[Behave, set[Reason]]] = {
    "accepts and says nothing": (silent, {Reason.TIMEOUT_HEADERS}),
    "drips its headers": (drips(b"HTTP/1.1 200 OK\r\n", b"x", 0.02), {Reason.TIMEOUT_HEADERS}),
    "drips an event": (drips(STREAM + b"data: ", b"x", 0.02), {Reason.TIMEOUT_QUEUED}),
    "tokens without end": (drips(STREAM, TOKEN * 50, 0.0), {Reason.TOO_LARGE, Reason.SLOW}),
    "a token now and then": (drips(STREAM, TOKEN, 0.05), {Reason.SLOW}),
    "comments without end": (drips(STREAM, b": keep-alive\n\n" * 500, 0.0), {Reason.TOO_LARGE, Reason.TIMEOUT_QUEUED}),
    "one line without end": (drips(STREAM, b"x" * 65536, 0.0), {Reason.TOO_LARGE}),
    "one event without end": (drips(STREAM, b"data: " + b"x" * 65536 + b"\n", 0.0), {Reason.TOO_LARGE}),
    "many small events": (drips(STREAM, b"data: {}\n\n" * 500, 0.0), {Reason.TOO_LARGE, Reason.TIMEOUT_QUEUED}),
    "a gzip bomb": (says(GZIP_STREAM + gzip_bomb(50)), {Reason.TOO_LARGE}),
    "a reset before the answer": (resets_after(b""), {Reason.PROTOCOL}),
    "a reset in the stream": (resets_after(STREAM + OPENAI.opening + TOKEN), {Reason.TRUNCATED}),
    "deep nesting": (says(with_length(b"[" * 500_000, b"content-type: application/json")), {Reason.MALFORMED}),
    "deep nesting in an event": (says(STREAM + b"data: " + b"[" * 500_000 + b"\n\n"), {Reason.MALFORMED}),
    "no http at all": (says(b"\x00\x01\x02 hello"), {Reason.PROTOCOL}),
    "pings without end": (drips(STREAM, ANTHROPIC.opening, 0.02), {Reason.TIMEOUT_QUEUED}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_bounded_and_named(name: str) -> None:
    behave, reasons = HOSTILE[name]
    dialect = "anthropic" if "pings" in name else "openai"

    async def main() -> tuple[Observation, float]:
        async with serve(behave) as port:
            url = f"http://127.0.0.1:{port}"
            ctx = context(timeout_s=DEADLINE_S)  # reading the machine's authorities is no part of a look
            started_s = clock.monotonic()
            seen = await look_once("chat", ctx, base_url=url, model="m", key=KEY, dialect=dialect)
            return seen, clock.monotonic() - started_s

    with PeakMemory() as memory:
        seen, took_s = asyncio.run(main())
        grown_mb = memory.growth_mb
    assert seen.reason in reasons
    assert seen.outcome in (Outcome.FAILED, Outcome.SLOW)
    assert took_s < DEADLINE_S + 0.1
    assert grown_mb < 50
