"""What a finish reason means, in whatever words and casing: a whole answer, our limit, a filter, a failure.

Words of OpenAI, Anthropic, Google (Gemini, also through gateways that pass them on), Cohere, Mistral, DeepSeek, Zhipu,
Bedrock, watsonx, OpenRouter, vLLM, Text Generation Inference and Ollama, from their API references of 2026. What no
vendor is known to send is taken for a whole answer and kept word for word.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache


class Ending(Enum):
    """How an answer ended by the vendor's own word."""

    NONE = "none"
    """The field is there and says that nothing ended yet."""
    WHOLE = "whole"
    LIMIT = "limit"
    """Our token limit, or the model's context, cut it."""
    FILTERED = "filtered"
    """A content filter cut it, or the model refused."""
    BROKEN = "broken"
    """The vendor gave up."""
    OVERLOADED = "overloaded"


_WORDS = {
    Ending.NONE: "null none not_finished unspecified finish_reason_unspecified in_progress continue streaming",
    Ending.LIMIT: "length max_tokens max_token max_length max_output_tokens max_completion_tokens max_new_tokens "
    "max_tokens_reached model_length model_context_window_exceeded context_length_exceeded context_length "
    "context_window_exceeded token_limit tokens_limit token_limit_reached output_limit limit length_limit "
    "length_exceeded error_limit",
    Ending.FILTERED: "content_filter content_filtered contentfilter content_policy content_policy_violation "
    "content_moderation content_blocked refusal refused sensitive sensitive_content safety safety_block "
    "recitation blocklist "
    "prohibited_content spii language image_safety image_prohibited_content image_recitation model_armor "
    "guardrail_intervened guardrail guardrails blocked block filtered filter moderation moderated flagged toxic "
    "error_toxic harmful unsafe policy policy_violation risk data_inspection_failed jailbreak",
    Ending.BROKEN: "error errored network_error abort aborted cancel cancelled canceled user_cancel "
    "user_abort fail failed "
    "failure internal_error server_error internal_server_error malformed_function_call malformed_response "
    "unexpected_tool_call timeout time_out time_limit timed_out interrupted disconnected exception "
    "missing_thought_signature too_many_tool_calls other_error",
    Ending.OVERLOADED: "insufficient_system_resource insufficient_system_resources overloaded engine_overloaded "
    "server_overloaded resource_exhausted capacity capacity_exceeded rate_limit",
}
_MEANS = {word: ending for ending, words in _WORDS.items() for word in words.split()}
_PREFIX = re.compile(r"^(?:finish_?reason|stop_?reason|finish|stop|end)_(?=.)|^(?:finishreason|stopreason)")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GAP = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=512)
def ending(reason: str) -> Ending:
    """Return what a finish reason means; ``NONE`` for an empty one.

    ``MAX_TOKENS``, ``FinishReason.MAX_TOKENS``, ``maxTokens`` and ``content_filter: SAFETY`` are read alike. Of several
    words the one that is known decides.
    """
    for whole in (reason, *re.split(r"[:;,|/()\[\].]", reason)):
        word = _GAP.sub("_", _HUMP.sub("_", whole.strip()).lower()).strip("_")
        for name in (word, _PREFIX.sub("", word)):
            if name in _MEANS:
                return _MEANS[name]
    return Ending.WHOLE if reason.strip() else Ending.NONE
