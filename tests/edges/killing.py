"""Kill -9 at named points: a child process watches its own calls and returns and kills itself at one of them.

The points are functions of the product (or of the interpreter, as ``os.fsync``), named by file and function, and are
seen through ``sys.setprofile``: nothing of the product is replaced, and it knows nothing of this. A point whose
function is gone is never reached, and the tests fail. Children are forked from a server that has everything imported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
_FORKS = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Point:
    """Where to die: on ``event`` (call, return, c_call, c_return) of a function while ``within`` is on the stack."""

    file: str
    function: str
    event: str = "call"
    within: str = ""


RECORDING = {
    "result received": Point("monitor/recorder/recorder.py", "_persist"),
    "transaction begun": Point("monitor/store/results/partitions.py", "ensure_partitions", within="_record_batch"),
    "before the raw rows (COPY)": Point("monitor/store/results/raw.py", "append"),
    "raw rows written": Point("monitor/store/results/raw.py", "append", "return"),
    "before the judgement": Point("monitor/store/transaction/store.py", "flush", within="_record_batch"),
    "judgement half written": Point("monitor/store/transaction/store.py", "_flush_series", "return", "_record_batch"),
    "judgement written": Point("monitor/store/transaction/store.py", "flush", "return", "_record_batch"),
    "before an incident's events": Point(
        "monitor/store/transaction/incidents.py", "flush_incidents", within="_record_batch"
    ),
    "before a row of the outbox": Point("monitor/store/transaction/alerts.py", "_enqueue"),
    "row of the outbox written": Point("monitor/store/transaction/alerts.py", "_enqueue", "return"),
    "before the commit": Point("sqlalchemy/engine/default.py", "do_commit", within="_record_batch"),
    "committed, not acknowledged": Point("sqlalchemy/engine/default.py", "do_commit", "return", "_record_batch"),
    "about to acknowledge": Point("monitor/recorder/recorder.py", "_persist", "return"),
    "sweep: before the commit": Point("sqlalchemy/engine/default.py", "do_commit", within="sweep"),
    "sweep: committed": Point("sqlalchemy/engine/default.py", "do_commit", "return", "sweep"),
}
SPOOLING = {
    "before a spool append": Point("monitor/recorder/durability/spool.py", "append"),
    "spool segment made": Point("monitor/recorder/durability/spool.py", "_open_segment", "return"),
    "spool written, not flushed": Point("monitor/recorder/durability/records.py", "write_all", "return"),
    "before the spool's fsync": Point("posix", "fsync", "c_call", "append"),
    "after the spool's fsync": Point("posix", "fsync", "c_return", "append"),
    "spool append done": Point("monitor/recorder/durability/spool.py", "append", "return"),
    "replay: half stored": Point("sqlalchemy/engine/default.py", "do_commit", "return", "replay"),
    "replay: before the trim": Point("monitor/recorder/durability/spool.py", "_let_go"),
    "replay: trimmed": Point("monitor/recorder/durability/spool.py", "_let_go", "return"),
}
KEEPING_HOUSE = {
    "roll-up: minutes written": Point("monitor/store/results/rolling.py", "pour", "return"),
    "roll-up: before the commit": Point("sqlalchemy/engine/default.py", "do_commit", within="_one_step"),
    "roll-up: committed": Point("sqlalchemy/engine/default.py", "do_commit", "return", "_one_step"),
    "roll-up: hour closed, not committed": Point("monitor/store/results/rolling.py", "close_level", "return"),
    "prune: before a step's commit": Point("sqlalchemy/engine/default.py", "do_commit", within="prune"),
    "prune: step committed": Point("sqlalchemy/engine/default.py", "do_commit", "return", "prune"),
}
SENDING = {
    "before a notice is leased": Point("monitor/flow/notices.py", "lease_notices"),
    "leased, not committed": Point("sqlalchemy/engine/default.py", "do_commit", within="lease_notices"),
    "notice leased": Point("monitor/flow/notices.py", "lease_notices", "return"),
    "about to send": Point("monitor/recorder/delivery.py", "_notice", "return"),
    "sent, not settled": Point("monitor/flow/notices.py", "settle_notice"),
    "settled, not committed": Point("sqlalchemy/engine/default.py", "do_commit", within="settle_notice"),
    "notice settled": Point("sqlalchemy/engine/default.py", "do_commit", "return", "settle_notice"),
    "predecessor's notices taken back": Point("monitor/flow/notices.py", "take_back_notices", "return"),
}
MIGRATING = {
    "migration: before the first step": Point("versions/v0001_first.py", "upgrade"),
    "migration: first step done": Point("versions/v0001_first.py", "upgrade", "return"),
    "migration: before the second step": Point("versions/v0002_day_bars.py", "upgrade"),
    "migration: second step done": Point("versions/v0002_day_bars.py", "upgrade", "return"),
    "migration: before the commit": Point("sqlalchemy/engine/default.py", "do_commit", within="migrate"),
    "migration: committed": Point("sqlalchemy/engine/default.py", "do_commit", "return", "migrate"),
}
COPYING = {
    "backup: copy written": Point("posix", "fsync", "c_call", "backup"),
    "backup: before the rename": Point("posix", "replace", "c_call", "backup"),
    "backup: renamed": Point("posix", "replace", "c_return", "backup"),
}
PUTTING_BACK = {
    "restore: copied beside": Point("monitor/store/backup.py", "_close_file"),
    "restore: old file kept": Point("monitor/store/backup.py", "_keep", "return"),
    "restore: before the rename": Point("posix", "replace", "c_call", "restore"),
    "restore: renamed": Point("posix", "replace", "c_return", "restore"),
    "restore: due notices not forgotten": Point("monitor/store/backup.py", "_forget_notices"),
}


def die_at(point: Point | None, times: int) -> None:
    """Kill this process when it comes to ``point`` for the ``times``-th time, in whatever thread."""
    if point is None:
        return
    left, lock = times, threading.Lock()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event != point.event or not _is_at(point, frame, argument):
            return
        with lock:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)


def _is_at(point: Point, frame: FrameType, argument: Any) -> bool:
    if point.event.startswith("c_"):
        if argument.__name__ != point.function or argument.__module__ != point.file:
            return False
    elif frame.f_code.co_name != point.function or not frame.f_code.co_filename.endswith(point.file):
        return False
    return not point.within or _on_stack(point.within, frame)


def _on_stack(name: str, frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == name:
            return True
        frame = frame.f_back
    return False


Child = Callable[..., None]
"""Runs in a process of its own as ``child(pipe, point, times, *arguments)`` and says what it has done on the pipe."""


@dataclass(frozen=True)
class Ended:
    """How a child ended, and what it said before."""

    killed: bool
    said: tuple[int, ...]


def run(
    child: Child, *arguments: Any, point: Point | None = None, times: int = 1, after_s: float | None = None
) -> Ended:
    """Run a child until it ends, dies at ``point``, or ``after_s`` seconds have passed since it said its first word."""
    ours, theirs = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=child, args=(theirs, point, times, *arguments))
    process.start()
    theirs.close()
    said: list[int] = []
    timer = threading.Timer(after_s or 0.0, process.kill)
    try:
        while True:
            said.append(ours.recv())
            if after_s is not None and len(said) == 1:
                timer.start()
    except (EOFError, OSError):
        pass
    finally:
        timer.cancel()
        ours.close()
    process.join(300)
    code = process.exitcode
    process.close()
    assert code in (0, -signal.SIGKILL), f"the child ended with {code}"
    return Ended(code != 0, tuple(said))


def prepare() -> None:
    """Let the server that children are forked from import everything once."""
    _FORKS.set_forkserver_preload(
        ["tests.edges.recorder_to_kill", "tests.edges.sender_to_kill", "alembic.command", "psycopg"]
    )


Pipe = Connection
