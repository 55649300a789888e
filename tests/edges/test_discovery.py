"""``models: discover``: which models of a list are watched, for how long, and what an odd list does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.config.discovered import MOST, Listed, merged, place_of, read, write
from monitor.config.faults import Code
from monitor.config.load import Config, load
from monitor.prober.discovery import discover
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from monitor.wire import Wire
from tests.edges import driven
from tests.edges.hostile import LOOPBACK
from tests.edges.probing import NOW
from tests.edges.test_config import only

DAY = date(2026, 12, 1)
ROW = """\
allow_networks: [127.0.0.0/8]
services:
  - preset: litellm
    base_url: {url}
    key: ${{GATE_KEY}}
    models: discover
"""
KEY = {"GATE_KEY": "k-0123456789"}


def asked(config: Config) -> list[str]:
    return [probe.model for probe in config.catalogue.probes if probe.asks_model]


def found(folder: Path, *acts: Callable[[Vendor], None], environ: dict[str, str] = KEY) -> list[tuple[bool, list[str]]]:
    """Discover after each act; return whether something changed, and the models that are asked then."""

    async def play() -> list[tuple[bool, list[str]]]:
        path, told = folder / "probes.yaml", []
        async with serve() as vendor:
            path.write_text(ROW.format(url=vendor.url))
            for number, act in enumerate(acts):
                act(vendor)
                config = load(path, environ)
                changed = await discover(config, path, Wire(allow_networks=LOOPBACK), NOW + timedelta(days=number))
                told.append((changed, asked(load(path, environ))))
        return told

    return driven.run(play())


def lists(*names: str) -> Callable[[Vendor], None]:
    return lambda vendor: vendor.set(served=names)


def test_what_a_gateway_lists_is_watched_each_by_itself_and_new_ones_join(tmp_path: Path) -> None:
    told = found(
        tmp_path, lists("haiku", "sonnet", "text-embedding-4"), lists("sonnet", "opus", "haiku"), lists("haiku")
    )
    assert told == [
        (True, ["haiku", "sonnet"]),
        (True, ["haiku", "sonnet", "opus"]),
        (False, ["haiku", "sonnet", "opus"]),
    ]


def test_a_gateway_that_does_not_answer_or_refuses_keeps_its_list(tmp_path: Path) -> None:
    told = found(
        tmp_path,
        lists("haiku"),
        lambda vendor: vendor.set(models="overloaded"),
        lambda vendor: vendor.set(models="reset"),
        lambda vendor: vendor.set(models="none", key="another"),
    )
    assert told == [(True, ["haiku"]), *[(False, ["haiku"])] * 3]


def test_without_a_list_nothing_is_asked_and_without_a_key_nothing_is_read(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(ROW.format(url="http://127.0.0.1:9"))
    config = load(path, KEY)
    assert (asked(config), list(config.lists)) == ([], ["litellm"])
    assert list(load(path, {}).lists) == []


def test_a_model_that_left_is_watched_for_a_week_and_comes_back_as_it_was() -> None:
    listed = merged(Listed(), ["a", "b"], DAY)
    listed = merged(listed, ["a"], DAY + timedelta(days=1))
    assert (listed.models, listed.missing) == (("a", "b"), {"b": DAY + timedelta(days=1)})
    assert merged(listed, ["a", "b"], DAY + timedelta(days=2)) == Listed(("a", "b"))
    assert merged(listed, ["a"], DAY + timedelta(days=7)).models == ("a", "b")
    assert merged(listed, ["a"], DAY + timedelta(days=8)) == Listed(("a",))


def test_a_list_is_bounded_and_an_empty_one_ends_nothing() -> None:
    many = merged(Listed(("mine",)), [f"m-{number}" for number in range(500)] + ["mine", "mine"], DAY)
    assert len(many.models) == MOST
    assert many.models[0] == "mine"
    for odd in ([], ["", "x" * 101], ["whisper-1", "text-embedding-3-small"]):
        assert merged(many, odd, DAY) == many


def test_what_is_kept_is_read_again_and_what_is_odd_is_left_out(tmp_path: Path) -> None:
    path = place_of(tmp_path / "probes.yaml")
    kept = {"gate": Listed(("a", "b"), {"b": DAY})}
    write(path, kept)
    assert read(path) == kept
    odd: list[Any] = ["", "{", "[]", '{"gate": 7}', '{"gate": {"models": "a"}}', '{"gate": {"models": [7]}}']
    for text in odd:
        path.write_text(text)
        assert read(path) == {}
    path.write_text('{"gate": {"models": ["a", 7], "missing": {"a": "soon", "b": 3}}}')
    assert read(path) == {"gate": Listed(("a",))}
    path.unlink()
    assert read(path) == {}


def test_lists_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "probes.yaml.models.json.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        found(tmp_path, lists("haiku"))


def test_a_word_that_is_not_discover_is_no_list_of_models(tmp_path: Path) -> None:
    row = ROW.format(url="http://127.0.0.1:9").replace("discover", "all")
    assert "models" in only(tmp_path, row, Code.VALUE, 6, environ=KEY).message
