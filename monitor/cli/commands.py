"""What the person on call does in the console, for a terminal: the same commands with the same audit rows."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from monitor import clock
from monitor.cli.common import Failure, example, open_database
from monitor.core import commands as c
from monitor.core.maintenance import EARLIEST, LATEST
from monitor.core.model.alerting import Verdict
from monitor.core.model.states import Impact, IncidentStatus
from monitor.core.scenario.durations import seconds
from monitor.text.cleaner import plain

F = TypeVar("F", bound=Callable[..., Any])


def with_who(command: F) -> F:
    """Give a command the options ``--as`` and ``--why``."""
    command = click.option("--why", default="", help="Why; kept in the audit log.")(command)
    return click.option(
        "--as", "who", default=current_user, show_default="your user name", help="Name for the audit log."
    )(command)


def current_user() -> str:
    """Return who gives the command: ``CHATWATCH_USER``, else the name of the operating system."""
    return os.environ.get("CHATWATCH_USER") or getpass.getuser()


class Span(click.ParamType[timedelta]):
    """A duration such as 30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time span."""
        if isinstance(value, timedelta):
            return value
        try:
            return timedelta(seconds=seconds(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601 with its zone, or ``now``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware time."""
        if isinstance(value, datetime):
            return value
        try:
            at = clock.now() if value == "now" else datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is not None and not EARLIEST.year < at.year < LATEST.year:
            self.fail(f"{value} is not a time between {EARLIEST:%Y} and {LATEST:%Y}", param, ctx)
        if at is None or at.tzinfo is None:
            self.fail("write a time with its zone, as in 2026-01-31T22:00+00:00, or now", param, ctx)
        return at


def carry_out(order: c.Command, who: str, why: str) -> None:
    """Carry out a command and say what it was about."""
    from monitor import flow

    engine = open_database()
    try:
        done = flow.command(engine, order, who, clock.now(), why)
    except flow.CommandError as error:
        raise Failure(str(error)) from None
    finally:
        engine.dispose()
    click.echo(done.subject if done.changed else f"{done.subject} (nothing to change)")


