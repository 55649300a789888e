"""A server of your own: an account is made and removed again (:mod:`monitor.probes.registration.attempt`)."""

from __future__ import annotations

from typing import Any

from monitor.core.model.observations import Observation
from monitor.probes.base import Context
from monitor.probes.registration.attempt import attempt
from monitor.probes.registration.detector import Detector


async def look(options: Any, ctx: Context) -> Observation:
    """Try once, as the option ``attempt`` says."""
    return await attempt(options.url, options.attempt, ctx)


KIND = Detector("own_attempt", look=look, needs=("attempt",))
