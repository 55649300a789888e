"""What every program tells of its start and of its configuration, in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

from monitor import __version__
from monitor.config import Config, ConfigError
from monitor.logs import Event, Fields, Room
from monitor.probes.base import secrets_of


def secrets_in(config: Config) -> Iterator[str]:
    """Yield every secret that a configuration holds, for :func:`monitor.logs.hide`."""
    for options in config.looks.values():
        yield from secrets_of(options)
    for channel in config.channels.values():
        yield from secrets_of(channel.options)


def tell_started(log: Room, name: str, path: Path, config: Config, **more: Unpack[Fields]) -> None:
    """Log what runs, by which configuration, and where it is."""
    fields: Fields = {
        "version": __version__,
        "configuration": str(path),
        "configuration_version": config.catalogue.version,
        "location": config.settings.location,
        **more,
    }
    probes, services = len(config.looks), len(config.catalogue.services)
    text = "%s %s started: %d probes of %d services"
    log.info(Event.STARTED, text, name, __version__, probes, services, **fields)


def tell_reloaded(log: Room, path: Path, config: Config) -> None:
    """Log that a new configuration is in force."""
    log.info(
        Event.RELOADED,
        "Configuration reloaded",
        configuration=str(path),
        configuration_version=config.catalogue.version,
    )


def tell_faults(log: Room, error: ConfigError) -> None:
    """Log every fault of a configuration."""
    for fault in error.faults:
        log.error(Event.CONFIGURATION_FAULT, "%s", fault)


def tell_refused(log: Room, error: ConfigError) -> None:
    """Log every fault of a configuration, and that the running one stays."""
    tell_faults(log, error)
    text = "Configuration refused, running one kept: %d faults"
    log.error(Event.RELOAD_REFUSED, text, len(error.faults), count=len(error.faults))
