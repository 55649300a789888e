"""What the simulated vendor was asked, and what it will say."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monitor.simulator.state import Fault, State

OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "plus": operator.add, "-": operator.sub, "−": operator.sub, "minus": operator.sub,
    "*": operator.mul, "×": operator.mul, "x": operator.mul, "times": operator.mul,
}  # fmt: skip
SUM = re.compile(r"(-?\d+)\s*(\+|-|−|\*|×|\bx\b|plus|minus|times)\s*(-?\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ask:
    """What the client asked for."""

    model: str
    prompt: str
    stream: bool
    include_usage: bool
    max_tokens: int

    @classmethod
    def of(cls, body: dict[str, Any]) -> Ask:
        """Read a request body of either protocol; what is missing gets a harmless default."""
        options = body.get("stream_options")
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        return cls(
            model=str(body.get("model", "")),
            prompt=_last_words(body.get("messages")),
            stream=body.get("stream") is True,
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
            max_tokens=limit if isinstance(limit, int) and limit > 0 else 4096,
        )


def _last_words(messages: object) -> str:
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content", "") if isinstance(last, dict) else ""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content)


def answer_to(prompt: str, otherwise: str) -> str:
    """Solve the last sum in the prompt, else say ``otherwise``."""
    sums = SUM.findall(prompt)
    if not sums:
        return otherwise
    left, sign, right = sums[-1]
    return str(OPERATORS[sign.lower()](int(left), int(right)))


@dataclass(frozen=True, slots=True)
class Answer:
    """A prepared answer: reasoning tokens, then answer tokens, cut at the limit."""

    reasoning: tuple[str, ...]
    words: tuple[str, ...]
    finish: str

    @property
    def tokens(self) -> int:
        """Output tokens, reasoning included."""
        return len(self.reasoning) + len(self.words)


def prepare(ask: Ask, state: State, fault: Fault) -> Answer:
    """Work out what will be said."""
    text = answer_to(ask.prompt, state.answer)
    if fault is Fault.WRONG_ANSWER:
        text = "I would say about seven hundred thousand."
    words = tuple(text) if text.lstrip("-").isdigit() else tuple(re.findall(r"\S+\s*", text))
    thinks = state.reasoning or "reason" in ask.model
    reasoning = tuple(f"step {number} " for number in range(1, state.reasoning_tokens + 1)) if thinks else ()
    if fault is Fault.NO_TOKENS:
        return Answer((), (), "stop")
    if fault is Fault.FILTERED:
        return Answer((), (), "content_filter")
    cut_reasoning = reasoning[: ask.max_tokens]
    cut_words = words[: ask.max_tokens - len(cut_reasoning)]
    complete = len(cut_reasoning) + len(cut_words) == len(reasoning) + len(words)
    return Answer(cut_reasoning, cut_words, "stop" if complete else "length")
