"""The outbox: at least once for trigger and resolve, in order, with one key for every try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, exists, func, or_, select, update

from monitor.core.entities import Alert
from monitor.core.evaluation import Evaluation
from monitor.core.model.alerting import Sending, Why
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.flow.telling import news_of, tell
from monitor.store.codec import unpack_or_none, us_or_none
from monitor.store.connection.engine import begin, is_postgresql, reading
from monitor.store.transaction.alerts import OUTBOX
from monitor.store.transaction.store import SqlStore

LEASE = timedelta(seconds=60)
"""A sender that died holds a notice for no longer than this; then it is sent again under the same key."""
OPEN = (Sending.DUE.value, Sending.RETRYING.value)


@dataclass(frozen=True, slots=True)
class LeasedNotice:
    """One delivery that the caller may try now."""

    id: int
    key: str
    """Idempotency key, the same for every try."""
    channel: str
    route: str
    why: Why
    alert: Alert
    """The alert as it was decided upon."""
    created_at: datetime
    tries: int
    """Tries that were made before this one."""
    error: str = ""
    """What the last of them came to."""


def lease_notices(engine: Engine, owner: str, now: datetime, limit: int = 10) -> tuple[LeasedNotice, ...]:
    """Take due deliveries for :data:`LEASE`. Of one alert and channel only the oldest: no end overtakes its start.

    One that cannot be read is given up, which alerts the operator.
    """
    with begin(engine) as connection:
        rows = connection.execute(_due(connection, now, limit)).all()
        ids = [row.id for row in rows]
        if ids:
            held = {"owner": owner, "leased_until_us": us(now + LEASE)}
            connection.execute(update(OUTBOX).where(OUTBOX.c.id.in_(ids)).values(held))
    found = []
    for row in rows:
        alert = unpack_or_none(Alert, row.body, "notice")
        if alert is None:  # it would come first at every lease, and hold up those behind it
            settle_notice(engine, row.id, Sending.DEAD, now, owner=owner, error=coded(MessageCode.NOTICE_UNREADABLE))
        else:
            found.append(_leased(row, alert))
    return tuple(found)


def _leased(row: Row[Any], alert: Alert) -> LeasedNotice:
    created_at = when(row.created_us)
    return LeasedNotice(row.id, row.key, row.channel, row.route, Why(row.why), alert, created_at, row.tries, row.error)


def take_back_notices(engine: Engine, worker: str, now: datetime) -> int:
    """Release notices that earlier processes of a worker leased; returns how many. Owners are ``worker/process``.

    To be called when no other process of the worker can be alive, before the first lease.
    """
    mine = (OUTBOX.c.sending.in_(OPEN), OUTBOX.c.owner.startswith(f"{worker}/", autoescape=True))
    with begin(engine) as connection:
        # Not to NULL: that would say that it was never sent.
        return connection.execute(update(OUTBOX).where(*mine).values(owner="", leased_until_us=us(now))).rowcount


def _due(connection: Connection, now: datetime, limit: int) -> Select[Any]:
    older = OUTBOX.alias("older")
    blocked = exists().where(
        older.c.alert == OUTBOX.c.alert,
        older.c.channel == OUTBOX.c.channel,
        older.c.id < OUTBOX.c.id,
        older.c.sending.in_(OPEN),
    )
    query = (
        select(OUTBOX)
        .where(
            OUTBOX.c.sending.in_(OPEN),
            OUTBOX.c.due_us <= us(now),
            or_(OUTBOX.c.leased_until_us.is_(None), OUTBOX.c.leased_until_us <= us(now)),
            ~blocked,
        )
        .order_by(OUTBOX.c.due_us, OUTBOX.c.id)
        .limit(limit)
    )
    return query.with_for_update(skip_locked=True, of=OUTBOX) if is_postgresql(connection) else query


def settle_notice(
    engine: Engine,
    notice_id: int,
    outcome: Sending,
    now: datetime,
    *,
    owner: str = "",
    error: str = "",
    retry_at: datetime | None = None,
) -> bool:
    """Record how a try ended: SENT, RETRYING (with ``retry_at``) or DEAD.

    Returns False when the lease had gone to another owner in the meantime. A dead one alerts the operator.
    """
    with begin(engine) as connection:
        mine: tuple[Any, ...] = (OUTBOX.c.id == notice_id, OUTBOX.c.sending.in_(OPEN))
        if owner:
            mine = (*mine, OUTBOX.c.owner == owner)
        values: dict[str, Any] = {
            "sending": outcome.value,
            "tries": OUTBOX.c.tries + 1,
            "error": error[:500],
            "leased_until_us": None,
            "owner": "",
            "sent_us": us(now) if outcome is Sending.SENT else None,
        }
        if retry_at is not None:
            values["due_us"] = us_or_none(retry_at)
        if not connection.execute(update(OUTBOX).where(*mine).values(values)).rowcount:
            return False
        channel = connection.scalar(select(OUTBOX.c.channel).where(OUTBOX.c.id == notice_id)) or ""
        store = _tell_of_channel(connection, channel, now)
    if store is not None:
        tell(news_of(store))
    return True


def _tell_of_channel(connection: Connection, channel: str, now: datetime) -> SqlStore | None:
    """Alert the operator about a channel whose newest finished delivery was given up; a sent one ends it."""
    finished = (OUTBOX.c.channel == channel, OUTBOX.c.sending.in_((Sending.SENT.value, Sending.DEAD.value)))
    query = select(OUTBOX.c.sending, OUTBOX.c.error).where(*finished).order_by(OUTBOX.c.id.desc()).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return None
    store = SqlStore(connection, now)
    Evaluation(store).on_delivery(channel, row.error if row.sending == Sending.DEAD.value else "", now)
    store.flush()
    return store


def outbox_counts(engine: Engine) -> dict[Sending, int]:
    """Return how many deliveries are in each state, for the metrics."""
    query = select(OUTBOX.c.sending, func.count().label("amount")).group_by(OUTBOX.c.sending)
    with reading(engine) as connection:
        return {Sending(row.sending): row.amount for row in connection.execute(query)}
