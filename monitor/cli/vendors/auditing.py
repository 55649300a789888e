"""Do the facts of presets still hold? Asks what can be asked, once each, over the guarded network, and bounded."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from monitor import clock
from monitor.config.load import Config
from monitor.probes.base import Context, host_of
from monitor.probes.page import is_other_site
from monitor.probes.upstream.mapping import bearers_of, mapped
from monitor.probes.upstream.parts import Look, UnreadableError
from monitor.probes.upstream.platforms import PLATFORMS
from monitor.probes.upstream.probe import Options as PageOptions
from monitor.probes.upstream.statuspages import endpoints, fetch, page_of, read
from monitor.text.cleaner import plain
from monitor.wire import HttpClient, Wire, WireError, answered

AT_ONCE, REQUEST_S, BODY_BYTES, REDIRECTS = 6, 15.0, 256 * 1024, 5
MOST_NAMED = 20
_DATED = re.compile(r"\((\d{4}-\d\d-\d\d)\)$")


class What(StrEnum):
    """What is wrong with a fact."""

    VANISHED = "vanished"
    """A component that is mapped is not on the vendor's page any more."""
    AMBIGUOUS = "ambiguous"
    """A name that is mapped belongs to several components."""
    NEW = "new"
    """A component of the page that is neither mapped nor left out on purpose. Worth a look, no fault."""
    MOVED = "moved"
    """An address leads to a host that was not declared."""
    UNREADABLE = "unreadable"
    """A page or host did not answer as it should."""
    OLD = "old"
    """Nobody has looked a fact up for long."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look into."""

    service: str
    what: What
    subject: str
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        """True if the configuration should be changed."""
        return self.what is not What.NEW


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found, and how many addresses were asked and answered at all."""

    findings: tuple[Finding, ...]
    asked: int
    answered: int

    @property
    def is_offline(self) -> bool:
        """True if there was something to ask and nothing answered: it is our network, not all vendors at once."""
        return self.asked > 0 and self.answered == 0


def old_facts(config: Config, services: Iterable[str], today: date, within_days: int) -> Iterator[Finding]:
    """Yield the facts of services that nobody has looked up for longer than so many days."""
    for service in services:
        doubted = dict(config.unverified.get(service, ()))
        for field, source in config.sources.get(service, ()):
            dated = _DATED.search(source)
            age = (today - date.fromisoformat(dated[1])).days if dated else None
            if age is None or age > within_days:
                said = "without a date" if age is None else f"{age} days old"
                yield Finding(service, What.OLD, field, said + ", never verified" * (field in doubted))


async def audit(config: Config, services: Iterable[str], deadline_s: float) -> Audit:
    """Ask each status page and each host of the services once, a few at a time; what is late is not waited for."""
    wire = Wire(allow_networks=config.settings.allow_networks, ca_file=config.settings.ca_file)
    gate = asyncio.Semaphore(AT_ONCE)
    targets = list(_targets(config, set(services)))

    async def ask(service: str, options: Any) -> tuple[bool, list[Finding]]:
        async with gate:
            work = _page(service, options, wire) if isinstance(options, PageOptions) else _host(service, options, wire)
            return await work

    tasks = [asyncio.create_task(ask(service, options)) for service, options in targets]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=deadline_s)
        told = []
        for task, (service, options) in zip(tasks, targets, strict=True):
            if not task.done():
                task.cancel()
                told.append(
                    (False, [Finding(service, What.UNREADABLE, options.target(), "no answer in the time given")])
                )
            else:
                told.append(task.result())
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await wire.aclose()
    findings = tuple(finding for _answered, found in told for finding in found)
    return Audit(findings, len(told), sum(answered for answered, _found in told))


def _targets(config: Config, services: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the status pages, and one address of each host that a service's looks ask."""
    seen = set()
    for probe in config.catalogue.probes:
        service, options = probe.component.partition("/")[0], config.looks.get(probe.id)
        if service not in services or options is None or not options.address().startswith(("http://", "https://")):
            continue
        is_page = isinstance(options, PageOptions)
        key = (service, is_page, options.address() if is_page else host_of(options.address()))
        if key not in seen and (is_page or getattr(options, "detector", "") != "upstream_text"):
            seen.add(key)
            yield service, options


def _context(wire: Wire) -> Context:
    return Context(wire, "audit", REQUEST_S, 1, clock.now(), random.SystemRandom(), {})


async def _page(service: str, options: PageOptions, wire: Wire) -> tuple[bool, list[Finding]]:
    ctx, shown = _context(wire), page_of(options.url)
    where = endpoints(options.provider, options.url)
    look = Look(ctx.now, shown, options.provider, tuple(options.components))
    try:
        answer = await fetch(where.main, ctx, where.body_bytes)
    except WireError as error:
        return False, [Finding(service, What.UNREADABLE, shown, f"{error.reason}: {error.detail}")]
    try:
        reading = await read(answer, look, ctx)
    except UnreadableError as error:
        return True, [
            *_moved(service, options.url, answer.url, ()),
            Finding(service, What.UNREADABLE, shown, str(error)),
        ]
    found = list(_moved(service, options.url, answer.url, ()))
    if where.parts or not PLATFORMS[options.provider].lists_components:
        return True, found
    _states, vanished = mapped(reading, options.components, look)
    found += [Finding(service, What.VANISHED, key, f"was {options.components[key]}") for key in vanished]
    known: set[str] = set()
    for key in (*options.components, *options.unmapped):
        bearers = tuple(bearers_of(key, reading, look.groups))
        if len(bearers) > 1 and key in options.components:
            found.append(Finding(service, What.AMBIGUOUS, key, f"write an id: {', '.join(bearers)}"))
        known |= {*bearers, *(part for one in bearers if one in look.groups for part in look.groups[one].members)}
    if options.components:
        fresh = [(key, name) for key, name in reading.component_names.items() if key not in known]
        found += [Finding(service, What.NEW, key, name) for key, name in fresh[:MOST_NAMED]]
    return True, found


async def _host(service: str, options: Any, wire: Wire) -> tuple[bool, list[Finding]]:
    ctx, address = _context(wire), options.address()
    try:
        async with HttpClient(wire, ctx.limits(body_bytes=BODY_BYTES), redirects=REDIRECTS) as client:
            answer = answered(await client.get(address))
    except WireError as error:
        if error.status is not None:  # it answered, and more than we want to read
            return True, []
        return False, [Finding(service, What.UNREADABLE, host_of(address), f"{error.reason}: {error.detail}")]
    return True, list(_moved(service, address, answer.url, getattr(options, "sites", ())))


def _moved(service: str, asked: str, reached: str, sites: Iterable[str]) -> Iterator[Finding]:
    if is_other_site(reached, asked, sites):
        yield Finding(service, What.MOVED, host_of(asked), f"leads to {plain(host_of(reached), 100)}")
