"""Canaries of tools and schemas: what is asked in each dialect, which answers are right, and what they cost."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.chat.answer.booking import TABLE, order
from monitor.probes.chat.answer.canary import Verdict
from monitor.probes.chat.answer.reply import Reply
from monitor.probes.chat.options import Options
from tests.edges import driven
from tests.edges.hostile import serve
from tests.edges.probing import KEY, STREAM, context, http, look_once, whole_request

ORDER = re.compile(rb"Book a table for (\d) people at ([\d:]+) in the name of (\w+)\.")
TORN = (0, 3, 11, 30)


def data(*events: dict[str, Any]) -> bytes:
    """Write events as both kinds of protocols do: with a name where they have a type."""
    named = (f"event: {event['type']}\n" if "type" in event else "" for event in events)
    return "".join(f"{name}data: {json.dumps(event)}\n\n" for name, event in zip(named, events, strict=True)).encode()


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in zip(TORN, (*TORN[1:], None), strict=True)]


def chat_stream(text: str, *, indexed: bool = True) -> bytes:
    """OpenAI, vLLM; without an index as some gateways of Gemini."""
    at = {"index": 0} if indexed else {}
    first = at | {"id": "call_1", "type": "function", "function": {"name": TABLE.name, "arguments": ""}}
    calls = [first, *(at | {"function": {"arguments": piece}} for piece in pieces(text))]
    chunks: list[dict[str, Any]] = [{"delta": {"content": None, "tool_calls": [call]}} for call in calls]
    chunks.append({"delta": {}, "finish_reason": "tool_calls"})
    usage = {"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 24}}
    return STREAM + data(*({"model": "m", "choices": [chunk]} for chunk in chunks), usage) + b"data: [DONE]\n\n"


def chat_whole(text: str) -> bytes:
    call = {"id": "call_1", "type": "function", "function": {"name": TABLE.name, "arguments": text}}
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}}
    return http(200, json.dumps({"model": "m", "choices": [choice | {"finish_reason": "tool_calls"}]}))


MESSAGE: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": [],
    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 530, "output_tokens": 1},
}  # fmt: skip


def messages_stream(text: str) -> bytes:
    start = {"type": "tool_use", "id": "toolu_1", "name": TABLE.name, "input": {}}
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(text)))
    return STREAM + data(
        {"type": "message_start", "message": MESSAGE},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I book it."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": start},
        *({"type": "content_block_delta", "index": 1, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 60}},
        {"type": "message_stop"},
    )


def messages_whole(text: str) -> bytes:
    block = {"type": "tool_use", "id": "toolu_1", "name": TABLE.name, "input": json.loads(text)}
    return http(200, json.dumps({"type": "message", "content": [block], "stop_reason": "tool_use"}))


def responses_item(text: str) -> dict[str, Any]:
    return {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": TABLE.name, "arguments": text}


def responses_stream(text: str) -> bytes:
    delta = {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1}
    whole = {"object": "response", "status": "completed", "output": [responses_item(text)]}
    return STREAM + data(
        {"type": "response.output_item.added", "output_index": 1, "item": responses_item("")},
        *(delta | {"delta": piece} for piece in pieces(text)),
        {"type": "response.output_item.done", "output_index": 1, "item": responses_item(text)},
        {"type": "response.completed", "response": whole},
    )


def responses_whole(text: str) -> bytes:
    return http(200, json.dumps({"object": "response", "status": "completed", "output": [responses_item(text)]}))


CALLS: dict[str, tuple[str, bool, Callable[[str], bytes]]] = {
    "a stream of chat completions": ("openai", True, chat_stream),
    "a stream without indexes": ("openai", True, lambda text: chat_stream(text, indexed=False)),
    "a whole answer of chat completions": ("openai", False, chat_whole),
    "Azure's": ("azure", True, chat_stream),
    "a stream of Messages": ("anthropic", True, messages_stream),
    "a whole answer of Messages": ("anthropic", False, messages_whole),
    "a stream of responses": ("responses", True, responses_stream),
    "a whole response": ("responses", False, responses_whole),
}


def look(said: Callable[[dict[str, Any]], bytes], **options: Any) -> tuple[Observation, dict[str, Any]]:
    """Look once at a server that says something of the booking that it was asked for; return also what was asked."""
    asked: list[dict[str, Any]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await whole_request(reader)
        asked.append(json.loads(body))
        found = ORDER.search(body)
        assert found is not None
        writer.write(said({"name": found[3].decode(), "guests": int(found[1]), "time": found[2].decode()}))
        await writer.drain()

    async def main() -> Observation:
        usual = {"model": "m", "key": KEY, "models_every_s": None} | options
        async with serve(behave) as port:
            return await look_once("chat", replace(context(), memory={}), base_url=f"http://127.0.0.1:{port}", **usual)

    return driven.run(main()), asked[0]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_a_tool_is_right_with_its_arguments_in_every_dialect(name: str) -> None:
    dialect, stream, say = CALLS[name]
    usual: dict[str, Any] = {"dialect": dialect, "stream": stream, "canary": "tool_call"}
    seen, asked = look(lambda booked: say(json.dumps(booked)), **usual)
    assert seen.reason is Reason.OK, seen.detail
    assert json.dumps(asked["tools"]).count(json.dumps(TABLE.schema)) == 1
    seen, _ = look(lambda booked: say(json.dumps(booked | {"guests": 12})), **usual)
    assert seen.reason is Reason.QUALITY
    assert "asked a tool call and got" in seen.detail


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "responses"])
def test_a_schema_is_asked_in_the_words_of_the_dialect(dialect: str) -> None:
    def say(booked: dict[str, Any]) -> bytes:
        text = json.dumps(booked, indent=1)
        if dialect == "anthropic":
            return http(200, json.dumps({"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}))
        if dialect == "responses":
            part = {"type": "output_text", "text": text}
            return http(200, json.dumps({"status": "completed", "output": [{"type": "message", "content": [part]}]}))
        return http(200, json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}))

    seen, asked = look(say, dialect=dialect, stream=False, canary="json_schema")
    assert seen.reason is Reason.OK, seen.detail
    named = {"name": TABLE.name, "strict": True, "schema": TABLE.schema}
    held: dict[str, Any] = {
        "openai": {"response_format": {"type": "json_schema", "json_schema": named}},
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": TABLE.schema}}},
        "responses": {"text": {"format": {"type": "json_schema"} | named}},
    }
    assert held[dialect].items() <= asked.items()
    assert "tools" not in asked


def test_a_booking_is_held_by_its_values_and_nothing_else() -> None:
    booking = order(random.Random(3), by_tool=False)
    right = {"name": booking.name, "guests": booking.guests, "time": booking.time}
    for text in (json.dumps(right), json.dumps(right | {"name": f" {booking.name.upper()} "}, indent=2)):
        assert booking.verdict(Reply(words=[text]), cut=False) is Verdict.RIGHT
    wrong: list[Any] = [
        right | {"guests": str(booking.guests)},
        right | {"guests": float(booking.guests)},
        right | {"guests": True},
        right | {"table": 4},
        right | {"time": f"{booking.time}:00"},
        {"name": booking.name, "guests": booking.guests},
        [right],
        "booked",
    ]
    texts = [*map(json.dumps, wrong), f"```json\n{json.dumps(right)}\n```", json.dumps(right)[:-1], ""]
    for text in texts:
        assert booking.verdict(Reply(words=[text]), cut=False) is Verdict.WRONG, text
        assert booking.verdict(Reply(words=[text]), cut=True) is Verdict.NONE, text


def test_another_tool_or_two_calls_or_words_instead_are_wrong() -> None:
    booking = order(random.Random(3), by_tool=True)
    text = json.dumps({"name": booking.name, "guests": booking.guests, "time": booking.time})
    right, other, twice = Reply(), Reply(), Reply()
    right.call(0, TABLE.name, text)
    other.call(0, "book_room", text)
    twice.call(0, TABLE.name, text)
    twice.call(1, TABLE.name, text)
    judged = [booking.verdict(one, cut=False) for one in (right, other, twice, Reply(words=[text]))]
    assert judged == [Verdict.RIGHT, Verdict.WRONG, Verdict.WRONG, Verdict.WRONG]


def test_a_call_without_end_costs_no_memory_without_end() -> None:
    reply = Reply()
    for number in range(100):
        reply.call(number, "x" * 1000, "y" * 100_000)
    assert len(reply.calls) == 16
    assert all(len(call.name) == 100 and len(call.arguments) == 20_000 for call in reply.calls.values())


def test_a_budget_knows_what_a_tool_adds_to_a_question() -> None:
    usual: dict[str, Any] = {"base_url": "https://a.example", "model": "m", "key": KEY}
    plain, tool = Options(**usual), Options(**usual, canary="tool_call")
    assert tool.most_of_a_question()[0] - plain.most_of_a_question()[0] >= 500
    with pytest.raises(ValidationError, match="one answer, here 764 tokens"):
        Options(**usual, canary="json_schema", budget_tokens_day=700)


def test_a_word_that_is_no_canary_is_refused() -> None:
    with pytest.raises(ValidationError, match="tool_call"):
        Options(base_url="https://a.example", model="m", canary="tools")
