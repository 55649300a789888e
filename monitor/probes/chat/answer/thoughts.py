"""Reasoning that stands inside the answer's own text, between ``<think>`` and ``</think>``, however it is cut up.

Servers without a reasoning parser (Ollama, vLLM and llama.cpp by default, many gateways) send the thoughts of DeepSeek
R1, Qwen, GLM, MiniMax and others as content. Counted as an answer they would make the first word minutes too early and
the canary read a number out of the thoughts. Templates that put the opening mark into the prompt send only the closing
one: then all before it was thought, which shows when it comes.
"""

from __future__ import annotations

from typing import NamedTuple

_NAMES = ("think", "thinking", "thought", "reasoning", "reason", "seed:think")
_OPENING = (*(f"<{name}>" for name in _NAMES), "◁think▷", "<|start_thinking|>", "[think]")
_CLOSING = (*(f"</{name}>" for name in _NAMES), "◁/think▷", "<|end_thinking|>", "[/think]")
_MOST = max(map(len, _CLOSING))
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
"""``str.lower`` may change the length of a text."""


class Piece(NamedTuple):
    """A piece of the text that arrived."""

    text: str
    """What is visible of it."""
    thought: bool
    """Some of it was reasoning, or may turn out to be."""
    all_before: bool = False
    """Everything visible until now was reasoning after all."""


class Thoughts:
    """Takes the text of an answer piece by piece and tells thoughts from words."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._marked = False
        """An opening or closing mark was seen."""
        self._begun = False
        """A visible word was seen."""

    def feed(self, text: str) -> Piece:
        """Take a piece; a mark that may be cut is held back until the next one."""
        rest, self._held = self._held + text, ""
        words: list[str] = []
        thought = all_before = False
        while rest:
            if self._inside:
                thought = True
                at, mark = _first(rest, _CLOSING)
                if at < 0:
                    self._held = _cut(rest, _CLOSING)
                    break
                self._inside, rest = False, rest[at + len(mark) :].lstrip()
                continue
            lead = rest.lstrip()
            low = "" if self._begun else lead[:_MOST].translate(_LOWER)
            opening = next((mark for mark in _OPENING if low.startswith(mark)), "")
            if not self._begun and opening:
                self._inside = self._marked = True
                rest = lead[len(opening) :]
                continue
            if not self._begun and lead and any(mark.startswith(low) for mark in _OPENING if len(lead) < len(mark)):
                self._held = rest
                break
            at, mark = (-1, "") if self._marked else _first(rest, _CLOSING)
            if at >= 0:
                self._marked, self._begun = True, False
                words, thought, all_before = [], True, True
                rest = rest[at + len(mark) :].lstrip()
                continue
            self._held = "" if self._marked else _cut(rest, _CLOSING)
            shown = rest[: len(rest) - len(self._held)]
            words.append(shown)
            self._begun = self._begun or bool(shown.strip())
            break
        return Piece("".join(words), thought or bool(self._held), all_before)

    def rest(self) -> str:
        """Return what was held back and turned out to be words."""
        held, self._held = self._held, ""
        return "" if self._inside else held


def _first(text: str, marks: tuple[str, ...]) -> tuple[int, str]:
    low = text.translate(_LOWER)
    found = [(at, mark) for mark in marks if (at := low.find(mark)) >= 0]
    return min(found, default=(-1, ""))


def _cut(text: str, marks: tuple[str, ...]) -> str:
    """Return the end of a text that may be the beginning of one of the marks."""
    for size in range(min(_MOST - 1, len(text)), 0, -1):
        tail = text[-size:].translate(_LOWER)
        if any(mark.startswith(tail) for mark in marks):
            return tail
    return ""
