"""The alerts of one transaction: read on first use, changed in memory, written back at its end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, or_, select, update

from monitor.core.alerts.grouping import NotificationLog
from monitor.core.entities import Alert, Decision
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Sending
from monitor.core.schedule import micros as us
from monitor.core.state_store import Notice
from monitor.store import tables
from monitor.store.codec import pack, unpack_or_none, unpack_row, us_or_none
from monitor.store.tables import table
from monitor.store.transaction.people import PeopleStore


class AlertStep(StrEnum):
    """What happened to an alert, by the kind of its history entry."""

    FIRED = "fired"
    CHANGED = "changed"
    ENDED = "resolved"


_STEPS = {step.value: step for step in AlertStep}
ALERT, ALERT_EVENT = table(tables.Alert), table(tables.AlertEvent)
DECISION, OUTBOX = table(tables.Decision), table(tables.Outbox)
UNSENT = (Sending.DUE.value, Sending.RETRYING.value, Sending.HELD.value)

# Asked in every transaction, so built once: to build a statement anew costs more than to run it.
_STANDING = (
    select(ALERT.c.body, ALERT.c.told)
    .where(ALERT.c.state != AlertState.RESOLVED.value)
    .order_by(ALERT.c.fired_us, ALERT.c.id)
)
_UPDATE_ALERT = update(ALERT).where(ALERT.c.id == bindparam("name"))
_INSERT_DECISION = insert(DECISION).returning(DECISION.c.id)
_INSERT_NOTICE = insert(OUTBOX)
_MUTED = select(ALERT.c.key).where(ALERT.c.muted.is_(True))


class AlertStore(PeopleStore):
    """The part of :class:`monitor.store.transaction.store.SqlStore` about alerts and deliveries."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        super().__init__(connection, now)
        self.notices = 0
        """Deliveries that became due."""
        self._told: dict[str, dict[str, NotificationLog]] = {}
        self._changed: dict[str, Alert] = {}
        self._log: list[dict[str, Any]] = []
        self._steps: list[tuple[str, AlertStep]] = []

    @cached_property
    def open_alerts(self) -> dict[str, Alert]:
        """Alerts that are not resolved, by key."""
        found: dict[str, Alert] = {}
        for row in self.connection.execute(_STANDING):
            alert = unpack_or_none(Alert, row.body, "alert")
            if alert is not None:
                found[alert.key] = alert
                self._told[alert.id] = _told(row.told)
        return found

    @cached_property
    def muted(self) -> set[str]:
        """Keys of alerts that a person resolved while their condition lasts."""
        return set(self.connection.scalars(_MUTED))

    def mute(self, alert: Alert) -> None:
        """Ignore this alert's condition until it has ended once."""
        self.muted.add(alert.key)
        self._write(alert, muted=True)

    def unmute(self, key: str) -> None:
        """Stop ignoring a condition."""
        self.muted.discard(key)
        self.connection.execute(update(ALERT).where(ALERT.c.key == key).values(muted=False))

    def alert(self, alert: str) -> Alert | None:
        """Return an alert by id, open or not."""
        if alert in self._changed:
            return self._changed[alert]
        standing = next((item for item in self.open_alerts.values() if item.id == alert), None)
        if standing is not None:
            return standing
        body = self.connection.scalar(select(ALERT.c.body).where(ALERT.c.id == alert))
        return unpack_row(Alert, body, f"alert {alert}") if body is not None else None

    def has_alert(self, alert: str) -> bool:
        """Say whether an id is taken, also by an alert that cannot be read."""
        known = select(ALERT.c.id).where(ALERT.c.id == alert)
        return alert in self._changed or self.connection.scalar(known) is not None

    def put_alert(self, alert: Alert) -> None:
        """Keep a new version of an alert."""
        standing = self.open_alerts.get(alert.key)
        self._changed[alert.id] = alert
        if alert.state is not AlertState.RESOLVED:
            self.open_alerts[alert.key] = alert
        elif standing is not None and standing.id == alert.id:
            del self.open_alerts[alert.key]

    def log_alert(self, alert: str, at: datetime, kind: str, by: str, data: Mapping[str, object]) -> None:
        """Append to an alert's history."""
        if kind in _STEPS:
            self._steps.append((alert, _STEPS[kind]))
        self._log.append({"alert": alert, "at_us": us(at), "kind": kind, "by": by, "data": json.dumps(dict(data))})

    def told(self, alert: str) -> dict[str, NotificationLog]:
        """Return route id → what it was told of an alert; change in place, then :meth:`put_alert`."""
        if alert not in self._told:
            known = self.open_alerts  # loading them also fills their notification log
            if alert not in self._told:
                fresh = alert in self._changed and any(item.id == alert for item in known.values())
                text = None if fresh else self.connection.scalar(select(ALERT.c.told).where(ALERT.c.id == alert))
                self._told[alert] = _told(text) if text else {}
        return self._told[alert]

    def fired_since(self, since: datetime) -> Iterable[Alert]:
        """Return the alerts that fired after ``since`` and are over."""
        over = ALERT.c.state == AlertState.RESOLVED.value
        found: dict[str, Alert] = {}
        query = select(ALERT.c.id, ALERT.c.body, ALERT.c.told).where(ALERT.c.fired_us > us(since), over)
        for row in self.connection.execute(query):
            alert = unpack_or_none(Alert, row.body, "alert")
            if alert is not None:
                found[row.id] = alert
                self._told.setdefault(row.id, _told(row.told))
        found |= {name: alert for name, alert in self._changed.items() if alert.fired_at > since}
        return [alert for alert in found.values() if alert.state is AlertState.RESOLVED]

    def outages_since(self, since: datetime) -> Iterable[tuple[Alert, Mapping[str, NotificationLog]]]:
        """Return the alerts about outages that are not over or ended after ``since``, with who was told."""
        recent = or_(ALERT.c.resolved_us.is_(None), ALERT.c.resolved_us >= us(since))
        query = select(ALERT.c.body, ALERT.c.told).where(ALERT.c.rule == Rule.COMPONENT_DOWN.value, recent)
        rows = self.connection.execute(query)
        read = ((unpack_or_none(Alert, row.body, "alert"), row.told) for row in rows)
        return [(alert, _told(told)) for alert, told in read if alert is not None]

    # Decisions and deliveries

    def decided(self, decision: Decision, alert: Alert, channels: Sequence[str]) -> None:
        """Keep a decision, and one due delivery per channel where it says that somebody is told."""
        row = {
            "alert": decision.alert,
            "route": decision.route,
            "send": decision.send,
            "why": decision.why.value,
            "at_us": us(decision.at),
        }
        key = self.connection.scalar(_INSERT_DECISION, row)
        for channel in channels:
            notice = Notice(alert, decision.route, channel, decision.why)
            self._enqueue(notice, f"{alert.id}/{decision.route}/{key}/{channel}")

    def put_notice(self, notice: Notice) -> bool:
        """Make a delivery due without a decision (a test notice); False if it was made before."""
        if self.connection.scalar(select(OUTBOX.c.id).where(OUTBOX.c.alert == notice.alert.id).limit(1)) is not None:
            return False
        self._enqueue(notice, notice.alert.id)
        return True

    def replace_waiting(self, notice: Notice) -> bool:
        """Replace a delivery of the same alert, route and channel that was never tried; False if there is none.

        What was leased once may have got out, whatever became of its sender: its key keeps its first meaning.
        """
        waiting = and_(
            OUTBOX.c.alert == notice.alert.id,
            OUTBOX.c.route == notice.route,
            OUTBOX.c.channel == notice.channel,
            OUTBOX.c.sending.in_(UNSENT),
            OUTBOX.c.leased_until_us.is_(None),
            OUTBOX.c.tries == 0,
        )
        values = {"why": notice.why.value, "body": pack(Alert, notice.alert)}
        return bool(self.connection.execute(update(OUTBOX).where(waiting).values(values)).rowcount)

    def _enqueue(self, notice: Notice, name: str) -> None:
        row = {
            "key": hashlib.sha256(name.encode()).hexdigest()[:32],
            "alert": notice.alert.id,
            "route": notice.route,
            "channel": notice.channel,
            "why": notice.why.value,
            "sending": Sending.DUE.value,
            "created_us": us(self.now),
            "due_us": us(self.now),
            "tries": 0,
            "owner": "",
            "error": "",
            "body": pack(Alert, notice.alert),
        }
        self.connection.execute(_INSERT_NOTICE, row)
        self.notices += 1

    # Writing back

    @property
    def changed_alerts(self) -> set[str]:
        """Ids of the alerts that changed in this transaction."""
        return set(self._changed)

    @property
    def alert_steps(self) -> list[tuple[AlertStep, Alert]]:
        """What became of which alert in this transaction, the alert as it is at the end of it."""
        return [(step, self._changed[name]) for name, step in self._steps if name in self._changed]

    def flush_alerts(self) -> None:
        """Write back what changed, resolved alerts first: only one alert of a key may be open at any time."""
        for alert in sorted(self._changed.values(), key=lambda item: item.state is not AlertState.RESOLVED):
            self._write(alert)
        if self._log:
            self.connection.execute(insert(ALERT_EVENT), self._log)
            self._log = []

    def _write(self, alert: Alert, **more: Any) -> None:
        row = {
            "key": alert.key,
            "state": alert.state.value,
            "rule": str(alert.rule),
            "service": alert.service,
            "component": alert.component,
            "incident": alert.incident,
            "fired_us": us(alert.fired_at),
            "resolved_us": us_or_none(alert.resolved_at),
            "body": pack(Alert, alert),
            "told": pack(dict[str, NotificationLog], self.told(alert.id)),
            **more,
        }
        if not self.connection.execute(_UPDATE_ALERT, row | {"name": alert.id}).rowcount:
            # A damaged alert with this key is still open and would block the key for ever.
            open_now = (ALERT.c.key == alert.key, ALERT.c.state != AlertState.RESOLVED.value)
            over = {"state": AlertState.RESOLVED.value, "resolved_us": us(self.now)}
            self.connection.execute(update(ALERT).where(*open_now).values(over))
            self.connection.execute(insert(ALERT).values({"muted": False, **row, "id": alert.id}))


def _told(text: str) -> dict[str, NotificationLog]:
    return unpack_or_none(dict[str, NotificationLog], text, "record of who was told") or {}
