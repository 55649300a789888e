"""The words of the two chat protocols: OpenAI-compatible chat completions and Anthropic Messages."""

from __future__ import annotations

import json
from typing import Any, Protocol

from monitor.simulator import errors
from monitor.simulator.answer import Answer, Ask
from monitor.simulator.errors import ApiError, Dialect
from monitor.simulator.state import State

STOP = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
"""Finish reason of OpenAI → stop reason of Anthropic."""


class Voice(Protocol):
    """The words of one protocol; each method returns bytes of the event stream (or the whole body)."""

    def keep_alive(self) -> bytes:
        """Give a sign of life that is no token."""

    def opening(self) -> bytes:
        """Say what comes before the first token: the role."""

    def reasoning(self, text: str) -> bytes:
        """Say one token of reasoning."""

    def word(self, text: str) -> bytes:
        """Say one token of the answer."""

    def closing(self, answer: Answer, finish: str, *, done: bool) -> bytes:
        """Say the finish reason and, if done, usage and end mark."""

    def error(self, error: ApiError) -> bytes:
        """Break off with an error in mid-stream."""

    def whole(self, answer: Answer) -> object:
        """Return the body of an answer that is not streamed."""


class _OpenAI:
    """Chat completions: data-only events, closed by ``[DONE]``."""

    def __init__(self, ask: Ask, state: State, dialect: Dialect) -> None:
        self._ask = ask
        self._dialect = dialect
        self._field = state.reasoning or "reasoning_content"
        self._prompt_tokens = max(1, len(ask.prompt.split()))

    def _head(self, kind: str) -> dict[str, Any]:
        made = {"id": "chatcmpl-simulated", "object": kind, "created": 1_737_763_200, "model": self._ask.model}
        return made | {"system_fingerprint": "fp_simulated"}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        value = self._head("chat.completion.chunk") | {"choices": [choice]}
        return _data(value | {"usage": None} if self._ask.include_usage else value)

    def _usage(self, answer: Answer) -> dict[str, Any]:
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": answer.tokens,
            "total_tokens": self._prompt_tokens + answer.tokens,
            "completion_tokens_details": {"reasoning_tokens": len(answer.reasoning)},
        }

    def keep_alive(self) -> bytes:
        return b": keep-alive\n\n"

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def reasoning(self, text: str) -> bytes:
        return self._chunk({"content": None, self._field: text})

    def word(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def closing(self, answer: Answer, finish: str, *, done: bool) -> bytes:
        events = self._chunk({}, finish)
        if done and self._ask.include_usage:
            value = self._head("chat.completion.chunk") | {"choices": [], "usage": self._usage(answer)}
            events += _data(value)
        return events + b"data: [DONE]\n\n" if done else events

    def error(self, error: ApiError) -> bytes:
        return _data(errors.body(self._dialect, error))

    def whole(self, answer: Answer) -> object:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.words)}
        if answer.reasoning:
            message[self._field] = "".join(answer.reasoning)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
        return self._head("chat.completion") | {"choices": [choice], "usage": self._usage(answer)}


class _Anthropic:
    """Messages: named events, pings anywhere, no ``[DONE]``."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._block = -1
        self._kind = ""

    def _message(self, content: list[dict[str, Any]], stop: str | None, tokens: int) -> dict[str, Any]:
        usage = {"input_tokens": max(1, len(self._ask.prompt.split())), "output_tokens": tokens}
        head = {"id": "msg_simulated", "type": "message", "role": "assistant", "model": self._ask.model}
        return head | {"content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage}

    def _into(self, kind: str, empty: dict[str, str]) -> bytes:
        if self._kind == kind:
            return b""
        events = self._leave()
        self._block, self._kind = self._block + 1, kind
        start = {"type": "content_block_start", "index": self._block, "content_block": {"type": kind, **empty}}
        return events + _named(start)

    def _leave(self) -> bytes:
        return _named({"type": "content_block_stop", "index": self._block}) if self._kind else b""

    def _delta(self, delta: dict[str, str]) -> bytes:
        return _named({"type": "content_block_delta", "index": self._block, "delta": delta})

    def keep_alive(self) -> bytes:
        return _named({"type": "ping"})

    def opening(self) -> bytes:
        return _named({"type": "message_start", "message": self._message([], None, 1)}) + self.keep_alive()

    def reasoning(self, text: str) -> bytes:
        return self._into("thinking", {"thinking": ""}) + self._delta({"type": "thinking_delta", "thinking": text})

    def word(self, text: str) -> bytes:
        return self._into("text", {"text": ""}) + self._delta({"type": "text_delta", "text": text})

    def closing(self, answer: Answer, finish: str, *, done: bool) -> bytes:
        stop = {"stop_reason": STOP.get(finish, finish), "stop_sequence": None}
        delta = {"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.tokens}}
        return self._leave() + _named(delta) + (_named({"type": "message_stop"}) if done else b"")

    def error(self, error: ApiError) -> bytes:
        return _named(errors.body("anthropic", error))

    def whole(self, answer: Answer) -> object:
        thinking = [{"type": "thinking", "thinking": "".join(answer.reasoning)}] if answer.reasoning else []
        text = [{"type": "text", "text": "".join(answer.words)}] if answer.words else []
        return self._message([*thinking, *text], STOP.get(answer.finish, answer.finish), answer.tokens)


def _data(value: object) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _named(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\n".encode() + _data(value)


def voice_of(ask: Ask, state: State, dialect: Dialect) -> Voice:
    """Return the voice that speaks the dialect; it serves one answer."""
    return _Anthropic(ask) if dialect == "anthropic" else _OpenAI(ask, state, dialect)
