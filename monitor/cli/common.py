"""What several commands share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.runtime.programs import CONFIG, config_path, database_url

if TYPE_CHECKING:
    from monitor.config.faults import ConfigError
    from monitor.config.load import Config

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
COUNT_EVERY = 2_000


def with_config(command: F) -> F:
    """Give a command the option ``--config``."""
    return click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path),
        default=config_path,
        show_default=f"${CONFIG} or probes.yaml",
        help="Configuration file.",
    )(command)


def with_location(command: F) -> F:
    """Give a command the option ``--location``."""
    text = "Location of this worker; one of those in the file."
    return click.option("--location", default=None, help=text)(command)


def example(*lines: str) -> str:
    """Return the end of a command's help: lines to be typed."""
    return "\b\n" + "\n".join(["Example:", *(f"  {line}" for line in lines)])


class Number(click.FloatRange):
    """A number within bounds; what is no number (``nan``) lies within all of them for click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value} is no number", param, ctx)


class Failure(click.ClickException):
    """An expected failure: one line that says what to do."""

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"chatwatch: {self.format_message()}", err=True, file=file)


def loaded(path: Path, location: str | None = None) -> Config:
    """Return the configuration, or print every fault of it and leave with exit code 1."""
    from monitor.config.faults import ConfigError
    from monitor.config.load import load

    try:
        return load(path, os.environ, location)
    except ConfigError as error:
        tell(error)
        raise click.exceptions.Exit(1) from None


def tell(error: ConfigError) -> None:
    """Print faults, one a line."""
    for fault in error.faults:
        click.echo(str(fault), err=True)
    click.echo(f"chatwatch: {number(len(error.faults), 'fault')} in the configuration", err=True)


def open_database(*, read_only: bool = False) -> Any:
    """Return the engine of the database that the environment names, brought up to date unless only read.

    An empty one is not begun where a worker had one before: the worker waits for a restore, and would take it.
    """
    from monitor.recorder.durability.marker import Marker, MissingError
    from monitor.runtime.places import spool_home
    from monitor.runtime.trouble import why_not
    from monitor.store.connection.engine import file_named, open_engine
    from monitor.store.upgrade import migrate
    from monitor.text.lexicon import lexicon
    from monitor.text.messages import worded

    url = database_url()
    file = file_named(url)
    if not read_only and file is not None and (why := why_not(url, file)):
        raise Failure(why)
    engine = open_engine(url, read_only=read_only)
    if not read_only:
        try:
            for folder in spool_home(url).glob("*"):
                Marker(folder, engine).refuse_missing()
        except MissingError as error:
            raise Failure(f"the database is gone: {worded(str(error), lexicon())}") from None
        migrate(engine)
    return engine


def number(count: int, noun: str) -> str:
    """Return "1 probe", "2,353 probes"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted(items: Iterable[T], what: str) -> Iterator[T]:
    """Pass items on, and on a terminal show on stderr how many there were so far."""
    shown = sys.stderr.isatty()
    number = 0
    for number, item in enumerate(items, 1):
        if shown and number % COUNT_EVERY == 0:
            click.echo(f"\r{number:,} {what}", err=True, nl=False)
        yield item
    if shown and number >= COUNT_EVERY:
        click.echo(f"\r{number:,} {what}", err=True)
