"""State that follows a probe from worker to worker: its memory, and the reports of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.connection.engine import begin, is_postgresql, reading
from monitor.store.leases import Claim, lost
from monitor.store.tables import table

MEMORY, BEAT = table(tables.Memory), table(tables.Beat)
_MOST_NAMES = 500


class StoredMemory(NamedTuple):
    """A probe's memory, serialised by its kind."""

    at: datetime
    body: str


class StoredReport(NamedTuple):
    """What a job reported."""

    at: datetime
    failed: bool
    words: str


def save_memories(engine: Engine, claim: Claim, memories: Mapping[str, StoredMemory]) -> None:
    """Keep what the probes of a worker remember; writes that its lease does not cover (any more) are fenced off."""
    with begin(engine) as connection:
        refused = lost(connection, claim, memories)
        rows = [
            {"probe": name, "location": claim.location, "at_us": us(memory.at), "body": memory.body}
            for name, memory in sorted(memories.items())
            if name not in refused
        ]
        _upsert(connection, MEMORY, ("probe", "location"), rows)


def load_memories(engine: Engine, location: str, probes: Iterable[str]) -> dict[str, StoredMemory]:
    """Return what probes of a location remember."""
    found: dict[str, StoredMemory] = {}
    wanted = sorted(probes)
    with reading(engine) as connection:
        for at in range(0, len(wanted), _MOST_NAMES):
            some = wanted[at : at + _MOST_NAMES]
            rows = connection.execute(select(MEMORY).where(MEMORY.c.location == location, MEMORY.c.probe.in_(some)))
            found |= {row.probe: StoredMemory(when(row.at_us), row.body) for row in rows}
    return found


def save_reports(engine: Engine, reports: Mapping[str, StoredReport], now: datetime) -> None:
    """Keep the newest report of each job; one from the future (a clock ran ahead) is overwritten by any other."""
    rows = [
        {"probe": name, "at_us": us(report.at), "failed": report.failed, "words": report.words}
        for name, report in sorted(reports.items())
    ]
    with begin(engine) as connection:
        _upsert(connection, BEAT, ("probe",), rows, now)


def load_reports(engine: Engine, probes: Sequence[str]) -> dict[str, StoredReport]:
    """Return the newest report of each job."""
    with reading(engine) as connection:
        rows = connection.execute(select(BEAT).where(BEAT.c.probe.in_(probes)))
        return {row.probe: StoredReport(when(row.at_us), row.failed, row.words) for row in rows}


def _upsert(
    connection: Connection,
    target: Table,
    key: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
    now: datetime | None = None,
) -> None:
    """Insert or replace rows; with ``now`` only older ones and those from the future are replaced."""
    if not rows:
        return
    insert = postgresql.insert if is_postgresql(connection) else sqlite.insert
    new = insert(target)
    values = {column.name: new.excluded[column.name] for column in target.c if column.name not in key}
    where = None if now is None else or_(target.c.at_us <= new.excluded.at_us, target.c.at_us > us(now))
    connection.execute(new.on_conflict_do_update(index_elements=key, set_=values, where=where), list(rows))
