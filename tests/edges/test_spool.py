"""The spool on a real disk: order, bounds, damage, kills."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Probe
from monitor.core.checks.sequential import rule_of
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.recorder.durability.marker import Marker
from monitor.recorder.durability.spool import (
    CONFIRMING_LOOKS,
    LARGEST_BYTES,
    Spool,
    SpoolError,
    strays,
    turning_points,
)
from monitor.runtime.trouble import TroubleFile
from monitor.store import reads
from monitor.store.connection.engine import AWAY, begin, open_engine
from tests.edges.flowing import MINUTE, T0, look, publish
from tests.edges.killing import prepare, run
from tests.edges.recorder_to_kill import keep

prepare()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool", segment_bytes=4096)
    yield made
    made.close()


def looks(count: int, start: int = 0, reason: Reason = Reason.OK) -> list[Result]:
    return [look("ds-api", T0 + i * MINUTE, reason) for i in range(start, start + count)]


def drained(spool: Spool) -> list[Result]:
    found: list[Result] = []
    spool.replay(found.extend)
    return found


def test_what_was_kept_comes_back_once_and_in_order(spool: Spool) -> None:
    for start in range(0, 100, 10):
        spool.append(looks(10, start))
    assert len(spool) == 100
    assert drained(spool) == looks(100)
    assert len(spool) == 0
    assert drained(spool) == []
    assert list(spool.directory.glob("*.spool")) == []


def test_a_new_process_finds_what_the_old_one_kept(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append(looks(3))
    first.close()
    second = Spool(tmp_path)
    second.append(looks(2, 3))
    assert drained(second) == looks(5)
    second.close()


def test_two_workers_cannot_share_a_spool(spool: Spool) -> None:
    with pytest.raises(SpoolError, match="end it, or start this one with another --location"):
        Spool(spool.directory)


def test_what_is_no_segment_is_neither_read_nor_written_whatever_its_name(tmp_path: Path) -> None:
    """A pipe would be waited for without end, and a large file is read into memory at once."""
    os.mkfifo(tmp_path / "000000000001.spool")
    (tmp_path / "000000000002.kept").mkdir()
    (tmp_path / "000000000003.spool").touch()
    os.truncate(tmp_path / "000000000003.spool", LARGEST_BYTES + 1)
    spool = Spool(tmp_path)
    spool.proves = True
    spool.append(looks(2))
    assert drained(spool) == looks(2)
    spool.keep(looks(1, 2))
    assert strays(tmp_path) == ["000000000001.spool", "000000000002.kept", "000000000003.spool"]
    assert (tmp_path / "000000000003.spool").stat().st_size == LARGEST_BYTES + 1
    spool.close()


def test_a_folder_that_was_taken_away_is_made_again_and_still_nobody_else_gets_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(looks(2))
    shutil.rmtree(tmp_path / "spool")
    spool.append(looks(2, 2))
    with pytest.raises(SpoolError):
        Spool(tmp_path / "spool")
    assert drained(spool) == looks(2, 2)
    assert spool.torn == 2, "what went with the folder is told"
    spool.close()


@pytest.mark.parametrize("name", ["database", "trouble.json"])
def test_a_note_that_is_a_pipe_is_not_waited_for(name: str, sqlite_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    os.mkfifo(tmp_path / "notes" / name)
    assert TroubleFile(tmp_path / "notes").kept is None
    marker = Marker(tmp_path / "notes", sqlite_engine)
    marker.refuse_missing()
    marker.note()
    assert (tmp_path / "notes" / "database").is_file()


def test_a_torn_end_costs_one_record_wherever_it_is_cut(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append(looks(3))
    first.close()
    (segment,) = tmp_path.glob("*.spool")
    whole = segment.read_bytes()
    third = len(whole) // 3
    for cut in range(len(whole)):
        segment.write_bytes(whole[:cut])
        spool = Spool(tmp_path)
        assert len(spool) == cut // third
        assert spool.torn == (1 if cut % third else 0)
        spool.close()


def test_a_damaged_record_is_skipped_and_counted(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append(looks(3))
    first.close()
    (segment,) = tmp_path.glob("*.spool")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    spool = Spool(tmp_path)
    assert drained(spool) == [looks(3)[0], looks(3)[2]]
    assert spool.torn == 1
    spool.close()


def test_a_damaged_byte_anywhere_costs_one_record_and_no_other(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append(looks(3))
    first.close()
    (segment,) = tmp_path.glob("*.spool")
    whole = segment.read_bytes()
    for at in range(len(whole)):
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        spool = Spool(tmp_path)
        hit = at * 3 // len(whole)
        assert (len(spool), spool.torn) == (2, 1)
        if at % 20 == 0:  # a replay deletes the segment
            assert drained(spool) == [item for number, item in enumerate(looks(3)) if number != hit]
        spool.close()


def test_what_the_disk_spoils_after_it_was_kept_is_counted_at_the_replay(spool: Spool) -> None:
    spool.append(looks(3))
    (segment,) = spool.directory.glob("*.spool")
    data = bytearray(segment.read_bytes())
    data[20] ^= 0xFF
    segment.write_bytes(data)
    assert drained(spool) == looks(3)[1:]
    assert spool.torn == 1
    assert len(spool) == 0


def test_a_replay_that_fails_midway_loses_nothing(spool: Spool) -> None:
    spool.append(looks(50))
    seen: list[Result] = []

    def take(results: Sequence[Result]) -> None:
        if len(seen) >= 20:
            raise ConnectionError
        seen.extend(results)

    with pytest.raises(ConnectionError):
        spool.replay(take, batch=10)
    assert len(spool) == 50
    assert drained(spool) == looks(50)


def test_when_it_is_full_the_oldest_routine_looks_go_first_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=40_000, segment_bytes=8_000)
    for start in range(0, 400, 20):
        reason = Reason.SERVER_ERROR if start in (100, 120) else Reason.OK
        spool.append(looks(20, start, reason))
    assert spool.size_bytes <= 40_000
    left = drained(spool)
    assert spool.dropped == 400 - len(left)
    assert left[-20:] == looks(20, 380)
    assert [item.run.tick for item in left] == sorted(item.run.tick for item in left)
    assert CONFIRMING_LOOKS <= sum(item.reason is Reason.SERVER_ERROR for item in left) < 40
    spool.close()


def test_an_outage_is_still_confirmed_by_what_a_thinning_leaves() -> None:
    failed, well = looks(20, 3, Reason.SERVER_ERROR), looks(20, 23)
    assert rule_of(Probe("p", "a/b", "http", 60, 10.0)).fewest_failures < CONFIRMING_LOOKS
    assert turning_points([*looks(3), *failed, *well]) == [
        *looks(3),
        *failed[:CONFIRMING_LOOKS],
        *well[:CONFIRMING_LOOKS],
        well[-1],
    ]


def test_a_thinning_that_was_cut_off_leaves_nothing_behind(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append(looks(3))
    first.close()
    (tmp_path / "000000000001.new").write_bytes(b"half")
    spool = Spool(tmp_path)
    assert drained(spool) == looks(3)
    assert list(tmp_path.glob("*.new")) == []
    spool.close()


def test_a_full_disk_is_said_and_leaves_what_was_kept_readable(tmp_path: Path) -> None:
    """A file size limit stands in for the disk: a tmpfs cannot be mounted everywhere."""
    code = f"""
