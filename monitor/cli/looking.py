"""One look of a configured probe, now, outside the worker."""

from __future__ import annotations

import random

from monitor import clock
from monitor.config.load import Config
from monitor.core.catalogue import Probe
from monitor.core.model.observations import Result, RunId
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.wire import Wire


async def look_once(config: Config, probe: Probe) -> Result:
    """Return the result of one look; it is neither stored nor judged."""
    settings = config.settings
    wire = Wire(allow_networks=settings.allow_networks, ca_file=settings.ca_file)
    started_at, started_s = clock.now(), clock.monotonic()
    context = Context(wire, settings.location, probe.timeout_s, 1, started_at, random.SystemRandom(), {})
    try:
        seen = await look(KINDS[probe.kind], config.looks[probe.id], context)
    finally:
        await wire.aclose()
    return Result(RunId(probe.id, settings.location, started_at), started_at, clock.monotonic() - started_s, seen)
