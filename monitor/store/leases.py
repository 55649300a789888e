"""Which worker of a location looks at which probe: lease rows, taken over when their owner dies or stalls.

A row per probe names its owner and an ``epoch`` that rises with every change of owner; a row per worker (its name
behind :data:`PRESENCE`) says until when all its leases hold, so renewing a thousand probes writes one row. Whatever an
owner records after another took over is refused by :func:`lost`: a worker that was stopped and woke up again cannot
act beside its successor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from monitor.store import tables
from monitor.store.codec import us
from monitor.store.engine import begin, is_postgresql
from monitor.store.tables import table

LEASE = table(tables.Lease)
PRESENCE = "@"
FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Lease:
    """A probe that its owner may look at until ``until``, by the database's rows alone."""

    probe: str
    epoch: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds: probe → epoch."""

    owner: str
    location: str
    epochs: Mapping[str, int]


def database_time(engine: Engine, now: datetime) -> datetime:
    """Return the time by which leases run: the server's, so that workers with different clocks agree, or ``now``."""
    if not is_postgresql(engine):
        return now
    with begin(engine) as connection:
        found = connection.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime)
    return found.astimezone(UTC)


def take_leases(
    engine: Engine,
    owner: str,
    location: str,
    probes: Iterable[str],
    now: datetime,
    ttl: timedelta,
    *,
    most: int | None = None,
    seize: bool = True,
) -> tuple[Lease, ...]:
    """Renew what ``owner`` holds and take what is free or ran out until it holds ``most``; returns everything held.

    Without ``seize`` only what was given back is taken, not what ran out. Rows that another worker is just taking are
    skipped, never waited for.
    """
    wanted = sorted(set(probes))
    with begin(engine) as connection:
        _be_present(connection, owner, location, us(now + ttl))
        _make_rows(connection, location, wanted)
        keep = _rows(connection, location, wanted, LEASE.c.owner == owner)
        room = len(wanted) - len(keep) if most is None else most - len(keep)
        if room > 0:
            free = LEASE.c.owner == ""
            if seize:
                free = LEASE.c.owner.not_in({owner, *_living(connection, location, us(now))})
            found = _rows(connection, location, wanted, free, lock=True)
            found = _still_free(connection, location, found, us(now))
            taken = {name: found[name] + 1 for name in sorted(found)[:room]}
            for name, epoch in taken.items():
                where = (LEASE.c.probe == name, LEASE.c.location == location)
                connection.execute(update(LEASE).where(*where).values(owner=owner, epoch=epoch))
            keep |= taken
    return tuple(Lease(name, keep[name], now + ttl) for name in sorted(keep))


def release(engine: Engine, owner: str, location: str, probes: Collection[str] | None = None) -> None:
    """Give some probes back, or everything as a worker does when it stops; others need not wait."""
    with begin(engine) as connection:
        mine = [LEASE.c.owner == owner, LEASE.c.location == location]
        if probes is None:
            connection.execute(delete(LEASE).where(*mine, LEASE.c.probe == PRESENCE + owner))
        else:
            mine.append(LEASE.c.probe.in_(probes))
        connection.execute(update(LEASE).where(*mine).values(owner=""))


def lost(connection: Connection, claim: Claim, probes: Collection[str]) -> set[str]:
    """Return those of ``probes`` that the claim does not cover: never held, or taken over by another since.

    A lease that ran out and that nobody took still covers: nobody else can have recorded anything. The rows stay
    locked against a takeover until the transaction ends.
    """
    held = _rows(connection, claim.location, sorted(probes), LEASE.c.owner == claim.owner, share=True)
    return {name for name in probes if name not in held or held[name] != claim.epochs.get(name)}


def still_owned(engine: Engine, owner: str, location: str, leases: Mapping[str, int], now: datetime) -> frozenset[str]:
    """Return those of ``leases`` (probe → epoch) that ``owner`` still holds under that epoch, and in time."""
    with begin(engine) as connection:
        if owner not in _living(connection, location, us(now)):
            return frozenset()
        return frozenset(leases) - lost(connection, Claim(owner, location, leases), leases)


def fair_share(engine: Engine, owner: str, location: str, probes: int, now: datetime) -> int:
    """Return how many probes each living worker of a location should hold, ``owner`` among them, rounded up."""
    with begin(engine) as connection:
        workers = {owner, *_living(connection, location, us(now))}
    return -(-probes // len(workers))


def _living(connection: Connection, location: str, now_us: int) -> set[str]:
    present = (LEASE.c.location == location, LEASE.c.probe.startswith(PRESENCE), LEASE.c.until_us > now_us)
    return set(connection.scalars(select(LEASE.c.owner).where(*present)))


def _still_free(connection: Connection, location: str, found: Mapping[str, int], now_us: int) -> dict[str, int]:
    """Leave out rows whose owner came to life between our list of the living and our lock on the row."""
    living = _living(connection, location, now_us)
    held = _rows(connection, location, sorted(found), LEASE.c.owner.in_(living))
    return {name: epoch for name, epoch in found.items() if name not in held}


def _be_present(connection: Connection, owner: str, location: str, until_us: int) -> None:
    me = (LEASE.c.probe == PRESENCE + owner, LEASE.c.location == location)
    if connection.execute(update(LEASE).where(*me).values(until_us=until_us)).rowcount:
        return
    gone = (LEASE.c.probe.startswith(PRESENCE), LEASE.c.until_us < until_us - us_of(FORGET_AFTER))
    connection.execute(delete(LEASE).where(LEASE.c.location == location, *gone))
    row = {"probe": PRESENCE + owner, "location": location, "owner": owner, "until_us": until_us, "epoch": 0}
    connection.execute(insert(LEASE), row)


def us_of(length: timedelta) -> int:
    """Return a length in microseconds."""
    return round(length.total_seconds() * 1e6)


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
    connection: Connection,
    location: str,
    probes: list[str],
    which: ColumnElement[bool],
    *,
    lock: bool = False,
    share: bool = False,
) -> dict[str, int]:
    """Return probe → epoch. ``lock`` skips rows that somebody is taking; ``share`` waits for them."""
    found: dict[str, int] = {}
    for at in range(0, len(probes), 500):
        where: list[Any] = [LEASE.c.location == location, LEASE.c.probe.in_(probes[at : at + 500]), which]
        query = select(LEASE.c.probe, LEASE.c.epoch).where(*where)
        if lock:
            query = query.with_for_update(skip_locked=True)
        elif share:
            query = query.with_for_update(read=True)
        found |= {row.probe: row.epoch for row in connection.execute(query)}
    return found
