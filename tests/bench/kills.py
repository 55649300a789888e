"""Kill -9 in loops, at random and at named points, on SQLite and PostgreSQL: ``python -m tests.bench kills``.

After each kill the process starts again and everything is checked: see :mod:`tests.edges.after_kills`.
"""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from monitor import clock
from tests.edges import killing
from tests.edges.databases import private_server
from tests.edges.kill_loops import Delivering, Recording, copies, migrations
from tests.edges.receiver import receiving

STORING = killing.RECORDING | killing.SPOOLING | killing.KEEPING_HOUSE


def recording(url: str, home: Path, named: int, at_random: int) -> tuple[int, str]:
    """Kill a recorder at each named point so many times, and at random moments; returns kills and what was kept."""
    rng = random.Random(5)
    with closing(Recording(url, home)) as under:
        for name in [name for name in STORING for _ in range(named)]:
            most = 2 if name in killing.SPOOLING else 4
            under.round(name, STORING[name], rng.randint(1, most) if named > 1 else 1, many=24)
        for _ in range(at_random):
            under.round("at random", None, many=1_000, after_s=rng.random() * 0.25)
        under.finish()
    missed = [name for name in STORING if not under.kills[name]]
    assert not missed, f"never killed at {missed}"
    told = f"{under.minute} batches acknowledged, 0 lost, 0 doubled, all equal to the undisturbed story"
    return under.kills.total(), told


def delivering(url: str, named: int, at_random: int) -> tuple[int, str]:
    """Kill a sender at each named point so many times, and at random moments."""
    rng = random.Random(7)
    with receiving(7) as received, closing(Delivering(url, received)) as under:
        for name in [name for name in killing.SENDING for _ in range(named)]:
            under.round(name, killing.SENDING[name], 1 if "back" in name else rng.randint(1, 2), many=8)
        for _ in range(at_random):
            under.round("at random", None, many=60, after_s=rng.random() * 0.4)
        told = under.finish()
    missed = [name for name in killing.SENDING if not under.kills[name]]
    assert not missed, f"never killed at {missed}"
    return under.kills.total(), told


def show(what: str, work: Callable[[], tuple[int, str]]) -> None:
    """Run one loop and print its line of the table."""
    start_s = clock.monotonic()
    kills, told = work()
    print(f"| {what} | {kills} kills | {told} | {clock.monotonic() - start_s:.0f} s |", flush=True)


def loops(kind: str, fresh: Callable[[], str], home: Path, quick: bool) -> None:
    """Run every loop on one kind of database."""
    few = 1 if quick else 9
    show(f"{kind}: recording", lambda: recording(fresh(), home, few, 20 if quick else 230))
    show(f"{kind}: delivery", lambda: delivering(fresh(), 3 * few, 10 if quick else 310))
    show(f"{kind}: migration", lambda: migrations(fresh, few))
    show(f"{kind}: backup, restore", lambda: copies(fresh, home, few))


def main(quick: bool) -> None:
    """Print a line per loop and database; any fault ends it with an error."""
    logging.getLogger("chatwatch").setLevel(logging.CRITICAL)
    killing.prepare()
    with private_server() as server, tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        numbers = count()
        loops("SQLite", lambda: f"sqlite:///{Path(one) / f'{next(numbers)}.db'}", Path(one), quick)
        loops("PostgreSQL", server.create, Path(other), quick)
