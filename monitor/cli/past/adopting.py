"""Thresholds as ``--set`` gives them, and the change that they are to ``probes.yaml``."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.common import Failure, loaded

if TYPE_CHECKING:
    from monitor.config.adopt.wish import Adoption
    from monitor.config.models import Entry
    from monitor.core.catalogue import Policy

COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def given_of(changes: Sequence[str]) -> dict[str, Any]:
    """Return the thresholds of ``FIELD=VALUE`` words, by field."""
    import yaml

    from monitor.config.faults import did_you_mean
    from monitor.config.models import PolicyEntry

    given: dict[str, Any] = {}
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: write FIELD=VALUE, as in shortest_outage=1m")
        if field not in PolicyEntry.model_fields:
            raise click.UsageError(f"--set {change}: {did_you_mean(field, PolicyEntry.model_fields)}")
        try:
            given[field] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.UsageError(f"--set {change}: the value cannot be read") from None
    return given


def entry_of(given: Mapping[str, Any]) -> Entry:
    """Return thresholds checked like those of the configuration."""
    from pydantic import ValidationError

    from monitor.config.models import PolicyEntry

    try:
        return PolicyEntry.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise click.UsageError(f"--set {first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}") from None


def planned_change(path: Path, changes: Mapping[str, Any], policy: str, service: str) -> Adoption:
    """Return what would be written into the configuration file; a refusal comes before anything is judged."""
    from monitor.config.adopt.plan import planned
    from monitor.config.adopt.wish import AdoptError, Wish

    entry_of(changes)
    try:
        return planned(path, loaded(path), Wish(changes, policy, service), os.environ)
    except AdoptError as error:
        raise Failure(str(error)) from None


def same_as_tried(adoption: Adoption, tried: Mapping[str, Policy]) -> None:
    """Refuse to adopt for other probes, or from other thresholds, than those whose looks are judged."""
    other = [name for name, policy in tried.items() if adoption.policies.get(name) != policy]
    if other:
        raise Failure(
            f"{adoption.path} is not what is in force (see probe {other[0]}): start the worker with it or send it "
            "SIGHUP, then try and adopt again"
        )


def offer(adoption: Adoption, *, yes: bool, to_stderr: bool) -> None:
    """Show the change and write it if the person says so."""
    from monitor.config.adopt.wish import AdoptError
    from monitor.config.adopt.writing import write

    if adoption.is_nothing:
        click.echo(f"{adoption.path} says so already", err=to_stderr)
        return
    for line in difference(adoption):
        click.secho(line, err=to_stderr, fg=COLOURS.get(line[:1]))
    if not yes:
        if not sys.stdin.isatty():
            raise Failure(f"{adoption.path} was not changed: add --yes to write this")
        click.confirm(f"Write this into {adoption.path}?", abort=True, err=to_stderr)
    try:
        write(adoption)
    except AdoptError as error:
        raise Failure(str(error)) from None
    click.echo(f"{adoption.path} is written; a worker takes it with the next start or SIGHUP", err=to_stderr)


def difference(adoption: Adoption) -> list[str]:
    """Return the change as the lines of a unified diff."""
    before, after = (data.decode("utf-8-sig").splitlines() for data in (adoption.before, adoption.after))
    name = str(adoption.path)
    return list(difflib.unified_diff(before, after, name, name, lineterm=""))
