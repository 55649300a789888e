"""Worlds: looks are drawn as a prober would make them, and what was said is measured against what is true."""

from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.core.checks import pace
from monitor.core.components.guarantee import guarantee
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health
from monitor.core.replay import Judge
from monitor.core.scenario import notation, play, truth
from monitor.core.scenario.figures import summary
from monitor.core.scenario.measure import CHANCE, OUTAGE, OWN_SIDE, SLOW, Measured, measure
from monitor.core.scenario.notation import ScenarioError
from monitor.core.scenario.world_reader import read_world

FILE = Path(__file__).parent / "hard-and-partial-outage.yaml"


def world(stretches: Sequence[dict[str, Any]] = (), until: str = "2h", **beside: Any) -> dict[str, Any]:
    """Return a scenario of one probe at 60 s."""
    probe = {"component": "deepseek/api", "interval": "60s", **beside.pop("probe", {})}
    return {"name": "test", "probes": {"chat": probe}, "until": until, "world": {"chat": list(stretches)}, **beside}


def looks(scenario: dict[str, Any], seed: int = 1) -> list[Result]:
    return list(play.run(scenario, seed=seed).played)


def measured(scenario: dict[str, Any], seed: int = 1) -> Measured:
    report = play.run(scenario, seed=seed)
    assert isinstance(report.judge, Judge)
    assert report.world is not None
    return measure(report.judge, report.world, report.start, len(report.played))


def test_a_seed_draws_the_same_looks_again_and_another_seed_others() -> None:
    scenario = world([{"fails": "20%", "spread": 0.2}])
    assert looks(scenario) == looks(scenario)
    assert looks(scenario) != looks(scenario, seed=2)


def test_the_looks_of_a_probe_stay_the_same_whatever_changes_about_another() -> None:
    both = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    changed = deepcopy(both)
    changed["world"]["web"] = [{"fails": 1.0}]

    def of_chat(scenario: dict[str, Any]) -> list[Result]:
        return [result for result in looks(scenario) if result.run.probe == "chat"]

    assert of_chat(both) == of_chat(changed)


def test_as_many_looks_fail_as_the_file_says() -> None:
    drawn = looks(world([{"fails": "25%", "reason": "service.overloaded"}], until="2d", sweep="1h"))
    failed = [result for result in drawn if result.reason is Reason.OVERLOADED]
    assert abs(len(failed) / len(drawn) - 0.25) < 0.02
    assert {result.reason for result in drawn} == {Reason.OK, Reason.OVERLOADED}


def test_looks_begin_when_the_prober_would_begin_them() -> None:
    scenario = world([{"fails": "30%", "took": "700ms", "spread": 0.3}])
    probe, drawn = notation.catalogue(scenario).probes[0], looks(scenario)
    known, early = pace.START, 0
    for result, following in pairwise(drawn):
        elapsed_s = (result.ended_at - result.run.tick).total_seconds()
        known, pause_s = pace.after(known, probe, result, elapsed_s)
        if pause_s is None:
            waited = following.started_at - result.run.tick
            assert waited % timedelta(seconds=60) == timedelta(0)
            assert (following.run.tick, following.run.attempt) == (following.started_at, 1)
        else:
            early += 1
            assert abs((following.started_at - result.ended_at).total_seconds() - pause_s) < 1e-3
            assert following.run == type(result.run)("chat", "local", result.run.tick, result.run.attempt + 1)
    assert early > 10


def test_early_looks_miss_no_tick_though_one_may_last_as_long_as_the_interval() -> None:
    stretch = {"fails": "60%", "reason": ["service.error", "service.timeout.headers"], "fail_took": "20s"}
    drawn = looks(world([stretch], until="12h", probe={"timeout": "60s", "kind": "chat"}))
    assert Reason.OVERRUN not in {result.reason for result in drawn}
    assert any(result.run.attempt > 1 for result in drawn)
    for result in drawn:
        if result.run.attempt > 1:
            assert result.ended_at <= result.run.tick + timedelta(seconds=60)


def test_what_is_refused_at_once_is_found_soon_though_the_deadline_is_the_interval() -> None:
    down = [{"from": "30m", "to": "1h", "fails": 1}]
    for seed in range(1, 6):
        [found] = measured(world(down, probe={"timeout": "60s", "kind": "chat"}), seed=seed).found
        assert found.told_after_s is not None
        assert found.told_after_s <= 60 + 35 + 1


