"""Streams as servers really send them: media types, framing, ends, finish reasons, thoughts, place holders."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.chat.answer.endings import Ending, ending
from monitor.probes.chat.answer.thoughts import Thoughts
from tests.edges import driven
from tests.edges.hostile import serve
from tests.edges.probing import KEY, context, http, look_once, whole_request

OK, EMPTY, CUT = "ok", "service.empty", "service.truncated"
Row = tuple[str, str, bytes]
"""Expected reason, expected warnings, answer: ``TYPE`` (or nothing), a bar and the body, or a whole answer."""


def looks(answers: list[bytes], timeout_s: float = 5.0, **options: Any) -> list[Observation]:
    """Look at every answer, all on one server and one event loop; ``SLEEP`` in an answer is a pause."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await whole_request(reader)
        found = re.match(rb"\w+ /(\d+)", head)
        assert found is not None
        for part in re.split(rb"(SLEEP[\d.]+;)", answers[int(found[1])]):
            if part.startswith(b"SLEEP"):
                await asyncio.sleep(float(part[5:-1]))
            else:
                writer.write(part)
                await writer.drain()

    async def main() -> list[Observation]:
        usual = {"model": "m", "key": KEY, "canary": False, "models_every_s": None} | options
        async with serve(behave) as port:
            shared = context(timeout_s=timeout_s)  # one wire for all: a context of TLS takes long to make

            def look_at(number: int) -> Coroutine[Any, Any, Observation]:
                page = f"http://127.0.0.1:{port}/{number}"
                return look_once("chat", replace(shared, memory={}), base_url=page, **usual)

            return list(await asyncio.gather(*map(look_at, range(len(answers)))))

    return driven.run(main())


def head(kind: str | None) -> bytes:
    typed = f"content-type: {kind}\r\n" if kind is not None else ""
    return f"HTTP/1.1 200 OK\r\n{typed}connection: close\r\n\r\n".encode()


