"""The engine, the schema and the raw results, over both databases."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, inspect, select, text
from sqlmodel import SQLModel

from monitor import flow
from monitor.core.model.observations import Certificate, ChatTimes, Evidence, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import reads, schema, tables
from monitor.store.codec import span_us
from monitor.store.connection.engine import AWAY, JOURNAL_LIMIT_BYTES, StoreError, begin, fold_log, open_engine, reading
from monitor.store.tables import table
from monitor.store.upgrade import HEAD, migrate
from tests.edges.databases import Server
from tests.edges.flowing import MINUTE, T0, look, publish, readings


def test_no_update_is_lost_between_threads(engine: Engine) -> None:
    """4 × 50 read-then-write transactions: with SQLAlchemy's defaults on SQLite about 49 of 200 survive."""
    mark = table(tables.Mark)
    with begin(engine) as connection:
        connection.execute(mark.insert().values(name="count", value=0))

    def work() -> None:
        for _ in range(50):
            with begin(engine) as connection:
                query = select(mark.c.value).where(mark.c.name == "count").with_for_update()
                value = connection.scalar(query)
                assert value is not None
                connection.execute(mark.update().where(mark.c.name == "count").values(value=value + 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        assert connection.scalar(select(mark.c.value).where(mark.c.name == "count")) == 200


def test_a_read_transaction_sees_one_moment(engine: Engine) -> None:
    mark = table(tables.Mark)
    with reading(engine) as reader:
        before = reader.scalar(select(func.count()).select_from(mark))
        with begin(engine) as writer:
            writer.execute(mark.insert().values(name="a", value=1))
        assert reader.scalar(select(func.count()).select_from(mark)) == before
    with reading(engine) as reader:
        assert reader.scalar(select(func.count()).select_from(mark)) == (before or 0) + 1


def test_a_read_only_engine_cannot_write(engine: Engine, database_url: str) -> None:
    other = open_engine(database_url, read_only=True)
    with pytest.raises(AWAY), begin(other) as connection:
        connection.execute(table(tables.Mark).insert().values(name="a", value=1))
    with reading(other) as connection:
        assert "a" not in connection.scalars(select(table(tables.Mark).c.name)).all()
    other.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "nonsense", ""])
def test_an_address_that_cannot_serve_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(StoreError, match=r"sqlite:///"):
        open_engine(url)


