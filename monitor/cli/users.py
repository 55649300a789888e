"""``chatwatch user``: who may sign in to the console."""

from __future__ import annotations

import sys

import click

from monitor import clock
from monitor.cli.commands import current_user, read
from monitor.cli.common import Failure, example, open_database


@click.group(epilog=example("chatwatch user add alice"))
def user() -> None:
    """Say who may use the console."""


@user.command(
    "add", epilog=example("chatwatch user add alice", 'printf %s "$PASSWORD" | chatwatch user add alice --stdin')
)
@click.argument("name")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
def user_add(name: str, from_stdin: bool) -> None:
    """Add NAME, or change the password of that name, which ends its sessions."""
    from monitor import flow
    from monitor.flow import accounts

    if from_stdin:
        password = sys.stdin.read().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    engine = open_database()
    try:
        new = accounts.set_password(engine, name, password, clock.now(), current_user())
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
        click.echo(f"{item.name}  since {item.created_at:%Y-%m-%d}{'  (disabled)' if item.disabled else ''}")


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