def event(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    delta = {"content": content} if content is not None else {}
    choice = {"index": 0, "delta": delta | more.pop("delta", {}), "finish_reason": finish} | more
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def usage(completion: int, prompt: int = 9) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return b"data: " + json.dumps({"id": "c", "choices": [], "usage": counts}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
GOOD = event("Hello") + event(" there") + event(finish="stop") + usage(3) + DONE
SSE = head("text/event-stream")


def verify(table: dict[str, Row], **options: Any) -> dict[str, Observation]:
    seen = dict(zip(table, looks([answer for _, _, answer in table.values()], **options), strict=True))
    wrong = []
    for name, (reason, notes, _) in table.items():
        told = {str(note) for note in seen[name].warnings}
        if seen[name].reason is not Reason(reason) or not told >= set(notes.split()):
            wrong.append(f"{name}: {seen[name].reason} {sorted(told)}; {seen[name].detail}")
    assert not wrong, "\n".join(wrong)
    return seen


TYPES = [
    *("text/plain", "text/plain; charset=utf-8", "application/octet-stream", "application/json", "text/html"),
    *("application/json; charset=utf-8", "application/x-ndjson", "text/html; charset=utf-8", "application/jsonl"),
    *("application/stream+json", "binary/octet-stream", "text/stream", "", None),
]


def test_an_event_stream_is_read_under_any_media_type_with_a_warning() -> None:
    table: dict[str, Row] = {f"as {kind}": (OK, "protocol.content_type", head(kind) + GOOD) for kind in TYPES}
    table["its own"] = (OK, "", SSE + GOOD)
    table["its own in capitals"] = (OK, "", head("Text/Event-Stream;charset=UTF-8") + GOOD)
    seen = verify(table)
    assert seen["its own"].warnings == ()
    assert seen["its own in capitals"].warnings == ()
    assert all(one.chat is not None and one.chat.output_tokens == 3 for one in seen.values())


def test_what_is_no_event_stream_does_not_become_one_by_its_type() -> None:
    page = b"<!DOCTYPE html><title>Sign in</title>"
    error = b'{"error":{"message":"Overloaded","type":"overloaded_error"}}'
    verify(
        {
            "a page": ("probe.blocked", "", head("text/html") + page),
            "a page with data: in it": ("probe.blocked", "", head("text/html") + page + b"<p>data: x"),
            "words": ("service.malformed", "", head("text/plain") + b"internal server error"),
            "words that look like a field": ("service.malformed", "", head("application/json") + b"error: no"),
            "an error as a page": ("service.overloaded", "", head("text/html") + error),
            "an error as a stream": ("service.overloaded", "", SSE + error),
            "nothing": (EMPTY, "", head("text/html")),
            "nothing as a stream": (EMPTY, "", SSE),
        }
    )


def test_every_framing_that_the_standard_knows_is_read() -> None:
    bare = GOOD.replace(b"data: ", b"data:")
    pretty = re.sub(rb"data: (\{.*\})", lambda found: b"data: " + found[1].replace(b", ", b",\ndata: "), GOOD)
    assert pretty.count(b"data: ") > 20
    verify(
        {
            "no space": (OK, "", SSE + bare),
            "CRLF": (OK, "", SSE + GOOD.replace(b"\n", b"\r\n")),
            "CR": (OK, "", SSE + GOOD.replace(b"\n", b"\r")),
            "BOM": (OK, "", SSE + b"\xef\xbb\xbf" + GOOD),
            "BOM as JSON": (OK, "protocol.content_type", head("application/json") + b"\xef\xbb\xbf" + GOOD),
            "comments": (OK, "", SSE + b": hi\n\n" + GOOD.replace(b"\n\n", b"\n\n: keep-alive\n\n")),
            "a comment in the event": (OK, "", SSE + GOOD.replace(b"data: {", b": note\ndata: {")),
            "blank lines first": (OK, "", head("application/json") + b"\n\n\n" + GOOD),
            "several data lines": (OK, "", SSE + pretty),
            "ids and retries": (OK, "", SSE + b"retry: 10\nid: 1\n" + GOOD.replace(b"data:", b"id: 7\ndata:")),
            "no blank line at the end": (OK, "", SSE + GOOD.rstrip(b"\n")),
            "one line end at the end": (OK, "", SSE + GOOD[:-1]),
            "cut in the last event": (CUT, "", SSE + event("Hello") + event(" there")[:-20]),
            "pings": (OK, "", SSE + b"event: ping\ndata: {}\n\n" + GOOD),
        }
    )


def test_the_protocols_own_end_is_an_end_without_a_finish_reason() -> None:
    hello = event("Hello")
    seen = verify(
        {
            "done": (OK, "protocol.no_finish", SSE + hello + DONE),
            "usage and done": (OK, "protocol.no_finish", SSE + hello + usage(3) + DONE),
            "camel": (OK, "protocol.no_finish", SSE + hello + event(finishReason="stop") + DONE),
            "camel filter": ("probe.policy", "", SSE + event(finishReason="SAFETY") + DONE),
            "null to the end": (OK, "protocol.no_finish", SSE + hello + event(finish=None) + DONE),
            "the word null": (OK, "protocol.no_finish", SSE + event("Hi", "null") + event("!", "null") + DONE),
            "empty words": (OK, "protocol.no_finish", SSE + event("Hi", "") + DONE),
            "reasoning alone": (OK, "protocol.no_finish", SSE + event(delta={"reasoning": "hm"}) + DONE),
            "done in quotes": (OK, "protocol.no_finish", SSE + hello + b'data: "[DONE]"\n\n'),
            "an event named done": (OK, "protocol.no_finish", SSE + hello + b"event: done\ndata: {}\n\n"),
            "done under another type": (OK, "protocol.no_finish", head("text/plain") + hello + DONE),
            "nothing and done": (EMPTY, "", SSE + DONE),
            "no word and done": (EMPTY, "", SSE + event("") + DONE),
            "cut": (CUT, "", SSE + hello),
            "cut after usage": (CUT, "", SSE + hello + usage(3)),
        }
    )
    assert "protocol.no_done" not in seen["done"].warnings


NATIVE = {
    "probe.policy": "SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY LANGUAGE MODEL_ARMOR "
    "FinishReason.SAFETY content_filter CONTENT_FILTER contentFilter content-filter content_filtered "
    "content_filter:PROHIBITED_CONTENT refusal sensitive guardrail_intervened ERROR_TOXIC moderation blocked",
    OK: "length MAX_TOKENS max_tokens maxTokens FinishReason.MAX_TOKENS FINISH_REASON_MAX_TOKENS model_length "
    "max_output_tokens token_limit ERROR_LIMIT model_context_window_exceeded Length",
    "service.midstream_error": "error ERROR network_error abort MALFORMED_FUNCTION_CALL cancelled internal_error "
    "TIMEOUT",
    "service.overloaded": "insufficient_system_resource INSUFFICIENT_SYSTEM_RESOURCE overloaded",
    EMPTY: "stop STOP end_turn COMPLETE eos eos_token stop_sequence OTHER FINISH_REASON_STOP something_new",
}


def test_finish_reasons_are_read_in_every_vendors_words_and_casing() -> None:
    table: dict[str, Row] = {}
    for reason, words in NATIVE.items():
        for finish in words.split():
            table[finish] = (
                reason,
                "",
                SSE + event("") + event(finish=finish) + usage(64 if reason == OK else 0) + DONE,
            )
    seen = verify(table)
    assert all("chat.spent_on_reasoning" in seen[name].warnings for name in NATIVE[OK].split())
    assert seen["FinishReason.SAFETY"].chat is not None
    assert seen["FinishReason.SAFETY"].chat.finish_reason == "FinishReason.SAFETY", "kept word for word"


@pytest.mark.parametrize("told", ["", "null", "None", "FINISH_REASON_UNSPECIFIED", "not_finished", " "])
def test_words_that_end_nothing_are_no_finish_reason(told: str) -> None:
    assert ending(told) is Ending.NONE


UNFINISHED = SSE.replace(b"\r\n\r\n", b"\r\ncontent-length: 9999\r\n\r\n")


def test_an_early_finish_reason_ends_nothing() -> None:
    thought = {"reasoning_content": "hm"}
    hm, early = event(delta=thought, finish="stop"), event("Hel", "stop")
    overload = b'data: {"error": {"message": "Overloaded", "type": "overloaded_error"}}\n\n'
    seen = verify(
        {
            "late": (OK, "", SSE + hm + b"SLEEP6;" + event("Hello", "stop") + DONE),
            "late error": ("service.overloaded", "", SSE + early + b"SLEEP6;" + overload),
            "stall": ("service.stalled", "", SSE + hm + b"SLEEP30;"),
            "closed after a silence": ("service.stalled", "", SSE + hm + b"SLEEP8;"),
            "role first": (OK, "", SSE + event("", "stop") + b"SLEEP6;" + event("Hello", "stop") + DONE),
            "stop on every chunk": (OK, "", SSE + early + event("lo", "stop") + event("!", "stop") + DONE),
            "and then silence": ("service.stalled", "", SSE + early + event("lo", "stop") + b"SLEEP30;"),
            "one chunk and an open end": (OK, "protocol.no_done", SSE + early + b"SLEEP30;"),
            "an open end": (OK, "protocol.no_done", SSE + event("Hi") + event(finish="stop") + b"SLEEP30;"),
            "closed at once": (OK, "protocol.no_done", SSE + early),
            "and then cut": ("service.truncated", "", UNFINISHED + event("", "stop") + event("Hel")),
            "limit with the last thought": (OK, "", SSE + event(delta=thought, finish="length") + b"SLEEP30;"),
        },
        timeout_s=40.0,
        stall_s="10s",
        first_token_slow_s=None,
    )  # fmt: skip
    assert "nothing" not in seen["one chunk and an open end"].detail
    assert seen["late"].chat is not None
    assert seen["late"].chat.chunks == 2


THINK = {
    "whole": ["<think>17+25 is 41, no</think>\n\n42"],
    "by letters": list("<think>no, 41</think>42"),
    "of another template": ["<thinking>41</thinking>", "42"],
    "in capitals": ["<THINK>41", "</Think>42"],
    "mark cut in two": ["<thi", "nk>41", "</th", "ink>", "42"],
    "opening mark in the prompt": ["41 or so", "</think>", "42"],
    "opening mark in the prompt, cut": ["41 or so</thi", "nk>\n\n42"],
    "blank first": ["\n", " <think>", "41</think>", " 42"],
    "kimi": ["◁think▷41◁/think▷42"],
    "cohere": ["<|START_THINKING|>41<|END_THINKING|>", "42"],
    "mistral": ["[THINK]41", "[/THINK]42"],
}


@pytest.mark.parametrize("name", THINK)
def test_thoughts_in_the_text_are_told_from_words_however_they_are_cut(name: str) -> None:
    thoughts, words = Thoughts(), ""
    for text in THINK[name]:
        piece = thoughts.feed(text)
        words = piece.text if piece.all_before else words + piece.text
    assert (words + thoughts.rest()).strip() == "42"


@pytest.mark.parametrize("text", ["a < b", "x <", "<3", "the tag <think> opens", "2<7>1", "<thinker>42"])
def test_text_that_only_looks_like_a_mark_is_kept(text: str) -> None:
    for size in (1, 3, len(text)):
        thoughts, words = Thoughts(), ""
        for start in range(0, len(text), size):
            words += thoughts.feed(text[start : start + size]).text
        assert words + thoughts.rest() == text


def test_thoughts_in_the_text_count_as_reasoning() -> None:
    thought = event("<think>") + event("17 + 25 is 41") + b"SLEEP0.1;" + event("</think>") + event("\n\nHello")
    body = b'{"choices":[{"message":{"content":"<think>41</think>%b"},"finish_reason":"%b"}],"usage":%b}'
    counts, spent = b'{"prompt_tokens":9,"completion_tokens":64}', event(finish="length")
    table: dict[str, Row] = {
        "streamed": (OK, "", SSE + thought + event(finish="stop") + usage(9) + DONE),
        "until the limit": (OK, "chat.spent_on_reasoning", SSE + event("<think>") + event("so") + spent + DONE),
        "whole": (OK, "", http(200, body % (b"Hello", b"stop", counts))),
        "whole until the limit": (OK, "chat.spent_on_reasoning", http(200, body % (b"", b"length", counts))),
    }  # fmt: skip
    streamed = verify(table)["streamed"].chat
    assert streamed is not None
    assert (streamed.first_answer_s or 0) - (streamed.ttft_s or 0) > 0.05


def test_usage_of_a_cut_stream_is_a_place_holder() -> None:
    counted = event("Hello", usage={"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10})
    nought = event("Hello") + event(" you") + event(finish="stop") + usage(0, 0) + DONE
    seen = verify(
        {
            "cut": (CUT, "", SSE + counted),
            "noughts": (OK, "protocol.no_usage", SSE + nought),
            "stalled": ("service.stalled", "", SSE + counted + b"SLEEP4;"),
            "whole": (OK, "", SSE + counted + event(finish="stop") + usage(5) + DONE),
        },
        stall_s="500ms",
    )
    told = {name: one.chat.output_tokens for name, one in seen.items() if one.chat is not None}
    assert told == {"cut": None, "noughts": None, "stalled": None, "whole": 5}


def a(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n".encode()


def test_anthropics_stream_is_read_wherever_its_words_stand() -> None:
    start = a("message_start", message={"model": "m", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}})
    block = a("content_block_start", index=0, content_block={"type": "text", "text": "Hello"})
    empty = a("content_block_start", index=0, content_block={"type": "text", "text": ""})
    thinking = a("content_block_start", index=0, content_block={"type": "thinking", "thinking": "hm"})
    word = a("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})
    tagged = a("content_block_delta", index=0, delta={"type": "text_delta", "text": "<think>hm</think>Hello"})
    ping = a("ping")
    end = a("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 6}) + a("message_stop")
    bare_end = a("message_stop")
    filtered = a("message_delta", delta={"stop_reason": "refusal"}, usage={"output_tokens": 0}) + bare_end
    window = a("message_delta", delta={"stop_reason": "model_context_window_exceeded"}, usage={"output_tokens": 6})
    seen = verify(
        {
            "in its beginning": (OK, "", SSE + start + block + end),
            "in a delta": (OK, "", SSE + start + ping + empty + ping + word + ping + end),
            "thought first": (OK, "", SSE + start + thinking + word + end),
            "tagged": (OK, "", SSE + start + tagged + end),
            "no stop reason": (OK, "protocol.no_finish", SSE + start + word + bare_end),
            "ended as OpenAI's": (OK, "protocol.no_finish", SSE + start + word + DONE),
            "as JSON": (OK, "protocol.content_type", head("application/json") + start + word + end),
            "no type": (OK, "protocol.content_type", head(None) + start + word + end),
            "refused": ("probe.policy", "", SSE + start + filtered),
            "full": (OK, "chat.spent_on_reasoning", SSE + start + thinking + window + bare_end),
            "cut": (CUT, "", SSE + start + block),
            "empty": (EMPTY, "", SSE + start + empty + end),
            "overloaded": ("service.overloaded", "", SSE + start + a("error", error={"type": "overloaded_error"})),
            "OpenAI's": ("probe.config", "", SSE + GOOD),
        },
        dialect="anthropic",
    )
    assert seen["cut"].chat is not None
    assert seen["cut"].chat.output_tokens is None


def test_an_answer_in_another_protocol_is_our_configuration() -> None:
    gemini = b'{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}],"usageMetadata":{}}'
    ollama = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}'
    message = b'{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}]}'
    cohere = b'{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hi"}}}}'
    answers = b'{"id":"resp_1","object":"response","status":"completed","output":[]}'
    old = b'data: {"choices":[{"text":"Hello","index":0,"finish_reason":null}]}\n\n'
    table: dict[str, Row] = {"completions": ("probe.config", "", SSE + old + DONE)}
    for name, body in {"gemini": gemini, "ollama": ollama, "claude": message, "cohere": cohere, "new": answers}.items():
        table[name] = ("probe.config", "", SSE + b"data: " + body + b"\n\n")
        table[f"{name} whole"] = ("probe.config", "", http(200, body))
    verify(table)


ERRORS = {
    "account.quota": [
        b'data: {"error":{"type":"budget_exceeded"}}',
        b'{"error":{"message":"Budget has been exceeded!"}}',
        b'data: {"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}',
    ],
    "service.overloaded": [
        b'data: [{"error":{"code":503,"status":"UNAVAILABLE"}}]',
        b'data: {"errors":[{"code":1,"message":"overloaded"}]}',
        b'data: {"detail":"the engine is overloaded"}',
        event(finish="error", error={"code": 503, "message": "x"}).strip(),
        event(finish="stop") + b'data: {"error":{"type":"overloaded_error"}}',
    ],
    "service.midstream_error": [b'data: {"error_code":336100,"error_msg":"try later"}', b"event: error\ndata: no"],
}


def test_an_error_in_the_stream_is_found_in_every_shape() -> None:
    hello, table = event("Hello"), {"behind the end": (OK, "", SSE + GOOD + b'data: {"error":{"message":"late"}}\n\n')}
    for reason, errors in ERRORS.items():
        table |= {error.decode(): (reason, "", SSE + hello + error + b"\n\n") for error in errors}
    verify(table)
