"""Judging again: scenario files, recorded incidents as scenarios, live equals replay, another policy on the past."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from click.testing import Result as Shown
from sqlalchemy import Engine

from monitor import clock, flow
from monitor.cli import chatwatch
from monitor.core import commands, replay
from monitor.core.catalogue import Catalogue
from monitor.core.model.alert_rules import row
from monitor.core.model.observations import Result
from monitor.core.model.states import IncidentStatus
from monitor.core.scenario import notation
from monitor.core.scenario import play as scenario
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate

SCENARIOS = Path(__file__).parents[1] / "scenarios"
SWEEP = timedelta(seconds=5)


def run(home: Path, *words: str) -> Shown:
    own = {"CHATWATCH_DATABASE": f"sqlite:///{home / 'chatwatch.db'}", "CHATWATCH_CONFIG": str(home / "probes.yaml")}
    return CliRunner().invoke(chatwatch, list(words), env=own)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    yield found
    found.dispose()


def live(engine: Engine, catalogue: Catalogue, played: Sequence[Result], until: datetime) -> None:
    """Record looks as a worker does: small batches, a little late, and a sweep every five seconds."""
    flow.publish_catalogue(engine, catalogue, played[0].started_at)
    batch: list[Result] = []
    swept = played[0].started_at
    for result in sorted(played, key=lambda item: item.started_at + timedelta(seconds=item.duration_s)):
        at = result.started_at + timedelta(seconds=result.duration_s)
        while at - swept > SWEEP:
            swept += SWEEP
            flow.record(engine, batch, swept)
            batch = []
            flow.sweep(engine, swept)
        batch.append(result)
    flow.record(engine, batch, max(swept, at))
    while swept < until:
        swept += SWEEP
        flow.sweep(engine, swept)


def shifted(name: str, start: datetime) -> tuple[Catalogue, list[Result], datetime]:
    """Return a shipped scenario's looks as if they began at ``start``."""
    data = yaml.safe_load((SCENARIOS / name).read_text(encoding="utf-8"))
    data["start"] = start.isoformat()
    report = scenario.run(data)
    end = max(result.started_at for result in report.played) + timedelta(seconds=30)
    return notation.catalogue(data), list(report.played), end


def an_hour_ago(hours: float = 2) -> datetime:
    return clock.now().replace(microsecond=0) - timedelta(hours=hours)


def test_replay_plays_a_shipped_scenario_as_expected(tmp_path: Path) -> None:
    shown = run(tmp_path, "replay", str(SCENARIOS / "people.yaml"))
    assert shown.exit_code == 0, shown.output
    assert "+13m note identified by alice" in shown.output
    assert "+12m acknowledged page component_down deepseek/api to oncall" in shown.output
    assert "as expected" in shown.output


def test_replay_names_what_differs_and_exits_with_one(tmp_path: Path) -> None:
    file = tmp_path / "story.yaml"
    text = (SCENARIOS / "hard-outage.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace('"+9m40s resolved"', '"+8m resolved"'), encoding="utf-8")
    shown = run(tmp_path, "replay", str(file), "--quiet")
    assert shown.exit_code == 1
    assert "expected '+8m resolved', which did not come" in shown.output
    assert "not expected: '+9m40s resolved'" in shown.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "is no YAML in line 1"),
        ("[]", "must be a mapping"),
        ("probes: {}", "must have looks"),
        ("probes: {p: {}}\nlooks: {}", "'component' is missing"),
        ("probes: {p: {component: a/b}}\nlooks: {q: o}", "no probe named 'q'"),
        ("probes: {p: {component: a/b}}\nlooks: {p: z}", "'z' is no letter"),
        ("probes: {p: {component: a/b, interval: soon}}\nlooks: {p: o}", "not a duration"),
        ("probes: {p: 5}\nlooks: {p: o}", "story.yaml: "),
        ("probes: {p: {component: a/b}}\nworld: 5", "must have world, a mapping"),
        ("probes: {p: {component: a/b}}\nworld: {p: []}", "say when the scenario ends, as in until: 4h"),
        ("probes: {p: {component: a/b}}\nuntil: 1h\nworld: {p: [{fails: 7}]}", "must be a share from 0 to 1"),
        ("probes: {p: {component: a/b, policy: {patience: 1}}}\nlooks: {p: o}", "no field named patience"),
    ],
)
def test_a_bad_scenario_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(text)
    shown = run(tmp_path, "replay", str(file))
    assert shown.exit_code == 1
    assert told in shown.output
    assert len(shown.output.splitlines()) == 1
    assert isinstance(shown.exception, SystemExit)


