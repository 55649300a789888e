"""The kind ``chat``: requests, whole answers, the ladder over real connections, memory, and what must not leak."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes.chat.options import Options
from monitor.simulator.play import serve as serve_vendor
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded
from tests.edges import driven
from tests.edges.chat_shapes import (
    ANTHROPIC,
    ANTHROPIC_BODY,
    DEEPSEEK,
    OPENAI,
    OPENAI_BODY,
    anthropic_error,
    openai_error,
)
from tests.edges.hostile import Behave, resets_after, serve, silent
from tests.edges.probing import KEY, NOW, STREAM, chat, context, http, look_once, replays, whole_request

LIST = http(200, '{"object":"list","data":[{"id":"m-1","object":"model"},{"id":"m-2","object":"model"}]}')
SHORT_LIST = http(200, '{"object":"list","data":[{"id":"m-2","object":"model"}]}')
NO_KEY = http(401, openai_error("You didn't provide an API key", "invalid_request_error"))
GOOD = STREAM + b"".join(OPENAI.answer())
BUSY = http(503, openai_error("Service is too busy", "service_unavailable_error"))


class Vendor:
    """Answers chats with ``reply`` and lists of models with ``listing``; keeps what it was asked."""

    def __init__(self, reply: bytes = GOOD, listing: bytes = LIST) -> None:
        self.reply, self.listing = reply, listing
        self.asked: list[tuple[bytes, dict[str, Any]]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await whole_request(reader)
        self.asked.append((head, json.loads(body) if body else {}))
        said = self.reply if head.startswith(b"POST") else self.listing
        asked = self.asked[-1][1]
        words = asked["messages"][0]["content"].split() if asked else []
        answer = str(int(words[2]) + int(words[4].rstrip("?"))) if words[:2] == ["What", "is"] else "hello"
        writer.write(said.replace(b"@SUM@", answer.encode()))
        await writer.drain()

    @property
    def methods(self) -> str:
        """One letter per request: P for a question, G for a list."""
        return "".join(chr(head[0]) for head, _ in self.asked)


def looks(
    vendor: Behave, minutes: list[float], memory: dict[str, Any] | None = None, **options: Any
) -> list[Observation]:
    """Look at the given minutes with one memory."""

    async def main() -> list[Observation]:
        kept: dict[str, Any] = {} if memory is None else memory
        usual = {"model": "m-1", "key": KEY, "stall_s": "300ms"} | options
        async with serve(vendor) as port:
            usual.setdefault("base_url", f"http://127.0.0.1:{port}/v1")
            return [
                await look_once("chat", context(kept, now=NOW + timedelta(minutes=minute)), **usual)
                for minute in minutes
            ]

    return driven.run(main())


def test_the_request_is_what_the_protocol_wants() -> None:
    vendor = Vendor()
    (seen,) = looks(vendor, [0], max_tokens=7, extra={"reasoning_effort": "low"})
    assert seen.reason is Reason.OK
    head, body = vendor.asked[0]
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    assert f"authorization: bearer {KEY}".encode() in head.lower()
    assert b"accept: text/event-stream" in head.lower()
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert (body["model"], body["max_tokens"], body["reasoning_effort"]) == ("m-1", 7, "low")


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_the_anthropic_request_carries_its_own_headers(path: str) -> None:
    vendor = Vendor(http(200, ANTHROPIC_BODY.replace(b"@SUM@", b"hi there")))

    async def main() -> Observation:
        async with serve(vendor) as port:
            plain: dict[str, Any] = {"dialect": "anthropic", "stream": False, "canary": False}
            url = f"http://127.0.0.1:{port}{path}"
            return await look_once("chat", context(), base_url=url, model="m", key=KEY, **plain)

    assert driven.run(main()).reason is Reason.OK
    head, body = vendor.asked[0]
    assert head.startswith(b"POST /v1/messages HTTP/1.1")
    assert f"x-api-key: {KEY}".encode() in head.lower()
    assert b"anthropic-version: 2023-06-01" in head.lower()
    assert b"authorization" not in head.lower()
    assert "stream_options" not in body


@pytest.mark.parametrize(("dialect", "body"), [("openai", OPENAI_BODY), ("anthropic", ANTHROPIC_BODY)])
def test_a_whole_answer_has_its_end_to_end_time_and_no_time_to_first_token(dialect: str, body: bytes) -> None:
    blank = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    seen = chat(replays(blank, b"\n\n", b"\n", body, pauses={3: 0.05}), stream=False, dialect=dialect)
    assert (seen.reason, seen.warnings) == (Reason.OK, ())
    assert seen.chat is not None
    assert seen.chat.ttft_s is None
    assert seen.chat.last_token_s is not None
    assert seen.chat.last_token_s > 0.04
    assert seen.chat.keepalives >= 1
    assert seen.chat.queue_s is not None
    assert seen.chat.tokens_per_s == pytest.approx((seen.chat.output_tokens or 0) / seen.chat.last_token_s)


def test_a_server_that_ignores_stream_is_understood() -> None:
    assert chat(replays(http(200, OPENAI_BODY.replace(b"@SUM@", b"1")))).reason is Reason.QUALITY


def test_a_stream_without_a_content_type_is_understood() -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    assert chat(replays(head, *OPENAI.answer())).reason is Reason.OK


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_json_under_a_wrong_type_is_understood(kind: str) -> None:
    assert chat(replays(http(200, OPENAI_BODY.replace(b"@SUM@", b"1"), kind=kind))).reason is Reason.QUALITY
    error = openai_error("Overloaded", "overloaded_error")
    assert chat(replays(http(200, error, kind=kind))).reason is Reason.OVERLOADED


@pytest.mark.parametrize(
    "block",
    [
        b'{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"x"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}',
    ],
)
def test_hidden_thinking_of_anthropic_counts_as_the_first_token(block: bytes) -> None:
    shape = ANTHROPIC
    parts = (shape.opening, b"data: " + block + b"\n\n", shape.word, shape.finish, shape.end)
    seen = chat(replays(STREAM, *parts, pauses={3: 0.05}), dialect="anthropic")
    assert seen.reason is Reason.OK
    assert seen.chat is not None
    assert (seen.chat.first_answer_s or 0) - (seen.chat.ttft_s or 0) > 0.03


def test_a_stall_that_our_own_loop_made_is_marked_as_lagged() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await whole_request(reader)
        writer.write(STREAM + OPENAI.opening + OPENAI.word)
        await writer.drain()
        await asyncio.sleep(0.05)
        driven.pass_time(0.7)

    seen = chat(behave)
    assert seen.reason is Reason.STALLED
    assert seen.phases is not None
    assert seen.phases.loop_lag_s > 0.3
    assert "probe.lagged" in seen.warnings


def test_a_duplicate_chunk_and_an_unknown_event_change_nothing() -> None:
    odd = b'event: status\ndata: {"queue":3}\n\n'
    seen = chat(replays(STREAM, OPENAI.opening, OPENAI.opening, odd, OPENAI.word, OPENAI.finish, OPENAI.end))
    assert seen.reason is Reason.OK


def test_invalid_utf8_in_the_answer_gives_no_verdict_on_it() -> None:
    torn = OPENAI.word.replace(b"@SUM@", b"\xe6\x9c")
    seen = chat(replays(STREAM, OPENAI.opening, torn, OPENAI.finish, OPENAI.end))
    assert seen.reason is Reason.OK
    assert {"protocol.bad_utf8", "canary.no_verdict"} <= set(seen.warnings)


def test_one_bad_event_in_a_good_answer_is_only_a_warning() -> None:
    seen = chat(replays(STREAM, OPENAI.opening, b"data: {broken\n\n", OPENAI.word, OPENAI.finish, OPENAI.end))
    assert (seen.reason, seen.warnings) == (Reason.OK, ("protocol.bad_event",))


def test_an_event_of_several_megabytes_is_too_large_and_bounded() -> None:
    seen = chat(replays(STREAM, b'data: {"choices":[{"delta":{"content":"' + b"x" * (3 << 20)))
    assert seen.reason is Reason.TOO_LARGE


def test_the_answer_is_over_at_done_even_if_the_connection_stays_open() -> None:
    seen = chat(replays(GOOD, then=5), context(timeout_s=1.0))
    assert seen.reason is Reason.OK


def test_without_a_key_only_the_edge_is_tested_and_it_says_so() -> None:
    vendor = Vendor(listing=NO_KEY)
    (seen,) = looks(vendor, [0], key=None)
    assert (seen.reason, seen.warnings, vendor.methods) == (Reason.OK, ("chat.edge_only",), "G")
    assert "no key, so answers are not tested" in seen.detail
    assert seen.chat is None
    assert b"authorization" not in vendor.asked[0][0].lower()
    assert looks(Vendor(listing=BUSY), [0], key="  ")[0].reason is Reason.OVERLOADED
    assert (
        looks(Vendor(listing=http(403, "<html>x</html>", kind="text/html")), [0], key=None)[0].reason is Reason.BLOCKED
    )


def test_the_ladder_asks_first_and_then_keeps_its_intervals() -> None:
    vendor = Vendor()
    seen = looks(vendor, [0, 1, 2, 5, 6, 31], short_every_s="5m", models_every_s="30m")
    assert [one.reason for one in seen] == [Reason.OK] * 6
    assert vendor.methods == "PGGPGG"
    assert b"authorization" not in vendor.asked[1][0].lower()
    assert b"authorization" in vendor.asked[5][0].lower()
    assert seen[1].chat is None


def test_a_cheap_rung_never_speaks_for_a_service_whose_last_answer_failed() -> None:
    vendor = Vendor(BUSY)
    seen = looks(vendor, [0, 1, 2], short_every_s="1h")
    assert [one.reason for one in seen] == [Reason.OVERLOADED] * 3
    assert vendor.methods == "PPP"


def test_a_dead_edge_fails_between_two_questions() -> None:
    vendor = Vendor()
    memory: dict[str, Any] = {}
    vendor.listing = BUSY
    seen = looks(vendor, [0, 1, 2], memory, short_every_s="1h")
    assert [one.reason for one in seen] == [Reason.OK, Reason.OVERLOADED, Reason.OVERLOADED]


def test_a_spent_budget_is_unknown_while_the_edge_lives_and_a_failure_when_it_does_not() -> None:
    vendor = Vendor()
    memory: dict[str, Any] = {}
    small: dict[str, Any] = {"budget_tokens_day": 120, "max_tokens": 70, "models_every_s": None}
    seen = looks(vendor, [0, 1, 2], memory, **small)
    assert [one.reason for one in seen] == [Reason.OK, Reason.BUDGET, Reason.BUDGET]
    assert seen[1].outcome is Outcome.UNKNOWN
    assert "23 / 120 tokens" in worded(seen[1].detail, lexicon())
    vendor.listing = BUSY
    assert looks(vendor, [3], memory, **small)[0].reason is Reason.OVERLOADED
    assert looks(vendor, [13 * 60], memory, **small)[0].reason is Reason.OK


def test_the_cost_of_an_answer_follows_from_the_vendors_count() -> None:
    memory: dict[str, Any] = {}
    (seen,) = looks(Vendor(), [0], memory, usd_per_million_input=1.0, usd_per_million_output=4.0)
    assert seen.chat is not None
    assert seen.chat.cost_usd == pytest.approx((21 * 1.0 + 2 * 4.0) / 1e6)
    assert memory["ledger"]["usd"] == pytest.approx(seen.chat.cost_usd)
    assert memory["ledger"]["tokens"] == 23


def test_a_refused_request_costs_nothing_and_a_broken_one_is_estimated() -> None:
    memory: dict[str, Any] = {}
    looks(Vendor(BUSY), [0], memory)
    assert memory["ledger"]["tokens"] == 0
    looks(Vendor(STREAM + OPENAI.opening + OPENAI.word), [1], memory)
    assert memory["ledger"]["tokens"] == 41


def test_a_question_that_was_taken_and_not_answered_is_booked_with_all_that_it_may_cost() -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n"
    for vendor, tokens in ((silent, 104), (replays(whole, b"\n", then=5), 104), (resets_after(b""), 0)):
        memory: dict[str, Any] = {}
        chat(vendor, context(memory, timeout_s=0.3), stream=False)
        assert memory["ledger"]["tokens"] == tokens


def test_a_look_that_is_cut_from_outside_is_booked_all_the_same() -> None:
    memory: dict[str, Any] = {}

    async def main() -> None:
        async with serve(replays(STREAM, DEEPSEEK.opening, then=5)) as port:
            task = asyncio.create_task(
                look_once("chat", context(memory), base_url=f"http://127.0.0.1:{port}", model="m", key=KEY)
            )
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    driven.run(main())
    assert memory["ledger"]["tokens"] == 104


def test_a_model_that_is_gone_is_retired_only_if_it_worked_and_left_the_list() -> None:
    gone = http(404, openai_error("The model does not exist", "invalid_request_error", "model_not_found"))
    vendor = Vendor()
    memory: dict[str, Any] = {}

    async def main() -> list[Observation]:
        seen = []
        async with serve(vendor) as port:
            usual: dict[str, Any] = {"base_url": f"http://127.0.0.1:{port}", "model": "m-1", "key": KEY}
            vendor.reply = gone
            seen.append(await look_once("chat", context(memory), **usual))  # never worked: our configuration
            vendor.reply = GOOD
            seen.append(await look_once("chat", context(memory), **usual))
            vendor.reply = gone
            seen.append(await look_once("chat", context(memory), **usual))  # still listed
            vendor.listing = SHORT_LIST
            seen.append(await look_once("chat", context(memory), **usual))
            seen.append(await look_once("chat", context(memory), **(usual | {"model": "m-9"})))  # another request
        return seen

    reasons = [one.reason for one in driven.run(main())]
    assert reasons == [Reason.CONFIG, Reason.OK, Reason.CONFIG, Reason.MODEL_RETIRED, Reason.CONFIG]


def test_a_model_that_left_the_list_and_still_answers_is_a_warning() -> None:
    vendor = Vendor()
    memory: dict[str, Any] = {}
    every = {"models_every_s": "10m", "short_every_s": "1h"}
    seen = looks(vendor, [0, 11], memory, **every)
    vendor.listing = SHORT_LIST
    seen += looks(vendor, [22], memory, **every)
    assert [one.warnings for one in seen] == [(), (), ("model.not_listed",)]


def test_azure_lists_no_deployments_so_none_is_missed_there() -> None:
    vendor = Vendor()
    seen = looks(vendor, [0, 11, 22], dialect="azure", model="ours", models_every_s="10m", short_every_s="1h")
    assert [(one.reason, one.warnings) for one in seen] == [(Reason.OK, ())] * 3
    assert vendor.methods == "PGG"
    assert vendor.asked[1][0].startswith(b"GET /v1/openai/models?api-version=2024-10-21 ")


def test_a_changed_model_or_fingerprint_is_told_once() -> None:
    vendor = Vendor()
    memory: dict[str, Any] = {}
    looks(vendor, [0], memory)
    vendor.reply = GOOD.replace(b"fp_44709d6fcb", b"fp_new").replace(b"2026-08-12", b"2026-11-01")
    seen = looks(vendor, [1, 2], memory)
    assert [one.warnings for one in seen] == [("model.changed", "system_fingerprint.changed"), ()]


def test_a_key_that_worked_and_is_refused_now_is_marked() -> None:
    vendor = Vendor()
    memory: dict[str, Any] = {}

    async def main() -> Observation:
        async with serve(vendor) as port:
            usual: dict[str, Any] = {"base_url": f"http://127.0.0.1:{port}", "model": "m-1", "key": KEY}
            await look_once("chat", context(memory), **usual)
            vendor.reply = NO_KEY
            return await look_once("chat", context(memory), **usual)

    seen = driven.run(main())
    assert (seen.reason, seen.warnings) == (Reason.AUTH, ("auth.worked_before",))


def test_after_a_429_with_retry_after_the_vendor_is_left_alone() -> None:
    vendor = Vendor(http(429, openai_error("Rate limit", "requests", "rate_limit_exceeded"), "retry-after: 90"))
    memory: dict[str, Any] = {}
    seen = looks(vendor, [0, 1, 2], memory)
    assert [one.reason for one in seen] == [Reason.RATE_LIMIT] * 3
    assert len(vendor.asked) == 2


def test_rate_limit_headers_are_kept_with_the_look_and_the_tightest_is_told() -> None:
    told = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "400",
    }
    head = STREAM.replace(
        b"connection:", "".join(f"{name}: {value}\r\n" for name, value in told.items()).encode() + b"connection:"
    )
    (seen,) = looks(Vendor(head + b"".join(OPENAI.answer())), [0], {})
    assert seen.reason is Reason.OK
    assert seen.evidence is not None
    assert told.items() <= seen.evidence.headers.items()
    assert seen.evidence.excerpt == "", "the answer itself is nobody's business while it is good"
    assert seen.detail.endswith("; 400 of 1000 tokens left")


def test_rate_limits_in_anthropics_words_are_told_too() -> None:
    told = {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "0"}
    told |= {"anthropic-ratelimit-input-tokens-limit": "9", "anthropic-ratelimit-input-tokens-remaining": "8"}
    lines = [f"{name}: {value}" for name, value in told.items()]
    seen = chat(replays(http(429, anthropic_error("rate_limit_error", "slow"), "retry-after: 9", *lines)))
    assert (seen.reason, seen.retry_after_s) == (Reason.RATE_LIMIT, 9)
    assert seen.detail.endswith("; 0 of 50 requests left")
    assert seen.evidence is not None
    assert told.items() <= seen.evidence.headers.items()


def test_every_limit_in_one_header_is_read() -> None:
    left = ('"minute";r=30;t=10', '"day";r=0;t=9000')
    policy = 'ratelimit-policy: "minute";q=100;w=60, "day";q=1000;w=86400'
    for said, right in ((", ".join(left), Reason.RATE_LIMIT), (left[0], Reason.THROTTLED)):
        seen = chat(replays(http(429, b"{}", f"ratelimit: {said}", policy)))
        assert seen.reason is right, seen.detail


def test_rate_limit_headers_without_end_take_no_room_from_the_ledger() -> None:
    many = b"".join(b"x-ratelimit-remaining-%040d: %s\r\n" % (n, b"9" * 60) for n in range(300))
    long = b"x-ratelimit-" + b"a" * 9_000 + b": 9\r\n"
    memory: dict[str, Any] = {}
    head = STREAM.replace(b"connection:", many + long + b"connection:")
    (seen,) = looks(Vendor(head + b"".join(OPENAI.answer())), [0], memory)
    assert seen.evidence is not None
    assert len(seen.evidence.headers) > 5
    assert len(json.dumps(dict(seen.evidence.headers))) < 3_000
    assert memory["ledger"]["asks"] == 1


@pytest.mark.parametrize(("rest", "is_low"), [(b"6", True), (b"7", False), (b"0", True), (b"-1", False), (b"x", False)])
def test_a_limit_that_is_nearly_used_up_is_a_warning(rest: bytes, is_low: bool) -> None:
    more = b"HTTP/1.1 200 OK\r\nx-ratelimit-limit-tokens: 60\r\nx-ratelimit-remaining-tokens: " + rest + b"\r\n"
    seen = chat(replays(GOOD.replace(b"HTTP/1.1 200 OK\r\n", more)))
    assert seen.warnings == (("ratelimit.low",) if is_low else ())


@pytest.mark.parametrize("stream", [True, False])
def test_a_key_that_a_vendor_echoes_is_redacted_everywhere(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    echo = json.dumps({"error": {"message": f"bad key {KEY}", "type": KEY, "code": KEY}})
    for reply in (http(401, echo), http(200, echo), STREAM + b"data: " + echo.encode() + b"\n\n"):
        seen = chat(replays(reply), stream=stream)
        assert KEY not in repr(seen)
    model = GOOD.replace(b"gpt-6-luna-2026-08-12", KEY.encode())
    assert KEY not in repr(chat(replays(model)))
    assert KEY not in caplog.text


def test_options_refuse_what_cannot_work() -> None:
    good: dict[str, Any] = {"base_url": "https://api.example.com/v1/", "model": "m"}
    assert Options(**good).base_url == "https://api.example.com/v1"
    assert Options(**good).target() == "api.example.com"
    bad: list[dict[str, Any]] = [{"model": ""}, {"base_url": "api.example.com"}, {"max_tokens": 0}, {"stall_s": 5}]
    for change in [
        *bad,
        {"headers": {"Authorization": "x"}},
        {"dialect": "gemini"},
        {"budget_tokens_day": 103},
        {"budget_usd_day": 1.0},
        {"x": 1},
    ]:
        with pytest.raises(ValidationError):
            Options(**(good | change))


def test_the_simulated_vendor_is_understood_in_both_protocols() -> None:
    async def main() -> list[Observation]:
        async with serve_vendor() as vendor:
            vendor.set(latency_s=0.0, ttft_s=0.02, spread=0.0, chunk_gap_s=0.005)
            seen = []
            for dialect in ("openai", "anthropic"):
                for model in ("sim-chat", "sim-reasoner"):
                    usual = {"base_url": f"{vendor.url}/v1", "dialect": dialect, "model": model, "key": KEY}
                    seen.append(await look_once("chat", context(), **usual))
        return seen

    for one in driven.run(main()):
        assert one.reason is Reason.OK, one
        assert replace(one, phases=None).chat is not None
