"""Me or them? The command ``chatwatch ask``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from monitor import clock
from monitor.cli.common import Failure, example
from monitor.cli.errors.intake import read
from monitor.runtime.programs import DATABASE, database_url
from monitor.text.lexicon import Language, lexicon

if TYPE_CHECKING:
    from monitor.cli.errors.measured import Measured
    from monitor.cli.errors.speakers import Speaker


@click.command(
    epilog=example(
        "chatwatch ask error.txt",
        "curl -si https://api.deepseek.com/models | chatwatch ask",
        "python app.py 2>&1 | tail -50 | chatwatch ask --json",
        "chatwatch ask < error.txt; test $? -eq 10 && echo not us",
    )
)
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print scope, reason, sentence and what is measured as JSON.")
@click.option(
    "--language",
    type=click.Choice([one.value for one in Language]),
    default=None,
    help="Language of the sentence; without it that of the terminal.",
)
def ask(file: Path | None, as_json: bool, language: str | None) -> None:
    """Me or them? Say whose trouble an error is: status, headers, body, or the text of a library's exception.

    The error comes from FILE, a pipe, or is pasted (end it with Ctrl-D). Nothing of it is stored, sent or repeated but
    the status and the host. Where there is a database, what is measured now is said beside it.

    The exit code is 10 when it is theirs, 11 when it is your account (key, money, limit, region), 12 when it is your
    request, settings or network, 13 when no known error is in the text, and 0 when nothing is wrong.
    """
    from monitor.cli.errors.judging import judge
    from monitor.cli.errors.speakers import speaker
    from monitor.cli.errors.telling import Told

    text = _taken(file)
    said_by = speaker(text)
    told = Told(judge(text), said_by, _measured(said_by))
    words = lexicon(Language(language) if language else spoken(os.environ))
    if as_json:
        click.echo(json.dumps(told.as_json(words), indent=2, ensure_ascii=False))
    else:
        click.echo(told.sentence(words))
        click.secho(told.whose(words) + (f"  {told.reason}" if told.reason else ""), fg="bright_black")
    raise click.exceptions.Exit(told.exit_code)


def spoken(environ: Mapping[str, str]) -> Language:
    """Return the language of the terminal, as POSIX names it."""
    named = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return Language.ZH if named.lower().startswith("zh") else Language.EN


def _taken(file: Path | None) -> str:
    if file is None or str(file) == "-":
        source: BinaryIO = sys.stdin.buffer
        if sys.stdin.isatty():
            click.echo("Paste the error and end it with Ctrl-D:", err=True)
        text = read(source)
    else:
        try:
            with file.open("rb") as opened:
                text = read(opened)
        except OSError as error:
            raise Failure(f"{file} cannot be read: {(error.strerror or 'no such file').lower()}") from None
    if not text.strip():
        raise Failure("there is nothing to read: give a file, or pipe the error in, as in: chatwatch ask error.txt")
    return text


def _measured(said_by: Speaker) -> Measured | None:
    """Return what is measured now; without a database nothing is, and one that was named and cannot be read is told."""
    from monitor.store.connection.engine import StoreError, file_named, open_engine

    if not said_by.name:
        return None
    url = database_url()
    try:
        path = file_named(url)
        if path is not None and not path.exists() and not os.environ.get(DATABASE):
            return None
        from sqlalchemy.exc import SQLAlchemyError

        from monitor.cli.errors.measured import measured

        try:
            return measured(open_engine(url, read_only=True), said_by, clock.now())
        except SQLAlchemyError:
            raise StoreError("the database cannot be read; chatwatch doctor says why") from None
    except StoreError as error:
        click.echo(f"chatwatch: nothing is measured now: {error}", err=True)
        return None
