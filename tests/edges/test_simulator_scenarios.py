"""Scenario files are checked before they are played, and play in their order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from monitor.simulator.play import serve, story_line
from monitor.simulator.scenario import ScenarioError, Step, load_scenario, shipped_scenarios
from tests.edges import driven


@pytest.mark.parametrize("name", shipped_scenarios())
def test_every_shipped_scenario_loads_and_tells_each_step_in_both_languages(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.title.zh
    assert all(step.say and step.say.en and step.say.zh for step in scenario.steps)


def test_january_2025_is_labelled_reconstructed_and_fits_into_five_minutes() -> None:
    scenario = load_scenario("january-2025")
    assert scenario.label == "reconstructed"
    assert scenario.length_s / scenario.speed <= 300
    times = [step.when for step in scenario.steps if step.when]
    assert times == sorted(times)
    assert len(times) == len(scenario.steps)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("title: x\nsteps:\n  - at: 0s\n    colour: red\n", ":4:", "colour"),
        ("title: x\nsteps:\n  - at: 5\n", ":3:", "with its units"),
        ("title: x\nsteps:\n  - at: 0s\n    set: {chat: explode}\n", ":4:", "explode"),
        ("title: x\nsteps:\n  - at: 9s\n  - at: 3s\n", ":1:", "order"),
        ("title: x\nsteps: []\n", ":2:", "at least 1"),
        ("title: x\nservice: nobody\nsteps:\n  - at: 0s\n", ":1:", "nobody"),
        ("title: [x\nsteps", ":", "expected"),
        ("- a\n", ":1:", "valid"),
    ],
)
def test_a_faulty_file_is_one_line_with_file_and_line(tmp_path: Path, text: str, where: str, what: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(path))
    message = str(caught.value)
    assert f"mine.yaml{where}" in message
    assert what in message
    assert "\n" not in message


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(ScenarioError, match="january-2025"):
        load_scenario("no-such-story")


def test_a_story_plays_in_order_at_its_speed(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    path.write_text(
        "title: t\nservice: claude\nspeed: 600\nsteps:\n"
        "  - {at: 0s, say: begins}\n"
        "  - {at: 1m, set: {web: {fault: status, status: 502}}, when: 2025-01-27T04:00:00Z, say: breaks}\n"
        "  - {at: 2m, set: {web: none}, announce: {status: investigating, text: Looking}}\n"
    )

    async def story() -> tuple[list[Step], list[int]]:
        told: list[Step] = []
        codes: list[int] = []
        async with (
            serve(scenario=load_scenario(str(path)), tell=told.append) as vendor,
            httpx.AsyncClient(base_url=vendor.url) as client,
        ):
            for wait in (0.05, 0.1, 0.1):
                await asyncio.sleep(wait)
                codes.append((await client.get("/claude/")).status_code)
            summary = (await client.get("/claude/status/api/v2/summary.json")).json()
        assert summary["incidents"][0]["status"] == "investigating"
        return told, codes

    told, codes = driven.run(story())
    assert codes == [200, 502, 200]
    assert [story_line(step) for step in told] == [
        "00:00:00  begins",
        "00:01:00 (27 Jan 2025 04:00 UTC)  breaks",
        "00:02:00  web = none",
    ]
