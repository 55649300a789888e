"""``probes.yaml`` → frozen :class:`Config`, or every fault of the file at once with its line, id and hint."""

from monitor.config.faults import ConfigError, Fault
from monitor.config.load import Channel, Config, Settings, load

__all__ = ["Channel", "Config", "ConfigError", "Fault", "Settings", "load"]
