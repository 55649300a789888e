"""What every program tells of its start and of its configuration, in the same words."""

from __future__ import annotations

from typing import Unpack

from monitor import __version__
from monitor.config.settled import Settled
from monitor.logs import Event, Fields, Room


def tell_started(log: Room, name: str, settled: Settled, **more: Unpack[Fields]) -> None:
    """Log what runs, by which configuration, and where it is."""
    fields: Fields = {
        "version": __version__,
        "configuration": settled.settings.file,
        "configuration_version": settled.catalogue.version,
        "location": settled.settings.location,
        **more,
    }
    probes = sum(not probe.disabled for probe in settled.catalogue.probes)
    services = len(settled.catalogue.services)
    text = f"%s %s started: %d probe{'' if probes == 1 else 's'} of %d service{'' if services == 1 else 's'}"
    log.info(Event.STARTED, text, name, __version__, probes, services, **fields)


def tell_reloaded(log: Room, settled: Settled) -> None:
    """Log that a new configuration is in force."""
    log.info(
        Event.RELOADED,
        "Configuration reloaded",
        configuration=settled.settings.file,
        configuration_version=settled.catalogue.version,
    )
