"""Green means that we saw it work: what proves only the edge makes nothing green that sees deeper and cannot tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core.catalogue import Probe, Proof
from monitor.core.components.health import ComponentHealth, component_health
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health

from .making import at, fold, look, probe, results, state

EDGE = probe("edge", interval_s=30)
ASKS = replace(probe("chat", interval_s=30), proves=Proof.WORK)
LATE_S = 30 * 40
"""Long after the 20 first looks, so that evidence which ended with them is stale."""


def verdict(deep: str, shallow: str = "o*41", asks: Proof = Proof.WORK) -> ComponentHealth:
    """Judge after 40 looks: what the deep probe saw, and what the shallow one."""
    deeper = replace(ASKS, proves=asks)
    pairs = [(EDGE, state(shallow, EDGE)), (deeper, state(deep, deeper))]
    return component_health(pairs, at(LATE_S + 1))


REFUSALS = [
    Reason.AUTH, Reason.REGION, Reason.QUOTA, Reason.RATE_LIMIT, Reason.BLOCKED, Reason.CONFIG, Reason.MODEL_RETIRED,
    Reason.POLICY, Reason.BUDGET, Reason.ADDRESS, Reason.INTERNAL, Reason.LAGGED, Reason.UNREADABLE,
]  # fmt: skip


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_question_that_is_refused_at_every_look_is_unknown_with_its_reason_though_the_edge_answers(
    reason: Reason,
) -> None:
    good = results("o*20", ASKS)
    refused = (look(30 * tick, reason) for tick in range(20, 41))
    seen = fold(state("", ASKS), (*good, *refused), ASKS)
    told = component_health([(EDGE, state("o*41", EDGE)), (ASKS, seen)], at(LATE_S + 1))
    assert (told.health, told.reason) == (Health.UNKNOWN, reason)
    assert told.observed_at == at(30 * 19), "the edge's looks are no evidence of the question"


TABLE = [
    ("o*41", "o*41", Proof.WORK, Health.OPERATIONAL),
    ("", "o*41", Proof.WORK, Health.UNKNOWN),
    ("o*20 b*21", "o*41", Proof.WORK, Health.UNKNOWN),
    ("o*38 b*3", "o*41", Proof.WORK, Health.OPERATIONAL),
    ("o*20 b*20 o", "o*41", Proof.WORK, Health.OPERATIONAL),
    ("o*20 b*21", "o*35 x*6", Proof.WORK, Health.MAJOR),
    ("o*20 b*21", "o*35 s*6", Proof.WORK, Health.DEGRADED),
    ("o*35 x*6", "o*41", Proof.WORK, Health.MAJOR),
    ("o*20 b*21", "o*41", Proof.EDGE, Health.OPERATIONAL),
    ("o*20 b*21", "o*41", Proof.CONNECTION, Health.OPERATIONAL),
    ("o*20 b*21", "o*41", Proof.NAME, Health.OPERATIONAL),
]


@pytest.mark.parametrize(("deep", "shallow", "asks", "health"), TABLE)
def test_only_the_probes_that_see_deepest_make_a_component_green(
    deep: str, shallow: str, asks: Proof, health: Health
) -> None:
    assert verdict(deep, shallow, asks).health is health


def test_a_second_key_that_works_is_proof_enough() -> None:
    second = replace(ASKS, id="other")
    pairs = [(EDGE, state("o*41", EDGE)), (ASKS, state("o*20 a*21", ASKS)), (second, state("o*41", second))]
    assert component_health(pairs, at(LATE_S + 1)).health is Health.OPERATIONAL


KEYED = replace(ASKS, key="ours")
LISTS = replace(probe("models", interval_s=30), key="ours")
REFUSED_AT_S = 30 * 39
"""The list of models is refused at the last but one of 41 ticks, and looked at again until it is believed."""


def told_by_list(question: str, asks: Probe = KEYED) -> ComponentHealth:
    """Judge 70 s after the list of models found the key refused; ``question`` is what the question saw until now."""
    lists = state("o*39 a*3", LISTS)
    return component_health(
        [(EDGE, state("o*42", EDGE)), (LISTS, lists), (asks, state(question, asks))], at(LATE_S + 40)
    )


def test_what_a_key_showed_before_another_probe_found_it_refused_says_nothing_of_now() -> None:
    told = told_by_list("o*39")
    assert (told.health, told.reason, told.since) == (Health.UNKNOWN, Reason.AUTH, at(REFUSED_AT_S))


def test_a_key_that_answers_a_question_after_a_list_refused_it_works() -> None:
    assert told_by_list("o*42").health is Health.OPERATIONAL


def test_a_list_refused_with_another_key_or_one_without_a_name_takes_nothing_back() -> None:
    for key in ("theirs", ""):
        assert told_by_list("o*39", replace(KEYED, key=key)).health is Health.OPERATIONAL


def test_known_trouble_outlives_the_key() -> None:
    assert told_by_list("o*33 x*6").health is Health.MAJOR


def test_a_question_that_is_switched_off_or_a_witness_is_none() -> None:
    for off in (replace(ASKS, disabled="secret KEY is not set"), replace(ASKS, witness=True)):
        pairs = [(EDGE, state("o*41", EDGE)), (off, state("", off))]
        assert component_health(pairs, at(LATE_S + 1)).health is Health.OPERATIONAL


def test_a_question_that_answered_a_moment_ago_keeps_its_word_until_that_is_stale() -> None:
    refused = state("o*20 b*21", ASKS)
    edge = state("o*41", EDGE)
    stale_s = 30 * 19 + ASKS.policy.stale_after_intervals * 30 + ASKS.timeout_s
    before, after = (component_health([(EDGE, edge), (ASKS, refused)], at(stale_s + more)) for more in (0, 1))
    assert (before.health, after.health) == (Health.OPERATIONAL, Health.UNKNOWN)
    assert after.since == at(stale_s)


def test_the_order_of_proof_is_name_connection_edge_work() -> None:
    assert sorted(Proof, key=lambda proof: proof.depth) == [Proof.NAME, Proof.CONNECTION, Proof.EDGE, Proof.WORK]
