"""What became of models that are watched: answered by another one, gone from the vendor's list. Neither is an outage.

Both are warnings of looks; when they began and ended is told by the alerts that they raise.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, or_, select

from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.core.model.warning_codes import WarningCode
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.codec import unpack_or_none
from monitor.store.reads.timelines import Audience
from monitor.store.reads.views import ModelChange
from monitor.store.tables import table

ALERT = table(tables.Alert)
MOST = 50
_TOLD = {code.value: code for code in (WarningCode.MODEL_REROUTED, WarningCode.MODEL_NOT_LISTED)}


def model_changes(connection: Connection, since: datetime, audience: Audience) -> tuple[ModelChange, ...]:
    """Return what an audience may read of models, newest first; what still lasts is told whenever it began."""
    recent = or_(ALERT.c.fired_us >= us(since), ALERT.c.resolved_us.is_(None))
    query = select(ALERT.c.body).where(ALERT.c.rule == Rule.WARNING.value, recent).order_by(ALERT.c.fired_us.desc())
    found: list[ModelChange] = []
    for row in connection.execute(query):
        alert = unpack_or_none(Alert, row.body, "alert")
        what = _TOLD.get(str(alert.summary.get("warning", ""))) if alert else None
        if alert is None or what is None or not audience.sees(alert.component):
            continue
        asked, told = _names(alert) if what is WarningCode.MODEL_REROUTED else ("", "")
        found.append(
            ModelChange(alert.service, alert.component, what, asked, told, alert.started_at, alert.resolved_at)
        )
        if len(found) == MOST:
            break
    return tuple(found)


def _names(alert: Alert) -> tuple[str, str]:
    """Return which model was asked and which one answered, as the look's warning told them."""
    asked, _, told = str(alert.summary.get("detail", "")).partition(": ")
    return asked, told
