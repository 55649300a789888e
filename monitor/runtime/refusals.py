"""What every program tells of a configuration that it refuses."""

from __future__ import annotations

from monitor.config.faults import ConfigError
from monitor.logs import Event, Room


def tell_faults(log: Room, error: ConfigError) -> None:
    """Log every fault of a configuration."""
    for fault in error.faults:
        log.error(Event.CONFIGURATION_FAULT, "%s", fault)


def tell_refused(log: Room, error: ConfigError) -> None:
    """Log every fault of a configuration, and that the running one stays."""
    tell_faults(log, error)
    count = len(error.faults)
    text = "Configuration refused, running one kept: %d fault%s"
    log.error(Event.RELOAD_REFUSED, text, count, "" if count == 1 else "s", count=count)