def test_replay_measures_each_seed_of_a_world_against_its_truth(tmp_path: Path) -> None:
    shown = run(tmp_path, "replay", str(SCENARIOS / "hard-and-partial-outage.yaml"), "--seeds", "2", "--json")
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert [seed["seed"] for seed in told["seeds"]] == [1, 2]
    first = told["seeds"][0]
    outages = [item for item in first["outages"] if item["component"] == "deepseek/api"]
    assert [(item["from"], item["to"]) for item in outages] == [("+30m", "+1h"), ("+2h", "+3h30m")]
    assert outages[0]["lead_s"] + outages[0]["detected_after_s"] == 13 * 60
    assert {"by_cause", "by_rule", "by_why", "by_severity", "false", "total"} == set(first["notices"])
    assert first["minutes"]["anthropic/web"]["operational"]["operational"] > 250
    assert first["red_minutes"]["deepseek/api"]["true"] == 120
    assert told["summary"]["outages"] == 4
    assert {"lowest", "median", "highest"} <= set(told["summary"]["detected_after_s"])


def test_replay_prints_what_it_measured_for_people(tmp_path: Path) -> None:
    shown = run(tmp_path, "replay", str(SCENARIOS / "hard-and-partial-outage.yaml"), "--seeds", "1")
    assert shown.exit_code == 0, shown.output
    for words in ("Over all seeds", "detected after, s", "red minutes, % off", "component_down (page), first: outage"):
        assert words in shown.output


def test_replay_prints_a_recorded_scenario_as_json(tmp_path: Path) -> None:
    shown = run(tmp_path, "replay", str(SCENARIOS / "hard-outage.yaml"), "--json")
    told = json.loads(shown.stdout)
    assert told["unmet"] == []
    assert told["timeline"][0].split()[1:3] == ["opened", "critical"]


def test_seeds_without_a_world_are_refused_in_one_line(tmp_path: Path) -> None:
    shown = run(tmp_path, "replay", str(SCENARIOS / "hard-outage.yaml"), "--seeds", "3")
    assert shown.exit_code == 1
    assert "--seeds needs a world to draw looks from" in shown.output
    assert len(shown.output.splitlines()) == 1


@pytest.mark.parametrize("name", ["hard-outage.yaml", "relapse.yaml", "january-2025.yaml", "slow-then-down.yaml"])
def test_an_exported_incident_replays_to_what_was_recorded(tmp_path: Path, engine: Engine, name: str) -> None:
    catalogue, played, end = shifted(name, an_hour_ago(12 if name.startswith("january") else 3))
    live(engine, catalogue, played, end)
    incidents = reads.incidents(engine, public=False)
    assert incidents
    for incident in incidents:
        file = tmp_path / f"{incident.id}.yaml"
        shown = run(tmp_path, "export-scenario", incident.id, "-o", str(file))
        assert shown.exit_code == 0, shown.output
        expected = yaml.safe_load(file.read_text(encoding="utf-8"))["expect"]
        assert len(expected["timeline"]) == len(incident.events)
        replayed = run(tmp_path, "replay", str(file))
        assert replayed.exit_code == 0, replayed.output


def test_an_exported_incident_keeps_what_people_did(tmp_path: Path, engine: Engine) -> None:
    catalogue, played, end = shifted("hard-outage.yaml", an_hour_ago())
    cut = played[0].started_at + timedelta(minutes=6)
    live(engine, catalogue, [result for result in played if result.started_at < cut], cut)
    incident = reads.incidents(engine, public=False)[0]
    (view,) = reads.alerts(engine, incident=incident.id)
    flow.command(engine, commands.AcknowledgeAlert(view.alert.id), "alice", cut)
    note = commands.PostUpdate(incident.id, "Their gateway refuses us.", IncidentStatus.IDENTIFIED)
    flow.command(engine, note, "alice", cut + timedelta(seconds=2))
    flow.record(engine, [result for result in played if result.started_at >= cut], end)
    flow.sweep(engine, end + timedelta(minutes=3))
    text = run(tmp_path, "export-scenario", incident.id).output
    data = yaml.safe_load(text)
    assert [click.get("acknowledge") or click["do"] for click in data["clicks"]] == ["component_down", "note"]
    report = scenario.run(data)
    assert any("note identified by alice" in line for line in report.timeline)


def test_what_a_later_configuration_makes_of_an_incident_is_said_with_the_export(
    tmp_path: Path, engine: Engine
) -> None:
    catalogue, played, end = shifted("hard-outage.yaml", an_hour_ago())
    live(engine, catalogue, played, end)
    incident = reads.incidents(engine, public=False)[0]
    assert "configuration was changed" not in run(tmp_path, "export-scenario", incident.id).output
    flow.publish_catalogue(engine, replace(catalogue, version="another"), clock.now())
    shown = run(tmp_path, "export-scenario", incident.id)
    assert "The configuration was changed after it began, at " in shown.stderr
    assert "The configuration was changed after it began" in " ".join(yaml.safe_load(shown.stdout)["about"].split())


