"""Looks that a policy would have made and nobody made are told, drawn from what was recorded, or left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.core.catalogue import Catalogue, Component, Policy, Probe, Route, Service
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome
from monitor.core.replay import PastLook, fold
from monitor.core.review import Page, pages
from monitor.core.schedule import micros
from monitor.core.unmade import Draw, Unmade, is_paced_anew

from .making import at, probe, results

HERE = probe(interval_s=60)
EAGER = replace(HERE, policy=Policy(shortest_outage_s=10.0))
CALM_TIME = "o*20"
SEEDS = 40


def world(held: Probe) -> Catalogue:
    component = Component("deepseek/api", "deepseek", "API")
    return Catalogue((Service("deepseek", "DeepSeek"),), (component,), (held,), (Route("oncall", ("pager",)),))


def past(found: Iterable[Result]) -> list[PastLook]:
    looks = []
    for result in found:
        end = micros(result.started_at + timedelta(seconds=result.duration_s))
        plain = result.outcome is Outcome.OK and result.run.attempt == 1
        series = (result.run.probe, result.run.location)
        start = micros(result.started_at)
        looks.append((end, series, micros(result.run.tick), start, None if plain else result))
    return looks


def judged(looks: list[PastLook], held: Probe, changed: bool, draw: Draw | None = None) -> tuple[Unmade, list[Page]]:
    unmade = Unmade(world(held), {held.id} if changed else (), draw)
    judge = fold(world(held), unmade.through(looks))
    return unmade, list(pages(judge))


@pytest.mark.parametrize(
    "story", ["x*12", "x/o o*30", "o x x o*8", "x o x o x x o x x x o*30", "x/x/x/o o*9 x*5 o*3 x"]
)
def test_the_policy_that_recorded_misses_no_look_and_leaves_none_out(story: str) -> None:
    looks = past(results(f"{CALM_TIME} {story} o*90", HERE))
    unmade = Unmade(world(HERE), {HERE.id})
    assert list(unmade.through(looks)) == looks
    assert unmade.gaps == []
    assert unmade.left_out == 0


def test_a_policy_that_decides_sooner_has_gaps_and_they_lie_about_its_page() -> None:
    looks = past(results(f"{CALM_TIME} x*12 o*60", HERE))
    unmade, (page, *_) = judged(looks, EAGER, changed=True)
    (gap, *_) = unmade.gaps
    assert at(1200) < gap.since < gap.until
    assert gap.may_concern(page.component, page.started_at, page.at)
    assert not gap.may_concern("deepseek/web", page.started_at, page.at)
    assert not gap.may_concern(page.component, page.started_at - timedelta(days=1), page.at - timedelta(days=1))


def test_drawn_looks_of_a_hard_outage_decide_as_soon_as_the_policy_would_have() -> None:
    looks = past(results(f"{CALM_TIME} x*12 o*60", HERE))
    seen, (late, *_) = judged(looks, EAGER, changed=True)
    _, (truth, *_) = judged(past(results(f"{CALM_TIME} x*12 o*60", EAGER)), EAGER, changed=True)
    at_s = []
    for seed in range(SEEDS):
        unmade, found = judged(looks, EAGER, changed=True, draw=Draw(seed, seen.told))
        assert unmade.drawn
        assert unmade.gaps == []
        at_s.append((found[0].at - truth.at).total_seconds())
    at_s.sort()
    assert abs(at_s[SEEDS // 2]) < 5, "in most drawings the page comes about when it would have come"
    assert (late.at - truth.at).total_seconds() > 30, "while the recorded looks alone say later"


def test_the_fewer_of_the_recorded_looks_failed_the_fewer_drawings_page() -> None:
    never_early = replace(HERE, policy=Policy(early_looks=False))
    shares = []
    for story in ("x*12", "x o o x o o o x o o o", "x o*30"):
        looks = past(results(f"{CALM_TIME} {story} o*60", never_early))
        seen, _ = judged(looks, HERE, changed=True)
        drawings = [judged(looks, HERE, changed=True, draw=Draw(seed, seen.told)) for seed in range(SEEDS)]
        soon = at(1200 + 90)
        shares.append(sum(any(page.at <= soon for page in found) for _, found in drawings))
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9 * SEEDS
    assert 0 < shares[1] < SEEDS, "in between nobody knows, and the drawings say so"
    assert shares[2] < shares[1]


def test_drawn_looks_about_a_blip_are_mostly_good() -> None:
    never_early = replace(HERE, policy=Policy(early_looks=False))
    looks = past(results(f"{CALM_TIME} x o*60", never_early))
    seen, _ = judged(looks, HERE, changed=True)
    assert seen.gaps
    drawings = [judged(looks, HERE, changed=True, draw=Draw(seed, seen.told)) for seed in range(SEEDS)]
    assert all(unmade.drawn > 5 for unmade, _ in drawings)
    assert sum(bool(found) for _, found in drawings) <= SEEDS / 10


def test_the_same_seed_draws_the_same() -> None:
    looks = past(results(f"{CALM_TIME} x*3 o*60", HERE))
    seen, _ = judged(looks, EAGER, changed=True)
    one, other = (list(Unmade(world(EAGER), {"chat"}, Draw(7, seen.told)).through(looks)) for _ in range(2))
    assert one == other
    different = (list(Unmade(world(EAGER), {"chat"}, Draw(seed, seen.told)).through(looks)) for seed in range(20))
    assert any(looks != one for looks in different)
    assert [look[0] for look in one] == sorted(look[0] for look in one), "in the order of their ends"


def test_early_looks_that_a_policy_would_not_make_are_left_out_and_those_of_the_grid_never_are() -> None:
    looks = past(results(f"{CALM_TIME} x*12 o*60", HERE))
    slow = replace(HERE, policy=Policy(early_looks=False))
    unmade = Unmade(world(slow), {slow.id})
    kept = list(unmade.through(looks))
    assert all(look[4] is None or look[4].run.attempt == 1 for look in kept)
    ticks = {look[2] for look in looks}
    assert {look[2] for look in kept} == ticks
    assert unmade.left_out == len(looks) - len(ticks) > 0
    assert unmade.gaps == []


def test_only_what_moves_looks_counts_as_another_pace() -> None:
    assert not is_paced_anew(HERE, replace(HERE, policy=Policy(repeat_page_s=60.0, slo_target_ratio=0.9)))
    for policy in (Policy(shortest_outage_s=10.0), Policy(throttled_after=9), Policy(early_looks=False)):
        assert is_paced_anew(HERE, replace(HERE, policy=policy))
