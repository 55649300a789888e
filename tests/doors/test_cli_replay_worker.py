"""Live equals replay, on what a real worker recorded of a simulated vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import Engine, select

from monitor import clock, flow
from monitor.cli import chatwatch
from monitor.core import replay
from monitor.core.entities import IncidentEvent
from monitor.core.incidents.event_json import encode
from monitor.core.model.incident_events import Cause
from monitor.core.model.observations import Result
from monitor.core.scenario import play as scenario
from monitor.core.scenario.notation import seconds
from monitor.simulator.play import serve
from monitor.simulator.state import Sign
from monitor.store import reads, tables
from monitor.store.connection.engine import open_engine, reading
from monitor.store.reads.views import IncidentView
from monitor.store.tables import table
from tests.doors.running import PROBES, Worker, worker

RULES = ("component_down", "registration_changed")
SIGN_UP = """\
      - {{id: join, name: Registration, kind: registration}}
    probes:
      - id: sign-up
        component: join
        kind: registration
        interval: 1s
        timeout: 1s
        options: {{detector: page_text, url: "{url}/sign_up"}}
"""
FACTS = ("component", "components", "health", "impact", "reason", "method", "before", "after", "country_codes", "cause")
TIMED = ("recovering", "resolved", "component_better")
"""What a sweep may say a moment sooner or later than the next look would have."""


def ended(result: Result) -> datetime:
    return result.started_at + timedelta(seconds=result.duration_s)


async def over(running: Worker, incidents: int) -> None:
    """Wait until so many incidents are recorded and resolved."""
    end_s = clock.monotonic() + 120
    engine = open_engine(running.database, read_only=True)
    while True:
        found = await asyncio.to_thread(reads.incidents, engine, public=False)
        if len(found) == incidents and all(item.resolved_at for item in found):
            break
        assert clock.monotonic() < end_s, running.log
        await asyncio.sleep(0.3)
    engine.dispose()


async def outage(home: Path) -> str:
    """Let a real worker see an outage and sign-up cut to one country; returns the address of its database."""
    probes = PROBES.replace("    probes:\n", SIGN_UP)
    async with serve() as vendor, worker(home, vendor.url, probes=probes) as running:
        for part in ("api", "join"):
            await running.until(f'chatwatch_component_known{{component="sim/{part}"', lambda value: value == 1)
        vendor.set(chat={"fault": "status", "status": 503}, registration=Sign.PHONE_86)
        await running.until('chatwatch_component_health{component="sim/api"', lambda value: value == 3)
        await running.until('chatwatch_component_health{component="sim/join"', lambda value: value == 2)
        vendor.set(chat={"fault": "none"}, registration=Sign.OPEN)
        await over(running, 2)
        assert await running.stop() == 0
        return running.database


@pytest.mark.slow
def test_what_a_real_worker_recorded_follows_again_from_what_it_stored(tmp_path: Path) -> None:
    url = asyncio.run(outage(tmp_path))
    engine = open_engine(url)
    try:
        recorded = reads.incidents(engine, public=False)
        assert {item.cause for item in recorded} == set(Cause)
        before = projections(engine)
        assert flow.rebuild(engine) == 2
        assert projections(engine) == before
        folded_again(engine, recorded)
    finally:
        engine.dispose()
    for item in recorded:
        exported(tmp_path, url, item)


def projections(engine: Engine) -> list[tuple[object, ...]]:
    with reading(engine) as connection:
        return sorted(tuple(row) for row in connection.execute(select(table(tables.Incident))))


def facts(events: Iterable[IncidentEvent]) -> list[tuple[str, ...]]:
    """Return what each event says, without its time and without words."""
    held = [(event.kind, encode(event.what)) for event in events]
    return sorted((str(kind), *(str(data[key]) for key in FACTS if key in data)) for kind, data in held)


def exact(events: Iterable[IncidentEvent]) -> list[tuple[object, ...]]:
    return sorted((e.incident, e.seq, str(e.kind), e.at) for e in events if e.kind not in TIMED)


def folded_again(engine: Engine, recorded: Sequence[IncidentView]) -> None:
    """Fold the stored looks: the same events of the same incidents, the same alerts, told to the same routes."""
    judge = replay.run(reads.catalogue(engine), sorted(reads.results(engine), key=ended), sweep_s=1.0)
    events = [event for item in recorded for event in item.events]
    assert exact(judge.events) == exact(events)
    for item in recorded:
        assert facts(e for e in judge.events if e.incident == item.id) == facts(item.events)
    views = [view for view in reads.alerts(engine) if view.alert.rule in RULES]
    fired = {alert.id: alert for alert in judge.fired if alert.rule in RULES}
    assert sorted((a.id, a.rule, a.component, a.started_at, a.incident) for a in fired.values()) == sorted(
        (v.alert.id, v.alert.rule, v.alert.component, v.alert.started_at, v.alert.incident) for v in views
    )
    assert sorted((d.alert, d.route, d.send, d.why) for d in judge.decisions if d.alert in fired) == sorted(
        (v.alert.id, d.route, d.send, d.why) for v in views for d in v.decisions
    )


def exported(home: Path, url: str, item: IncidentView) -> None:
    """Export an incident and play it: the same incident, as far as a scenario's whole looks can be exact."""
    file = home / f"{item.id}.yaml"
    own = {"CHATWATCH_DATABASE": url, "CHATWATCH_CONFIG": str(home / "probes.yaml")}
    shown = CliRunner().invoke(chatwatch, ["export-scenario", item.id, "-o", str(file)], env=own)
    assert shown.exit_code == 0, shown.output
    assert "configuration was changed" not in shown.output
    shown = CliRunner().invoke(chatwatch, ["replay", str(file)], env=own)
    assert shown.exit_code == 0, shown.output
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    judge = scenario.run(data).judge
    again = judge.latest(item.service, item.cause)
    assert again is not None
    within = seconds(data["expect"]["within"])
    assert (again.status, again.impact, again.components) == (item.status, item.impact, item.components)
    assert abs((again.started_at - item.started_at).total_seconds()) <= within
    assert facts(e for e in judge.events if e.incident == again.id) == facts(item.events)
