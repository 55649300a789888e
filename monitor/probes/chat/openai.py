"""The chat completions protocol of OpenAI, as OpenAI, DeepSeek, OpenRouter, vLLM, Google and many others speak it.

Reasoning comes as ``delta.reasoning_content`` (DeepSeek, older vLLM), ``delta.reasoning`` (newer vLLM, OpenRouter) or
as parts of type ``thinking`` (Mistral). The first chunk usually carries the role and no token; the chunk with the usage
has an empty ``choices``; an error may come as an ordinary event after HTTP 200. Sources: OpenAI API reference;
DeepSeek "Create chat completion"; vLLM "Reasoning outputs"; OpenRouter "Streaming".
"""

from __future__ import annotations

from typing import Any

from monitor.probes.answers import parse_json
from monitor.probes.chat.answer.reply import ApiError, Reply, api_error, count, table, word
from monitor.probes.chat.answer.sse import Event
from monitor.probes.chat.ask import Place, Wish
from monitor.text.cleaner import said

STREAMS = True
LISTS_MODELS = True
_DONE = frozenset({'"[DONE]"', "[done]", "DONE"})
"""What some write for ``[DONE]``: the vendor's own library stumbles over it, so it is warned of."""
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thoughts")
"""Names of a delta's reasoning: DeepSeek; OpenRouter and newer vLLM; Copilot; servers behind Ollama's names."""
_ENDS = frozenset({"done", "end", "complete", "completed", "finish", "close"})
"""Names of a last event, where gateways give it one instead of ``[DONE]``."""
_SIGNS_OF_LIFE = frozenset({"ping", "keep-alive", "keepalive", "heartbeat"})
"""Events of gateways that stand for nothing."""


def url(place: Place) -> str:
    """Return where to ask."""
    return f"{place.base_url.rstrip('/')}/chat/completions"


def models_url(place: Place) -> str:
    """Return where the models are listed."""
    return f"{place.base_url.rstrip('/')}/models"


def key_headers(key: str) -> dict[str, str]:
    """Return the secret headers of a request."""
    return {"Authorization": f"Bearer {key}"}


def request(wish: Wish) -> dict[str, Any]:
    """Return the body of a request."""
    body: dict[str, Any] = {"model": wish.model, "messages": [{"role": "user", "content": wish.texts[0]}]}
    body |= {"stream": wish.stream, wish.limit_field: wish.max_tokens}
    body |= {"stream_options": {"include_usage": True}} if wish.stream else {}
    if tool := wish.tool:
        function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
        body["tools"] = [{"type": "function", "function": function}]
    if form := wish.schema:
        named = {"name": form.name, "strict": True, "schema": form.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


def read_event(reply: Reply, event: Event) -> bool:
    """Take one event; true when it was progress."""
    if (said_so := event.data.startswith("[DONE]")) or event.data.strip() in _DONE:
        reply.done = True
        reply.undecodable += not said_so
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
        if event.name.lower() in _ENDS:
            reply.done = True
            return True
        reply.undecodable += 1
        reply.other_protocol = reply.other_protocol or other_protocol(chunk)
        return False
    reply.events += 1
    choices = chunk.get("choices")
    choice = table(choices[0]) if isinstance(choices, list) and choices else {}
    _identity(reply, chunk, choice)
    progress = _delta(reply, table(choice.get("delta")) or table(choice.get("message")), event.at_s)
    if choice.get("text") and "delta" not in choice:
        reply.other_protocol = "OpenAI's old completions"
    news = _finish(reply, choice, with_token=progress)
    if choice.get("error"):
        reply.error = api_error(choice)
    if not choice and chunk.get("usage"):
        news = reply.confirm() or news
    return progress or news


def _finish(reply: Reply, choice: Any, *, with_token: bool) -> bool:
    """Take the finish reason of a choice; gateways of Gemini write it ``finishReason``."""
    if reason := choice.get("finish_reason"):
        return reply.finish(reason, with_token=with_token)
    if reason := choice.get("finishReason"):
        return reply.finish(reason, with_token=with_token, displaced=True)
    return False


def other_protocol(document: Any) -> str:
    """Return whose protocol a document is in, where it has neither choices nor an error; ``""`` for none known."""
    if "candidates" in document or "usageMetadata" in document:
        return "Google's Gemini"
    if document.get("type") in ("message", "message_start", "content_block_start", "content_block_delta"):
        return "Anthropic's Messages"
    if "done" in document and ("message" in document or "response" in document):
        return "Ollama's own"
    if document.get("object") == "response" or str(document.get("type") or "").startswith("response."):
        return "OpenAI's Responses"
    if document.get("type") in ("message-start", "content-start", "content-delta") or "event_type" in document:
        return "Cohere's own"
    return ""


def _delta(reply: Reply, delta: Any, at_s: float) -> bool:
    reasoning = any(delta.get(name) for name in _THOUGHTS) or _thinking(delta.get("content"))
    answer = visible(delta.get("content")) or delta.get("refusal")
    called = delta.get("tool_calls") or delta.get("function_call")
    if reasoning or (delta.get("reasoning_details") and not answer):
        reply.token(at_s, "", reasoning=True)
    if answer or called:
        reply.token(at_s, said(answer))
        _calls(reply, delta)
    return bool(reasoning or answer or called)


def _calls(reply: Reply, message: Any) -> None:
    """Take calls of tools, whole or in pieces; where no index tells them apart, the id does."""
    many = message.get("tool_calls")
    for number, row in enumerate(many if isinstance(many, list) else []):
        call = table(row)
        function = table(call.get("function"))
        key = word(call.get("index")) or word(call.get("id")) or next(reversed(reply.calls), number)
        reply.call(key, function.get("name"), function.get("arguments"))
    if single := table(message.get("function_call")):  # before tools there were functions
        reply.call("", single.get("name"), single.get("arguments"))


_TEXTS = ("text", "output_text", None)


def visible(content: object) -> str:
    """Return the answer's text of a ``content``: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(said(table(part).get("text")) for part in content if table(part).get("type") in _TEXTS)
    return said(content)


def _thinking(content: object) -> bool:
    return isinstance(content, list) and any(table(part).get("type") in ("thinking", "reasoning") for part in content)


def _identity(reply: Reply, chunk: Any, choice: Any) -> None:
    reply.model = word(chunk.get("model")) or reply.model
    reply.system_fingerprint = word(chunk.get("system_fingerprint")) or reply.system_fingerprint
    usage = table(chunk.get("usage")) or table(choice.get("usage"))  # Moonshot has it in the choice
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
        reply.other_protocol = _by_lines(body)
        return
    whole = table(document)
    choices = whole.get("choices")
    choice = table(choices[0]) if isinstance(choices, list) and choices else {}
    reply.error = api_error(document) or (api_error(choice) if choice.get("error") else None)
    if not choice:
        reply.undecodable += reply.error is None
        reply.other_protocol = other_protocol(whole)
        return
    message = table(choice.get("message"))
    reply.whole(visible(message.get("content")) or said(message.get("refusal")), at_s)
    _calls(reply, message)
    _identity(reply, whole, choice)
    _finish(reply, choice, with_token=False)


def _by_lines(body: bytes) -> str:
    """Return whose protocol sends one JSON document a line, as Ollama's own does."""
    try:
        return other_protocol(table(parse_json(body.lstrip().partition(b"\n")[0])))
    except ValueError:
        return ""
