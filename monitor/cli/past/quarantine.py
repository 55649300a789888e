"""``chatwatch quarantine``: what could not be judged, and what becomes of it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

import click

from monitor import clock
from monitor.cli.common import Failure, example, open_database
from monitor.config.faults import did_you_mean
from monitor.recorder.quarantine import BusyError, Held, Quarantine, Request, ask, listed, strays
from monitor.runtime.places import quarantine_home
from monitor.runtime.programs import database_url
from monitor.text.cleaner import plain
from monitor.text.lexicon import lexicon

ANSWER_S = 30.0
"""So long a running worker has to answer; it looks every second."""
ASK_EVERY_S = 0.2


@click.group(epilog=example("chatwatch quarantine list", "chatwatch quarantine retry deepseek"))
def quarantine() -> None:
    """Show, judge again or give up looks that could not be judged.

    A service whose looks make the rules or the database fail is held apart, so that everybody else's results are
    stored. Its looks are kept on disk in their order; the worker tries them again by itself, at its start and after
    minutes that become an hour. Until then the service is shown as unknown.
    """


@quarantine.command("list", epilog=example("chatwatch quarantine list", "chatwatch quarantine list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:
    """Show what is held, since when and why. The exit code is 2 while anything is held."""
    found = [(folder, item) for folder in folders() for item in listed(folder)]
    if as_json:
        click.echo(json.dumps({"held": [_row(folder, item) for folder, item in found]}, indent=2, ensure_ascii=False))
    elif not found:
        click.echo("Nothing is held: every look was judged.")
    for folder, item in found if not as_json else ():
        _show(folder, item)
    for folder in folders():
        for name in strays(folder):
            click.echo(f"chatwatch: {folder / name} is not a quarantine file; ignored", err=True)
    if found:
        raise click.exceptions.Exit(2)


def _row(folder: Path, item: Held) -> dict[str, Any]:
    return asdict(item) | {"since": item.since.isoformat(), "location": folder.name, "error": plain(item.error, 300)}


def _show(folder: Path, item: Held) -> None:
    held_for = lexicon().duration((clock.now() - item.since).total_seconds())
    click.echo(click.style(item.service, bold=True) + f"  at {folder.name}")
    click.echo(f"  since    {item.since:%Y-%m-%d %H:%M:%S} UTC, {held_for} ago")
    click.echo(f"  holds    {item.looks:,} looks in {item.entries:,} batches, {item.size_bytes / 1024:,.0f} kB")
    click.echo(f"  because  {plain(item.error, 300) or 'no reason was kept'}  (version {plain(item.version, 40)})")
    if item.damaged:
        click.echo(f"  damaged  {item.damaged} stretches of the file cannot be read and are skipped")


@quarantine.command("retry", epilog=example("chatwatch quarantine retry", "chatwatch quarantine retry deepseek"))
@click.argument("service", required=False)
def retry_(service: str | None) -> None:
    """Judge SERVICE, or everything that is held, again from before the first look that could not be judged.

    A running worker does it; without one it is done here. The exit code is 0 when nothing stays held.
    """
    _carry_out(service, Request.RETRY)


@quarantine.command(epilog=example("chatwatch quarantine drop deepseek"))
@click.argument("service")
@click.option("--force", "--yes", "force", is_flag=True, help="Drop without asking.")
def drop(service: str, force: bool) -> None:
    """Give up the looks that are held of SERVICE: their time is recorded as not looked at, so it is unknown."""
    _, items = _chosen(service)
    looks = sum(item.looks for _, item in items)
    if not force:
        click.echo(f"{looks:,} looks of {service} would be lost for good; retry keeps them.", err=True)
        if not sys.stdin.isatty():
            raise Failure("nothing was dropped: add --force to drop without being asked")
        click.confirm("Drop them?", abort=True)
    _carry_out(service, Request.DROP)


def folders() -> list[Path]:
    """Return the folders of quarantine here, one a location."""
    home = quarantine_home(database_url())
    return sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []


def _chosen(service: str | None) -> tuple[list[str], list[tuple[Path, Held]]]:
    """Return the names that are held, and what to work on."""
    found = [(folder, item) for folder in folders() for item in listed(folder)]
    names = sorted({item.service for _, item in found})
    if service is not None and service not in names:
        hint = did_you_mean(service, names) if names else "nothing is held"
        raise Failure(f'no looks of "{plain(service, 60)}" are held: {hint}')
    return names, [(folder, item) for folder, item in found if service in (None, item.service)]


def _carry_out(service: str | None, request: Request) -> None:
    _, items = _chosen(service)
    if not items:
        click.echo("Nothing is held: every look was judged.")
    still = 0
    for folder in dict.fromkeys(folder for folder, _ in items):
        names = [item.service for where, item in items if where == folder]
        looks = {item.service: item.looks for where, item in items if where == folder}
        try:
            with closing(Quarantine(folder)) as held:
                _here(held, names, request)
        except BusyError:
            _by_the_worker(folder, names, request)
        except OSError as error:
            raise Failure(f"{folder} cannot be used: {error.strerror or type(error).__name__}") from None
        left = {item.service: item for item in listed(folder)}
        for name in names:
            if name in left:
                still += 1
                click.echo(f"{name} stays held: {plain(left[name].error, 300)}", err=True)
            else:
                click.echo(f"{name}: {looks[name]:,} looks {'dropped' if request is Request.DROP else 'judged'}")
    if still:
        raise Failure("fix the errors above or update Chatwatch, then retry; no look was lost")


def _here(held: Quarantine, names: Sequence[str], request: Request) -> None:
    """Do it ourselves: no worker runs."""
    from monitor.recorder.judging import Judging
    from monitor.recorder.metrics import Seen, registry_for

    seen = Seen(clock.now)
    with _database() as engine, _printed_below():
        judging = Judging(engine, held, seen, registry_for(seen)[1], lambda: None)
        for name in names:
            for _ in judging.retry(name, request):
                pass


@contextmanager
def _printed_below() -> Iterator[None]:
    """Keep the rooms that judge quiet: the command prints each failure in one line."""
    rooms = [logging.getLogger(f"chatwatch.{name}") for name in ("recorder", "flow")]

    def quiet(_: logging.LogRecord) -> bool:
        return False

    for room in rooms:
        room.addFilter(quiet)
    try:
        yield
    finally:
        for room in rooms:
            room.removeFilter(quiet)


@contextmanager
def _database() -> Iterator[Any]:
    engine = open_database()
    try:
        yield engine
    finally:
        engine.dispose()


def _by_the_worker(folder: Path, names: Sequence[str], request: Request) -> None:
    """Ask the worker that has the folder, and wait for its answer."""
    asked = [ask(folder, name, request) for name in names]
    until_s, pause = clock.monotonic() + ANSWER_S, Event()
    while any(path.exists() for path in asked):
        if clock.monotonic() > until_s:
            raise Failure(
                "the worker has not answered yet and will still carry this out; see chatwatch quarantine list"
            )
        pause.wait(ASK_EVERY_S)
