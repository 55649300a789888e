"""Which names mean the model that was asked, and when the operator learns that it ends or that another one answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml

from monitor.config.presets import folder
from monitor.core.model.reasons import Reason
from monitor.probes.chat.answer.names import ending_soon, is_same
from monitor.probes.chat.options import Options
from tests.edges.probing import NOW
from tests.edges.test_probe_chat import GOOD, Vendor, looks

SAME = """
gpt-6-luna gpt-6-luna-2026-08-12
claude-haiku-5-5 claude-haiku-5-5-20260901
claude-haiku-4.5 claude-haiku-4-5-20251001
mistral-small-latest mistral-small-2603
models/gemini-3.8-flash gemini-3.8-flash-001
deepseek/deepseek-v4-pro:free deepseek/deepseek-v4-pro
openai/gpt-oss-20b gpt-oss-20b
Qwen/Qwen3-8B qwen3-8b
deepseek-v3-0324 deepseek-v3
gpt-4-turbo-preview gpt-4-turbo
"""
OTHER = """
gpt-5 gpt-5-mini
gpt-5 gpt-5.1
deepseek-v4-pro deepseek-v4.1-flash
claude-opus-5 claude-sonnet-5
llama-3-70b llama-3-8b
gpt-oss-120b gpt-oss-20b
gemini-3.8-flash gemini-3.8-flash-lite
glm-5.3 glm-5.3-flash
"""


@pytest.mark.parametrize("pair", SAME.strip().splitlines())
def test_a_snapshot_an_owner_and_a_suffix_are_the_same_model(pair: str) -> None:
    one, other = pair.split()
    assert is_same(one, other)
    assert is_same(other, one)


@pytest.mark.parametrize("pair", OTHER.strip().splitlines())
def test_another_size_or_version_is_another_model_unless_it_is_known(pair: str) -> None:
    one, other = pair.split()
    assert not is_same(one, other)
    assert not is_same(other, one)
    assert is_same(one, other, (f"{other}-2026-01-01",))
    assert is_same(one, other, ("*",))


def test_another_model_that_answers_is_told_until_the_right_one_does() -> None:
    vendor = Vendor()
    memory: dict[str, Any] = {}
    usual: dict[str, Any] = {"model": "gpt-6-luna", "answers_as": [], "short_every_s": "5m", "models_every_s": None}
    seen = looks(vendor, [0], memory, **usual)
    vendor.reply = GOOD.replace(b"gpt-6-luna-2026-08-12", b"gpt-5-mini-2025-08-07")
    seen += looks(vendor, [5, 6], memory, **usual)
    vendor.reply = GOOD
    seen += looks(vendor, [10], memory, **usual)
    assert [one.reason for one in seen] == [Reason.OK] * 4
    rerouted = "model.rerouted: gpt-6-luna: gpt-5-mini-2025-08-07"
    assert [tuple(note for note in one.warnings if note.startswith("model.r")) for one in seen] == [
        (), (rerouted,), (rerouted,), (),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{"answers_as": "*"}, {"dialect": "azure", "answers_as": []}, {"key_header": "api-key", "answers_as": []}],
)
def test_names_of_a_server_or_of_a_deployment_are_its_own(options: dict[str, Any]) -> None:
    (seen,) = looks(Vendor(), [0], model="ours", models_every_s=None, **options)
    assert (seen.reason, seen.warnings) == (Reason.OK, ())


@pytest.mark.parametrize(
    ("days", "code"),
    [
        (31, None), (30, "30"), (15, "30"), (14, "14"), (4, "14"), (3, "3"), (0, "3"), (-40, "3"),
    ],
)  # fmt: skip
def test_the_end_of_a_model_is_told_at_30_14_and_3_days(days: int, code: str | None) -> None:
    last = NOW.date() + timedelta(days=days)
    told = ending_soon("m-1", {"m-1": last, "m-2": NOW.date()}, NOW)
    assert told == (f"model.ends_in_{code}_days: m-1, {last}" if code else None)


def test_a_look_says_that_its_model_ends_whatever_it_sees() -> None:
    vendor = Vendor(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")
    (seen,) = looks(vendor, [0], model_ends={"m-1": "2026-12-05", "m-2": "2026-11-24"})
    assert seen.reason is Reason.OVERLOADED
    assert seen.warnings == ("model.ends_in_14_days: m-1, 2026-12-05",)


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
def test_presets_know_ends_of_models_and_ask_none_of_these_by_themselves(vendor: str) -> None:
    preset = yaml.safe_load((folder() / f"{vendor}.yaml").read_text("utf-8"))
    (chat,) = (probe for probe in preset["probes"] if probe["kind"] == "chat")
    ends = Options(base_url="https://a.example", model="m", model_ends=chat["options"]["model_ends"]).model_ends
    assert ends
    assert preset["parameters"]["model"]["default"] not in ends