def test_the_address_of_a_database_is_not_repeated_in_the_error() -> None:
    with pytest.raises(StoreError) as caught:
        open_engine("postgres//user:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_migrating_twice_equals_once(engine: Engine) -> None:
    migrate(engine)
    schema.check_schema(engine)
    with reading(engine) as connection:
        assert schema.current(connection) == schema.versions()[-1]


def test_migrations_give_the_columns_that_the_tables_describe(engine: Engine) -> None:
    found = inspect(engine)
    for name, described in SQLModel.metadata.tables.items():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
        wanted = {column.name: bool(column.nullable) for column in described.columns}
        assert columns == wanted, name
        made = {str(index["name"]) for index in found.get_indexes(name)}
        assert {str(index.name) for index in described.indexes} <= made, name


@pytest.mark.parametrize("version", schema.versions())
def test_every_earlier_version_is_brought_up_to_date(database_url: str, version: str) -> None:
    made = open_engine(database_url)
    schema.migrate(made, version)
    migrate(made)
    schema.check_schema(made)
    publish(made)
    assert flow.record(made, [look("ds-api", T0)], T0 + MINUTE).stored == 1
    made.dispose()


def test_a_newer_schema_is_refused_with_an_instruction(engine: Engine) -> None:
    with begin(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for check in (migrate, schema.check_schema):
        with pytest.raises(StoreError, match=r"newer.*install the version"):
            check(engine)


def test_an_empty_database_is_refused_by_readers_with_an_instruction(database_url: str) -> None:
    made = open_engine(database_url)
    with pytest.raises(StoreError, match="chatwatch migrate"):
        schema.check_schema(made)
    made.dispose()


def test_two_processes_may_migrate_at_once(database_url: str) -> None:
    code = (
        "from monitor.store import upgrade; from monitor.store.connection import engine; "
        f"upgrade.migrate(engine.open_engine({database_url!r}))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    assert [run.communicate()[1] for run in runs] == [b""] * 3
    assert [run.returncode for run in runs] == [0] * 3


def full_result() -> Result:
    """Return a look that fills every field."""
    seen = Observation(
        Reason.QUEUED,
        "queued for 3 s",
        200,
        "2",
        "192.0.2.7",
        1234,
        Phases(0.01, 0.02, 0.03, 0.001, 0.5, 0.2, 0.015, 0.0004, 0.001, True),
        ChatTimes(3.1, 3.2, 2.9, 5.0, 0.4, 0.05, 0.06, 33.5, 60, 12, 7, 3, 55, "stop", "m-1", "fp_1", 0.000123),
        Certificate(T0 + timedelta(days=60), "CN=a", "CN=ca", "ab" * 32, True),
        readings(email=Registration.OPEN, phone=Registration.RESTRICTED),
        UpstreamReading("statuspage", "https://status.example", Health.OPERATIONAL),
        2.5,
        (WarningCode.PROTOCOL_NO_DONE,),
        Evidence("https://api.example", "excerpt", {"server": "x"}),
    )
    return Result(RunId("ds-api", "local", T0), T0 + timedelta(milliseconds=3), 5.25, seen)


def test_a_result_comes_back_as_it_was_stored(engine: Engine) -> None:
    publish(engine)
    result = full_result()
    assert flow.record(engine, [result], T0 + MINUTE).stored == 1
    assert list(reads.results(engine, "ds-api")) == [result]
    assert list(reads.results(engine, "ds-api", T0, T0 + MINUTE)) == [result]
    assert list(reads.results(engine, "oa-api")) == []
    assert list(reads.results(engine, "ds-api", T0 + MINUTE, T0 + 2 * MINUTE)) == []


def test_an_unchanged_reading_is_stored_once_and_read_back_everywhere(engine: Engine) -> None:
    publish(engine)
    said = readings(email=Registration.OPEN)
    for minute in range(5):
        at = T0 + minute * MINUTE
        flow.record(engine, [look("ds-reg", at, registration=said)], at + timedelta(seconds=1))
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(table(tables.Reading))) == 1
    assert [item.observation.registration for item in reads.results(engine, "ds-reg")] == [said] * 5
    later = list(reads.results(engine, "ds-reg", T0 + 3 * MINUTE))
    assert [item.observation.registration for item in later] == [said] * 2


def test_times_are_kept_to_the_microsecond() -> None:
    at = datetime(2026, 7, 3, 4, 5, 6, 789012, tzinfo=UTC)
    assert when(us(at)) == at
    assert span_us(0.0000014) == 1
    assert us(at + timedelta(microseconds=1)) - us(at) == 1


def test_a_copy_of_the_file_with_its_log_cut_anywhere_opens_and_holds_a_prefix(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    """What a power cut may leave: the file, and the log up to some byte."""
    engine = sqlite_engine
    publish(engine)
    with begin(engine) as connection:
        connection.execute(text("SELECT 1"))
    raw = engine.raw_connection()
    raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]  # the driver's own
    raw.close()
    for minute in range(12):
        at = T0 + minute * MINUTE
        flow.record(engine, [look("ds-api", at), look("oa-api", at)], at + timedelta(seconds=1))
    source = tmp_path / "chatwatch.db"
    log = Path(f"{source}-wal").read_bytes()
    counts = []
    for cut in [*range(0, len(log), max(1, len(log) // 60)), len(log)]:
        copy = tmp_path / f"cut{cut}.db"
        copy.write_bytes(source.read_bytes())
        Path(f"{copy}-wal").write_bytes(log[:cut])
        plain = sqlite3.connect(copy)
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ids = [row[0] for row in plain.execute("SELECT id FROM result ORDER BY id")]
        plain.close()
        assert ids == list(range(1, len(ids) + 1))
        counts.append(len(ids))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 24


def test_a_probe_keeps_its_series_when_its_location_reports_first(engine: Engine) -> None:
    publish(engine)
    there = replace(look("ds-api", T0), run=RunId("ds-api", "tokyo", T0))
    assert flow.record(engine, [there], T0 + MINUTE).stored == 1
    assert flow.record(engine, [there], T0 + MINUTE).duplicates == 1
    assert {view.location for view in reads.probes(engine) if view.probe.id == "ds-api"} == {"local", "tokyo"}


def test_the_version_the_engine_looks_for_is_the_newest_migration() -> None:
    assert schema.versions()[-1] == HEAD


def test_a_log_that_readers_keep_long_is_folded_once_they_are_gone_and_its_size_is_told(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    """Readers that overlap without end would keep the ordinary folding from ever ending the log."""
    publish(sqlite_engine)
    log, mark = tmp_path / "chatwatch.db-wal", table(tables.Mark)

    def write_past_the_limit() -> None:
        grown = log.stat().st_size
        while log.stat().st_size <= grown + JOURNAL_LIMIT_BYTES:
            with begin(sqlite_engine) as connection:
                connection.execute(mark.insert().values(name="big", value=0))
                connection.execute(text("CREATE TABLE junk AS SELECT randomblob(8000000) AS x UNION SELECT 1"))
            with begin(sqlite_engine) as connection:
                connection.execute(text("DROP TABLE junk"))
                connection.execute(mark.delete().where(mark.c.name == "big"))

    with reading(sqlite_engine) as reader:
        before = reader.scalar(select(func.count()).select_from(mark))
        write_past_the_limit()
        assert (fold_log(sqlite_engine) or 0) > JOURNAL_LIMIT_BYTES  # said, not hidden: it cannot be folded yet
        with begin(sqlite_engine) as connection:  # and nobody who writes is kept waiting for long
            connection.execute(mark.insert().values(name="a", value=1))
        assert reader.scalar(select(func.count()).select_from(mark)) == before
    assert fold_log(sqlite_engine) == 0
    assert log.stat().st_size == 0
    with reading(sqlite_engine) as reader:
        assert reader.scalar(select(func.count()).select_from(mark)) == (before or 0) + 1


@pytest.mark.postgres
def test_postgresql_has_no_log_of_ours(postgres_server: Server) -> None:
    made = open_engine(postgres_server.create())
    assert fold_log(made) is None
    made.dispose()
