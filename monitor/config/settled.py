"""What follows from a sound ``probes.yaml`` for those who never see a probe's options: the recorder and the programs.

The recorder gets it from the prober, which reads the file: it needs neither the file's language nor any kind of probe,
and the two cannot disagree on what is watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from monitor.core.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell people. ``options`` is None when it is switched off, and ``disabled`` says why."""

    id: str
    kind: str
    options: BaseModel | None
    disabled: str = ""


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
