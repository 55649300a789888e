"""What one chat answer was, piece by piece as it arrives, whichever protocol carried it; and its times.

The two dialects (:mod:`chat_openai`, :mod:`chat_anthropic`) fill a :class:`Reply`; :mod:`taxonomy` judges it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from monitor.core.model.observations import ChatTimes
from monitor.text.cleaner import brief

_WORD = 100  # characters kept of a vendor's own names (model, finish reason, error code)


class ApiError(NamedTuple):
    """An error in the vendor's own words, from an error status or from the middle of a stream."""

    message: str = ""
    type: str = ""
    code: str = ""
    status: int | None = None
    """The HTTP status that the error itself names (OpenRouter and Google put it into ``code``)."""


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
    model: str = ""
    system_fingerprint: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    error: ApiError | None = None
    done: bool = False
    """The protocol's own end was seen: ``[DONE]`` or ``message_stop``."""

    def token(self, at_s: float, text: str, *, reasoning: bool = False) -> None:
        """Take a chunk with a token in it; text of reasoning is not kept."""
        self.token_times.append(at_s)
        self.payload_s = at_s if self.payload_s is None else self.payload_s
        self.last_s = at_s
        if not reasoning:
            self.words.append(text)
            self.first_answer_s = at_s if self.first_answer_s is None else self.first_answer_s

    def keep_alive(self) -> None:
        """Count a sign of life that is no progress."""
        self.keepalives += 1
        self.early_keepalives += self.payload_s is None

    def finish(self, reason: object) -> None:
        """Keep the vendor's finish reason verbatim; unknown ones occur."""
        self.finish_reason = word(reason) or self.finish_reason

    @property
    def text(self) -> str:
        """The visible answer."""
        return "".join(self.words)

    @property
    def cut_by_limit(self) -> bool:
        """Our own token limit ended the answer."""
        return self.finish_reason in ("length", "max_tokens")

    @property
    def is_torn(self) -> bool:
        """The answer holds bytes that were no UTF-8: broken on the way, so its words prove nothing."""
        return "\N{REPLACEMENT CHARACTER}" in self.text

    @property
    def thought_only(self) -> bool:
        """The token limit was spent before a visible word, as reasoning models do: no failure and no verdict."""
        spent = bool(self.token_times) or bool(self.output_tokens)
        return self.cut_by_limit and not self.text.strip() and spent

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


def api_error(document: object) -> ApiError | None:
    """Find the error in a JSON document of any vendor's shape; ``None`` when it is no error.

    Shapes: ``{"error": {...}}`` (OpenAI, DeepSeek, OpenRouter, SGLang), ``{"type": "error", "error": {...}}``
    (Anthropic), ``{"object": "error", ...}`` (vLLM), ``[{"error": {...}}]`` (Google), ``{"error": "text"}``,
    ``{"detail": ...}`` (FastAPI).
    """
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    top = table(document)
    inner = top.get("error")
    if isinstance(inner, str) and inner:
        return ApiError(inner[:500], word(top.get("type")), word(top.get("code")))
    if not isinstance(inner, dict) and (top.get("object") == "error" or ("message" in top and "choices" not in top)):
        inner = top
    if isinstance(inner, dict) and inner:
        return _error_object(inner)
    if "detail" in top and "choices" not in top:
        return ApiError(brief(top["detail"], 500))
    return None


def _error_object(inner: Mapping[str, Any]) -> ApiError:
    code = table(inner.get("details")).get("error_code")  # Anthropic's money family
    number = inner.get("code")
    status = number if isinstance(number, int) and 400 <= number <= 599 else None
    kind = word(inner.get("type")) or word(inner.get("status"))
    return ApiError(brief(inner.get("message") or "", 500), kind, word(code) or word(number), status)
