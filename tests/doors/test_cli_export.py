"""What is given away: raw results, the pages as files, rules for Prometheus."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from click.testing import Result as Shown

from dashboard.web.publish import WRITTEN, write
from monitor import clock, flow
from monitor.cli import chatwatch
from monitor.cli.past.exporting import inert
from monitor.core.codec import loads_result
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.store.connection.engine import open_engine
from tests.doors import seeded

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "chatwatch.rules.yml"


def run(home: Path, *words: str) -> Shown:
    own = {"CHATWATCH_DATABASE": f"sqlite:///{home / 'chatwatch.db'}", "CHATWATCH_CONFIG": str(ROOT / "probes.yaml")}
    return CliRunner().invoke(chatwatch, list(words), env=own)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_holds_every_look_and_no_formula(tmp_path: Path) -> None:
    now = clock.now()
    engine = open_engine(seeded.database(tmp_path, now, trouble=True, account=False))
    evil = Observation(Reason.SERVER_ERROR, detail="=HYPERLINK(1)")
    flow.record(engine, [Result(RunId("deepseek-api", "local", now), now, 0.2, evil)], now + timedelta(seconds=1))
    engine.dispose()
    found = rows(run(tmp_path, "export", "--since", "2h", "--probe", "deepseek-api").output)
    assert len(found) >= 60
    assert {row["probe"] for row in found} == {"deepseek-api"}
    assert found[-1]["detail"] == "'=HYPERLINK(1)"
    assert [row["started_at"] for row in found] == sorted(row["started_at"] for row in found)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1"])
def test_a_cell_that_begins_like_a_formula_is_made_inert(text: str) -> None:
    assert inert(text) == f"'{text}"
    assert inert("connection refused") == "connection refused"


def test_json_lines_can_be_read_back(tmp_path: Path) -> None:
    seeded.database(tmp_path, clock.now(), trouble=False, account=False)
    file = tmp_path / "looks.jsonl"
    shown = run(tmp_path, "export", "--since", "2h", "--format", "jsonl", "-o", str(file))
    assert shown.exit_code == 0, shown.output
    results = [loads_result(line) for line in file.read_bytes().splitlines()]
    assert len(results) > 60
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--since", "2h", "--probe", "deepseek-ap"], 1, 'did you mean "deepseek-api"?'),
        (["--since", "soon"], 2, "write 7d, 2026-01-31"),
        (["--since", "2026-01-31T10:00"], 2, "with its zone"),
        (["--since", "1d", "-o", "/proc/none/x.csv"], 1, "cannot write /proc/none/x.csv"),
        ([], 2, "--since"),
    ],
)
def test_what_cannot_be_exported_is_told(tmp_path: Path, words: list[str], code: int, told: str) -> None:
    seeded.database(tmp_path, clock.now(), trouble=False, account=False)
    shown = run(tmp_path, "export", *words)
    assert shown.exit_code == code
    assert told in shown.output


def test_publish_writes_pages_json_and_feeds_as_files(tmp_path: Path) -> None:
    seeded.database(tmp_path, clock.now(), trouble=True, account=False)
    folder = tmp_path / "site"
    shown = run(tmp_path, "publish", "--to", str(folder), "--url", "https://status.example")
    assert shown.exit_code == 0, shown.output
    for name in ("index.html", "zh/index.html", "history/index.html", "method/index.html", "404.html", "robots.txt"):
        assert (folder / name).stat().st_size, name
    summary = json.loads((folder / "api/v2/summary.json").read_bytes())
    assert summary["page"]["url"] == "https://status.example"
    assert summary["incidents"]
    assert (folder / "feed.atom").read_text().startswith("<?xml")
    assert list(folder.glob("incidents/*/index.html"))
    listed = set((folder / WRITTEN).read_text().splitlines())
    assert listed == {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {WRITTEN}


def test_publishing_again_takes_away_its_own_old_files_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    write({"index.html": b"1", "incidents/old/index.html": b"2"}, folder)
    (folder / "logo.png").write_bytes(b"theirs")
    outside = tmp_path / "precious"
    outside.write_text("keep")
    with (folder / WRITTEN).open("a") as listing:
        listing.write(f"\n../precious\n{outside}")
    assert write({"index.html": b"3"}, folder) == 1
    assert (folder / "index.html").read_bytes() == b"3"
    assert not (folder / "incidents").exists()
    assert (folder / "logo.png").exists()
    assert outside.exists()


def test_publishing_without_a_database_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shown = run(tmp_path, "publish", "--to", str(tmp_path / "site"))
    assert shown.exit_code == 1
    assert capfd.readouterr().err.startswith("chatwatch: ")
    assert not (tmp_path / "site").exists()


def test_the_shipped_rules_are_what_the_command_prints(tmp_path: Path) -> None:
    assert run(tmp_path, "rules").output == RULES.read_text(encoding="utf-8")


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing: on Debian run apt-get install prometheus")
    return found


@pytest.mark.prometheus
def test_promtool_finds_no_fault_in_the_rules() -> None:
    words = [promtool(), "check", "rules", "--lint=all", "--lint-fatal", str(RULES)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


PART = 'service="deepseek",component="deepseek/api"'
OWN = 'instance="w:8503",job="chatwatch"'
CASES: dict[str, tuple[dict[str, str], str]] = {
    "ChatwatchComponentDown": (
        {
            f"chatwatch_component_health{{{PART},{OWN}}}": "3+0x60",
            f"chatwatch_component_maintenance{{{PART},{OWN}}}": "0+0x60",
        },
        "30m",
    ),
    "ChatwatchCertificateExpiring": (
        {f'probe_ssl_earliest_cert_expiry{{{PART},instance="p"}}': "86400+0x120"},
        "90m",
    ),
    "ChatwatchRegistrationChanged": (
        {f'chatwatch_registration_state{{{PART},method="phone",state="restricted",{OWN}}}': "1+0x60"},
        "30m",
    ),
    "ChatwatchWorkerDown": ({f"up{{{OWN}}}": "0+0x60"}, "30m"),
    "ChatwatchProberSilent": ({f"chatwatch_prober_heard_timestamp_seconds{{{OWN}}}": "0+0x60"}, "30m"),
    "ChatwatchStoresNothing": ({f"chatwatch_stored_timestamp_seconds{{{OWN}}}": "0+0x60"}, "30m"),
    "ChatwatchDatabaseUnusable": ({f'chatwatch_store_fault{{{OWN},fault="vanished"}}': "1+0x60"}, "30m"),
    "ChatwatchKeepsNothing": ({f"chatwatch_spool_up{{{OWN}}}": "0+0x60"}, "30m"),
    "ChatwatchSpoolOverflows": ({f"chatwatch_spool_dropped_results_total{{{OWN}}}": "0+5x60"}, "30m"),
    "ChatwatchCannotJudge": ({f"chatwatch_quarantined_services{{{OWN}}}": "1+0x60"}, "30m"),
    "ChatwatchLogGrows": ({f"chatwatch_database_wal_bytes{{{OWN}}}": "300000000+0x60"}, "30m"),
    "ChatwatchBlind": ({f"chatwatch_blind{{{OWN}}}": "1+0x60"}, "30m"),
    "ChatwatchCollectorDown": ({f"chatwatch_collector_up{{{OWN}}}": "0+0x60"}, "30m"),
    "ChatwatchLooksMissed": ({f'chatwatch_missed_total{{{OWN},reason="missed.overrun"}}': "0+5x60"}, "30m"),
}
CALM = {
    f'chatwatch_store_fault{{{OWN},fault="vanished"}}': "0+0x60",
    f"chatwatch_component_health{{{PART},{OWN}}}": "3+0x60",
    f"chatwatch_component_maintenance{{{PART},{OWN}}}": "1+0x60",
    f'chatwatch_registration_state{{{PART},method="phone",state="restricted",{OWN}}}': "0+0x60",
    f'probe_ssl_earliest_cert_expiry{{{PART},instance="p"}}': "9999999+0x60",
    f"up{{{OWN}}}": "1+0x60",
    f"chatwatch_prober_heard_timestamp_seconds{{{OWN}}}": "0+60x60",
    f"chatwatch_stored_timestamp_seconds{{{OWN}}}": "0+60x60",
    f"chatwatch_spool_up{{{OWN}}}": "1+0x60",
    f"chatwatch_spool_dropped_results_total{{{OWN}}}": "7+0x60",
    f"chatwatch_quarantined_services{{{OWN}}}": "0+0x60",
    f"chatwatch_database_wal_bytes{{{OWN}}}": "16000000+0x60",
    f"chatwatch_blind{{{OWN}}}": "0+0x60",
    f"chatwatch_collector_up{{{OWN}}}": "1+0x60",
    f'chatwatch_missed_total{{{OWN},reason="missed.overrun"}}': "7+0x60",
}


def alerts_of_the_file() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def tried(tmp_path: Path, series: dict[str, str], expectations: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        **expectations,
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    return subprocess.run([promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False)


@pytest.mark.prometheus
@pytest.mark.parametrize("name", sorted(alerts_of_the_file()))
def test_each_rule_fires_on_its_trouble_and_on_nothing_else(tmp_path: Path, name: str) -> None:
    series, at = CASES[name]
    count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
    wanted = {"promql_expr_test": [{"expr": count, "eval_time": at, "exp_samples": [{"value": 1}]}]}
    done = tried(tmp_path, series, wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    quiet = {"promql_expr_test": [{"expr": count, "eval_time": "50m", "exp_samples": []}]}
    done = tried(tmp_path, CALM, quiet)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("health", "known", "fires"),
    [("3x10 _x50", "1x10 0x50", 1), ("0x10 _x50", "1x10 0x50", 0), ("3x10 0x50", "1x60", 0)],
)
def test_a_component_that_fell_silent_in_its_outage_is_not_back(
    tmp_path: Path, health: str, known: str, fires: int
) -> None:
    series = {
        f"chatwatch_component_health{{{PART},{OWN}}}": health,
        f"chatwatch_component_known{{{PART},{OWN}}}": known,
        f"chatwatch_component_maintenance{{{PART},{OWN}}}": "0x60",
    }
    count = 'count(ALERTS{alertname="ChatwatchComponentDown",alertstate="firing"})'
    samples = [{"value": fires}] if fires else []
    wanted = {"promql_expr_test": [{"expr": count, "eval_time": "50m", "exp_samples": samples}]}
    done = tried(tmp_path, series, wanted)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_the_recording_rules_give_the_share_of_good_looks(tmp_path: Path) -> None:
    series = {f'probe_success{{{PART},instance="p",job="chatwatch"}}': "1 0 1 1"}
    sample = {"labels": f"component:probe_success:ratio_1h{{{PART}}}", "value": 0.75}
    wanted = {
        "promql_expr_test": [{"expr": "component:probe_success:ratio_1h", "eval_time": "3m", "exp_samples": [sample]}]
    }
    done = tried(tmp_path, series, wanted)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_the_example_for_alertmanager_is_sound(tmp_path: Path) -> None:
    tool = shutil.which("amtool")
    if tool is None:
        pytest.skip("amtool is missing: on Debian run apt-get install prometheus-alertmanager")
    file = tmp_path / "am.yml"
    file.write_text(run(tmp_path, "rules", "--alertmanager").output)
    done = subprocess.run([tool, "check-config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
