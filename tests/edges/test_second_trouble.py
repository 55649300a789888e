"""Trouble that returns after its incident was over, within the hour that the failure rate is judged over."""

from __future__ import annotations

import itertools
from datetime import timedelta

from sqlalchemy import Engine

from monitor import flow
from monitor.core.model.reasons import Reason
from monitor.store import reads
from tests.edges.flowing import MINUTE, T0, look, publish, with_policy

FAILED_MINUTES = {1, 7, 8, 9, 17}


def test_a_later_incident_neither_shares_the_id_nor_the_time_of_one_that_was_over(engine: Engine) -> None:
    publish(engine, with_policy(recovery_window_s=30, reopen_window_s=30))
    for minute in range(20):
        at = T0 + minute * MINUTE
        bad = minute in FAILED_MINUTES
        batch = [look("oa-api", at, Reason.CONTENT if bad else Reason.OK, n) for n in (1, 2, 3)]
        flow.record(engine, batch, at + timedelta(seconds=4))
        flow.sweep(engine, at + timedelta(seconds=5))
    found = sorted(reads.incidents(engine, public=False), key=lambda view: view.started_at)
    assert len({view.id for view in found}) == len(found) == 3
    for before, after in itertools.pairwise(found):
        assert before.resolved_at is not None
        assert after.started_at >= before.resolved_at
    assert found[-1].started_at == T0 + 17 * MINUTE
