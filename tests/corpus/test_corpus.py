"""Every stored answer, replayed on loopback, has the verdict that its description says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.corpus.keeping import FOLDER, Kept, kept
from tests.corpus.replaying import look_at_all, told

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def answers() -> list[Kept]:
    return kept()


def test_every_answer_of_the_corpus_has_its_verdict(answers: list[Kept]) -> None:
    wrong = []
    for one, seen in zip(answers, asyncio.run(look_at_all(answers)), strict=True):
        codes = {str(note).partition(":")[0] for note in seen.warnings}
        if told(seen) != one.expected or not codes >= set(one.warnings):
            wrong.append(f"{one.name}: {told(seen)} {sorted(codes)}, expected {one.expected}; {seen.detail}")
    assert not wrong, "\n".join(wrong)


def test_the_corpus_is_large_and_most_of_it_was_captured(answers: list[Kept]) -> None:
    captured = [one for one in answers if one.is_captured]
    assert len(answers) >= 150
    assert len(captured) >= 100
    assert {one.kind for one in captured} >= {"http", "chat", "anthropic", "dns", "tls", "registration"}
    assert {one.server for one in captured} >= {
        *("nginx", "caddy", "haproxy", "apache", "tomcat", "litellm", "synapse", "open_webui", "guidellm", "portkey"),
        *("knot", "bind", "unbound", "dnsmasq"),
    }
    assert all(one.version for one in answers)


def test_nothing_of_the_machine_of_the_capture_is_in_an_answer() -> None:
    words = re.compile(rb"/(?:tmp|work|root|home)/|/usr/local|\.pyenv|site-packages|simple/|golang\.org")
    found = [
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob("*")
        if path.is_file() and words.search(path.read_bytes())
    ]
    assert not found


def test_every_file_of_an_answer_is_described(answers: list[Kept]) -> None:
    described = {FOLDER / one.server / f"{one.id}.raw" for one in answers}
    assert described == set(FOLDER.glob("*/*.raw"))
    assert len(described) == len(answers), "no name twice"


def test_the_table_of_differences_is_about_these_answers(answers: list[Kept]) -> None:
    text = (ROOT / "docs" / "corpus.md").read_text(encoding="utf-8")
    assert f"{len(answers)} answers, {sum(one.is_captured for one in answers)} of them captured" in text
    assert "unexplained" not in text.lower().replace("no unexplained", "")
