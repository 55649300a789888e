"""Embeddings: what is asked, which vectors are right, what is no answer, and what it costs."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.chat.answer.canary import Verdict
from monitor.probes.chat.answer.likeness import Likeness, likeness
from monitor.probes.chat.answer.reply import Reply
from monitor.probes.chat.options import Options
from tests.edges import driven
from tests.edges.chat_shapes import OPENAI_BODY, openai_error
from tests.edges.hostile import serve
from tests.edges.probing import KEY, context, http, look_once, whole_request

TOPICS = ("train", "invoice", "station", "shelter", "room")
USAGE = {"prompt_tokens": 41, "total_tokens": 41}


def meaning(text: str) -> list[float]:
    """What a sound model does, as far as these sentences go: one direction for each subject, and a little noise."""
    return [float(topic in text.lower()) + 0.01 * (len(text) % 7) for topic in TOPICS]


def answered(*vectors: Any, **changes: Any) -> bytes:
    rows = [{"object": "embedding", "index": number, "embedding": vector} for number, vector in enumerate(vectors)]
    whole = {"object": "list", "data": rows, "model": "text-embedding-4", "usage": USAGE} | changes
    return http(200, json.dumps(whole))


def packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def turned(texts: list[str]) -> bytes:
    rows = [{"index": number, "embedding": meaning(text)} for number, text in enumerate(texts)]
    return http(200, json.dumps({"data": rows[::-1], "usage": USAGE}))


Say = Callable[[list[str]], bytes]
ANSWERS: dict[str, tuple[Reason, Say]] = {
    "lists of numbers": (Reason.OK, lambda texts: answered(*map(meaning, texts))),
    "base64": (Reason.OK, lambda texts: answered(*(packed(meaning(text)) for text in texts))),
    "rows in another order": (Reason.OK, turned),
    "whole numbers": (Reason.OK, lambda texts: answered(*([round(x) for x in meaning(text)] for text in texts))),
    "zeros": (Reason.QUALITY, lambda texts: answered(*([0.0] * 5 for _ in texts))),
    "the same for all": (Reason.QUALITY, lambda texts: answered(*([0.1, 0.2] for _ in texts))),
    "too few": (Reason.QUALITY, lambda texts: answered(meaning(texts[0]))),
    "of several lengths": (Reason.QUALITY, lambda texts: answered([1.0], [1.0, 2.0], [1.0])),
    "numbers that are none": (Reason.MALFORMED, lambda texts: answered(*([None, 1.0] for _ in texts))),
    "no base64": (Reason.MALFORMED, lambda texts: answered("%%%", "%%%", "%%%")),
    "none": (Reason.EMPTY, lambda texts: answered()),
    "no list": (Reason.MALFORMED, lambda texts: http(200, '{"object":"list"}')),
    "no JSON": (Reason.MALFORMED, lambda texts: http(200, "oh")),
    "chat completions": (Reason.CONFIG, lambda texts: http(200, OPENAI_BODY)),
    "no such model": (
        Reason.CONFIG,
        lambda texts: http(
            404, openai_error("The model `m` does not exist", "invalid_request_error", "model_not_found")
        ),
    ),
    "an error after a good status": (
        Reason.OVERLOADED,
        lambda texts: http(200, openai_error("Overloaded", "overloaded_error")),
    ),
    "too busy": (Reason.OVERLOADED, lambda texts: http(503, openai_error("Service is too busy", "unavailable"))),
}


def looks(says: list[Say], **options: Any) -> tuple[list[Observation], list[bytes]]:
    asked: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await whole_request(reader)
        texts = json.loads(body)["input"]
        writer.write(says[len(asked)](texts))
        asked.append(head + body)
        await writer.drain()

    async def main() -> list[Observation]:
        usual = {"model": "m", "key": KEY, "models_every_s": None, "dialect": "embeddings"} | options
        shared = context()
        async with serve(behave) as port:
            page = f"http://127.0.0.1:{port}/v1"
            return [await look_once("chat", replace(shared, memory={}), base_url=page, **usual) for _ in says]

    return driven.run(main()), asked


def test_every_answer_of_an_embedding_is_told() -> None:
    seen, _ = looks([say for _, say in ANSWERS.values()])
    assert {name: one.reason for name, one in zip(ANSWERS, seen, strict=True)} == {
        name: reason for name, (reason, _) in ANSWERS.items()
    }
    assert [one.warnings for one in seen if one.reason is Reason.OK] == [()] * 4
    assert "two that say the same are not the nearest" in seen[list(ANSWERS).index("zeros")].detail


def test_an_embedding_is_asked_and_counted_as_its_protocol_says() -> None:
    (seen,), (asked,) = looks([ANSWERS["lists of numbers"][1]])
    assert asked.startswith(b"POST /v1/embeddings HTTP/1.1")
    body = json.loads(asked.partition(b"\r\n\r\n")[2])
    assert body.keys() == {"model", "input"}
    assert len(set(body["input"])) == 3
    assert seen.detail == "3 vectors of 5 numbers"
    assert seen.chat is not None
    assert (seen.chat.input_tokens, seen.chat.output_tokens, seen.chat.ttft_s) == (41, 0, None)
    assert seen.chat.last_token_s is not None


def test_without_a_canary_any_vector_will_do() -> None:
    (seen,), (asked,) = looks([lambda texts: answered([0.5, 0.1])], canary=False)
    assert seen.reason is Reason.OK
    assert len(json.loads(asked.partition(b"\r\n\r\n")[2])["input"]) == 1


def test_the_odd_sentence_may_stand_anywhere_and_no_two_looks_ask_the_same() -> None:
    rng = random.Random(5)
    made = [likeness(rng) for _ in range(60)]
    assert {one.odd for one in made} == {0, 1, 2}
    assert len({one.texts for one in made}) == 60
    for one in made:
        right = Reply(vectors=[tuple(meaning(text)) for text in one.texts])
        assert one.verdict(right) is Verdict.RIGHT
        assert Likeness(one.texts, (one.odd + 1) % 3).verdict(right) is Verdict.WRONG


def test_an_embedding_costs_no_output_and_has_no_long_answer() -> None:
    usual: dict[str, Any] = {"base_url": "https://a.example", "model": "m", "key": KEY, "dialect": "embeddings"}
    tokens, usd = Options(**usual, usd_per_million_input=1.0).most_of_a_question()
    assert tokens == 100
    assert usd == pytest.approx(0.0001)
    for more in ({"long_every_s": "1h"}, {"canary": "tool_call"}):
        with pytest.raises(ValidationError, match="embeddings have no words"):
            Options(**usual, **more)