def test_a_seed_places_the_grid_unless_the_file_does() -> None:
    first = {looks(world(), seed=seed)[0].started_at for seed in range(1, 6)}
    assert len(first) == 5
    placed = world(probe={"offset": "20s"})
    assert {(looks(placed, seed=seed)[0].started_at).second for seed in range(1, 6)} == {20}


def test_a_timeout_lasts_as_long_as_the_probe_waits() -> None:
    [*drawn] = looks(world([{"fails": 1, "reason": "service.timeout.headers"}], probe={"timeout": "7s"}))
    assert {result.duration_s for result in drawn} == {7.0}
    late = looks(world([{"took": "8s"}], probe={"timeout": "7s"}))
    assert {(result.reason, result.duration_s) for result in late} == {(Reason.TIMEOUT_HEADERS, 7.0)}


def test_a_tick_that_comes_during_a_look_is_missed() -> None:
    probe = {"timeout": "90s", "offset": "0s"}
    first, second, third, *_ = looks(world([{"fails": 1, "reason": "service.timeout.total"}], probe=probe))
    assert [one.reason for one in (first, second, third)] == [
        Reason.TIMEOUT_TOTAL,
        Reason.OVERRUN,
        Reason.TIMEOUT_TOTAL,
    ]
    assert second.run.tick - first.run.tick == third.run.tick - second.run.tick == timedelta(seconds=60)
    assert second.started_at == first.ended_at


def test_an_answer_is_slow_after_as_long_as_the_probe_says() -> None:
    stretches = [{"took": "1s"}, {"from": "1h", "took": "4s"}]
    drawn = looks(world(stretches, probe={"slow_after": "3s"}))
    assert [result.outcome for result in (drawn[0], drawn[-1])] == [Outcome.OK, Outcome.SLOW]


def test_a_stream_has_a_first_token_a_speed_and_a_last_token() -> None:
    drawn = looks(world([{"ttft": "500ms", "tokens_per_s": 50, "tokens": 101}]))
    times = drawn[0].observation.chat
    assert times is not None
    assert (times.ttft_s, times.last_token_s, times.output_tokens, times.tokens_per_s) == (0.5, 2.5, 101, 50)
    assert drawn[0].duration_s == 2.5


@pytest.mark.parametrize(
    ("stream", "reason"),
    [({"ttft": "11s"}, Reason.TIMEOUT_QUEUED), ({"ttft": "1s", "tokens_per_s": 1}, Reason.TIMEOUT_TOTAL)],
)
def test_a_stream_that_is_not_over_in_time_is_a_failure(stream: dict[str, Any], reason: Reason) -> None:
    assert {result.reason for result in looks(world([stream]))} == {reason}


def test_a_stretch_changes_what_it_names_and_leaves_the_rest() -> None:
    stretches: list[dict[str, Any]] = [
        {"took": "2s"},
        {"from": "1h", "to": "90m", "fails": 1, "reason": "service.empty"},
    ]
    drawn = looks(world(stretches, probe={"offset": "1s"}))
    middle = [result for result in drawn if result.reason is Reason.EMPTY]
    assert {result.duration_s for result in drawn} == {2.0}
    start = drawn[0].run.tick - timedelta(seconds=1)
    assert middle[0].started_at - start == timedelta(hours=1, seconds=1)
    assert middle[-1].started_at - start < timedelta(minutes=90)


def test_our_own_side_fails_at_its_place_and_at_no_other() -> None:
    scenario = world(
        probe={"locations": ["berlin", "osaka"]},
        own_side=[{"from": "10m", "to": "20m", "location": "berlin", "reason": "service.connect"}],
    )
    failed = [result for result in looks(scenario) if result.outcome is not Outcome.OK]
    assert {result.run.location for result in failed} == {"berlin"}
    assert {result.reason for result in failed} == {Reason.CONNECT}


def test_the_vendors_page_reads_as_the_vendor_spoke_until_then() -> None:
    scenario = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    pages = [result for result in looks(scenario) if result.run.probe == "page"]
    read = [result.observation.upstream for result in pages if result.observation.upstream is not None]
    assert read[0].indicator is Health.OPERATIONAL
    assert not read[0].incidents
    assert {page.indicator for page in read} == {Health.OPERATIONAL, Health.MAJOR}
    assert [update.status for update in read[-1].incidents[0].updates] == ["investigating", "resolved"]
    assert read[-1].incidents[0].ours == ("deepseek/api",)


