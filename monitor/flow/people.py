"""What a person commands: carried out together with its audit row, or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Engine, insert, select, update

from monitor.core import commands as c
from monitor.core.alerts import SilenceWindow
from monitor.core.conditions import alert_key
from monitor.core.events import Alert, EventData, Incident, IncidentEvent
from monitor.core.incident_events import Hidden, Note, Opened, Postmortem, Published, Resolved
from monitor.core.incidents import incident_id, is_open
from monitor.core.lifecycle import IllegalTransitionError
from monitor.core.maintenance import Maintenance, repeat_fault
from monitor.core.model import AlertState, Sending, Severity, Verdict, Why
from monitor.core.rules import Rule
from monitor.flow.paging import ALERT, OUTBOX, SILENCE, Paging, load_alert, put_alert
from monitor.flow.planning import maintenance_row
from monitor.flow.recording import follow
from monitor.flow.working import Working
from monitor.store import tables
from monitor.store.codec import pack, us
from monitor.store.engine import begin
from monitor.store.tables import table

AUDIT, JUDGEMENT = table(tables.Audit), table(tables.Judgement)
MAINTENANCE = table(tables.Maintenance)
LONGEST_SILENCE = timedelta(days=90)


class CommandError(Exception):
    """The command cannot be carried out; the text is for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of a command. ``subject`` is the id of what it was about or made."""

    subject: str
    changed: bool


def command(engine: Engine, order: c.Command, who: str, now: datetime, why: str = "") -> Carried:
    """Carry out a person's command in one transaction with its audit row. Raises :class:`CommandError`.

    Repeating one changes nothing the second time and leaves no second audit row.
    """
    with begin(engine) as connection:
        desk = Desk(Working(connection, now), who, why)
        done = _HANDLERS[type(order)](desk, order)
        desk.work.flush()
        desk.paging.decide()
        if done.changed:
            row = {
                "at_us": us(now),
                "who": who,
                "action": type(order).__name__,
                "subject": done.subject,
                "why": why,
                "data": json.dumps(asdict(order), default=_plain),
            }
            connection.execute(insert(AUDIT).values(row))
    return done


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else str(value)


class Desk:
    """One command at work."""

    def __init__(self, work: Working, who: str, why: str) -> None:
        self.work, self.who, self.why = work, who, why
        self.now = work.now
        self.paging = Paging(work)

    def alert(self, alert_id: str) -> Alert:
        """Return an alert that must exist, with what is open loaded beside it."""
        open_now = {alert.id: alert for alert in self.paging.open.values()}
        found = open_now.get(alert_id) or load_alert(self.work, alert_id)
        if found is None:
            raise CommandError(f"there is no alert {alert_id}")
        return found

    def incident(self, incident_id_: str) -> Incident:
        """Return an incident that must exist; its service is locked first."""
        found = self.work.incident(incident_id_)
        if found is None:
            raise CommandError(f"there is no incident {incident_id_}")
        self.work.load([found.service])
        return self.work.incident(incident_id_) or found

    def tell(self, incident: Incident | None, what: EventData, new_id: str = "") -> Incident:
        """Append a person's event to an incident."""
        seq = incident.last_seq + 1 if incident else 1
        event = IncidentEvent(incident.id if incident else new_id, seq, self.now, self.now, what, self.who)
        try:
            return self.work.happened(event, incident)
        except IllegalTransitionError as error:
            raise CommandError(str(error)) from None

    def id(self, *parts: object) -> str:
        """Return an id for something that a person makes."""
        digest = hashlib.sha256("|".join(str(part) for part in (self.who, self.now, *parts)).encode()).hexdigest()
        return f"{self.now:%Y%m%dT%H%M%S}-{digest[:10]}"


def _acknowledge(desk: Desk, order: c.AcknowledgeAlert) -> Carried:
    alert = desk.alert(order.alert)
    if alert.state is not AlertState.FIRING:
        return Carried(alert.id, False)
    for one in [alert, *desk.paging.behind(alert)]:
        if one.state is AlertState.FIRING:
            after = replace(one, state=AlertState.ACKNOWLEDGED, acknowledged_at=desk.now, acknowledged_by=desk.who)
            desk.paging.log(one.id, desk.now, "acknowledged", desk.who, {"why": desk.why})
            desk.paging.put(after)
    return Carried(alert.id, True)


