"""A disk that is full or read-only, a lock held too long, a server that goes away in mid-transaction."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from monitor import flow
from monitor.core.model.reasons import Reason
from monitor.store import reads
from monitor.store.connection.engine import AWAY, begin, open_engine, reading
from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.edges.flowing import MINUTE, T0, look, play, publish


def test_a_full_disk_is_an_error_that_passes_and_damages_nothing(sqlite_engine: Engine, tmp_path: Path) -> None:
    """A file size limit stands in for the disk: a tmpfs cannot be mounted everywhere."""
    publish(sqlite_engine)
    play(sqlite_engine, range(3))
    sqlite_engine.dispose()
    url = f"sqlite:///{tmp_path / 'chatwatch.db'}"
    code = f"""
import resource, signal
from monitor import flow
from monitor.store.connection.engine import AWAY, open_engine
from tests.edges.flowing import MINUTE, T0, look
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
engine = open_engine({url!r})
limit = 3 * 4096
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
said = 0
for minute in range(3, 8):
    try:
        flow.record(engine, [look("ds-api", T0 + minute * MINUTE)], T0 + minute * MINUTE)
    except AWAY:
        said += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for minute in range(3, 8):
    flow.record(engine, [look("ds-api", T0 + minute * MINUTE)], T0 + minute * MINUTE)
print(said > 0)
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "True\n"
    assert [result.run.tick for result in reads.results(sqlite_engine)] == [T0 + i * MINUTE for i in range(8)]
    with reading(sqlite_engine) as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"


def test_a_lock_held_too_long_is_an_error_that_passes(sqlite_engine: Engine, tmp_path: Path) -> None:
    publish(sqlite_engine)
    other = open_engine(f"sqlite:///{tmp_path / 'chatwatch.db'}")
    raw = other.raw_connection()
    raw.driver_connection.execute("PRAGMA busy_timeout=50")  # type: ignore[union-attr]  # the driver's own
    raw.close()
    with begin(sqlite_engine), pytest.raises(AWAY):
        flow.record(other, [look("ds-api", T0)], T0)
    assert flow.record(other, [look("ds-api", T0)], T0).stored == 1
    other.dispose()


def break_off(engine: Engine) -> None:
    """Lose the connection in the middle of a transaction."""
    with begin(engine) as connection:
        connection.execute(text("UPDATE component SET detail = 'half'"))
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.postgres
def test_a_server_that_restarts_costs_an_error_and_no_result(postgres_server: Server) -> None:
    engine = open_engine(postgres_server.create())
    migrate(engine)
    publish(engine)
    play(engine, range(3))
    with pytest.raises(AWAY):
        break_off(engine)
    postgres_server.stop()
    with pytest.raises(AWAY):
        flow.record(engine, [look("ds-api", T0 + 3 * MINUTE)], T0 + 3 * MINUTE)
    postgres_server.start()
    batch = [look("ds-api", T0 + i * MINUTE, Reason.OK) for i in range(6)]
    done = flow.record(engine, batch, T0 + 6 * MINUTE)
    assert (done.stored, done.duplicates) == (3, 3)
    assert len(list(reads.results(engine))) == 6
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM component WHERE detail = 'half'")) == 0
    engine.dispose()
