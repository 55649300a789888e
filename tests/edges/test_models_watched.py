"""A vendor with three models, watched from file to page: one dies, is answered by another, leaves the list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import unescape
from pathlib import Path

from dashboard import sentences
from dashboard.web import api
from dashboard.web.render import pages
from dashboard.words import speak
from monitor import clock
from monitor.config.load import load
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from monitor.store import reads
from monitor.text.lexicon import Language
from tests.edges import driven
from tests.edges.watched import Watched, watching

ROWS = """\
policies: {{default: {{shortest_outage: 1s, failure_ratio: 0.45, false_pages_per_year: 1000}}}}
allow_networks: [127.0.0.0/8]
services:
  - preset: litellm
    name: Claude
    without: [alive, ready]
    probes:
      - {{id: edge, component: api, kind: http, interval: 1m, timeout: 10s, options: {{url: "{url}/health"}}}}
    base_url: {url}
    key: k-0123456789
    models: [haiku, sonnet, opus]
"""
ONE = """\
policies: {{default: {{shortest_outage: 1s, failure_ratio: 0.45, false_pages_per_year: 1000}}}}
allow_networks: [127.0.0.0/8]
services:
  - id: claude
    name: Claude
    components: [{{id: sonnet, name: Sonnet, kind: api}}]
    probes:
      - id: chat
        component: sonnet
        kind: chat
        interval: 1m
        timeout: 20s
        options: {{base_url: "{url}/v1", model: sonnet, key: "${{CLAUDE_KEY}}", models_every: 4m, short_every: 1m}}
"""
SONNET = "litellm/api-sonnet"


Shown = dict[Language, tuple[list[str], list[str]]]
"""The lines of the headline, and what is said of models."""


def watched(folder: Path, act: Callable[[Vendor], None], rows: str = ROWS) -> tuple[Watched, Shown]:
    """Watch for five minutes before and six after something happens; return also what the page says at the end."""
    said: Shown = {}

    async def play() -> Watched:
        async with serve() as vendor:
            vendor.set(served=("haiku", "sonnet", "opus"))
            path = folder / "probes.yaml"
            path.write_text(rows.format(url=vendor.url))
            async with watching(load(path, {"CLAUDE_KEY": "k-0123456789"}), folder) as found:
                await asyncio.sleep(310)
                act(vendor)
                await asyncio.sleep(360)
                shot = reads.snapshot(found.engine, clock.now(), public=True, history=False)
                drawn = pages(shot, found.prober.config.catalogue)
                assert len(api.services(shot)["model_changes"]) == len(shot.model_changes)
                for language in Language:
                    words = speak(language)
                    names = sentences.names_of(shot, words)
                    lines = [line.text for line in sentences.headline(shot, words)]
                    models = [sentences.model_sentence(change, names, words) for change in shot.model_changes]
                    page = unescape(drawn[language.home].decode())
                    assert all(sentence in page for sentence in models)
                    said[language] = lines, models
                found.close_book()
        return found

    return driven.run_by_the_wall(play()), said


def test_one_model_of_three_dies_and_the_page_says_which_and_what_still_answers(tmp_path: Path) -> None:
    found, said = watched(tmp_path, lambda vendor: vendor.set(dead=("sonnet",)))
    assert {part for part, health in found.healths[-1][1].items() if health != "operational"} == {SONNET}
    assert said[Language.EN] == (["Claude: sonnet is down. API, haiku and opus work."], [])
    (incident,) = found.incidents
    assert incident.components == (SONNET,)


def test_a_model_that_another_one_answers_for_is_told_and_is_no_outage(tmp_path: Path) -> None:
    found, said = watched(tmp_path, lambda vendor: vendor.set(rerouted={"sonnet": "haiku-mini"}), ONE)
    assert said[Language.EN] == (
        ["All services are working normally."],
        ["sonnet is answered by another model, haiku-mini"],
    )
    assert said[Language.ZH][1] == ["sonnet 的回答来自另一个模型：haiku-mini"]
    assert found.incidents == ()


def test_a_model_that_left_the_list_and_still_answers_is_told(tmp_path: Path) -> None:
    def leave(vendor: Vendor) -> None:
        vendor.set(served=("haiku", "opus"))

    _, said = watched(tmp_path, leave, ONE)
    assert said[Language.EN] == (
        ["All services are working normally."],
        ["Sonnet is no longer on the vendor's list"],
    )
