"""Which worker of a location looks at which probe: lease rows, taken over when their owner dies or stalls.

``epoch`` rises with every change of owner. What an owner records under an old epoch is refused by
:func:`still_owned`, so a worker that was stopped and woke up again cannot act beside its successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, func, insert, select, update

from monitor.store import tables
from monitor.store.codec import us
from monitor.store.engine import begin, is_postgresql
from monitor.store.tables import table

LEASE = table(tables.Lease)


@dataclass(frozen=True, slots=True)
class Lease:
    """A probe that its owner may look at until ``until``, by the database's rows alone."""

    probe: str
    epoch: int
    until: datetime


def take_leases(
    engine: Engine,
    owner: str,
    location: str,
    probes: Iterable[str],
    now: datetime,
    ttl: timedelta,
    *,
    most: int | None = None,
) -> tuple[Lease, ...]:
    """Renew what ``owner`` holds and take what is free or ran out, up to ``most`` in all; returns everything held.

    Workers of one location share fairly when each asks for its share as ``most``; see :func:`fair_share`. Rows that
    another worker is just taking are skipped, never waited for.
    """
    wanted = sorted(set(probes))
    with begin(engine) as connection:
        _make_rows(connection, location, wanted)
        mine = _rows(connection, location, wanted, LEASE.c.owner == owner, lock=True)
        until = us(now + ttl)
        # What ran out in the meantime may have been seen as free by others: a new epoch says who goes on.
        keep = {name: epoch + (ran_out <= us(now)) for name, (epoch, ran_out) in mine.items()}
        if most is not None and len(keep) > most:
            for name in sorted(keep)[most:]:
                _write(connection, location, name, "", 0, keep.pop(name))
        free = most - len(keep) if most is not None else len(wanted)
        if free > 0:
            open_rows = _rows(
                connection, location, wanted, (LEASE.c.owner != owner) & (LEASE.c.until_us <= us(now)), lock=True
            )
            for name in sorted(open_rows)[:free]:
                keep[name] = open_rows[name][0] + 1
        for name, epoch in keep.items():
            _write(connection, location, name, owner, until, epoch)
    return tuple(Lease(name, keep[name], now + ttl) for name in sorted(keep))


def release(engine: Engine, owner: str, location: str) -> None:
    """Give everything back, as a worker does when it stops; others need not wait for the leases to run out."""
    with begin(engine) as connection:
        mine = (LEASE.c.owner == owner, LEASE.c.location == location)
        connection.execute(update(LEASE).where(*mine).values(owner="", until_us=0))


def still_owned(engine: Engine, owner: str, location: str, leases: Mapping[str, int], now: datetime) -> frozenset[str]:
    """Return those of ``leases`` (probe → epoch) that ``owner`` still holds under that epoch."""
    with begin(engine) as connection:
        held = _rows(connection, location, sorted(leases), LEASE.c.owner == owner, lock=False)
    return frozenset(
        name for name, epoch in leases.items() if name in held and held[name][0] == epoch and held[name][1] > us(now)
    )


def fair_share(engine: Engine, location: str, probes: int, now: datetime, alive_s: float = 30.0) -> int:
    """Return how many probes one of the living workers of a location should hold, rounded up."""
    worker = table(tables.Worker)
    living = (worker.c.location == location, worker.c.seen_us >= us(now - timedelta(seconds=alive_s)))
    with begin(engine) as connection:
        workers = connection.scalar(select(func.count()).select_from(worker).where(*living)) or 1
    return -(-probes // max(1, workers))


def _make_rows(connection: Connection, location: str, probes: list[str]) -> None:
    known = set(connection.scalars(select(LEASE.c.probe).where(LEASE.c.location == location)))
    rows = [
        {"probe": name, "location": location, "owner": "", "until_us": 0, "epoch": 0}
        for name in probes
        if name not in known
    ]
    if not rows:
        return
    if is_postgresql(connection):
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        connection.execute(postgresql_insert(LEASE).on_conflict_do_nothing(), rows)
    else:
        connection.execute(insert(LEASE), rows)


def _rows(
    connection: Connection, location: str, probes: list[str], which: object, *, lock: bool
) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for at in range(0, len(probes), 500):
        query = select(LEASE.c.probe, LEASE.c.epoch, LEASE.c.until_us).where(
            LEASE.c.location == location,
            LEASE.c.probe.in_(probes[at : at + 500]),
            which,  # type: ignore[arg-type]  # a column expression of either kind
        )
        if lock:
            query = query.with_for_update(skip_locked=True)
        found |= {row.probe: (row.epoch, row.until_us) for row in connection.execute(query)}
    return found


def _write(connection: Connection, location: str, probe: str, owner: str, until_us: int, epoch: int) -> None:
    where = (LEASE.c.probe == probe, LEASE.c.location == location)
    connection.execute(update(LEASE).where(*where).values(owner=owner, until_us=until_us, epoch=epoch))