def test_an_outage_soon_after_a_pause_replays_though_nobody_was_there_to_miss_looks(
    tmp_path: Path, engine: Engine
) -> None:
    catalogue, played, end = shifted("hard-outage.yaml", an_hour_ago())
    flow.publish_catalogue(engine, catalogue, played[0].started_at - timedelta(hours=1))
    early = played[0].started_at - timedelta(minutes=40)
    flow.record(engine, [replace(played[0], run=replace(played[0].run, tick=early), started_at=early)], early)
    live(engine, catalogue, played, end)
    (incident,) = reads.incidents(engine, public=False)
    file = tmp_path / "outage.yaml"
    assert run(tmp_path, "export-scenario", incident.id, "-o", str(file)).exit_code == 0
    replayed = run(tmp_path, "replay", str(file))
    assert replayed.exit_code == 0, replayed.output
    assert "opened critical" in replayed.output
    assert "overdue" in replayed.output  # which the file does not expect, and does not exclude


def test_what_cannot_be_exported_is_told(tmp_path: Path, engine: Engine) -> None:
    shown = run(tmp_path, "export-scenario", "nothing")
    assert shown.exit_code == 1
    assert shown.output == "chatwatch: there is no incident nothing; see chatwatch incident list --all\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["january-2025.yaml", "relapse.yaml", "quarter-fails.yaml", "parent.yaml"])
def test_live_equals_replay_on_what_was_stored(engine: Engine, name: str) -> None:
    """Fold the raw results out of the database again and get the incidents and alerts that were recorded."""
    catalogue, played, end = shifted(name, an_hour_ago(12))
    live(engine, catalogue, played, end)
    stored = sorted(reads.results(engine), key=lambda item: item.started_at + timedelta(seconds=item.duration_s))
    assert len(stored) == len(played)
    judge = replay.run(reads.catalogue(engine), stored, sweep_s=5.0)
    recorded = reads.incidents(engine, public=False, limit=1000)
    now = [
        (e.incident, e.kind, e.at.timestamp(), getattr(e.what, "component", ""), getattr(e.what, "impact", ""))
        for e in judge.events
    ]
    then = [
        (e.incident, e.kind, e.at.timestamp(), getattr(e.what, "component", ""), getattr(e.what, "impact", ""))
        for item in recorded
        for e in item.events
    ]
    timed = {"resolved", "recovering"}
    assert sorted(str(x[:2]) for x in now) == sorted(str(x[:2]) for x in then)
    assert sorted(str(x) for x in now if x[1] not in timed) == sorted(str(x) for x in then if x[1] not in timed)
    fired = sorted((a.rule, a.component, a.started_at, a.incident) for a in judge.fired if row(a.rule).replayable)
    views = reads.alerts(engine, limit=1000)
    assert fired == sorted(
        (v.alert.rule, v.alert.component, v.alert.started_at, v.alert.incident)
        for v in views
        if row(v.alert.rule).replayable
    )


def test_backtest_lists_pages_that_another_policy_misses_and_delays(tmp_path: Path, engine: Engine) -> None:
    catalogue, played, end = shifted("hard-outage.yaml", an_hour_ago())
    live(engine, catalogue, played, end)
    later = run(tmp_path, "backtest", "--set", "shortest_outage=1m", "--days", "1")
    assert later.exit_code == 0, later.output
    assert "In force  1 pages" in later.output
    assert "Would come later" in later.output
    assert "component_down  deepseek/api" in later.output
    words = ("--set", "shortest_outage=1h")
    missed = run(tmp_path, "backtest", *words, "--json", "--days", "1")
    found = json.loads(missed.output)
    assert [page["rule"] for page in found["before"]] == [page["rule"] for page in found["gone"]] == ["component_down"]
    # Nobody was told of the outage, so that the budget which it burns pages instead, as it does live.
    assert [page["rule"] for page in found["after"]] == ["burn_rate"]


def test_backtest_takes_a_policy_of_the_configuration(tmp_path: Path, engine: Engine) -> None:
    catalogue, played, end = shifted("hard-outage.yaml", an_hour_ago())
    live(engine, catalogue, played, end)
    (tmp_path / "probes.yaml").write_text(
        "policies: {patient: {shortest_outage: 1m, recovery_window: 10m}}\n"
        "services: [{id: a, name: A, components: [{id: b, name: B}],"
        " probes: [{id: p, component: b, kind: tcp, interval: 30s, options: {host: a.example, port: 443}}]}]\n"
    )
    shown = run(tmp_path, "backtest", "--policy", "patient", "--days", "1")
    assert "Would come later" in shown.output, shown.output
    assert 'did you mean "patient"?' in run(tmp_path, "backtest", "--policy", "patent").output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what to try"),
        (["--set", "shortest_outage"], "write FIELD=VALUE"),
        (["--set", "shortest_outag=3m"], 'did you mean "shortest_outage"?'),
        (["--set", "recovery_window=30"], "recovery_window"),
        (["--set", "failure_ratio=0.9"], "failure_ratio (0.9) must lie between 0.02 and 0.45"),
    ],
)
def test_a_policy_that_cannot_be_tried_is_told(tmp_path: Path, engine: Engine, words: list[str], told: str) -> None:
    catalogue, played, _ = shifted("hard-outage.yaml", an_hour_ago())
    flow.publish_catalogue(engine, catalogue, played[0].started_at)
    shown = run(tmp_path, "backtest", *words)
    assert shown.exit_code in (1, 2)
    assert told in shown.output
