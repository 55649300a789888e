"""``chatwatch doctor``: one line for everything that must be right, and what to do where it is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from monitor.config.load import Config
from monitor.runtime.programs import database_url, split
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

LOWEST_FREE_BYTES = 200 * 2**20
LOWEST_FILES = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    good: bool
    what: str
    remedy: str = ""


def examine(config: Config | None) -> bool:
    """Print the findings; True when nothing is wrong."""
    findings = [Finding(config is not None, "configuration", "fix the faults above")]
    findings += _database()
    if config is not None:
        findings += _network(config)
        findings += _channels(config)
        findings += _ports(config)
        findings += _switched_off(config)
    for finding in findings:
        mark = click.style("ok  ", fg="green") if finding.good else click.style("bad ", fg="red")
        click.echo(mark + finding.what + ("" if finding.good or not finding.remedy else f": {finding.remedy}"))
    return all(finding.good for finding in findings)


def _database() -> Iterator[Finding]:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    from monitor.store.connection.engine import StoreError, begin, open_engine

    url = database_url()
    if (gone := lost(url)) is not None:
        yield gone  # opening what lies there instead might harm what can still be saved
        return
    try:
        engine = open_engine(url)
        with begin(engine) as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()
        yield Finding(True, "database can be written")
    except StoreError as error:
        yield Finding(False, "database", str(error))
    except (SQLAlchemyError, OSError) as error:
        yield Finding(False, "database", f"it cannot be written ({type(error).__name__}); see CHATWATCH_DATABASE")
    yield from _held(url)
    if url.startswith("sqlite:///"):
        folder = Path(url.removeprefix("sqlite:///")).absolute().parent
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        yield Finding(free > LOWEST_FREE_BYTES, f"disk: {free // 2**20} MB free", "make room, or move the database")


def lost(url: str) -> Finding | None:
    """Name a database that is gone, or that its worker has lost."""
    from monitor.runtime.places import spool_home
    from monitor.runtime.trouble import NOTE, trouble_of, why_not
    from monitor.store.connection.engine import StoreError, file_named

    try:
        file = file_named(url)
    except StoreError:  # told by whoever opens it
        return None
    if file is None:
        return None
    if why := why_not(url, file):
        trouble = trouble_of(url)
        said = (why, "") if trouble is None else (trouble.what, trouble.todo)
        what, todo = (worded(text, lexicon()) for text in said)
        return Finding(False, f"database: {what}", todo)
    if not os.path.lexists(file) and any(spool_home(url).glob(f"*/{NOTE}")):
        return Finding(False, "database: the file is gone", "run chatwatch restore BACKUP with the newest backup")
    return None


def _held(url: str) -> Iterator[Finding]:
    """Name the services whose looks could not be judged."""
    from monitor.recorder.quarantine import listed
    from monitor.runtime.places import quarantine_home
    from monitor.store.connection.engine import StoreError

    with contextlib.suppress(StoreError):  # told already
        home = quarantine_home(url)
        found = [item for folder in sorted(home.glob("*/")) for item in listed(folder)]
        names = ", ".join(dict.fromkeys(item.service for item in found))
        yield Finding(not found, f"quarantine: {names or 'empty'}", "see chatwatch quarantine list")


def _ports(config: Config) -> Iterator[Finding]:
    import resource
    import socket

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield Finding(files >= LOWEST_FILES, f"open files: {files} allowed", "raise it with ulimit -n 4096")
    for name in ("web", "live", "console", "metrics"):
        host, port = split(getattr(config.settings, name))
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
                yield Finding(True, f"address for {name} is free")
            except OSError as error:
                remedy = f"{error.strerror}; another Chatwatch may be running, or set listen.{name} in probes.yaml"
                yield Finding(False, f"address for {name} {host}:{port}", remedy)


def _network(config: Config) -> Iterator[Finding]:
    """Look at every control target: they only exist to tell whether we are online."""
    controls = [probe for probe in config.catalogue.probes if probe.control and probe.id in config.looks]
    if not controls:
        remedy = "name some under controls, or an outage of your own network looks like everybody's"
        yield Finding(False, "control targets: none", remedy)
        return
    from monitor.cli.looking import look_once

    async def ask() -> list[Finding]:
        found = []
        for probe in controls:
            result = await look_once(config, probe)
            seen = f"{result.reason} {worded(result.observation.detail, lexicon())}".strip()
            good = not result.reason.is_network_class
            found.append(Finding(good, f"control target {probe.target}", f"cannot be reached ({seen}); choose another"))
        return found

    with contextlib.suppress(KeyboardInterrupt):
        yield from asyncio.run(ask())


def _channels(config: Config) -> Iterator[Finding]:
    """Connect to every receiver of notices: a page that cannot be sent is told of nowhere else before it is due."""
    from monitor.channels.base import Undeliverable, reach
    from monitor.wire import Wire, from_environment

    proxies = from_environment(os.environ)
    wire = Wire(allow_networks=config.settings.allow_networks, ca_file=config.settings.ca_file, proxies=proxies)

    async def ask(name: str, options: object) -> Finding:
        try:
            await reach(options, wire)
        except Undeliverable as error:
            return Finding(
                False, f"channel {name}", f"its receiver cannot be reached ({worded(str(error), lexicon())})"
            )
        return Finding(True, f"channel {name}: its receiver can be reached")

    async def ask_all() -> list[Finding]:
        usable = {name: one.options for name, one in config.channels.items() if one.options is not None}
        return await asyncio.gather(*(ask(name, options) for name, options in usable.items()))

    with contextlib.suppress(KeyboardInterrupt):
        yield from asyncio.run(ask_all())


def _switched_off(config: Config) -> Iterator[Finding]:
    for probe in config.catalogue.probes:
        if probe.disabled:
            yield Finding(True, f"{probe.id} is switched off: {worded(probe.disabled, lexicon())}")
    for channel in config.channels.values():
        if channel.disabled:
            yield Finding(True, f"channel {channel.id} is switched off: {worded(channel.disabled, lexicon())}")
    yield Finding(
        True, "running as root: an account without privileges is enough" if os.geteuid() == 0 else "not running as root"
    )
