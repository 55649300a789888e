"""Whose trouble is likelier, ours or the target's: good and failed looks elsewhere against a target's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core.checks.suspicion import Suspicion
from monitor.core.doubt.weighing import ENOUGH, Seen, looks_between, weight
from monitor.core.model.observations import OUT_OF_TURN
from monitor.core.model.reasons import Reason

from .making import at, fold, look, probe, results, state


def suspicion(looks: str) -> Suspicion:
    """Return what is kept of a target's looks, oldest first, ``x`` failed and ``o`` good."""
    mask = int("".join("1" if one == "x" else "0" for one in looks), 2)
    return Suspicion(mask=mask, looks=len(looks))


@pytest.mark.parametrize(
    ("mine", "others", "theirs"),
    [
        pytest.param("xxx", [(1, 0)], True, id="never answered, one good look elsewhere"),
        pytest.param("xxxxx", [(0, 1)], False, id="the other fails, too"),
        pytest.param("xxxxx", [], False, id="nobody looked"),
        pytest.param("xoxxoxox", [(1, 0), (1, 0)], False, id="half of it fails, two good looks may be luck"),
        pytest.param("xoxxoxox", [(2, 0), (2, 0)], True, id="four are none"),
        pytest.param("xoooxooxoooxooox", [(3, 0)], False, id="a third, three good looks"),
        pytest.param("xoooxooxoooxooox", [(4, 0), (4, 0)], True, id="a third, eight good looks"),
        pytest.param("xoxxoxox", [(3, 2), (2, 3)], False, id="all waver alike"),
        pytest.param("xxxxx", [(3, 2), (5, 3)], False, id="never answered while all others waver"),
        pytest.param("xxxxx", [(0, 5), (2, 0)], True, id="two fail, the third never did"),
        pytest.param("xxxxx", [(40, 1)], True, id="one failure by chance elsewhere"),
    ],
)
def test_a_target_fails_by_itself_if_looks_elsewhere_could_hardly_be_luck(
    mine: str, others: list[tuple[int, int]], theirs: bool
) -> None:
    seen = [Seen(f"vendor {place}", good, failed) for place, (good, failed) in enumerate(others)]
    assert (weight(suspicion(mine), seen) >= ENOUGH) is theirs


def test_probes_of_one_group_speak_as_one() -> None:
    apart = [Seen("b", 2, 0), Seen("c", 0, 2)]
    together = [replace(one, group="b") for one in apart]
    assert weight(suspicion("xxxxx"), apart) > ENOUGH > weight(suspicion("xxxxx"), together)


OTHER = probe("web", interval_s=30)


@pytest.mark.parametrize(
    ("letters", "since_s", "counted"),
    [
        ("o*10", 150, (5, 0)),
        ("o*10", 270, (1, 0)),
        ("o*10", 280, (0, 0)),
        ("o*5 x o*4", 100, (24, 4)),
        ("o*5 x o*4", 200, (3, 0)),
        ("o*8 x x", 100, (0, 6)),
    ],
)
def test_looks_of_another_are_counted_from_the_little_that_is_kept(
    letters: str, since_s: float, counted: tuple[int, int]
) -> None:
    assert looks_between(OTHER, state(letters, OTHER), at(since_s), at(275)) == counted


def test_looks_out_of_turn_count_where_it_is_known_that_they_came_after() -> None:
    asked = [look(270, Reason.OK, attempt=OUT_OF_TURN + turn, after_s=2.0 * turn) for turn in (1, 2, 3)]
    seen = fold(state("", OTHER), (*results("o*10", OTHER), *asked), OTHER)
    assert looks_between(OTHER, seen, at(265), at(280)) == (3, 0)
    assert looks_between(OTHER, seen, at(271), at(280)) == (1, 0)
