"""A threshold that was tried is written into the configuration when a person says so, and only then."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from monitor import flow
from monitor.config.load import load
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.core.making import at, results
from tests.doors.test_cli_replay import an_hour_ago, live, run

FILE = """\
# What we watch.
policies:
  default:
    shortest_outage: 35s   # as it was
services:
  - id: a
    name: A
    components: [{id: b, name: B}]
    probes: [{id: p, component: b, kind: tcp, interval: 30s, options: {host: a.example, port: 443}}]
routes: []
"""
MINUTE = ("backtest", "--set", "shortest_outage=1m", "--days", "1", "--adopt")
DIFFERENCE = """\
@@ -1,7 +1,7 @@
 # What we watch.
 policies:
   default:
-    shortest_outage: 35s   # as it was
+    shortest_outage: 1m    # as it was
"""


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a configuration, in force, and an hour of its looks, to be copied."""
    folder = tmp_path_factory.mktemp("lived-in")
    path = folder / "probes.yaml"
    path.write_text(FILE)
    catalogue = load(path, {}).catalogue
    (probe,) = catalogue.probes
    shift = an_hour_ago() - at(0)
    played = [
        replace(result, started_at=result.started_at + shift, run=replace(result.run, tick=result.run.tick + shift))
        for result in results("o*20 x*8 o*40", probe)
    ]
    engine = open_engine(f"sqlite:///{folder}/chatwatch.db")
    migrate(engine)
    live(engine, catalogue, played, played[-1].started_at)
    flow.publish_catalogue(engine, catalogue, played[-1].started_at)
    engine.dispose()
    return folder


@pytest.fixture
def home(lived_in: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder."""
    shutil.copytree(lived_in, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_the_difference_is_shown_and_nothing_is_written_unasked(home: Path) -> None:
    shown = run(home, *MINUTE)
    assert DIFFERENCE in shown.output, shown.output
    assert shown.exit_code == 1
    assert f"chatwatch: {home}/probes.yaml was not changed: add --yes to write this" in shown.output
    assert (home / "probes.yaml").read_text() == FILE


def test_with_yes_it_is_written_and_the_second_time_there_is_nothing_to_do(home: Path) -> None:
    shown = run(home, *MINUTE, "--yes")
    assert shown.exit_code == 0, shown.output
    assert "Tried " in shown.output
    assert "is written; a worker takes it with the next start or SIGHUP" in shown.output
    assert (home / "probes.yaml").read_text() == FILE.replace("35s ", "1m  ")
    again = run(home, *MINUTE, "--yes")
    assert again.exit_code == 0, again.output
    assert "probes.yaml says so already" in again.output


def test_a_file_that_is_not_in_force_is_not_changed(home: Path) -> None:
    ahead = FILE.replace("# as it was", "\n    repeat_page: 3h")
    (home / "probes.yaml").write_text(ahead)
    shown = run(home, *MINUTE, "--yes")
    assert shown.exit_code == 1
    assert "probes.yaml is not what is in force (see probe " in shown.output
    assert (home / "probes.yaml").read_text() == ahead


def test_json_stays_json(home: Path) -> None:
    words = [sys.executable, "-m", "monitor", *MINUTE, "--yes", "--json"]
    shown = subprocess.run(words, env=environ(home), capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["looks"]
    assert "+    shortest_outage: 1m" in shown.stderr


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False)])
def test_a_person_at_a_terminal_is_asked(home: Path, answer: str, written: bool) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    words = [sys.executable, "-m", "monitor", *MINUTE]
    shown = subprocess.run(words, env=environ(home), stdin=theirs, capture_output=True, text=True, check=False)
    os.close(theirs)
    os.close(ours)
    assert "Write this into" in shown.stdout, shown.stderr
    assert shown.returncode == (0 if written else 1)
    assert ((home / "probes.yaml").read_text() != FILE) is written


def environ(home: Path) -> dict[str, str]:
    own = {"CHATWATCH_DATABASE": f"sqlite:///{home}/chatwatch.db", "CHATWATCH_CONFIG": str(home / "probes.yaml")}
    return {**os.environ, **own}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("backtest", "--set", "shortest_outage=1m", "--yes"), "--yes goes with --adopt"),
        ((*MINUTE, "--service", "none"), 'no service "none" is watched'),
        (("backtest", "--set", "shortest_outage=soon", "--adopt"), "--set shortest_outage:"),
    ],
)
def test_what_cannot_be_adopted_is_told_in_one_line(home: Path, words: tuple[str, ...], told: str) -> None:
    shown = run(home, *words)
    assert shown.exit_code in (1, 2)
    assert told in shown.output
    assert "Traceback" not in shown.output
    assert (home / "probes.yaml").read_text() == FILE


def test_help_shows_how_each_is_written() -> None:
    shown = run(Path(), "backtest", "--help")
    for words in ("--adopt", "--draw 20", "--policy patient", "--set shortest_outage=1m --days 30"):
        assert words in shown.output
