"""Commands that look after the database and the people who may use the console."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from monitor.cli.common import Failure, example, open_database
from monitor.runtime.programs import database_url


@click.command(epilog=example("CHATWATCH_DATABASE=postgresql://chatwatch@db/chatwatch chatwatch migrate"))
def migrate() -> None:
    """Bring the database to the schema of this version. The worker does the same at its start."""
    open_database().dispose()
    click.echo("The database has the schema of this version.")


@click.command(epilog=example("chatwatch rebuild"))
def rebuild() -> None:
    """Fold every incident again from its events: the row shown is only their sum."""
    from monitor import flow

    engine = open_database()
    try:
        click.echo(f"{flow.rebuild(engine)} incidents rebuilt from their events")
    finally:
        engine.dispose()


@click.command(epilog=example("chatwatch backup var/backup.db"))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def backup(target: Path) -> None:
    """Write a consistent copy of the database to TARGET while everything runs.

    An SQLite database becomes an SQLite file, PostgreSQL one of pg_dump's custom format.
    """
    from monitor.store.backup import backup as write
    from monitor.store.backup import holdings

    engine = open_database()
    try:
        with told():
            write(engine, target)
            held = holdings(engine)
    finally:
        engine.dispose()
    click.echo(f"{target}  {target.stat().st_size // 1024:,} kB; the database holds {held}")


@click.command(epilog=example("chatwatch restore var/backup.db"))
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", "--yes", "force", is_flag=True, help="Replace what is there without asking.")
def restore(source: Path, force: bool) -> None:
    """Put a backup in the place of the database. Stop the programs first.

    What was there is kept: an SQLite file beside it, PostgreSQL's tables in another schema.
    """
    from monitor.store.backup import holdings_at
    from monitor.store.backup import restore as put_back

    url = database_url()
    if not source.exists():
        raise Failure(f"no backup at {source}: name a file that chatwatch backup wrote")
    with told():
        there = holdings_at(url)
    if there is not None and not force:
        click.echo(f"The database holds {there}. What the backup does not have is gone from every page.", err=True)
        if not sys.stdin.isatty():
            raise Failure("nothing was replaced: add --force to replace the database")
        click.confirm("Replace it?", abort=True)
    with told():
        held = put_back(source, url, replace=True)
    click.echo(f"The database is the backup now: {held}")
    if there is not None:
        click.echo("What was there before is kept: NAME.before-restore, or the schema before_restore of PostgreSQL.")


@contextmanager
def told() -> Iterator[None]:
    """Turn what the store refuses into one line."""
    from monitor.store.connection.engine import StoreError

    try:
        yield
    except StoreError as error:
        raise Failure(str(error)) from None
