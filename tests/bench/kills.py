"""Kill -9 in a loop, on SQLite and PostgreSQL: ``python -m tests.bench kills``; 200 rounds each, fewer when quick."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from sqlalchemy import text

from monitor import clock
from monitor.store.engine import migrate, open_engine, reading
from tests.edges.databases import private_server
from tests.edges.flowing import publish
from tests.edges.test_store_kills import check, run_and_kill


def rounds(url: str, many: int) -> None:
    """Kill a recorder ``many`` times at random moments; after each, nothing acknowledged may be missing or double."""
    engine = open_engine(url)
    migrate(engine)
    publish(engine)
    rng, minute, start_s = random.Random(5), 0, clock.monotonic()
    for _ in range(many):
        acknowledged = run_and_kill(url, minute, rng)
        check(engine, acknowledged)
        if url.startswith("sqlite"):
            with reading(engine) as connection:
                assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        minute = acknowledged + 1
    engine.dispose()
    kind = url.partition(":")[0]
    print(
        f"{kind}: {many} kills, {minute} acknowledged batches, 0 lost, 0 doubled, histories whole"
        f" ({clock.monotonic() - start_s:.0f} s)"
    )


def main(quick: bool) -> None:
    """Print what was acknowledged and that all of it was there after every kill."""
    many = 20 if quick else 200
    with tempfile.TemporaryDirectory() as home:
        rounds(f"sqlite:///{Path(home) / 'kills.db'}", many)
    with private_server() as server:
        rounds(server.create(), many)
