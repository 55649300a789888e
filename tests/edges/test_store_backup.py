"""Backups of both databases, and back again."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.core.model import Reason
from monitor.store import reads
from monitor.store.backup import backup, restore
from monitor.store.engine import StoreError, open_engine
from tests.edges.databases import Server
from tests.edges.flowing import MINUTE, T0, look, play, publish


def test_a_backup_taken_while_results_come_in_is_whole_and_can_be_put_back(
    engine: Engine, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    going = threading.Event()

    def go_on() -> None:
        for minute in range(6, 60):
            flow.record(engine, [look("ds-api", T0 + minute * MINUTE)], T0 + minute * MINUTE)
            going.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    going.wait(10)
    backup(engine, tmp_path / "copy.backup")
    thread.join()
    if database_url.startswith("sqlite"):
        target = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        server: Server = request.getfixturevalue("postgres_server")
        target = server.create()
    restore(tmp_path / "copy.backup", target)
    other = open_engine(target)
    kept = [result.run for result in reads.results(other)]
    whole = [result.run for result in reads.results(engine)]
    assert 9 < len(kept) <= len(whole)
    assert kept == whole[: len(kept)]
    assert [item.id for item in reads.incidents(other, public=True)] == [
        item.id for item in reads.incidents(engine, public=True)
    ]
    done = flow.record(other, [look("oa-api", T0 + 99 * MINUTE)], T0 + 99 * MINUTE)
    assert done.stored == 1
    other.dispose()


def test_putting_back_keeps_the_file_that_was_there(sqlite_engine: Engine, tmp_path: Path) -> None:
    publish(sqlite_engine)
    play(sqlite_engine, range(2))
    backup(sqlite_engine, tmp_path / "copy.db")
    play(sqlite_engine, range(2, 9))
    sqlite_engine.dispose()
    restore(tmp_path / "copy.db", f"sqlite:///{tmp_path / 'chatwatch.db'}")
    assert len(list(reads.results(sqlite_engine))) == 2
    before = sqlite3.connect(tmp_path / "chatwatch.db.before-restore")
    assert before.execute("SELECT count(*) FROM result").fetchone() == (9,)
    before.close()


def test_what_is_no_backup_is_refused_and_nothing_is_overwritten(sqlite_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="damaged"):
        restore(tmp_path / "junk", f"sqlite:///{tmp_path / 'chatwatch.db'}")
    with pytest.raises(StoreError, match="no backup"):
        restore(tmp_path / "nothing", f"sqlite:///{tmp_path / 'chatwatch.db'}")
    with pytest.raises(StoreError, match="exists"):
        backup(sqlite_engine, tmp_path / "junk")
    publish(sqlite_engine)
    assert reads.catalogue(sqlite_engine).services
