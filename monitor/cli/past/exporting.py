"""Commands that give something away: raw results, the public pages as files, rules for Prometheus."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click

from monitor.cli.commands import Moment
from monitor.cli.common import Failure, counted, example, loaded, open_database, with_config
from monitor.core.model.observations import Result
from monitor.logs import log_options
from monitor.runtime.programs import DATABASE, database_url
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

COLUMNS = (
    "probe",
    "location",
    "tick",
    "attempt",
    "started_at",
    "duration_s",
    "outcome",
    "reason",
    "detail",
    "http_status",
    "http_version",
    "address",
    "dns_s",
    "connect_s",
    "tls_s",
    "wait_s",
    "transfer_s",
    "ttft_s",
    "tokens_per_s",
    "warnings",
)
RISKY = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that a spreadsheet takes for a formula (OWASP: CSV injection)."""


class Since(Moment):
    """A time in ISO 8601 with its zone, a day, or how long ago, as 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware time; a day begins at 00:00 UTC."""
        from monitor import clock
        from monitor.core.scenario.durations import seconds

        if isinstance(value, datetime):
            return value
        try:
            return clock.now() - timedelta(seconds=seconds(value))
        except (ValueError, OverflowError):
            pass
        try:
            return datetime.combine(datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC), datetime.min.time(), UTC)
        except ValueError:
            pass
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail("write 7d, 2026-01-31, or a time with its zone as in 2026-01-31T22:00+00:00", param, ctx)


@click.command(epilog=example("chatwatch export --since 7d --format csv -o looks.csv"))
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--since", type=Since(), required=True, help="From when: 7d, 2026-01-31 or a time with its zone.")
@click.option("--until", type=Since(), default=None, help="Until when; by default now.")
@click.option("--probe", default="", help="One probe only.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default standard output."
)
def export(form: str, since: datetime, until: datetime | None, probe: str, output: Path | None) -> None:
    """Write raw results, oldest first. Times are UTC, durations seconds; empty means not measured.

    In CSV a text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    from monitor.config.faults import did_you_mean
    from monitor.store import reads

    engine = open_database(read_only=True)
    try:
        known = [item.id for item in reads.catalogue(engine).probes]
        if probe and probe not in known:
            raise Failure(f'no probe "{probe}": {did_you_mean(probe, known)}')
        results = counted(reads.results(engine, probe, since, until), "looks written")
        write = _write_csv if form == "csv" else _write_jsonl
        if output is None:
            write(results, sys.stdout)
        else:
            _into(output, write, results)
    finally:
        engine.dispose()


def _into(output: Path, write: Any, results: Iterable[Result]) -> None:
    """Write a file that is whole or absent."""
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            write(results, file)
        part.replace(output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failure(f"cannot write {output}: {error.strerror}") from None


def _write_jsonl(results: Iterable[Result], file: TextIO) -> None:
    from monitor.core.codec import dumps_result

    for result in results:
        line = dumps_result(result)
        file.write((line.decode() if isinstance(line, bytes) else line) + "\n")


def _write_csv(results: Iterable[Result], file: TextIO) -> None:
    rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    rows.writeheader()
    rows.writerows(map(_row, results))


def _row(result: Result) -> dict[str, Any]:
    seen, run = result.observation, result.run
    row: dict[str, Any] = {
        "probe": inert(run.probe),
        "location": inert(run.location),
        "tick": run.tick.isoformat(),
        "attempt": run.attempt,
        "started_at": result.started_at.isoformat(),
        "duration_s": result.duration_s,
        "outcome": result.outcome.value,
        "reason": result.reason.value,
        "detail": inert(worded(seen.detail, lexicon())),
        "http_status": seen.http_status,
        "http_version": inert(seen.http_version),
        "address": inert(seen.address),
        "warnings": inert("; ".join(map(str, seen.warnings))),
    }
    if seen.phases is not None:
        row |= {name: getattr(seen.phases, name) for name in ("dns_s", "connect_s", "tls_s", "wait_s", "transfer_s")}
    if seen.chat is not None:
        row |= {"ttft_s": seen.chat.ttft_s, "tokens_per_s": seen.chat.tokens_per_s}
    return row


def inert(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(RISKY) or text.startswith(RISKY) else text


@click.command(epilog=example("chatwatch publish --to /var/www/status --url https://status.example.org"))
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder.")
@click.option("--url", default="", help="The pages' public address, for feeds and JSON.")
@log_options
def publish(folder: Path, url: str) -> None:
    """Write the public pages, JSON, feeds and badges as files for any static host.

    Every file is whole at every moment; what an earlier run wrote and is gone by now is taken away.
    """
    import os
    import subprocess

    arguments = [sys.executable, "-m", "dashboard.web.publish", "--to", str(folder), "--url", url]
    ended = subprocess.run(arguments, env={**os.environ, DATABASE: database_url()}, check=False)  # noqa: S603  # ours
    if ended.returncode:
        raise click.exceptions.Exit(ended.returncode)


@click.command(epilog=example("chatwatch rules > chatwatch.rules.yml && promtool check rules chatwatch.rules.yml"))
@with_config
@click.option("--alertmanager", is_flag=True, help="An example of Alertmanager's routing instead.")
@click.option("--prometheus", is_flag=True, help="Alerting and recording rules; the default.")
def rules(path: Path, alertmanager: bool, prometheus: bool) -> None:
    """Print Prometheus rules that fit our metrics and the configuration, or an example for Alertmanager."""
    from monitor.cli.rules import alertmanager_example, prometheus_rules

    if alertmanager and prometheus:
        raise click.UsageError("choose --prometheus or --alertmanager")
    config = loaded(path)
    click.echo(alertmanager_example() if alertmanager else prometheus_rules(config), nl=False)
