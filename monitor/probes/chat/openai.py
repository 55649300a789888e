"""The chat completions protocol of OpenAI, as OpenAI, DeepSeek, OpenRouter, vLLM, Google and many others speak it.

Reasoning comes as ``delta.reasoning_content`` (DeepSeek, older vLLM), ``delta.reasoning`` (newer vLLM, OpenRouter) or
as parts of type ``thinking`` (Mistral). The first chunk usually carries the role and no token; the chunk with the usage
has an empty ``choices``; an error may come as an ordinary event after HTTP 200. Sources: OpenAI API reference;
DeepSeek "Create chat completion"; vLLM "Reasoning outputs"; OpenRouter "Streaming".
"""

from __future__ import annotations

from typing import Any

from monitor.probes.answers import parse_json
from monitor.probes.chat.reply import ApiError, Reply, api_error, count, table, word
from monitor.probes.chat.sse import Event
from monitor.text.cleaner import said

_SIGNS_OF_LIFE = frozenset({"ping", "keep-alive", "keepalive", "heartbeat"})
"""Events of gateways that stand for nothing."""


def url(base_url: str) -> str:
    """Return where to ask."""
    return f"{base_url.rstrip('/')}/chat/completions"


def models_url(base_url: str) -> str:
    """Return where the models are listed."""
    return f"{base_url.rstrip('/')}/models"


def key_headers(key: str) -> dict[str, str]:
    """Return the secret headers of a request."""
    return {"Authorization": f"Bearer {key}"}


def request(model: str, question: str, *, stream: bool, limit_field: str, max_tokens: int) -> dict[str, Any]:
    """Return the body of a request."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}]}
    body |= {"stream": stream, limit_field: max_tokens}
    return body | ({"stream_options": {"include_usage": True}} if stream else {})


def read_event(reply: Reply, event: Event) -> bool:
    """Take one event; true when it was progress."""
    if event.data.strip() == "[DONE]":
        reply.done = True
        return True
    if not event.data.strip() or event.name in _SIGNS_OF_LIFE:
        reply.keep_alive()
        return False
    is_error = event.name == "error"
    try:
        document = parse_json(event.data)
    except ValueError:
        reply.undecodable += not is_error
        reply.error = ApiError(event.data[:500]) if is_error else None
        return is_error
    chunk = table(document)
    # OpenRouter sends an error beside a choice whose finish reason is "error".
    if error := api_error(document) or (ApiError() if is_error else None):
        reply.error = error
        return True
    if "choices" not in chunk and "usage" not in chunk:
        reply.undecodable += 1
        return False
    reply.events += 1
    _identity(reply, chunk)
    choices = chunk.get("choices")
    choice = table(choices[0]) if isinstance(choices, list) and choices else {}
    progress = _delta(reply, table(choice.get("delta")), event.at_s)
    if reason := choice.get("finish_reason"):
        reply.finish(reason)
    if choice.get("error"):
        reply.error = api_error(choice)
    return progress or bool(reason)


def _delta(reply: Reply, delta: Any, at_s: float) -> bool:
    reasoning = delta.get("reasoning_content") or delta.get("reasoning") or _thinking(delta.get("content"))
    answer = visible(delta.get("content")) or delta.get("refusal")
    called = delta.get("tool_calls") or delta.get("function_call")
    if reasoning or (delta.get("reasoning_details") and not answer):
        reply.token(at_s, "", reasoning=True)
    if answer or called:
        reply.token(at_s, said(answer))
    return bool(reasoning or answer or called)


def visible(content: object) -> str:
    """Return the answer's text of a ``content``: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(said(table(part).get("text")) for part in content if table(part).get("type") == "text")
    return said(content)


def _thinking(content: object) -> bool:
    return isinstance(content, list) and any(table(part).get("type") == "thinking" for part in content)


def _identity(reply: Reply, chunk: Any) -> None:
    reply.model = word(chunk.get("model")) or reply.model
    reply.system_fingerprint = word(chunk.get("system_fingerprint")) or reply.system_fingerprint
    usage = table(chunk.get("usage"))
    if not usage:
        return
    asked, said = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    thought = count(table(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    whole = count(usage.get("total_tokens")) or 0
    if asked is not None and said is not None and whole > asked + said:
        # Google and xAI leave the thinking out of the completion's tokens and bill it all the same.
        thought = max(thought or 0, whole - asked - said)
        said = whole - asked
    reply.input_tokens, reply.output_tokens, reply.reasoning_tokens = asked, said, thought


def read_body(reply: Reply, body: bytes, at_s: float) -> None:
    """Take a whole answer that was not streamed; *at_s* is its last byte. Blank lines may come first (DeepSeek)."""
    try:
        document = parse_json(body)
    except ValueError:
        reply.undecodable += bool(body.strip())
        return
    whole = table(document)
    choices = whole.get("choices")
    choice = table(choices[0]) if isinstance(choices, list) and choices else {}
    reply.error = api_error(document) or (api_error(choice) if choice.get("error") else None)
    if not choice:
        reply.undecodable += reply.error is None
        return
    reply.events, reply.last_s, reply.done = 1, at_s, True
    _identity(reply, whole)
    message = table(choice.get("message"))
    reply.words.append(visible(message.get("content")) or said(message.get("refusal")))
    reply.finish(choice.get("finish_reason"))
