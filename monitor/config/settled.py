"""What follows from a sound ``probes.yaml`` for those who never see a probe's options: the recorder and the programs.

The recorder gets it from the prober, which reads the file: it needs neither the file's language nor any kind of probe,
and the two cannot disagree on what is watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel

from monitor.core.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell people. ``options`` is None when it is switched off, and ``disabled`` says why."""

    id: str
    kind: str
    options: BaseModel | None
    disabled: str = ""


DAY_S = 86_400.0
FOR_EVER = 0.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long what was recorded is kept, in seconds; :data:`FOR_EVER` has no end."""

    looks_s: float = 90 * DAY_S
    evidence_s: float = 30 * DAY_S
    """What was seen at looks that belong to no incident; that of an incident stays as long as the incident."""
    incidents_s: float = FOR_EVER
    """Resolved incidents and alerts, with all that was said and sent about them."""
    audit_s: float = FOR_EVER

    def ages(self) -> dict[str, timedelta | None]:
        """Return what :func:`monitor.flow.prune` takes: the age of each, None for what is kept for ever."""
        named = {"results": self.looks_s, "evidence": self.evidence_s, "incidents": self.incidents_s}
        kept = named | {"audit": self.audit_s}
        return {name: None if age_s == FOR_EVER else timedelta(seconds=age_s) for name, age_s in kept.items()}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the programs need beside the catalogue. Addresses are ``host:port``."""

    file: str = ""
    """Where the configuration lies."""
    location: str = "local"
    locations: tuple[str, ...] = ("local",)
    label: str = ""
    allow_networks: tuple[str, ...] = ()
    ca_file: str | None = None
    metrics: str = "127.0.0.1:8503"
    web: str = "127.0.0.1:8500"
    live: str = "127.0.0.1:8501"
    console: str = "127.0.0.1:8502"
    keep: Keeping = Keeping()


@dataclass(frozen=True, slots=True)
class Settled:
    """What a recorder works by."""

    catalogue: Catalogue
    settings: Settings = Settings()
    channels: Mapping[str, Channel] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Secrets of probes and channels: no text that people see may hold one."""
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Probe → what its job shows when it reports in."""
