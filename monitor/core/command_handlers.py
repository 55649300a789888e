"""What a person commands, carried out over a :class:`monitor.core.state_store.StateStore`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core import commands as c
from monitor.core.alerts.conditions import alert_key
from monitor.core.alerts.pipeline import Pipeline
from monitor.core.alerts.routing import SilenceWindow
from monitor.core.alerts.rules import Rule
from monitor.core.commands import Carried, CommandError
from monitor.core.components.verdicts import follow
from monitor.core.entities import Alert, Incident, IncidentEvent
from monitor.core.incidents.events import EventData, Hidden, Note, Opened, Postmortem, Published, Resolved
from monitor.core.incidents.rules import incident_id
from monitor.core.incidents.transitions import IllegalTransitionError, is_open
from monitor.core.maintenance import Maintenance, repeat_fault
from monitor.core.model import AlertState, Severity, Verdict, Why
from monitor.core.state_store import Notice, StateStore

LONGEST_SILENCE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Desk:
    """One command at work."""

    store: StateStore
    pipeline: Pipeline
    who: str
    now: datetime
    why: str = ""

    def alert(self, alert_id: str) -> Alert:
        """Return an alert that must exist."""
        found = self.store.alert(alert_id)
        if found is None:
            raise CommandError(f"there is no alert {alert_id}")
        return found

    def incident(self, incident_id_: str) -> Incident:
        """Return an incident that must exist; its service is locked first."""
        found = self.store.incident(incident_id_)
        if found is None:
            raise CommandError(f"there is no incident {incident_id_}")
        self.store.load([found.service])
        return self.store.incident(incident_id_) or found

    def tell(self, incident: Incident | None, what: EventData, new_id: str = "") -> Incident:
        """Append a person's event to an incident."""
        seq = incident.last_seq + 1 if incident else 1
        event = IncidentEvent(incident.id if incident else new_id, seq, self.now, self.now, what, self.who)
        try:
            return self.store.happened(event, incident)
        except IllegalTransitionError as error:
            raise CommandError(str(error)) from None

    def id(self, *parts: object) -> str:
        """Return an id for something that a person makes."""
        digest = hashlib.sha256("|".join(str(part) for part in (self.who, self.now, *parts)).encode()).hexdigest()
        return f"{self.now:%Y%m%dT%H%M%S}-{digest[:10]}"


def carry_out(desk: Desk, order: c.Command) -> Carried:
    """Carry out a command; repeating one changes nothing. Raises :class:`monitor.core.commands.CommandError`."""
    return _HANDLERS[type(order)](desk, order)


def _acknowledge(desk: Desk, order: c.AcknowledgeAlert) -> Carried:
    alert = desk.alert(order.alert)
    if alert.state is not AlertState.FIRING:
        return Carried(alert.id, False)
    for one in [alert, *desk.pipeline.behind(alert)]:
        if one.state is AlertState.FIRING:
            after = replace(one, state=AlertState.ACKNOWLEDGED, acknowledged_at=desk.now, acknowledged_by=desk.who)
            desk.store.log_alert(one.id, desk.now, "acknowledged", desk.who, {"why": desk.why})
            desk.pipeline.put(after)
    return Carried(alert.id, True)


def _resolve_alert(desk: Desk, order: c.ResolveAlert) -> Carried:
    alert = desk.alert(order.alert)
    if alert.state is AlertState.RESOLVED:
        return Carried(alert.id, False)
    desk.store.mute(desk.pipeline.end(alert, desk.now, desk.who, resolved_by=desk.who))
    return Carried(alert.id, True)


def _judge(desk: Desk, order: c.JudgeAlert) -> Carried:
    alert = desk.alert(order.alert)
    desk.store.put_verdict(alert.id, order.verdict, desk.who, desk.now, order.text)
    return Carried(alert.id, True)


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
    desk.store.put_alert(alert)
    desk.store.put_verdict(alert.id, Verdict.MISSED, desk.who, desk.now, order.text)
    return Carried(alert.id, True)


def _open_incident(desk: Desk, order: c.OpenIncident) -> Carried:
    desk.store.load([order.service])
    known = desk.store.index.components
    unknown = [name for name in order.components if name not in known or known[name].service != order.service]
    if order.service not in desk.store.index.services or unknown:
        raise CommandError(f"not in the catalogue: {', '.join(unknown) or order.service}")
    standing = desk.store.latest(order.service, order.cause)
    if is_open(standing) and standing is not None:
        raise CommandError(f"incident {standing.id} of this service and cause is open: post an update to it")
    facts = order.service, order.cause, order.impact
    opened = Opened(*facts, components=order.components, title=order.title, public=order.public)
    new_id = incident_id(order.service, order.cause, desk.now, standing.id if standing else "")
    incident = desk.tell(None, opened, new_id)
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
    desk.pipeline.meet(follow(desk.store, incident.service, desk.now, desk.now), desk.now)
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
    return Carried(window.id, desk.store.put_silence(window, desk.who, desk.why))


def _unsilence(desk: Desk, order: c.Unsilence) -> Carried:
    ended = desk.store.end_silence(order.silence, desk.now)
    if ended is None:
        raise CommandError(f"there is no silence {order.silence}")
    return Carried(order.silence, ended)


def _schedule(desk: Desk, order: c.ScheduleMaintenance) -> Carried:
    if order.service not in desk.store.index.services:
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
    return Carried(item.id, desk.store.put_maintenance(item, order.title, order.text, desk.who))


def _cancel(desk: Desk, order: c.CancelMaintenance) -> Carried:
    called_off = desk.store.cancel_maintenance(order.maintenance, desk.now)
    if called_off is None:
        raise CommandError(f"there is no maintenance {order.maintenance}")
    return Carried(order.maintenance, called_off)


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
    return Carried(alert.id, desk.store.put_notice(Notice(alert, "", order.channel, Why.FIRST)))


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
