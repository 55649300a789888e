"""Random commands: every one of :data:`monitor.core.commands.Command`, about what exists and about what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import get_args

from monitor.core import commands as c
from monitor.core.catalogue import Catalogue
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import Severity, Verdict
from monitor.core.model.incident_events import Cause
from monitor.core.model.states import Impact, IncidentStatus
from tests.judgement.steps import Ids, Order

COMMANDS: tuple[type[c.Command], ...] = get_args(c.Command)
WHO = ("alice", "bob")
RECENT = 4
"""People look at what is new: commands are about one of so many of the newest, or about something unknown."""


def order(rng: Random, catalogue: Catalogue, at: datetime, kind: type[c.Command] | None = None) -> Order:
    """Return a random command, of a given kind or of any."""
    make = MAKERS[kind or rng.choice(COMMANDS)](rng, catalogue, at)
    return Order(make, rng.choice(WHO), at, rng.choice(("", "as agreed")))


def said(at: datetime, command: c.Command) -> Order:
    """Return a command that is about nothing that has an id yet."""
    return Order(lambda _: command, WHO[0], at)


Make = Callable[[Ids], c.Command]
Maker = Callable[[Random, Catalogue, datetime], Make]


def _pick(rng: Random) -> Callable[[Sequence[str]], str]:
    number, known = rng.randrange(12), rng.random() < 0.9
    return lambda ids: ids[-1 - number % min(RECENT, len(ids))] if ids and known else "nobody-knows"


def _service(rng: Random, catalogue: Catalogue) -> str:
    names = [item.id for item in catalogue.services]
    return rng.choice(names) if rng.random() < 0.95 else "unheard"


def _components(rng: Random, catalogue: Catalogue, service: str) -> tuple[str, ...]:
    """Return components of the service; now and then one of another service, or none that exists."""
    own = [item.id for item in catalogue.components if item.service == service]
    if rng.random() < 0.1 or not own:
        return (rng.choice([item.id for item in catalogue.components] + ["unheard/web"]),)
    return tuple(rng.sample(own, rng.randint(0, len(own))))


def _acknowledge(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick = _pick(rng)
    return lambda ids: c.AcknowledgeAlert(pick(ids.alerts))


def _resolve_alert(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick = _pick(rng)
    return lambda ids: c.ResolveAlert(pick(ids.alerts))


def _judge(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick, verdict = _pick(rng), rng.choice(list(Verdict))
    return lambda ids: c.JudgeAlert(pick(ids.alerts), verdict, _words(verdict.value))


def _words(word: str) -> str:
    """Return words as a person writes them, in two scripts."""
    return f"{word}: 已确认 \u2013 seen <b>by</b> us"


def _missed(rng: Random, catalogue: Catalogue, at: datetime) -> Make:
    service = _service(rng, catalogue)
    component = rng.choice(_components(rng, catalogue, service) or ("",))
    ended = rng.choice((None, at))
    return lambda _: c.ReportMissed(service, component, at - timedelta(minutes=7), ended, _words("missed"))


def _open(rng: Random, catalogue: Catalogue, _at: datetime) -> Make:
    service = _service(rng, catalogue)
    components, impact = _components(rng, catalogue, service), rng.choice(list(Impact))
    text, cause, public = rng.choice(("", "We look into it.")), rng.choice(list(Cause)), rng.random() < 0.7
    return lambda _: c.OpenIncident(service, components, impact, "Something is wrong", text, cause, public)


def _update(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick, status = _pick(rng), rng.choice((None, *IncidentStatus))
    impact, title = rng.choice((None, None, *Impact)), rng.choice(("", "Renamed"))
    return lambda ids: c.PostUpdate(pick(ids.incidents), _words("update"), status, impact, title)


def _resolve(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick, text = _pick(rng), rng.choice(("", "It is over."))
    return lambda ids: c.ResolveIncident(pick(ids.incidents), text)


def _publish(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick = _pick(rng)
    return lambda ids: c.PublishIncident(pick(ids.incidents))


def _hide(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick = _pick(rng)
    return lambda ids: c.HideIncident(pick(ids.incidents))


def _postmortem(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick = _pick(rng)
    return lambda ids: c.WritePostmortem(pick(ids.incidents), _words("postmortem"))


def _silence(rng: Random, catalogue: Catalogue, at: datetime) -> Make:
    service = rng.choice(("", "", _service(rng, catalogue)))
    components = _components(rng, catalogue, service) if service else ()
    component = rng.choice(("", *components))
    rule = rng.choice(("", Rule.COMPONENT_DOWN.value, rng.choice(list(Rule)).value))
    until = at + rng.choice((timedelta(minutes=2), timedelta(minutes=10), timedelta(days=91), timedelta(0)))
    starts = rng.choice((None, None, at + timedelta(minutes=1), at - timedelta(minutes=1)))
    everything = rng.random() < 0.5
    return lambda _: c.Silence(until, service, component, rule, starts, everything)


def _unsilence(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick = _pick(rng)
    return lambda ids: c.Unsilence(pick(ids.silences))


def _schedule(rng: Random, catalogue: Catalogue, at: datetime) -> Make:
    service = _service(rng, catalogue)
    begins = at + timedelta(minutes=rng.choice((-10, 0, 1, 5)))
    ends = begins + timedelta(minutes=rng.choice((0, 4, 15, 120)))
    repeat = rng.choice(("", "", "", "daily", "weekly", "monthly", "hourly"))
    zone = rng.choice(("UTC", "UTC", "Europe/Berlin", "Mars/Olympus"))
    until = rng.choice((None, None, ends + timedelta(days=3), begins - timedelta(days=1)))
    components = _components(rng, catalogue, service)
    return lambda _: c.ScheduleMaintenance(service, components, "Work", begins, ends, "", repeat, zone, until)


def _cancel(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    pick = _pick(rng)
    return lambda ids: c.CancelMaintenance(pick(ids.planned))


def _send_test(rng: Random, _catalogue: Catalogue, _at: datetime) -> Make:
    channel, severity = rng.choice(("pager", "nowhere")), rng.choice(list(Severity))
    return lambda _: c.SendTest(channel, severity)


MAKERS: dict[type[c.Command], Maker] = {
    c.AcknowledgeAlert: _acknowledge,
    c.ResolveAlert: _resolve_alert,
    c.JudgeAlert: _judge,
    c.ReportMissed: _missed,
    c.OpenIncident: _open,
    c.PostUpdate: _update,
    c.ResolveIncident: _resolve,
    c.PublishIncident: _publish,
    c.HideIncident: _hide,
    c.WritePostmortem: _postmortem,
    c.Silence: _silence,
    c.Unsilence: _unsilence,
    c.ScheduleMaintenance: _schedule,
    c.CancelMaintenance: _cancel,
    c.SendTest: _send_test,
}
