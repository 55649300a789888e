"""The other way round: a job must report in. Nothing is asked; the newest report is compared with the clock.

Reports come through the process, which keeps them in ``ctx.memory["beats"]``::

    {"since": 1769000000.0,          when listening began (Unix seconds)
     "last": 1769000300.0 or None,   the newest report
     "failed": False,                whether that report said that the job failed
     "text": ""}                     what it said

Without that entry nothing can be received, and the look is UNKNOWN, never "no heartbeat": our own deafness is no
evidence.
"""

from __future__ import annotations

from pydantic import Field

from monitor.core.model import Evidence, Observation, Reason
from monitor.probes import base
from monitor.probes.base import Context, Seconds


class Options(base.Options):
    """Options of the kind ``heartbeat``."""

    name: str = Field(min_length=1)
    every_s: Seconds
    """How often the job reports."""
    grace_s: Seconds = 60.0
    """How late it may be."""

    def target(self) -> str:
        """Return the job's name."""
        return self.name


async def run(options: Options, ctx: Context) -> Observation:
    """Judge the newest report."""
    beats = ctx.memory.get("beats")
    if not isinstance(beats, dict):
        return Observation(Reason.UNREADABLE, "this process does not receive heartbeats")
    allowed_s = options.every_s + options.grace_s
    now_s, last_s, since_s = ctx.now.timestamp(), beats.get("last"), float(beats.get("since", 0.0))
    if last_s is None or last_s < since_s:
        last_s = since_s if last_s is None else last_s
        if now_s - since_s <= allowed_s:
            return Observation(Reason.UNREADABLE, f"listening for {now_s - since_s:.0f} s, nothing has come yet")
    late_s = now_s - last_s
    if late_s > allowed_s:
        return Observation(Reason.NO_HEARTBEAT, f"no report for {late_s:.0f} s, expected every {options.every_s:g} s")
    text = str(beats.get("text", ""))
    evidence = Evidence(excerpt=text) if text else None
    if beats.get("failed"):
        return Observation(Reason.CONTENT, "the job reported that it failed", evidence=evidence)
    return Observation(Reason.OK, f"reported {max(0.0, late_s):.0f} s ago")
