"""What a person commands, carried out over a :class:`monitor.core.state_store.StateStore`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core import commands as c
from monitor.core.alerts.conditions import alert_key
from monitor.core.alerts.routing import SilenceWindow
from monitor.core.commands import CommandError, CommandResult
from monitor.core.entities import Alert, Incident, IncidentEvent
from monitor.core.incidents.rules import incident_id
from monitor.core.incidents.transitions import IllegalTransitionError, is_open
from monitor.core.judging.pipeline import Pipeline
from monitor.core.judging.verdicts import follow
from monitor.core.maintenance import Maintenance, repeat_fault
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity, Verdict, Why
from monitor.core.model.incident_events import EventData, Hidden, Note, Opened, Postmortem, Published, Resolved
from monitor.core.state_store import Notice, StateStore

LONGEST_SILENCE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What every handler of a command needs: store, pipeline, and who does it, when and why."""

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


def carry_out(context: CommandContext, order: c.Command) -> CommandResult:
    """Carry out a command; repeating one changes nothing. Raises :class:`monitor.core.commands.CommandError`."""
    return _HANDLERS[type(order)](context, order)


def _acknowledge(context: CommandContext, order: c.AcknowledgeAlert) -> CommandResult:
    alert = context.alert(order.alert)
    if alert.state is not AlertState.FIRING:
        return CommandResult(alert.id, False)
    for one in [alert, *context.pipeline.behind(alert)]:
        if one.state is AlertState.FIRING:
            after = replace(
                one, state=AlertState.ACKNOWLEDGED, acknowledged_at=context.now, acknowledged_by=context.who
            )
            context.store.log_alert(one.id, context.now, "acknowledged", context.who, {"why": context.why})
            context.pipeline.put(after)
    return CommandResult(alert.id, True)


def _resolve_alert(context: CommandContext, order: c.ResolveAlert) -> CommandResult:
    alert = context.alert(order.alert)
    if alert.state is AlertState.RESOLVED:
        return CommandResult(alert.id, False)
    context.store.mute(context.pipeline.end(alert, context.now, context.who, resolved_by=context.who))
    return CommandResult(alert.id, True)


def _judge(context: CommandContext, order: c.JudgeAlert) -> CommandResult:
    alert = context.alert(order.alert)
    context.store.put_verdict(alert.id, order.verdict, context.who, context.now, order.text)
    return CommandResult(alert.id, True)


def _report_missed(context: CommandContext, order: c.ReportMissed) -> CommandResult:
    alert = Alert(
        id=context.id(order.component, order.started_at),
        key=alert_key(order.service, order.component, Rule.MISSED, context.id(order.text)),
        rule=Rule.MISSED,
        severity=Severity.INFO,
        state=AlertState.RESOLVED,
        service=order.service,
        component=order.component,
        started_at=order.started_at,
        fired_at=context.now,
        resolved_at=order.ended_at or context.now,
        summary={"text": order.text, "by": context.who},
    )
    context.store.put_alert(alert)
    context.store.put_verdict(alert.id, Verdict.MISSED, context.who, context.now, order.text)
    return CommandResult(alert.id, True)


def _open_incident(context: CommandContext, order: c.OpenIncident) -> CommandResult:
    context.store.load([order.service])
    known = context.store.index.components
    unknown = [name for name in order.components if name not in known or known[name].service != order.service]
    if order.service not in context.store.index.services or unknown:
        raise CommandError(f"not in the catalogue: {', '.join(unknown) or order.service}")
    standing = context.store.latest(order.service, order.cause)
    if is_open(standing) and standing is not None:
        raise CommandError(f"incident {standing.id} of this service and cause is open: post an update to it")
    facts = order.service, order.cause, order.impact
    opened = Opened(*facts, components=order.components, title=order.title, public=order.public)
    new_id = incident_id(order.service, order.cause, context.now, standing.id if standing else "")
    incident = context.tell(None, opened, new_id)
    if order.text:
        incident = context.tell(incident, Note(order.text))
    return CommandResult(incident.id, True)


