"""The presets: whole services without a key, complete with one, every fact with its source and date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import monitor
from monitor.config.load import load
from monitor.core.catalogue import ComponentKind
from monitor.probes import KINDS

FOLDER = Path(monitor.__file__).parent / "vendors"
PRESETS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
OWN = [name for name, preset in PRESETS.items() if preset["parameters"].get("base_url", {}).get("required")]
"""Whoever runs the server says where it is."""
HOSTED = [name for name, preset in PRESETS.items() if name not in OWN and "key" in preset["parameters"]]
TOLD = [name for name, preset in PRESETS.items() if all(probe.get("witness") for probe in preset["probes"])]
"""Of which only the vendor's word is known."""
CHATS = {"deepseek", "openai", "anthropic", "google", "mistral", "xai", "qwen", "moonshot", "zhipu", "openrouter"}
BRIEF = {"anthropic", "mistral", "qwen", "cohere", "perplexity"}
THINKING = {*HOSTED} - BRIEF
"""Whose model spends a short limit on thinking."""
INTERVALS = {"30s", "1m", "2m", "5m", "15m", "1h"}
HOLE = re.compile(r"\{([a-z_]+)\}")


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted path; members of a list go by their id."""
    if isinstance(node, dict):
        for key, item in node.items():
            yield from leaves(item, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from leaves(
                item, f"{path}.{item['id']}" if isinstance(item, dict) and "id" in item else f"{path}.{number}"
            )
    else:
        yield path, node


def configured(tmp_path: Path, row: dict[str, Any], **environ: str) -> Any:
    file = tmp_path / "probes.yaml"
    document = {"services": [row], "allow_networks": ["127.0.0.0/8"]}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return load(file, environ)


def test_the_presets_are_those_that_the_readme_promises() -> None:
    promised = (FOLDER / "README.md").read_text(encoding="utf-8").partition("\n## The presets\n")[2]
    named = re.findall(r"`([a-z0-9_]+)`", promised.replace("`base_url`", ""))
    assert sorted(named) == list(PRESETS)
    assert {"deepseek", "openai", "anthropic"} <= set(HOSTED)
    assert {"vllm", "open_webui"} <= set(OWN)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_keeps_to_its_format(name: str) -> None:
    preset = PRESETS[name]
    assert set(preset) - {"former"} == {"service", "parameters", "components", "probes", "sources"}
    assert not {*preset.get("former", ())} & {part["id"] for part in preset["components"] + preset["probes"]}
    assert set(preset["service"]) == {"id", "name", "url", "status_page"}
    slugs = [component["id"] for component in preset["components"]]
    ids = [probe["id"] for probe in preset["probes"]]
    assert len(set(slugs)) == len(slugs)
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", slug) for slug in (*slugs, *ids, preset["service"]["id"]))
    for component in preset["components"]:
        assert component["name_zh"]
        ComponentKind(component["kind"])
    for parameter in preset["parameters"].values():
        assert ("default" in parameter) is not bool(parameter.get("required"))
        assert parameter["help"]
    for probe in preset["probes"]:
        assert probe["component"] in slugs
        assert probe["kind"] in KINDS
        assert probe["interval"] in INTERVALS
        assert set(probe.get("needs", ())) <= set(preset["parameters"])
        assert (probe["kind"] == "upstream") is bool(probe.get("witness"))
        for key in ("components", "titles"):
            assert set(probe["options"].get(key, {}).values()) <= set(slugs)


@pytest.mark.parametrize("name", PRESETS)
def test_holes_are_declared_and_secrets_are_only_defaults_of_parameters(name: str) -> None:
    preset = PRESETS[name]
    for part in ("service", "components", "probes"):
        for path, value in leaves(preset[part], part):
            assert not re.search(r"\$\{", str(value)), path
            assert set(HOLE.findall(str(value))) <= set(preset["parameters"]), path
    secrets = [value for _path, value in leaves(preset["parameters"]) if "${" in str(value)]
    assert all(re.fullmatch(r"\$\{[A-Z0-9_]+\}", value) for value in secrets if "NAME" not in value)


@pytest.mark.parametrize("name", PRESETS)
def test_every_fact_has_a_source_and_a_date(name: str) -> None:
    preset = PRESETS[name]
    sources = preset["sources"]
    for path, entry in sources.items():
        assert set(entry) <= {"source", "date", "verified"}, path
        assert entry["source"]
        assert isinstance(entry["date"], date)
        assert entry.get("verified", True) in (True, False)
    facts = [path for path, _value in leaves({"service": preset["service"]})]
    facts += [f"parameters.{key}.default" for key, parameter in preset["parameters"].items() if "default" in parameter]
    facts += [f"probes.{probe['id']}.options" for probe in preset["probes"]]
    for fact in facts:
        parts = fact.split(".")
        assert any(".".join(parts[:size]) in sources for size in range(1, len(parts) + 1)), fact
    known = {path for path, _value in leaves({key: value for key, value in preset.items() if key != "sources"})}
    for path in sources:
        assert any(fact == path or fact.startswith(f"{path}.") for fact in known), path


@pytest.mark.parametrize("name", HOSTED)
def test_without_a_key_a_hosted_vendor_is_still_a_whole_service(name: str, tmp_path: Path) -> None:
    config = configured(tmp_path, {"preset": name})
    running = {probe.id: probe for probe in config.catalogue.probes if not probe.disabled}
    kinds = {component.kind: component.id for component in config.catalogue.components}
    wanted = {ComponentKind.API, ComponentKind.REGISTRATION}
    wanted |= {ComponentKind.WEB, ComponentKind.LOGIN} if name in CHATS else set()
    assert wanted <= set(kinds)
    watched = {probe.component for probe in running.values() if not probe.witness}
    assert {kinds[kind] for kind in wanted & {ComponentKind.API, ComponentKind.WEB}} <= watched
    page = bool(PRESETS[name]["service"]["status_page"]) and name != "mistral"
    assert any(probe.witness for probe in running.values()) is page, "Mistral's page lets no reader in"
    assert {probe.kind for probe in config.catalogue.probes if probe.disabled} == {"chat"}
    assert set(config.looks) >= set(running)


@pytest.mark.parametrize("name", HOSTED)
def test_no_look_is_made_that_could_never_say_anything(name: str, tmp_path: Path) -> None:
    """Remembered pages that scripts draw behind walls are gone; who left them out by name still may."""
    options = configured(tmp_path, {"preset": name}).looks
    assert not [probe for probe, one in options.items() if getattr(one, "detector", "") == "page_text"]
    assert [probe for probe, one in options.items() if hasattr(one, "product")] == (
        ["deepseek-login-page"] if name == "deepseek" else []
    )
    if name in CHATS:
        assert configured(tmp_path, {"preset": name, "without": ["signup-page", "login-page"]}).catalogue.probes


@pytest.mark.parametrize("name", TOLD)
def test_a_vendor_without_an_address_to_ask_is_a_witness_alone(name: str, tmp_path: Path) -> None:
    assert {"github_copilot", "cursor", "claude_code", "codex"} < set(TOLD)
    probes = configured(tmp_path, {"preset": name}).catalogue.probes
    assert [probe.witness for probe in probes] == [True]


def test_openais_two_components_named_login_are_told_apart(tmp_path: Path) -> None:
    looks = configured(tmp_path, {"preset": "openai"}).looks
    (options,) = [one for one in looks.values() if hasattr(one, "frozen_after_s")]
    assert options.components["01JMXBNJXG1S2D9V65P1ZZTD94"] == "openai/login"
    assert all(re.fullmatch(r"[0-9A-Z]{26}", key) for key in options.components)


def test_mistrals_page_is_read_by_whom_it_lets_in(tmp_path: Path) -> None:
    row = {"preset": "mistral", "status_page_url": "https://status.mistral.ai/api/v1/status.json"}
    probes = {probe.id: probe for probe in configured(tmp_path, row).catalogue.probes}
    assert probes["mistral-vendor-page"].witness
    assert "mistral-signup-notice" in probes


def test_deepseek_is_billed_half_outside_its_peak_hours(tmp_path: Path) -> None:
    config = configured(tmp_path, {"preset": "deepseek"}, DEEPSEEK_API_KEY="sk-canary-0123456789")
    (options,) = [one for one in config.looks.values() if hasattr(one, "max_tokens")]
    night, day = datetime(2026, 11, 23, 12, tzinfo=UTC), datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert options.plan(night).cost(10**6, 0) == pytest.approx(0.15)
    assert options.plan(day).cost(10**6, 0) == pytest.approx(0.3)


@pytest.mark.parametrize("name", HOSTED)
def test_with_a_key_a_hosted_vendor_is_complete(name: str, tmp_path: Path) -> None:
    secret = PRESETS[name]["parameters"]["key"]["default"].strip("${}")
    config = configured(tmp_path, {"preset": name}, **{secret: "sk-canary-0123456789"})
    assert [probe.id for probe in config.catalogue.probes if probe.disabled] == []
    assert any(probe.kind == "chat" and probe.model for probe in config.catalogue.probes)
    assert "sk-canary" not in repr(config)


@pytest.mark.parametrize("name", HOSTED)
def test_a_hosted_vendors_answers_have_a_price_and_room_to_think(name: str, tmp_path: Path) -> None:
    secret = PRESETS[name]["parameters"]["key"]["default"].strip("${}")
    prices = {"usd_per_million_input": 1.0, "usd_per_million_output": 2.0} if name == "openrouter" else {}
    config = configured(tmp_path, {"preset": name} | prices, **{secret: "sk-canary-0123456789"})
    (options,) = [one for one in config.looks.values() if hasattr(one, "max_tokens")]
    assert options.plan().has_prices
    assert 0 < options.usd_per_million_input <= options.usd_per_million_output < 10
    assert options.max_tokens == (300 if name in THINKING else 64)


def test_the_vendors_components_are_mapped_to_ours_in_full(tmp_path: Path) -> None:
    config = configured(tmp_path, {"preset": "anthropic"})
    (options,) = [options for probe, options in config.looks.items() if hasattr(options, "frozen_after_s")]
    assert options.components == {"rwppv331jlwc": "anthropic/web", "k8w3r06qmzrp": "anthropic/api"}


@pytest.mark.parametrize("name", OWN)
def test_a_server_of_ones_own_needs_its_address_and_little_else(name: str, tmp_path: Path) -> None:
    row = {"preset": name, "base_url": "http://127.0.0.1:9999/"}
    if PRESETS[name]["parameters"].get("model", {}).get("required"):
        row["model"] = "some-model"
    config = configured(tmp_path, row)
    if name == "azure_openai":
        assert [probe.kind for probe in config.catalogue.probes if probe.disabled] == ["chat"]
        return
    assert [probe.id for probe in config.catalogue.probes if probe.disabled] == []
    assert config.catalogue.services[0].url == "http://127.0.0.1:9999"
    for options in config.looks.values():
        address = str(getattr(options, "url", "") or getattr(options, "base_url", ""))
        assert address.startswith("http://127.0.0.1:9999")
        assert "//" not in address.removeprefix("http://")


@pytest.mark.parametrize("name", ["open_webui", "librechat"])
def test_a_test_account_turns_the_edge_into_a_log_in(name: str, tmp_path: Path) -> None:
    row = {"preset": name, "base_url": "http://127.0.0.1:9999"}
    login = next(options for options in configured(tmp_path, row).looks.values() if hasattr(options, "product"))
    assert (login.product, login.email) == (name, None)
    account = {"login_email": "${TEST_EMAIL}", "login_password": "${TEST_PASSWORD}"}
    environ = {"TEST_EMAIL": "alice@example.org", "TEST_PASSWORD": "correct horse"}
    config = configured(tmp_path, row | account, **environ)
    login = next(options for options in config.looks.values() if hasattr(options, "product"))
    assert login.email.get_secret_value() == "alice@example.org"
    missing = configured(tmp_path, row | account)
    assert [probe.kind for probe in missing.catalogue.probes if probe.disabled] == ["login"]
