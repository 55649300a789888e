"""A disk that is really full or read-only: a small file system of its own under the database, the spool, a backup."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from monitor import clock, flow
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.schedule import next_tick, slot
from monitor.recorder.durability.spool import Spool
from monitor.recorder.recorder import Recorder
from monitor.recorder.scrape import not_ready
from monitor.store import reads
from monitor.store.backup import backup
from monitor.store.connection.engine import AWAY, StoreError, open_engine, reading
from monitor.store.proof import Fault
from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.edges.flowing import MINUTE, T0, look, play, publish
from tests.edges.places import fill, mounted, read_only, small, without_privilege
from tests.edges.test_recorder import alive, batch, recording, stored
from tests.edges.test_spool import drained, looks


def behind(prefix: list[str], name: str, *arguments: object) -> None:
    """Run a function of this file in a program of its own, behind some mounts."""
    code = "import sys; from tests.edges import test_full_disk as it; getattr(it, sys.argv[1])(*sys.argv[2:])"
    command = [*prefix, sys.executable, "-c", code, name, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_full_disk_is_an_error_that_passes_damages_nothing_and_costs_nothing_acknowledged(tmp_path: Path) -> None:
    disks = {name: tmp_path / name for name in ("spool", "database", "recorder", "backup")}
    sizes = zip(disks.values(), ("128k", "2m", "3m", "16k"), strict=True)
    behind(mounted(*(small(disk, size) for disk, size in sizes)), "all_on_full_disks", tmp_path)


def all_on_full_disks(home: str) -> None:
    spool_on_full_disk(f"{home}/spool")
    database_on_full_disk(f"{home}/database")
    recorder_on_full_disk(f"{home}/recorder")
    backup_on_full_disk(f"sqlite:///{home}/database/chatwatch.db", f"{home}/backup")


def spool_on_full_disk(disk: str) -> None:
    spool = Spool(Path(disk) / "spool", segment_bytes=16_000)
    spool.append(looks(5))
    filler = fill(Path(disk))
    for start in (5, 45):
        with pytest.raises(OSError, match="No space left"):
            spool.append(looks(40, start))
    assert len(spool) == 5
    filler.unlink()
    spool.append(looks(3, 45))
    spool.close()
    again = Spool(Path(disk) / "spool")
    assert drained(again) == looks(5) + looks(3, 45)
    assert again.torn == 0
    again.close()


def recorder_on_full_disk(disk: str) -> None:
    """An outage of half an hour ago, recorded on a disk that fills up in its middle."""
    home, start = Path(disk), clock.now() - timedelta(minutes=30)
    reasons = [Reason.OK] * 3 + [Reason.SERVER_ERROR] * 6 + [Reason.OK] * 8
    wanted = [look("oa-api", start + n * MINUTE, reason) for n, reason in enumerate(reasons)]

    async def play_it(recorder: Recorder) -> None:
        await recorder.open()
        await recorder.on_frame(alive(start - MINUTE))
        refused = 0
        for number, one in enumerate(wanted):
            filler = fill(home) if number == 4 else home / "filler"
            try:
                await recorder.on_frame(batch(number, one))
            except OSError:
                refused += 1
                filler.unlink()
                await recorder.on_frame(batch(number, one))  # as the worker does, until it is taken
        assert refused == 1
        await recorder.replay()
        assert len(recorder.spool) == 0
        assert flow.lease_notices(recorder.engine, "a", clock.now()) == ()
        assert sound(recorder.engine)
        assert [one.run for one in reads.results(recorder.engine, "oa-api")] == [one.run for one in wanted]
        (incident,) = reads.incidents(recorder.engine, public=True)
        assert incident.started_at == wanted[3].run.tick
        assert incident.resolved_at is not None

    recording(home, play_it)


def sound(engine: Engine) -> bool:
    with reading(engine) as connection:
        return bool(connection.scalar(text("PRAGMA integrity_check")) == "ok")


def database_on_full_disk(disk: str) -> None:
    engine = open_engine(f"sqlite:///{disk}/chatwatch.db")
    migrate(engine)
    publish(engine)
    play(engine, range(3))
    filler = fill(Path(disk))
    taken, said = [look("ds-api", T0 + minute * MINUTE) for minute in range(3, 60)], 0
    for one in taken:
        try:
            flow.record(engine, [one], one.run.tick)
        except AWAY:
            said += 1
    assert said
    filler.unlink()
    flow.record(engine, taken, T0 + 60 * MINUTE)
    assert [result.run.tick for result in reads.results(engine)] == [T0 + i * MINUTE for i in range(60)]
    assert sound(engine)
    engine.dispose()


@pytest.mark.postgres
def test_a_dump_onto_a_full_disk_leaves_no_half_file(postgres_server: Server, tmp_path: Path) -> None:
    url, disk = postgres_server.create(), tmp_path / "disk"
    engine = open_engine(url)
    migrate(engine)
    publish(engine)
    behind(mounted(small(disk, "16k")), "backup_on_full_disk", url, disk)
    engine.dispose()


def backup_on_full_disk(url: str, disk: str) -> None:
    engine = open_engine(url)
    with pytest.raises(StoreError, match=r"full|No space left") as caught:
        backup(engine, Path(disk) / "copy.backup")
    assert "\n" not in str(caught.value)
    assert list(Path(disk).iterdir()) == []
    engine.dispose()


def test_a_read_only_place_is_said_plainly(tmp_path: Path) -> None:
    """Once a file system that is read-only, once a folder that even root, without its privilege, may not write to."""
    mount, folder = tmp_path / "mount", tmp_path / "folder"
    mount.mkdir()
    folder.mkdir(0o500)
    behind([*mounted(read_only(mount)), *without_privilege()], "nothing_can_be_written", mount, folder)
    assert not [*mount.iterdir(), *folder.iterdir()]
    folder.chmod(0o700)


def nothing_can_be_written(*places: str) -> None:
    for place in places:
        engine = open_engine(f"sqlite:///{place}/chatwatch.db")
        with pytest.raises(AWAY, match="unable to open database file"):
            migrate(engine)
        engine.dispose()
        with pytest.raises(OSError, match=r"Read-only file system|Permission denied"):
            Spool(Path(place) / "spool")


def test_a_database_that_nobody_may_write_to_is_named_and_used_once_it_may_be_written_again(tmp_path: Path) -> None:
    behind(without_privilege(), "permission_taken_away", tmp_path)


def permission_taken_away(place: str) -> None:
    home, file = Path(place), Path(place) / "test.db"
    start = next_tick(60, slot("oa-api", 60), clock.now() - timedelta(minutes=3))

    async def before(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", start)))

    async def after(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start + MINUTE / 2))
        opening = asyncio.create_task(recorder.open())
        for _ in range(6_000):
            if recorder.seen.store_fault is not None or opening.done():  # where nothing has to be written yet
                break
            await asyncio.sleep(0.01)
        await recorder.on_frame(batch(1, look("oa-api", start + MINUTE)))
        assert recorder.seen.store_fault is Fault.READ_ONLY
        assert f"make {file}, what lies beside it" in not_ready(recorder.seen)
        writable_again(home)
        await opening
        with suppress(*AWAY):  # by a connection that was opened before; the worker tries every two seconds
            await recorder.replay()
        await recorder.replay()
        await recorder.on_frame(alive(start))
        assert not_ready(recorder.seen) == ""

    recording(home, before)
    file.chmod(0o400)
    recording(home, after)
    assert [(one.run.tick, one.outcome) for one in stored(home, "oa-api")] == [
        (start, Outcome.OK),
        (start + MINUTE, Outcome.OK),
    ]


def writable_again(home: Path) -> None:
    """Give the rights back, also those of the log: SQLite makes its files with the rights of the database."""
    for path in home.glob("test.db*"):
        path.chmod(0o600)
