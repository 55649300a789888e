"""What Chatwatch keeps on disk is its user's alone, whatever the umask is that it was started with."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.recorder.durability.spool import Spool
from monitor.recorder.quarantine import Quarantine
from monitor.simulator.play import serve
from monitor.store.backup import backup, restore
from monitor.store.connection.engine import begin, open_engine
from monitor.store.upgrade import migrate
from tests.doors import running


@contextmanager
def open_to_all() -> Iterator[None]:
    """Let files be made as an umask of nothing makes them."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """Return every file and folder at and below ``folder`` that others may do anything with."""
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*")) if not path.is_symlink()}
    return {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}


def test_a_database_its_logs_a_backup_and_what_a_restore_keeps_are_private(tmp_path: Path) -> None:
    home = tmp_path / "var"
    with open_to_all():
        engine = open_engine(f"sqlite:///{home / 'chatwatch.db'}")
        migrate(engine)
        with begin(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE one (n INTEGER)")
        assert (home / "chatwatch.db-wal").exists()
        assert open_to_others(home) == {}
        backup(engine, home / "kept" / "backup.db")
        engine.dispose()
        restore(home / "kept" / "backup.db", f"sqlite:///{home / 'chatwatch.db'}", replace=True)
        Spool(home / "spool" / "local").close()
        Quarantine(home / "quarantine" / "local").close()
    assert (home / "chatwatch.db.before-restore").exists()
    inside = ("/lock", "/spool", "/quarantine")  # private to whoever may enter what holds them
    assert [path for path in open_to_others(home) if not path.endswith(inside)] == []


def test_what_an_earlier_version_left_open_is_closed_and_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    with open_to_all():
        (tmp_path / "var").mkdir()
        (tmp_path / "home").mkdir()
        for folder in ("var", "home"):
            url = f"sqlite:///{tmp_path / folder / 'chatwatch.db'}"
            engine = open_engine(url)
            migrate(engine)
            engine.dispose()
            (tmp_path / folder / "chatwatch.db").chmod(0o644)
            engine = open_engine(url)
            migrate(engine)
            engine.dispose()
    assert open_to_others(tmp_path / "var") == {}
    assert open_to_others(tmp_path / "home") == {str(tmp_path / "home"): "0o777"}


def test_a_worker_leaves_nothing_that_others_can_read(tmp_path: Path) -> None:
    async def work() -> None:
        database = f"sqlite:///{tmp_path / 'var' / 'chatwatch.db'}"
        started = ("sh", "-c", 'umask 0; exec "$@"', "sh")
        async with (
            serve(0) as vendor,
            running.worker(tmp_path, vendor.url, prefix=started, database=database) as worker,
        ):
            await worker.until("chatwatch_stored_timestamp_seconds", bool)

    asyncio.run(work())
    assert len(list((tmp_path / "var").rglob("*"))) > 3
    assert open_to_others(tmp_path / "var") == {}
