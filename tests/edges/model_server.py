"""A model server on loopback that publishes its counters as vLLM, SGLang or llama.cpp do, in any state.

Texts and paths as the projects publish them: vLLM ``vllm/v1/metrics/loggers.py`` and ``entrypoints/serve``, SGLang
``http_server.py`` and ``metrics_collector.py``, llama.cpp ``tools/server/README.md``.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from tests.edges.probing import STREAM, SUM, http, whole_request

MODEL = 'model_name="m-1"'
LOADING = json.dumps({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
NO_METRICS = json.dumps(
    {
        "error": {
            "code": 501,
            "message": "This server does not support metrics endpoint. Start it with `--metrics`",
            "type": "not_supported_error",
        }
    }
)
ANSWER = (
    b'data: {"choices":[{"delta":{"content":"@SUM@"}}]}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@dataclass
class ModelServer:
    """Fields say what it does; ``asked`` what it was asked."""

    engine: str
    running: int = 0
    waiting: int = 0
    cache: float = 0.1
    tokens_a_read: int = 0
    """By so much its counter of tokens moves between two readings."""
    arrive_a_read: int = 0
    """So many more requests wait at each reading."""
    answers: bool = True
    """Whether questions are answered; if not they are kept waiting."""
    answer_after_s: float = 0.0
    status: int = 200
    """Of an answer to a question."""
    health: int | None = 200
    """``None`` gives no answer at all."""
    front: bool = False
    """Whether it is a server in front of it that speaks of its health, with a page."""
    loading: bool = False
    metrics: str = "yes"
    """``yes``, ``no``, ``key`` or ``mute``; or a text to publish instead."""
    instead: str = "yes"
    """Whether SGLang's load and llama.cpp's slots may be read: ``yes``, ``no`` or ``mute``."""
    mute_until: int = 0
    """So many readings of the metrics from the first one get no answer …"""
    mute_from: int = 1000
    """… and all from this one on."""
    key: str = ""
    asked: list[str] = field(default_factory=list)
    keys: dict[str, bool] = field(default_factory=dict)
    """Path → whether a key came along."""
    _tokens: int = 1000

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await whole_request(reader)
        path = head.split(b" ", 2)[1].decode()
        self.asked.append(path)
        self.keys[path] = self.key.encode() in head if self.key else b"authorization" in head.lower()
        if path.endswith("/chat/completions"):
            reply = await self.chat(body)
        elif path == "/v1/models":
            reply = http(200, '{"object":"list","data":[{"id":"m-1"}]}')
        elif path.startswith("/health"):
            reply = await self.alive()
        else:
            reply = await self.counted(path)
        writer.write(reply)
        await writer.drain()

    async def chat(self, body: bytes) -> bytes:
        if self.loading and self.engine == "llama_cpp":
            return http(503, LOADING)
        if self.loading or self.status != 200:
            return http(self.status if self.status != 200 else 503, '{"error":{"message":"no"}}')
        if not self.answers:
            await asyncio.sleep(600)
        await asyncio.sleep(self.answer_after_s)
        asked = SUM.search(body)
        return STREAM + ANSWER.replace(b"@SUM@", str(int(asked[1]) + int(asked[2])).encode() if asked else b"Hello")

    async def alive(self) -> bytes:
        if self.health is None:
            await asyncio.sleep(600)
        if self.loading:
            return http(503, LOADING if self.engine == "llama_cpp" else "")
        if self.front and self.health:
            return http(self.health, "<html><h1>Bad gateway</h1></html>", kind="text/html")
        return http(self.health or 200, '{"status":"ok"}' if self.engine == "llama_cpp" else "")

    async def counted(self, path: str) -> bytes:
        self._tokens += self.tokens_a_read
        self.waiting += self.arrive_a_read
        if path == "/metrics":
            number = self.asked.count("/metrics")
            if self.metrics == "mute" or number <= self.mute_until or number >= self.mute_from:
                await asyncio.sleep(600)
            if self.metrics == "key" and not self.keys[path]:
                return http(401, '{"error":"unauthorized"}')
            if self.metrics == "no":
                return http(501, NO_METRICS) if self.engine == "llama_cpp" else http(404, "{}")
            if self.loading and self.engine == "llama_cpp":
                return http(503, LOADING)
            text = self.text() if self.metrics in ("yes", "key") else self.metrics
            return http(200, text, kind="text/plain; version=0.0.4")
        if path in ("/slots", "/get_load") and self.instead == "mute":
            await asyncio.sleep(600)
        if path == "/slots" and self.engine == "llama_cpp" and self.instead == "yes":
            rows = [
                {"id": n, "is_processing": n < self.running, "next_token": [{"n_decoded": self._tokens}]}
                for n in range(4)
            ]
            return http(200, json.dumps(rows))
        if path == "/get_load" and self.engine == "sglang" and self.instead == "yes":
            load = {
                "num_reqs": self.running + self.waiting,
                "num_waiting_reqs": self.waiting,
                "num_tokens": self._tokens,
            }
            return http(200, json.dumps([{"dp_rank": 0, **load}]))
        return http(404, "{}")

    def text(self) -> str:
        """Return the metrics as the engine words them, with others around them."""
        rows = {
            "vllm": [
                "# HELP vllm:num_requests_running Number of requests in model execution batches.",
                "# TYPE vllm:num_requests_running gauge",
                f'vllm:num_requests_running{{engine="0",{MODEL}}} {self.running}.0',
                f'vllm:num_requests_waiting{{engine="0",{MODEL}}} {self.waiting}.0',
                f'vllm:kv_cache_usage_perc{{engine="0",{MODEL}}} {self.cache}',
                f'vllm:generation_tokens_total{{engine="0",{MODEL}}} {self._tokens}.0',
                f'vllm:prompt_tokens_total{{engine="0",{MODEL}}} 4.2e+06',
                f'vllm:time_to_first_token_seconds_bucket{{le="0.5",{MODEL}}} 3.0',
            ],
            "sglang": [
                f"sglang:num_running_reqs{{{MODEL}}} {self.running}.0",
                f"sglang:num_queue_reqs{{{MODEL}}} {self.waiting}.0",
                f"sglang:token_usage{{{MODEL}}} {self.cache}",
                f"sglang:num_used_tokens{{{MODEL}}} {self._tokens}.0",
                f"sglang:generation_tokens_total{{{MODEL}}} 7.557572e+06",
            ],
            "llama_cpp": [
                f"llamacpp:requests_processing {self.running}",
                f"llamacpp:requests_deferred {self.waiting}",
                f"llamacpp:n_decode_total {self._tokens}",
                "llamacpp:tokens_predicted_total 39080",
                "llamacpp:predicted_tokens_seconds nan",
            ],
        }
        return "\n".join(rows[self.engine]) + "\n"
