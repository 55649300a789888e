"""The recorder's own snapshot holds no history, and says the same of everything else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from monitor import flow
from monitor.core.model.reasons import Reason
from monitor.store import reads
from tests.edges.flowing import MINUTE, T0, look, publish


def test_a_snapshot_without_history_tells_the_same_uptime(engine: Engine) -> None:
    publish(engine)
    for hour in range(0, 80, 4):
        now = T0 + timedelta(hours=hour)
        flow.check_in(engine, "w1", "local", now)
        reason = Reason.SERVER_ERROR if hour in (28, 32, 60) else Reason.OK
        for minute in range(4):
            at = now + minute * MINUTE
            flow.record(engine, [look("ds-api", at, reason), look("oa-api", at)], at + timedelta(seconds=5))
        flow.roll_up(engine, now)
        for moment in (now, now + timedelta(minutes=3), now + timedelta(hours=2)):
            whole = reads.snapshot(engine, moment, public=False)
            bare = reads.snapshot(engine, moment, public=False, history=False)
            stripped = [
                replace(
                    service,
                    components=tuple(replace(c, days=(), latency=None, budget=None) for c in service.components),
                )
                for service in whole.services
            ]
            assert list(bare.services) == stripped
            assert bare.open_incidents == whole.open_incidents
    assert any(c.uptime.down_s for service in bare.services for c in service.components)
    assert all(c.budget for service in whole.services for c in service.components)
    assert any(len(c.days) > 3 for service in whole.services for c in service.components)
