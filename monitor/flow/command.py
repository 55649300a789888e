"""What a person commands: carried out together with its audit row, or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Engine

from monitor.core.commands import Command, CommandResult
from monitor.core.evaluation import Evaluation
from monitor.core.schedule import micros as us
from monitor.flow.telling import news_of, tell
from monitor.store import tables
from monitor.store.engine import begin
from monitor.store.transaction.session import session_on
from monitor.store.transaction.store import SqlStore


def command(engine: Engine, order: Command, who: str, now: datetime, why: str = "") -> CommandResult:
    """Carry out a person's command in one transaction with its audit row. Raises :class:`CommandError`.

    Repeating one changes nothing the second time and leaves no second audit row.
    """
    with begin(engine) as connection:
        store = SqlStore(connection, now)
        done = Evaluation(store).on_command(order, who, now, why)
        store.flush()
        if done.changed:
            action, data = type(order).__name__, json.dumps(asdict(order), default=_plain)
            row = tables.Audit(at_us=us(now), who=who, action=action, subject=done.subject, why=why, data=data)
            with session_on(connection) as session:
                session.add(row)
    tell(news_of(store))
    return done


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else str(value)
