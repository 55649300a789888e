"""What strangers' answers cost a look in time and memory, beside plain reading: ``python -m tests.bench strangers``.

Every reader against every hostile body of :mod:`tests.edges.strangers`, in one process set up as the prober is: uvloop,
the collector off. Processor time, because a busy machine cannot make it longer; the bounds on steps, bytes and
deadlines behind these figures are tests (``tests/edges/test_probe_strangers.py``, ``test_wire_hostile.py``).
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from monitor import clock
from monitor.core.model.registration import Source
from monitor.probes.answers import parse_json
from monitor.probes.base import Context
from monitor.probes.registration.phrases import statements
from monitor.text.cleaner import visible_text
from monitor.text.redaction import redact
from monitor.wire import Limits, Wire, WireError
from tests.bench.peak import PeakMemory
from tests.edges.hostile import CHUNKED, LOOPBACK, OK_HEAD, Behave, drips, request_of, serve, silent
from tests.edges.probing import context, look_once
from tests.edges.strangers import READERS, answers_for, json_bodies

DEADLINE_S = 0.3
BODY_MB = 2.0
SECRET = "sk-test-0123456789abcdef"
ROUNDS = 3


@dataclass
class Worst:
    """The largest of many ratios, each the least of its rounds."""

    aim: float
    of: dict[str, float] = field(default_factory=dict)

    def take(self, what: str, ratio: float) -> None:
        """Take one measurement."""
        self.of[what] = min(ratio, self.of.get(what, ratio))

    def row(self, what: str) -> tuple[str, str, str, str]:
        """Return the line of the table."""
        where = max(self.of, key=lambda one: self.of[one])
        return what, f"{self.of[where]:.2f} ×", where, f"≤ {self.aim:g} ×"


class Turns:
    """Watches how much processor time passes between two turns of the loop, whichever thread uses it."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        last_s = time.process_time()
        while True:
            await asyncio.sleep(0.002)
            now_s = time.process_time()
            self.longest_s, last_s = max(self.longest_s, now_s - last_s), now_s

    async def end(self) -> float:
        """Return the most so far, and stop."""
        await asyncio.sleep(0.005)
        self._task.cancel()
        return self.longest_s


def yardstick_s() -> float:
    """Return the processor time of decoding two megabytes of plain JSON."""
    body, best_s = json_bodies()["names without end"], float("inf")
    for _ in range(ROUNDS):
        began_s = time.process_time()
        json.loads(body)
        best_s = min(best_s, time.process_time() - began_s)
    return best_s


async def look(name: str, port: int, ctx: Context) -> None:
    """Look once with a reader at a server on loopback."""
    options: dict[str, Any] = dict(READERS[name])
    for address in ("base_url", "balance_url") if "base_url" in options else ("url",):
        if address != "balance_url" or address in options:
            options[address] = f"http://127.0.0.1:{port}"
    await look_once(name.split()[0], replace(ctx, memory={}), **options)