def read(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Read from the database and let it go."""
    engine = open_database(read_only=True)
    try:
        return function(engine, *arguments, **named)
    finally:
        engine.dispose()


@click.group(epilog=example("chatwatch incident list", "chatwatch incident update ID 'The vendor confirms.'"))
def incident() -> None:
    """List incidents, add a person's words, publish or hide them."""


@incident.command("list", epilog=example("chatwatch incident list --all"))
@click.option("--all", "everything", is_flag=True, help="Resolved ones of the last 90 days as well.")
def incident_list(everything: bool) -> None:
    """List open incidents."""
    from monitor.store import reads

    snapshot = read(reads.snapshot, clock.now(), public=False)
    for item in [*snapshot.open_incidents, *(snapshot.past_incidents if everything else ())]:
        hidden = "" if item.public else "  (hidden)"
        title = plain(item.title, 80) or ", ".join(item.component_names.values())
        words = f"{item.started_at:%Y-%m-%d %H:%M}  {item.impact:<8}  {item.status:<13}"
        click.echo(f"{item.id}  {words}  {item.service_name}: {title}{hidden}")


@incident.command("update", epilog=example("chatwatch incident update ID 'We are looking.' --status identified"))
@click.argument("incident_id", metavar="ID")
@click.argument("text")
@click.option("--status", type=click.Choice([item.value for item in IncidentStatus]), default=None)
@click.option("--impact", type=click.Choice([item.value for item in Impact]), default=None)
@click.option("--title", default="", help="A title in a person's words.")
@with_who
def incident_update(
    incident_id: str, text: str, status: str | None, impact: str | None, title: str, who: str, why: str
) -> None:
    """Add TEXT to an incident's timeline."""
    status_, impact_ = IncidentStatus(status) if status else None, Impact(impact) if impact else None
    carry_out(c.PostUpdate(incident_id, text, status_, impact_, title), who, why)


def _simple(group: click.Group, name: str, order: Callable[[str], c.Command], text: str) -> None:
    """Add a command that needs an id only."""

    @group.command(name, help=text, epilog=example(f"chatwatch {group.name} {name} ID"))
    @click.argument("subject", metavar="ID")
    @with_who
    def run(subject: str, who: str, why: str) -> None:
        carry_out(order(subject), who, why)


_simple(incident, "resolve", c.ResolveIncident, "End an incident by a person's word.")
_simple(incident, "publish", c.PublishIncident, "Show an incident to the public.")
_simple(incident, "hide", c.HideIncident, "Take an incident from the public page.")


@click.group(epilog=example("chatwatch alert list", "chatwatch alert ack ID"))
def alert() -> None:
    """List, acknowledge, resolve and judge alerts."""


@alert.command("list", epilog=example("chatwatch alert list --all"))
@click.option("--all", "everything", is_flag=True, help="Resolved ones as well.")
def alert_list(everything: bool) -> None:
    """List open alerts, and why nobody was told where that is so."""
    from monitor.channels.words import line
    from monitor.store import reads

    for view in read(reads.alerts, open_only=not everything):
        item = view.alert
        told = "; ".join(f"{one.route}: {one.why}" for one in view.decisions[-2:]) or "no route"
        where = f"{line(item, view.service_name, view.component_name)} ({item.rule})"
        click.echo(
            f"{item.id}  {item.fired_at:%Y-%m-%d %H:%M}  {item.severity:<6}  {item.state:<12}  {where}  [{told}]"
        )


_simple(alert, "ack", c.AcknowledgeAlert, "Say that you have it: no repeats, no escalation.")
_simple(alert, "resolve", c.ResolveAlert, "Close an alert by hand.")


@alert.command("judge", epilog=example("chatwatch alert judge ID noise --text 'a deployment of ours'"))
@click.argument("alert_id", metavar="ID")
@click.argument("verdict", type=click.Choice([item.value for item in Verdict]))
@click.option("--text", default="", help="What to learn from it.")
@with_who
def alert_judge(alert_id: str, verdict: str, text: str, who: str, why: str) -> None:
    """Say afterwards what an alert was worth."""
    carry_out(c.JudgeAlert(alert_id, Verdict(verdict), text), who, why)


@click.group(epilog=example("chatwatch silence add --for 2h --service deepseek --why 'known, being fixed'"))
def silence() -> None:
    """Hold notices back for a time; everything is recorded all the same."""


@silence.command("add", epilog=example("chatwatch silence add --for 30m --component deepseek/api"))
@click.option("--for", "span", type=Span(), required=True, help="For how long, as 30m or 2h.")
@click.option("--service", default="")
@click.option("--component", default="")
@click.option("--rule", default="")
@click.option(
    "--everything", is_flag=True, help="Required to silence everything: without it, name a service, component or rule."
)
@with_who
def silence_add(span: timedelta, service: str, component: str, rule: str, everything: bool, who: str, why: str) -> None:
    """Begin a silence now."""
    until = clock.now() + span
    carry_out(c.Silence(until, service, component, rule, everything=everything), who, why)


@silence.command("list", epilog=example("chatwatch silence list"))
def silence_list() -> None:
    """List silences in force or to come."""
    from monitor.store import reads

    for item in read(reads.silences, clock.now()):
        what = " ".join(part for part in (item.service, item.component, item.rule) if part) or "everything"
        click.echo(f"{item.id}  until {item.ends_at:%Y-%m-%d %H:%M} UTC  {what}  by {item.by}: {plain(item.why, 80)}")


_simple(silence, "end", c.Unsilence, "End a silence now.")


@click.group(epilog=example("chatwatch maintenance add deepseek --title 'Upgrade' --from now --for 1h"))
def maintenance() -> None:
    """Announce planned work; time inside it counts neither as up nor as down."""


@maintenance.command(
    "add",
    epilog=example(
        "chatwatch maintenance add deepseek --title Upgrade --from now --for 1h",
        "chatwatch maintenance add deepseek --title Backup --from 2027-02-07T02:00+01:00 --for 2h "
        '--repeat "monthly on first sunday" --zone Europe/Berlin',
    ),
)
@click.argument("service")
@click.option("--component", "components", multiple=True, help="Only this component; may be repeated.")
@click.option("--title", required=True)
@click.option("--text", default="")
@click.option("--from", "starts_at", type=Moment(), required=True, help="ISO 8601 with zone, or now.")
@click.option("--for", "span", type=Span(), required=True, help="How long, as 1h.")
@click.option("--repeat", default="", help='daily, weekly, monthly, "monthly on 15" or "monthly on first sunday".')
@click.option("--zone", "time_zone", default="UTC", help="Time zone of the repetitions, as Europe/Berlin.")
@click.option("--until", "repeat_until", type=Moment(), default=None, help="The last repetition begins before this.")
@with_who
def maintenance_add(
    service: str,
    components: tuple[str, ...],
    title: str,
    text: str,
    starts_at: datetime,
    span: timedelta,
    repeat: str,
    time_zone: str,
    repeat_until: datetime | None,
    who: str,
    why: str,
) -> None:
    """Announce a window for SERVICE."""
    times = (starts_at, starts_at + span, text, repeat.lower(), time_zone, repeat_until)
    carry_out(c.ScheduleMaintenance(service, components, title, *times), who, why)


@maintenance.command("list", epilog=example("chatwatch maintenance list"))
def maintenance_list() -> None:
    """List windows that are open or to come."""
    from monitor.store import reads

    for item in read(reads.snapshot, clock.now(), public=False).maintenances:
        span = f"{item.starts_at:%Y-%m-%d %H:%M} to {item.ends_at:%Y-%m-%d %H:%M} UTC"
        click.echo(f"{item.id}  {span}  {item.service}: {plain(item.title, 80)}")


_simple(maintenance, "cancel", c.CancelMaintenance, "Call planned work off, or end it now.")
