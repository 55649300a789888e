"""A small real web server on loopback for tests: paths → prepared answers, and a record of what was asked."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from monitor.core.model.observations import Observation
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.wire import Wire

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def fixture_json(name: str) -> Any:
    return json.loads(fixture(name))


class Page(NamedTuple):
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = JSON


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    pages: dict[str, Page]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _version = head[0].split(" ")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(method, path, headers, body))
            page = self.pages.get(path) or self.pages.get(path.partition("?")[0]) or Page(b"{}", 404)
            lines = [f"HTTP/1.1 {page.status} X", f"content-length: {len(page.body)}", "connection: close"]
            lines += [f"{name}: {value}" for name, value in page.headers.items()]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + page.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serve(pages: Mapping[str, Page]) -> AsyncIterator[Site]:
    site = Site(dict(pages))
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield site


async def look_at(
    kind: str, memory: dict[str, Any] | None = None, *, now: datetime = NOW, **options: Any
) -> Observation:
    """One look of a kind at a loopback address, as the prober takes it."""
    wire = Wire(allow_networks=["127.0.0.0/8"])
    try:
        ctx = Context(wire, "test", 3.0, 1, now, random.Random(1), {} if memory is None else memory)
        return await look(KINDS[kind], KINDS[kind].options.model_validate(options), ctx)
    finally:
        await wire.aclose()
