"""Commands that answer a question and change nothing."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from monitor import clock
from monitor.cli.common import Failure, example, loaded, number, tell, with_config, with_location
from monitor.cli.costing import costs
from monitor.config.faults import ConfigError, did_you_mean
from monitor.config.load import Config, load
from monitor.core.catalogue import Catalogue, Probe, Service
from monitor.core.components.price import FREE, Questions, money, price, promise
from monitor.core.components.soundness import probe_warnings
from monitor.core.doubt.network import can_doubt
from monitor.core.maintenance import Maintenance, windows
from monitor.text.cleaner import plain
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded


@click.command(epilog=example("chatwatch check --config probes.yaml"))
@with_config
@click.option("--quiet", is_flag=True, help="Print faults only.")
@click.option("--expand", is_flag=True, help="Show every option of each probe, and where a preset's facts are from.")
@click.option("--json", "as_json", is_flag=True, help="Print faults and probes as JSON.")
def check(path: Path, quiet: bool, expand: bool, as_json: bool) -> None:
    """Read the configuration, name every fault with its line, and show what it expands to."""
    if as_json:
        _check_json(path)
        return
    config = loaded(path)
    if not quiet:
        _table(config, expand)


def _check_json(path: Path) -> None:
    faults: list[dict[str, Any]] = []
    probes: list[dict[str, Any]] = []
    unverified: list[dict[str, str]] = []
    sources: list[dict[str, str]] = []
    keeps: list[dict[str, Any]] = []
    try:
        config = load(path, os.environ)
    except ConfigError as error:
        faults = [
            {key: getattr(fault, key) for key in ("file", "line", "id", "message", "hint")} for fault in error.faults
        ]
    else:
        probes = [_probe_row(probe) for probe in config.catalogue.probes]
        unverified, sources = _facts(config.unverified), _facts(config.sources)
        keeps = [{"name": one.name, "kept_s": one.kept_s or None, "bytes": one.bytes_full} for one in costs(config)]
    told = {"faults": faults, "probes": probes, "unverified": unverified, "sources": sources, "keeps": keeps}
    click.echo(json.dumps(told, indent=2))
    if faults:
        raise click.exceptions.Exit(1)


def _facts(by_service: Mapping[str, Iterable[tuple[str, str]]]) -> list[dict[str, str]]:
    return [
        {"service": service, "field": name, "source": source}
        for service, facts in by_service.items()
        for name, source in facts
    ]


def _probe_row(probe: Probe) -> dict[str, Any]:
    return {
        "id": probe.id,
        "component": probe.component,
        "kind": probe.kind,
        "target": probe.target,
        "interval_s": probe.interval_s,
        "timeout_s": probe.timeout_s,
        "locations": list(probe.locations),
        "control": probe.control,
        "witness": probe.witness,
        "disabled": worded(probe.disabled, lexicon()),
    }


def _table(config: Config, expand: bool) -> None:
    catalogue = config.catalogue
    for service in catalogue.services:
        click.secho(f"{service.name}  {service.id}", bold=True)
        for component in catalogue.components:
            if component.service == service.id:
                click.echo(f"  {component.name}  {component.id}")
                if all(item.component != component.id for item in catalogue.probes):
                    _folded("nothing looks at it: the page says that it cannot be seen from outside", 4, "yellow")
                for item in catalogue.probes:
                    if item.component == component.id:
                        _row(config, item)
                        for name, source in doubts(config, item):
                            _folded(f"not verified: {name}: {source}", 6, "yellow")
                        if expand:
                            _options(config, item)
        _planned(catalogue, service)
        for name, source in config.sources.get(service.id, ()) if expand else ():
            _folded(f"{name}: {source}", 2, "bright_black")
        for name, source in config.unverified.get(service.id, ()):
            if name.startswith("probes."):
                continue
            _folded(f"not verified: {name}: {source}", 2, "yellow")
    off = sum(bool(item.disabled) for item in catalogue.probes)
    click.echo(
        f"{number(len(catalogue.services), 'service')}, {number(len(catalogue.components), 'component')}, "
        f"{number(len(catalogue.probes), 'probe')} ({off} switched off),\n"
        f"{number(len(config.channels), 'channel')}, {number(len(catalogue.routes), 'route')}"
    )
    _remarks(config)


def _remarks(config: Config) -> None:
    click.echo("Kept on disk, on SQLite:")
    for cost in costs(config):
        _folded(str(cost), 2)
    for channel in config.channels.values():
        if channel.disabled:
            click.secho(f"channel {channel.id} is switched off: {worded(channel.disabled, lexicon())}", fg="yellow")
    for hint in config.hints:
        click.secho(hint, fg="yellow")
    if not config.catalogue.routes:
        click.secho("Nobody is told of anything: there are no routes.", fg="yellow")


def _planned(catalogue: Catalogue, service: Service) -> None:
    for item in catalogue.planned:
        if item.window.service == service.id:
            _folded(f"planned: {item.title}, {_next_window(item.window)}", 2)


def _next_window(item: Maintenance) -> str:
    """Say when planned work goes on next, by the clock of its own zone."""
    now = clock.now()
    window = next(windows(item, now, now + timedelta(days=400)), None)
    if window is None:
        return "over"
    first, last = (at.astimezone(ZoneInfo(item.time_zone)) for at in (window.starts_at, window.ends_at))
    repeat = f", {item.repeat}" if item.repeat else ""
    return f"next {first:%Y-%m-%d %H:%M} to {last:%H:%M} {item.time_zone}{repeat}"


def _row(config: Config, item: Probe) -> None:
    """Print one probe: its id whole and alone on its line, so that it can be copied; then what it does."""
    click.echo(f"    {item.id}")
    target = f", {item.target}" if item.target else ""
    _folded(f"{item.kind}, every {lexicon().duration(item.interval_s)}{target}", 6)
    text, colour = _told(config, item)
    _folded(text, 6, colour)
    if not (item.disabled or item.control or item.witness):
        asked, most = _questions(config, item), _most(config, item)
        _folded(f"{price(item, asked)}{money(item, asked, most)}", 6, "bright_black")


def doubts(config: Config, item: Probe) -> tuple[tuple[str, str], ...]:
    """Return the facts of a preset that feed a probe and that nobody has verified: field and source."""
    service = item.component.partition("/")[0]
    field = f"probes.{item.id.removeprefix(f'{service}-')}"
    facts = config.unverified.get(service, ())
    return tuple(fact for fact in facts if fact[0] == field or fact[0].startswith(f"{field}."))


def _most(config: Config, item: Probe) -> tuple[int, float]:
    """Return the most tokens and dollars that a question of a probe costs."""
    options = config.looks.get(item.id)
    return (0, 0.0) if options is None else options.most_of_a_question()


def _questions(config: Config, item: Probe) -> Questions:
    """Return how many paid questions a day a probe plans, and how many its budget allows."""
    options = config.looks.get(item.id)
    return FREE if options is None else Questions(*options.questions_a_day(item.interval_s))


def _options(config: Config, item: Probe) -> None:
    """Print what differs from the kind's defaults, secrets as stars, and what works less well than it looks."""
    options = config.looks.get(item.id)
    given: dict[str, Any] = {} if options is None else options.model_dump(mode="json", exclude_defaults=True)
    for name, value in given.items():
        _folded(f"{name}: {json.dumps(value, ensure_ascii=False)}", 8)
    if item.disabled or item.control or item.witness:
        return
    for warning in probe_warnings(item):
        _folded(warning, 8, "yellow")
    if not can_doubt(item, config.catalogue):
        _folded(ALONE, 8, "yellow")


