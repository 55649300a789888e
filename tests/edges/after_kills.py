"""What must hold after every kill, and what the same story gives undisturbed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select, text

from monitor import flow
from monitor.core.model.observations import RunId
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.recorder.durability.spool import WAITS, Spool
from monitor.store import reads, tables
from monitor.store.connection.engine import is_postgresql, reading
from monitor.store.results.rolling import HOUR, MINUTE, mark
from monitor.store.tables import table
from tests.edges import flowing
from tests.edges.recorder_to_kill import PROBES, story, taken_at

RESULT, SERIES = table(tables.Result), table(tables.Series)


def spooled(directory: Path) -> set[RunId]:
    """Return the runs that wait on disk; a second copy of what the database took is no excuse for losing it."""
    spool = Spool(directory)
    try:
        return {result.run for path in spool._segments() if path.suffix == WAITS for result in spool._read(path)}
    finally:
        spool.close()


def check(engine: Engine, acknowledged: int, spool: Path, back: int = 60) -> None:
    """Acknowledged ≤ stored, nothing twice, the database whole, the projection equal to a rebuild."""
    with reading(engine) as connection:
        columns = (RESULT.c.series, RESULT.c.tick_us, RESULT.c.attempt)
        twice = connection.execute(select(*columns).group_by(*columns).having(func.count() > 1)).all()
        assert twice == [], f"stored twice: {twice}"
        since = us(flowing.T0 + max(0, acknowledged - back) * flowing.MINUTE)
        query = select(SERIES.c.probe, RESULT.c.tick_us, RESULT.c.attempt).join(SERIES, SERIES.c.id == RESULT.c.series)
        rows = connection.execute(query.where(RESULT.c.tick_us >= since)).all()
        sound(connection)
    stored = {RunId(row.probe, "local", when(row.tick_us), row.attempt) for row in rows}
    waiting = spooled(spool)
    due = {item.run for minute in range(max(0, acknowledged - back + 2), acknowledged + 1) for item in story(minute)}
    assert due <= stored | waiting, f"lost: {due - stored - waiting}"
    assert all(run.tick <= taken_at(acknowledged + 1) for run in stored | waiting)
    before = reads.incidents(engine, public=False, limit=2000)
    flow.rebuild(engine)
    assert reads.incidents(engine, public=False, limit=2000) == before


def sound(connection: Connection) -> None:
    """SQLite's own check; PostgreSQL keeps its promises by itself."""
    if not is_postgresql(connection):
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []


def undisturbed(engine: Engine, minutes: int) -> None:
    """Play the story without recorder, spool or kill."""
    flowing.publish(engine)
    for minute in range(minutes):
        flow.record(engine, story(minute), taken_at(minute))
        flow.sweep(engine, taken_at(minute) + flowing.MINUTE / 60)
    flow.roll_up(engine, taken_at(minutes))


def picture(engine: Engine) -> dict[str, Any]:
    """Return everything that must not depend on kills: not when a thing was written, nor who was told in time."""
    columns: dict[str, tuple[type[Any], tuple[str, ...]]] = {
        "events": (tables.IncidentEvent, ("incident", "seq", "at_us", "kind", "by", "data")),
        "spans": (tables.Span, ("component", "start_us", "end_us", "health")),
        "components": (tables.Component, ("id", "health", "since_us", "reason", "span_us", "registration")),
        "registration": (tables.RegistrationLog, ("component", "at_us", "body")),
        "series": (tables.Series, ("probe", "tick_us", "attempt", "state")),
        "alerts": (tables.Alert, ("key", "rule", "state", "fired_us", "resolved_us")),
    }
    with reading(engine) as connection:
        found: dict[str, Any] = {}
        for name, (model, names) in columns.items():
            source = table(model)
            found[name] = sorted(map(tuple, connection.execute(select(*(source.c[item] for item in names)))), key=repr)
        # A budget's alert is as old as the roll-up that saw it, and that has a pace of its own.
        found["alerts"] = [row for row in found["alerts"] if row[1] != "burn_rate"]
        return found | {"looks": looks(connection)}


def looks(connection: Connection) -> dict[str, int]:
    """Return looks per probe as the roll-ups count them, each once."""
    closed, found = mark(connection, "hour"), Counter[str]()
    names = {row.id: row.probe for row in connection.execute(select(SERIES.c.id, SERIES.c.probe))}
    parts: list[tuple[Table, Any]] = [(HOUR, HOUR.c.bucket_us < closed), (MINUTE, MINUTE.c.bucket_us >= closed)]
    for level, where in parts:
        for row in connection.execute(select(level.c.series, level.c.counts).where(where)):
            found[names[row.series]] += sum(json.loads(row.counts).values())
    return dict(found)


def same(engine: Engine, other: Engine, minutes: int) -> None:
    """Compare what kills left with the undisturbed story of as many minutes."""
    flow.roll_up(engine, taken_at(minutes))
    ours, theirs = picture(engine), picture(other)
    for name, expected in theirs.items():
        if ours[name] == expected:
            continue
        if isinstance(expected, dict):
            raise AssertionError(f"{name}: {ours[name]} instead of {expected}")
        extra = [row for row in ours[name] if row not in expected][:3]
        missing = [row for row in expected if row not in ours[name]][:3]
        raise AssertionError(f"{name} differ from the undisturbed story: {extra} instead of {missing}")
    assert set(ours["looks"]) == set(PROBES)
