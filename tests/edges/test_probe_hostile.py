"""A hostile server costs a chat look at most its deadline plus a tenth of a second of driven time."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor import clock
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes.answers import parse_json
from tests.edges import driven
from tests.edges.chat_shapes import ANTHROPIC, OPENAI
from tests.edges.hostile import Behave, drips, gzip_bomb, resets_after, says, serve, silent, with_length
from tests.edges.probing import KEY, STREAM, context, look_once
from tests.edges.strangers import KINDS

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

    seen, took_s = driven.run(main())
    assert seen.reason in reasons
    assert seen.outcome in (Outcome.FAILED, Outcome.SLOW)
    assert took_s < DEADLINE_S + 0.1


def size_of(value: Any) -> int:
    """Return the bytes of a parsed document and of all its parts, those that Python keeps once for all left out."""
    parts = [*value.values(), *value] if isinstance(value, dict) else value if isinstance(value, list) else []
    return sys.getsizeof(value) + sum(size_of(part) for part in parts if part != 0)


@pytest.mark.parametrize("unit", [b'{"a":0},', b"[],", b'{"":{}},', b"[0],", b'"ab",', b"1e1,", b"999999,"])
@pytest.mark.parametrize("megabytes", [2, 6])
def test_json_made_of_many_small_parts_becomes_less_than_fifty_megabytes(unit: bytes, megabytes: int) -> None:
    body = b"[" + unit * (megabytes * 2**20 // len(unit)) + b"0]"
    with suppress(ValueError):
        assert size_of(parse_json(body)) < 50 * 2**20


def test_a_long_history_of_real_incidents_is_parsed() -> None:
    rows = json.loads((Path(__file__).parent / "fixtures" / "google_incidents.json").read_bytes())
    text = json.dumps(rows * 1000)
    assert len(text) > 1_500_000
    assert len(parse_json(text.encode())) == len(parse_json(text)) == len(rows) * 1000


JSON = b"content-type: application/json"
END = b"\r\ncontent-length: 0\r\n\r\n"
DIGITS = b"9" * 4000
DATE = b"Mon, 23 Nov " + DIGITS[:20] + b" 12:00:00 GMT"
HUGE = b'{"status":{"indicator":%b},"incidents":[{"id":%b}],"data":%b}' % ((DIGITS,) * 3)
ODD: dict[str, bytes] = {
    "an address that is none": b"HTTP/1.1 302 x\r\nlocation: http://[::1" + END,
    "an address in bytes": b"HTTP/1.1 302 x\r\nlocation: //\xff\xfe:99999/" + END,
    "a date beyond all years": b"HTTP/1.1 503 x\r\nretry-after: " + DATE + END,
    "a wait without end": b"HTTP/1.1 429 x\r\nretry-after-ms: " + DIGITS + END,
    "headers of bytes": with_length(b"x", b"x-ratelimit-remaining: \xff", b"retry-after: \xff", b"content-type: \x80"),
    "halves of letters": with_length(b'{"error":{"message":"\\ud800","code":"\\udfff"},"detail":"\\ud800"}', JSON),
    "huge numbers": with_length(HUGE, JSON),
    "numbers that are none": with_length(b'{"page":{"updated_at":-Infinity},"status":{},"incidents":[NaN]}', JSON),
    "nesting to the brim": with_length(b'{"a":' * 900 + b"1" + b"}" * 900, JSON),
}


@pytest.mark.parametrize("name", KINDS)
def test_no_odd_answer_whatsoever_becomes_a_bug_of_ours(name: str) -> None:
    options = KINDS[name]

    async def main() -> dict[str, Observation]:
        found, ctx = {}, context(timeout_s=5)
        for odd, answer in ODD.items():
            async with serve(says(answer)) as port:
                address = {"base_url" if "base_url" in options else "url": f"http://127.0.0.1:{port}"}
                found[odd] = await look_once(name.split()[0], replace(ctx, memory={}), **(options | address))
        return found

    bugs = {odd: seen.detail for odd, seen in driven.run(main()).items() if seen.reason is Reason.INTERNAL}
    assert bugs == {}
