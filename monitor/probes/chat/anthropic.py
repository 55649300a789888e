"""Anthropic's Messages protocol: named events, no ``[DONE]``, ``ping`` anywhere, ``error`` also after HTTP 200.

Sources: Anthropic "Streaming Messages" and "Errors"; the version header is required.
"""

from __future__ import annotations

from typing import Any

from monitor.probes.answers import parse_json
from monitor.probes.chat.answer.reply import ApiError, Reply, api_error, count, is_list, table, word
from monitor.probes.chat.answer.sse import Event
from monitor.probes.chat.ask import Place, Wish
from monitor.text.cleaner import said

STREAMS = True
LISTS_MODELS = True
VERSION = "2023-06-01"
_OPENAI = "OpenAI's chat completions"


def _root(base_url: str) -> str:
    return base_url.rstrip("/").removesuffix("/v1") + "/v1"


def url(place: Place) -> str:
    """Return where to ask; the base address may or may not end in ``/v1``."""
    return f"{_root(place.base_url)}/messages"


def models_url(place: Place) -> str:
    """Return where the models are listed, all on one page."""
    return f"{_root(place.base_url)}/models?limit=1000"


def key_headers(key: str) -> dict[str, str]:
    """Return the secret headers of a request."""
    return {"x-api-key": key}


def request(wish: Wish) -> dict[str, Any]:
    """Return the body of a request."""
    messages = [{"role": "user", "content": wish.texts[0]}]
    body = {"model": wish.model, "messages": messages, "stream": wish.stream, wish.limit_field: wish.max_tokens}
    if tool := wish.tool:
        body["tools"] = [{"name": tool.name, "description": tool.description, "input_schema": tool.schema}]
    if wish.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": wish.schema.schema}}
    return body


def read_event(reply: Reply, event: Event) -> bool:
    """Take one event; true when it was progress."""
    if event.data.strip() == "[DONE]":  # gateways that turn OpenAI's streams into these
        reply.done = True
        return True
    try:
        document = table(parse_json(event.data))
    except ValueError:
        reply.undecodable += 1
        return False
    kind = word(document.get("type")) or event.name
    if kind == "ping":
        reply.keep_alive()
        return False
    if kind == "error":
        reply.error = api_error(document) or ApiError()
        return True
    if kind not in _EVENTS:
        reply.undecodable += not event.name.startswith(("message", "content_block"))
        if is_list(document.get("choices")):
            reply.other_protocol = _OPENAI
        elif error := api_error(document):  # a proxy's own, in no shape of this protocol
            reply.error = error
        return reply.error is not None
    reply.events += 1
    return _EVENTS[kind](reply, document, event.at_s)


def _message_start(reply: Reply, document: Any, _at_s: float) -> bool:
    message = table(document.get("message"))
    reply.model = word(message.get("model"))
    _usage(reply, message)
    reply.output_tokens = None  # a place holder; what was really said comes with message_delta
    return False


def _block_delta(reply: Reply, document: Any, at_s: float) -> bool:
    delta = table(document.get("delta"))
    if delta.get("thinking") or delta.get("signature"):  # hidden thinking shows only its signature
        reply.token(at_s, "", reasoning=True)
    elif delta.get("text") or delta.get("partial_json"):
        reply.token(at_s, said(delta.get("text")))
        if piece := delta.get("partial_json"):
            reply.call(document.get("index"), "", piece)
    else:
        return False
    return True


def _message_delta(reply: Reply, document: Any, _at_s: float) -> bool:
    reply.finish(table(document.get("delta")).get("stop_reason"))
    _usage(reply, document)
    return True


def _message_stop(reply: Reply, _document: Any, _at_s: float) -> bool:
    reply.done = True
    return True


def _block_start(reply: Reply, document: Any, at_s: float) -> bool:
    """Take the beginning of a block; gateways put its first words, or all of them, in here."""
    block = table(document.get("content_block"))
    if block.get("type") == "redacted_thinking" or block.get("thinking"):
        reply.token(at_s, "", reasoning=True)
    elif text := said(block.get("text")):
        reply.token(at_s, text)
    elif block.get("type") in ("tool_use", "server_tool_use"):
        reply.token(at_s, "")
        reply.call(document.get("index"), block.get("name"), block.get("input"))
    else:
        return False
    return True


def _block_stop(_reply: Reply, _document: Any, _at_s: float) -> bool:
    return False


_EVENTS = {
    "message_start": _message_start,
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "content_block_stop": _block_stop,
    "message_delta": _message_delta,
    "message_stop": _message_stop,
}


def _usage(reply: Reply, holder: Any) -> None:
    usage = table(holder.get("usage"))
    if (tokens := count(usage.get("input_tokens"))) is not None:
        reply.input_tokens = tokens
    if (tokens := count(usage.get("output_tokens"))) is not None:
        reply.output_tokens = tokens


def read_body(reply: Reply, body: bytes, at_s: float) -> None:
    """Take a whole answer that was not streamed; *at_s* is its last byte."""
    try:
        document = table(parse_json(body))
    except ValueError:
        reply.undecodable += bool(body.strip())
        return
    blocks = document.get("content")
    if document.get("type") == "error" or not isinstance(blocks, list):
        reply.error = api_error(document)
        reply.undecodable += reply.error is None
        reply.other_protocol = _OPENAI if is_list(document.get("choices")) else ""
        return
    reply.whole("".join(said(table(block).get("text")) for block in blocks), at_s)
    for number, block in enumerate(map(table, blocks)):
        if block.get("type") == "tool_use":
            reply.call(number, block.get("name"), block.get("input"))
    reply.model = word(document.get("model"))
    reply.finish(document.get("stop_reason"))
    _usage(reply, document)
