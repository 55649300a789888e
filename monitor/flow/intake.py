"""Alerts of an Alertmanager: kept, reviewed and ended like ours, but never told to anyone by us."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from monitor.core.alerts import alertmanager
from monitor.core.evaluation import Evaluation
from monitor.flow.telling import news_of, tell
from monitor.store.connection.engine import begin
from monitor.store.transaction.store import SqlStore


class TakenIn(NamedTuple):
    """What came of a message."""

    taken: int
    left_out: int


def take_in(engine: Engine, document: object, now: datetime) -> TakenIn:
    """Record an Alertmanager's webhook; repeating it changes nothing. Raises ``ValueError`` for anything else."""
    with begin(engine) as connection:
        store = SqlStore(connection, now)
        conditions = alertmanager.read(document, store.index.catalogue, now)
        left_out = Evaluation(store).on_foreign(conditions, now)
        store.flush()
    tell(news_of(store))
    return TakenIn(len(conditions) - left_out, left_out)
