"""What one chat answer was, piece by piece as it arrives, whichever protocol carried it; and its times.

Each dialect (``openai.py``, ``anthropic.py``) fills a :class:`Reply`; :mod:`taxonomy` judges it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from types import MappingProxyType
from typing import Any, NamedTuple

from monitor.core.model.observations import ChatTimes
from monitor.probes.chat.answer.endings import Ending, ending
from monitor.probes.chat.answer.thoughts import Thoughts
from monitor.text.cleaner import brief

_WORD = 100  # characters kept of a vendor's own names (model, finish reason, error code)


Vector = tuple[float, ...]


class ApiError(NamedTuple):
    """An error in the vendor's own words, from an error status or from the middle of a stream."""

    message: str = ""
    type: str = ""
    code: str = ""
    status: int | None = None
    """The HTTP status that the error itself names (OpenRouter and Google put it into ``code``)."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Counters of a limit that the error itself holds (OpenRouter)."""


@dataclass(slots=True)
class Call:
    """A call of a tool; its arguments are text, as JSON."""

    name: str = ""
    arguments: str = ""


_MOST_CALLS = 16
_MOST_ARGUMENTS = 20_000


@dataclass(slots=True)
class Reply:
    """All that was seen of an answer. Times are seconds since the request was sent."""

    words: list[str] = field(default_factory=list)
    token_times: list[float] = field(default_factory=list)
    """When each chunk with a token (reasoning or answer) arrived."""
    first_answer_s: float | None = None
    payload_s: float | None = None
    """First sign of the answer itself: the first token chunk, or the first byte of an answer that is not streamed."""
    last_s: float | None = None
    """Last token chunk; for an answer that is not streamed, its last byte."""
    keepalives: int = 0
    early_keepalives: int = 0
    """Those before the first token: a sign that we were queued."""
    events: int = 0
    undecodable: int = 0
    finish_reason: str = ""
    finish_displaced: bool = False
    """The finish reason stood where the protocol has none (``finishReason``)."""
    model: str = ""
    system_fingerprint: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    error: ApiError | None = None
    done: bool = False
    """The protocol's own end was seen: ``[DONE]`` or ``message_stop``."""
    came_whole: bool = False
    """The answer was one document and no stream."""
    other_protocol: str = ""
    """Whose other protocol the answer speaks, where it speaks one that was not asked for."""
    calls: dict[str, Call] = field(default_factory=dict)
    """Calls of tools, by whatever the protocol tells them apart with."""
    vectors: list[Vector] = field(default_factory=list)
    """What an embedding is, in the order of what was asked."""
    _thoughts: Thoughts = field(default_factory=Thoughts)
    _confirmed: bool = False
    """A finish reason came after the last word, on a piece of its own."""
    _early: int = 0
    """So many finish reasons came along with a word."""
    _spoke_on: bool = False
    """A word came after the last finish reason."""

    def token(self, at_s: float, text: str, *, reasoning: bool = False) -> None:
        """Take a chunk with a token in it; text of reasoning is not kept. Thoughts in the text are told from words."""
        self.token_times.append(at_s)
        self.payload_s = at_s if self.payload_s is None else self.payload_s
        self.last_s = at_s
        self._confirmed = False
        self._spoke_on = self.finish_reason != ""
        if reasoning:
            return
        piece = self._thoughts.feed(text)
        if piece.all_before:
            self.words, self.first_answer_s = [], None
        self.words.append(piece.text)
        if piece.text.strip() or not (text.strip() or piece.thought):  # the latter: a call of a tool has no text
            self.first_answer_s = at_s if self.first_answer_s is None else self.first_answer_s

    def call(self, key: object, name: object, arguments: object) -> None:
        """Take a piece of a call of a tool; arguments that are no text (Anthropic's whole answers) become JSON."""
        found = self.calls.get(word(key)) or Call()
        if word(key) not in self.calls and len(self.calls) == _MOST_CALLS:
            return
        piece = arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
        found.name = found.name or word(name)
        found.arguments = (found.arguments + piece)[:_MOST_ARGUMENTS]
        self.calls[word(key)] = found

    def whole(self, text: str, at_s: float, done: bool = True) -> None:
        """Take the text of an answer that was not streamed; ``at_s`` is its last byte."""
        self.events, self.last_s, self.done, self.came_whole = 1, at_s, done, True
        self.words = [self._thoughts.feed(text).text]

    def keep_alive(self) -> None:
        """Count a sign of life that is no progress."""
        self.keepalives += 1
        self.early_keepalives += self.payload_s is None

    def finish(self, reason: object, *, with_token: bool = False, displaced: bool = False) -> bool:
        """Keep the vendor's finish reason verbatim; true if it is news. Unknown ones occur.

        One that comes along with a word proves little: gateways of Gemini put ``stop`` on every chunk.
        """
        told = word(reason)
        if ending(told) is Ending.NONE:
            return False
        before = (self.finish_reason, self._confirmed)
        self.finish_reason, self.finish_displaced, self._spoke_on = told, displaced, False
        self._early += with_token
        is_last = self.first_answer_s is not None or ending(told) is not Ending.WHOLE
        self._confirmed = self._confirmed or (is_last and not with_token)
        return before != (self.finish_reason, self._confirmed)

    def confirm(self) -> bool:
        """Take the sum that a vendor sends after the last word; true if that ends the answer."""
        before, self._confirmed = self._confirmed, self.finish_reason != ""
        return self._confirmed and not before

    @property
    def ending(self) -> Ending:
        """What the finish reason means."""
        return ending(self.finish_reason)

    @property
    def is_confirmed(self) -> bool:
        """The end was told by an event of its own: nothing more can be due."""
        return self.done or self._confirmed

    @property
    def is_ended(self) -> bool:
        """The answer came to its end, as far as the vendor told: it does not matter how the connection ended."""
        if self.is_confirmed:
            return True
        if self.ending is Ending.WHOLE:
            return self.first_answer_s is not None and self._early <= 1 and not self._spoke_on
        return self.ending is not Ending.NONE

    def settle(self) -> None:
        """Forget what only an answer that came to its end can tell: a count of tokens that was a place holder."""
        self.words.append(self._thoughts.rest())
        counted = self.output_tokens
        if not self.is_ended or (counted == 0 and self.token_times):
            self.output_tokens = self.reasoning_tokens = None

    @property
    def text(self) -> str:
        """The visible answer."""
        return "".join(self.words)

    @property
    def cut_by_limit(self) -> bool:
        """Our own token limit ended the answer."""
        return self.ending is Ending.LIMIT

    @property
    def is_torn(self) -> bool:
        """The answer holds bytes that were no UTF-8: broken on the way, so its words prove nothing."""
        return "\N{REPLACEMENT CHARACTER}" in self.text

    @property
    def thought_only(self) -> bool:
        """The token limit was spent before a visible word, as reasoning models do: no failure and no verdict."""
        spent = bool(self.token_times) or bool(self.output_tokens)
        return self.cut_by_limit and not self.text.strip() and not self.calls and spent

    def times(self, headers_s: float | None, cost_usd: float | None = None) -> ChatTimes:
        """Sum the times up; the formulae are in :mod:`monitor.probes.chat.probe`."""
        at = self.token_times
        gaps = [later - earlier for earlier, later in pairwise(at)]
        queued = self.early_keepalives > 0
        n, spread_s = self.output_tokens, (at[-1] - at[0]) if at else 0.0
        return ChatTimes(
            ttft_s=at[0] if at else None,
            first_answer_s=self.first_answer_s,
            queue_s=max(0.0, self.payload_s - (headers_s or 0.0)) if queued and self.payload_s else None,
            last_token_s=self.last_s,
            longest_gap_s=max(gaps, default=None),
            itl_p50_s=median(gaps) if gaps else None,
            tpot_s=spread_s / (n - 1) if n and n > 1 and gaps else None,
            tokens_per_s=n / self.last_s if n and self.last_s else None,
            output_tokens=n,
            input_tokens=self.input_tokens,
            reasoning_tokens=self.reasoning_tokens,
            keepalives=self.keepalives,
            chunks=len(at),
            finish_reason=self.finish_reason,
            model=self.model,
            system_fingerprint=self.system_fingerprint,
            cost_usd=cost_usd,
        )