def _resolve_alert(desk: Desk, order: c.ResolveAlert) -> Carried:
    alert = desk.alert(order.alert)
    if alert.state is AlertState.RESOLVED:
        return Carried(alert.id, False)
    desk.paging.end(alert, desk.now, desk.who, resolved_by=desk.who)
    desk.work.connection.execute(update(ALERT).where(ALERT.c.id == alert.id).values(muted=True))
    return Carried(alert.id, True)


def _judge(desk: Desk, order: c.JudgeAlert) -> Carried:
    alert = desk.alert(order.alert)
    values = {"verdict": order.verdict.value, "by": desk.who, "at_us": us(desk.now), "note": order.text}
    _put_verdict(desk, alert.id, values)
    return Carried(alert.id, True)


def _put_verdict(desk: Desk, alert_id: str, values: Mapping[str, Any]) -> None:
    connection = desk.work.connection
    if not connection.execute(update(JUDGEMENT).where(JUDGEMENT.c.alert == alert_id).values(**values)).rowcount:
        connection.execute(insert(JUDGEMENT).values({**values, "alert": alert_id}))


def _report_missed(desk: Desk, order: c.ReportMissed) -> Carried:
    alert = Alert(
        id=desk.id(order.component, order.started_at),
        key=alert_key(order.service, order.component, Rule.MISSED, desk.id(order.text)),
        rule=Rule.MISSED,
        severity=Severity.INFO,
        state=AlertState.RESOLVED,
        service=order.service,
        component=order.component,
        started_at=order.started_at,
        fired_at=desk.now,
        resolved_at=order.ended_at or desk.now,
        summary={"text": order.text, "by": desk.who},
    )
    put_alert(desk.work, alert, {})
    note = {"verdict": Verdict.MISSED.value, "by": desk.who, "at_us": us(desk.now), "note": order.text}
    _put_verdict(desk, alert.id, note)
    return Carried(alert.id, True)


def _open_incident(desk: Desk, order: c.OpenIncident) -> Carried:
    desk.work.load([order.service])
    unknown = [name for name in order.components if name not in desk.work.parts]
    if order.service not in desk.work.index.services or unknown:
        raise CommandError(f"not in the catalogue: {', '.join(unknown) or order.service}")
    standing = desk.work.latest(order.service, order.cause)
    if is_open(standing) and standing is not None:
        raise CommandError(f"incident {standing.id} of this service and cause is open: post an update to it")
    facts = order.service, order.cause, order.impact
    opened = Opened(*facts, components=order.components, title=order.title, public=order.public)
    incident = desk.tell(None, opened, incident_id(order.service, order.cause, desk.now))
    if order.text:
        incident = desk.tell(incident, Note(order.text))
    return Carried(incident.id, True)


def _post_update(desk: Desk, order: c.PostUpdate) -> Carried:
    incident = desk.incident(order.incident)
    desk.tell(incident, Note(order.text, order.status, order.impact, order.title))
    return Carried(incident.id, True)


def _resolve_incident(desk: Desk, order: c.ResolveIncident) -> Carried:
    incident = desk.incident(order.incident)
    if not is_open(incident):
        return Carried(incident.id, False)
    if order.text:
        incident = desk.tell(incident, Note(order.text))
    lasted = (desk.now - incident.started_at).total_seconds()
    incident = desk.tell(incident, Resolved(max(0.0, lasted), by_rule=False))
    desk.paging.meet(follow(desk.work, incident.service, desk.now), desk.now)
    return Carried(incident.id, True)


def _publish(desk: Desk, order: c.PublishIncident) -> Carried:
    incident = desk.incident(order.incident)
    if incident.public:
        return Carried(incident.id, False)
    desk.tell(incident, Published())
    return Carried(incident.id, True)


def _hide(desk: Desk, order: c.HideIncident) -> Carried:
    incident = desk.incident(order.incident)
    if not incident.public and incident.hidden_by:
        return Carried(incident.id, False)
    desk.tell(incident, Hidden())
    return Carried(incident.id, True)


def _postmortem(desk: Desk, order: c.WritePostmortem) -> Carried:
    incident = desk.incident(order.incident)
    desk.tell(incident, Postmortem(order.text))
    return Carried(incident.id, True)


