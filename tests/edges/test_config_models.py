"""Several models of one preset: components and probes of their own, and what a row may write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.config.faults import Code
from monitor.config.load import Config
from tests.edges.test_config import only, read

KEY = {"ANTHROPIC_API_KEY": "k-0123456789"}
ROW = """\
services:
  - preset: anthropic
"""


def chats(config: Config) -> dict[str, Any]:
    """Probe → options, of those that ask a model."""
    return {probe.id: config.looks[probe.id] for probe in config.catalogue.probes if probe.asks_model}


def test_each_of_several_models_is_a_component_with_a_probe_of_its_own(tmp_path: Path) -> None:
    config = read(tmp_path, f"{ROW}    models: [claude-haiku-5-5, claude-sonnet-5]\n", KEY)
    found = {probe: options.model for probe, options in chats(config).items()}
    assert found == {
        "anthropic-api-chat-claude-haiku-5-5": "claude-haiku-5-5",
        "anthropic-api-chat-claude-sonnet-5": "claude-sonnet-5",
    }
    parts = {part.id: part for part in config.catalogue.components}
    sonnet = parts["anthropic/api-claude-sonnet-5"]
    assert (sonnet.name, sonnet.kind, sonnet.depends_on) == ("claude-sonnet-5", "api", ("anthropic/api",))
    homes = {probe.id: probe.component for probe in config.catalogue.probes}
    assert homes["anthropic-api-chat-claude-sonnet-5"] == sonnet.id
    assert homes["anthropic-api-edge"] == "anthropic/api"


def test_one_model_stays_what_it_was(tmp_path: Path) -> None:
    assert list(chats(read(tmp_path, ROW, KEY))) == ["anthropic-api-chat"]


def test_a_model_may_have_parameters_of_its_own_and_no_price_is_borrowed(tmp_path: Path) -> None:
    priced = "{model: claude-opus-5, usd_per_million_input: 5, usd_per_million_output: 25}"
    config = read(tmp_path, f"{ROW}    models: [claude-haiku-5-5, claude-sonnet-5, {priced}]\n", KEY)
    prices = {one.model: (one.usd_per_million_input, one.usd_per_million_output) for one in chats(config).values()}
    assert prices["claude-haiku-5-5"] > (0, 0)
    assert prices["claude-sonnet-5"] == (0, 0)
    assert prices["claude-opus-5"] == (5, 25)


def test_a_preset_that_requires_a_model_takes_several(tmp_path: Path) -> None:
    row = "services:\n  - preset: azure_openai\n    base_url: https://a.example\n    models: [fast, deep]\n"
    found = chats(read(tmp_path, row, {"AZURE_OPENAI_API_KEY": "k-0123456789"}))
    assert [one.model for one in found.values()] == ["fast", "deep"]


def test_models_do_not_need_a_component_that_the_row_leaves_out(tmp_path: Path) -> None:
    config = read(tmp_path, f"{ROW}    without: [api, vendor-page]\n    models: [a-1, b-2]\n", KEY)
    parts = {part.id: part.depends_on for part in config.catalogue.components}
    assert parts["anthropic/api-a-1"] == ()
    assert "anthropic/api" not in parts


def test_without_a_key_every_model_says_so(tmp_path: Path) -> None:
    config = read(tmp_path, f"{ROW}    models: [a-1, b-2]\n", {})
    off = {probe.id: probe.disabled for probe in config.catalogue.probes if probe.asks_model}
    assert len(off) == 2
    assert all("ANTHROPIC_API_KEY" in why for why in off.values())


@pytest.mark.parametrize(
    ("row", "code", "line", "says"),
    [
        ("models: [a-1]\n    model: b-2", Code.VALUE, 3, 'write "model" or "models", not both'),
        ("models: [7]", Code.WRONG_TYPE, 3, "a model must be its name"),
        ("models: [{modell: a}]", Code.WRONG_TYPE, 3, "a model must be its name"),
        ("models: [{model: a, kee: b}]", Code.UNKNOWN_KEY, 3, 'unknown key "kee"'),
        ("models: a-1", Code.VALUE, 3, "models"),
        ("models: [" + ", ".join(f"m-{number}" for number in range(51)) + "]", Code.TOO_MANY, 3, "51 models"),
    ],
)
def test_what_cannot_be_several_models_is_told_with_its_line(
    tmp_path: Path, row: str, code: Code, line: int, says: str
) -> None:
    assert says in only(tmp_path, f"{ROW}    {row}\n", code, line, environ=KEY).message


def test_a_preset_that_asks_no_model_has_no_models(tmp_path: Path) -> None:
    row = "services:\n  - preset: github_copilot\n    models: [a-1]\n"
    assert "asks no model" in only(tmp_path, row, Code.VALUE, 3).message
