"""One look of a configured probe, now, outside the worker."""

from __future__ import annotations

import os
import random
from typing import Any

from monitor import clock
from monitor.config.load import Config
from monitor.core.catalogue import Probe
from monitor.core.model.observations import Result, RunId
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.probes.marks import MEMORY
from monitor.probes.memory import Memories, memory_path
from monitor.runtime.programs import database_url
from monitor.wire import Wire, from_environment


def page_memory(config: Config, probe: Probe) -> dict[str, Any]:
    """Return what the worker has learned of a probe's page; empty where it keeps its memory elsewhere, or has none.

    Nothing else of its memory: budgets and pauses are the worker's, and one look by hand is outside of them.
    """
    memories = Memories(memory_path(database_url(), config.settings.location))
    kept = memories.of(probe.id, probe.kind)
    return {MEMORY: kept[MEMORY]} if MEMORY in kept else {}


async def look_once(config: Config, probe: Probe, memory: dict[str, Any] | None = None) -> Result:
    """Return the result of one look; it is neither stored nor judged. What it teaches is left in ``memory``."""
    settings = config.settings
    proxies = from_environment(os.environ)
    wire = Wire(allow_networks=settings.allow_networks, ca_file=settings.ca_file, proxies=proxies)
    started_at, started_s = clock.now(), clock.monotonic()
    context = Context(
        wire, settings.location, probe.timeout_s, 1, started_at, random.SystemRandom(), {} if memory is None else memory
    )
    try:
        seen = await look(KINDS[probe.kind], config.looks[probe.id], context)
    finally:
        await wire.aclose()
    return Result(RunId(probe.id, settings.location, started_at), started_at, clock.monotonic() - started_s, seen)
