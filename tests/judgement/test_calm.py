"""The quick way through calm time comes to the same as the long way, look by look and sweep by sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from monitor.core.catalogue import Catalogue
from monitor.core.doubt.sight import sight_of
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.replay import Judge, PastLook, fold
from monitor.core.schedule import micros
from tests.judgement.cases import case
from tests.judgement.findings import differences
from tests.judgement.memory import InMemory
from tests.judgement.stories.stage import START
from tests.judgement.stories.telling import STORIES
from tests.judgement.worlds import world

CASES = 40


def test_random_cases_come_to_the_same_on_both_ways_and_the_quick_one_is_taken() -> None:
    taken = 0
    for number in range(CASES):
        steps = case(number, [number, number + len(STORIES), 7 * number])
        quick, long = InMemory(), InMemory(quick=False)
        for step in steps:
            assert quick.take(step) == long.take(step)
        series = quick.store.all_series.values()
        assert [one.sight for one in series] == [sight_of(one.state) for one in series]
        assert differences(quick.findings(), long.findings()) == [], f"case {number}"
        assert long.evaluation.calm.taken == 0
        taken += quick.evaluation.calm.taken
    assert taken > CASES


BAD = (Reason.SERVER_ERROR, Reason.SERVER_ERROR, Reason.CONNECT, Reason.DNS, Reason.THROTTLED, Reason.LAGGED)
MINUTE_US = 60_000_000


def days_of(catalogue: Catalogue, seed: int, days: float) -> Iterator[PastLook]:
    """Yield looks of every probe a minute, with blips, outages, silences and slow spells."""
    rng = Random(seed)
    probes = [probe for probe in catalogue.probes if not probe.witness]
    until = dict.fromkeys((probe.id for probe in probes), (0, 0.0, Reason.OK))
    for minute in range(int(days * 1440)):
        for place, probe in enumerate(probes):
            if rng.random() < 0.002:
                length, rate = rng.choice(((2, 1.0), (15, 1.0), (90, 0.5), (40, -1.0), (20, 0.3)))
                until[probe.id] = minute + length, rate, rng.choice((*BAD, Reason.SLOW))
            end, rate, reason = until[probe.id]
            if minute < end and rate < 0:
                continue
            fails = (minute < end and rng.random() < rate) or rng.random() < 0.005
            tick = micros(START) + minute * MINUTE_US + place * 1_000_000
            at = tick + rng.randrange(1000)
            if not fails:
                yield at + 400_000, (probe.id, "here"), tick, at, None
                continue
            seen = Observation(reason if minute < end else Reason.SERVER_ERROR, "no", loud(reason))
            when = START + timedelta(microseconds=tick - micros(START))
            run = RunId(probe.id, "here", when)
            yield at + 400_000, (probe.id, "here"), tick, at, Result(run, when, 0.4, seen)


def loud(reason: Reason) -> int | None:
    return 500 if reason is Reason.SERVER_ERROR else None


def outcome(judge: Judge) -> dict[str, object]:
    """Return everything that a judge made of the past."""
    store = judge.store
    return {
        "spans": store.spans,
        "states": {key: series.state for key, series in store.all_series.items()},
        "rows": [(row.health, row.since, row.reason, row.detail, row.span_at) for row in store.rows.values()],
        "events": store.events,
        "alerts": store.alerts,
        "decisions": store.decisions,
    }


@pytest.mark.parametrize("seed", range(4))
def test_days_of_blips_and_outages_come_to_the_same_on_both_ways(seed: int) -> None:
    drawn = world(Random(seed), START)
    catalogue = replace(drawn, probes=tuple(replace(p, interval_s=60, disabled="") for p in drawn.probes))
    quick = fold(catalogue, days_of(catalogue, seed, 2.5))
    long = fold(catalogue, days_of(catalogue, seed, 2.5), quick=False)
    one, other = outcome(quick), outcome(long)
    for name, what in one.items():
        assert what == other[name], name
    assert quick.evaluation.calm.taken > 1000
    assert long.evaluation.calm.taken == 0
    assert quick.fired
