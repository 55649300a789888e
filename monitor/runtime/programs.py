"""The programs of Chatwatch as the supervisor starts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from monitor.config.settled import Settings
from monitor.runtime.supervisor import Group, Program

DATABASE = "CHATWATCH_DATABASE"
ADDRESS = "CHATWATCH_URL"
CONFIG = "CHATWATCH_CONFIG"
DEFAULT_DATABASE = "sqlite:///var/chatwatch.db"
DEFAULT_CONFIG = "probes.yaml"
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
"""glibc would keep a heap for each thread, and what one thread freed is no use to another: eight megabytes for nothing,
since our threads hardly ever allocate at the same time."""


def database_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return the database's address."""
    return environ.get(DATABASE) or DEFAULT_DATABASE


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the configuration lies."""
    return Path(environ.get(CONFIG) or DEFAULT_CONFIG)


def worker(config: Path, location: str | None = None, environ: Mapping[str, str] | None = None) -> Group:
    """Return the pair of prober and recorder; ``environ`` is added to ours."""
    place = ("--location", location) if location else ()
    environ = ONE_HEAP | dict(environ or {})
    return Group(
        (
            Program("prober", ("-m", "monitor", "prober", "--config", str(config), *place), environ),
            Program("recorder", ("-m", "monitor", "recorder"), environ),  # the prober sends it what it needs
        ),
        linked=True,
        reloads=True,
    )


def doors(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[Group, ...]:
    """Return the three programs that people visit, each a group of its own."""
    environ = {ADDRESS: os.environ.get(ADDRESS) or f"http://{settings.web}"} | dict(environ or {})
    return tuple(
        Group((Program(name, door(name, getattr(settings, name)), environ, open_to_visitors=True),))
        for name in ("web", "live", "console")
    )


def door(name: str, address: str) -> tuple[str, ...]:
    """Return the arguments of one door; ``address`` is ``host:port``."""
    host, port = split(address)
    return ("-m", "dashboard.serve", name, "--host", host, "--port", str(port))


def split(address: str) -> tuple[str, int]:
    """Split ``host:port``; brackets of an IPv6 address are taken off."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
