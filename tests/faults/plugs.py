"""Plugs that are pulled on a running worker: its processes, its database, its locks."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from monitor import clock
from monitor.core.model.reasons import Outcome
from monitor.store.backup import backup, restore
from monitor.store.connection.engine import open_engine
from tests.edges.databases import private_server
from tests.edges.test_store_lost import (
    come_from_the_future,
    cut,
    empty,
    flip,
    lose_the_log,
    overwrite_with_an_older_copy,
    overwrite_with_noise,
    put_a_folder_for_the_log,
    swap,
    swap_for_an_older_copy,
    take_a_table,
    vanish,
)
from tests.faults.rows import Told
from tests.faults.stage import BrokenError, Stage, stage, tally, until

AWAY_S = 8.0
HARMS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("the file vanished", vanish),
    ("swapped for a stranger's", swap),
    ("swapped for an older copy", swap_for_an_older_copy),
    ("cut in half", cut),
    ("emptied", empty),
    ("a bit flipped in every page", flip),
    ("overwritten with an older copy", overwrite_with_an_older_copy),
    ("overwritten with noise", overwrite_with_noise),
)
"""What the month draws from as well."""
OF_ITS_PARTS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("its log taken away", lose_the_log),
    ("a folder in the place of its log", put_a_folder_for_the_log),
    ("a table taken away", take_a_table),
    ("made newer than the program", come_from_the_future),
)


def _file(on: Stage) -> Path:
    return Path(on.running.database.removeprefix("sqlite:///"))


async def lying(home: Path, quick: bool) -> AsyncIterator[Told]:
    """Take the database file from under a running worker in every way, and put back a backup."""
    async with stage(home) as on:
        file = _file(on)
        for fault, harm in HARMS[:1] if quick else HARMS + OF_ITS_PARTS:
            try:
                yield await _lied(on, file, fault, harm)
            except BrokenError as error:
                yield Told(fault, None, "", str(error), kept=False)
                return


async def _lied(on: Stage, file: Path, fault: str, harm: Callable[[Path], None]) -> Told:
    older = file.with_name("older.db")
    await asyncio.to_thread(copied, on.running.database, older)
    await asyncio.sleep(6)  # a sign of life and a few results that the backup lacks
    since = clock.now()
    await asyncio.to_thread(harm, file)

    async def named() -> bool:
        return "chatwatch restore" in await on.ready()

    await until(named, "the page of readiness does not say what to do")
    noticed_s = (clock.now() - since).total_seconds()
    away = clock.now()
    await asyncio.to_thread(restore, older, on.running.database, replace=True)
    for path in file.parent.glob("*.rescued-*"):
        path.unlink()

    async def ready() -> bool:
        return (await on.running.get("/-/ready"))[0] == 200

    await until(ready, "not ready after a restore")
    back_s = (clock.now() - away).total_seconds()
    await on.look("sim-page", clock.now())
    lost = tally(on.results(), on.config, since, away)
    return Told(
        fault, noticed_s, str(lost), f"{back_s:.0f} s after `restore`", "said with what to do", kept=not lost.without
    )


def copied(database: str, older: Path) -> None:
    """Make a backup where the one before lay."""
    older.unlink(missing_ok=True)
    engine = open_engine(database)
    backup(engine, older)
    engine.dispose()


async def killed(home: Path, quick: bool) -> AsyncIterator[Told]:
    """Kill either process, and then both with their supervisor."""
    for victim in ("recorder", "prober")[: 1 if quick else 2]:
        (own := home / victim).mkdir()
        async with stage(own) as on:
            before, since = on.running.children(), clock.now()
            os.kill(before[victim], signal.SIGKILL)

            async def again(gone: frozenset[int] = frozenset(before.values())) -> bool:
                there = on.running.children()
                return len(there) == len(gone) and not gone & set(there.values())

            await until(again, "the pair does not start again")
            good = await on.look("sim-page", clock.now(), lambda result: result.outcome is Outcome.OK)
            back_s = (good.started_at - since).total_seconds()
            await on.look("sim-page", clock.now())
            lost = tally(on.results(), on.config, since, good.started_at)
            yield Told(
                f"kill -9 of the {victim}",
                None,
                str(lost),
                f"the pair starts again, first good look {back_s:.1f} s later",
                "by the supervisor, at once",
                kept=not lost.without,
            )


async def locked(home: Path, quick: bool) -> AsyncIterator[Told]:
    """Hold a lock on the database file as another program would."""
    async with stage(home) as on:
        since = clock.now()
        with closing(sqlite3.connect(_file(on), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await on.running.until("chatwatch_spooled_results", bool)
            noticed_s = (clock.now() - since).total_seconds()
            await asyncio.sleep(AWAY_S if quick else 30 - noticed_s)
            other.execute("ROLLBACK")
        yield await _caught_up(on, "another program holds a lock", since, noticed_s)


async def _caught_up(on: Stage, fault: str, since: datetime, noticed_s: float) -> Told:
    back = clock.now()
    await on.running.until("chatwatch_spooled_results", lambda value: value == 0)
    back_s = (clock.now() - back).total_seconds()
    await on.look("sim-page", clock.now())
    lost = tally(on.results(), on.config, since, back)
    recovered = f"by itself, {back_s:.1f} s after the database was back"
    return Told(fault, noticed_s, str(lost), recovered, "results wait on disk", kept=not lost.without)


async def postgres_away(home: Path, quick: bool) -> AsyncIterator[Told]:
    """Stop a PostgreSQL under a running worker, and start it again."""
    with private_server() as server:
        async with stage(home, database=server.create()) as on:
            since = clock.now()
            await asyncio.to_thread(server.stop)
            await on.running.until("chatwatch_spooled_results", bool)
            noticed_s = (clock.now() - since).total_seconds()
            await asyncio.sleep(AWAY_S if quick else 4 * AWAY_S)
            await asyncio.to_thread(server.start)
            yield await _caught_up(on, "the server is stopped and started again", since, noticed_s)


async def reading_long(home: Path, quick: bool) -> AsyncIterator[Told]:
    """Keep a reader open as a forgotten program would, and let the log grow behind it."""
    async with stage(home) as on:
        since = clock.now()
        with closing(sqlite3.connect(_file(on), isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM result").fetchone()
            await asyncio.sleep(AWAY_S if quick else 3 * AWAY_S)
            size = await on.running.metric("chatwatch_database_wal_bytes")
        ended = clock.now()
        await on.look("sim-page", clock.now())
        lost = tally(on.results(), on.config, since, ended)
        yield Told(
            f"a transaction open for {(ended - since).total_seconds():.0f} s",
            None,
            str(lost),
            "the log is folded back once the reader is gone",
            f"in a metric at any size ({(size or 0) / 1e6:.1f} MB here), in log and alert above its limit",
            kept=not lost.without,
        )
