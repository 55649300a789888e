"""Replays the stored answers on loopback, all in one process, and looks at each with Chatwatch."""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import dns.exception
import dns.message

from monitor.core.model.observations import Observation
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.wire import Wire
from tests.corpus.keeping import Kept, documents, kept, write
from tests.edges.hostile import LOOPBACK, serve
from tests.edges.hostile_tls import Authority
from tests.edges.probing import KEY, whole_request

TIMEOUT_S = 8.0
AT_ONCE = 16


@dataclass
class Stage:
    """Where the answers are replayed."""

    http: int = 0
    dns: int = 0
    tls: dict[str, int] = field(default_factory=dict)
    """Answer → port: a refused handshake has no address to be told apart by."""
    ca_file: Path = Path()

    def url(self, one: Kept) -> str:
        """Return where an answer is replayed."""
        if one.kind == "tls":
            scheme = "https"
            return f"{scheme}://localhost:{self.tls[one.name]}/"
        return f"http://127.0.0.1:{self.http}/{one.name}"


class _Names(asyncio.DatagramProtocol):
    """Answers each question with the stored answer, under the question's own number."""

    def __init__(self, answers: dict[tuple[str, str], bytes]) -> None:
        self._answers = answers
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        with suppress(dns.exception.DNSException):
            asked = dns.message.from_wire(data).question[0]
            raw = self._answers.get((str(asked.name).rstrip("."), asked.rdtype.name))
            if raw is not None and self._transport is not None:
                self._transport.sendto(data[:2] + raw[2:], addr)


@asynccontextmanager
async def staged(answers: Iterable[Kept]) -> AsyncIterator[Stage]:
    """Serve the answers until the block ends."""
    by_name = {one.name: one for one in answers}
    stage = Stage()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await whole_request(reader)
        found = re.match(rb"\w+ /([\w.-]+/[\w.-]+)", head)
        one = by_name.get(found[1].decode()) if found else None
        writer.write(one.raw if one is not None else b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with AsyncExitStack() as stack:
        stage.http = await stack.enter_async_context(serve(behave))
        names = {
            (one.options["name"], one.options.get("record", "A")): one.raw
            for one in by_name.values()
            if one.kind == "dns"
        }
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Names(names), local_addr=("127.0.0.1", 0))
        stack.callback(transport.close)
        stage.dns = transport.get_extra_info("sockname")[1]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority(folder)
        stage.ca_file = authority.ca_file
        for one in by_name.values():
            if one.kind == "tls":
                port = await stack.enter_async_context(serve(_says(one.raw), _context(one, authority, folder)))
                stage.tls[one.name] = port
        yield stage


def _says(raw: bytes) -> Any:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(raw)
        await writer.drain()

    return behave


def _context(one: Kept, authority: Authority, folder: Path) -> ssl.SSLContext | None:
    """Return the server's side of a handshake that succeeds; ``None`` where the answer itself is the handshake's."""
    leaf: dict[str, Any] | None = one.options.get("certificate")
    if leaf is None:
        return None
    wanted: dict[str, Any] = {name: timedelta(days=leaf[name]) for name in ("starts_in", "ends_in") if name in leaf}
    wanted |= {"names": tuple(leaf["names"])} if "names" in leaf else {}
    if leaf.get("stranger"):
        (folder / "stranger").mkdir(exist_ok=True)
        authority = Authority(folder / "stranger", name="A stranger")
    return authority.server(self_signed=bool(leaf.get("self_signed")), **wanted)


async def look_at(one: Kept, stage: Stage, wire: Wire) -> Observation:
    """Look at an answer as its kind of probe does."""
    context = Context(
        wire=wire,
        location="local",
        timeout_s=TIMEOUT_S,
        attempt=1,
        now=datetime.now(UTC),
        rng=random.Random(7),
        memory={},
    )
    options = dict(one.options)
    if one.kind in ("chat", "anthropic"):
        dialect = "anthropic" if one.kind == "anthropic" else "openai"
        usual = {"model": "m", "key": KEY, "canary": False, "dialect": dialect}
        options, kind = usual | {"base_url": stage.url(one)} | options, "chat"
    elif one.kind == "dns":
        options, kind = {"resolvers": [f"127.0.0.1:{stage.dns}"]} | options, "dns"
    elif one.kind == "tls":
        more = {name: value for name, value in options.items() if name != "certificate"}
        options, kind = {"host": "localhost", "port": stage.tls[one.name]} | more, "tls"
    else:
        options, kind = {"url": stage.url(one)} | options, one.kind
    row = KINDS[kind]
    return await look(row, row.options(**options), context)


async def look_at_all(answers: list[Kept]) -> list[Observation]:
    """Look at every answer, some at once."""
    async with staged(answers) as stage:
        wire, gate = Wire(allow_networks=LOOPBACK, ca_file=str(stage.ca_file)), asyncio.Semaphore(AT_ONCE)

        async def one_of(one: Kept) -> Observation:
            async with gate:
                return await look_at(one, stage, wire)

        return list(await asyncio.gather(*map(one_of, answers)))


def told(seen: Observation) -> str:
    """Return what the corpus holds of a look: its reason, and who can sign up where that is what was looked for."""
    readings = sorted({reading.state.value for reading in seen.registration})
    return " ".join((seen.reason.value, *readings))


def report() -> int:
    """Print every look that is not as expected; returns how many there are."""
    answers = kept()
    wrong = 0
    for one, seen in zip(answers, asyncio.run(look_at_all(answers)), strict=True):
        codes = {str(note).partition(":")[0] for note in seen.warnings}
        if told(seen) != one.expected or not codes >= set(one.warnings):
            wrong += 1
            print(
                f"{one.name}: {told(seen)} {sorted(codes)}, expected {one.expected} {list(one.warnings)}; {seen.detail}"
            )
    print(f"{len(answers)} answers, {wrong} not as expected")
    return int(wrong > 0)


def accept() -> int:
    """Write what every look tells now as what is expected: whoever runs this reads the difference before a commit."""
    answers = kept()
    seen = {one.name: look for one, look in zip(answers, asyncio.run(look_at_all(answers)), strict=True)}
    for path, document in documents():
        for row in document["answers"]:
            look = seen[f"{path.parent.name}/{row['id']}"]
            codes = sorted({str(note).partition(":")[0] for note in look.warnings})
            row["expected"] = told(look)
            row["warnings"] = [code for code in codes if code.startswith(LASTING)]
        write(path, document)
    return 0


LASTING = ("protocol.", "chat.", "registration.")
"""Warnings that belong to the answer and not to the moment of the look."""