def answering(said: bytes) -> Behave:
    """Answer everything with the same bytes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(said)
        await writer.drain()

    return behave


def reading(ctx: Context, hold: Worst, memory: Worst, rounds: int) -> None:
    """Read every body with every reader: how long the loop is held up, and what memory it takes."""

    async def one(name: str, behave: Behave) -> tuple[float, float]:
        async with serve(behave) as port:
            turns = Turns()
            with PeakMemory() as peak:
                await look(name, port, ctx)
                return await turns.end(), peak.growth_mb

    measure_s = yardstick_s()
    for name in READERS:
        for what, said in answers_for(name).items():
            for _ in range(rounds):
                gc.collect()
                held_s, grown_mb = uvloop.run(one(name, answering(said)))  # waits for a thread that was given up
                hold.take(f"{name}: {what}", held_s / measure_s)
                memory.take(f"{name}: {what}", grown_mb / BODY_MB)


ENDLESS = drips(CHUNKED, b"10000\r\n" + bytes(65536) + b"\r\n", 0)
WAITING: dict[str, Behave] = {
    "says nothing": silent,
    "drips its headers": drips(OK_HEAD + b"x: ", b"a", 0.05),
    "drips its body": drips(OK_HEAD + b"content-type: application/json\r\n\r\n", b"[", 0.05),
    "never lets us wait": drips(OK_HEAD + b"\r\n", b"[" * 100, 0),
}


def waiting(ctx: Context, late: Worst, rounds: int) -> None:
    """Wait for whoever never comes to an end, beside a bare timer of the same deadline."""

    async def bare(behave: Behave) -> float:
        async with serve(behave):
            began_s = clock.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(DEADLINE_S):
                    await asyncio.Event().wait()
            return clock.monotonic() - began_s

    async def ours(name: str, behave: Behave) -> float:
        async with serve(behave) as port:
            began_s = clock.monotonic()
            await look(name, port, ctx)
            return clock.monotonic() - began_s

    for what, behave in WAITING.items():
        for name in ("http", "login", "registration json", "upstream statuspage", "chat", "chat whole"):
            for _ in range(rounds):
                late.take(f"{name}: {what}", uvloop.run(ours(name, behave)) / uvloop.run(bare(behave)))


def streams(memory: Worst, rounds: int) -> None:
    """Take in a stream without end, and one that nobody reads."""

    async def endless() -> float:
        async with serve(ENDLESS) as port:
            wire, url = Wire(allow_networks=LOOPBACK), f"http://127.0.0.1:{port}/"
            with PeakMemory() as peak:
                with suppress(WireError):
                    await wire.fetch("GET", url, limits=Limits())
                return peak.growth_mb

    async def unread() -> float:
        async with serve(ENDLESS) as port:
            wire = Wire(allow_networks=LOOPBACK)
            with PeakMemory() as peak:
                async with wire.stream("GET", f"http://127.0.0.1:{port}/"):
                    await asyncio.sleep(0.3)
                return peak.growth_mb

    for _ in range(rounds):
        for what, work in (("a stream without end", endless), ("a stream that nobody reads", unread)):
            gc.collect()
            memory.take(what, uvloop.run(work()) / BODY_MB)
    for unit in (b'{"a":0},', b"[],", b'{"":{}},', b"[0],", b'"ab",', b"1e1,", b"999999,"):
        body = b"[" + unit * (2 * 2**20 // len(unit)) + b"0]"
        with PeakMemory() as peak, suppress(ValueError):
            parse_json(body)
        memory.take(f"JSON of {unit.decode()}", peak.growth_mb / BODY_MB)


def texts(slow: Worst, rounds: int) -> None:
    """Redact a text made to be slow to search, beside a plain one as long."""
    secrets = [SECRET, f"Bearer {SECRET}"]

    def cost_s(text: str) -> float:
        began_s = time.process_time()
        for _ in range(20):
            redact(text, secrets)
        return time.process_time() - began_s

    for _ in range(rounds):
        for piece in (SECRET[:11], "\\", "&amp;", "%25", "&", "%", "\\u00", SECRET[:6]):
            slow.take(f"pieces of {piece}", cost_s((piece * 8192)[:8192]) / cost_s(("plain words " * 8192)[:8192]))


CRAFTED = ("<", "<!--", "<a b='", "<div hidden>", "&#", "<script>", "only ", "registration ", "sign up, ", "注册限制")
PAGE_CHARS = 400_000


def crafted(slow: Worst, rounds: int) -> None:
    """Read a page made to be slow, beside a plain one as long."""

    def cost_s(unit: str) -> float:
        page, began_s = unit * (PAGE_CHARS // len(unit)), time.process_time()
        statements(visible_text(page), Source.PAGE_TEXT)
        return time.process_time() - began_s

    for _ in range(rounds):
        for unit in CRAFTED:
            slow.take(f"a page of {unit}", cost_s(unit) / cost_s("<p>You can sign up by phone or e-mail.</p>\n"))


def main(quick: bool) -> None:
    """Print the largest ratios and where they were measured."""
    rounds = 1 if quick else ROUNDS
    hold, memory, large, late, slow, page = Worst(4), Worst(25), Worst(25), Worst(1.33), Worst(10), Worst(3)
    ctx = context(timeout_s=DEADLINE_S)
    uvloop.run(look_once("http", replace(ctx, memory={}), url="http://127.0.0.1:9"))  # reads the authorities
    gc.collect()
    gc.freeze()
    gc.disable()  # as the prober does
    try:
        reading(ctx, hold, memory, rounds)
        waiting(ctx, late, rounds)
        streams(large, rounds)
        texts(slow, rounds)
        crafted(page, rounds)
    finally:
        gc.enable()
        gc.unfreeze()
    told = Table("what a stranger can cost", "worst", "where", "aim", title=f"strangers, best of {rounds}")
    told.add_row(*hold.row("processor time between two turns of the loop, against decoding 2 MB of JSON"))
    told.add_row(*late.row("a look that waits, against a bare timer of its deadline beside it"))
    told.add_row(*memory.row("memory of a look, against a body of 2 MB"))
    told.add_row(*large.row("memory of a stream or of JSON in small parts, against the same"))
    told.add_row(*slow.row("redacting a text made to be slow, against a plain one"))
    told.add_row(*page.row("reading a page made to be slow, against a plain one"))
    Console(width=160).print(told)
