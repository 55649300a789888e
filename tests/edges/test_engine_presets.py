"""The presets of vLLM, SGLang and llama.cpp: what all their looks together say of a server in each state."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.core.checks import steps
from monitor.core.checks.probe_state import ProbeState, new_probe_state
from monitor.core.components.health import ComponentHealth, component_health
from monitor.core.doubt import proof
from monitor.core.model.observations import Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.probes import KINDS
from monitor.probes.base import look
from tests.core.making import ALONE
from tests.edges import driven
from tests.edges.hostile import serve
from tests.edges.model_server import ModelServer
from tests.edges.probing import NOW, context
from tests.edges.test_vendors import configured

LOOKS = 8
HUNG: dict[str, Any] = {"running": 3, "waiting": 2, "answers": False}
BUSY = HUNG | {"tokens_a_read": 40}


def verdict(server: ModelServer, folder: Path, listens: bool = True, keyless: bool | None = None) -> ComponentHealth:
    """Look with every probe of the preset and return the verdict over what that means when it lasts."""

    async def main() -> ComponentHealth:
        async with serve(server) as port:
            row: dict[str, Any] = {"preset": server.engine, "base_url": f"http://127.0.0.1:{port}", "model": "m-1"}
            row |= {"key": "${ENGINE_KEY}"} if keyless is None else {"keyless": keyless}
            config = configured(folder, row, ENGINE_KEY="any-word-1")
            if listens:
                return await judged(config)
        return await judged(config)

    async def judged(config: Any) -> ComponentHealth:
        probes = [probe for probe in config.catalogue.probes if not probe.disabled]
        return component_health(
            list(zip(probes, await asyncio.gather(*(seen(config, one) for one in probes)), strict=True)),
            NOW + timedelta(seconds=5),
        )

    async def seen(config: Any, probe: Any) -> ProbeState:
        ctx = context(timeout_s=probe.timeout_s)
        observation = await look(KINDS[probe.kind], config.looks[probe.id], ctx)
        state = new_probe_state(probe.id, "local")
        for number in range(LOOKS):
            at = NOW - timedelta(seconds=probe.interval_s * (LOOKS - 1 - number))
            result = Result(RunId(probe.id, "local", at), at, 0.1, replace(observation, phases=None))
            state = steps.step(state, result, probe)
            if state.is_doubtful:
                state = proof.clear(probe, state, (), ALONE, at)
        return state

    return driven.run(main())


@pytest.mark.parametrize(
    ("engine", "state", "reason"),
    [
        ("vllm", HUNG, Reason.HUNG),
        ("vllm", BUSY, Reason.OVERLOADED),
        ("vllm", {"status": 500, "health": 503}, Reason.ENGINE_DEAD),
        ("sglang", HUNG, Reason.HUNG),
        ("sglang", BUSY, Reason.OVERLOADED),
        ("sglang", {"loading": True}, Reason.LOADING),
        ("llama_cpp", HUNG, Reason.HUNG),
        ("llama_cpp", BUSY, Reason.OVERLOADED),
        ("llama_cpp", {"loading": True}, Reason.LOADING),
    ],
)
def test_all_looks_together_name_the_state(engine: str, state: dict[str, Any], reason: Reason, tmp_path: Path) -> None:
    found = verdict(ModelServer(engine, **state), tmp_path)
    assert (found.health, found.reason) == (Health.MAJOR, reason)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama_cpp"])
def test_a_server_that_works_is_green_and_one_that_is_gone_cannot_be_reached(engine: str, tmp_path: Path) -> None:
    assert verdict(ModelServer(engine), tmp_path).health is Health.OPERATIONAL
    gone = verdict(ModelServer(engine), tmp_path, listens=False)
    assert (gone.health, gone.reason) == (Health.MAJOR, Reason.CONNECT)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama_cpp"])
def test_a_server_that_wants_no_key_is_asked_without_one_if_the_operator_says_so(engine: str, tmp_path: Path) -> None:
    said, unsaid = ModelServer(engine, **HUNG), ModelServer(engine, **HUNG)
    found = verdict(said, tmp_path, keyless=True)
    assert (found.health, found.reason) == (Health.MAJOR, Reason.HUNG)
    assert said.keys["/v1/chat/completions"] is said.keys["/metrics"] is False
    assert verdict(unsaid, tmp_path, keyless=False).health is Health.OPERATIONAL
    assert "/v1/chat/completions" not in unsaid.asked
