"""Every row of the failure taxonomy, in each vendor's own shape, asked over a real connection."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor import clock
from monitor.core.model.observations import Observation, Phases
from monitor.core.model.reasons import Outcome, Reason, Scope
from monitor.probes.chat.answer.reply import ApiError, Reply, api_error
from monitor.probes.chat.answer.seen import Seen
from monitor.probes.chat.answer.taxonomy import ROWS, classify
from monitor.probes.chat.edge import _seen_of
from monitor.wire import Answer
from tests.edges import driven
from tests.edges.chat_shapes import (
    ANTHROPIC,
    DEEPSEEK,
    OPENAI,
    OPENROUTER,
    STREAMS,
    VLLM,
    anthropic_error,
    openai_error,
    openrouter_error,
    vllm_error,
)
from tests.edges.hostile import silent
from tests.edges.probing import CHUNKED_STREAM, STREAM, chat, chunk, context, http, look_once, replays

REFUSALS = yaml.safe_load(Path(__file__).with_name("chat_refusals.yaml").read_text(encoding="utf-8"))


def dialect_of(name: str) -> dict[str, Any]:
    return {"dialect": "anthropic"} if "anthropic" in name else {}


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: str(case["name"]))
def test_a_refusal_is_classed_by_whose_trouble_it_is(case: dict[str, Any]) -> None:
    body = case.get("body", "")
    kind = case.get("kind") or ("text/html; charset=utf-8" if body.startswith("<") else "application/json")
    seen = chat(replays(http(case["status"], body, *case.get("headers", ()), kind=kind)), **dialect_of(case["name"]))
    assert (seen.reason, seen.http_status) == (Reason(case["reason"]), case["status"])
    assert seen.detail
    assert seen.evidence is not None


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: str(case["name"]))
def test_a_refusal_is_classed_by_its_own_row_of_the_table(case: dict[str, Any]) -> None:
    document, headers = case.get("body", ""), dict(line.split(": ", 1) for line in case.get("headers", ()))
    headers["content-type"] = case.get("kind") or ("text/html" if document.startswith("<") else "application/json")
    body = document.encode()
    answer = Answer(
        "https://x.example/", case["status"], [(name.encode(), value.encode()) for name, value in headers.items()],
        "HTTP/1.1", "192.0.2.1", None, 0, body, Phases(), len(body),
    )  # fmt: skip
    seen = _seen_of(answer)
    if case["status"] < 300 and not seen.html:
        seen.reply.error = api_error(json.loads(document))
    row, reason = classify(seen)
    assert (row.number, reason) == (case["row"], Reason(case["reason"]))


def test_every_vendor_of_a_preset_has_a_refusal_for_each_of_the_common_rows() -> None:
    rows: dict[str, set[int]] = {}
    for case in REFUSALS:
        rows.setdefault(case["name"].split()[0], set()).add(case["row"])
    for vendor in ("openai", "anthropic", "deepseek", "google", "mistral", "xai", "alibaba", "moonshot", "zhipu"):
        assert rows[vendor] >= {5, 12, 14}, vendor
        assert rows[vendor] & {7, 8, 10, 11}, vendor
    assert rows["openrouter"] >= {5, 7, 8, 11, 12, 13, 14, 23}
    assert set().union(*rows.values()) == {*range(4, 15), 23}


def answered(vendor: str, *parts: bytes, **more: Any) -> Observation:
    options = {key: more.pop(key) for key in [*more] if key not in ("pauses", "then", "ctx")}
    ctx = more.pop("ctx", None)
    return chat(replays(STREAM, *parts, **more), ctx, **(dialect_of(vendor) | options))


@pytest.mark.parametrize("vendor", STREAMS)
def test_a_good_answer_is_ok_with_every_number(vendor: str) -> None:
    shape = STREAMS[vendor]
    parts = (
        shape.opening,
        shape.reasoning or b": nothing\n\n",
        shape.word,
        shape.word.replace(b"@SUM@", b" "),
        shape.finish,
    )
    seen = answered(vendor, *parts, shape.end, pauses=dict.fromkeys(range(1, 6), 0.03))
    assert (seen.reason, seen.warnings) == (Reason.OK, ())
    times = seen.chat
    assert times is not None
    assert times.ttft_s is not None
    assert times.first_answer_s is not None
    assert times.last_token_s is not None
    if shape.reasoning:
        assert 0.02 < times.first_answer_s - times.ttft_s < 0.3
    else:
        assert times.first_answer_s == times.ttft_s
    assert times.last_token_s > times.first_answer_s
    assert times.output_tokens
    assert times.input_tokens
    assert times.tpot_s == pytest.approx((times.last_token_s - times.ttft_s) / (times.output_tokens - 1))
    assert times.tokens_per_s == pytest.approx(times.output_tokens / times.last_token_s)
    assert times.longest_gap_s is not None
    assert times.itl_p50_s is not None
    assert times.longest_gap_s >= times.itl_p50_s > 0.02
    assert times.model
    assert seen.evidence is None


def test_the_gaps_of_a_stream_are_summed_up_by_their_middle_and_their_longest() -> None:
    seen = answered(
        "openai", OPENAI.opening, *[OPENAI.word] * 5, OPENAI.finish, OPENAI.end, pauses={3: 0.02, 4: 0.02, 6: 0.25}
    )
    assert seen.chat is not None
    assert seen.chat.chunks == 5
    assert seen.chat.longest_gap_s is not None
    assert seen.chat.longest_gap_s > 0.2
    assert seen.chat.itl_p50_s is not None
    assert seen.chat.itl_p50_s < 0.15


def test_the_wait_for_the_headers_is_no_part_of_the_queue() -> None:
    seen = answered("deepseek", b": keep-alive\n\n", *DEEPSEEK.answer(), pauses={0: 0.4, 2: 0.05})
    assert seen.chat is not None
    assert seen.chat.ttft_s is not None
    assert seen.chat.queue_s is not None
    assert seen.chat.ttft_s > 0.4
    assert 0.04 < seen.chat.queue_s < 0.3


def test_tokens_of_reasoning_are_counted_apart() -> None:
    seen = answered("deepseek", *DEEPSEEK.answer())
    assert seen.chat is not None
    assert (seen.chat.output_tokens, seen.chat.reasoning_tokens, seen.chat.input_tokens) == (42, 40, 18)


def test_more_signs_of_life_than_any_answer_needs_are_too_large() -> None:
    seen = answered("openai", b":\n" * 20_001, then=5)
    assert seen.reason is Reason.TOO_LARGE
    assert "more events" in seen.detail


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_token_of_reasoning_is_known_by_either_name_alone(name: str) -> None:
    thought = OPENAI.word.replace(b'"content":"@SUM@"', f'"{name}":"Okay"'.encode())
    assert thought != OPENAI.word
    seen = answered("vllm", OPENAI.opening, thought, *OPENAI.answer()[1:], pauses={3: 0.05})
    assert seen.reason is Reason.OK
    assert seen.chat is not None
    assert seen.chat.chunks == 2
    assert seen.chat.first_answer_s is not None
    assert seen.chat.ttft_s is not None
    assert seen.chat.first_answer_s - seen.chat.ttft_s > 0.03


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_19_an_orderly_end_without_a_finish_reason_is_truncated(vendor: str) -> None:
    shape = STREAMS[vendor]
    assert answered(vendor, shape.opening, shape.word).reason is Reason.TRUNCATED


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_19_a_connection_that_breaks_after_a_token_is_truncated(vendor: str) -> None:
    shape = STREAMS[vendor]
    word = shape.word.replace(b"@SUM@", b"4")
    seen = chat(replays(CHUNKED_STREAM, chunk(shape.opening), chunk(word)), **dialect_of(vendor))
    assert seen.reason is Reason.TRUNCATED
    assert seen.chat is not None
    assert seen.chat.ttft_s is not None


def test_a_connection_that_breaks_before_anything_arrived_is_a_protocol_fault() -> None:
    assert chat(replays(CHUNKED_STREAM, b"5\r\nda")).reason is Reason.PROTOCOL


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_17_silence_after_a_token_is_a_stall(vendor: str) -> None:
    shape = STREAMS[vendor]
    seen = answered(vendor, shape.opening, shape.word, then=5)
    assert seen.reason is Reason.STALLED
    assert seen.chat is not None
    assert seen.chat.ttft_s is not None


@pytest.mark.parametrize("sign", [b": keep-alive\n\n", b"\n", b'event: ping\ndata: {"type":"ping"}\n\n'])
def test_row_17_signs_of_life_do_not_wind_the_stall_clock(sign: bytes) -> None:
    dialect = "anthropic" if b"ping" in sign else "openai"
    shape = STREAMS[dialect]
    beats = dict.fromkeys(range(3, 20), 0.05)
    seen = answered(dialect, shape.opening, shape.word, *[sign] * 20, shape.finish, shape.end, pauses=beats)
    assert seen.reason is Reason.STALLED
    assert seen.chat is not None
    assert seen.chat.keepalives >= 3


def test_empty_deltas_do_not_wind_the_stall_clock() -> None:
    beats = dict.fromkeys(range(3, 20), 0.05)
    seen = answered("openai", OPENAI.word, *[OPENAI.opening] * 20, OPENAI.finish, OPENAI.end, pauses=beats)
    assert seen.reason is Reason.STALLED


@pytest.mark.parametrize("sign", [b": keep-alive\n\n", b": OPENROUTER PROCESSING\n\n", b"\n"])
def test_row_15_a_late_first_token_behind_keep_alives_is_queued(sign: bytes) -> None:
    parts = (*[sign] * 5, *DEEPSEEK.answer())
    seen = answered("deepseek", *parts, pauses={2: 0.05, 4: 0.1}, first_token_slow_s="100ms")
    assert (seen.reason, seen.outcome) == (Reason.QUEUED, Outcome.SLOW)
    assert seen.chat is not None
    assert seen.chat.keepalives == 5
    assert seen.chat.queue_s is not None
    assert 0.14 < seen.chat.queue_s < 0.5


def test_row_16_keep_alives_until_our_deadline_are_a_queue_without_end() -> None:
    signs = dict.fromkeys(range(60), 0.02)
    seen = answered("deepseek", *[b": keep-alive\n\n"] * 60, pauses=signs, ctx=context(timeout_s=0.4))
    assert seen.reason is Reason.TIMEOUT_QUEUED


def test_row_16_a_server_that_gives_up_while_we_queue_is_the_same() -> None:
    assert answered("deepseek", b": keep-alive\n\n", b": keep-alive\n\n").reason is Reason.TIMEOUT_QUEUED


def test_row_16_blank_lines_before_a_whole_answer_are_a_queue_too() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    seen = chat(replays(head, b"\n", b"\n", then=5), context(timeout_s=0.4), stream=False)
    assert seen.reason is Reason.TIMEOUT_QUEUED


def test_row_16_a_whole_answer_that_is_half_here_at_the_deadline_was_not_queued() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    seen = chat(replays(head, b'{"id":"x","choices":[', then=5), context(timeout_s=0.4), stream=False)
    assert seen.reason is Reason.TIMEOUT_TOTAL


@pytest.mark.parametrize("vendor", STREAMS)
def test_rows_15_and_16_a_queue_is_told_in_every_vendors_stream(vendor: str) -> None:
    shape = STREAMS[vendor]
    sign = b'event: ping\ndata: {"type":"ping"}\n\n' if vendor == "anthropic" else b": keep-alive\n\n"
    late = answered(vendor, sign, sign, *shape.answer(), pauses={2: 0.15}, first_token_slow_s="100ms")
    assert (late.reason, late.outcome) == (Reason.QUEUED, Outcome.SLOW)
    endless = answered(vendor, *[sign] * 30, pauses=dict.fromkeys(range(30), 0.04), ctx=context(timeout_s=0.8))
    assert endless.reason is Reason.TIMEOUT_QUEUED


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_18_an_overload_is_read_in_every_vendors_stream(vendor: str) -> None:
    shape = STREAMS[vendor]
    errors = {
        "anthropic": anthropic_error("overloaded_error", "Overloaded"),
        "openrouter": openrouter_error(503, "No available provider"),
        "vllm": vllm_error(503, "ServiceUnavailableError", "overloaded"),
    }
    error = errors.get(vendor, openai_error("The engine is currently overloaded", "server_error")).encode()
    event = b"event: error\n" * (vendor == "anthropic") + b"data: " + error + b"\n\n"
    assert answered(vendor, shape.opening, shape.word, event, then=0.2).reason is Reason.OVERLOADED


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_20_a_missing_end_is_a_warning_in_every_vendors_stream(vendor: str) -> None:
    shape = STREAMS[vendor]
    seen = answered(vendor, shape.opening, shape.word, shape.finish)
    assert seen.reason is Reason.OK
    assert "protocol.no_done" in seen.warnings


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_22_events_that_are_no_answer_are_malformed_in_every_vendors_stream(vendor: str) -> None:
    assert answered(vendor, b"data: {broken\n\n", b"data: {broken\n\n").reason is Reason.MALFORMED


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_24_a_wrong_sum_is_a_soft_signal_in_every_vendors_stream(vendor: str) -> None:
    shape = STREAMS[vendor]
    seen = answered(vendor, shape.opening, shape.word.replace(b"@SUM@", b"7"), shape.finish, shape.end)
    assert (seen.reason, seen.outcome) == (Reason.QUALITY, Outcome.SLOW)


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_25_a_late_answer_is_slow_in_every_vendors_stream(vendor: str) -> None:
    limits = {"first_token_slow_s": None, "answer_slow_s": "50ms"}
    seen = answered(vendor, *STREAMS[vendor].answer(), pauses={2: 0.08}, **limits)
    assert (seen.reason, seen.outcome) == (Reason.SLOW, Outcome.SLOW)


MIDSTREAM: dict[str, tuple[Reason, str]] = {
    "openai server_error": (Reason.SERVER_ERROR, openai_error("The server had an error", "server_error")),
    "anthropic overloaded": (Reason.OVERLOADED, anthropic_error("overloaded_error", "Overloaded")),
    "anthropic rate": (Reason.THROTTLED, anthropic_error("rate_limit_error", "exceeded")),
    "deepseek balance": (Reason.QUOTA, openai_error("Insufficient Balance", "unknown_error", "insufficient_balance")),
    "vllm old shape": (Reason.SERVER_ERROR, vllm_error(500, "InternalServerError", "boom")),
    "vllm bad request": (Reason.CONFIG, vllm_error(400, "BadRequestError", "too long")),
    "openrouter 502": (Reason.OVERLOADED, openrouter_error(502, "Provider disconnected")),
    "sglang": (Reason.MIDSTREAM_ERROR, '{"error":{"message":"something new"}}'),
    "a bare text": (Reason.MIDSTREAM_ERROR, '{"error":"stream broke"}'),
}


@pytest.mark.parametrize("name", MIDSTREAM)
@pytest.mark.parametrize("after", [0, 1])
def test_row_18_an_error_in_the_stream_is_classed_by_its_own_code(name: str, after: int) -> None:
    reason, error = MIDSTREAM[name]
    is_anthropic = "anthropic" in name
    event = b"event: error\n" * is_anthropic + b"data: " + error.encode() + b"\n\n"
    shape = ANTHROPIC if is_anthropic else VLLM
    seen = answered(name, shape.opening, *[shape.word] * after, event, then=0.2)
    assert seen.reason is reason
    assert seen.http_status == 200


def test_row_18_openrouter_puts_the_error_beside_a_choice() -> None:
    event = (
        b'data: {"id":"gen-1","object":"chat.completion.chunk","provider":"Novita","error":{"code":429,"message":'
        b'"Rate limit exceeded"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n'
    )
    assert answered("openrouter", OPENROUTER.opening, OPENROUTER.word, event).reason is Reason.THROTTLED


@pytest.mark.parametrize(("vendor", "word"), [("openrouter", "error"), ("openai", "network_error"), ("vllm", "abort")])
@pytest.mark.parametrize("after", [0, 1])
def test_row_18_a_finish_reason_that_says_error_is_one(vendor: str, word: str, after: int) -> None:
    shape = STREAMS[vendor]
    seen = answered(vendor, shape.opening, *[shape.word] * after, shape.finishing(word), shape.end)
    assert seen.reason is Reason.MIDSTREAM_ERROR


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"event: error\ndata: upstream connect error\n\n", Reason.MIDSTREAM_ERROR),
        (b'event: error\ndata: {"code":503,"msg":"busy"}\n\n', Reason.MIDSTREAM_ERROR),
        (b'event: error\ndata: {"error":{"message":"The engine is currently overloaded"}}\n\n', Reason.OVERLOADED),
    ],
)
def test_row_18_an_event_named_error_is_one_whatever_is_in_it(event: bytes, reason: Reason) -> None:
    assert answered("openai", OPENAI.opening, OPENAI.word, event, then=0.2).reason is reason


def test_row_18_a_whole_answer_may_hold_the_error_in_its_choice() -> None:
    body = (
        '{"id":"gen-1","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"error",'
        '"error":{"code":503,"message":"Provider returned error"}}]}'
    )
    assert chat(replays(http(200, body)), stream=False).reason is Reason.OVERLOADED


@pytest.mark.parametrize("sign", [b"data:\n\n", b"event: ping\ndata: {}\n\n", b"event: keep-alive\ndata: null\n\n"])
def test_events_that_stand_for_nothing_are_signs_of_life(sign: bytes) -> None:
    good = answered("openai", sign, *OPENAI.answer())
    assert (good.reason, good.warnings) == (Reason.OK, ())
    queued = answered("openai", *[sign] * 8, pauses=dict.fromkeys(range(1, 8), 0.1), ctx=context(timeout_s=0.5))
    assert queued.reason is Reason.TIMEOUT_QUEUED


def test_row_11_a_lack_of_resources_in_mid_answer_is_overload() -> None:
    last = DEEPSEEK.finishing("insufficient_system_resource")
    assert answered("deepseek", DEEPSEEK.opening, DEEPSEEK.word, last, DEEPSEEK.end).reason is Reason.OVERLOADED


def test_row_20_a_missing_end_is_only_worth_a_warning() -> None:
    seen = answered("openai", OPENAI.opening, OPENAI.word, OPENAI.finish)
    assert seen.reason is Reason.OK
    assert set(seen.warnings) == {"protocol.no_done", "protocol.no_usage"}


@pytest.mark.parametrize("vendor", STREAMS)
def test_row_21_an_answer_without_a_token_is_empty(vendor: str) -> None:
    shape = STREAMS[vendor]
    assert answered(vendor, shape.opening, shape.finish, shape.end).reason is Reason.EMPTY


def test_row_21_a_200_without_a_body_is_empty() -> None:
    assert chat(replays(http(200)), stream=False).reason is Reason.EMPTY
    assert chat(replays(STREAM)).reason is Reason.EMPTY


@pytest.mark.parametrize(
    "body", ["{broken", '{"hello":1}', "[]", "null", '{"choices":[]}', '{"choices":"none"}', "[" * 9999]
)
def test_row_22_a_body_of_the_wrong_shape_is_malformed(body: str) -> None:
    for stream in (False, True):
        assert chat(replays(http(200, body)), stream=stream).reason is Reason.MALFORMED
    assert answered("openai", b"data: " + body.encode() + b"\n\n").reason in (Reason.MALFORMED, Reason.TRUNCATED)
    assert chat(replays(http(200, body)), stream=False, dialect="anthropic").reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("vendor", "word"), [("openai", "content_filter"), ("anthropic", "refusal"), ("vllm", "sensitive")]
)
def test_row_23_a_filter_on_our_own_prompt_is_no_outage(vendor: str, word: str) -> None:
    shape = STREAMS[vendor]
    seen = answered(vendor, shape.opening, shape.finishing(word), shape.end)
    assert (seen.reason, seen.outcome) == (Reason.POLICY, Outcome.UNKNOWN)


@pytest.mark.parametrize("text", [b"7", b"I cannot help with that.", "我不知道".encode()])
def test_row_24_a_wrong_answer_is_a_soft_signal(text: bytes) -> None:
    word = OPENAI.word.replace(b"@SUM@", text)
    seen = answered("openai", OPENAI.opening, word, OPENAI.finish, OPENAI.end)
    assert (seen.reason, seen.outcome) == (Reason.QUALITY, Outcome.SLOW)


def test_row_25_a_late_first_token_without_keep_alives_is_slow() -> None:
    seen = answered("openai", *OPENAI.answer(), pauses={2: 0.15}, first_token_slow_s="100ms")
    assert (seen.reason, seen.outcome) == (Reason.SLOW, Outcome.SLOW)


def test_row_25_an_answer_cut_by_our_deadline_while_tokens_come_is_slow_not_down() -> None:
    words = [DEEPSEEK.reasoning] * 40
    beats = dict.fromkeys(range(1, 40), 0.05)
    seen = answered("deepseek", DEEPSEEK.opening, *words, pauses=beats, ctx=context(timeout_s=0.5))
    assert seen.reason is Reason.SLOW
    assert "deadline" in seen.detail


@pytest.mark.parametrize("vendor", ["deepseek", "openrouter", "vllm", "anthropic"])
def test_a_model_that_thinks_until_its_limit_is_not_down(vendor: str) -> None:
    shape = STREAMS[vendor]
    spent = shape.finishing("max_tokens" if vendor == "anthropic" else "length")
    seen = answered(vendor, shape.opening, shape.reasoning, shape.reasoning, spent, shape.end)
    assert seen.reason is Reason.OK
    assert {"chat.spent_on_reasoning", "canary.no_verdict"} <= set(seen.warnings)


def test_hidden_reasoning_that_spends_the_limit_is_not_down() -> None:
    seen = answered("openai", OPENAI.opening, OPENAI.finishing("length"), OPENAI.end)
    assert seen.reason is Reason.OK
    assert "chat.spent_on_reasoning" in seen.warnings


HIDDEN = {
    "google": b'"usage":{"completion_tokens":0,"prompt_tokens":21,"total_tokens":85}',
    "google through a gateway": b'"usage":{"completion_tokens":0,"total_tokens":81,"prompt_tokens":21,'
    b'"completion_tokens_details":{"reasoning_tokens":60}}',
    "xai": b'"usage":{"prompt_tokens":21,"completion_tokens":0,"total_tokens":85,"prompt_tokens_details":'
    b'{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":64}}',
}


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("stream", [True, False])
def test_thinking_that_is_left_out_of_the_completion_is_counted(name: str, stream: bool) -> None:
    usage = HIDDEN[name]
    body = b'{"choices":[{"index":0,"%b":{"role":"assistant"},"finish_reason":"length"}],"model":"m",%b}'
    answer = STREAM + b"data: " + body % (b"delta", usage) + b"\n\ndata: [DONE]\n\n"
    seen = chat(replays(answer if stream else http(200, body % (b"message", usage))), stream=stream)
    assert seen.reason is Reason.OK, seen.detail
    assert "chat.spent_on_reasoning" in seen.warnings
    assert seen.chat is not None
    assert seen.chat.output_tokens == seen.chat.reasoning_tokens
    assert seen.chat.output_tokens in (60, 64)


def test_row_13_no_headers_in_time_is_its_own_reason() -> None:
    assert chat(silent, context(timeout_s=0.3)).reason is Reason.TIMEOUT_HEADERS
    ctx, held_s = context(timeout_s=20), 0.0

    async def times(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal held_s
        try:
            await reader.read()  # the request
            await reader.read()  # and the end
        finally:
            held_s = clock.monotonic() - ctx.started_s

    early = chat(times, ctx, headers_timeout_s="200ms")
    assert early.reason is Reason.TIMEOUT_HEADERS
    assert 0.2 <= held_s < 0.3, "its own limit, not the deadline"
    assert early.phases is not None
    assert early.phases.connect_s is not None
    assert early.phases.request_s is not None


def test_row_3_a_refused_connection_is_the_services() -> None:
    async def main() -> Observation:
        return await look_once("chat", context(), base_url="http://127.0.0.1:9", model="m", key="sk-x")

    assert driven.run(main()).reason is Reason.CONNECT


@pytest.mark.parametrize(
    ("wire", "row"),
    [(Reason.NETWORK, 1), (Reason.DNS, 2), (Reason.CONNECT, 3), (Reason.CERTIFICATE_EXPIRED, 3), (Reason.ADDRESS, 3),
     (Reason.TIMEOUT_TLS, 3), (Reason.TIMEOUT_CONNECT, 3), (Reason.PROTOCOL, 3), (Reason.TIMEOUT_HEADERS, 13)],
)  # fmt: skip
def test_rows_1_to_3_keep_the_wires_own_word(wire: Reason, row: int) -> None:
    found, reason = classify(Seen(wire=wire))
    assert (found.number, reason) == (row, wire)


def test_row_9_at_a_steady_pace_slow_down_is_the_vendors_overload() -> None:
    response = http(429, openai_error("Slow down", "server_error", "slow_down"))
    assert chat(replays(response), context({"answered": 50})).reason is Reason.OVERLOADED


@pytest.mark.parametrize(
    ("worked", "listed", "reason"),
    [
        (True, False, Reason.MODEL_RETIRED),
        (False, False, Reason.CONFIG),
        (True, True, Reason.CONFIG),
        (True, None, Reason.CONFIG),
    ],
)
def test_row_14_a_model_is_retired_only_by_two_facts(worked: bool, listed: bool | None, reason: Reason) -> None:
    gone = Reply(error=ApiError("The model does not exist", "invalid_request_error", "model_not_found"))
    assert classify(Seen(status=404, reply=gone, worked_before=worked, listed=listed))[1] is reason


def test_every_row_of_the_table_is_there_and_the_last_one_takes_all() -> None:
    assert {row.number for row in ROWS} == set(range(1, 26))
    assert ROWS[-1].reason is Reason.OK
    assert {row.reason.scope for row in ROWS if isinstance(row.reason, Reason)} == set(Scope)