def facts(scenario: dict[str, Any]) -> list[tuple[float, float, Health]]:
    catalogue = notation.catalogue(scenario)
    found = truth.pieces(read_world(scenario, catalogue), catalogue, "deepseek/api")
    return [(piece.start_s, piece.end_s, piece.health) for piece in found]


@pytest.mark.parametrize(
    ("stretch", "health"),
    [
        ({"fails": 1}, Health.MAJOR),
        ({"fails": 0.8}, Health.MAJOR),
        ({"fails": 0.5}, Health.PARTIAL),
        ({"fails": 0.25}, Health.PARTIAL),
        ({"fails": 0.01}, Health.OPERATIONAL),
        ({"answers": "degraded.queued"}, Health.DEGRADED),
        ({"fails": 1, "reason": "account.auth"}, Health.UNKNOWN),
        ({"fails": 1, "reason": "account.auth", "truth": "major_outage"}, Health.MAJOR),
        ({"answers": "service.error"}, Health.MAJOR),
    ],
)
def test_what_is_true_follows_from_how_it_answers(stretch: dict[str, Any], health: Health) -> None:
    found = facts(world([{**stretch, "from": "10m", "to": "20m"}], until="30m"))
    assert {piece for piece in found if piece[0] == 600} == (
        {(600, 1200, health)} if health is not Health.OPERATIONAL else set()
    )


def test_what_one_of_two_places_sees_is_no_outage_in_truth() -> None:
    two = {"locations": ["berlin", "osaka"]}
    one_place = world([{"from": "10m", "to": "20m", "fails": 1, "at": "osaka"}], probe=two)
    both = world([{"from": "10m", "to": "20m", "fails": 1}], probe=two)
    assert [health for *_, health in facts(one_place)] == [Health.OPERATIONAL]
    assert [health for *_, health in facts(both)] == [Health.OPERATIONAL, Health.MAJOR, Health.OPERATIONAL]


def test_a_hard_outage_is_measured_from_its_true_beginning() -> None:
    scenario = world([{"from": "30m", "to": "1h", "fails": 1}])
    promise = guarantee(notation.catalogue(scenario).probes[0])
    for seed in range(1, 6):
        found = measured(scenario, seed)
        [outage] = found.found
        assert outage.seen_after_s is not None
        assert promise.never_if_shorter_s <= outage.seen_after_s <= promise.told_within_s
        assert outage.told_after_s == pytest.approx(outage.seen_after_s)
        assert outage.false_recoveries == found.reopenings == 0
        assert {(one.cause, one.is_false) for one in found.sent} == {(OUTAGE, False)}
        assert sum(one.is_page for one in found.sent) == 1


