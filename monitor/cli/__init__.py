"""The command ``chatwatch``. Each command lives in the file of its subject and is loaded when it is used."""

from __future__ import annotations

import importlib
import sys

import click

from monitor import __version__
from monitor.logs.soon import with_log

COMMANDS = {
    "up": "running",
    "demo": "running",
    "worker": "running",
    "web": "running",
    "live": "running",
    "console": "running",
    "simulate": "running",
    "prober": "running",
    "recorder": "recording",
    "check": "asking",
    "probe": "asking",
    "doctor": "asking",
    "ask": "errors.commands",
    "diagram": "asking",
    "replay": "past.replaying",
    "export-scenario": "past.replaying",
    "backtest": "past.backtesting",
    "export": "past.exporting",
    "publish": "past.exporting",
    "rules": "past.exporting",
    "vendors": "vendors.commands",
    "incident": "commands",
    "alert": "commands",
    "silence": "commands",
    "maintenance": "commands",
    "user": "users",
    "quarantine": "past.quarantine",
    "missed": "past.missing",
    "migrate": "past.keeping",
    "rebuild": "past.keeping",
    "backup": "past.keeping",
    "restore": "past.keeping",
}
"""Command → file. The order is that of ``chatwatch --help``."""


RUNNING_ON = ("running", "recording")
"""Files of commands that set up the log by themselves, and for whatever they start."""


class Lazy(click.Group):
    """Imports a command's file only when it is needed, so that every start is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the commands in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"monitor.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        if COMMANDS[cmd_name] not in RUNNING_ON:
            with_log(command, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, and name the nearest when there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f'did you mean "{near[0]}"?' if near else "see chatwatch --help"
            ctx.fail(f'no command "{args[0]}": {hint}')
        return super().resolve_command(ctx, args)


BEGIN = """\b
Begin with:
  chatwatch demo      the whole system against a simulated vendor
  chatwatch check     read probes.yaml and name every mistake in it
  chatwatch up        watch what probes.yaml names"""


@click.command(
    cls=Lazy, epilog=BEGIN, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="chatwatch")
def chatwatch() -> None:
    """Watch AI chat services from the outside: availability, registration, log-in, time to first token."""


def main() -> None:
    """Run the command line; an expected failure is one line and exit code 1."""
    from sqlalchemy.exc import DBAPIError

    from monitor.runtime.away import database_refused
    from monitor.runtime.programs import database_url
    from monitor.store.connection.engine import StoreError

    try:
        chatwatch()
    except StoreError as error:
        sys.exit(f"chatwatch: {error}")
    except DBAPIError as error:
        sys.exit(f"chatwatch: {database_refused(error, database_url())}")
