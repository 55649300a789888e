"""Reads the lists of models that ``models: discover`` asks for, rarely, and keeps what they name."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime
from pathlib import Path

from monitor.config.discovered import Listed, merged, place_of, read, write
from monitor.config.load import Config
from monitor.probes import KINDS
from monitor.probes.base import Context
from monitor.wire import Wire, WireError

DISCOVER_EVERY_S = 6 * 3600.0
LIMIT_S = 20.0


async def discover(config: Config, path: Path, wire: Wire, now: datetime) -> bool:
    """Ask every service whose models are to be found; true when something else is to be watched from now on.

    A service that does not answer keeps its list. Raises ``OSError`` when the lists cannot be kept.
    """
    before = await asyncio.to_thread(read, place_of(path))
    after = dict(before)
    for service, (kind, options) in config.lists.items():
        ask = KINDS[kind].list_models
        context = Context(wire, config.settings.location, LIMIT_S, 1, now, random.SystemRandom(), {})
        if (way := options.way()) is not None:
            context.wire = wire.by(way)
        try:
            told = await ask(options, context) if ask else None
        except WireError:
            continue
        if told:
            after[service] = merged(before.get(service, Listed()), told, now.date())
    if after == before:
        return False
    await asyncio.to_thread(write, place_of(path), after)
    return any(after[name].models != before.get(name, Listed()).models for name in after)
