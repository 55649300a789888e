"""``chatwatch user``: who may sign in to the console."""

from __future__ import annotations

import sys

import click

from monitor import clock
from monitor.cli.commands import current_user, read
from monitor.cli.common import Failure, example, open_database

ROLES = click.Choice(["viewer", "responder"])
"""The words of :class:`monitor.flow.accounts.Role`, which is imported late."""


@click.group(epilog=example("chatwatch user add alice"))
def user() -> None:
    """Say who may use the console."""


@user.command(
    "add", epilog=example("chatwatch user add alice", 'printf %s "$PASSWORD" | chatwatch user add alice --stdin')
)
@click.argument("name")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--role", type=ROLES, default=None, help="viewer looks, responder acts; a new account is a responder.")
def user_add(name: str, from_stdin: bool, role: str | None) -> None:
    """Add NAME, or change the password of that name, which ends its sessions."""
    from monitor import flow
    from monitor.flow import accounts

    if from_stdin:
        password = sys.stdin.read().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    engine = open_database()
    try:
        new = accounts.set_password(
            engine, name, password, clock.now(), current_user(), accounts.Role(role) if role else None
        )
    except flow.CommandError as error:
        raise Failure(str(error)) from None
    finally:
        engine.dispose()
    click.echo(f"{name} may use the console." if new else f"{name} has a new password; the sessions have ended.")


@user.command("list", epilog=example("chatwatch user list"))
def user_list() -> None:
    """List the accounts."""
    from monitor.flow import accounts

    for item in read(accounts.accounts):
        disabled = "  (disabled)" if item.disabled else ""
        click.echo(f"{item.name}  {item.role}  since {item.created_at:%Y-%m-%d}{disabled}")


@user.command("role", epilog=example("chatwatch user role alice viewer"))
@click.argument("name")
@click.argument("role", type=ROLES)
def user_role(name: str, role: str) -> None:
    """Give NAME another role: a viewer looks, a responder acts. It holds for pages that are open, too."""
    from monitor import flow
    from monitor.flow import accounts

    engine = open_database()
    try:
        changed = accounts.set_role(engine, name, accounts.Role(role), clock.now(), current_user())
    except flow.CommandError as error:
        raise Failure(str(error)) from None
    finally:
        engine.dispose()
    click.echo(f"{name} is a {role} now." if changed else f"{name} is a {role} already.")


@user.command("disable", epilog=example("chatwatch user disable alice"))
@click.argument("name")
def user_disable(name: str) -> None:
    """Shut NAME out at once."""
    from monitor import flow
    from monitor.flow import accounts

    engine = open_database()
    try:
        accounts.disable_account(engine, name, clock.now(), current_user())
    except flow.CommandError as error:
        raise Failure(str(error)) from None
    finally:
        engine.dispose()
    click.echo(f"{name} is disabled and signed out.")
