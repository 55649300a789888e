"""How the three doors are started: one command line each, the same for ``chatwatch up`` and for a service manager.

``python -m dashboard.serve live --port 8501`` replaces itself by Streamlit, so the process id stays the caller's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from dashboard.palette import BUTTON, DARK, LIGHT, colour
from monitor.logs import log_options

HERE = Path(__file__).resolve().parent
SCRIPTS = {"live": "live/app.py", "console": "console/server.py"}
DOORS = {"web": 8500, "live": 8501, "console": 8502}

# Each setting is passed on the command line: then no file in the working directory can weaken it.
COMMON = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.enableCORS": "true",
    "server.enableXsrfProtection": "true",
    "server.enableStaticServing": "false",
    "server.maxUploadSize": "1",
    "server.maxMessageSize": "20",
    "server.disconnectedSessionTTL": "30",
    # Hidden option: by default Streamlit runs a full garbage collection after every rerun (about 90 ms of CPU).
    "runner.postScriptGC": "false",
    "runner.magicEnabled": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "browser.gatherUsageStats": "false",
    "logger.level": "warning",
    "logger.hideWelcomeMessage": "true",
    "theme.baseRadius": "6px",
    "theme.font": 'system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Noto Sans CJK SC", sans-serif',
    "theme.light.textColor": colour("ink", LIGHT),
    "theme.light.backgroundColor": colour("paper", LIGHT),
    "theme.light.secondaryBackgroundColor": colour("soft", LIGHT),
    "theme.light.primaryColor": BUTTON[0],
    "theme.dark.textColor": colour("ink", DARK),
    "theme.dark.backgroundColor": colour("paper", DARK),
    "theme.dark.linkColor": colour("link", DARK),
    "theme.dark.secondaryBackgroundColor": colour("soft", DARK),
    "theme.dark.primaryColor": BUTTON[1],
}
CONSOLE = {"server.disconnectedSessionTTL": "120", "theme.base": "dark"}
"""The console is dark whatever the browser prefers: the dark colours become the only ones."""


def arguments(door: str, host: str = "127.0.0.1", port: int = 0) -> list[str]:
    """Return the command line that serves ``door`` (``web``, ``live`` or ``console``); port 0 is its usual one."""
    port = port or DOORS[door]
    if door == "web":
        return [sys.executable, "-m", "dashboard.web.app", "--host", host, "--port", str(port)]
    settings = dark(COMMON) | CONSOLE if door == "console" else dict(COMMON)
    settings |= {"server.address": host, "server.port": str(port)}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "dashboard.launch", door, "run", str(HERE / SCRIPTS[door]), *flags]


def dark(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings with the dark theme as the only one."""
    kept = {name: value for name, value in settings.items() if not name.startswith("theme.light.")}
    return {name.replace("theme.dark.", "theme."): value for name, value in kept.items()}


@click.command()
@click.argument("door", type=click.Choice(list(DOORS)))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, help="Port; by default 8500 for web, 8501 for live, 8502 for the console.")
@log_options
def main(door: str, host: str, port: int) -> None:
    """Serve one DOOR: web, live or console."""
    argv = arguments(door, host, port)
    os.execv(argv[0], argv)  # noqa: S606  our own interpreter with a fixed list, no shell


if __name__ == "__main__":
    main()
