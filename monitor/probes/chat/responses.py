"""OpenAI's Responses API: named events, each with its ``type``, ended by ``response.completed`` and no ``[DONE]``.

``response.created`` and ``response.in_progress`` come at once and are no token; reasoning shows only where the server
tells it (vLLM) or its summary was asked for. A failure is ``response.failed`` or ``error``, both after HTTP 200.
Source: OpenAI API reference, "Responses" and "Streaming events"; types of the library ``openai`` 2.
"""

from __future__ import annotations

from typing import Any

from monitor.probes.answers import parse_json
from monitor.probes.chat.answer.endings import Ending, ending
from monitor.probes.chat.answer.reply import ApiError, Reply, api_error, count, is_list, table, word
from monitor.probes.chat.answer.sse import Event
from monitor.probes.chat.ask import Place, Wish
from monitor.probes.chat.openai import key_headers, models_url
from monitor.text.cleaner import said

__all__ = ["LISTS_MODELS", "STREAMS", "key_headers", "models_url", "read_body", "read_event", "request", "url"]

STREAMS = True
LISTS_MODELS = True
_CHAT = "OpenAI's chat completions"
_WORDS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHTS = frozenset(
    f"response.{name}.delta" for name in ("reasoning_text", "reasoning_summary_text", "reasoning", "reasoning_summary")
)
_CALLS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_SIGNS_OF_LIFE = frozenset({"ping", "keepalive", "keep-alive", "heartbeat", "response.queued"})


def url(place: Place) -> str:
    """Return where to ask."""
    return f"{place.base_url.rstrip('/')}/responses"


def request(wish: Wish) -> dict[str, Any]:
    """Return the body of a request; nothing of it is to be kept by the vendor."""
    body: dict[str, Any] = {"model": wish.model, "input": wish.texts[0], "stream": wish.stream, "store": False}
    body["max_output_tokens"] = wish.max_tokens
    if tool := wish.tool:
        body["tools"] = [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.schema}
        ]
    if form := wish.schema:
        body["text"] = {"format": {"type": "json_schema", "name": form.name, "strict": True, "schema": form.schema}}
    return body


def read_event(reply: Reply, event: Event) -> bool:
    """Take one event; true when it was progress."""
    if event.data.strip() == "[DONE]":  # gateways end every stream with it
        reply.done = True
        return True
    if not event.data.strip():
        reply.keep_alive()
        return False
    try:
        document = table(parse_json(event.data))
    except ValueError:
        reply.undecodable += 1
        return False
    kind = word(document.get("type")) or event.name
    if kind in _SIGNS_OF_LIFE:
        reply.keep_alive()
        return False
    if not kind.startswith("response."):
        return _stranger(reply, document, kind)
    reply.events += 1
    if kind in _LAST:
        return _last(reply, table(document.get("response")), kind, event.at_s)
    if kind in _WORDS or kind in _CALLS:
        reply.token(event.at_s, said(document.get("delta")) if kind in _WORDS else "")
        if kind in _CALLS:
            reply.call(document.get("output_index"), "", document.get("delta"))
        return True
    if kind in _THOUGHTS:
        reply.token(event.at_s, "", reasoning=True)
        return True
    item = table(document.get("item"))
    if kind == "response.output_item.added" and item.get("type") == "function_call":
        reply.call(document.get("output_index"), item.get("name"), item.get("arguments"))
    reply.model = word(table(document.get("response")).get("model")) or reply.model
    return False


def _stranger(reply: Reply, document: Any, kind: str) -> bool:
    """Take an event that is none of this protocol's own: an error, or another protocol."""
    if kind == "error":
        reply.error = api_error(document) or ApiError()
    elif is_list(document.get("choices")):
        reply.other_protocol = _CHAT
        reply.undecodable += 1
    else:
        reply.error = api_error(document)
        reply.undecodable += reply.error is None
    return reply.error is not None


def _last(reply: Reply, response: Any, kind: str, at_s: float) -> bool:
    """Take the whole answer, which comes once more at the end; its words count where none came before."""
    if not reply.token_times and (text := _text(response)):
        reply.token(at_s, text)
    if not reply.calls:
        _calls(reply, response)
    _identity(reply, response)
    reply.error = api_error(response)
    if reply.error is None and kind == "response.failed":
        reply.error = ApiError()
    reply.finish(_finish(response) or kind.removeprefix("response."))
    reply.done = True
    return True


def _finish(response: Any) -> str:
    """Return why the answer ended: ``incomplete`` is told by its details."""
    return word(table(response.get("incomplete_details")).get("reason")) or word(response.get("status"))


def _text(response: Any) -> str:
    items = response.get("output")
    parts = [
        table(part)
        for item in (items if isinstance(items, list) else [])
        if table(item).get("type") == "message" and isinstance(table(item).get("content"), list)
        for part in table(item)["content"]
    ]
    return "".join(said(part.get("text")) or said(part.get("refusal")) for part in parts)


def _calls(reply: Reply, response: Any) -> None:
    items = response.get("output")
    for number, item in enumerate(map(table, items if isinstance(items, list) else [])):
        if item.get("type") == "function_call":
            reply.call(number, item.get("name"), item.get("arguments"))


def _identity(reply: Reply, response: Any) -> None:
    reply.model = word(response.get("model")) or reply.model
    usage = table(response.get("usage"))
    if not usage:
        return
    reply.input_tokens, reply.output_tokens = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    reply.reasoning_tokens = count(table(usage.get("output_tokens_details")).get("reasoning_tokens"))


def read_body(reply: Reply, body: bytes, at_s: float) -> None:
    """Take a whole answer that was not streamed; *at_s* is its last byte."""
    try:
        document = table(parse_json(body))
    except ValueError:
        reply.undecodable += bool(body.strip())
        return
    reply.error = api_error(document)
    if not isinstance(document.get("output"), list):
        reply.undecodable += reply.error is None
        reply.other_protocol = _CHAT if is_list(document.get("choices")) else ""
        return
    told = _finish(document)
    reply.whole(_text(document), at_s, done=ending(told) is not Ending.NONE)
    _calls(reply, document)
    _identity(reply, document)
    reply.finish(told)