def _silence(desk: Desk, order: c.Silence) -> Carried:
    if not (order.service or order.component or order.rule or order.everything):
        raise CommandError("this silence would match everything: say so explicitly if you mean it")
    starts = order.starts_at or desk.now
    if order.until <= max(starts, desk.now):
        raise CommandError("the silence would be over before it begins")
    if order.until - desk.now > LONGEST_SILENCE:
        raise CommandError(f"a silence may last {LONGEST_SILENCE.days} days at most")
    window = SilenceWindow(
        desk.id(order), starts, order.until, service=order.service, component=order.component, rule=order.rule
    )
    row = {
        "id": window.id,
        "starts_us": us(starts),
        "ends_us": us(order.until),
        "by": desk.who,
        "why": desk.why,
        "body": pack(SilenceWindow, window),
    }
    desk.work.connection.execute(insert(SILENCE).values(row))
    return Carried(window.id, True)


def _unsilence(desk: Desk, order: c.Unsilence) -> Carried:
    mine = (SILENCE.c.id == order.silence,)
    if desk.work.connection.scalar(select(SILENCE.c.id).where(*mine)) is None:
        raise CommandError(f"there is no silence {order.silence}")
    open_now = (*mine, SILENCE.c.removed_us.is_(None), SILENCE.c.ends_us > us(desk.now))
    done = desk.work.connection.execute(update(SILENCE).where(*open_now).values(removed_us=us(desk.now)))
    return Carried(order.silence, bool(done.rowcount))


def _schedule(desk: Desk, order: c.ScheduleMaintenance) -> Carried:
    if order.service not in desk.work.index.services:
        raise CommandError(f"there is no service {order.service}")
    if order.ends_at <= order.starts_at:
        raise CommandError("maintenance ends after it starts")
    item = Maintenance(
        desk.id(order),
        order.service,
        order.components,
        order.starts_at,
        order.ends_at,
        order.repeat,
        order.time_zone,
        order.repeat_until,
    )
    if why := repeat_fault(item):
        raise CommandError(why)
    desk.work.connection.execute(insert(MAINTENANCE).values(maintenance_row(item, order.title, order.text, desk.who)))
    return Carried(item.id, True)


def _cancel(desk: Desk, order: c.CancelMaintenance) -> Carried:
    mine = (MAINTENANCE.c.id == order.maintenance,)
    if desk.work.connection.scalar(select(MAINTENANCE.c.id).where(*mine)) is None:
        raise CommandError(f"there is no maintenance {order.maintenance}")
    open_now = (*mine, MAINTENANCE.c.cancelled_us.is_(None))
    done = desk.work.connection.execute(update(MAINTENANCE).where(*open_now).values(cancelled_us=us(desk.now)))
    return Carried(order.maintenance, bool(done.rowcount))


def _send_test(desk: Desk, order: c.SendTest) -> Carried:
    alert = Alert(
        id=desk.id(order.channel),
        key=alert_key("", "", Rule.TEST, desk.id(order.channel)),
        rule=Rule.TEST,
        severity=order.severity,
        state=AlertState.FIRING,
        service="",
        component="",
        started_at=desk.now,
        fired_at=desk.now,
        summary={"by": desk.who},
    )
    row = {
        "key": hashlib.sha256(alert.id.encode()).hexdigest()[:32],
        "alert": alert.id,
        "route": "",
        "channel": order.channel,
        "why": Why.FIRST.value,
        "sending": Sending.DUE.value,
        "created_us": us(desk.now),
        "due_us": us(desk.now),
        "tries": 0,
        "owner": "",
        "error": "",
        "body": pack(Alert, alert),
    }
    desk.work.connection.execute(insert(OUTBOX).values(row))
    return Carried(alert.id, True)


_HANDLERS: Mapping[type, Callable[[Desk, Any], Carried]] = {
    c.AcknowledgeAlert: _acknowledge,
    c.ResolveAlert: _resolve_alert,
    c.JudgeAlert: _judge,
    c.ReportMissed: _report_missed,
    c.OpenIncident: _open_incident,
    c.PostUpdate: _post_update,
    c.ResolveIncident: _resolve_incident,
    c.PublishIncident: _publish,
    c.HideIncident: _hide,
    c.WritePostmortem: _postmortem,
    c.Silence: _silence,
    c.Unsilence: _unsilence,
    c.ScheduleMaintenance: _schedule,
    c.CancelMaintenance: _cancel,
    c.SendTest: _send_test,
}