def _post_update(context: CommandContext, order: c.PostUpdate) -> CommandResult:
    incident = context.incident(order.incident)
    context.tell(incident, Note(order.text, order.status, order.impact, order.title))
    return CommandResult(incident.id, True)


def _resolve_incident(context: CommandContext, order: c.ResolveIncident) -> CommandResult:
    incident = context.incident(order.incident)
    if not is_open(incident):
        return CommandResult(incident.id, False)
    if order.text:
        incident = context.tell(incident, Note(order.text))
    lasted = (context.now - incident.started_at).total_seconds()
    incident = context.tell(incident, Resolved(max(0.0, lasted), by_rule=False))
    context.pipeline.meet(follow(context.store, incident.service, context.now, context.now), context.now)
    return CommandResult(incident.id, True)


def _publish(context: CommandContext, order: c.PublishIncident) -> CommandResult:
    incident = context.incident(order.incident)
    if incident.public:
        return CommandResult(incident.id, False)
    context.tell(incident, Published())
    return CommandResult(incident.id, True)


def _hide(context: CommandContext, order: c.HideIncident) -> CommandResult:
    incident = context.incident(order.incident)
    if not incident.public and incident.hidden_by:
        return CommandResult(incident.id, False)
    context.tell(incident, Hidden())
    return CommandResult(incident.id, True)


def _postmortem(context: CommandContext, order: c.WritePostmortem) -> CommandResult:
    incident = context.incident(order.incident)
    context.tell(incident, Postmortem(order.text))
    return CommandResult(incident.id, True)


def _silence(context: CommandContext, order: c.Silence) -> CommandResult:
    if not (order.service or order.component or order.rule or order.everything):
        raise CommandError("this silence would match everything: say so explicitly if you mean it")
    starts = order.starts_at or context.now
    if order.until <= max(starts, context.now):
        raise CommandError("the silence would be over before it begins")
    if order.until - context.now > LONGEST_SILENCE:
        raise CommandError(f"a silence may last {LONGEST_SILENCE.days} days at most")
    window = SilenceWindow(
        context.id(order), starts, order.until, service=order.service, component=order.component, rule=order.rule
    )
    return CommandResult(window.id, context.store.put_silence(window, context.who, context.why))


def _unsilence(context: CommandContext, order: c.Unsilence) -> CommandResult:
    ended = context.store.end_silence(order.silence, context.now)
    if ended is None:
        raise CommandError(f"there is no silence {order.silence}")
    return CommandResult(order.silence, ended)


def _schedule(context: CommandContext, order: c.ScheduleMaintenance) -> CommandResult:
    if order.service not in context.store.index.services:
        raise CommandError(f"there is no service {order.service}")
    if order.ends_at <= order.starts_at:
        raise CommandError("maintenance ends after it starts")
    item = Maintenance(
        context.id(order),
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
    return CommandResult(item.id, context.store.put_maintenance(item, order.title, order.text, context.who))


def _cancel(context: CommandContext, order: c.CancelMaintenance) -> CommandResult:
    called_off = context.store.cancel_maintenance(order.maintenance, context.now)
    if called_off is None:
        raise CommandError(f"there is no maintenance {order.maintenance}")
    return CommandResult(order.maintenance, called_off)


def _send_test(context: CommandContext, order: c.SendTest) -> CommandResult:
    alert = Alert(
        id=context.id(order.channel),
        key=alert_key("", "", Rule.TEST, context.id(order.channel)),
        rule=Rule.TEST,
        severity=order.severity,
        state=AlertState.FIRING,
        service="",
        component="",
        started_at=context.now,
        fired_at=context.now,
        summary={"by": context.who},
    )
    return CommandResult(alert.id, context.store.put_notice(Notice(alert, "", order.channel, Why.FIRST)))


_HANDLERS: Mapping[type, Callable[[CommandContext, Any], CommandResult]] = {
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
