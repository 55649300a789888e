"""Words of rules in probes.yaml: kept as they are written, with or without quotes, and with ``${`` in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.config.faults import Code, ConfigError, Fault
from monitor.config.load import load
from monitor.probes.http import Options
from tests.edges.probing import http, look_at, replays

FILE = """\
services:
  - id: shop
    name: Shop
    components: [{id: web, name: Web, kind: web}]
    probes:
      - id: page
        component: web
        kind: http
        options:
          url: "https://shop.example/"
          RULE
"""


def options(tmp_path: Path, rule: str) -> Options:
    file = tmp_path / "probes.yaml"
    file.write_text(FILE.replace("RULE", rule))
    found = load(file, {"KEY": "k-0123456789"}).looks["shop-page"]
    assert isinstance(found, Options)
    return found


def fault(tmp_path: Path, rule: str) -> Fault:
    with pytest.raises(ConfigError) as caught:
        options(tmp_path, rule)
    (found,) = caught.value.faults
    return found


@pytest.mark.parametrize(
    "word",
    [
        "+86",
        "007",
        "-0",
        "1.50",
        "1e3",
        "+.5",
        "true",
        "True",
        "FALSE",
        "86",
        "0",
        "1" * 40,
        "0x1F",
        "1_000",
        "12:30",
        "no",
        "2026-01-04",
    ],
)
def test_a_word_without_quotes_is_what_is_written(tmp_path: Path, word: str) -> None:
    assert options(tmp_path, f"contains: {word}").contains == (word,)
    assert options(tmp_path, f"contains: ['{word}']").contains == (word,)
    found = options(tmp_path, f"absent: [a, {word}, 5]")
    assert (found.absent, found.contains) == (("a", word, "5"), ())


def test_an_alias_is_written_where_its_anchor_stands(tmp_path: Path) -> None:
    found = options(tmp_path, "contains: &it [+86, 007]\n          absent: *it")
    assert found.contains == found.absent == ("+86", "007")


@pytest.mark.parametrize(
    "rule", ["contains: null", "contains: [~]", "absent: {a: 1}", "header_contains: {x-build: 007}"]
)
def test_what_is_no_word_is_refused_where_it_stands(tmp_path: Path, rule: str) -> None:
    found = fault(tmp_path, rule)
    assert (found.id, found.line) == (Code.WRONG_TYPE.value, 11)


@pytest.mark.parametrize("number", [10**18, 2**63, 2**64 - 1, -(2**64), 10**400])
def test_integers_of_any_size_are_compared_to_the_last_digit(tmp_path: Path, number: int) -> None:
    rules = options(tmp_path, f"json_path: {{id: {number}}}").json_path
    assert rules == {"id": number}

    def seen(body: str, **rules: Any) -> str:
        return look_at("http", replays(http(200, body, kind="application/json")), json_path=rules).detail

    assert seen(f'{{"id": {number}}}', id=number) == "HTTP 200"
    assert seen(f'{{"id": {number + 1}}}', id=number).startswith("JSON id is the number")


def test_a_number_and_a_text_of_the_same_digits_are_told_apart_in_words() -> None:
    answer = replays(http(200, '{"id": 5, "text": "5", "yes": true, "none": null}', kind="application/json"))

    def said(path: str, wanted: Any) -> str:
        return look_at("http", answer, json_path={path: wanted}).detail

    assert said("id", "5") == 'JSON id is the number 5 and must be the text "5"'
    assert said("text", 5) == 'JSON text is the text "5" and must be the number 5'
    assert said("yes", 1) == "JSON yes is true and must be the number 1"
    assert said("none", "null") == 'JSON none is null and must be the text "null"'


def test_a_number_of_five_thousand_digits_does_not_unmake_the_answer() -> None:
    answer = replays(http(200, f'{{"big": {"9" * 5000}, "id": 5}}', kind="application/json"))
    assert look_at("http", answer, json_path={"id": 5, "big": None}).detail == "HTTP 200"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("$${name}", "${name}"), ("a $${ b", "a ${ b"), ("$${{x}}", "${{x}}"), ("$$ and $name", "$$ and $name"),
        ("$${a}$${b}", "${a}${b}"), ("$$${a}", "$${a}"), ("{{ name }}", "{{ name }}"),
    ],
)  # fmt: skip
def test_a_literal_dollar_brace_can_be_written(tmp_path: Path, written: str, meant: str) -> None:
    assert options(tmp_path, f'absent: ["{written}"]').absent == (meant,)


def test_a_secret_may_stand_beside_a_literal_dollar_brace(tmp_path: Path) -> None:
    found = options(tmp_path, 'secret_headers: {x-key: "$${a} ${KEY}"}')
    assert found.secret_headers["x-key"].get_secret_value() == "${a} k-0123456789"


@pytest.mark.parametrize("rule", ['absent: ["ok", "${KEY}"]', 'absent: "${KEY}"', 'absent: ["$${a} ${KEY}"]'])
def test_a_reference_in_a_word_is_named_by_its_option_with_the_way_to_write_it(tmp_path: Path, rule: str) -> None:
    found = fault(tmp_path, rule)
    assert (found.id, found.line) == (Code.MISPLACED_SECRET.value, 11)
    assert found.message == '"absent" is shown to people'
    assert "$${" in found.hint


@pytest.mark.parametrize("word", ["${", "${}", "${a b}", "${a", "$${a} ${"])
def test_half_a_reference_tells_how_a_whole_one_and_how_none_is_written(tmp_path: Path, word: str) -> None:
    found = fault(tmp_path, f'absent: ["{word}"]')
    assert found.id == Code.BAD_REFERENCE.value
    assert "$${" in found.hint


PROXY = {"http_proxy": "http://proxy.example:3128"}


@pytest.mark.parametrize(
    ("rules", "environ", "told"),
    [
        (
            'url: "http://shop.example/", secret_headers: {x-key: "${KEY}"}, proxy: "http://p.example"',
            {},
            "by its proxy",
        ),
        ('url: "http://shop.example/", secret_headers: {x-key: "${KEY}"}', PROXY, "by the environment's proxy"),
        ('url: "http://shop.example/", secret_headers: {x-key: "${KEY}"}, proxy: direct', PROXY, ""),
        ('url: "http://shop.example/", secret_headers: {x-key: "${KEY}"}', PROXY | {"no_proxy": ".example"}, ""),
        ('url: "https://shop.example/", secret_headers: {x-key: "${KEY}"}, proxy: "http://p.example"', PROXY, ""),
        ('url: "http://shop.example/", proxy: "http://p.example", proxy_auth: "${KEY}"', {}, ""),
        ('url: "http://shop.example/"', PROXY, ""),
    ],
)
def test_a_secret_that_a_proxy_could_read_is_told_before_it_is_sent(
    tmp_path: Path, rules: str, environ: dict[str, str], told: str
) -> None:
    file = tmp_path / "probes.yaml"
    file.write_text(FILE[: FILE.index("        options:")] + f"        options: {{{rules}}}\n")
    hints = load(file, {"KEY": "user:0123456789"} | environ).hints
    assert len(hints) == bool(told)
    assert all(told in hint and "0123456789" not in hint for hint in hints)