def test_the_minutes_of_a_component_are_those_of_the_scenario() -> None:
    found = measured(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    for of_component in found.minutes.values():
        assert sum(sum(cells.values()) for cells in of_component.values()) == pytest.approx(300)
    assert found.red("deepseek/api")[1] == pytest.approx(120)
    assert found.red("anthropic/web")[1] == 0


def test_lead_is_what_the_vendor_came_later_than_we_did() -> None:
    says = [{"at": "43m", "status": "investigating"}, {"at": "2h", "status": "resolved"}]
    [outage] = measured(world([{"from": "30m", "to": "1h", "fails": 1}], vendor_says=says)).found
    assert outage.seen_after_s is not None
    assert outage.lead_s == pytest.approx(13 * 60 - outage.seen_after_s)
    [silent] = measured(world([{"from": "30m", "to": "1h", "fails": 1}])).found
    assert silent.lead_s is None


def test_words_about_an_outage_that_was_over_are_no_words_about_the_next() -> None:
    stretches = [{"from": "30m", "to": "1h", "fails": 1}, {"from": "90m", "to": "2h", "fails": 1}]
    says = [{"at": "43m", "status": "investigating"}, {"at": "65m", "status": "resolved"}]
    first, second = measured(world(stretches, until="3h", vendor_says=says)).found
    assert first.lead_s is not None
    assert second.lead_s is None


def test_minutes_of_a_blip_make_no_share_of_red_minutes() -> None:
    runs = [measured(world([{"from": "30m", "to": "30m5s", "fails": 1}], sweep="1m"), seed) for seed in (1, 2)]
    assert summary(runs)["red_minutes_percent"]["count"] == 0


def test_a_notice_is_counted_by_what_it_rests_on_in_truth() -> None:
    failing = {"from": "10m", "to": "30m", "fails": 1}
    own = world(own_side=[{"from": "10m", "to": "30m"}])
    chance = world([{**failing, "truth": "operational"}])
    for scenario, cause in ((own, OWN_SIDE), (chance, CHANCE)):
        found = measured(scenario)
        assert {(one.cause, one.is_false) for one in found.sent} == {(cause, True)}, cause
        assert not found.found
    assert {(one.cause, one.is_false) for one in measured(world([failing])).sent} == {(OUTAGE, False)}


def test_what_is_shorter_than_the_promise_is_a_blip() -> None:
    shortest_s = notation.catalogue(world()).probes[0].policy.shortest_outage_s
    for length_s, is_blip in ((shortest_s - 1, True), (shortest_s + 1, False)):
        scenario = world([{"from": "10m", "to": f"{600 + length_s:g}s", "fails": 1}])
        catalogue = notation.catalogue(scenario)
        [episode] = truth.episodes(read_world(scenario, catalogue), catalogue, "deepseek/api")
        assert episode.is_blip is is_blip


def test_working_again_is_false_only_inside_the_outage() -> None:
    down = {"from": "30m", "to": "40m", "fails": 1}
    lull = {"from": "30m", "to": "2h", "fails": 1, "truth": "major_outage"}, {"from": "50m", "to": "90m", "fails": 0}
    assert measured(world([down])).false_recoveries == 0
    assert measured(world(lull, until="3h")).false_recoveries == 1


def test_the_summary_tells_medians_and_extremes_over_all_seeds() -> None:
    scenario = world([{"from": "30m", "to": "1h", "fails": 1}])
    runs = [measured(scenario, seed) for seed in (1, 2, 3)]
    after = sorted(run.found[0].seen_after_s or 0.0 for run in runs)
    found = summary(runs)
    assert (found["outages"], found["missed"]) == (3, 0)
    told = found["detected_after_s"]
    assert (told["lowest"], told["median"], told["highest"]) == tuple(round(value, 2) for value in after)
    assert summary([measured(world())])["detected_after_s"]["median"] is None


BASE = {"probes": {"chat": {"component": "a/api"}}, "until": "1h"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"world": {"chta": []}}, "world: no probe named 'chta'; there are chat"),
        ({"world": {"chat": {}}}, "world: chat: must be a list"),
        ({"world": {"chat": ["x"]}}, r"world: chat\[0\]: must be a mapping"),
        ({"world": {"chat": [{"fail": 1}]}}, r"world: chat\[0\]: nothing is called 'fail'; there are from, to"),
        ({"world": {"chat": [{"fails": "often"}]}}, "fails: must be a share from 0 to 1, as in 0.25 or 25%"),
        ({"world": {"chat": [{"fails": 25}]}}, "fails: must be a share"),
        ({"world": {"chat": [{"reason": "service.tired"}]}}, "reason: 'service.tired' is no letter"),
        ({"world": {"chat": [{"reason": "ok"}]}}, "reason: 'ok' is no failure"),
        ({"world": {"chat": [{"reason": []}]}}, "reason: name at least one"),
        ({"world": {"chat": [{"took": "0s"}]}}, "took: '0s' is no length of time"),
        ({"world": {"chat": [{"took": 5}]}}, "took: not a duration"),
        ({"world": {"chat": [{"tokens": 0}]}}, "tokens: must be a whole number of at least 1"),
        ({"world": {"chat": [{"tokens_per_s": "fast"}]}}, "tokens_per_s: must be a number of at least 0.001"),
        ({"world": {"chat": [{"truth": "bad"}]}}, "truth: 'bad' is none of operational"),
        ({"world": {"chat": [{"at": "moon"}]}}, "at: no location named 'moon'; there are local"),
        ({"world": {"chat": [{"from": "2m", "to": "1m"}]}}, r"to \(1m\) is not after from \(2m\)"),
        ({"world": {"chat": [{"from": "2h"}]}}, "is not before the end of the scenario"),
        ({"world": {}, "seed": "one"}, "seed: must be a whole number"),
        ({"world": {}, "until": "0s"}, "until: '0s' is not after the start"),
        ({"world": {}, "own_side": [{"from": "1m", "where": "local"}]}, r"own_side\[0\]: nothing is called 'where'"),
        ({"world": {}, "vendor_says": [{"status": "fine", "at": "1m"}]}, "status: 'fine' is none of investigating"),
        ({"world": {}, "vendor_says": [{"status": "resolved"}]}, r"vendor_says\[0\]: say when, as in at: 43m"),
        ({"world": {}, "vendor_says": [{"at": "1m", "service": "b"}]}, "no service named 'b'; there are a"),
        ({"world": {}, "vendor_says": [{"at": "2m"}, {"at": "1m"}]}, "it comes before the words above it"),
    ],
)
def test_a_fault_of_a_world_is_one_line_that_says_where(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ScenarioError, match=told) as caught:
        play.run({**BASE, **wrong})
    assert "\n" not in str(caught.value)


