"""A child that is killed: it records a story full of outages and delivers what follows with the real dispatcher."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select

from monitor import flow
from monitor.channels.webhook import Webhook
from monitor.config.settled import Channel, Settings, Settled
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Probe, Route, Service
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.flow.notices import OPEN
from monitor.recorder.delivery import Dispatcher
from monitor.store.connection.engine import open_engine, reading
from monitor.store.transaction.alerts import OUTBOX
from tests.edges.flowing import MINUTE, POLICY, look
from tests.edges.killing import Pipe, Point, die_at

NAMES = tuple(f"s{number}" for number in range(12))
CATALOGUE = Catalogue(
    tuple(Service(name, name.upper()) for name in NAMES),
    tuple(Component(f"{name}/api", name, "API", ComponentKind.API) for name in NAMES),
    tuple(Probe(f"{name}-api", f"{name}/api", "http", 60, 10.0, policy=POLICY) for name in NAMES),
    (Route("oncall", ("pager",)),),
    "1",
)
CYCLE, APART, BAD = 36, 3, range(2, 5)


def story(minute: int, start: datetime, calm: int) -> list[Result]:
    """Return the looks of a minute: each service fails three minutes of 36 in turn; from minute ``calm`` on none."""
    at, results = start + minute * MINUTE, []
    for number, name in enumerate(NAMES):
        bad = minute < calm and (minute - APART * number) % CYCLE in BAD
        reason = Reason.SERVER_ERROR if bad else Reason.OK
        results += [look(f"{name}-api", at, reason, attempt) for attempt in ((1, 2) if bad else (1,))]
    return results


def config(receiver: str) -> Settled:
    pager = Channel("pager", "webhook", Webhook(url=SecretStr(receiver)))
    return Settled(CATALOGUE, Settings(allow_networks=("127.0.0.0/8",)), {"pager": pager})


def send(
    pipe: Pipe, point: Point | None, times: int, url: str, receiver: str, start: datetime, minutes: range, calm: int
) -> None:
    """Record minutes and deliver meanwhile; without minutes deliver until nothing is left."""
    die_at(point, times)
    asyncio.run(_send(pipe, url, receiver, start, minutes, calm))


async def _send(pipe: Pipe, url: str, receiver: str, start: datetime, minutes: range, calm: int) -> None:
    engine, loop = open_engine(url), asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1)

    async def database(work: Any, *arguments: Any, **named: Any) -> Any:
        return await loop.run_in_executor(thread, lambda: work(*arguments, **named))

    def left() -> int:
        with reading(engine) as connection:
            query = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.sending.in_(OPEN))
            return connection.scalar(query) or 0

    dispatcher = Dispatcher(engine, database, f"sender/{os.getpid()}", config(receiver), lambda *_: None)
    for minute in minutes:
        at = start + minute * MINUTE
        await database(flow.record, engine, story(minute, start, calm), at + timedelta(seconds=2))
        await database(flow.sweep, engine, at + timedelta(seconds=30))
        pipe.send(minute)
        for _ in range(3):
            await dispatcher.step()
            await asyncio.sleep(0.02)
    while not minutes and await database(left):
        await dispatcher.step()
        await asyncio.sleep(0.05)
    await dispatcher.close()
    thread.shutdown()
    engine.dispose()
