"""The short text of a probe's state says all of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.catalogue import Probe
from monitor.core.checks.probe_state import new_probe_state
from monitor.core.checks.steps import step
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.schedule import micros as us
from monitor.store.transaction import states
from monitor.store.transaction.states import dump_state, load_state
from tests.edges.flowing import MINUTE, T0

PROBE = Probe("p", "a/b", "http", 60, 10.0)
LOOKS = st.lists(st.tuples(st.sampled_from(list(Reason)), st.sampled_from(["", "HTTP 200", "late"])), max_size=40)


@given(LOOKS)
def test_a_state_reads_back_as_it_was_written(looks: list[tuple[Reason, str]]) -> None:
    state = new_probe_state("p", "local")
    for number, (reason, detail) in enumerate(looks):
        at = T0 + number * MINUTE
        result = Result(RunId("p", "local", at), at + timedelta(milliseconds=7), 0.5, Observation(reason, detail, 200))
        state = step(state, result, PROBE)
        text = dump_state(state)
        states._PARSED.clear()
        assert load_state(text, "p", "local", us(at), 1) == state


def test_a_text_of_before_the_twins_is_still_read() -> None:
    old = '{"n":10,"f":9,"si":90,"gs":90,"gt":0,"gr":10,"e":-6,"de":"HTTP 200","lr":0,"ld":"HTTP 200","k":-6}'
    state = load_state(old, "p", "local", us(T0), 1)
    assert (state.good_in_a_row, state.slowness.fast_in_a_row, state.answered_at) == (10, 0, None)
    assert load_state(dump_state(state), "p", "local", us(T0), 1) == state


OLD = {
    "o*20 s*4 (x*2 o*2)*3 x*3": '2{"r":24,"l":9447,"n":38,"f":11,"fr":5,"fa":[420000000,300000000,180000000,179000000,'
    '178000000,60000000,59000000,58000000],"bad_at":1767572340000000,"rs":60000000,"ca":180000000,"p":true,"fl":true,'
    '"si":180000000,"su":180000000,"i":244639,"e":0,"k":90000000,"gt":null,"gs":null,"gr":null}',
    "o*30 s*4": '2{"r":51,"n":34,"s":15,"g":true,"si":90000000,"ss":90000000,"gs":990000000,"e":0,"bs":null,"br":null}',
    "o*9 x*5 o": '2{"r":24,"l":2,"n":11,"f":17,"fa":[150000000],"bad_at":1767571590000000,"ca":150000000,"d":true,'
    '"si":150000000,"su":150000000,"gs":0,"gr":1,"i":63,"e":0,"lr":0}',
}
"""Looks → what the program wrote after them when k of n looks and a failure rate were its rules."""
HEALTH = (Health.PARTIAL, Health.DEGRADED, Health.MAJOR)


@pytest.mark.parametrize(("text", "health"), list(zip(OLD.values(), HEALTH, strict=True)))
def test_an_outage_that_an_older_version_recorded_goes_on_until_it_recovers(text: str, health: Health) -> None:
    stored = load_state(text, "chat", "local", us(T0), 1)
    assert (stored.health, stored.evidence_at) == (health, T0)
    assert stored.since is not None
    assert load_state(dump_state(stored), "chat", "local", us(T0), 1) == stored
    state = stored
    for number in range(1, 29):
        assert (state.health, state.since) == (health, stored.since) or health is Health.DEGRADED
        at = T0 + timedelta(seconds=10 * number)
        state = step(state, Result(RunId("chat", "local", at), at, 0.1, Observation(Reason.OK)), PROBE)
    assert state.health is Health.OPERATIONAL


def test_a_name_from_before_a_field_had_a_code_is_read_with_its_time_as_it_stands() -> None:
    since = us(T0 - MINUTE)
    old = f'{{"n":3,"row_since":{since},"cleared_at":{since},"brisk_since":{since},"bad_at":{since},"refused":2}}'
    state = load_state(old, "p", "local", us(T0), 1)
    times = (state.failing_since, state.network_worked_at, state.slowness.fast_since, state.last_failed_at)
    assert times == (T0 - MINUTE,) * 4
    assert state.key_refusals == 2


def test_a_probe_that_is_well_takes_few_bytes() -> None:
    state = new_probe_state("p", "local")
    for number in range(100):
        at = T0 + number * MINUTE
        started = at + timedelta(milliseconds=1)
        state = step(state, Result(RunId("p", "local", at), started, 0.1, Observation(Reason.OK, "HTTP 200")), PROBE)
    assert len(dump_state(state)) < 70
