"""The recorded past judged several times over, in as many processes as there are cores: one policy knows no other.

Each pass is whole, in the order of time, in one process, so how many processes share them changes no result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty
from typing import Any

import click

from monitor.cli.common import Failure
from monitor.core.catalogue import Catalogue
from monitor.core.review import Page, pages
from monitor.core.schedule import micros
from monitor.core.unmade import Draw, Gap, SeriesKey, Told, Unmade

APART_FROM = 250_000
"""Looks from which another process is worth its start of a second or two."""
STEPS = 1000
"""Of the progress of one pass."""
LISTEN_S = 1.0
GONE = "a process that judged the past ended early (signal or exit code {}): is there enough memory?"


@dataclass(frozen=True)
class Pass:
    """One policy on the looks of ``[since, until)``."""

    catalogue: Catalogue
    since: datetime
    until: datetime
    changed: frozenset[str] = frozenset()
    """Probes that look at other moments than those that recorded."""
    draw: Draw | None = None


@dataclass(frozen=True)
class Judged:
    """What came of a pass."""

    pages: tuple[Page, ...]
    looks: int
    gaps: tuple[Gap, ...] = ()
    left_out: int = 0
    drawn: int = 0
    told: Mapping[SeriesKey, Told] = field(default_factory=dict)
    """What it takes to draw the looks of the gaps."""


def judged(url: str, one: Pass, step: Callable[[int], None]) -> Judged:
    """Judge one pass; ``step`` is told of its progress in thousandths, at most so many times."""
    from monitor.core.replay import fold, most_lag_s
    from monitor.store import reads
    from monitor.store.connection.engine import open_engine

    since_us, length_us = micros(one.since), max(1, micros(one.until) - micros(one.since))
    told = 0

    def seen(at_us: int) -> None:
        nonlocal told
        now = min(STEPS, STEPS * (at_us - since_us) // length_us)
        if now > told:
            step(now - told)
            told = now

    engine = open_engine(url, read_only=True)
    try:
        looks = reads.past(engine, one.since, one.until, most_lag_s(one.catalogue))
        unmade = Unmade(one.catalogue, one.changed, one.draw)
        judge = fold(one.catalogue, unmade.through(looks), seen)
    finally:
        engine.dispose()
    step(STEPS - told)
    unsure = {(gap.probe, gap.location) for gap in unmade.gaps}
    needed = {series: found for series, found in unmade.told.items() if series in unsure}
    return Judged(pages(judge), unmade.looks, tuple(unmade.gaps), unmade.left_out, unmade.drawn, needed)


def run(url: str, passes: Sequence[Pass], processes: int, title: str) -> list[Judged]:
    """Judge all passes, with a bar on a terminal's stderr; results in their order. Raises :class:`Failure`."""
    with _bar(title, STEPS * len(passes)) as step:
        if processes < 2 or len(passes) < 2:
            return [judged(url, one, step) for one in passes]
        return _apart(url, passes, min(processes, len(passes)), step)


def cores(looks: int) -> int:
    """Return how many processes are worth while for a pass of so many looks."""
    if looks < APART_FROM:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _bar(title: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with the time that remains; nothing when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=title, show_eta=True, file=sys.stderr) as bar:
        yield bar.update


def _apart(url: str, passes: Sequence[Pass], processes: int, step: Callable[[int], None]) -> list[Judged]:
    context = multiprocessing.get_context("spawn")  # a fork would share the parent's connections and threads
    queue: Any = context.Queue()
    found: dict[int, Judged] = {}
    shares = [[(place, passes[place]) for place in range(k, len(passes), processes)] for k in range(processes)]
    workers = [context.Process(target=_work, args=(url, share, queue), daemon=True) for share in shares]
    try:
        for worker in workers:
            worker.start()
        while len(found) < len(passes):
            try:
                what, value = queue.get(timeout=LISTEN_S)
            except Empty:
                if gone := [one.exitcode for one in workers if one.exitcode]:
                    raise Failure(GONE.format(gone[0])) from None
                continue
            if what == "step":
                step(value)
            elif what == "failed":
                raise Failure(value)
            else:
                found[what] = value
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
            worker.join()
    return [found[place] for place in range(len(passes))]


def _work(url: str, share: Sequence[tuple[int, Pass]], queue: Any) -> None:
    """Judge some passes in a process of its own."""
    from sqlalchemy.exc import DBAPIError

    from monitor.heap import settle
    from monitor.runtime.away import database_refused
    from monitor.store.connection.engine import StoreError

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    settle()
    try:
        for place, one in share:
            queue.put((place, judged(url, one, lambda steps: queue.put(("step", steps)))))
    except StoreError as error:
        queue.put(("failed", str(error)))
    except DBAPIError as error:
        queue.put(("failed", database_refused(error, url)))
