"""The short text of a probe's state says all of it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.catalogue import Policy
from monitor.core.checks.probe_state import new_probe_state
from monitor.core.checks.steps import step
from monitor.core.model import Observation, Reason, Result, RunId
from monitor.core.schedule import micros as us
from monitor.store.transaction import states
from monitor.store.transaction.states import dump_state, load_state
from tests.edges.flowing import MINUTE, T0

LOOKS = st.lists(st.tuples(st.sampled_from(list(Reason)), st.sampled_from(["", "HTTP 200", "late"])), max_size=40)


@given(LOOKS)
def test_a_state_reads_back_as_it_was_written(looks: list[tuple[Reason, str]]) -> None:
    state = new_probe_state("p", "local")
    for number, (reason, detail) in enumerate(looks):
        at = T0 + number * MINUTE
        result = Result(RunId("p", "local", at), at + timedelta(milliseconds=7), 0.5, Observation(reason, detail, 200))
        state = step(state, result, Policy())
        text = dump_state(state)
        states._PARSED.clear()
        assert load_state(text, "p", "local", us(at), 1) == state


def test_a_text_of_before_the_twins_is_still_read() -> None:
    old = '{"n":10,"f":9,"si":90,"gs":90,"gt":0,"gr":10,"e":-6,"de":"HTTP 200","lr":0,"ld":"HTTP 200","k":-6}'
    state = load_state(old, "p", "local", us(T0), 1)
    assert (state.seen, state.fresh, state.brisk_row, state.answered_at) == (10, 9, 0, None)
    assert load_state(dump_state(state), "p", "local", us(T0), 1) == state


def test_a_probe_that_is_well_takes_few_bytes() -> None:
    state = new_probe_state("p", "local")
    for number in range(100):
        at = T0 + number * MINUTE
        started = at + timedelta(milliseconds=1)
        state = step(state, Result(RunId("p", "local", at), started, 0.1, Observation(Reason.OK, "HTTP 200")), Policy())
    assert len(dump_state(state)) < 70
