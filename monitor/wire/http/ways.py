"""A way out that a probe names for itself: its proxy, or none, and its certificate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from monitor.core.model.reasons import Reason
from monitor.wire.connection import Ground
from monitor.wire.model import WireError
from monitor.wire.proxies import DIRECT, STRAIGHT, Always, parse_proxy
from monitor.wire.tls import ClientCertificate, Trust


@dataclass(frozen=True, slots=True)
class Way:
    """``proxy`` is an address, ``direct`` or nothing: then the environment says it."""

    proxy: str = ""
    proxy_auth: str = ""
    certificate: ClientCertificate | None = None

    def __repr__(self) -> str:
        return f"Way({self.proxy!r})"

    def stamp(self) -> tuple[int, ...]:
        """Return when the files of the certificate were written, in nanoseconds; nothing for one that is away."""
        files = (self.certificate.file, self.certificate.key_file) if self.certificate is not None else ()
        found: list[int] = []
        for file in filter(None, files):
            with suppress(OSError):
                found.append(Path(file).stat().st_mtime_ns)
        return tuple(found)

    def over(self, ground: Ground) -> Ground:
        """Return what exchanges by this way stand on. Raises ``WireError(CONFIG)``."""
        try:
            if self.proxy:
                proxies = STRAIGHT if self.proxy == DIRECT else Always(parse_proxy(self.proxy, self.proxy_auth))
                ground = replace(ground, proxies=proxies)
            if self.certificate is not None:
                ground = replace(ground, client=Trust(ground.trust.ca_file, self.certificate))
        except ValueError as error:
            raise WireError(Reason.CONFIG, str(error)) from None
        return ground
