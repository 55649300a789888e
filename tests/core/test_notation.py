from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.observations import Observation, Result
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.scenario import durations, notation
from monitor.core.scenario import play as scenario
from monitor.core.scenario.export import export
from monitor.core.scenario.notation import LETTERS, ScenarioError, looks, offset, seconds

from .making import at, look, probe, results


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("o x/o x/x/.", [("o",), ("x", "o"), ("x", "x", ".")]),
        ("o*3", [("o",)] * 3),
        ("(x/o o*2)*2 t", [("x", "o"), ("o",), ("o",), ("x", "o"), ("o",), ("o",), ("t",)]),
        ("((x)*2 o)*2", [("x",), ("x",), ("o",)] * 2),
        ("service.stalled*2", [("service.stalled",)] * 2),
        ("", []),
    ],
)
def test_the_notation_of_looks(text: str, expected: list[tuple[str, ...]]) -> None:
    assert list(looks(text)) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [("30s", 30), ("+1h2m3s", 3723), ("500ms", 0.5), ("1d", 86_400), ("-2m", -120), ("1.5h", 5400), ("5s1h", 3605)],
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["30s", "500ms", "1h30m", "1 h 30 m", "7d", "0s"])
def test_scenarios_and_the_configuration_read_a_duration_alike(text: str) -> None:
    assert seconds(text) == durations.seconds(text)


@pytest.mark.parametrize("text", ["+5m", "-5m", "5m!", "1m 2", "1..5s", "9" * 80 + "s"])
def test_a_length_has_no_sign_and_nothing_beside_it(text: str) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        durations.seconds(text)


@pytest.mark.parametrize("text", ["30", "", "5 minutes", "1x", "s", "+-5m", "+", "1.2.3s"])
def test_a_bare_number_is_no_duration(text: str) -> None:
    with pytest.raises(ScenarioError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize("value", [0, 5, 65, 3723, -90])
def test_offsets_read_back(value: int) -> None:
    text = offset(at(value), at(0))
    assert seconds(text) == value


WORLD = notation.catalogue({"probes": {"chat": {"component": "deepseek/api"}, "web": {"component": "deepseek/web"}}})


Ticks = list[tuple[str, int]]
TICKS = st.lists(st.tuples(st.sampled_from(sorted(LETTERS)), st.integers(0, 3)), min_size=1, max_size=20)


@given(TICKS, TICKS)
@settings(deadline=None, max_examples=25)
def test_exported_looks_play_back_as_they_were_recorded(chat: Ticks, web: Ticks) -> None:
    recorded: list[Result] = []
    for name, ticks in (("chat", chat), ("web", web)):
        for number, (letter, more) in enumerate(ticks):
            recorded.append(look(30 * number, LETTERS[letter], probe=name))
            recorded += [look(30 * number, LETTERS["x"], attempt, name) for attempt in range(2, 2 + more)]
    played = scenario.run(export(WORLD, recorded, "again") | {"sweep": "1h"}).played
    bare = [(result.run, result.reason) for result in played]
    assert sorted(bare, key=str) == sorted(((result.run, result.reason) for result in recorded), key=str)


def test_what_an_exported_look_counts_as_and_rests_on_plays_back() -> None:
    """A look under lag is no evidence; an answer that could not be read came from a target that was reached."""
    lagged = look(0, Reason.SERVER_ERROR, lag_s=9.0)
    garbled = replace(look(30, Reason.UNREADABLE), observation=Observation(Reason.UNREADABLE, http_status=200))
    said = UpstreamIncident("i", "Trouble", None, Impact.MINOR, at(0), resolved_at=at(20), ours=("deepseek/api",))
    page = UpstreamReading("feed", "https://status.example/", Health.DEGRADED, incidents=(said,))
    heard = replace(look(60, Reason.OK), observation=Observation(Reason.OK, upstream=page))
    data = yaml.safe_load(yaml.safe_dump(export(WORLD, [lagged, garbled, heard], "again")))
    played = [result.observation for result in scenario.run(data).played]
    assert [seen.reason for seen in played] == [Reason.LAGGED, Reason.UNREADABLE, Reason.OK]
    assert played[1].http_status == 200
    assert played[2].upstream is not None
    (again,) = played[2].upstream.incidents
    assert (again.ours, again.resolved_at) == (said.ours, said.resolved_at)


def test_a_moment_inside_a_line_may_differ_as_much_as_the_line_itself() -> None:
    data: dict[str, Any] = {
        "probes": {"chat": {"component": "deepseek/api"}},
        "looks": {"chat": "o*10 x*4"},
        "expect": {"within": "5s", "timeline": ["+5m38s opened critical deepseek/api since +5m2s"]},
    }
    assert scenario.run(data).unmet == ()
    data["expect"] = {"within": "5s", "timeline": ["+5m38s opened critical deepseek/api since +5m8s"]}
    assert scenario.run(data).unmet
    data["expect"] = {"within": "5s", "timeline": ["+5m38s opened critical deepseek/web since +5m2s"]}
    assert scenario.run(data).unmet


def test_a_recorded_outage_becomes_a_scenario_that_opens_the_same_incident() -> None:
    saved = export(WORLD, results("o*10 x*4 o*10", probe()), "The API, recorded", "An hour of January.")
    assert saved["looks"] == {"chat@local": "o*10 x/x/x/x/. x/x/. x/.*2 o/o/o/o/o/.*5 o/o/o o*4"}
    report = scenario.run(saved)
    assert [line.split()[1] for line in report.timeline] == ["opened", "recovering", "resolved"]


def test_every_scenario_of_ours_survives_being_exported() -> None:
    for path in sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        first = scenario.run(data)
        again = export(notation.catalogue(data), first.played, data["name"])
        kept = {key: data[key] for key in ("maintenance", "clicks", "routes", "silences", "sweep") if key in data}
        second = scenario.run(yaml.safe_load(yaml.safe_dump(again)) | kept)
        facts = [line.partition(" ")[2].partition(" since")[0] for line in first.timeline]
        assert [line.partition(" ")[2].partition(" since")[0] for line in second.timeline] == facts, path.name


def test_nothing_recorded_makes_no_scenario() -> None:
    with pytest.raises(ValueError, match="nothing was recorded"):
        export(WORLD, [], "empty")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"looks": {"nobody": "o"}}, "no probe named"),
        ({"looks": {"chat": "o what"}}, "is no letter"),
        ({"policy": {"patience": 3}}, "no field named patience"),
    ],
)
def test_a_broken_scenario_says_which_part(broken: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenario.run({"probes": {"chat": {"component": "deepseek/api"}}, **broken})


def test_an_expectation_that_is_not_met_is_told_and_so_is_what_came_instead() -> None:
    report = scenario.run(
        {
            "probes": {"chat": {"component": "deepseek/api"}},
            "looks": {"chat": "o*10 x*4"},
            "expect": {"timeline": ["+9m opened"], "health": {"+4m": {"deepseek/api": "major_outage"}}},
        }
    )
    assert report.unmet == (
        "timeline: expected '+9m opened', which did not come (in order)",
        "timeline: not expected: '+5m35s opened critical deepseek/api since +5m'",
        "health: at +4m deepseek/api is operational, expected major_outage",
    )
