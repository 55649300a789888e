"""Where a program of ours listens, and one line for whoever gave an address at which it cannot."""

from __future__ import annotations

import os
import socket
import sys

from monitor.logs import Event, Room

Listener = socket.socket


class ListenError(OSError):
    """Nobody can listen there; the text says where, why and where the address is set."""


def listener(name: str, host: str, port: int) -> Listener:
    """Return a socket bound to an address; ``name`` is its key under ``listen:``. Raises :class:`ListenError`."""
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except (OSError, OverflowError, ValueError) as error:
        made.close()
        why = "no port beyond 65535" if isinstance(error, OverflowError) else _why(error)
        option = "" if name == "metrics" else " or by --listen"
        raise ListenError(
            f"cannot listen at {at}: {why}; end what uses it, or give another address under listen: {name}: "
            f"in probes.yaml{option}"
        ) from None
    return made


def must_be_free(log: Room, name: str, host: str, port: int) -> None:
    """Log why nobody can listen there and leave with exit code 1; otherwise leave the address as it was."""
    try:
        listener(name, host, port).close()
    except ListenError as error:
        log.error(Event.CANNOT_LISTEN, "Program stopped: %s", error)
        sys.exit(1)


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror) or not isinstance(number, int):
        return "no address of this machine"
    return os.strerror(number).lower()
