"""A backtest says what it cannot know, shows how far it is, and comes to the same in one process and in two."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor import clock, flow
from monitor.cli.common import Failure
from monitor.cli.past import passes
from monitor.cli.past.passes import Pass
from monitor.core.catalogue import Catalogue, Policy
from monitor.core.review import with_policies
from monitor.core.unmade import Draw
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.doors.test_cli_replay import an_hour_ago, live, run, shifted

EAGER = ("--set", "shortest_outage=10s", "--days", "1")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    yield found
    found.dispose()


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Catalogue]:
    """A file with a recorded storm, to be copied, and what was watched."""
    path = tmp_path_factory.mktemp("storm") / "chatwatch.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    catalogue, played, end = shifted("storm.yaml", an_hour_ago())
    live(engine, catalogue, played, end)
    engine.dispose()
    return path, catalogue


@pytest.fixture
def recorded(storm: tuple[Path, Catalogue], tmp_path: Path) -> Catalogue:
    """Put the storm's file into the test's folder: before ``engine``, for who asks for both."""
    path, catalogue = storm
    shutil.copy(path, tmp_path)
    return catalogue


def sides(catalogue: Catalogue) -> tuple[Pass, Pass]:
    until = clock.now()
    tried = with_policies(catalogue, dict.fromkeys((p.id for p in catalogue.probes), Policy(shortest_outage_s=10.0)))
    changed = frozenset(probe.id for probe in catalogue.probes)
    first = Pass(catalogue, until - timedelta(days=1), until)
    return first, replace(first, catalogue=tried, changed=changed)


def test_two_processes_come_to_the_same_as_one(tmp_path: Path, recorded: Catalogue, engine: Engine) -> None:
    url, both = f"sqlite:///{tmp_path}/chatwatch.db", sides(reads.catalogue(engine))
    one, two = (passes.run(url, both, processes, "") for processes in (1, 2))
    assert one == two
    assert [len(side.pages) for side in one] == [6, 6]
    assert one[1].gaps
    drawn = [replace(both[1], draw=Draw(seed, dict(one[1].told))) for seed in (1, 2, 3)]
    alone, apart = (passes.run(url, drawn, processes, "") for processes in (1, 2))
    assert alone == apart
    assert all(side.drawn for side in alone)


def test_a_process_that_cannot_read_says_why_in_one_line(tmp_path: Path, recorded: Catalogue) -> None:
    nowhere = f"sqlite:///{tmp_path}/missing/none.db"
    with pytest.raises(Failure) as refused:
        passes.run(nowhere, sides(recorded), 2, "")
    assert "none.db" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_nobody_looked_at_is_said_with_its_time(tmp_path: Path, recorded: Catalogue) -> None:
    shown = run(tmp_path, "backtest", *EAGER)
    assert shown.exit_code == 0, shown.output
    assert "Cannot be known, because nobody looked when this policy would have" in shown.output
    (line,) = re.findall(r".*component_down  alpha/api  not looked at from.*", shown.output)
    assert re.search(r"from \d\d:\d\d:\d\d to \d\d:\d\d:\d\d$", line)
    assert "8 early looks left out: this policy would not have made them" in shown.output
    assert "Add --draw 20" in shown.output
    found = json.loads(run(tmp_path, "backtest", *EAGER, "--json").output)
    assert {page["component"] for page in found["unsure"]} >= {"alpha/api", "beta/api"}
    assert all(gap["since"] < gap["until"] for gap in found["gaps"])
    assert found["left_out"] == 8
    assert found["drawn"] is None


def test_drawn_looks_give_pages_an_interval_and_the_same_every_time(tmp_path: Path, recorded: Catalogue) -> None:
    shown = run(tmp_path, "backtest", *EAGER, "--draw", "5")
    assert shown.exit_code == 0, shown.output
    assert "Those looks drawn 5 times, median and the interval of nine in ten" in shown.output
    assert re.search(r"Tried +\d+ pages \(\d+ to \d+\)", shown.output)
    assert re.search(r"component_down  alpha/api  comes in 5 of 5, [-+]\d+ s \(-\d+ to [-+]\d+\)", shown.output), (
        shown.output
    )
    one, again = (json.loads(run(tmp_path, "backtest", *EAGER, "--draw", "5", "--json").output) for _ in range(2))
    assert one["drawn"] == again["drawn"]
    assert one["drawn"]["seeds"] == 5
    assert one["drawn"]["after"]["low"] <= one["drawn"]["after"]["median"] <= one["drawn"]["after"]["high"]
    (alpha,) = (item for item in one["drawn"]["pages"] if item["page"]["component"] == "alpha/api")
    assert alpha["delay_s"]["low"] < 0 <= alpha["delay_s"]["high"]  # sooner at best: five vendors at once are doubted


def test_the_policy_that_recorded_knows_everything(tmp_path: Path, recorded: Catalogue) -> None:
    shown = run(tmp_path, "backtest", "--set", "repeat_page=2h", "--days", "1", "--draw", "3")
    assert "Cannot be known" not in shown.output
    assert "left out" not in shown.output
    assert "drawn" not in shown.output


def test_the_bar_is_there_on_a_terminal_and_nowhere_else(tmp_path: Path, recorded: Catalogue) -> None:
    words = [sys.executable, "-m", "monitor", "backtest", *EAGER]
    environ = {**os.environ, "CHATWATCH_DATABASE": f"sqlite:///{tmp_path}/chatwatch.db"}
    quiet = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    assert quiet.stderr == ""
    ours, theirs = pty.openpty()
    seen = subprocess.run(words, env=environ, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert "Judging the looks under both policies" in drawn
    assert "100%" in drawn
    assert seen.stdout == quiet.stdout


def test_looks_are_counted_before_they_are_judged(recorded: Catalogue, engine: Engine) -> None:
    everything = reads.about(engine, clock.now() - timedelta(days=1))
    assert everything >= sum(1 for _ in reads.results(engine))
    assert reads.about(engine, clock.now() + timedelta(days=3)) <= 1
    assert passes.cores(passes.APART_FROM - 1) == 1


def test_a_database_without_looks_is_told(tmp_path: Path, engine: Engine) -> None:
    catalogue, played, _ = shifted("hard-outage.yaml", an_hour_ago())
    flow.publish_catalogue(engine, catalogue, played[0].started_at)
    shown = run(tmp_path, "backtest", *EAGER)
    assert shown.exit_code == 1
    assert "no looks are kept of the last 1 day" in shown.output
