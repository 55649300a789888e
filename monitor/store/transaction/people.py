"""What people and workers report, within one transaction: silences, planned work, verdicts, heartbeats.

What people do goes by session. What every judgement reads of it (the silences and windows in force) and the workers'
heartbeats are the hot path: Core statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection, bindparam, insert, select, update

from monitor.core.alerts.routing import SilenceWindow
from monitor.core.maintenance import Maintenance, Window, around
from monitor.core.model.alerting import Verdict
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.core.state_store import WorkerReport, WorkerRow
from monitor.store import tables
from monitor.store.catalogues import CATALOGUE
from monitor.store.codec import pack, unpack_or_none, us_or_none, when_or_none
from monitor.store.maintenances import held_windows, maintenance_row
from monitor.store.results.rolling import mark, set_mark
from monitor.store.tables import table
from monitor.store.transaction.session import session_on

SILENCE, WORKER = table(tables.Silence), table(tables.Worker)
WOKE = "woke"
"""The mark of the moment since when some worker lives without a break."""

# Asked in every transaction, so built once: to build a statement anew costs more than to run it.
_SILENCES = (
    select(SILENCE.c.body)
    .where(SILENCE.c.ends_us > bindparam("until"), SILENCE.c.removed_us.is_(None))
    .order_by(SILENCE.c.starts_us, SILENCE.c.id)
)
_WORKERS = select(WORKER).order_by(WORKER.c.id)
_UPDATE_WORKER = update(WORKER).where(WORKER.c.id == bindparam("name"))
_INSERT_WORKER = insert(WORKER)
_BEGUN = select(CATALOGUE.c.at_us)


class PeopleStore:
    """The part of :class:`monitor.store.transaction.store.SqlStore` about people and workers."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection, self.now = connection, now
        self._windows: dict[datetime, Sequence[Window]] = {}

    # Silences and planned work

    @cached_property
    def _silences(self) -> Sequence[SilenceWindow]:
        # The results being judged may be older than now, so silences that have just ended count as well.
        bodies = self.connection.scalars(_SILENCES, {"until": us(around(self.now)[0])})
        read = (unpack_or_none(SilenceWindow, body, "silence") for body in bodies)
        return [silence for silence in read if silence is not None]

    def silences(self) -> Sequence[SilenceWindow]:
        """Return the silences that nobody ended."""
        return self._silences

    def put_silence(self, silence: SilenceWindow, by: str, why: str) -> bool:
        """Keep a silence; False if it is kept already."""
        with session_on(self.connection) as session:
            if session.get(tables.Silence, silence.id) is not None:
                return False
            row = tables.Silence(
                id=silence.id,
                starts_us=us(silence.starts_at),
                ends_us=us(silence.ends_at),
                by=by,
                why=why,
                body=pack(SilenceWindow, silence),
            )
            session.add(row)
        self.__dict__.pop("_silences", None)
        return True

    def end_silence(self, silence: str, at: datetime) -> bool | None:
        """End a silence; False if it was over already, None if there is none of that id."""
        with session_on(self.connection) as session:
            row = session.get(tables.Silence, silence, with_for_update=True)
            if row is None:
                return None
            if is_open := row.removed_us is None and row.ends_us > us(at):
                row.removed_us = us(at)
        self.__dict__.pop("_silences", None)
        return is_open

    def windows(self, at: datetime) -> Sequence[Window]:
        """Return the maintenance windows around ``at``."""
        since, until = around(at)
        if since not in self._windows:
            self._windows[since] = list(held_windows(self.connection, since, until))
        return self._windows[since]

    def put_maintenance(self, item: Maintenance, title: str, text: str, by: str) -> bool:
        """Keep planned work; False if it is kept already."""
        with session_on(self.connection) as session:
            if session.get(tables.Maintenance, item.id) is not None:
                return False
            session.add(maintenance_row(item, title, text, by))
        self._windows.clear()
        return True

    def cancel_maintenance(self, maintenance: str, at: datetime) -> bool | None:
        """Cancel planned work; False if it was cancelled already, None if there is none of that id."""
        with session_on(self.connection) as session:
            row = session.get(tables.Maintenance, maintenance, with_for_update=True)
            if row is None:
                return None
            if is_on := row.cancelled_us is None:
                row.cancelled_us = us(at)
        self._windows.clear()
        return is_on

    def put_verdict(self, alert: str, verdict: Verdict, by: str, at: datetime, note: str) -> None:
        """Keep what a person said of an alert afterwards."""
        said = tables.Judgement(alert=alert, verdict=verdict.value, by=by, at_us=us(at), note=note)
        with session_on(self.connection) as session:
            session.get(tables.Judgement, alert, with_for_update=True)
            session.merge(said)

    # Workers

    @cached_property
    def _workers(self) -> dict[str, WorkerRow]:
        rows = self.connection.execute(_WORKERS)
        return {
            row.id: WorkerRow(
                WorkerReport(
                    row.id,
                    row.location,
                    row.blind_reason if row.blind_us is not None else "",
                    row.spooled,
                    row.loop_lag_us / 1e6,
                ),
                when(row.seen_us),
                when_or_none(row.blind_us),
            )
            for row in rows
        }

    def workers(self) -> Sequence[WorkerRow]:
        """Return every worker that ever gave a sign of life."""
        return list(self._workers.values())

    def put_worker(self, row: WorkerRow) -> None:
        """Keep a worker's heartbeat."""
        report = row.report
        values = {
            "location": report.location,
            "seen_us": us(row.seen_at),
            "blind_us": us_or_none(row.blind_since),
            "blind_reason": report.blind,
            "spooled": report.spooled,
            "loop_lag_us": round(report.loop_lag_s * 1e6),
        }
        if not self.connection.execute(_UPDATE_WORKER, values | {"name": report.worker}).rowcount:
            self.connection.execute(_INSERT_WORKER, values | {"id": report.worker})
        self._workers[report.worker] = row

    @cached_property
    def watched_since(self) -> datetime | None:
        """Since when some worker lives without a break, or since the catalogue is in force if that is later."""
        begun = self.connection.scalar(_BEGUN) or 0
        return when(max(mark(self.connection, WOKE), begun))

    def woke(self, at: datetime) -> None:
        """Begin a time in which some worker lives."""
        set_mark(self.connection, WOKE, us(at))
        self.__dict__.pop("watched_since", None)
