"""``chatwatch quarantine``: with a worker that has the folder and without one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from monitor import clock, flow
from monitor.cli import chatwatch
from monitor.core.model.observations import Result as Look
from monitor.core.model.reasons import Reason
from monitor.recorder.quarantine import Quarantine
from monitor.simulator.play import serve
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.doors.running import worker
from tests.edges.flowing import MINUTE, T0, look, publish

POISON = "CREATE TRIGGER poison BEFORE UPDATE ON series BEGIN SELECT RAISE(ABORT, 'a poisoned row'); END"


def run(home: Path, *words: str, typed: str = "") -> Result:
    environ = {"CHATWATCH_DATABASE": f"sqlite:///{home / 'test.db'}"}
    return CliRunner().invoke(chatwatch, ["quarantine", *words], input=typed, env=environ)


def execute(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "test.db", timeout=20)) as database:
        database.execute(statement)
        database.commit()


def looks(first: int, last: int) -> list[Look]:
    return [look("ds-api", T0 + number * MINUTE) for number in range(first, last)]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Engine]:
    """Return a database without a worker, whose quarantine holds four looks in two batches."""
    engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(engine)
    publish(engine)
    flow.record(engine, looks(0, 2), T0 + 2 * MINUTE)
    with closing(Quarantine(tmp_path / "quarantine" / "local")) as quarantine:
        quarantine.hold("deepseek", looks(2, 4), "IntegrityError: \x1b[31ma poisoned row", T0 + 4 * MINUTE)
        quarantine.hold("deepseek", looks(4, 6), "", T0 + 6 * MINUTE)
    yield engine
    engine.dispose()


def reasons(engine: Engine) -> list[Reason]:
    return [result.reason for result in reads.results(engine, "ds-api")]


def test_nothing_held_is_said_plainly(tmp_path: Path) -> None:
    shown = run(tmp_path, "list")
    assert (shown.exit_code, shown.output) == (0, "Nothing is held: every look was judged.\n")
    assert json.loads(run(tmp_path, "list", "--json").output) == {"held": []}
    assert run(tmp_path, "retry").exit_code == 0
    gone = run(tmp_path, "drop", "deepseek")
    assert (gone.exit_code, gone.output) == (1, 'chatwatch: no looks of "deepseek" are held: nothing is held\n')


@pytest.mark.usefixtures("held")
def test_the_list_says_what_since_when_and_why_and_is_inert(tmp_path: Path) -> None:
    (tmp_path / "quarantine" / "local" / "notes.txt").write_text("mine")
    shown = run(tmp_path, "list")
    assert shown.exit_code == 2
    for words in ("deepseek  at local", "2026-01-05 08:04:00 UTC", "4 looks in 2 batches", "a poisoned row"):
        assert words in shown.output
    assert "\x1b" not in shown.output
    assert "notes.txt is not a quarantine file; ignored" in shown.output
    (row,) = json.loads(
        CliRunner()
        .invoke(
            chatwatch,
            ["quarantine", "list", "--json"],
            env={"CHATWATCH_DATABASE": f"sqlite:///{tmp_path / 'test.db'}"},
        )
        .stdout
    )["held"]
    assert (row["service"], row["location"], row["looks"], row["entries"]) == ("deepseek", "local", 4, 2)
    assert row["since"] == "2026-01-05T08:04:00+00:00"
    assert row.keys() >= {"error", "version", "size_bytes", "damaged"}


def test_without_a_worker_retry_judges_here(held: Engine, tmp_path: Path) -> None:
    assert run(tmp_path, "retry", "deepseak").output.endswith('did you mean "deepseek"?\n')
    done = run(tmp_path, "retry", "deepseek")
    assert (done.exit_code, done.output) == (0, "deepseek: 4 looks judged\n")
    assert reasons(held) == [Reason.OK] * 6
    assert run(tmp_path, "list").exit_code == 0


def test_a_retry_in_vain_says_why_in_one_line_and_loses_nothing(held: Engine, tmp_path: Path) -> None:
    execute(tmp_path, POISON)
    done = run(tmp_path, "retry")
    assert done.exit_code == 1
    assert done.output.startswith("deepseek stays held: IntegrityError")
    assert "Traceback" not in done.output
    assert "4 looks in 2 batches" in run(tmp_path, "list").output
    assert reasons(held) == [Reason.OK] * 2


def test_a_drop_wants_force_and_leaves_ticks_that_were_not_looked_at(held: Engine, tmp_path: Path) -> None:
    refused = run(tmp_path, "drop", "deepseek")
    assert refused.exit_code == 1
    assert "add --force" in refused.output
    assert reasons(held) == [Reason.OK] * 2
    done = run(tmp_path, "drop", "deepseek", "--force")
    assert (done.exit_code, done.output) == (0, "deepseek: 4 looks dropped\n")
    assert reasons(held) == [*[Reason.OK] * 2, *[Reason.DROPPED] * 4]
    assert run(tmp_path, "list").exit_code == 0


@pytest.mark.slow
def test_a_running_worker_is_asked_and_answers(tmp_path: Path) -> None:
    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await running.until('chatwatch_component_health{component="sim/web"', lambda value: value == 0.0)
            assert await running.metric("chatwatch_quarantined_services") == 0
            await asyncio.to_thread(execute, tmp_path, POISON)
            await running.until("chatwatch_quarantined_services", lambda value: value == 1)
            await running.until("chatwatch_quarantined_results", lambda value: (value or 0) > 3)
            shown = await asyncio.to_thread(run, tmp_path, "list")
            assert (shown.exit_code, "a poisoned row" in shown.output or "IntegrityError" in shown.output) == (2, True)
            vain = await asyncio.to_thread(run, tmp_path, "retry", "sim")
            assert (vain.exit_code, vain.output.startswith("sim stays held: ")) == (1, True)
            await asyncio.to_thread(execute, tmp_path, "DROP TRIGGER poison")
            done = await asyncio.to_thread(run, tmp_path, "retry", "sim")
            assert done.exit_code == 0, done.output
            await running.until("chatwatch_quarantined_services", lambda value: value == 0)
            assert await running.stop() == 0

    asyncio.run(play())
    engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}", read_only=True)
    ticks = [result.run.tick for result in reads.results(engine, "sim-page") if result.run.attempt == 1]
    engine.dispose()
    assert ticks == sorted(set(ticks))
    assert all((after - before).total_seconds() == 1 for before, after in pairwise(ticks))
    assert clock.now() > ticks[-1]
