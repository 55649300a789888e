"""Each schema version that ever was, with data in it, brought up to date on both databases.

The versions come from the folder of the migrations: a new one is tested from the moment that it is there.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, MetaData, Table, event, insert, select, text

from monitor import flow
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.flow.accounts import set_password
from monitor.store import reads, schema
from monitor.store.connection.engine import StoreError, begin, is_postgresql, open_engine, reading
from monitor.store.results.partitions import ensure_partitions
from monitor.store.upgrade import migrate
from tests.edges.databases import Server
from tests.edges.flowing import MINUTE, T0, look, play, publish, readings

EARLIER = schema.versions()[:-1]
DROPPED: dict[str, dict[str, Any]] = {
    "upstream": {"said": ""},
    "component": {"position": 0},
    "incident": {"review_us": 1},
}
"""Columns that a later version does without, by table, with what an earlier one held in them."""
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def empty(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes empty databases of the same kind and returns their addresses."""
    if database_url.startswith("sqlite"):
        numbers = count()
        return lambda: f"sqlite:///{tmp_path / f'old{next(numbers)}.db'}"
    server: Server = request.getfixturevalue("postgres_server")
    return server.create


def lived(engine: Engine) -> None:
    """Fill a database with a little of everything that the rules write."""
    publish(engine)
    play(engine, range(5))
    play(engine, range(5, 12), Reason.SERVER_ERROR)
    play(engine, range(12, 30))
    play(engine, range(30, 33), probe="ds-reg", registration=readings(email=Registration.OPEN))
    play(engine, range(33, 40), probe="ds-reg", registration=readings(email=Registration.CLOSED))
    play(engine, range(40, 44), Reason.CONNECT, probe="oa-api")
    flow.check_in(engine, "local-1", "local", T0 + 44 * MINUTE, spooled=3)
    set_password(engine, "alice", "a long enough password", T0)
    flow.roll_up(engine, T0 + 120 * MINUTE)


def described(connection: Connection) -> list[Table]:
    """Return the tables that there are, without PostgreSQL's partitions."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [found for name, found in sorted(metadata.tables.items()) if not name.startswith(("result_2", "alembic"))]


def rows_of(engine: Engine, columns: dict[str, list[str]] | None = None) -> Rows:
    """Return every row of every table, in an order of their own; of some columns only, if they are given."""
    with reading(engine) as connection:
        found: Rows = {}
        for one in described(connection):
            if columns is None or one.name in columns:
                wanted = [one.c[name] for name in columns[one.name]] if columns else list(one.c)
                rows = [dict(row._mapping) for row in connection.execute(select(*wanted))]
                found[one.name] = sorted(rows, key=repr)
    return found


def at_version(old: Engine, version: str, rows: Rows) -> Rows:
    """Make a database of an earlier version that holds what it can of some rows; returns what it holds."""
    schema.migrate(old, version)
    with begin(old) as connection:
        ensure_partitions(connection, [row["at_us"] for row in rows["result"]])
        for one in described(connection):
            connection.execute(one.delete())
            held = [DROPPED.get(one.name, {}) | row for row in rows.get(one.name, ())]
            kept = [{column.name: row[column.name] for column in one.c} for row in held]
            if kept:
                connection.execute(insert(one), kept)
            if is_postgresql(connection) and "id" in one.c and one.name != "result":
                sequence = connection.scalar(text(f"SELECT pg_get_serial_sequence('{one.name}', 'id')"))
                if sequence:
                    connection.execute(text(f"SELECT setval('{sequence}', max(id) + 1) FROM {one.name}"))
        if is_postgresql(connection):
            connection.execute(text("SELECT setval('result_id_seq', max(id) + 1) FROM result"))
    return rows_of(old)


def without_dropped(rows: Rows) -> Rows:
    """Return the rows with the columns only that there still are."""
    gone = {name: DROPPED.get(name, {}) for name in rows}
    return {name: [{k: v for k, v in row.items() if k not in gone[name]} for row in rows[name]] for name in rows}


def columns_of(rows: Rows) -> dict[str, list[str]]:
    return {name: list(found[0]) for name, found in rows.items() if found}


@pytest.mark.slow
def test_data_of_every_earlier_version_comes_through_whole(engine: Engine, empty: Callable[[], str]) -> None:
    lived(engine)
    rows, results = rows_of(engine), list(reads.results(engine))
    for version in EARLIER:
        old = open_engine(empty())
        before = without_dropped(at_version(old, version, rows))
        full = {name for name, found in before.items() if found}
        assert full >= {"result", "incident_event", "alert", "outbox", "series", "account", "rollup_minute"}
        migrate(old)
        schema.check_schema(old)
        after = rows_of(old, columns_of(before))
        for name in full:
            assert all(row in after[name] for row in before[name]), (version, name)
            assert len(after[name]) == len(before[name]) or name == "mark"
        assert list(reads.results(old)) == results
        assert reads.catalogue(old) == reads.catalogue(engine)
        assert reads.alerts(old) == reads.alerts(engine)
        assert reads.incidents(old, public=False) == reads.incidents(engine, public=False)
        # Life goes on: ids do not collide, and an outage is found.
        stored = sum(done.stored for done in play(old, range(130, 134), Reason.SERVER_ERROR))
        found = list(reads.results(old))
        assert len({result.run for result in found}) == len(found) == len(results) + stored >= len(results) + 6
        assert reads.incidents(old, public=False)[0].resolved_at is None
        old.dispose()


@pytest.mark.slow
def test_a_migration_that_breaks_off_anywhere_leaves_everything_as_it_was(
    engine: Engine, empty: Callable[[], str]
) -> None:
    publish(engine)
    play(engine, range(3))
    old, left, tries = open_engine(empty()), 0, 0
    before = at_version(old, EARLIER[0], rows_of(engine))

    def break_off(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise InterruptedError

    event.listen(old, "before_cursor_execute", break_off)
    while True:
        left = tries = tries + 1
        try:
            migrate(old)
            break
        except InterruptedError:
            left = 1_000
            with reading(old) as connection:
                assert schema.current(connection) == EARLIER[0]
            if tries % 10 == 0:
                assert rows_of(old) == before
    event.remove(old, "before_cursor_execute", break_off)
    assert tries > 10
    assert flow.record(old, [look("ds-api", T0 + 9 * MINUTE)], T0 + 9 * MINUTE).stored == 1
    old.dispose()


def test_a_migration_that_is_killed_is_made_again(engine: Engine, empty: Callable[[], str]) -> None:
    publish(engine)
    play(engine, range(3))
    old_url = empty()
    old = open_engine(old_url)
    before = at_version(old, EARLIER[0], rows_of(engine))
    old.dispose()
    code = f"""
import os, signal
from sqlalchemy import event
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
engine = open_engine({old_url!r})
event.listen(engine, "after_cursor_execute", lambda *a: "version_num=" in a[2] and os.kill(os.getpid(), signal.SIGKILL))
migrate(engine)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    with reading(old) as connection:
        assert schema.current(connection) == EARLIER[0]
    assert rows_of(old) == before
    migrate(old)
    assert flow.record(old, [look("ds-api", T0 + 9 * MINUTE)], T0 + 9 * MINUTE).stored == 1
    old.dispose()


def test_no_way_leads_back(engine: Engine) -> None:
    with pytest.raises(StoreError, match=r"cannot be taken back.*chatwatch restore"):
        schema.migrate(engine, EARLIER[0])
    schema.check_schema(engine)
