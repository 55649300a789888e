"""Backups of both databases, and back again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from monitor import flow
from monitor.core.checks.probe_state import ProbeState, new_probe_state
from monitor.core.checks.steps import step
from monitor.core.model.alerting import Sending
from monitor.core.model.reasons import Reason
from monitor.store import reads, tables
from monitor.store.backup import KEPT, backup, restore
from monitor.store.connection.engine import StoreError, is_postgresql, open_engine, reading
from monitor.store.tables import table
from monitor.store.transaction.states import load_state
from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, play, publish


@pytest.fixture
def other_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Address of a second, empty database of the same kind."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'other.db'}"
    server: Server = request.getfixturevalue("postgres_server")
    return server.create()


def folded_alike(engine: Engine) -> None:
    """Assert that folding the stored results gives the stored state of every series."""
    folded: dict[tuple[str, str], ProbeState] = {}
    probes = {probe.id: probe for probe in CATALOGUE.probes}
    for result in reads.results(engine):
        key = (result.run.probe, result.run.location)
        folded[key] = step(folded.get(key) or new_probe_state(*key), result, probes[result.run.probe])
    with reading(engine) as connection:
        rows = connection.execute(select(table(tables.Series))).all()
    stored = {(r.probe, r.location): load_state(r.state, r.probe, r.location, r.tick_us, r.attempt) for r in rows}
    assert folded.keys() <= stored.keys()
    for key, state in folded.items():  # words that no evidence was kept of are not stored with every look
        assert replace(stored[key], detail="", last_detail="") == replace(state, detail="", last_detail="")


def test_a_backup_taken_while_results_come_in_is_whole_and_can_be_put_back(
    engine: Engine, other_url: str, tmp_path: Path
) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    play(engine, range(6, 8))  # in an outage the recorder knows more than its looks alone tell
    going = threading.Event()

    def go_on() -> None:
        for minute in range(8, 60):
            flow.record(engine, [look("ds-api", T0 + minute * MINUTE)], T0 + minute * MINUTE)
            going.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    going.wait(120)
    backup(engine, tmp_path / "copy.backup")
    thread.join()
    held = restore(tmp_path / "copy.backup", other_url)
    other = open_engine(other_url)
    kept = [result.run for result in reads.results(other)]
    whole = [result.run for result in reads.results(engine)]
    assert 8 < len(kept) <= len(whole)
    assert kept == whole[: len(kept)]
    assert held is not None
    assert (held.results, held.incidents) == (len(kept), 1)
    assert [item.id for item in reads.incidents(other, public=True)] == [
        item.id for item in reads.incidents(engine, public=True)
    ]
    folded_alike(other)
    before = reads.incidents(other, public=False)
    flow.rebuild(other)
    assert reads.incidents(other, public=False) == before
    # What came and what comes after it is judged as it is without the detour.
    for result in list(reads.results(engine))[len(kept) :]:
        flow.record(other, [result], result.run.tick)
    for number in range(60, 70):
        for one in (engine, other):
            play(one, [number], Reason.SERVER_ERROR if number < 65 else Reason.OK)
    (shown, same) = (
        [(item.cause, item.started_at, item.resolved_at) for item in reads.incidents(one, public=False)]
        for one in (engine, other)
    )
    assert shown == same
    assert [path.name for path in tmp_path.glob("*.partial")] == []
    other.dispose()


def test_what_a_database_holds_is_named_and_only_replaced_on_purpose_and_then_kept(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    publish(engine)
    play(engine, range(2))
    backup(engine, tmp_path / "copy.backup")
    play(engine, range(2, 9))
    engine.dispose()
    with pytest.raises(StoreError, match=r"holds 9 results up to 2026-01-05 08:08:00 UTC, 0 incidents"):
        restore(tmp_path / "copy.backup", database_url)
    assert len(list(reads.results(engine))) == 9
    with pytest.raises(StoreError, match=r"in use|other connections"):
        restore(tmp_path / "copy.backup", database_url, replace=True)
    assert len(list(reads.results(engine))) == 9
    for _ in range(2):
        engine.dispose()
        restore(tmp_path / "copy.backup", database_url, replace=True)
        assert len(list(reads.results(engine))) == 2
        play(engine, range(2, 5))
    if is_postgresql(engine):
        with reading(engine) as connection:
            assert connection.scalar(text(f"SELECT count(*) FROM {KEPT}.result")) == 5
        backup(engine, tmp_path / "next.backup")  # what is kept is no part of it
    else:
        before = sqlite3.connect(tmp_path / "chatwatch.db.before-restore")
        assert before.execute("SELECT count(*) FROM result").fetchone() == (5,)
        before.close()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.98])
def test_a_backup_cut_short_is_refused_in_one_line_and_changes_nothing(
    engine: Engine, database_url: str, tmp_path: Path, share: float
) -> None:
    publish(engine)
    play(engine, range(3))
    backup(engine, tmp_path / "copy.backup")
    engine.dispose()
    whole = (tmp_path / "copy.backup").read_bytes()
    (tmp_path / "torn.backup").write_bytes(whole[: round(len(whole) * share)])
    with pytest.raises(StoreError, match=r"damaged|pg_restore failed: .*error") as caught:
        restore(tmp_path / "torn.backup", database_url, replace=True)
    assert "\n" not in str(caught.value)
    assert len(list(reads.results(engine))) == 3
    assert list(tmp_path.glob("*.restoring")) == []


def test_what_is_no_backup_is_refused_and_nothing_is_overwritten(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    publish(engine)
    engine.dispose()
    (tmp_path / "junk").write_bytes(b"no database at all" * 100)
    stranger = sqlite3.connect(tmp_path / "stranger.db")
    stranger.execute("CREATE TABLE other (id INTEGER)")
    stranger.close()
    (tmp_path / "dump").write_bytes(b"PGDMP" + bytes(100))
    for name in ("junk", "stranger.db", "dump"):
        with pytest.raises(StoreError, match=r"damaged|another kind|pg_restore failed"):
            restore(tmp_path / name, database_url, replace=True)
    with pytest.raises(StoreError, match="no backup"):
        restore(tmp_path / "nothing", database_url, replace=True)
    with pytest.raises(StoreError, match="exists"):
        backup(engine, tmp_path / "junk")
    assert reads.catalogue(engine).services


def test_a_backup_of_a_newer_program_is_refused_before_anything_is_replaced(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    publish(sqlite_engine)
    backup(sqlite_engine, tmp_path / "copy.db")
    sqlite_engine.dispose()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    with pytest.raises(StoreError, match=r"newer.*install the version"):
        restore(tmp_path / "copy.db", f"sqlite:///{tmp_path / 'chatwatch.db'}", replace=True)
    assert reads.catalogue(sqlite_engine).services


def test_what_was_due_when_the_backup_was_made_is_not_sent_again(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    assert flow.outbox_counts(engine)[Sending.DUE] == 1
    backup(engine, tmp_path / "copy.backup")
    play(engine, range(6, 12))
    engine.dispose()
    restore(tmp_path / "copy.backup", database_url, replace=True)
    later = T0 + 30 * MINUTE
    assert flow.lease_notices(engine, "a", later) == ()
    ids = {item.id for item in reads.incidents(engine, public=False)}
    play(engine, range(60, 64), Reason.SERVER_ERROR, "oa-api")
    assert ids < {item.id for item in reads.incidents(engine, public=False)}
    assert flow.lease_notices(engine, "a", T0 + 65 * MINUTE)  # what is new is told


@pytest.mark.postgres
def test_a_restore_that_was_killed_and_is_made_again_loses_nothing_of_what_was_there(
    postgres_server: Server, tmp_path: Path
) -> None:
    url = postgres_server.create()
    engine = open_engine(url)
    migrate(engine)
    publish(engine)
    play(engine, range(2))
    backup(engine, tmp_path / "copy.backup")
    play(engine, range(2, 9))
    engine.dispose()
    context = multiprocessing.get_context("spawn")
    restoring = context.Process(target=restore, args=(tmp_path / "copy.backup", url), kwargs={"replace": True})
    restoring.start()
    assert restoring.pid is not None
    kill_once_it_restores(restoring.pid)
    restoring.join()
    restore(tmp_path / "copy.backup", url, replace=True)
    assert len(list(reads.results(engine))) == 2
    with reading(engine) as connection:
        kept = connection.scalars(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'before_restore%'")).all()
        held = [
            connection.scalar(text(f"SELECT count(*) FROM {name}.result"))
            for name in kept
            if connection.scalar(text(f"SELECT to_regclass('{name}.result') IS NOT NULL"))
        ]
    assert 9 in held
    backup(engine, tmp_path / "next.backup")
    assert restore(tmp_path / "next.backup", postgres_server.create())
    engine.dispose()


def kill_once_it_restores(process: int) -> None:
    """Kill a restore and the pg_restore it started, as a machine that loses its power does."""
    children, until_s = Path(f"/proc/{process}/task/{process}/children"), time.monotonic() + 120
    while time.monotonic() < until_s:
        try:
            started = [int(child) for child in children.read_text().split()]
        except OSError:  # it is over: nothing was cut off, and what was there must be kept all the same
            return
        if started:
            for one in (process, *started):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            return
        time.sleep(0.002)


@pytest.mark.parametrize("made", ["'noise'", "x'00ff'", "9223372036854775807", "-9223372036854775807", "1e300", "''"])
def test_a_backup_can_be_put_back_over_a_file_whose_times_are_damaged(made: str, tmp_path: Path) -> None:
    file = tmp_path / "test.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    publish(engine)
    play(engine, range(3))
    backup(engine, tmp_path / "copy.backup")
    engine.dispose()
    with closing(sqlite3.connect(file)) as harmed:
        harmed.execute(f"UPDATE result SET at_us = {made}")
        harmed.commit()
    held = restore(tmp_path / "copy.backup", f"sqlite:///{file}", replace=True)
    assert held is not None
    assert (held.results, held.newest) == (3, T0 + 2 * MINUTE)


@pytest.mark.parametrize("there", ["pipe", "folder", "link to nowhere", "link to itself", "a folder for the log"])
def test_a_backup_can_be_put_in_the_place_of_what_is_no_file_which_is_kept(there: str, tmp_path: Path) -> None:
    file = tmp_path / "test.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    publish(engine)
    backup(engine, tmp_path / "copy.db")
    engine.dispose()
    taken = tmp_path / "test.db-wal" if there == "a folder for the log" else file
    taken.unlink(missing_ok=True)
    if there == "pipe":
        os.mkfifo(file)
        with pytest.raises(OperationalError, match="is no file"), reading(open_engine(f"sqlite:///{file}")):
            pytest.fail("a pipe was waited for")
    elif there.startswith("link"):
        file.symlink_to("test.db" if there == "link to itself" else "nowhere")
    else:
        taken.mkdir()
    with pytest.raises(StoreError, match="nothing that can be read"):
        restore(tmp_path / "copy.db", f"sqlite:///{file}")
    assert restore(tmp_path / "copy.db", f"sqlite:///{file}", replace=True) is not None
    assert os.path.lexists(taken.with_name(f"{taken.name}.before-restore"))
