"""What a person commands: carried out together with its audit row, or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Engine

from monitor.core.commands import Command, CommandError, CommandResult
from monitor.core.evaluation import Evaluation
from monitor.core.schedule import micros as us
from monitor.flow.accounts import actor
from monitor.flow.isolating import words
from monitor.flow.telling import news_of, tell
from monitor.logs import Event, Room
from monitor.store import tables
from monitor.store.codec import DamagedRowError
from monitor.store.connection.engine import begin, is_away
from monitor.store.transaction.session import session_on
from monitor.store.transaction.store import SqlStore

log = Room("flow")


@dataclass(frozen=True, slots=True)
class Signed:
    """Somebody known by a console session."""

    token: str = field(repr=False)


def command(engine: Engine, order: Command, who: str | Signed, now: datetime, why: str = "") -> CommandResult:
    """Carry out a person's command in one transaction with its audit row. Raises :class:`CommandError`.

    ``who`` is a name that the caller vouches for, or a session, which is held against the database in the transaction.

    Repeating one changes nothing the second time and leaves no second audit row. What a damaged row raises reaches the
    person as one line as well; that the database is away, the caller tells.
    """
    try:
        store, done = _carried_out(engine, order, who, now, why)
    except CommandError:
        raise
    except Exception as error:
        if is_away(error):
            raise
        action = type(order).__name__
        by = who if isinstance(who, str) else "a session"
        log.exception(Event.COMMAND_FAILED, "%s by %s failed; nothing was changed", action, by)
        raise CommandError(f"nothing was changed: {_what_to_do(error)}") from error
    tell(news_of(store))
    return done


def _what_to_do(error: Exception) -> str:
    if isinstance(error, DamagedRowError):
        return f"{error}; chatwatch rebuild makes incidents whole again, chatwatch restore everything from a backup"
    return f"{words(error)}; the log has the details, please report it"


def _carried_out(
    engine: Engine, order: Command, by: str | Signed, now: datetime, why: str
) -> tuple[SqlStore, CommandResult]:
    with begin(engine) as connection:
        who = by if isinstance(by, str) else actor(connection, by.token, now)
        store = SqlStore(connection, now)
        done = Evaluation(store).on_command(order, who, now, why)
        store.flush()
        if done.changed:
            action, data = type(order).__name__, json.dumps(asdict(order), default=_plain)
            row = tables.Audit(at_us=us(now), who=who, action=action, subject=done.subject, why=why, data=data)
            with session_on(connection) as session:
                session.add(row)
    return store, done


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else str(value)
