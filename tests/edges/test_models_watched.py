"""A vendor with three models, watched from file to page: one dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from dashboard import sentences
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
SONNET = "litellm/api-sonnet"


def watched(folder: Path, act: Callable[[Vendor], None]) -> tuple[Watched, dict[Language, list[str]]]:
    """Watch for five minutes before and six after something happens; return also the headlines at the end."""
    said: dict[Language, list[str]] = {}

    async def play() -> Watched:
        async with serve() as vendor:
            path = folder / "probes.yaml"
            path.write_text(ROWS.format(url=vendor.url))
            async with watching(load(path, {}), folder) as found:
                await asyncio.sleep(310)
                act(vendor)
                await asyncio.sleep(360)
                shot = reads.snapshot(found.engine, clock.now(), public=True, history=False)
                for language in Language:
                    said[language] = [line.text for line in sentences.headline(shot, speak(language))]
                found.close_book()
        return found

    return driven.run_by_the_wall(play()), said


def test_one_model_of_three_dies_and_the_page_says_which_and_what_still_answers(tmp_path: Path) -> None:
    found, said = watched(tmp_path, lambda vendor: vendor.set(dead=("sonnet",)))
    assert {part for part, health in found.healths[-1][1].items() if health != "operational"} == {SONNET}
    assert said[Language.EN] == ["Claude: sonnet is down. API, haiku and opus work."]
    (incident,) = found.incidents
    assert incident.components == (SONNET,)
