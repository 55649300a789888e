"""Shakes hands, checks version and certificate, and hangs up."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from monitor.core.catalogue import Proof
from monitor.core.model.depth import Reach
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes import base
from monitor.probes.answers import EXPIRY_WARNING_S, connected, expiring, observed
from monitor.probes.base import CERTIFICATES, Context, Host, Kind, Seconds, at_most


class Options(base.OverProxy):
    """Options of the kind ``tls``."""

    host: Host
    port: int = Field(443, ge=1, le=65535)
    server_name: Host | None = None
    """Name to ask for and to check the certificate against, when it is not ``host``."""
    min_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    expiry_warning_s: Seconds = EXPIRY_WARNING_S
    slow_s: Seconds | None = None

    def target(self) -> str:
        """Return host and port."""
        return f"{self.host}:{self.port}"


async def run(options: Options, ctx: Context) -> Observation:
    """Shake hands, check version and certificate, hang up."""
    connection = await ctx.wire.connect(
        options.host, options.port, tls=True, limits=ctx.limits(), server_name=options.server_name
    )
    detail = f"{connection.tls_version} {connection.cipher}".strip()
    if connection.tls_version < options.min_version:
        reason, detail = Reason.TLS, f"{detail}; at least {options.min_version} is wanted"
    elif ends := expiring(connection.certificate, options.expiry_warning_s, ctx.now):
        reason, detail = Reason.CERTIFICATE_EXPIRING, ends
    else:
        return connected(connection, detail, options.slow_s)
    return observed(connection, reason, detail)


KIND = Kind("tls", Options, run, reach=Reach.TLS, imports=(CERTIFICATES,), proves=at_most(Proof.CONNECTION))
