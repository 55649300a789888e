"""The benchmark of detection measures what it says: its intervals, its streams, and every rule's arithmetic."""

import random
from itertools import pairwise
from statistics import fmean

import pytest

from monitor.core.checks.sequential import cost_of, rule_of
from tests.bench import detection, detection_figures
from tests.bench.detection import Size, rows
from tests.bench.detection_figures import BLIP_S, MONTH_S, bursts, delays, mean, per_year, quantile, share
from tests.bench.detection_watchers import LOOK_S, OURS, PEERS, TEAMS, Line, Ours, Peer, Team, next_failure


@pytest.mark.parametrize(
    ("figure", "low", "high"),
    [
        (per_year(0, 1), 0.0, 3.689),
        (per_year(10, 1), 4.795, 18.390),
        (per_year(100, 2), 40.682, 60.814),
        (share(9, 10), 0.596, 0.982),
        (quantile(list(range(1, 1001)), 0.95), 937, 964),
        (mean([0.0, 2.0] * 50), 1 - 0.197, 1 + 0.197),
    ],
)
def test_an_interval_is_the_textbooks(figure: detection_figures.Figure, low: float, high: float) -> None:
    assert figure.low == pytest.approx(low, abs=2e-3)
    assert figure.high == pytest.approx(high, abs=2e-3)
    assert figure.low <= figure.value <= figure.high


@pytest.mark.parametrize(
    ("peer", "after_s"),
    [
        (PEERS[0], 30),
        (PEERS[1], 30 + 3 * 60),
        (PEERS[2], 30 + 2 * 60),
        (PEERS[3], 15 + 3),
        (PEERS[4], 15 + 2 * 30),
        (PEERS[5], 30 + 2 * 60),
    ],
    ids=lambda value: value.name if isinstance(value, Peer) else "",
)
def test_a_peer_finds_a_hard_outage_when_its_own_rule_says(peer: Peer, after_s: float) -> None:
    found = mean(delays(peer, 1.0, range(1000)))
    assert found.low - 1 <= after_s + LOOK_S <= found.high + 1


@pytest.mark.parametrize("ours", OURS, ids=lambda ours: ours.name)
def test_our_rule_finds_a_hard_outage_between_its_span_and_one_interval_later(ours: Ours) -> None:
    span_s = ours.probe.policy.shortest_outage_s
    for found_s in delays(ours, 1.0, range(300)):
        assert span_s <= found_s + 0.1
        assert found_s <= ours.interval_s + span_s + LOOK_S + 1.1  # two looks begin a second apart at least


def test_our_rule_pages_falsely_as_often_as_its_exact_chain_says() -> None:
    watcher, months = OURS[0], 3
    said = sum(detection_figures.false_pages(watcher, 0.03, [month]) for month in range(months))
    exact = cost_of(rule_of(watcher.probe), 0.03).false_pages_per_year
    found = per_year(said, months / 12)
    assert found.low <= exact <= found.high


@pytest.mark.parametrize("team", TEAMS, ids=lambda team: team.name)
def test_a_team_finds_a_partial_outage_sooner_than_its_first_alone(team: Team) -> None:
    alone, together = delays(team.members[0], 0.25, range(200)), delays(team, 0.25, range(200))
    assert fmean(together) < 0.75 * fmean(alone)


def test_a_team_is_down_from_the_first_that_is_until_the_last_is_up() -> None:
    team = TEAMS[0]
    line = Line(0.0, [(3600.0, 7200.0, 1.0)])
    said = list(team.watch(line, random.Random(2), 10.0, 4 * 3600.0))
    assert [one.down for one in said] == [True, False]
    assert 3635 <= said[0].at_s <= 3600 + 150 + 36 + 10
    assert said[1].at_s > 7200 + 240  # 24 good questions of each, ten seconds apart


def test_ticks_are_passed_over_by_chance_and_never_across_an_outage() -> None:
    rng, line = random.Random(1), Line(0.05)
    gaps = [next_failure(line, rng, 0.0, 60.0) for _ in range(4000)]
    assert all(surely for _, surely in gaps)
    assert abs(fmean(at_s / 60 for at_s, _ in gaps) - 19) < 1  # (1 - p) / p good looks before a failure
    outage = Line(0.001, [(610.0, 700.0, 1.0)])
    assert {at_s for at_s, surely in (next_failure(outage, rng, 5.0, 60.0) for _ in range(50)) if not surely} == {665.0}
    assert next_failure(outage, rng, 620.0, 60.0) == (620.0, False)


def test_a_months_bursts_are_the_same_for_all_and_apart() -> None:
    found = bursts(3)
    assert found == bursts(3) != bursts(4)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    many = sum(len([one for one in bursts(month) if one[1] - one[0] == pytest.approx(BLIP_S)]) for month in range(60))
    assert abs(many / 5 - 365) < 40
    assert max(one[0] for one in found) < MONTH_S


def test_every_rule_has_a_row_with_the_figures_and_their_intervals() -> None:
    found = rows(Size({0.001: 1, 0.01: 1, 0.02: 1}, 1, 10, 2))
    assert [row["rule"] for row in found] == [watcher.name for watcher in (*OURS, *TEAMS, *PEERS)]
    assert found[0]["rule"] == "chatwatch"
    plain = {"burst_pages_per_year", "hard_mean_s", "hard_p95_s", "partial_p50_min", "partial_p95_min"}
    for row in found:
        assert {"rule", "interval_s", "false_pages_per_year", "intervals", *plain} <= set(row)
        assert list(row["false_pages_per_year"]) == ["0.001", "0.01", "0.02"]
        assert set(row["intervals"]) == {"false_pages_per_year", *plain}
        for name in plain:
            low, high = row["intervals"][name]
            assert low <= row[name] <= high
    assert {"recovery" in row for row in found[:3]} == {True}
    assert detection._table(found).count("\n") == len(found)
