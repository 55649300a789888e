import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import notation, scenario
from monitor.core.model import Result
from monitor.core.notation import LETTERS, ScenarioError, looks, offset, seconds

from .making import at, look, probe, results


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("o x/o", [("o", ""), ("x", "o")]),
        ("o*3", [("o", "")] * 3),
        ("(x/o o*2)*2 t", [("x", "o"), ("o", ""), ("o", ""), ("x", "o"), ("o", ""), ("o", ""), ("t", "")]),
        ("((x)*2 o)*2", [("x", ""), ("x", ""), ("o", "")] * 2),
        ("service.stalled*2", [("service.stalled", "")] * 2),
        ("", []),
    ],
)
def test_the_notation_of_looks(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(looks(text)) == expected


@pytest.mark.parametrize(("text", "value"), [("30s", 30), ("+1h2m3s", 3723), ("500ms", 0.5), ("1d", 86_400)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["30", "", "5 minutes", "1x", "s"])
def test_a_bare_number_is_no_duration(text: str) -> None:
    with pytest.raises(ScenarioError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize("value", [0, 5, 65, 3723, -90])
def test_offsets_read_back(value: int) -> None:
    text = offset(at(value), at(0))
    assert seconds(text.lstrip("-+")) == abs(value)


@given(st.lists(st.tuples(st.sampled_from(sorted(LETTERS)), st.booleans()), min_size=1, max_size=40))
def test_exported_looks_play_back_as_they_were_recorded(seen: list[tuple[str, bool]]) -> None:
    recorded: list[Result] = []
    for number, (letter, twice) in enumerate(seen):
        recorded.append(look(30 * number, LETTERS[letter]))
        if twice:
            recorded.append(look(30 * number, LETTERS["o"], 2))
    text = notation.export_looks(recorded)["chat@local"]
    played = [
        (tick, attempt)
        for tick, (first, second) in enumerate(looks(text))
        for attempt in ([first, second] if second else [first])
    ]
    wanted = [(tick, word) for tick, (word, twice) in enumerate(seen) for word in ([word, "o"] if twice else [word])]
    if all(word != "o" or not twice for word, twice in seen):  # equal second looks are written once
        assert played == wanted


def test_a_recorded_outage_becomes_a_scenario_that_opens_the_same_incident() -> None:
    text = notation.export_looks(results("o*10 x*4 o*10", probe()))
    report = scenario.run({"probes": {"chat": {"component": "deepseek/api"}}, "looks": text})
    assert [line.split()[1] for line in report.timeline] == ["opened", "recovering", "resolved"]


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
        "timeline: not expected: '+5m1s opened critical deepseek/api since +5m'",
        "health: at +4m deepseek/api is operational, expected major_outage",
    )
