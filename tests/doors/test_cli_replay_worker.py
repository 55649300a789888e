"""Live equals replay, on what a real worker recorded of a simulated vendor."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor import clock
from monitor.core import replay
from monitor.core.model import Result
from monitor.simulator import serve
from monitor.store import reads
from monitor.store.engine import open_engine
from tests.doors.running import worker

RULES = ("component_down", "registration_changed")


def ended(result: Result) -> datetime:
    return result.started_at + timedelta(seconds=result.duration_s)


@pytest.mark.slow
def test_what_a_real_worker_stored_folds_to_the_incidents_and_alerts_that_it_recorded(tmp_path: Path) -> None:
    async def play() -> str:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await running.until('chatwatch_component_known{component="sim/api"', lambda value: value == 1)
            vendor.set(chat={"fault": "status", "status": 503})
            await running.until('chatwatch_component_health{component="sim/api"', lambda value: value == 3)
            vendor.set(chat={"fault": "none"})
            end_s = clock.monotonic() + 40
            engine = open_engine(running.database, read_only=True)
            while not any(item.resolved_at for item in reads.incidents(engine, public=False)):
                assert clock.monotonic() < end_s
                await asyncio.sleep(0.3)
            engine.dispose()
            assert await running.stop() == 0
            return running.database

    engine = open_engine(asyncio.run(play()), read_only=True)
    try:
        catalogue = reads.catalogue(engine)
        stored = sorted(reads.results(engine), key=ended)
        recorded = reads.incidents(engine, public=False)
        alerts = [view.alert for view in reads.alerts(engine) if view.alert.rule in RULES]
    finally:
        engine.dispose()
    judge = replay.run(catalogue, stored, sweep_s=1.0)
    assert sorted((e.incident, e.seq, e.kind) for e in judge.events) == sorted(
        (e.incident, e.seq, e.kind) for item in recorded for e in item.events
    )
    assert sorted((a.rule, a.component, a.started_at) for a in judge.fired if a.rule in RULES) == sorted(
        (alert.rule, alert.component, alert.started_at) for alert in alerts
    )
