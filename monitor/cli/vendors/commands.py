"""The presets that come along: what they know, from where, since when, and whether it still holds."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor import clock
from monitor.cli.common import Failure, Number, example, loaded
from monitor.cli.vendors.facts import preset_facts
from monitor.cli.vendors.showing import fact_row, preset_row, print_facts, print_findings
from monitor.config.faults import did_you_mean
from monitor.config.presets import preset_names

if TYPE_CHECKING:
    from monitor.config.load import Config

OLD_DAYS = 90


@click.group(epilog=example("chatwatch vendors list", "chatwatch vendors show deepseek", "chatwatch vendors audit"))
def vendors() -> None:
    """Show the presets and their facts, and find out which of these no longer hold."""


@vendors.command("list", epilog=example("chatwatch vendors list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def vendors_list(as_json: bool) -> None:
    """List the presets: how many facts each has, how many nobody has verified, and how old the oldest is."""
    rows = [preset_row(preset_facts(name)) for name in preset_names()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        doubted = f", {row['unverified']} not verified" if row["unverified"] else ""
        age = "" if row["oldest_days"] is None else f", oldest {row['oldest_days']} d"
        click.echo(f"{row['preset']:<15} {row['service']:<16} {row['kind']:<22} {row['facts']} facts{doubted}{age}")


@vendors.command("show", epilog=example("chatwatch vendors show deepseek", "chatwatch vendors show openai --json"))
@click.argument("name", metavar="PRESET")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def vendors_show(name: str, as_json: bool) -> None:
    """Show each fact of a preset: its value, its source and age, what it feeds, and whether it was verified."""
    preset = preset_facts(_known(name))
    facts = [fact_row(fact) for fact in preset.facts]
    if as_json:
        click.echo(json.dumps(preset_row(preset) | {"facts": facts}, indent=2, ensure_ascii=False, default=str))
        return
    print_facts(preset)


def _known(name: str) -> str:
    if name not in preset_names():
        raise Failure(f'no preset "{name}": {did_you_mean(name, preset_names()) or "see chatwatch vendors list"}')
    return name


@vendors.command(
    "audit",
    epilog=example(
        "chatwatch vendors audit", "chatwatch vendors audit openai xai", "chatwatch vendors audit --config probes.yaml"
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--config", "path", type=click.Path(path_type=Path), default=None, help="Audit the services of this file instead."
)
@click.option("--within", "days", type=Number(min=1), default=OLD_DAYS, show_default=True, help="Days that facts keep.")
@click.option("--timeout", "deadline_s", type=Number(min=1, max=600), default=60, show_default=True, help="Seconds.")
@click.option("--offline", is_flag=True, help="Ask nobody; look at dates alone.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def vendors_audit(
    names: tuple[str, ...], path: Path | None, days: float, deadline_s: float, offline: bool, as_json: bool
) -> None:
    """Ask the vendors' pages and hosts once, and name what changed.

    Named are components that vanished, are new or share a name, hosts that moved, pages that cannot be read, and facts
    that nobody looked up for long. NAME is a preset, or with --config a service; without one all are audited.

    The exit code is 0 when nothing is wrong (new components alone are no fault), 2 when something is, and 3 when
    nothing could be reached.
    """
    from monitor.cli.vendors.auditing import Audit, audit, old_facts

    config = _of_presets(names) if path is None else loaded(path)
    services = [service.id for service in config.catalogue.services]
    if path is not None and (strange := [name for name in names if name not in services]):
        raise Failure(f'no service "{strange[0]}" in {path}: {did_you_mean(strange[0], services)}')
    chosen = [*names] if path is not None and names else services
    found = Audit((), 0, 0) if offline else asyncio.run(audit(config, chosen, deadline_s))
    old = tuple(old_facts(config, chosen, clock.now().date(), round(days)))
    reached = () if found.is_offline else found.findings
    print_findings((*reached, *old), found, as_json)
    if found.is_offline:
        raise click.exceptions.Exit(3)
    if any(finding.is_fault for finding in (*reached, *old)):
        raise click.exceptions.Exit(2)


def _of_presets(names: tuple[str, ...]) -> Config:
    """Return a configuration of presets alone, without a key: those named, or all that need no address of yours."""
    from monitor.config.load import load

    chosen = [_known(name) for name in names]
    if own := [name for name in chosen if _needs_address(name)]:
        raise Failure(f"{own[0]} is a server of yours: audit it with --config probes.yaml")
    chosen = chosen or [name for name in preset_names() if not _needs_address(name)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.yaml"
        file.write_text("services:\n" + "".join(f"  - preset: {name}\n" for name in chosen), encoding="utf-8")
        return load(file, {})


def _needs_address(name: str) -> bool:
    return preset_facts(name).needs_address
