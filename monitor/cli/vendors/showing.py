"""How presets, their facts and the findings of an audit are printed, and what of them is in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from monitor import clock
from monitor.cli.common import number
from monitor.cli.vendors.facts import Fact, Preset
from monitor.text.cleaner import plain

if TYPE_CHECKING:
    from monitor.cli.vendors.auditing import Audit, Finding

WIDTH = 100


def preset_row(preset: Preset) -> dict[str, Any]:
    """Return a preset as counts."""
    ages = [age for fact in preset.facts if (age := fact.age_days(clock.now().date())) is not None]
    return {
        "preset": preset.name,
        "service": preset.service,
        "kind": preset.kind,
        "facts": len(preset.facts),
        "unverified": sum(not fact.verified for fact in preset.facts),
        "oldest_days": max(ages, default=None),
    }


def print_facts(preset: Preset) -> None:
    """Print a preset with its facts."""
    click.secho(f"{preset.service}  {preset.name}  ({preset.kind})", bold=True)
    for fact in preset.facts:
        click.echo(f"  {fact.field}: {_short(fact.value)}")
        age = fact.age_days(clock.now().date())
        since = "no date" if age is None else f"{fact.looked_up}, {number(age, 'day')} old"
        click.secho(f"    {plain(fact.source, 400)} ({since})", fg="bright_black")
        if not fact.verified:
            feeds = f"; it feeds {', '.join(fact.feeds)}" if fact.feeds else ""
            click.secho(f"    not verified{feeds}", fg="yellow")


def fact_row(fact: Fact) -> dict[str, Any]:
    """Return a fact as JSON has it; ages in days."""
    return {
        "field": fact.field,
        "value": fact.value,
        "source": fact.source,
        "date": str(fact.looked_up) if fact.looked_up else None,
        "age_days": fact.age_days(clock.now().date()),
        "verified": fact.verified,
        "feeds": list(fact.feeds),
    }


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return plain(text, WIDTH)


def print_findings(findings: tuple[Finding, ...], found: Audit, as_json: bool) -> None:
    """Print what an audit found."""
    if as_json:
        rows = [asdict(finding) | {"what": str(finding.what), "fault": finding.is_fault} for finding in findings]
        told = {"asked": found.asked, "answered": found.answered, "offline": found.is_offline, "findings": rows}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for finding in findings:
        detail = f": {plain(finding.detail, 300)}" if finding.detail else ""
        colour = "yellow" if finding.is_fault else "bright_black"
        click.secho(f"{finding.service}  {finding.what:<10}  {plain(finding.subject, 120)}{detail}", fg=colour)
    if found.is_offline:
        click.echo("nothing could be reached: is there a network? Dates alone were looked at.")
    else:
        faults = sum(finding.is_fault for finding in findings)
        asked = f"{found.answered} of {number(found.asked, 'look')} answered, " if found.asked else ""
        click.echo(f"{asked}{number(faults, 'finding')}")
