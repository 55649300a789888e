"""Prints what came of a world, seed by seed, against its truth."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from monitor.cli.common import COUNT_EVERY

COLUMNS = (
    ("detected after, s", "detected_after_s"),
    ("told after, s", "told_after_s"),
    ("stated start off by, s", "start_error_s"),
    ("stated end off by, s", "end_error_s"),
    ("ahead of the vendor, s", "lead_s"),
    ("false recoveries", "false_recoveries"),
    ("reopened", "reopenings"),
    ("relapsed", "relapses"),
    ("pages", "pages"),
    ("  of them false", "false_pages"),
    ("notices", "notices"),
    ("  of them false", "false_notices"),
    ("red minutes, % off", "red_minutes_percent"),
)


def measured(data: Mapping[str, Any], seeds: int) -> list[Any]:
    """Draw and judge a world so many times, from its own seed upwards; on a terminal stderr says how far it is."""
    from monitor.core.replay import Judge
    from monitor.core.scenario.measure import measure
    from monitor.core.scenario.play import run

    runs: list[Any] = []
    first: int | None = None
    while len(runs) < seeds:
        progress = Progress(f"seed {len(runs) + 1} of {seeds}")
        report = run(data, Judge, None if first is None else first + len(runs), progress.seen)
        assert report.world is not None
        assert isinstance(report.judge, Judge)
        first = report.world.seed if first is None else first
        runs.append(measure(report.judge, report.world, report.start, progress.looks))
    Progress.over()
    return runs


class Progress:
    """Counts the looks of one seed and shows them on a terminal."""

    def __init__(self, what: str) -> None:
        self.what, self.looks = what, 0
        self.shown = sys.stderr.isatty()

    def seen(self, _: object) -> None:
        """Count one look."""
        self.looks += 1
        if self.shown and self.looks % COUNT_EVERY == 0:
            click.echo(f"\r{self.what}: {self.looks:,} looks", err=True, nl=False)

    @staticmethod
    def over() -> None:
        """End the line."""
        if sys.stderr.isatty():
            click.echo("", err=True)


def print_measured(name: str, runs: Sequence[Any], *, as_json: bool) -> None:
    """Print every seed and the summary, as JSON or as tables for people."""
    import json

    from monitor.core.scenario.durations import written
    from monitor.core.scenario.figures import as_json as one_seed
    from monitor.core.scenario.figures import summary

    total = summary(runs)
    if as_json:
        shown = {"scenario": name, "seeds": [one_seed(run, written) for run in runs], "summary": total}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    click.secho(f"{name}: {len(runs)} seeds, {sum(run.looks for run in runs):,} looks", bold=True)
    _print_seeds(runs)
    _print_summary(total)
    _print_notices(runs)
    _print_minutes(runs)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,.1f}".removesuffix(".0")


def _print_seeds(runs: Sequence[Any]) -> None:
    click.echo(
        f"{'seed':>6}  {'detected after, s':<28}  {'false rec.':>10}  {'reopened':>8}  {'pages':>5}  {'false':>5}"
    )
    for run in runs:
        found = [_number(item.seen_after_s) for item in run.found if not item.episode.is_blip]
        after = " ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
        pages = [one for one in run.sent if one.is_page]
        false = sum(one.is_false for one in pages)
        counts = f"{run.false_recoveries:>10}  {run.reopenings:>8}  {len(pages):>5}  {false:>5}"
        click.echo(f"{run.seed:>6}  {after or 'no outage':<28}  {counts}")


def _print_summary(total: Mapping[str, Any]) -> None:
    click.secho("\nOver all seeds", bold=True)
    click.echo(f"{total['outages']} outages, {total['missed']} of them not detected")
    click.echo(f"{'':<24}{'lowest':>10}{'median':>10}{'mean':>10}{'p95':>10}{'highest':>10}")
    for title, name in COLUMNS:
        figures = total[name]
        cells = "".join(f"{_number(figures[key]):>10}" for key in ("lowest", "median", "mean", "p95", "highest"))
        click.echo(f"{title:<24}{cells}")


def _print_notices(runs: Sequence[Any]) -> None:
    """Print how many notices reached a person, by rule, loudness, why they were sent and what they rest on."""
    counts: dict[tuple[str, ...], int] = {}
    for run in runs:
        for one in run.sent:
            key = (one.rule, one.severity.value, one.why.value, one.cause + (", false" if one.is_false else ""))
            counts[key] = counts.get(key, 0) + 1
    click.secho("\nNotices of all seeds", bold=True)
    click.echo(
        "\n".join(
            f"{count:>7}  {rule} ({severity}), {why}: {cause}"
            for (rule, severity, why, cause), count in sorted(counts.items(), key=lambda item: -item[1])
        )
        or "  none"
    )


def _print_minutes(runs: Sequence[Any]) -> None:
    """Print for each component how many minutes a seed was said to be what, and what was true then."""
    click.secho("\nMinutes a seed: component, what was said, what was true", bold=True)
    cells: dict[tuple[str, str, str], float] = {}
    for run in runs:
        for name, of_component in run.minutes.items():
            for said, facts in of_component.items():
                for fact, minutes in facts.items():
                    key = (name, said.value, fact.value)
                    cells[key] = cells.get(key, 0.0) + minutes / len(runs)
    for (name, said, fact), minutes in sorted(cells.items()):
        note = "" if said == fact else "  <- differs"
        click.echo(f"  {name:<28}{said:<22}{fact:<22}{minutes:>10,.1f}{note}")
