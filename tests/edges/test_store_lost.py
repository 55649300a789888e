"""An SQLite file that is taken away, swapped or damaged under a running recorder: noticed, named, and nothing lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from monitor import clock
from monitor.core.model.reasons import Outcome
from monitor.core.schedule import next_tick, slot
from monitor.recorder.recorder import Recorder
from monitor.recorder.scrape import not_ready
from monitor.store.backup import backup, restore
from monitor.store.connection.engine import AWAY
from monitor.store.proof import Fault
from tests.edges.flowing import CATALOGUE, look
from tests.edges.test_recorder import alive, batch, recording, stored


def vanish(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def swap(file: Path) -> None:
    other = file.with_name("other")
    with sqlite3.connect(other) as made:
        made.execute("CREATE TABLE stranger (x)")
    made.close()
    other.replace(file)


def swap_for_an_older_copy(file: Path) -> None:
    shutil.copyfile(file.with_name("older.db"), file.with_name("copied"))
    file.with_name("copied").replace(file)


def cut(file: Path) -> None:
    _folded(file)
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    _folded(file)
    os.truncate(file, 0)


def flip(file: Path) -> None:
    _folded(file)
    with file.open("r+b") as out:
        for page in range(1, file.stat().st_size // 4096):
            out.seek(page * 4096 + 3)
            byte = out.read(1)[0]
            out.seek(page * 4096 + 3)
            out.write(bytes([byte ^ 0x40]))


def overwrite_with_an_older_copy(file: Path) -> None:
    _folded(file)
    shutil.copyfile(file.with_name("older.db"), file)


def overwrite_with_noise(file: Path) -> None:
    _folded(file)
    file.write_bytes(os.urandom(file.stat().st_size))


def lose_the_log(file: Path) -> None:
    file.with_name(file.name + "-wal").unlink()


def take_the_folder(file: Path) -> None:
    """Take the database with the spool and everything else."""
    shutil.rmtree(file.parent)


def put_a_folder_for_the_log(file: Path) -> None:
    lose_the_log(file)
    file.with_name(file.name + "-wal").mkdir()


def ordered(order: str) -> Callable[[Path], None]:
    def harm(file: Path) -> None:
        with sqlite3.connect(file, timeout=10.0) as other:
            other.execute(order)
        other.close()

    return harm


take_a_table = ordered("DROP TABLE result")
forget_the_version = ordered("DELETE FROM alembic_version")
come_from_the_future = ordered("UPDATE alembic_version SET version_num = '9999'")


def _folded(file: Path) -> None:
    """Fold the log back, so that nothing of it hides what is done to the file."""
    folding = sqlite3.connect(file, isolation_level=None)
    folding.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    folding.close()


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (vanish, Fault.VANISHED),
        (swap, Fault.SWAPPED),
        (swap_for_an_older_copy, Fault.SWAPPED),
        (cut, Fault.CUT),
        (empty, Fault.CUT),
        (flip, Fault.DAMAGED),
        (overwrite_with_noise, Fault.DAMAGED),
        (overwrite_with_an_older_copy, Fault.ROLLED_BACK),
        (forget_the_version, Fault.DAMAGED),
    ],
)
def test_a_lost_file_is_named_at_the_next_proof_and_a_restore_brings_everything_back(
    harm: Callable[[Path], None], fault: Fault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    probe = next(probe for probe in CATALOGUE.probes if probe.id == "oa-api")
    start = next_tick(probe.interval_s, slot(probe.id, probe.interval_s), clock.now() - timedelta(minutes=6))
    minute = timedelta(seconds=probe.interval_s)
    file, url = tmp_path / "test.db", f"sqlite:///{tmp_path / 'test.db'}"

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", start)))
        await recorder.sign_of_life()
        await recorder.guard.step()
        backup(recorder.engine, tmp_path / "older.db")
        await recorder.on_frame(batch(2, look("oa-api", start + minute), look("oa-api", start + 2 * minute)))
        await recorder.sign_of_life()

        harm(file)
        await recorder.guard.step()
        assert recorder.seen.store_fault is fault
        assert "chatwatch restore" in not_ready(recorder.seen)
        assert fault.value in not_ready(recorder.seen)

        await recorder.on_frame(batch(3, look("oa-api", start + 3 * minute)))
        await recorder.guard.step()
        assert not recorder.guard.adopted.is_set()

        restore(tmp_path / "older.db", url, replace=True)
        await recorder.guard.step()
        assert recorder.guard.adopted.is_set()
        await recorder.open()
        await recorder.replay()
        assert not_ready(recorder.seen) == ""

    recording(tmp_path, play)
    told = [vars(record)["event"] for record in caplog.records if vars(record).get("event") == "store_lost"]
    assert told == ["store_lost"]
    found = stored(tmp_path, "oa-api")
    assert [result.run.tick for result in found] == [start + n * minute for n in range(4)]
    assert {result.outcome for result in found} == {Outcome.OK}


@pytest.mark.parametrize(
    ("harm", "proven"),
    [
        (vanish, True),
        (vanish, False),
        (swap, True),
        (swap_for_an_older_copy, True),
        (lose_the_log, True),
        (put_a_folder_for_the_log, False),
        (take_the_folder, True),
    ],
)
def test_a_file_that_lost_its_name_or_its_log_is_saved_whole_beside_it_and_the_log_says_where(
    harm: Callable[[Path], None], proven: bool, tmp_path: Path
) -> None:
    """Also before the first proof: what an earlier process stored may be in no backup."""
    start = clock.now() - timedelta(minutes=1)
    url = f"sqlite:///{tmp_path / 'test.db'}"
    saved: list[str] = []

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", start)))
        if proven:
            await recorder.sign_of_life()
            await recorder.guard.step()
        backup(recorder.engine, tmp_path / "older.db")
        await recorder.on_frame(batch(2, look("oa-api", start + timedelta(seconds=1))))
        harm(tmp_path / "test.db")
        await recorder.guard.step()
        if recorder.seen.store_fault is None:  # one that cannot be read, though nobody holds a lock: the second time
            await recorder.on_frame(batch(3, look("oa-api", start + timedelta(seconds=2))))
            await recorder.guard.step()
        saved.append(not_ready(recorder.seen))

    recording(tmp_path, play)
    (rescued,) = tmp_path.glob("*.rescued-*")
    assert f"chatwatch restore {rescued} --force" in saved[0]
    held = restore(rescued, url, replace=True)
    assert held is not None
    assert held.results == (3 if harm is put_a_folder_for_the_log else 2)


def test_a_sign_of_life_does_not_cover_up_that_the_file_was_rolled_back(tmp_path: Path) -> None:
    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(clock.now()))
        await recorder.open()
        await recorder.sign_of_life()
        backup(recorder.engine, tmp_path / "older.db")
        await recorder.sign_of_life()
        overwrite_with_an_older_copy(tmp_path / "test.db")
        with pytest.raises(AWAY):
            await recorder.sign_of_life()
        assert recorder.seen.store_fault is Fault.ROLLED_BACK

    recording(tmp_path, play)


@pytest.mark.parametrize("harm", [vanish, swap_for_an_older_copy])
def test_the_next_process_waits_for_the_same_file_and_names_what_was_saved_of_it(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    """Started again where an older copy lies it would take that one, and what it lacks was gone."""
    start, url = clock.now() - timedelta(minutes=1), f"sqlite:///{tmp_path / 'test.db'}"
    saved: list[Path] = []

    async def before(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.sign_of_life()
        await recorder.guard.step()
        backup(recorder.engine, tmp_path / "older.db")
        await recorder.on_frame(batch(1, look("oa-api", start)))
        await recorder.sign_of_life()
        harm(tmp_path / "test.db")
        await recorder.guard.step()
        assert recorder.guard.rescued is not None
        saved.append(recorder.guard.rescued)

    async def after(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.on_frame(batch(1, look("oa-api", start + timedelta(seconds=1))))
        await recorder.guard.step()
        assert not recorder.guard.adopted.is_set()
        assert f"chatwatch restore {saved[0]} --force" in not_ready(recorder.seen)
        restore(saved[0], url, replace=True)
        await recorder.guard.step()
        await recorder.open()
        await recorder.replay()
        assert not_ready(recorder.seen) == ""

    async def last(recorder: Recorder) -> None:
        assert not recorder.guard.lost

    recording(tmp_path, before)
    recording(tmp_path, after)
    recording(tmp_path, last)
    assert len(stored(tmp_path, "oa-api")) == 2


@pytest.mark.parametrize(
    ("harm", "fault", "todo"),
    [
        (take_a_table, Fault.DAMAGED, "restore BACKUP"),
        (come_from_the_future, Fault.NEWER, "install the version"),
    ],
)
def test_a_database_that_lacks_a_table_or_is_of_a_newer_version_gets_nothing_more_and_nothing_is_lost(
    harm: Callable[[Path], None], fault: Fault, todo: str, tmp_path: Path
) -> None:
    start, url = clock.now() - timedelta(minutes=1), f"sqlite:///{tmp_path / 'test.db'}"

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", start)))
        await recorder.sign_of_life()
        backup(recorder.engine, tmp_path / "older.db")
        harm(tmp_path / "test.db")
        await recorder.on_frame(batch(2, look("oa-api", start + timedelta(seconds=1))))
        await recorder.guard.step()
        assert recorder.seen.store_fault is fault
        assert todo in not_ready(recorder.seen)
        restore(tmp_path / "older.db", url, replace=True)
        await recorder.guard.step()
        await recorder.open()
        await recorder.replay()
        assert not_ready(recorder.seen) == ""

    recording(tmp_path, play)
    assert len(stored(tmp_path, "oa-api")) == 2


@pytest.mark.parametrize("harm", [vanish, swap, swap_for_an_older_copy])
@pytest.mark.parametrize("noticed_by", ["look", "sign of life", "proof"])
def test_what_is_saved_is_whole_whoever_comes_upon_the_loss_first_and_at_every_loss_anew(
    harm: Callable[[Path], None], noticed_by: str, tmp_path: Path
) -> None:
    """A writer that opened the other file would take the lost one's log for its own, and empty it."""
    start, url = clock.now() - timedelta(minutes=10), f"sqlite:///{tmp_path / 'test.db'}"
    saved: list[int] = []
    looks = count()

    async def looked(recorder: Recorder) -> None:
        number = next(looks)
        await recorder.on_frame(batch(number, look("oa-api", start + timedelta(seconds=number))))

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        for _ in range(2):
            await recorder.open()
            await recorder.replay()
            for _ in range(4):
                await looked(recorder)
                await recorder.sign_of_life()
                await recorder.guard.step()
            (tmp_path / "older.db").unlink(missing_ok=True)
            backup(recorder.engine, tmp_path / "older.db")
            await looked(recorder)
            harm(tmp_path / "test.db")
            if noticed_by == "look":
                await looked(recorder)
            elif noticed_by == "sign of life":
                with pytest.raises(AWAY):
                    await recorder.sign_of_life()
            else:
                await recorder.guard.step()
            assert recorder.guard.rescued is not None
            held = restore(recorder.guard.rescued, url, replace=True)
            saved.append(held.results if held else 0)
            await recorder.guard.step()
            assert recorder.guard.adopted.is_set()
            recorder.guard.adopted.clear()

    recording(tmp_path, play)
    assert saved == [5, 11 if noticed_by == "look" else 10]


