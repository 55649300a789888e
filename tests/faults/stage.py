"""A running worker to play faults on: two simulated vendors, the second of which nothing ever happens to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from monitor import clock
from monitor.config.load import Config, load
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome
from monitor.core.schedule import slot, ticks_between
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from monitor.store import reads
from monitor.store.connection.engine import AWAY, StoreError, open_engine
from tests.doors.running import KEY, Worker, worker

Found = TypeVar("Found")

LIMIT_S = 90.0
"""Nothing that is waited for may take longer: then the row is broken."""
QUIET_SERVICE = """\
  - id: other
    name: Another vendor
    components: [{{id: web, name: Web chat, kind: web}}]
    probes:
      - {{id: page, component: web, kind: http, interval: 1s, timeout: 900ms, options: {{url: "OTHER/"}}}}
"""
PROBES = """\
allow_networks: [127.0.0.0/8]
listen: {{metrics: "127.0.0.1:{metrics}"}}
policies:
  default: {{recovery_window: 2s, shortest_outage: 1s, failure_ratio: 0.45, false_pages_per_year: 1000}}
services:
  - id: sim
    name: Simulated
    components:
      - {{id: web, name: Web chat, kind: web}}
      - {{id: api, name: API, kind: api}}
    probes:
      - {{id: page, component: web, kind: http, interval: 1s, timeout: 900ms, options: {{url: "{url}/", redirects: 3}}}}
      - id: chat
        component: api
        kind: chat
        interval: 2s
        timeout: 1500ms
        options: {{base_url: "{url}/v1", model: simulated, key: "${{SIM_KEY}}", stall_s: 600ms}}
"""
CHANNEL = """\
channels: {{hook: {{kind: webhook, url: "${{SIM_HOOK}}"}}}}
routes: [{{id: all, channels: [hook], severities: [page, ticket, info]}}]
"""


class BrokenError(Exception):
    """The promise of a row did not hold; the text says what happened instead."""


@dataclass
class Stage:
    """What a fault can be played on. ``quiet`` is the vendor that must stay untouched by it."""

    running: Worker
    vendor: Vendor
    quiet: Vendor

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return load(self.running.probes, {"SIM_KEY": KEY, "SIM_HOOK": f"{self.vendor.url}/_inbox"}, None)

    def results(self, since: datetime | None = None) -> list[Result]:
        """Return what the database holds; nothing while it cannot be read."""
        try:
            engine = open_engine(self.running.database, read_only=True)
        except StoreError:
            return []
        try:
            return list(reads.results(engine, "", since, None))
        except AWAY:
            return []
        finally:
            engine.dispose()

    async def look(self, probe: str, since: datetime, wanted: Callable[[Result], bool] = bool) -> Result:
        """Return the first stored look of a probe that began after a moment and is as wanted."""

        def found() -> Result | None:
            near = self.results(since - timedelta(seconds=5))
            mine = [r for r in near if r.run.probe == probe and r.started_at >= since]
            mine = [r for r in mine if r.outcome is not Outcome.MISSED and wanted(r)]
            return min(mine, key=lambda result: result.started_at, default=None)

        return await until(lambda: asyncio.to_thread(found), f"no such look of {probe}")

    async def settled(self) -> None:
        """Wait until every probe has a good look."""
        since = clock.now()
        for probe in ("sim-page", "sim-chat", "other-page"):
            await self.look(probe, since, lambda result: result.outcome in (Outcome.OK, Outcome.SLOW))

    async def ready(self) -> str:
        """Return what the worker says of its readiness; empty when nobody answers."""
        return (await self.running.get("/-/ready"))[1]


@dataclass(frozen=True)
class Tally:
    """Ticks of a time: how many there were, how many have no record at all, how many say that nobody looked."""

    ticks: int
    without: int
    missed: int

    def __str__(self) -> str:
        seen = f"{self.without} of {self.ticks} ticks" if self.without else "nothing"
        return seen + (f", {self.missed} recorded as missed" if self.missed else "")


def tally(results: Sequence[Result], config: Config, since: datetime, until: datetime) -> Tally:
    """Count the ticks of all probes within a time; raises :class:`BrokenError` if one was recorded twice."""
    if len({result.run for result in results}) != len(results):
        raise BrokenError("a look is stored twice")
    ticks = without = missed = 0
    for probe in config.catalogue.probes:
        mine = {r.run.tick: r.outcome for r in results if r.run.probe == probe.id and r.run.attempt == 1}
        due = list(ticks_between(probe.interval_s, slot(probe.id, probe.interval_s), since, until))
        ticks, without = ticks + len(due), without + sum(tick not in mine for tick in due)
        missed += sum(mine.get(tick) is Outcome.MISSED for tick in due)
    return Tally(ticks, without, missed)


async def until(found: Callable[[], Awaitable[Found | None]], what: str, limit_s: float = LIMIT_S) -> Found:
    """Ask again and again, and return the first answer that is something."""
    end_s = clock.monotonic() + limit_s
    while True:
        if answer := await found():
            return answer
        if clock.monotonic() > end_s:
            raise BrokenError(f"{what} within {limit_s:.0f} s")
        await asyncio.sleep(0.1)


@asynccontextmanager
async def stage(home: Path, *, prefix: Sequence[str] = (), database: str = "") -> AsyncIterator[Stage]:
    """Run a worker and both vendors for the time of the block, and settle."""
    async with serve() as vendor, serve() as quiet:
        vendor.set("", ttft_s=0.05, spread=0.0)
        probes = PROBES + QUIET_SERVICE.replace("OTHER", quiet.url) + CHANNEL
        async with worker(home, vendor.url, probes=probes, prefix=prefix, database=database) as running:
            played = Stage(running, vendor, quiet)
            await played.settled()
            yield played