def test_a_world_without_an_end_is_asked_for_one() -> None:
    with pytest.raises(ScenarioError, match="say when the scenario ends, as in until: 4h"):
        play.run({"probes": BASE["probes"], "world": {}})


@pytest.mark.parametrize("fails", [0.3, 0.5, 0.6, 0.7, 0.85])
@pytest.mark.parametrize("places", [1, 3])
def test_an_outage_of_any_failure_rate_is_told_in_a_few_lines_an_hour(fails: float, places: int) -> None:
    where = {"locations": [f"place-{number}" for number in range(places)]}
    report = play.run(world([{"from": "10m", "to": "3h10m", "fails": fails}], until="3h30m", probe=where))
    moments = [event.recorded_at for event in report.judge.events]
    assert moments
    assert max(sum(since <= at < since + timedelta(hours=1) for at in moments) for since in moments) <= 8


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"took": "2900ms"}, Health.OPERATIONAL),
        ({"took": "3100ms"}, Health.DEGRADED),
        ({"took": "10s"}, Health.MAJOR),
        ({"ttft": "8s", "tokens": 10}, Health.DEGRADED),
        ({"ttft": "1s", "tokens_per_s": 20}, Health.OPERATIONAL),
        ({"ttft": "1s", "tokens_per_s": 1}, Health.MAJOR),
        ({"ttft": "11s"}, Health.MAJOR),
        ({"took": "4s", "fails": "50%"}, Health.PARTIAL),
        ({"took": "12s", "fails": "50%"}, Health.MAJOR),
        ({"ttft": "8s", "tokens": 80, "tokens_per_s": 60, "spread": 0.2}, Health.PARTIAL),
        ({"took": "7s", "spread": 0.1}, Health.DEGRADED),
        ({"took": "4s", "truth": "operational"}, Health.OPERATIONAL),
        ({"took": "4s", "answers": "account.auth"}, Health.UNKNOWN),
    ],
)
def test_the_truth_follows_from_latency_and_the_shape_of_the_stream(changes: dict[str, Any], expected: Health) -> None:
    scenario = world([{"from": "30m", "to": "1h", **changes}], probe={"slow_after": "3s", "timeout": "10s"})
    catalogue = notation.catalogue(scenario)
    [*pieces] = truth.pieces(read_world(scenario, catalogue), catalogue, "deepseek/api")
    assert [piece.health for piece in pieces if piece.start_s <= 1800 < piece.end_s] == [expected]
    assert [piece.health for piece in pieces if piece.end_s > 3600] == [Health.OPERATIONAL]


def test_notices_about_slow_answers_and_about_those_that_never_end_are_not_chance() -> None:
    slow = {"from": "30m", "to": "1h", "ttft": "5s", "tokens": 50}
    endless = {"from": "1h30m", "to": "2h", "ttft": "1s", "tokens_per_s": 1}
    of_all = measured(world([slow, endless], until="3h", probe={"slow_after": "3s", "timeout": "10s", "kind": "chat"}))
    assert of_all.sent
    assert {one.cause for one in of_all.sent} <= {SLOW, OUTAGE}
    assert not any(one.is_false for one in of_all.sent)
    assert of_all.found[0].told_after_s is not None
