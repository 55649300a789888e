"""Whether the database is the one that took our results: proven again and again, and left alone when it is not.

What the database took stays on the spool until a proof. An SQLite file that vanished, was swapped, cut, damaged or
rolled back is *lost*: nothing is written to it any more, everything waits on disk, and the worker goes on looking until
a sound file is back, put there by ``chatwatch restore`` or holding all that was proven. PostgreSQL needs nobody: when
another server answers, what is not proven is stored again, which changes nothing where it was stored.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from monitor import clock
from monitor.core.model.message_codes import MessageCode, coded
from monitor.logs import Event, Room
from monitor.recorder.durability.anchor import Anchor
from monitor.recorder.durability.marker import Lost, Marker, MissingError
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Counters, Kept, Seen
from monitor.runtime.trouble import what_is_wrong
from monitor.store.connection.engine import StoreError, file_of, reading
from monitor.store.connection.identity import Expected, StoreChangedError
from monitor.store.proof import Facts, Fault, UnsoundError, error_name, examined, fault_of, is_cut, misplaced, writable
from monitor.store.upgrade import UnversionedError, is_known, migrate
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

log = Room("recorder")

PROVE_EVERY_S = 10.0
DEEP_SHARE = 20.0
"""Reading the whole file takes at most one part in so many of the time: a large one is proven less often."""
SAY_EVERY_S = 600.0
BLIND_PROOFS = 2
"""So many proofs in a row may fail to read the file, though nobody holds a lock, before that is a fault."""


class Guard:
    """See the module. What changes the spool runs in the database's thread (``run``), as all that stores."""

    def __init__(
        self, engine: Engine, spool: Spool, seen: Seen, counters: Counters, run: Callable[..., Awaitable[Any]]
    ) -> None:
        self._engine, self._spool, self._seen, self._counters, self._run = engine, spool, seen, counters, run
        self.path = file_of(engine)
        self.adopted = asyncio.Event()
        """A store is back after a loss and is to be opened."""
        self.lost = False
        self.opened: Callable[[], bool] = lambda: False
        self.on_loss: Callable[[], None] = lambda: None
        self._expected = Expected(engine, self.path)
        self._marker = Marker(spool.directory, engine)
        self._thread = ThreadPoolExecutor(1, "proof")
        self._signed: tuple[str, int] | None = None
        self._facts: Facts | None = None
        self._deep_due_s = -math.inf
        self._turned: frozenset[Path] = frozenset()
        self._blind_proofs = 0
        self._anchor = Anchor(self.path) if self.path is not None else None
        self._said_s = -math.inf
        self.rescued: Path | None = None
        spool.proves = True
        self._resume()

    def _resume(self) -> None:
        """Go on waiting where an earlier process had lost the store."""
        if self.path is None or (lost := self._marker.found_lost()) is None:
            return
        self.lost, self._seen.kept = True, Kept.DISK
        self._signed = (lost.worker, lost.signed_us) if lost.worker else None
        self._facts = Facts("", lost.stamp, None)
        self.name(lost.fault, lost.todo)

    def admit(self) -> None:
        """Raise :class:`StoreChangedError` while nothing may reach the store."""
        if self.lost:
            raise StoreChangedError("the database is lost: restore it")

    def refuse_older(self) -> None:
        """Raise :class:`StoreChangedError` if our newest sign of life is not there: the next would cover that up."""
        if self.path is None or self._signed is None:
            return
        worker, at_us = self._signed
        with reading(self._engine) as connection:
            seen_us = connection.scalar(text("SELECT seen_us FROM worker WHERE id = :worker"), {"worker": worker})
        if (seen_us or 0) < at_us:
            self.name(Fault.ROLLED_BACK)
            raise StoreChangedError("the database is older than what we wrote to it")

    def signed(self, worker: str, at_us: int) -> None:
        """Note the sign of life that the store has just taken: an older copy does not hold it."""
        self._signed = worker, at_us

    def failed(self, error: BaseException) -> None:
        """Learn from an error of the database's thread, in that thread."""
        if self.lost:
            return
        if self.path is None:
            if isinstance(error, StoreChangedError):
                self._moved()
            return
        fault = misplaced(self.path, self._expected.store) if self._expected.store else None
        if isinstance(error, StoreChangedError):
            fault = fault or Fault.SWAPPED
        fault = fault or fault_of(error)
        if fault is None and not writable(self.path):
            fault = Fault.READ_ONLY
        if fault is None and self.path.exists() and not self.path.is_file():
            fault = Fault.SWAPPED  # a pipe or a folder, found at the start
        if fault is None and self.path.exists() and error_name(error).startswith("SQLITE_CANTOPEN"):
            fault = self._unreadable(error)  # its log is no file, say
        if fault is Fault.READ_ONLY:
            self._engine.dispose()  # what was opened to read only stays so, also once the file may be written again
        self.name(fault)

    def migrated(self) -> None:
        """Bring the store up to date and note which it is; raises :class:`StoreError` if it is gone since, or newer."""
        self._marker.refuse_missing()
        migrate(self._engine)
        self._marker.note()
        self._blind_proofs = 0
        if self._anchor is not None:
            self._anchor.hold()

    def refused(self, error: StoreError) -> None:
        """Say why the store cannot be opened."""
        self._engine.dispose()  # a restore wants the file to itself
        if isinstance(error, MissingError):
            self.name(Fault.MISSING, str(error))
        elif isinstance(error, UnversionedError):
            self.name(Fault.DAMAGED if self.path is not None else Fault.MISSING, str(error))
        else:
            self.name(Fault.NEWER, str(error))

    def name(self, fault: Fault | None, todo: str = "") -> None:
        """Say what is wrong with the store, once and then every few minutes; lose it if it is no good any more.

        ``todo`` is what a person is to do, as a text or a message, where that does not follow from the fault.
        """
        if fault is None:
            return
        if not self.lost and (fault.is_loss or (fault is Fault.NEWER and self.opened())):
            self._lose(fault)
        if self._seen.store_fault is not fault or clock.monotonic() - self._said_s > SAY_EVERY_S:
            self._seen.store_fault, self._seen.store_todo = fault, todo or self._todo(fault)
            self._said_s = clock.monotonic()
            what, how = (worded(text, lexicon()) for text in (what_is_wrong(fault), self._seen.store_todo))
            if self.lost:
                self._note_lost(fault)
            log.error(Event.STORE_LOST, "Database unusable, %s; results wait on disk: %s", what, how, error=fault)

    def _note_lost(self, fault: Fault) -> None:
        worker, signed_us = self._signed or ("", 0)
        stamp = self._facts.stamp if self._facts is not None else 0
        with suppress(OSError):  # the next process then takes what it finds
            self._marker.note_lost(Lost(fault, str(self._seen.store_todo), worker, signed_us, stamp))

    def answered(self) -> None:
        """Note that the store took results again."""
        if self._seen.store_fault is not None and not self.lost:
            if self._seen.store_fault is not Fault.READ_ONLY:  # that its end is told as the end of an absence
                log.info(Event.DATABASE_BACK, "Database is back: storing there what waits")
            self._seen.store_fault = None

    def _todo(self, fault: Fault) -> str:
        if fault is Fault.READ_ONLY:
            return coded(MessageCode.MAKE_WRITABLE, file=str(self.path))
        if fault is Fault.NEWER:
            return coded(MessageCode.INSTALL_NEWER)
        if self.rescued is not None:
            return coded(MessageCode.RESTORE_RESCUED, file=str(self.rescued))
        return coded(MessageCode.RESTORE_BACKUP)

    async def step(self) -> None:
        """Prove the store, or look whether a lost one is back."""
        if self.lost:
            await self._look_for_it()
        elif self.opened():
            await self._prove()

    def close(self) -> None:
        """Let go of the file."""
        self._thread.shutdown()
        if self._anchor is not None:
            self._anchor.drop()

    async def _prove(self) -> None:
        turned = await self._run(self._spool.turn)
        loop = asyncio.get_running_loop()
        try:
            deep = await loop.run_in_executor(self._thread, self._examine)
        except UnsoundError as error:
            await self._run(self.name, error.fault)
            return
        except (sqlite3.Error, OSError) as error:
            self._counters.failures.labels("proof").inc()
            if (fault := self._unreadable(error)) is not None:
                await self._run(self.name, fault)
            return
        self._blind_proofs = 0
        if self.path is None:
            # A server that follows another may lack its newest moments, so what is proven stays for one more turn.
            await self._run(self._spool.proven, self._turned & turned)
            self._turned = turned
        elif deep:
            await self._run(self._spool.proven, turned)

    def _unreadable(self, error: BaseException) -> Fault | None:
        """Say what a proof that could not read the file tells: nothing while it is locked, or the first time."""
        if self.path is None or str(getattr(error, "sqlite_errorname", "")).startswith(
            ("SQLITE_BUSY", "SQLITE_LOCKED")
        ):
            return None
        self._blind_proofs += 1
        if self._blind_proofs < BLIND_PROOFS:
            return None
        return Fault.DAMAGED if writable(self.path) else Fault.READ_ONLY

    def _examine(self) -> bool:
        """Read the store; returns whether all of it was read."""
        if self.path is None:
            with reading(self._engine) as connection:
                connection.execute(text("SELECT 1"))
            return True
        began_s, signed = clock.monotonic(), self._signed
        deep = began_s >= self._deep_due_s or _seems_cut(self.path)
        facts = examined(self.path, self._expected.store, worker=signed[0] if signed else "", deep=deep)
        if signed is not None and (facts.signed_us or 0) < signed[1] and facts.signed_us != (self._signed or signed)[1]:
            raise UnsoundError(Fault.ROLLED_BACK)
        if not is_known(facts.version):
            raise UnsoundError(Fault.NEWER if facts.version else Fault.DAMAGED)
        self._facts = facts
        if deep:
            took_s = clock.monotonic() - began_s
            self._deep_due_s = clock.monotonic() + took_s * DEEP_SHARE
        if self._anchor is not None and not self.lost:
            self._anchor.hold()
        return deep

    def _lose(self, fault: Fault) -> None:
        self.lost, self._seen.kept = True, Kept.DISK
        self.on_loss()
        with suppress(OSError):
            self._spool.made_sure()
        waiting = self._spool.unprove()
        self._seen.spooled = len(self._spool)
        if self._anchor is not None:
            if fault in (Fault.VANISHED, Fault.SWAPPED) or self._anchor.lost_its_log:
                self.rescued = self._anchor.rescue(*(self._signed or ("", 0)))
                self._anchor.part_from_log()
            self._anchor.drop()
        self._engine.dispose()
        if waiting:
            text = "%d results that the database had taken wait on disk again"
            log.info(Event.SPOOL_BEGAN, text, waiting, count=waiting)

    async def _look_for_it(self) -> None:
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(self._thread, self._is_back):
            await self._run(self._adopt)
        elif self._seen.store_fault is not None:
            await self._run(self.name, self._seen.store_fault, str(self._seen.store_todo))

    def _is_back(self) -> bool:
        """Say whether a sound file is there that was restored, or holds all that we know of."""
        assert self.path is not None
        signed, known = self._signed, self._facts
        try:
            facts = examined(self.path, worker=signed[0] if signed else "")
        except (UnsoundError, sqlite3.Error, OSError):
            return False
        whole = signed is None or (facts.signed_us or 0) >= signed[1]
        restored = facts.stamp != (known.stamp if known else 0)
        return is_known(facts.version) and (whole or restored)

    def _adopt(self) -> None:
        self._expected.forget()
        self._signed = self._facts = self.rescued = None
        self._deep_due_s = -math.inf
        self.lost, self._seen.store_fault = False, None
        log.info(Event.DATABASE_BACK, "Database is back: storing there what waits")
        self.adopted.set()

    def _moved(self) -> None:
        """Store again, on the server that answers now, what the one before may not have passed on."""
        again = self._spool.unprove()
        self._seen.spooled = len(self._spool)
        self._expected.forget()
        text = (
            "Another database server answers, or it was restarted: %d results are stored again, in case it lacks them"
        )
        log.warning(Event.STORE_MOVED, text, again, count=again)


def _seems_cut(path: Path) -> bool:
    try:
        return is_cut(path)
    except OSError:
        return False
