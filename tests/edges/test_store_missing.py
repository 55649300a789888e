"""A worker that starts where its database was and finds none: it says so, waits and begins no empty one by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from dashboard.console.act import Console
from monitor import clock
from monitor.cli import chatwatch
from monitor.cli.doctor import lost
from monitor.core.commands import ReportMissed
from monitor.core.model.reasons import Outcome
from monitor.core.schedule import next_tick, slot
from monitor.recorder.durability.marker import Marker, MissingError
from monitor.recorder.durability.spool import strays
from monitor.recorder.recorder import Recorder
from monitor.recorder.scrape import not_ready
from monitor.runtime.trouble import Trouble, TroubleFile
from monitor.store.backup import backup, restore
from monitor.store.connection.engine import begin, open_engine
from monitor.store.proof import Fault
from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.edges.flowing import CATALOGUE, look
from tests.edges.test_recorder import alive, batch, recording, stored
from tests.edges.test_store_lost import come_from_the_future, empty, flip, swap_for_an_older_copy, vanish

PROBE = next(probe for probe in CATALOGUE.probes if probe.id == "oa-api")
START = next_tick(PROBE.interval_s, slot(PROBE.id, PROBE.interval_s), clock.now() - timedelta(minutes=4))
MINUTE = timedelta(seconds=PROBE.interval_s)


def found(home: Path) -> list[tuple[datetime, Outcome]]:
    return [(result.run.tick, result.outcome) for result in stored(home, "oa-api")]


def url(home: Path) -> str:
    return f"sqlite:///{home / 'test.db'}"


def used(home: Path) -> None:
    """Let a worker use a database, and keep a backup of it."""

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(START))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", START)))
        await recorder.guard.step()
        backup(recorder.engine, home / "older.db")

    recording(home, play)


def started(home: Path, mend: Callable[[Recorder], None], fault: Fault, todo: str) -> None:
    """Start a worker that cannot use its database, look twice, let somebody mend it, and let the worker go on."""

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(START + MINUTE / 2))
        opening = asyncio.create_task(recorder.open())
        for _ in range(6_000):
            if recorder.seen.store_fault is not None:
                break
            await asyncio.sleep(0.01)
        await recorder.on_frame(batch(1, look("oa-api", START + MINUTE)))
        assert not opening.done()
        assert recorder.seen.store_fault is fault
        assert fault.value in not_ready(recorder.seen)
        assert todo in not_ready(recorder.seen)
        await asyncio.to_thread(mend, recorder)
        while not opening.done():
            await recorder.guard.step()
            await asyncio.sleep(0.05)
        await opening
        await recorder.replay()
        assert not_ready(recorder.seen) == ""

    recording(home, play)


def put_back(home: Path) -> Callable[[Recorder], None]:
    def mend(_: Recorder) -> None:
        restore(home / "older.db", url(home), replace=True)

    return mend


@pytest.mark.parametrize("harm", [vanish, empty], ids=["gone", "empty"])
def test_a_worker_whose_database_is_gone_since_waits_for_a_restore(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    used(tmp_path)
    harm(tmp_path / "test.db")
    started(tmp_path, put_back(tmp_path), Fault.MISSING, "chatwatch restore BACKUP")
    assert found(tmp_path) == [(START, Outcome.OK), (START + MINUTE, Outcome.OK)]


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder_for_the_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").mkdir()


@pytest.mark.parametrize(
    ("harm", "fault", "todo"),
    [
        (come_from_the_future, Fault.NEWER, "schema 9999"),
        (pipe, Fault.SWAPPED, "chatwatch restore BACKUP"),
        (folder_for_the_log, Fault.DAMAGED, "chatwatch restore BACKUP"),
    ],
)
def test_a_worker_that_cannot_use_what_it_finds_at_its_start_says_so_and_a_restore_is_taken(
    harm: Callable[[Path], None], fault: Fault, todo: str, tmp_path: Path
) -> None:
    used(tmp_path)
    harm(tmp_path / "test.db")
    started(tmp_path, put_back(tmp_path), fault, todo)
    assert found(tmp_path) == [(START, Outcome.OK), (START + MINUTE, Outcome.OK)]


def test_a_copy_that_a_person_puts_there_by_hand_will_do(tmp_path: Path) -> None:
    used(tmp_path)
    vanish(tmp_path / "test.db")

    def mend(_: Recorder) -> None:
        shutil.copyfile(tmp_path / "older.db", tmp_path / "test.db")

    started(tmp_path, mend, Fault.MISSING, "chatwatch restore BACKUP")
    assert found(tmp_path) == [(START, Outcome.OK), (START + MINUTE, Outcome.OK)]


def test_an_empty_database_is_begun_once_the_note_is_removed(tmp_path: Path) -> None:
    used(tmp_path)
    vanish(tmp_path / "test.db")
    note = tmp_path / "spool" / "local" / "database"

    def mend(recorder: Recorder) -> None:
        assert str(note) in not_ready(recorder.seen)
        note.unlink()

    started(tmp_path, mend, Fault.MISSING, str(note))
    assert [result.run.tick for result in stored(tmp_path, "oa-api")] == [START + MINUTE]
    assert note.exists()


def test_a_note_that_cannot_be_read_says_that_there_was_a_database(tmp_path: Path) -> None:
    used(tmp_path)
    vanish(tmp_path / "test.db")
    (tmp_path / "spool" / "local" / "database").write_bytes(b"\x00" * 20)
    started(tmp_path, put_back(tmp_path), Fault.MISSING, "chatwatch restore BACKUP")


def test_of_another_database_beside_the_same_spool_the_note_says_nothing(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / "spool" / "local" / "database").write_text('{"database": "other.db", "id": "00000001"}')
    vanish(tmp_path / "test.db")

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(START))
        await recorder.open()
        assert not_ready(recorder.seen) == ""

    recording(tmp_path, play)


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda file: file.write_bytes(b"nothing that SQLite knows" * 400), Fault.DAMAGED),
        (flip, Fault.DAMAGED),
    ],
    ids=["noise", "flipped"],
)
def test_a_file_that_is_damaged_at_the_start_is_named_and_waited_for(
    harm: Callable[[Path], None], fault: Fault, tmp_path: Path
) -> None:
    used(tmp_path)
    harm(tmp_path / "test.db")
    started(tmp_path, put_back(tmp_path), fault, "chatwatch restore BACKUP")


def test_a_database_that_another_worker_filled_is_used_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used(tmp_path)
    with closing(sqlite3.connect(tmp_path / "test.db")) as database:
        database.execute("PRAGMA application_id = 77")
    used_again: list[str] = []

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(START))
        await recorder.open()
        used_again.append(not_ready(recorder.seen))

    for _ in range(2):
        recording(tmp_path, play)
    assert used_again == ["", ""]
    assert [vars(record)["event"] for record in caplog.records] == ["store_moved"]


def test_a_backup_is_the_same_database_and_the_note_is_no_stray_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used(tmp_path)
    restore(tmp_path / "older.db", url(tmp_path), replace=True)

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(START))
        await recorder.open()

    recording(tmp_path, play)
    assert caplog.records == []
    assert strays(tmp_path / "spool" / "local") == []


@pytest.mark.postgres
def test_a_server_whose_database_was_made_anew_is_waited_for_as_well(postgres_server: Server, tmp_path: Path) -> None:
    server_url = postgres_server.create()
    engine, beside = open_engine(server_url), open_engine(postgres_server.create())
    first, other = Marker(tmp_path, engine), Marker(tmp_path, beside)
    first.refuse_missing()
    migrate(engine)
    first.note()
    first.refuse_missing()
    with begin(engine) as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(MissingError):
        first.refuse_missing()
    other.refuse_missing()
    for one in (engine, beside):
        one.dispose()


@pytest.mark.parametrize("words", [["migrate"], ["user", "add", "alice"]])
def test_no_command_begins_an_empty_database_where_a_worker_had_one(words: list[str], tmp_path: Path) -> None:
    used(tmp_path)
    vanish(tmp_path / "test.db")

    def run() -> Result:
        typed = "correct horse battery\ncorrect horse battery\n"
        return CliRunner().invoke(chatwatch, words, input=typed, env={"CHATWATCH_DATABASE": url(tmp_path)})

    refused, note = run(), tmp_path / "spool" / "local" / "database"
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1] == (
        "chatwatch: the database is gone: run chatwatch restore BACKUP with the newest backup,"
        f" or remove {note} to begin an empty database"
    )
    assert not (tmp_path / "test.db").exists()
    note.unlink()
    assert run().exit_code == 0


def test_nobody_else_writes_to_what_lies_in_the_place_of_the_workers_file(tmp_path: Path) -> None:
    """A restore would replace it with whatever was written there, and its log is the lost file's."""

    def said(*words: str) -> str:
        shown = CliRunner().invoke(chatwatch, words, env={"CHATWATCH_DATABASE": url(tmp_path)})
        return f"{shown.exit_code}: {shown.output}"

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(START))
        await recorder.open()
        await recorder.sign_of_life()
        backup(recorder.engine, tmp_path / "older.db")
        desk = Console(url(tmp_path))
        assert desk.anybody() is False
        swap_for_an_older_copy(tmp_path / "test.db")
        changed, why = desk.do(ReportMissed("openai", "openai/api", START), "token")
        assert (changed, "another file than the worker's" in why) == (False, True)
        assert "another file than the worker's" in said("migrate")
        await recorder.guard.step()
        alarm = TroubleFile(tmp_path / "spool" / "local")
        alarm.keep(Trouble("id", Fault.SWAPPED, recorder.seen.store_todo, START))
        assert "1: chatwatch: the worker has lost the database" in said("migrate")
        told = lost(url(tmp_path))
        assert told is not None
        assert told.what == "database: another file lies under its name"
        assert told.remedy.startswith(f"run chatwatch restore {recorder.guard.rescued} --force")
        assert recorder.guard.rescued is not None
        restore(recorder.guard.rescued, url(tmp_path), replace=True)
        await recorder.guard.step()
        await recorder.open()
        alarm.keep(None)
        assert lost(url(tmp_path)) is None
        assert desk.anybody() is False
        assert said("migrate").startswith("0")
        desk.engine.dispose()

    recording(tmp_path, play)
    (tmp_path / "test.db").unlink()
    told = lost(url(tmp_path))
    assert told is not None
    assert told.what == "database: the file is gone"
