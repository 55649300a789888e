"""How vLLM, SGLang and llama.cpp name what they count.

Sources: vLLM ``vllm/v1/metrics/loggers.py`` (``vllm:num_requests_running``, ``kv_cache_usage_perc``, formerly
``gpu_cache_usage_perc``); SGLang production metrics (``--enable-metrics``) and ``/get_load``; llama.cpp
``tools/server/README.md`` (``--metrics``, ``/slots``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Engine:
    """How one engine names what we want to know, in the order of preference."""

    prefix: str
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    cache: tuple[str, ...]
    """Share of the KV cache that is in use, 0 to 1."""
    work: tuple[str, ...]
    """Series that move whenever the engine works; that all of them stand still is a sign that it does not."""
    instead: str = ""
    """Where the counts stand when there are no metrics. The loop that makes the tokens answers there."""
    loop_tells: bool = False
    """That loop tells the metrics, too; those of the others come from the server in front of it."""
    tells_death: bool = False
    """Its ``/health`` says 503 without a word when the engine behind it died. A front server's page is not that."""
    health_asks: bool = False
    """Its ``/health`` makes the model say a token, once it is up."""


ENGINES: Mapping[str, Engine] = {
    "vllm": Engine(
        "vllm",
        ("num_requests_running",),
        ("num_requests_waiting",),
        ("kv_cache_usage_perc", "gpu_cache_usage_perc"),
        ("generation_tokens_total", "prompt_tokens_total", "request_success_total", "num_preemptions_total"),
        tells_death=True,
    ),
    "sglang": Engine(
        "sglang",
        ("num_running_reqs",),
        ("num_queue_reqs",),
        ("token_usage",),
        # Tokens are booked when a request ends, so the gauges of the running batch belong to it.
        (
            "realtime_tokens_total",
            "generation_tokens_total",
            "prompt_tokens_total",
            "num_used_tokens",
            "gen_throughput",
        ),
        instead="/get_load",
        health_asks=True,
    ),
    "llama_cpp": Engine(
        "llamacpp",
        ("requests_processing",),
        ("requests_deferred",),
        ("kv_cache_usage_ratio",),
        ("n_decode_total", "tokens_predicted_total", "prompt_tokens_total"),
        instead="/slots",
        loop_tells=True,
    ),
}
