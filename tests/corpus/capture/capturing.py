"""Asks every server that can be started here and stores what it answers."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.corpus import keeping
from tests.corpus.capture import chat, names, programs, tls, web
from tests.corpus.capture.running import MissingServerError, Server, Wish, over_tcp

SERVERS: tuple[Server, ...] = (*web.SERVERS, *programs.SERVERS, *chat.SERVERS, *names.SERVERS, *tls.SERVERS)


def shown(wish: Wish) -> str:
    """Return a request as it is shown: its first line, shortened, or the name that was asked for."""
    if wish.kind == "dns":
        return f"{wish.options['name']} {wish.options.get('record', 'A')}"
    if wish.request[:1] == b"\x16":
        return "ClientHello"
    line = wish.request.split(b"\r\n")[0].decode("latin-1")
    return line if len(line) < 100 else f"{line[:60]}… ({len(line)} characters)"


def capture(chosen: Iterable[str] = ()) -> int:
    """Capture the chosen servers, or all; returns how many could not be started."""
    wanted, failed = set(chosen), 0
    for server in SERVERS:
        if wanted and server.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            try:
                _one(server, Path(place))
            except MissingServerError as error:
                failed += 1
                print(f"{server.name}: {error} (needs {server.needs})")
    return failed


def _one(server: Server, place: Path) -> None:
    version, ask = server.version(), server.ask or over_tcp
    rows: list[dict[str, Any]] = []
    raw: dict[str, bytes] = {}
    with server.start(place) as ports:
        for wish in server.wishes:
            data = without_place(ask(ports[wish.port], wish.request, server.idle_s), place, ports)
            raw[wish.id] = data
            row: dict[str, Any] = {"id": wish.id, "request": shown(wish)}
            row |= {"kind": wish.kind} if wish.kind != "http" else {}
            row |= {"options": dict(wish.options)} if wish.options else {}
            rows.append(row)
    keeping.store(server.name, version, server.needs, rows, raw)
    print(f"{server.name} {version}: {len(rows)} answers")


def without_place(data: bytes, place: Path, ports: dict[str, int]) -> bytes:
    """Put names of the same length in place of the folder and the ports of this one run."""
    name = str(place).encode()
    data = data.replace(name, (b"/srv/site" + b"-" * len(name))[: len(name)])
    for port in ports.values():
        number = str(port).encode()
        data = re.sub(rb"(?<=:)%b\b" % number, b"58888"[: len(number)], data)
    return data
