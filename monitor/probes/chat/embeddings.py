"""OpenAI's embeddings, as OpenAI, vLLM, Mistral, Ollama, Together and many gateways answer them: never a stream.

Vectors come as lists of numbers, or as base64 of 32-bit floats where a gateway asks for them so, in any order by their
``index``. Source: OpenAI API reference, "Embeddings".
"""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

from monitor.probes.answers import parse_json
from monitor.probes.chat.answer.reply import Reply, Vector, api_error, count, is_list, table, word
from monitor.probes.chat.answer.sse import Event
from monitor.probes.chat.ask import Place, Wish
from monitor.probes.chat.openai import key_headers, models_url, other_protocol

__all__ = ["LISTS_MODELS", "STREAMS", "key_headers", "models_url", "read_body", "read_event", "request", "url"]

STREAMS = False
LISTS_MODELS = True
_LONGEST = 100_000
"""Numbers of a vector; the longest known have some ten thousand."""


def url(place: Place) -> str:
    """Return where to ask."""
    return f"{place.base_url.rstrip('/')}/embeddings"


def request(wish: Wish) -> dict[str, Any]:
    """Return the body of a request."""
    return {"model": wish.model, "input": list(wish.texts)}


def read_event(reply: Reply, _event: Event) -> bool:
    """Take an event: nothing of this protocol comes as one."""
    reply.undecodable += 1
    return False


def read_body(reply: Reply, body: bytes, at_s: float) -> None:
    """Take the answer; *at_s* is its last byte."""
    try:
        document = parse_json(body)
    except ValueError:
        reply.undecodable += bool(body.strip())
        return
    whole = table(document)
    reply.error = api_error(document)
    rows = whole.get("data")
    if not isinstance(rows, list):
        reply.undecodable += reply.error is None
        reply.other_protocol = "OpenAI's chat completions" if is_list(whole.get("choices")) else other_protocol(whole)
        return
    reply.whole("", at_s)
    reply.model = word(whole.get("model"))
    placed = sorted(enumerate(map(table, rows)), key=lambda row: count(row[1].get("index")) or 0)
    found = [_vector(row.get("embedding")) for _, row in placed]
    reply.vectors = [vector for vector in found if vector]
    reply.undecodable += len(reply.vectors) < len(found)
    asked = count(table(whole.get("usage")).get("prompt_tokens"))
    reply.input_tokens, reply.output_tokens = asked, None if asked is None else 0


def _vector(value: object) -> Vector:
    """Return the numbers of a vector, none if one of them is no number."""
    if isinstance(value, str):
        try:
            data = base64.b64decode(value, validate=True)
        except ValueError:
            return ()
        value = list(struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4]))
    if not isinstance(value, list) or len(value) > _LONGEST:
        return ()
    numbers = [number for number in value if isinstance(number, int | float) and not isinstance(number, bool)]
    if len(numbers) < len(value) or not all(math.isfinite(number) and abs(number) < 1e100 for number in numbers):
        return ()
    return tuple(map(float, numbers))
