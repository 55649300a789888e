"""From conditions to alerts, decisions and the outbox, in the transaction that judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import and_, insert, select, update

from monitor.core.alerts import (
    SENDS,
    SilenceWindow,
    Surroundings,
    after,
    decide_routes,
    just_back,
    parents,
    reconcile,
)
from monitor.core.catalogue import Policy
from monitor.core.conditions import Condition
from monitor.core.digest import WINDOW, Held, count, digests, lately, stands_for
from monitor.core.events import Alert, Decision
from monitor.core.model import AlertState, Health, Sending, Why
from monitor.core.rules import Rule
from monitor.core.told import DIGEST, NOTHING, Lately, Told
from monitor.flow.working import Working
from monitor.store import tables
from monitor.store.codec import pack, unpack, us, us_or_none, when_or_none
from monitor.store.tables import table
from monitor.store.views import WORKER_LIMIT

ALERT, ALERT_EVENT = table(tables.Alert), table(tables.AlertEvent)
DECISION, OUTBOX, SILENCE, WORKER = (
    table(tables.Decision),
    table(tables.Outbox),
    table(tables.Silence),
    table(tables.Worker),
)
_DOWN = (Health.PARTIAL, Health.MAJOR)


@dataclass
class Paging:
    """The open alerts of one transaction and what is decided about them."""

    work: Working
    changed: dict[str, Alert] = field(default_factory=dict)
    notices: int = 0

    @cached_property
    def open(self) -> dict[str, Alert]:
        """Alerts that are not resolved, by key."""
        rows = self.work.connection.execute(
            select(ALERT.c.body, ALERT.c.told).where(ALERT.c.state != AlertState.RESOLVED.value)
        )
        found: dict[str, Alert] = {}
        for row in rows:
            alert = unpack(Alert, row.body)
            found[alert.key] = alert
            self.told[alert.id] = unpack(dict[str, Told], row.told)
        return found

    @cached_property
    def told(self) -> dict[str, dict[str, Told]]:
        """Alert id → route id → what it was told."""
        return {}

    def is_news(self, condition: Condition) -> bool:
        """Say whether a condition can change anything: most are about what never fired."""
        return condition.holds or condition.key in self.open or condition.key in self.muted

    @property
    def is_quiet(self) -> bool:
        """Say whether nothing is open or muted, so that a condition that does not hold can change nothing."""
        return not self.open and not self.muted

    def meet(self, conditions: Iterable[Condition], at: datetime) -> None:
        """Open, follow and end alerts by these conditions, as of event time ``at``."""
        news = [condition for condition in conditions if self.is_news(condition) and not self._is_muted(condition)]
        if not news:
            return
        for alert in reconcile(self.open.values(), news, at):
            before = self.open.get(alert.key)
            if before is None or before.state is not alert.state or before.severity is not alert.severity:
                kind = "fired" if before is None else "resolved" if alert.resolved_at else "changed"
                self.log(alert.id, at, kind, "", {"severity": alert.severity.value})
            self.put(alert)

    def end(self, alert: Alert, at: datetime, by: str = "", **facts: Any) -> None:
        """Resolve an alert for another reason than that its condition is over."""
        ended = replace(alert, state=AlertState.RESOLVED, resolved_at=at, summary={**alert.summary, **facts})
        self.log(alert.id, at, "resolved", by, facts)
        self.put(ended)

    def behind(self, alert: Alert) -> list[Alert]:
        """Return the open alerts that a digest stands for; none for any other alert."""
        return stands_for([alert], self._held())

    def put(self, alert: Alert) -> None:
        """Take a new version of an alert into the working set."""
        self.changed[alert.id] = alert
        if alert.state is AlertState.RESOLVED:
            self.open.pop(alert.key, None)
        else:
            self.open[alert.key] = alert

    def log(self, alert: str, at: datetime, kind: str, by: str, data: Mapping[str, Any]) -> None:
        """Append to the alert's history."""
        row = {"alert": alert, "at_us": us(at), "kind": kind, "by": by, "data": json.dumps(dict(data))}
        self.work.connection.execute(insert(ALERT_EVENT).values(row))

    @cached_property
    def muted(self) -> set[str]:
        """Keys of alerts that a person resolved while their condition lasts."""
        return set(self.work.connection.scalars(select(ALERT.c.key).where(ALERT.c.muted.is_(True))))

    def _is_muted(self, condition: Condition) -> bool:
        """Say whether a person ended this alert before its condition was over; once it is over, listen again."""
        if condition.key not in self.muted:
            return False
        if not condition.holds:
            self.muted.discard(condition.key)
            self.work.connection.execute(update(ALERT).where(ALERT.c.key == condition.key).values(muted=False))
        return True

    # Routes

    def decide(self, *, everything: bool = False) -> None:
        """Decide for every changed alert, or for every open one, who is told; write it all down."""
        todo = dict(self.changed)
        if everything:
            todo |= {alert.id: alert for alert in self.open.values()}
        for alert in [alert for alert in todo.values() if alert.rule != DIGEST]:
            self._decide(alert)
        if not todo:
            return
        self.meet(digests(self._held(), self.open.values()), self.work.now)
        for alert in (todo | self.changed | {alert.id: alert for alert in self.open.values()}).values():
            if alert.rule == DIGEST:
                self._decide(self.open.get(alert.key, alert))

    def _held(self) -> list[Held]:
        return [(alert, self.told.get(alert.id, {})) for alert in self.open.values()]

    @cached_property
    def lately(self) -> Lately:
        """What each route was told singly in the newest minutes, of alerts that are over already, too."""
        recent = ALERT.c.fired_us > us(self.work.now - WINDOW)
        query = select(ALERT.c.body, ALERT.c.told).where(recent, ALERT.c.state == AlertState.RESOLVED.value)
        over = [
            (unpack(Alert, row.body), unpack(dict[str, Told], row.told)) for row in self.work.connection.execute(query)
        ]
        return lately([*over, *self._held()], self.work.now)

    def _decide(self, alert: Alert) -> None:
        told = self.told.get(alert.id) or self._load_told(alert.id)
        around = replace(self.around, policy=self.work.policy(alert.service), lately=self.lately)
        decisions = decide_routes(alert, self.work.catalogue.routes, told, around)
        for decision in decisions:
            told = told | {decision.route: after(told.get(decision.route, NOTHING), decision, alert)}
            count(self.lately, decision, alert)
            self._store(decision, alert)
        if decisions or alert.id in self.changed:
            put_alert(self.work, alert, told)
        self.told[alert.id] = told

    def _load_told(self, alert_id: str) -> dict[str, Told]:
        text = self.work.connection.scalar(select(ALERT.c.told).where(ALERT.c.id == alert_id))
        return unpack(dict[str, Told], text) if text else {}

    @cached_property
    def around(self) -> Surroundings:
        """What holds notices back now."""
        work = self.work
        silences = work.connection.execute(
            select(SILENCE.c.body).where(
                SILENCE.c.ends_us > us(work.now), SILENCE.c.starts_us <= us(work.now), SILENCE.c.removed_us.is_(None)
            )
        )
        down = {part.component.id for part in work.parts.values() if part.health in _DOWN}
        works = {part.component.id: part.since for part in work.parts.values() if part.health not in _DOWN}
        for row in self._elsewhere():
            if Health(row.health) in _DOWN:
                down.add(row.id)
            else:
                works[row.id] = when_or_none(row.since_us)
        known = {name: since for name, since in works.items() if since is not None}
        return Surroundings(
            now=work.now,
            policy=Policy(),
            silences=tuple(unpack(SilenceWindow, row.body) for row in silences),
            maintenance=tuple(work.windows()),
            blind=self._blind(),
            down=frozenset(down) | just_back(self.open.values(), known, work.now, work.policy),
            up=frozenset(known),
            depends_on=parents(work.catalogue),
            late=work.backfill,
        )

    def _blind(self) -> str:
        """Return why everybody is blind; empty while one living worker sees."""
        living = WORKER.c.seen_us >= us(self.work.now - WORKER_LIMIT)
        rows = list(self.work.connection.execute(select(WORKER.c.blind_us, WORKER.c.blind_reason).where(living)))
        return str(rows[0].blind_reason) if rows and all(row.blind_us is not None for row in rows) else ""

    def _elsewhere(self) -> Iterator[Any]:
        """Yield the components of other services that are down, or were when their alert was last seen."""
        component = table(tables.Component)
        told = [alert.component for alert in self.open.values() if alert.rule is Rule.COMPONENT_DOWN]
        query = select(component.c.id, component.c.health, component.c.since_us).where(
            component.c.health.in_([health.value for health in _DOWN]) | component.c.id.in_(told)
        )
        return (row for row in self.work.connection.execute(query) if row.id not in self.work.parts)

    def _store(self, decision: Decision, alert: Alert) -> None:
        row = {
            "alert": decision.alert,
            "route": decision.route,
            "send": decision.send,
            "why": decision.why.value,
            "at_us": us(decision.at),
        }
        key = self.work.connection.scalar(insert(DECISION).values(row).returning(DECISION.c.id))
        assert decision.send == (decision.why in SENDS)
        route = next((route for route in self.work.catalogue.routes if route.id == decision.route), None)
        if decision.send and route is not None:
            for channel in dict.fromkeys(route.channels):
                self._enqueue(alert, decision, channel, f"{alert.id}/{decision.route}/{key}/{channel}")

    def _enqueue(self, alert: Alert, decision: Decision, channel: str, name: str) -> None:
        """Put one delivery into the outbox. A trigger that never got out and its end become one message.

        What was leased once may have got out, whatever became of its sender: its key keeps its first meaning.
        """
        connection, now = self.work.connection, us(self.work.now)
        waiting = and_(
            OUTBOX.c.alert == alert.id,
            OUTBOX.c.route == decision.route,
            OUTBOX.c.channel == channel,
            OUTBOX.c.sending.in_((Sending.DUE.value, Sending.RETRYING.value, Sending.HELD.value)),
            OUTBOX.c.leased_until_us.is_(None),
        )
        if decision.why in (Why.RESOLVED, Why.WORSE, Why.REPEAT):
            values = {"why": decision.why.value, "body": pack(Alert, alert)}
            if connection.execute(update(OUTBOX).where(waiting, OUTBOX.c.tries == 0).values(values)).rowcount:
                return
        row = {
            "key": hashlib.sha256(name.encode()).hexdigest()[:32],
            "alert": alert.id,
            "route": decision.route,
            "channel": channel,
            "why": decision.why.value,
            "sending": Sending.DUE.value,
            "created_us": now,
            "due_us": now,
            "tries": 0,
            "owner": "",
            "error": "",
            "body": pack(Alert, alert),
        }
        connection.execute(insert(OUTBOX).values(row))
        self.notices += 1


def put_alert(work: Working, alert: Alert, told: Mapping[str, Told], **more: Any) -> None:
    """Write an alert's row."""
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
        "told": pack(dict[str, Told], dict(told)),
        **more,
    }
    done = work.connection.execute(update(ALERT).where(ALERT.c.id == alert.id).values(row))
    if not done.rowcount:
        work.connection.execute(insert(ALERT).values({"muted": False, **row, "id": alert.id}))


def load_alert(work: Working, alert_id: str) -> Alert | None:
    """Return an alert by id."""
    body = work.connection.scalar(select(ALERT.c.body).where(ALERT.c.id == alert_id))
    return unpack(Alert, body) if body else None
