"""Connects to a port and hangs up."""

from __future__ import annotations

from pydantic import Field

from monitor.core.catalogue import Proof
from monitor.core.model.depth import Reach
from monitor.core.model.observations import Observation
from monitor.probes import base
from monitor.probes.answers import connected
from monitor.probes.base import Context, Host, Kind, Seconds, at_most


class Options(base.Options):
    """Options of the kind ``tcp``."""

    host: Host
    port: int = Field(ge=1, le=65535)
    slow_s: Seconds | None = None

    def target(self) -> str:
        """Return host and port."""
        return f"{self.host}:{self.port}"


async def run(options: Options, ctx: Context) -> Observation:
    """Connect and hang up."""
    connection = await ctx.wire.connect(options.host, options.port, tls=False, limits=ctx.limits())
    return connected(connection, f"port {options.port} accepts", options.slow_s)


KIND = Kind("tcp", Options, run, reach=Reach.TCP, proves=at_most(Proof.CONNECTION))
