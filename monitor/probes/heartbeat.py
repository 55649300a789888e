"""The other way round: a job must report in. Nothing is asked; the newest report is compared with the clock.

A job reports with ``POST /heartbeat/{probe id}`` at the worker's HTTP side (``listen: metrics``) and the header
``Authorization: Bearer {token}``. The body may be empty, some text, or JSON ``{"failed": true, "text": "disk full"}``.
A report that was taken is answered with 202.

Reports come through the process, which keeps them in ``ctx.memory["beats"]``::

    {"since": 1769000000.0,          when listening began (Unix seconds)
     "last": 1769000300.0 or None,   the newest report
     "failed": False,                whether that report said that the job failed
     "text": ""}                     what it said

Without that entry nothing can be received, and the look is UNKNOWN, never "no heartbeat": our own deafness is no
evidence. Workers that share a database tell each other what they received.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, SecretStr, field_validator

from monitor import clock
from monitor.core.model.depth import Reach
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Evidence, Observation
from monitor.core.model.reasons import Reason
from monitor.probes import base
from monitor.probes.base import Context, Kind, Memory, Seconds

SHORTEST_TOKEN = 16
TEXT_CHARS = 500


class Options(base.Options):
    """Options of the kind ``heartbeat``."""

    name: str = Field(min_length=1)
    every_s: Seconds
    """How often the job reports."""
    grace_s: Seconds = 60.0
    """How late it may be."""
    token: SecretStr | None = None
    """What the job shows when it reports; without one no report is taken."""

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"a token has at least {SHORTEST_TOKEN} characters, as openssl rand -hex 16 makes it")
        return value

    def target(self) -> str:
        """Return the job's name."""
        return self.name


def begin(memory: dict[str, Any], options: Options, now: datetime) -> None:
    """Listen from now on: in the gap before, a report may have been lost. What was heard before it stays."""
    if options.token is None:
        memory.pop("beats", None)
        return
    before = memory.get("beats")
    heard = before if isinstance(before, dict) else {}
    memory["beats"] = {"last": None, "failed": False, "text": ""} | heard | {"since": now.timestamp()}


def go_on(memory: dict[str, Any], options: Options, now: datetime) -> None:
    """Begin only if there was no token before, or there is none any more."""
    if options.token is None or not memory.get("beats"):
        begin(memory, options, now)


def take(memory: dict[str, Any], at: float, *, failed: bool, text: str) -> None:
    """Take a report that came at ``at`` (Unix seconds), unless a newer one is known that is not from the future."""
    beats = memory.get("beats")
    if isinstance(beats, dict) and not at < (beats.get("last") or 0.0) <= clock.now().timestamp():
        memory["beats"] |= {"last": at, "failed": failed, "text": text[:TEXT_CHARS]}


async def run(options: Options, ctx: Context) -> Observation:
    """Judge the newest report."""
    beats = ctx.memory.get("beats")
    if not isinstance(beats, dict):
        return Observation(Reason.UNREADABLE, coded(MessageCode.HEARTBEAT_NO_TOKEN))
    allowed_s = options.every_s + options.grace_s
    now_s, last_s, since_s = ctx.now.timestamp(), beats.get("last"), float(beats.get("since", 0.0))
    in_time = last_s is not None and now_s - last_s <= allowed_s and not beats.get("failed")
    if last_s is None or (last_s < since_s and not in_time):
        last_s = since_s if last_s is None else last_s
        if now_s - since_s <= allowed_s:
            return Observation(
                Reason.UNREADABLE, coded(MessageCode.HEARTBEAT_LISTENING, seconds=round(now_s - since_s))
            )
    late_s = now_s - last_s
    if late_s > allowed_s:
        return Observation(Reason.NO_HEARTBEAT, f"no report for {late_s:.0f} s, expected every {options.every_s:g} s")
    text = str(beats.get("text", ""))
    evidence = Evidence(excerpt=text) if text else None
    if beats.get("failed"):
        return Observation(Reason.CONTENT, "the job reported that it failed", evidence=evidence)
    return Observation(Reason.OK, f"reported {max(0.0, late_s):.0f} s ago")


KIND = Kind(
    "heartbeat", Options, run, reach=Reach.NONE, memory=Memory(begin=begin, go_on=go_on, kept="beats"), take_report=take
)
