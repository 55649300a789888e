"""Commands that look after the database and the people who may use the console."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import click

from monitor.cli.common import Failure, example, open_database
from monitor.programs import database_url


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
        click.echo(f"{flow.rebuild(engine)} incidents folded again")
    finally:
        engine.dispose()


@click.command(epilog=example("chatwatch backup var/backup.db"))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def backup(target: Path) -> None:
    """Write a consistent copy of an SQLite database to TARGET while everything runs."""
    source = _sqlite_file()
    if target.exists():
        raise Failure(f"{target} exists already: name another file")
    if not source.exists():
        raise Failure(f"there is no database at {source}")
    part = target.with_name(target.name + ".part")
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(part)) as new:
        old.backup(new)
        verdict = new.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        part.unlink()
        raise Failure("the copy is damaged, and so is the database: see PRAGMA integrity_check")
    part.replace(target)
    click.echo(f"{target}  {target.stat().st_size // 1024} kB, integrity ok")


@click.command(epilog=example("chatwatch restore var/backup.db"))
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(source: Path, yes: bool) -> None:
    """Put a backup in the place of the SQLite database; the old one is kept beside it. Stop the programs first."""
    target = _sqlite_file()
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as copy:
        try:
            sound = copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        except sqlite3.DatabaseError:
            sound = False
    if not sound:
        raise Failure(f"{source} is no sound database")
    if not yes:
        click.confirm(f"Replace {target}?", abort=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        old = target.with_name(target.name + suffix)
        if old.exists():
            old.replace(target.with_name(f"{target.name}.before-restore{suffix}"))
    shutil.copy2(source, target)
    open_database().dispose()
    click.echo(f"{target} is the backup now; the database before it is {target.name}.before-restore")


def _sqlite_file() -> Path:
    from monitor.store.engine import parsed_url

    url = parsed_url(database_url())
    if url.get_backend_name() != "sqlite" or not url.database:
        raise Failure("this is for SQLite; with PostgreSQL use pg_dump and pg_restore")
    return Path(url.database)