import resource, signal
from pathlib import Path
from monitor.recorder.durability.spool import Spool
from tests.edges.test_spool import looks
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path({str(tmp_path)!r}))
spool.append(looks(5))
kept = spool.size_bytes
for room, size in ((0, 2), (1, 2), (300, 2), (700, 4), (700, 40), (9000, 40)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (kept + room, resource.RLIM_INFINITY))
    try:
        spool.append(looks(size, 5))
    except OSError as error:
        print("said", len(spool), spool.size_bytes - kept)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(looks(3, 45))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "said 5 0\n" * 6
    spool = Spool(tmp_path)
    assert drained(spool) == looks(5) + looks(3, 45)
    assert spool.torn == 0
    spool.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    rng = random.Random(5)
    for number in range(12):
        directory = tmp_path / str(number)
        ended = run(keep, directory, after_s=rng.random() * 0.1)
        assert ended.killed
        acknowledged = ended.said[-1]
        spool = Spool(directory)
        found = drained(spool)
        assert found[:acknowledged] == looks(acknowledged)
        assert acknowledged <= len(found) <= acknowledged + 3
        spool.close()


def test_a_locked_database_is_spooled_for_and_caught_up_without_paging(sqlite_engine: Engine, tmp_path: Path) -> None:
    publish(sqlite_engine)
    flow.record(sqlite_engine, looks(3), T0 + 3 * MINUTE)
    hurried = open_engine(f"sqlite:///{tmp_path / 'chatwatch.db'}")
    raw = hurried.raw_connection()
    raw.driver_connection.execute("PRAGMA busy_timeout=50")  # type: ignore[union-attr]  # the driver's own
    raw.close()
    spool = Spool(tmp_path / "spool")
    away = looks(6, 3, Reason.SERVER_ERROR) + looks(10, 9)
    with begin(sqlite_engine):
        for result in away:
            with pytest.raises(AWAY):
                flow.record(hurried, [result], result.run.tick + timedelta(seconds=1))
            spool.append([result])
    now = T0 + 20 * MINUTE
    assert spool.replay(lambda batch: flow.record(hurried, batch, now, backfill=True)) == 16
    assert [item.run.tick for item in reads.results(hurried)] == [T0 + i * MINUTE for i in range(19)]
    (incident,) = reads.incidents(hurried, public=True)
    assert incident.started_at == T0 + 3 * MINUTE
    assert incident.resolved_at is not None
    assert flow.lease_notices(hurried, "a", now) == ()
    hurried.dispose()
    spool.close()
