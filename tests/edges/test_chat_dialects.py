"""Dialects beside chat completions and Messages: the Responses API and Azure's own paths, as servers speak them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from monitor.cli.errors.judging import judge
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.chat.answer.reply import Reply
from monitor.probes.chat.answer.sse import Event
from monitor.probes.chat.options import Options
from monitor.probes.chat.responses import read_event
from tests.edges import driven
from tests.edges.chat_shapes import OPENAI
from tests.edges.hostile import serve
from tests.edges.probing import KEY, STREAM, SUM, context, http, look_once, whole_request

HEAD = {
    "id": "resp_68af4030592c81938ec0a5fbab4a3e9f", "object": "response", "created_at": 1795430400, "error": None,
    "incomplete_details": None, "instructions": None, "max_output_tokens": 64, "model": "gpt-6-luna-2026-08-12",
    "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": "low", "summary": None},
    "store": False, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
    "top_p": 1.0, "truncation": "disabled", "user": None, "metadata": {},
}  # fmt: skip
USAGE = {
    "input_tokens": 21,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 70,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 91,
}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": []}


def message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def whole(*output: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return HEAD | {"status": "completed", "output": list(output), "usage": USAGE} | changes


def stream(*events: dict[str, Any]) -> bytes:
    lines = [
        f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]
    return STREAM + "".join(lines).encode()


def said(text: str) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 1,
        "content_index": 0,
        "delta": text,
    }


BEGUN = (
    {"type": "response.created", "response": HEAD | {"status": "in_progress", "output": [], "usage": None}},
    {"type": "response.in_progress", "response": HEAD | {"status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": THOUGHT},
    {"type": "response.output_item.done", "output_index": 0, "item": THOUGHT},
    {"type": "response.output_item.added", "output_index": 1, "item": message("") | {"content": []}},
    {"type": "response.content_part.added", "item_id": "msg_1", "output_index": 1, "content_index": 0,
     "part": {"type": "output_text", "annotations": [], "text": ""}},
)  # fmt: skip
ENDED = {"type": "response.completed", "response": whole(THOUGHT, message("@SUM@"))}
CUT = whole(THOUGHT, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
FILTERED = whole(message("I can"), status="incomplete", incomplete_details={"reason": "content_filter"})


def failed(code: str, text: str) -> dict[str, Any]:
    return HEAD | {"status": "failed", "error": {"code": code, "message": text}, "output": [], "usage": None}


def refused(status: int, text: str, kind: str, code: str | None = None) -> bytes:
    return http(status, json.dumps({"error": {"message": text, "type": kind, "param": None, "code": code}}))


LIMIT = "Rate limit reached for gpt-6-luna on tokens per min (TPM): Limit 30000, Used 29990, Requested 85."


RESPONSES: dict[str, tuple[str, bytes]] = {
    "a stream": ("ok", stream(*BEGUN, said("@SUM@"), ENDED)),
    "a stream that says its words only at the end": ("ok", stream(*BEGUN, ENDED)),
    "a stream of a gateway, with [DONE]": ("ok", stream(*BEGUN, said("@SUM@"), ENDED) + b"data: [DONE]\n\n"),
    "a wrong sum": ("degraded.quality", stream(*BEGUN, said("7"), {"type": "response.completed", "response": whole()})),
    "a whole answer": ("ok", http(200, json.dumps(whole(THOUGHT, message("@SUM@"))))),
    "an answer spent on reasoning": ("ok", stream(*BEGUN[:4], {"type": "response.incomplete", "response": CUT})),
    "a whole answer spent on reasoning": ("ok", http(200, json.dumps(CUT))),
    "a filter": ("probe.policy", stream(*BEGUN, said("I"), {"type": "response.incomplete", "response": FILTERED})),
    "a failure of the server": (
        "service.error",
        stream(*BEGUN[:2], {"type": "response.failed", "response": failed("server_error", "The model failed.")}),
    ),
    "a failure without a word": ("service.midstream_error", stream(*BEGUN[:2], {"type": "response.failed"})),
    "a whole failure": ("service.error", http(200, json.dumps(failed("server_error", "The model failed.")))),
    "our own rate": (
        "account.rate_limit",
        stream({"type": "response.failed", "response": failed("rate_limit_exceeded", LIMIT)}),
    ),
    "an error event": (
        "service.error",
        stream(*BEGUN[:2], {"type": "error", "code": "server_error", "message": "An error occurred", "param": None}),
    ),
    "an error event with an error inside": (
        "service.overloaded",
        stream({"type": "error", "error": {"type": "service_unavailable_error", "code": "server_is_overloaded",
                                           "message": "Our servers are currently overloaded."}}),
    ),
    "a stream that breaks off": ("service.truncated", stream(*BEGUN, said("@SUM@"))),
    "an answer without a word": ("service.empty", http(200, json.dumps(whole(usage=None)))),
    "nothing but a beginning": ("service.truncated", stream(*BEGUN[:2])),
    "an answer that is still in progress": ("service.truncated", http(200, json.dumps(whole(status="in_progress")))),
    "a refused key": (
        "account.auth",
        refused(401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
    ),
    "a server without this API": ("probe.config", http(404, '{"detail":"Not Found"}')),
    "chat completions instead": ("probe.config", STREAM + b"".join(OPENAI.answer())),
    "no JSON": ("service.malformed", http(200, "{oh")),
}  # fmt: skip


def looks(answers: list[bytes], base: str = "/v1", **options: Any) -> tuple[list[Observation], list[bytes]]:
    """Look at every answer, one after the other on one server; return what was seen and what was asked."""
    asked: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await whole_request(reader)
        found = SUM.search(body)
        total = str(int(found[1]) + int(found[2])).encode() if found else b"?"
        said = answers[min(len(asked), len(answers) - 1)].replace(b"@SUM@", total)
        asked.append(head + body)
        if b"content-length" in said:  # its length changed with the sum
            top, _, data = said.partition(b"\r\n\r\n")
            said = http(int(top.split()[1]), data)
        writer.write(said)
        await writer.drain()

    async def main() -> list[Observation]:
        usual = {"model": "m-1", "key": KEY, "stall_s": "300ms", "models_every_s": None} | options
        async with serve(behave) as port:
            shared = context()
            return [
                await look_once("chat", replace(shared, memory={}), base_url=f"http://127.0.0.1:{port}{base}", **usual)
                for _ in answers
            ]

    return driven.run(main()), asked


def test_every_shape_of_a_response_is_told() -> None:
    seen, _ = looks([answer for _, answer in RESPONSES.values()], dialect="responses")
    assert {name: one.reason.value for name, one in zip(RESPONSES, seen, strict=True)} == {
        name: reason for name, (reason, _) in RESPONSES.items()
    }


def test_a_response_is_asked_and_counted_as_its_protocol_says() -> None:
    (seen,), (asked,) = looks([RESPONSES["a stream"][1]], dialect="responses", max_tokens=70)
    assert asked.startswith(b"POST /v1/responses HTTP/1.1")
    body = json.loads(asked.partition(b"\r\n\r\n")[2])
    assert body.keys() == {"model", "input", "stream", "store", "max_output_tokens"}
    assert (body["stream"], body["store"], body["max_output_tokens"]) == (True, False, 70)
    assert seen.warnings == ()
    assert seen.chat is not None
    assert (seen.chat.input_tokens, seen.chat.output_tokens, seen.chat.reasoning_tokens) == (21, 70, 64)
    assert (seen.chat.chunks, seen.chat.finish_reason, seen.chat.model) == (1, "completed", "gpt-6-luna-2026-08-12")


@pytest.mark.parametrize("name", ["reasoning_text", "reasoning_summary_text"])
def test_reasoning_of_a_response_is_a_token_and_no_word(name: str) -> None:
    reply = Reply()
    told = {"type": f"response.{name}.delta", "delta": "I add"}
    assert read_event(reply, Event(told["type"], json.dumps(told), 1.0))
    assert (reply.token_times, reply.first_answer_s, reply.text) == ([1.0], None, "")


AZURE_REFUSALS = {
    "probe.config": (404, "DeploymentNotFound", "The API deployment for this resource does not exist."),
    "account.auth": (401, "401", "Access denied due to invalid subscription key or wrong API endpoint."),
    "account.rate_limit": (
        429,
        "429",
        "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current S0 tier.",
    ),
}


@pytest.mark.parametrize("base", ["", "/", "/openai"])
def test_azure_is_asked_under_the_deployment_with_its_own_key_header(base: str) -> None:
    filters = b'data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{}]}\n\n'
    answers = [STREAM + filters + b"".join(OPENAI.answer())]
    answers += [
        http(status, json.dumps({"error": {"code": code, "message": text}}))
        for status, code, text in AZURE_REFUSALS.values()
    ]
    seen, asked = looks(answers, base, dialect="azure", model="my luna")
    assert [one.reason.value for one in seen] == ["ok", *AZURE_REFUSALS]
    path = b"/openai/deployments/my%20luna/chat/completions?api-version=2024-10-21"
    assert asked[0].startswith(b"POST " + path + b" HTTP/1.1")
    assert f"api-key: {KEY}".encode() in asked[0].lower()
    assert b"authorization" not in asked[0].lower()


def test_a_version_of_azure_is_no_way_into_the_address() -> None:
    with pytest.raises(ValueError, match="api_version"):
        Options(base_url="https://a.example", model="m", dialect="azure", api_version="1&x=/")


def test_a_pasted_response_is_judged_like_a_look() -> None:
    told = json.dumps(failed("server_error", "The model failed."))
    for text in (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{told}",
        stream(*BEGUN[:2], {"type": "response.failed", "response": json.loads(told)})
        .partition(b"\r\n\r\n")[2]
        .decode(),
    ):
        found = judge(text)
        assert found is not None
        assert found.reason is Reason.SERVER_ERROR
