"""Commands that judge again: a scenario, a recorded incident, the recorded past under another policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from monitor.cli.common import Failure, example, open_database
from monitor.core.catalogue import Catalogue
from monitor.core.model.observations import Result
from monitor.plain_files import text_of

T = TypeVar("T")
LEAD = timedelta(hours=1)
"""How long before an incident its scenario begins, so that the rules know what was usual."""
TAIL = timedelta(minutes=2)
CHANGED = (
    "Exported from what was recorded. The configuration was changed after it began, at {:%Y-%m-%d %H:%M:%S} UTC: these "
    "are the intervals and thresholds of now, so that not all that is expected need come."
)
LARGEST_BYTES = 8 * 2**20
"""Of a scenario file."""


@click.command(
    epilog=example(
        "chatwatch replay tests/scenarios/hard-outage.yaml",
        "chatwatch replay tests/scenarios/hard-and-partial-outage.yaml --seeds 20",
        "chatwatch replay tests/scenarios/hard-and-partial-outage.yaml --seeds 20 --json",
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--quiet", is_flag=True, help="Print differences only.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1, max=10_000),
    help="Draw the looks of a world so many times, and measure what came against the truth.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as JSON.")
def replay(file: Path, quiet: bool, seeds: int | None, as_json: bool) -> None:
    """Play a scenario FILE through the rules: what happens, who is told, and what the file expects but does not get.

    The exit code is 1 if anything differs from what the file expects. Where the file tells what is true (world:), the
    looks are drawn from it. With --seeds they are drawn anew for each seed, and what came of them is measured:
    detection, false recoveries, reopenings, notices, minutes and the lead against the vendor's own words.
    """
    data = _read_scenario(file)
    if seeds is not None and "world" not in data:
        raise Failure(f"{file}: --seeds needs a world to draw looks from, and this file gives the looks themselves")
    if seeds is not None or (as_json and "world" in data):
        from monitor.cli.past.measuring import measured, print_measured

        runs = with_faults(file, lambda: measured(data, seeds or 1))
        print_measured(str(data.get("name", file.name)), runs, as_json=as_json)
        return
    report = with_faults(file, lambda: _played(data))
    if as_json:
        _print_report_json(report)
    elif not quiet:
        _print_report(report)
    if report.unmet and not as_json:
        click.secho("Differences", bold=True)
        click.secho("\n".join(f"  {line}" for line in report.unmet), fg="red")
    if report.unmet:
        raise click.exceptions.Exit(1)
    if not (quiet or as_json):
        click.echo(f"{len(report.played)} looks, as expected")


def _print_report(report: Any) -> None:
    for title, lines in (("Timeline", report.timeline), ("Notices", report.notices), ("Told nobody", report.withheld)):
        click.secho(title, bold=True)
        click.echo("\n".join(f"  {line}" for line in lines) or "  nothing")


def _print_report_json(report: Any) -> None:
    import json

    names = ("timeline", "notices", "withheld", "unmet")
    shown = {"looks": len(report.played)} | {name: list(getattr(report, name)) for name in names}
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


def _read_scenario(file: Path) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(text_of(file, LARGEST_BYTES))
    except OSError as error:
        raise Failure(
            f"cannot read {file}: {error.strerror}; name a scenario file, as those in tests/scenarios"
        ) from None
    except RecursionError:
        raise Failure(f"{file} is nested too deeply, so it is no scenario") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise Failure(
            f"{file} is no YAML{where}: {getattr(error, 'problem', None) or 'not readable as text'}"
        ) from None
    if not isinstance(data, dict):
        raise Failure(f"{file} is no scenario: it must be a mapping with probes and looks")
    for part in ("probes", "world" if "world" in data else "looks"):
        if not isinstance(data.get(part), dict):
            raise Failure(f"{file} is no scenario: it must have {part}, a mapping; see tests/scenarios")
    return data


def with_faults(file: Path, play: Callable[[], T]) -> T:
    """Play; whatever is wrong with the file is told in one line."""
    from monitor.core.scenario.notation import ScenarioError

    try:
        return play()
    except ScenarioError as error:
        raise Failure(f"{file}: {error}") from None
    except KeyError as error:
        raise Failure(f"{file}: {error} is missing, or named without being described") from None
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Failure(f"{file}: {error}") from None


def _played(data: Mapping[str, Any]) -> Any:
    from monitor.core.scenario.play import run

    return run(data)


@click.command("export-scenario", epilog=example("chatwatch export-scenario 20250127T040500-1f2e3d4c5b -o outage.yaml"))
@click.argument("incident")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default standard output."
)
def export_scenario(incident: str, output: Path | None) -> None:
    """Turn a recorded INCIDENT into a scenario: its looks, what people did, and what came of it.

    Times may differ by what a look may last, because a scenario has whole looks only.
    """
    import yaml

    engine = open_database(read_only=True)
    try:
        data = recorded_scenario(engine, incident)
    finally:
        engine.dispose()
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=110)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from None
    click.echo(f"{output}  chatwatch replay {output} plays it")


def recorded_scenario(engine: Any, incident_id: str) -> dict[str, Any]:
    """Return the scenario of a recorded incident."""
    from monitor import clock
    from monitor.core.model.incident_events import EventKind
    from monitor.core.scenario.export import export
    from monitor.core.scenario.recorded import frame
    from monitor.store import reads

    view = reads.incident(engine, incident_id, public=False)
    if view is None:
        raise Failure(f"there is no incident {incident_id}; see chatwatch incident list --all")
    if any(event.kind is EventKind.OPENED and event.by for event in view.events):
        raise Failure(f"{incident_id} was opened by hand: no look led to it")
    end = min(clock.now(), (view.resolved_at or clock.now()) + TAIL)
    catalogue, published = reads.catalogue(engine), reads.published_at(engine)
    wanted = {probe.id for probe in catalogue.probes}
    results = [
        result
        for result in reads.results(engine, "", view.started_at - LEAD, end)
        if result.run.probe in wanted and result.started_at <= end
    ]
    about = CHANGED.format(published) if published and published > view.started_at else ""
    if about:
        click.secho(about, err=True, fg="yellow")
    try:
        scenario = export(catalogue, results, f"{view.service}: {view.id}", about)
    except ValueError:
        raise Failure(f"the looks of {incident_id} are not kept any more") from None
    start, seen = datetime.fromisoformat(scenario["start"]), max(map(_ended, results))
    end = min(end, max(seen, *(event.recorded_at for event in view.events)))
    past = _past(engine, view, start, end, _was_silent(catalogue, results, end))
    return scenario | frame(past, catalogue, start, end)


def _decision(made: Any, alert: Any, loudness: Any) -> Any:
    """Return a decision as it was made, with how loud its alert was then."""
    from monitor.core.entities import Decision

    then = [severity for at, severity in loudness if at <= made.at]
    return Decision(alert.id, made.route, made.send, made.why, made.at, then[-1] if then else alert.severity)


def _ended(result: Result) -> datetime:
    return result.started_at + timedelta(seconds=result.duration_s)


def _was_silent(catalogue: Catalogue, results: Sequence[Result], end: datetime) -> bool:
    """Say whether a probe told nothing for so long that the rules call it overdue.

    What came of that when it happened hangs on whether a worker was alive, which no look tells.
    """
    from monitor.core.components.health import stale_after

    limits = {probe.id: stale_after(probe) for probe in catalogue.probes}
    last: dict[tuple[str, str], datetime] = {}
    for result in sorted(results, key=lambda item: item.started_at):
        if result.outcome.is_evidence:
            key, at = (result.run.probe, result.run.location), result.started_at
            if at - last.get(key, at) > limits[result.run.probe]:
                return True
            last[key] = at
    return any(end - at > limits[probe] for (probe, _), at in last.items())


def _past(engine: Any, view: Any, start: datetime, end: datetime, silent: bool) -> Any:
    from monitor.core.alerts.routing import SilenceWindow
    from monitor.core.model.alert_rules import row
    from monitor.core.scenario.recorded import Past
    from monitor.store import reads
    from monitor.store.connection.engine import reading
    from monitor.store.maintenances import held_windows

    own = reads.alerts(engine, incident=view.id)
    fired = reads.alerts(engine, since=start, until=end, limit=10_000)
    others = [item for item in fired if item.alert.incident != view.id and row(item.alert.rule).replayable]
    near = [item for item in reads.incidents(engine, public=False, since=start - LEAD) if item.started_at <= end]
    with reading(engine) as connection:
        windows = tuple(held_windows(connection, start, end))
    silences = tuple(
        SilenceWindow(item.id, item.starts_at, item.removed_at or item.ends_at, item.service, item.component, item.rule)
        for item in reads.silences(engine, start, over=True)
        if item.starts_at <= end and item.ends_at >= start
    )
    return Past(
        view.service,
        view.cause,
        view.events,
        [(a.alert, [_decision(d, a.alert, reads.loudness(engine, a.alert.id)) for d in a.decisions]) for a in own],
        windows,
        silences,
        alone=not (others or silent) and all(item.id == view.id for item in near),
    )
