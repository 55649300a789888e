"""What a transaction changed, as lines of the log: told after its commit, once a change and never once a look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

from monitor import clock
from monitor.core.entities import Alert, Incident, IncidentEvent
from monitor.core.model.alerting import Severity
from monitor.core.model.incident_events import ComponentBetter, EventKind, FailedAgain, RegistrationChanged
from monitor.logs import Event, Room
from monitor.store.transaction.alerts import AlertStep
from monitor.store.transaction.store import SqlStore
from monitor.text.alerts import alert_line
from monitor.text.cleaner import clean
from monitor.text.lexicon import lexicon

log = Room("flow")

SLOW_S = 1.0
"""A transaction that takes longer keeps whoever waits for the database waiting."""


@dataclass(frozen=True, slots=True)
class IncidentNews:
    """An incident event that was written, and the incident as the transaction left it."""

    event: IncidentEvent
    incident: Incident


@dataclass(frozen=True, slots=True)
class AlertNews:
    """An alert that fired, grew louder or quieter, or ended."""

    step: AlertStep
    alert: Alert


News = IncidentNews | AlertNews


def news_of(store: SqlStore) -> list[News]:
    """Return what a transaction changed, in the order in which it did."""
    found: list[News] = [IncidentNews(event, store.touched[event.incident]) for event in store.events]
    return found + [AlertNews(step, alert) for step, alert in store.alert_steps]


def tell(news: Iterable[News]) -> None:
    """Log what was committed."""
    for item in news:
        match item:
            case IncidentNews(event, incident):
                _tell_incident(event, incident)
            case AlertNews(step, alert):
                _tell_alert(step, alert)
            case _:
                assert_never(item)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log a transaction that takes longer than :data:`SLOW_S`, waiting for the database included."""
    started_s = clock.monotonic()
    yield
    took_s = clock.monotonic() - started_s
    if took_s > SLOW_S:
        text = "Slow transaction: %s took %.1f s"
        log.warning(Event.TRANSACTION_SLOW, text, what, took_s, seconds=round(took_s, 1))


def _tell_incident(event: IncidentEvent, incident: Incident) -> None:
    words, what = lexicon(), event.what
    parts = incident.components
    if isinstance(what, FailedAgain | ComponentBetter | RegistrationChanged):
        parts = (what.component,)
    by = f" by {event.by}" if event.by else ""
    code = code_of(event.kind)
    loud = code in (Event.INCIDENT_OPENED, Event.INCIDENT_WORSE, Event.INCIDENT_RELAPSED, Event.INCIDENT_REOPENED)
    say = log.warning if loud else log.info
    unsaid = isinstance(what, ComponentBetter) and what.unsaid
    if unsaid or (code is Event.INCIDENT_CHANGED and not event.by):
        say = log.debug
    say(
        code,
        "%s: %s%s, impact %s",
        ", ".join(parts) or incident.service,
        words.of(event.kind),
        by,
        words.of(incident.impact),
        service=incident.service,
        component=parts[0] if len(parts) == 1 else "",
        components=parts if len(parts) > 1 else (),
        incident=incident.id,
        impact=incident.impact.value,
    )


def code_of(kind: EventKind) -> Event:
    """Return the code under which an incident's event is logged."""
    match kind:
        case EventKind.OPENED:
            return Event.INCIDENT_OPENED
        case EventKind.COMPONENT_WORSE:
            return Event.INCIDENT_WORSE
        case EventKind.COMPONENT_BETTER:
            return Event.INCIDENT_BETTER
        case EventKind.RELAPSED:
            return Event.INCIDENT_RELAPSED
        case EventKind.RECOVERING:
            return Event.INCIDENT_RECOVERING
        case EventKind.RESOLVED:
            return Event.INCIDENT_RESOLVED
        case EventKind.REOPENED:
            return Event.INCIDENT_REOPENED
        case EventKind.PROBE_REMOVED:
            return Event.INCIDENT_CLOSED
        case (
            EventKind.IMPACT_CHANGED
            | EventKind.REGISTRATION_CHANGED
            | EventKind.UPSTREAM_SAID
            | EventKind.NOTE
            | EventKind.PUBLISHED
            | EventKind.HIDDEN
            | EventKind.POSTMORTEM
            | EventKind.RELATED
        ):
            return Event.INCIDENT_CHANGED
        case _:
            assert_never(kind)


def _tell_alert(step: AlertStep, alert: Alert) -> None:
    code, word = _STEPS[step]
    where = alert.component or alert.service
    line = alert_line(alert, where, step is AlertStep.ENDED, lexicon(), _plain)
    say = log.warning if alert.severity is Severity.PAGE and step is not AlertStep.ENDED else log.info
    say(
        code,
        "Alert %s: %s",
        word,
        line,
        service=alert.service,
        component=alert.component,
        incident=alert.incident,
        alert=alert.id,
        rule=str(alert.rule),
        severity=alert.severity.value,
    )


_STEPS = {
    AlertStep.FIRED: (Event.ALERT_FIRED, "fired"),
    AlertStep.CHANGED: (Event.ALERT_CHANGED, "changed severity"),
    AlertStep.ENDED: (Event.ALERT_ENDED, "ended"),
}


def _plain(text: str) -> str:
    return clean(text, 200)
