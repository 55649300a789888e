"""Which worker of a location looks at which probe: lease rows, taken over when their owner dies or stalls.

A row per probe names its owner and an ``epoch`` that rises with every change of owner; a row per worker (its name
behind :data:`PRESENCE`) says until when all its leases hold, so renewing a thousand probes writes one row. Late
writes under an old lease are fenced off (:func:`lost`): a worker that was suspended and woke up cannot act beside its
successor. A worker that is blind or about to end sets ``gives``, and the others take its probes over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, insert, select, update

from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.connection.engine import begin, is_postgresql
from monitor.store.tables import table

LEASE = table(tables.Lease)
PRESENCE = "@"
FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds: probe → epoch."""

    owner: str
    location: str
    epochs: Mapping[str, int]


class Held(NamedTuple):
    """What a worker holds now."""

    epochs: Mapping[str, int]
    most: int
    """Its fair share, rounded up; what is beyond it is to be given back."""
    handed: frozenset[str]
    """Taken just now, after their last owner gave them back."""


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
    gives: bool = False,
) -> Held:
    """Renew what ``owner`` holds and take what is free or ran out up to its fair share, and never over ``most``.

    Without ``seize`` only what was given back is taken, not what ran out. Who ``gives`` has a share only while nobody
    else would take it. Rows that another worker is just taking are skipped, never waited for.
    """
    wanted = sorted(set(probes))
    with begin(engine) as connection:
        _be_present(connection, owner, location, us(now + ttl), gives)
        _make_rows(connection, location, wanted)
        keep = _epochs(_rows(connection, location, wanted, LEASE.c.owner == owner))
        living = _living(connection, location, us(now))
        share = _fair_share(len(wanted), [others for name, others in living.items() if name != owner], gives)
        share = share if most is None else min(share, most)
        taken: dict[str, Row[Any]] = {}
        if share > len(keep):
            free = LEASE.c.owner.not_in({owner, *living}) if seize else LEASE.c.owner == ""
            found = _still_free(connection, location, _rows(connection, location, wanted, free, lock=True), us(now))
            taken = {name: found[name] for name in sorted(found)[: share - len(keep)]}
            for some in _chunks(list(taken)):
                where = (LEASE.c.probe.in_(some), LEASE.c.location == location)
                connection.execute(update(LEASE).where(*where).values(owner=owner, epoch=LEASE.c.epoch + 1))
    keep |= {name: row.epoch + 1 for name, row in taken.items()}
    return Held(keep, share, frozenset(name for name, row in taken.items() if not row.owner))


def _fair_share(probes: int, others: Collection[bool], gives: bool) -> int:
    """Return the share of one worker; ``others`` says of each living one whether it gives."""
    takers = sum(not other for other in others)
    if gives:
        return 0 if takers else -(-probes // (1 + len(others)))
    return -(-probes // (1 + takers))


def release(
    engine: Engine, owner: str, location: str, probes: Collection[str] | None = None, *, gives: bool = False
) -> None:
    """Release some leases, or all of them with the worker's own row as at its end; others need not wait."""
    with begin(engine) as connection:
        mine = [LEASE.c.owner == owner, LEASE.c.location == location]
        me = (*mine, LEASE.c.probe == PRESENCE + owner)
        if probes is None:
            connection.execute(delete(LEASE).where(*me))
        else:
            if gives:
                connection.execute(update(LEASE).where(*me).values(gives=True))
            mine.append(LEASE.c.probe.in_(probes))
        connection.execute(update(LEASE).where(*mine).values(owner=""))


def lost(connection: Connection, claim: Claim, probes: Collection[str]) -> set[str]:
    """Return those of ``probes`` that the claim does not cover: never held, or taken over by another since.

    A lease that ran out and that nobody took still covers: nobody else can have recorded anything. The rows stay
    locked against a takeover until the transaction ends.
    """
    held = _epochs(_rows(connection, claim.location, sorted(probes), LEASE.c.owner == claim.owner, share=True))
    return {name for name in probes if name not in held or held[name] != claim.epochs.get(name)}


def _living(connection: Connection, location: str, now_us: int) -> dict[str, bool]:
    """Return the living workers of a location, each with whether it gives."""
    present = (LEASE.c.location == location, LEASE.c.probe.startswith(PRESENCE), LEASE.c.until_us > now_us)
    return {row.owner: row.gives for row in connection.execute(select(LEASE.c.owner, LEASE.c.gives).where(*present))}


def _still_free(
    connection: Connection, location: str, found: Mapping[str, Row[Any]], now_us: int
) -> dict[str, Row[Any]]:
    """Leave out rows whose owner came to life between our list of the living and our lock on the row."""
    living = _living(connection, location, now_us)
    return {name: row for name, row in found.items() if row.owner not in living}


def _be_present(connection: Connection, owner: str, location: str, until_us: int, gives: bool) -> None:
    me = (LEASE.c.probe == PRESENCE + owner, LEASE.c.location == location)
    if connection.execute(update(LEASE).where(*me).values(until_us=until_us, gives=gives)).rowcount:
        return
    gone = (LEASE.c.probe.startswith(PRESENCE), LEASE.c.until_us < until_us - us_of(FORGET_AFTER))
    connection.execute(delete(LEASE).where(LEASE.c.location == location, *gone))
    row = {"probe": PRESENCE + owner, "location": location, "owner": owner, "until_us": until_us, "epoch": 0}
    connection.execute(insert(LEASE), row | {"gives": gives})


def us_of(length: timedelta) -> int:
    """Return a length in microseconds."""
    return round(length.total_seconds() * 1e6)


def _make_rows(connection: Connection, location: str, probes: list[str]) -> None:
    known = set(connection.scalars(select(LEASE.c.probe).where(LEASE.c.location == location)))
    rows = [
        {"probe": name, "location": location, "owner": "", "until_us": 0, "epoch": 0, "gives": False}
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


def _epochs(rows: Mapping[str, Row[Any]]) -> dict[str, int]:
    return {name: row.epoch for name, row in rows.items()}


def _chunks(names: list[str]) -> Iterator[list[str]]:
    return (names[at : at + 500] for at in range(0, len(names), 500))


def _rows(
    connection: Connection,
    location: str,
    probes: list[str],
    which: ColumnElement[bool],
    *,
    lock: bool = False,
    share: bool = False,
) -> dict[str, Row[Any]]:
    """Return probe → its row. ``lock`` skips rows that somebody is taking; ``share`` waits for them."""
    found: dict[str, Row[Any]] = {}
    for some in _chunks(probes):
        where: list[Any] = [LEASE.c.location == location, LEASE.c.probe.in_(some), which]
        query = select(LEASE.c.probe, LEASE.c.epoch, LEASE.c.owner).where(*where)
        if lock:
            query = query.with_for_update(skip_locked=True)
        elif share:
            query = query.with_for_update(read=True)
        found |= {row.probe: row for row in connection.execute(query)}
    return found