ALONE = (
    "nothing else here gets as far as an answer: its failures cannot be told from our own; add a control of kind http, "
    "as in controls: [{id: captive-check, kind: http, options: {url: https://www.gstatic.com/generate_204}}]"
)


def _folded(text: str, indent: int, colour: str | None = None) -> None:
    """Print within the terminal's width; no word is ever broken."""
    columns = max(40, min(120, shutil.get_terminal_size().columns))
    lines = textwrap.wrap(
        plain(text, 600), columns - indent, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    for line in lines:
        click.secho(" " * indent + line, fg=colour)


def _told(config: Config, item: Probe) -> tuple[str, str]:
    """Say what may be expected of a probe, and in which colour."""
    if item.disabled:
        return f"off: {worded(item.disabled, lexicon())}", "yellow"
    if item.control:
        return "tells only whether we are online ourselves", "bright_black"
    if item.witness:
        return "the vendor's own word, shown beside our verdict", "bright_black"
    return promise(item, _questions(config, item)), "bright_black"


@click.command(epilog=example("chatwatch probe deepseek-web-page --explain"))
@click.argument("probe_id", metavar="ID")
@with_config
@with_location
@click.option("--explain", is_flag=True, help="Show the phases, the reason and what the rules would do.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def probe(probe_id: str, path: Path, location: str | None, explain: bool, as_json: bool) -> None:
    """Look once with one probe, now, and show what was seen. Nothing is recorded.

    The exit code is 0 when the target is fine, 2 when it failed, and 3 when nothing can be said.
    """
    import asyncio

    from monitor.cli.explain import as_json as in_json
    from monitor.cli.explain import explained, one_line, told_of_page
    from monitor.cli.looking import look_once, page_memory

    config = loaded(path, location)
    found = next((item for item in config.catalogue.probes if item.id == probe_id), None)
    if found is None:
        hint = did_you_mean(probe_id, [item.id for item in config.catalogue.probes])
        raise Failure(f'no probe "{probe_id}" in {path}: {hint}')
    if found.id not in config.looks:
        raise Failure(f"{found.id} is switched off: {worded(found.disabled, lexicon())}")
    memory = page_memory(config, found)
    unsure = [("Not verified", f"{name}: {source}") for name, source in doubts(config, found)]
    result = asyncio.run(look_once(config, found, memory))
    if as_json:
        click.echo(json.dumps(in_json(found, result), indent=2, ensure_ascii=False))
    elif explain:
        explained(found, result, (*told_of_page(config.looks[found.id], memory), *unsure))
    else:
        click.echo(one_line(found, result))
    if not result.outcome.is_evidence:
        raise click.exceptions.Exit(3)
    if result.outcome.value == "failed":
        raise click.exceptions.Exit(2)


@click.command(epilog=example("chatwatch diagram > incident.mmd"))
def diagram() -> None:
    """Print the incident's state diagram (Mermaid) from the table that the rules use."""
    from monitor.core.incidents.transitions import diagram as drawn

    click.echo(drawn())


@click.command(epilog=example("chatwatch doctor"))
@with_config
def doctor(path: Path) -> None:
    """Look for what keeps Chatwatch from working here: configuration, database, clock, ports, network, channels."""
    from monitor.cli.doctor import examine

    try:
        config: Config | None = load(path, os.environ)
    except ConfigError as error:
        tell(error)
        config = None
    if not examine(config):
        raise click.exceptions.Exit(1)
