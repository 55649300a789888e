"""What probes remember outlives a restart, holds no secret and is whole at every moment."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.config.load import Config, load
from monitor.core.model.observations import Result
from monitor.prober.prober import Prober
from monitor.prober.process import remember
from monitor.probes.chat.budget import Ledger
from monitor.probes.memory import MOST_BYTES_OF_A_PROBE, Memories, memory_path
from monitor.simulator.play import serve
from tests.edges import driven
from tests.edges.probing import KEY

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def written(path: Path, memory: dict[str, Any], secrets: tuple[str, ...] = ()) -> Memories:
    """Keep and write one memory; return what a new process finds."""
    memories = Memories(path)
    memories.keep("shop-chat", "chat", memory, secrets)
    content = memories.copy()
    assert content is not None
    memories.write(content)
    return Memories(path)


@pytest.mark.parametrize(
    ("database", "file"),
    [
        ("sqlite:///var/chatwatch.db", "var/spool/local.memory.json"),
        ("sqlite:////srv/chatwatch/status.db", "/srv/chatwatch/spool/local.memory.json"),
        ("postgresql://chatwatch@db/chatwatch", "var/spool/local.memory.json"),
    ],
)
def test_the_file_lies_beside_the_spool(database: str, file: str) -> None:
    assert memory_path(database, "local") == Path(file)


def test_a_memory_is_found_again_by_a_probe_of_the_same_kind(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "local.memory.json"
    found = written(path, {"ledger": {"day": "2026-11-23", "tokens": 900}, "methods": ["email"]})
    assert found.of("shop-chat", "chat") == {"ledger": {"day": "2026-11-23", "tokens": 900}, "methods": ["email"]}
    assert found.of("shop-chat", "http") == {}
    assert found.of("shop-page", "chat") == {}
    assert path.stat().st_mode & 0o077 == 0


def test_a_secret_in_a_memory_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "local.memory.json"
    found = written(path, {"model": f"echo of {KEY}", "text": "Bearer abcdefghijkl0123", "answered": 3}, (KEY,))
    assert found.of("shop-chat", "chat") == {"answered": 3}
    assert KEY not in path.read_text()


def test_what_is_no_json_or_too_large_stays_in_the_process(tmp_path: Path) -> None:
    path = tmp_path / "local.memory.json"
    assert written(path, {"when": NOW, "endless": float("nan"), "n": 1}).of("shop-chat", "chat") == {"n": 1}
    memories = Memories(tmp_path / "other.json")
    memories.keep("shop-chat", "chat", {"text": "x" * MOST_BYTES_OF_A_PROBE}, ())
    assert memories.copy() is None


DAMAGED = (
    b"",
    b"{",
    b"[]",
    b'{"format": 9, "probes": {}}',
    b'{"format": 1, "probes": [1]}',
    b'{"format": 1, "probes": {"shop-chat": 3}}',
    b"[" * 100_000,
    b"\xff\xfe",
)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_an_empty_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "local.memory.json"
    path.write_bytes(content)
    assert Memories(path).of("shop-chat", "chat") == {}


def test_only_what_changed_is_written_and_removed_probes_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "local.memory.json"
    memories = written(path, {"n": 1})
    assert memories.copy() is None
    memories.keep("shop-chat", "chat", {"n": 1}, ())
    assert memories.copy() is None
    memories.forget([])
    content = memories.copy()
    assert content is not None
    assert json.loads(content)["probes"] == {}


@pytest.mark.parametrize("stored", [None, {}, {"tokens": "many"}, {"colour": "red"}, [1], {"tokens": -5}, {"day": 3}])
def test_a_ledger_that_makes_no_sense_begins_anew(stored: Any) -> None:
    assert Ledger.read(stored, NOW).tokens == 0


def chatting(tmp_path: Path, url: str) -> Config:
    path = tmp_path / "probes.yaml"
    path.write_text(f"""\
allow_networks: [127.0.0.0/8]
services:
  - id: sim
    name: Simulated
    components: [{{id: api, name: API, kind: api}}]
    probes:
      - id: chat
        component: api
        kind: chat
        interval: 1s
        timeout: 900ms
        options: {{base_url: "{url}/v1", model: sim-chat, key: "${{SIM_KEY}}", budget_tokens_day: 150}}
""")
    return load(path, {"SIM_KEY": KEY})


@pytest.mark.slow
def test_a_restart_does_not_begin_the_days_budget_anew(tmp_path: Path) -> None:
    path, found = tmp_path / "spool" / "local.memory.json", list[Result]()

    async def one_life(config: Config) -> Any:
        prober = Prober(config, found.append, Memories(path))
        prober.start()
        await asyncio.sleep(2.2)
        await prober.stop()
        await remember(prober.memories)
        return Memories(path).of("sim-chat", "chat")["ledger"]

    async def play() -> None:
        async with serve() as vendor:
            vendor.set(ttft_s=0.01)
            config = chatting(tmp_path, vendor.url)
            first = await one_life(config)
            asked = vendor.services[""].counts["chat"]
            second = await one_life(config)
            assert asked >= 1
            assert second["tokens"] >= first["tokens"] > 0
            assert second["tokens"] <= 150
            assert second["asks"] == vendor.services[""].counts["chat"]

    driven.run_by_the_wall(play())
    assert KEY not in path.read_text()
