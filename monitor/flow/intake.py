"""Alerts of an Alertmanager: kept, reviewed and ended like ours, but never told to anyone by us."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from monitor.core import alertmanager
from monitor.core.rules import Rule
from monitor.flow.paging import Paging
from monitor.flow.working import Working
from monitor.store.engine import begin

MOST_OPEN = 500
"""Alerts from outside that may be open at once; what is beyond is left out until some end."""


class TakenIn(NamedTuple):
    """What came of a message."""

    taken: int
    left_out: int


def take_in(engine: Engine, document: object, now: datetime) -> TakenIn:
    """Take in a message of Alertmanager; repeating it changes nothing. Raises ``ValueError`` when it is none."""
    with begin(engine) as connection:
        work = Working(connection, now)
        conditions = alertmanager.read(document, work.catalogue, now)
        paging = Paging(work)
        known = {key for key, alert in paging.open.items() if not isinstance(alert.rule, Rule)}
        kept = []
        for condition in conditions:
            if condition.holds and condition.key not in known and len(known) >= MOST_OPEN:
                continue
            if condition.holds:
                known.add(condition.key)
            kept.append(condition)
        paging.meet(kept, now)
        paging.decide()
    return TakenIn(len(kept), len(conditions) - len(kept))
