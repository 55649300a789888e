"""Whatever a vendor sends, reading it raises nothing: a surprise is the service's, never a bug of ours."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.reasons import Reason
from monitor.probes.chat import anthropic as chat_anthropic
from monitor.probes.chat import embeddings, responses
from monitor.probes.chat import openai as chat_openai
from monitor.probes.chat.answer.reply import Reply, api_error
from monitor.probes.chat.answer.seen import End, Seen
from monitor.probes.chat.answer.sse import Event
from monitor.probes.chat.answer.taxonomy import ROWS, classify, refusal, warnings

NAMES = """
choices delta content reasoning reasoning_content reasoning_details tool_calls refusal finish_reason error message type
code status usage prompt_tokens completion_tokens completion_tokens_details reasoning_tokens model id object data index
system_fingerprint role stop length overloaded_error text thinking signature partial_json details error_code ping
message_start message_delta message_stop content_block_start content_block_delta content_block stop_reason detail
input_tokens output_tokens metadata end_turn max_tokens content_filter redacted_thinking
"""
WORDS = st.sampled_from(NAMES.split())
LEAVES = WORDS | st.none() | st.booleans() | st.integers(-2, 600) | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=25
)


def judge(reply: Reply, status: int, end: End) -> None:
    seen = Seen(status=status, end=end, reply=reply, headers_s=0.1)
    row, reason = classify(seen)
    assert row in ROWS
    assert reason is not Reason.INTERNAL
    assert isinstance(refusal(seen), str)
    assert all("." in note for note in warnings(seen))
    times = reply.times(0.1)
    assert times.longest_gap_s is None or times.longest_gap_s >= 0
    if reason is Reason.OK:
        assert reply.finish_reason
        assert reply.error is None


@pytest.mark.parametrize(
    "dialect",
    [chat_openai, chat_anthropic, responses, embeddings],
    ids=["openai", "anthropic", "responses", "embeddings"],
)
@given(events=st.lists(JSON, max_size=6), status=st.sampled_from([200, 201, 299]), end=st.sampled_from(End))
def test_any_events_are_read_and_judged(dialect: ModuleType, events: list[Any], status: int, end: End) -> None:
    reply = Reply()
    for number, event in enumerate(events):
        dialect.read_event(reply, Event("message", json.dumps(event), float(number)))
    judge(reply, status, end)


@pytest.mark.parametrize(
    "dialect",
    [chat_openai, chat_anthropic, responses, embeddings],
    ids=["openai", "anthropic", "responses", "embeddings"],
)
@given(body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_any_body_is_read_and_judged(dialect: ModuleType, body: bytes) -> None:
    reply = Reply()
    dialect.read_body(reply, body, 1.0)
    judge(reply, 200, End.COMPLETE)


@given(document=JSON, status=st.integers(100, 999))
def test_any_error_body_is_read_and_judged(document: Any, status: int) -> None:
    judge(Reply(error=api_error(document)), status, End.COMPLETE)
