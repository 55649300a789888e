"""How long looks, evidence, incidents and the audit are kept is said in probes.yaml, and what it costs by check."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from monitor import flow
from monitor.cli.costing import costs, sized
from monitor.config.faults import Code
from monitor.config.settled import FOR_EVER, Keeping
from monitor.core.commands import AcknowledgeAlert, JudgeAlert
from monitor.core.model.alerting import Verdict
from monitor.core.model.reasons import Reason
from monitor.store import reads, tables
from monitor.store.connection.engine import reading
from monitor.store.tables import table
from tests.doors.test_cli import run
from tests.edges.flowing import MINUTE, T0, play, publish
from tests.edges.test_config import GOOD, only, read

DAY_S = 86_400.0
YEARS = timedelta(days=1_000)


def test_without_a_word_about_it_looks_and_evidence_age_out_and_the_rest_stays(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).settings.keep == Keeping(90 * DAY_S, 30 * DAY_S, FOR_EVER, FOR_EVER)


def test_each_is_set_by_itself_and_may_be_for_ever(tmp_path: Path) -> None:
    keep = "keep: {looks: forever, evidence: 7d, incidents: 400d, audit: 365d}\n"
    config = read(tmp_path, keep + GOOD)
    assert config.settings.keep == Keeping(FOR_EVER, 7 * DAY_S, 400 * DAY_S, 365 * DAY_S)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("looks: 1d", Code.VALUE),
        ("evidence: 1h", Code.VALUE),
        ("incidents: 90d", Code.VALUE),
        ("audit: 29d", Code.VALUE),
        ("audit: always", Code.DURATION),
        ("looks: 90", Code.DURATION),
        ("evidences: 7d", Code.UNKNOWN_KEY),
        ("looks: -3d", Code.DURATION),
    ],
)
def test_what_would_empty_a_page_or_is_no_time_is_refused(tmp_path: Path, entry: str, code: Code) -> None:
    only(tmp_path, f"keep:\n  {entry}\n{GOOD}", code, 2)


def held(engine: Engine) -> dict[str, int]:
    names = (
        *(tables.Result, tables.Evidence, tables.Incident, tables.IncidentEvent, tables.Alert, tables.AlertEvent),
        *(tables.Decision, tables.Judgement, tables.Audit),
    )
    with reading(engine) as connection:
        return {table(one).name: connection.scalar(select(func.count()).select_from(table(one))) or 0 for one in names}


@pytest.fixture
def lived(engine: Engine) -> Engine:
    """A database with an outage that is over, an alert that was judged, and an outage that goes on."""
    publish(engine)
    play(engine, range(5))
    play(engine, range(5, 12), Reason.SERVER_ERROR)
    alert = next(view.alert for view in reads.alerts(engine, open_only=True))
    flow.command(engine, AcknowledgeAlert(alert.id), "alice", T0 + 12 * MINUTE)
    play(engine, range(12, 60))
    flow.command(engine, JudgeAlert(alert.id, Verdict.NOISE), "alice", T0 + 61 * MINUTE)
    play(engine, range(62, 75), Reason.SERVER_ERROR, probe="oa-api")
    flow.roll_up(engine, T0 + timedelta(days=5))
    return engine


def test_what_is_kept_for_ever_is(lived: Engine) -> None:
    before = held(lived)
    assert min(before.values()) > 0
    flow.prune(lived, T0 + YEARS, results=None, evidence=None, incidents=None, audit=None)
    assert held(lived) == before


def test_what_is_over_goes_whole_and_what_is_open_stays_whole(lived: Engine) -> None:
    before = held(lived)
    still = [(view.alert.id, len(view.decisions)) for view in reads.alerts(lived, open_only=True)]
    (going,) = [item for item in reads.incidents(lived, public=False) if item.resolved_at is None]
    flow.prune(lived, T0 + YEARS, incidents=timedelta(days=100), audit=timedelta(days=30))
    after = held(lived)
    assert [item.id for item in reads.incidents(lived, public=False)] == [going.id]
    assert [(view.alert.id, len(view.decisions)) for view in reads.alerts(lived, open_only=True)] == still
    assert after["audit"] == after["judgement"] == 0
    assert 0 < after["incident_event"] < before["incident_event"]
    assert 0 < after["alert_event"] < before["alert_event"]
    assert 0 < after["evidence"] <= before["evidence"], "what an open incident rests on"
    assert flow.rebuild(lived) == 1


def test_what_is_younger_stays(lived: Engine) -> None:
    before = held(lived)
    flow.prune(lived, T0 + timedelta(days=20), incidents=timedelta(days=100), audit=timedelta(days=30))
    assert held(lived) == before


def test_check_prints_what_each_costs(tmp_path: Path) -> None:
    config: Any = read(tmp_path, "keep: {looks: 10d, incidents: 400d}\n" + GOOD)
    looks, evidence, rolled, days, incidents, audit = costs(config)
    assert looks.bytes_full == (2_880 + 288) * 10 * 90
    assert evidence.bytes_full == round(3_168 * 0.01 * 30 * 1_400)
    assert rolled.bytes_full > days.bytes_full > 0
    assert (incidents.kept_s, audit.kept_s) == (400 * DAY_S, FOR_EVER)
    (tmp_path / "probes.yaml").write_text("keep: {looks: forever}\n" + GOOD)
    shown = run(tmp_path, "check", SHOP_KEY="k-0123456789").output
    assert "Kept on disk, on SQLite:" in shown
    assert "looks for ever: 104 MB a year, 3,168 a day of 90 bytes" in shown
    found = json.loads(run(tmp_path, "check", "--json", SHOP_KEY="k-0123456789").output)["keeps"]
    assert [one["name"] for one in found] == ["looks", "evidence", "hours and minutes", "days", "incidents", "audit"]
    assert found[0]["kept_s"] is None


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1_400, "1.4 kB"), (25e9, "25 GB"), (3.2e12, "3.2 TB")]
)
def test_sizes_are_said_as_people_say_them(count: float, said: str) -> None:
    assert sized(count) == said
