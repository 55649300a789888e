"""The scenarios once more, through the recorder and a real SQLite file: what is stored is what the rules say."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, select

from monitor import flow
from monitor.core.entities import Alert
from monitor.core.model import Result
from monitor.core.scenario import notation
from monitor.core.scenario import play as scenario
from monitor.store import reads, tables
from monitor.store.codec import unpack
from monitor.store.engine import open_engine, reading
from monitor.store.tables import table
from monitor.store.upgrade import migrate

WORKERS_OWN = ("blind", "upstream")
"""Rules that rest on a worker's sign of life or on the vendor's page alone, which a scenario does not play."""
ALERT, DECISION = table(tables.Alert), table(tables.Decision)
WEEKS_LONG = "slower-than-usual"
"""Its three weeks are told once more, with the database's own roll-ups, by tests/edges/test_flow_unusual.py."""
BLIND = "blind-while-monitored"
"""What is withheld while the worker is blind rests on its sign of life, too."""
FILES = [
    path
    for path in sorted(Path(__file__).parent.glob("*.yaml"))
    if not {"clicks", "maintenance"} & set(yaml.safe_load(path.read_text(encoding="utf-8")))
    and path.stem not in (WEEKS_LONG, BLIND)
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    yield found
    found.dispose()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_database_holds_the_incidents_that_the_rules_made(path: Path, engine: Engine) -> None:
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    report = scenario.run(data)
    assert report.played
    flow.publish_catalogue(engine, notation.catalogue(data), report.played[0].started_at)
    swept, every = report.played[0].started_at, timedelta(seconds=notation.seconds(data.get("sweep", "10s")))
    for result in report.played:
        while result.started_at - swept >= every:
            swept += every
            flow.sweep(engine, swept)
        flow.record(engine, [result], ended(result))
    stored = [
        (event.kind.value, event.at, getattr(event.what, "component", ""), str(getattr(event.what, "health", "")))
        for item in sorted(reads.incidents(engine, public=False), key=lambda item: item.detected_at)
        for event in item.events
    ]
    made = [
        (event.kind.value, event.at, getattr(event.what, "component", ""), str(getattr(event.what, "health", "")))
        for event in report.judge.events
    ]
    assert sorted(stored, key=str) == sorted(made, key=str)
    fired = {alert.id: alert for alert in report.judge.fired}
    told = [
        (fired[d.alert].rule, fired[d.alert].component, d.route, d.why.value)
        for d in report.judge.decisions
        if fired[d.alert].rule not in WORKERS_OWN
    ]
    assert sorted(decisions(engine)) == sorted(told)


def decisions(engine: Engine) -> list[tuple[str, str, str, str]]:
    query = select(DECISION.c.route, DECISION.c.why, ALERT.c.body).join(ALERT, ALERT.c.id == DECISION.c.alert)
    with reading(engine) as connection:
        rows = [(unpack(Alert, row.body), row.route, row.why) for row in connection.execute(query)]
    return [(a.rule, a.component, route, why) for a, route, why in rows if a.rule not in WORKERS_OWN]


def ended(result: Result) -> datetime:
    return result.started_at + timedelta(seconds=result.duration_s)