def test_what_was_proven_leaves_the_spool_and_what_was_not_is_stored_again_by_the_next_process(tmp_path: Path) -> None:
    start = clock.now() - timedelta(minutes=1)
    kept: list[int] = []

    def waiting() -> int:
        return len(list((tmp_path / "spool" / "local").glob("*.kept")))

    async def play(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", start)))
        kept.append(waiting())
        await recorder.guard.step()
        kept.append(waiting())
        await recorder.on_frame(batch(2, look("oa-api", start + timedelta(seconds=1))))
        kept.append(waiting())

    async def again(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.guard.step()
        kept.append(waiting())

    recording(tmp_path, play)
    recording(tmp_path, again)
    assert kept == [1, 0, 1, 0]
    assert len(stored(tmp_path, "oa-api")) == 2


def test_what_a_restore_lacks_before_all_that_waits_is_told_as_missed_also_to_the_next_process(tmp_path: Path) -> None:
    """Ticks 1 and 2 were proven after the backup, so they went with the file."""
    probe = next(probe for probe in CATALOGUE.probes if probe.id == "oa-api")
    start = next_tick(probe.interval_s, slot(probe.id, probe.interval_s), clock.now() - timedelta(minutes=9))
    ticks = [start + timedelta(seconds=number * probe.interval_s) for number in range(7)]

    async def before(recorder: Recorder) -> None:
        await recorder.on_frame(alive(start))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", ticks[0])))
        await recorder.guard.step()
        backup(recorder.engine, tmp_path / "older.db")
        await recorder.on_frame(batch(2, look("oa-api", ticks[1]), look("oa-api", ticks[2])))
        while list((tmp_path / "spool" / "local").glob("*.kept")):  # not every proof reads the whole file
            await recorder.guard.step()
        await recorder.on_frame(batch(3, look("oa-api", ticks[3])))

    async def after(recorder: Recorder) -> None:
        await recorder.on_frame(alive(ticks[5] - timedelta(seconds=1)))
        await recorder.open()
        await recorder.on_frame(batch(1, look("oa-api", ticks[5])))
        await recorder.replay()
        await recorder.on_frame(batch(2, look("oa-api", ticks[6])))

    recording(tmp_path, before)
    vanish(tmp_path / "test.db")
    restore(tmp_path / "older.db", f"sqlite:///{tmp_path / 'test.db'}")
    recording(tmp_path, after)
    found = stored(tmp_path, "oa-api")
    assert [result.run.tick for result in found] == ticks
    looked = [result.outcome is not Outcome.MISSED for result in found]
    assert looked == [True, False, False, True, False, True, True]