def word(value: object) -> str:
    """Return a short text of a vendor's field, ``""`` for anything that is neither text nor a number."""
    return str(value)[:_WORD] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def count(value: object) -> int | None:
    """Return a token count, or ``None`` for anything that cannot be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


def table(value: object) -> Mapping[str, Any]:
    """Return a JSON object, empty for anything else: vendors send ``null`` and lists where objects are due."""
    return value if isinstance(value, dict) else {}


def is_list(value: object) -> bool:
    """Tell a list with something in it."""
    return isinstance(value, list) and bool(value)


def api_error(document: object) -> ApiError | None:
    """Find the error in a JSON document of any vendor's shape; ``None`` when it is no error.

    Shapes: ``{"error": {...}}`` (OpenAI, DeepSeek, OpenRouter, SGLang), ``{"type": "error", "error": {...}}``
    (Anthropic), ``{"object": "error", ...}`` (vLLM), ``[{"error": {...}}]`` (Google), ``{"error": "text"}`` (Ollama),
    ``{"errors": [{...}]}`` (Cloudflare), ``{"detail": ...}`` (FastAPI), ``{"message": ...}`` (Alibaba, Cohere),
    ``{"base_resp": {...}}`` (MiniMax), ``{"error_msg": ...}`` (Baidu), ``{"msg": ...}``.
    """
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    top = table(document)
    inner = top.get("error")
    if isinstance(inner, str) and inner:
        # "message" says it in words where "error" is only its name (Cohere, Spring).
        said = top.get("message") if isinstance(top.get("message"), str) else ""
        return ApiError(f"{inner}: {said}"[:500] if said else inner[:500], word(top.get("type")), word(top.get("code")))
    told = "message" in top and "choices" not in top and not isinstance(top["message"], dict)  # a table is an answer's
    if not isinstance(inner, dict) and (top.get("object") == "error" or told):
        inner = top
    if isinstance(inner, dict) and inner:
        return _error_object(inner)
    return _error_elsewhere(top) if "choices" not in top or top.get("base_resp") else None


def _error_elsewhere(top: Mapping[str, Any]) -> ApiError | None:
    """Find an error that has no ``error`` of its own."""
    if "detail" in top:
        detail = top["detail"]
        named = table(table(detail).get("error")) or table(detail)
        return _error_object(named) if named.get("message") else ApiError(brief(detail, 500))
    many = top.get("errors")
    if isinstance(many, list) and many:
        first = many[0]
        return _error_object(table(first)) if table(first) else ApiError(brief(first, 500))
    base = table(top.get("base_resp"))
    if base.get("status_code"):
        return ApiError(brief(base.get("status_msg") or "", 500), "", word(base["status_code"]))
    code = next((word(top[key]) for key in ("error_code", "errorCode", "errcode", "code") if key in top), "")
    for name in ("error_msg", "errorMessage", "error_message", "errmsg", "msg"):
        if isinstance(top.get(name), str) and top[name] and (name != "msg" or code not in ("", "0", "200")):
            return ApiError(brief(top[name], 500), word(top.get("type")), code)
    return None


def _error_object(inner: Mapping[str, Any]) -> ApiError:
    code = table(inner.get("details")).get("error_code")  # Anthropic's money family
    number = inner.get("code")
    status = number if isinstance(number, int) and 400 <= number <= 599 else None
    if isinstance(number, str) and len(number) == 3 and number.isdecimal() and number[0] in "45":
        status = int(number)  # LiteLLM sends the status as text
    kind = word(inner.get("type")) or word(inner.get("status"))
    said = inner.get("message") or inner.get("msg") or ""
    told = table(table(inner.get("metadata")).get("headers"))
    headers = {name[:64]: word(value) for name, value in list(told.items())[:40]}
    return ApiError(brief(said, 500), kind, word(code) or word(number), status, headers)
