"""A prober and a recorder as they run, on one driven loop, and a log of what their database said meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, select

from monitor import clock
from monitor.config.load import Config
from monitor.core.codec import dumps_result
from monitor.core.model.observations import Result
from monitor.prober.prober import Prober
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.recorder import Recorder
from monitor.runtime.messages import Batch, ProberAlive
from monitor.runtime.places import quarantine_home, spool_directory
from monitor.store import reads, tables
from monitor.store.connection.engine import open_engine, reading
from monitor.store.reads.views import IncidentView
from monitor.store.tables import table
from monitor.wire import Wire
from monitor.wire.dns.resolve import Resolver
from tests.edges.driven import WALL

SWEEP_EVERY_S = 20.0
NEWS_AFTER_S = 0.1


class Told(NamedTuple):
    """What somebody was told."""

    why: str
    severity: str
    rule: str
    component: str


@dataclass
class Watched:
    """What a worker makes of the world; times are seconds since the beginning, whatever the wall clock says."""

    prober: Prober
    recorder: Recorder
    results: list[Result] = field(default_factory=list)
    healths: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    """When it was swept, and the health of each component then."""
    incidents: Sequence[IncidentView] = ()
    told: list[Told] = field(default_factory=list)
    """What was sent to anybody, in order."""
    told_s: list[float] = field(default_factory=list)
    """When, in seconds since the beginning by the wall clock."""
    why_blind: set[str] = field(default_factory=set)
    """The alerts about our own side, as they are stored."""
    _began_s: float = field(default_factory=clock.monotonic)
    _waiting: list[bytes] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _batch: int = 0

    @property
    def engine(self) -> Engine:
        return self.recorder.engine

    @property
    def longest_s(self) -> float:
        """The longest interval of its probes."""
        return max(probe.interval_s for probe in self.prober.config.catalogue.probes)

    @property
    def now_s(self) -> float:
        return clock.monotonic() - self._began_s

    def take(self, result: Result) -> None:
        self.results.append(result)
        self._waiting.append(dumps_result(result))
        self._news.set()

    async def hand_over(self) -> None:
        """Give the recorder what the prober saw, as soon as there is any."""
        while True:
            await self._news.wait()
            await asyncio.sleep(NEWS_AFTER_S)
            self._news.clear()
            lines, self._waiting = tuple(self._waiting), []
            self._batch += 1
            await self.recorder.on_frame(Batch(self._batch, lines=lines))

    async def sweep(self) -> None:
        """Let time pass for the recorder, and note what it shows."""
        while True:
            await self.recorder.on_frame(ProberAlive(self.prober.self_check.reason, 0.0, self.prober.alone_since))
            await self.recorder.sign_of_life()
            await self.recorder.sweep()
            self.healths.append((self.now_s, self.shown()))
            await asyncio.sleep(SWEEP_EVERY_S)

    def shown(self) -> dict[str, str]:
        """Return component → health, as the public reads it now."""
        shot = reads.snapshot(self.engine, clock.now(), public=True, history=False)
        return {part.id: part.health.value for service in shot.services for part in service.components}

    def between(self, start_s: float, end_s: float) -> list[dict[str, str]]:
        return [shown for at_s, shown in self.healths if start_s <= at_s <= end_s]

    def close_book(self) -> None:
        """Read what the database holds of incidents and notices, before it closes."""
        self.incidents = reads.incidents(self.engine, public=False)
        alert, decision = table(tables.Alert), table(tables.Decision)
        sent = select(decision, alert.c.rule, alert.c.component, alert.c.body).join(
            alert, alert.c.id == decision.c.alert
        )
        with reading(self.engine) as connection:
            rows = connection.execute(sent.where(decision.c.send).order_by(decision.c.id)).all()
            self.why_blind = set(connection.execute(select(alert.c.body).where(alert.c.rule == "blind")).scalars())
        self.told_s = [row.at_us / 1e6 - WALL.timestamp() for row in rows]
        self.told = [Told(row.why, _severity(row.body), row.rule, row.component) for row in rows]


def _severity(body: str) -> str:
    return str(json.loads(body)["severity"])


@asynccontextmanager
async def watching(config: Config, home: Path, resolver: Resolver | None = None) -> AsyncIterator[Watched]:
    """Run prober and recorder over a database under *home*, by the given name server."""
    url = f"sqlite:///{home / 'watched.db'}"
    seen = Seen(clock.now)
    settled = config.settled()
    spool, quarantine = Spool(spool_directory(url, "local")), Quarantine(quarantine_home(url) / "local")
    recorder = Recorder(settled, open_engine(url), spool, quarantine, seen, registry_for(seen)[1])
    recorder.apply(settled)
    await recorder.open()
    prober = Prober(config, lambda result: watched.take(result))  # noqa: PLW0108  # it does not exist yet
    watched = Watched(prober, recorder)
    settings = config.settings
    watched.prober.wire = Wire(
        allow_networks=settings.allow_networks, ca_file=settings.ca_file, resolver=resolver or Resolver()
    )
    watched.prober.start()
    chores = [asyncio.create_task(watched.hand_over()), asyncio.create_task(watched.sweep())]
    try:
        yield watched
    finally:
        await watched.prober.stop()
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await recorder.close()
