"""What the public doors read: one snapshot at a time, kept in memory and on disk, growing honestly old.

Read-only. The database is asked by one background task (web) or one cached function (live), never by a request.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import Engine

from monitor.core.catalogue import Catalogue
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.plain_files import private_folder
from monitor.runtime.trouble import trouble_of
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.reads.views import LatencyPoint, ServiceView, Snapshot, agreed

DEFAULT_DATABASE = "sqlite:///var/chatwatch.db"
ADDRESS = "CHATWATCH_URL"
"""Environment: the public address of the status page."""
STALE_AFTER = timedelta(seconds=90)
"""A snapshot whose newest report is older than this is shown grey, whoever was to blame."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One read of the database."""

    snapshot: Snapshot
    catalogue: Catalogue


class Reader:
    """Reads one database, read-only; after a failure it is opened afresh."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: Engine | None = None

    def read(self, now: datetime) -> Reading:
        """Return a public reading; raises what the database raises."""
        if self._engine is None:
            self._engine = open_engine(self.url, read_only=True)
        try:
            catalogue = for_the_public(reads.catalogue(self._engine))
            return Reading(unmapped(reads.snapshot(self._engine, now, public=True), catalogue), catalogue)
        except Exception:
            self.close()
            raise

    def latency(self, component: str, until: datetime, hours: int) -> tuple[LatencyPoint, ...]:
        """Return a component's latency over the last ``hours`` in about a hundred buckets."""
        if self._engine is None:
            self._engine = open_engine(self.url, read_only=True)
        step_s = int(bucket(hours).total_seconds())
        return reads.latency(self._engine, component, until - timedelta(hours=hours), until, step_s)

    def close(self) -> None:
        """Let go of the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


ADAPTER = TypeAdapter(Reading)


def bucket(hours: int) -> timedelta:
    """Return how long the buckets of a series over ``hours`` are."""
    seconds = max(60, hours * 3600 // 120 // 60 * 60) if hours <= 24 else 3600 * max(1, hours // 120)
    return timedelta(seconds=seconds)


def database_url() -> str:
    """Return the database that the environment names."""
    return os.environ.get("CHATWATCH_DATABASE") or DEFAULT_DATABASE


def for_the_public(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue without what is not public: services, components, their probes, and who is told."""
    services = tuple(service for service in catalogue.services if service.public)
    shown = {service.id for service in services}
    open_to_all = [part for part in catalogue.components if part.public and part.service in shown]
    known = {part.id for part in open_to_all}
    components = tuple(
        replace(part, depends_on=tuple(name for name in part.depends_on if name in known)) for part in open_to_all
    )
    probes = tuple(probe for probe in catalogue.probes if probe.component in known)
    return replace(catalogue, services=services, components=components, probes=probes, routes=())


def unmapped(snapshot: Snapshot, catalogue: Catalogue) -> Snapshot:
    """Return the snapshot without the vendor's word on components that are not public."""
    known = {part.id for part in catalogue.components}

    def cleared(service: ServiceView) -> ServiceView:
        seen = service.upstream
        if seen is None or seen.reading is None or seen.reading.mapped.keys() <= known:
            return service
        mapped = {name: health for name, health in seen.reading.mapped.items() if name in known}
        return replace(service, upstream=replace(seen, reading=replace(seen.reading, mapped=mapped)))

    return replace(snapshot, services=tuple(map(cleared, snapshot.services)))


def nothing(now: datetime) -> Reading:
    """Return the reading of somebody who knows nothing yet."""
    return Reading(Snapshot(now, None, False, (), (), (), (), ()), Catalogue())


def marked(reading: Reading, url: str) -> Reading:
    """Return the reading with a mark where a worker on this machine found the database unusable.

    A report that is younger than the worker's note says that it is over.
    """
    trouble, as_of = trouble_of(url), reading.snapshot.as_of
    broken = trouble is not None and (as_of is None or as_of <= trouble.since)
    return replace(reading, snapshot=replace(reading.snapshot, broken=broken))


def aged(reading: Reading, now: datetime) -> Reading:
    """Return the reading as it must be shown at ``now``: too old, or of a broken database, all of it is unknown."""
    snapshot = replace(reading.snapshot, taken_at=max(now, reading.snapshot.taken_at))
    if snapshot.as_of is None or not (snapshot.broken or snapshot.taken_at - snapshot.as_of > STALE_AFTER):
        return Reading(snapshot, reading.catalogue)
    services = tuple(
        replace(
            service,
            health=Health.UNKNOWN,
            components=tuple(
                replace(part, health=Health.UNKNOWN, reason=Reason.NOT_RUNNING, detail="", since=snapshot.as_of)
                for part in service.components
            ),
        )
        for service in snapshot.services
    )
    return Reading(agreed(replace(snapshot, stale=True, services=services)), reading.catalogue)


def last_good_path(url: str) -> Path:
    """Return where the last good reading of this database is kept: beside a SQLite file, else under ``var``."""
    name = f"last-{hashlib.sha256(url.encode()).hexdigest()[:12]}.json"
    file = url.partition("sqlite:///")[2]
    return (Path(file).parent if file else Path("var")) / "web" / name


def save(reading: Reading, path: Path) -> None:
    """Keep a reading for the next start; the file is whole or absent at every moment."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".last-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(ADAPTER.dump_json(reading))
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def load(path: Path) -> Reading | None:
    """Return the reading of the last run; None if there is none or it cannot be understood."""
    try:
        return ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
