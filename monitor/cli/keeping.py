"""Commands that look after the database and the people who may use the console."""

from __future__ import annotations

import click

from monitor.cli.common import example, open_database


@click.command(epilog=example("CHATWATCH_DATABASE=postgresql://chatwatch@db/chatwatch chatwatch migrate"))
def migrate() -> None:
    """Bring the database to the schema of this version. The worker does the same at its start."""
    open_database().dispose()
    click.echo("The database has the schema of this version.")
