"""Results on disk while the database is away: appended, checksummed, bounded, replayed once and in order.

A spool is a directory of segments of records (``records.py``), one result each. Every append is flushed to the disk
before it returns. A segment is given up after everything in it was taken; what is taken twice because we were killed in
between is a repetition to the flow.

What the database has taken stays as well until somebody proved that the database still holds it: :meth:`Spool.keep`
adds what went there directly, :meth:`Spool.proven` lets go, and after :meth:`Spool.unprove` all of it waits again.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from monitor.core.codec import CodecError, dumps_result, loads_result
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.plain_files import private_folder
from monitor.recorder.durability.records import append, record, records, rewrite, sync_directory
from monitor.runtime.places import IN_USE

CONFIRMING_LOOKS = 10
"""Looks of one row that survive a thinning; a policy that wants more failures may miss an outage then."""


NEAR_THE_FRONT = 20_000
"""Results that are looked through for the first ones."""
WAITS, KEPT = ".spool", ".kept"
"""How the names of segments end that no database has taken, and of those that one took when they were written."""
LARGEST_BYTES = 256 * 2**20
"""A segment is read at once; no writer makes one so large."""


class SpoolError(Exception):
    """The spool cannot be used; the text says what to do."""


class Spool:
    """See the module. One process holds it at a time. Every method may raise ``OSError`` when the disk fails."""

    def __init__(self, directory: Path, *, max_bytes: int = 256 * 2**20, segment_bytes: int = 4 * 2**20) -> None:
        self.directory, self.max_bytes, self.segment_bytes = directory, max_bytes, segment_bytes
        self.dropped = 0
        """Results given up since the start because the spool was full."""
        self.proves = False
        """Whether somebody proves the database, so that what it took is to be kept meanwhile."""
        self.torn = 0
        """Records skipped since the start because they were cut short or damaged."""
        private_folder(directory)
        self._damage_counted = False
        self._lock = self._locked()
        for left in (path for path in directory.glob("*.new") if path.stem.isdigit() and path.is_file()):
            left.unlink()  # a thinning that was cut off: the segment it was made from is still there
        self._counts = {path: sum(1 for _ in self._read(path)) for path in self._segments()}
        self._damage_counted = True
        self._kept: dict[Path, int] = {}
        """Segments that were taken and are not proven → results in them; each is older than all that waits."""
        self._tail: Path | None = None
        self._keeping: Path | None = None
        self._thin: set[Path] = set()
        # Behind every number that is in use, for nothing may be appended to what is no file of ours.
        self._number = max((int(path.stem) for path in directory.iterdir() if _is_named_so(path)), default=0)

    def _locked(self) -> BinaryIO:
        lock = (self.directory / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise SpoolError(IN_USE.format(self.directory)) from None
        return lock

    def made_sure(self) -> None:
        """Make the folder anew if somebody took it away; what was in it is counted as damaged once its turn comes."""
        if not self.directory.is_dir():
            private_folder(self.directory)
            self._lock.close()
            self._lock = self._locked()
            self._tail = self._keeping = None

    def __len__(self) -> int:
        """Return how many results wait."""
        return sum(self._counts.values())

    @property
    def untaken(self) -> int:
        """How many of them no database had taken."""
        return sum(count for path, count in self._counts.items() if path.suffix == WAITS)

    def firsts(self, probes: Collection[str]) -> dict[str, datetime]:
        """Return the tick of the first look that waits of each of the probes, as far as it lies near the front."""
        found: dict[str, datetime] = {}
        waiting = (result.run for path in _in_order(self._counts) for result in self._read(path))
        for run in islice(waiting, NEAR_THE_FRONT):
            found.setdefault(run.probe, run.tick)
            if len(found) >= len(probes):
                break
        return found

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return _bytes(self._counts)

    def append(self, results: Sequence[Result]) -> None:
        """Keep results; they are on the disk when this returns. Makes room by dropping the oldest routine ones."""
        if not results:
            return
        data = b"".join(record(dumps_result(result)) for result in results)
        self.made_sure()
        self._make_room(len(data))
        self._keeping = None
        path = self._open_segment(len(data))
        before = path.stat().st_size
        try:
            append(path, data)
        except OSError:
            if path.stat().st_size != before:
                self._tail = None  # nothing may be appended to the torn end of an unacknowledged batch
            raise
        self._counts[path] = self._counts.get(path, 0) + len(results)

    def replay(self, take: Callable[[Sequence[Result]], object], batch: int = 500) -> int:
        """Hand everything over, oldest first; returns how many. What ``take`` raises ends the replay."""
        done = 0
        for path in _in_order(self._counts):
            self._tail = None if path == self._tail else self._tail
            taken = 0
            for results in _batches(self._read(path), batch):
                take(results)
                taken += len(results)
            self.torn += max(0, self._counts.get(path, 0) - taken)
            if self.proves:
                self._kept[path], self._keeping = self._counts.pop(path), None
            else:
                self._remove(path)
            done += taken
        return done

    def keep(self, results: Sequence[Result]) -> None:
        """Keep what the database has just taken; nothing may wait. Not flushed: against a loss of the store only."""
        if not results or not self.proves:
            return
        assert not self._counts
        self.made_sure()
        data = b"".join(record(dumps_result(result)) for result in results)
        if self._keeping is None or self._kept_bytes > self.max_bytes / 2:
            self._number += 1
            self._keeping = self.directory / f"{self._number:012d}{KEPT}"
        while self._kept and self._kept_bytes + len(data) > self.max_bytes:
            self._let_go(_in_order(self._kept)[0])
        append(self._keeping, data, sync=False)
        self._kept[self._keeping] = self._kept.get(self._keeping, 0) + len(results)

    def turn(self) -> frozenset[Path]:
        """Return the segments of all that was taken until now; what comes goes into others."""
        self._keeping = None
        return frozenset(self._kept)

    def proven(self, segments: Iterable[Path]) -> None:
        """Let go of what is proven to be in the database."""
        for path in segments:
            if path in self._kept:
                self._let_go(path)

    def unprove(self) -> int:
        """Let all that is not proven wait again, in front of the rest; returns how many results."""
        count = sum(self._kept.values())
        self._counts |= self._kept
        self._kept, self._keeping, self._tail = {}, None, None
        return count

    def close(self) -> None:
        """Let go of the directory; what waits stays."""
        self._lock.close()

    @property
    def _kept_bytes(self) -> int:
        return _bytes(self._kept)

    def _let_go(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._kept.pop(path, None)
        self._keeping = None if path == self._keeping else self._keeping

    def _segments(self) -> list[Path]:
        return _in_order(path for path in self.directory.iterdir() if _is_segment(path))

    def _open_segment(self, coming: int) -> Path:
        """Return the segment to append to: never one that an earlier process left, its end may be torn."""
        if self._tail is None or self._tail.stat().st_size + coming > self.segment_bytes:
            self._number += 1
            self._tail = self.directory / f"{self._number:012d}{WAITS}"
            self._tail.touch()
            sync_directory(self.directory)
        return self._tail

    def _read(self, path: Path) -> Iterator[Result]:
        """Yield the sound records of a segment; what lies between them is damaged, at its end it is torn."""
        data = b""
        with suppress(FileNotFoundError):  # somebody removed it; what was in it is counted as damaged
            data = path.read_bytes()
        for body, _ in records(data):
            if body is None:
                self._damaged()
                continue
            try:
                yield loads_result(body)
            except CodecError:
                self._damaged()

    def _damaged(self) -> None:
        """Count damage once, when the segment is first read; :meth:`replay` counts what is lost since then."""
        self.torn += not self._damage_counted

    def _make_room(self, coming: int) -> None:
        """Thin out the oldest segment that still holds routine looks; once none does, drop the oldest."""
        while self._kept and self.size_bytes + self._kept_bytes + coming > self.max_bytes:
            self._let_go(_in_order(self._kept)[0])
        while len(self._counts) and self.size_bytes + coming > self.max_bytes:
            segments = _in_order(self._counts)
            path = next((path for path in segments if path not in self._thin and path != self._tail), None)
            if path is None:
                self.dropped += self._counts[segments[0]]
                self._remove(segments[0])
                continue
            results = list(self._read(path))
            kept = turning_points(results)
            if len(kept) < len(results):
                self._rewrite(path, kept)
            self._thin.add(path)
            self.dropped += len(results) - len(kept)

    def _rewrite(self, path: Path, results: Sequence[Result]) -> None:
        rewrite(path, (record(dumps_result(result)) for result in results))
        self._counts[path] = len(results)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        sync_directory(self.directory)
        self._counts.pop(path, None)
        self._thin.discard(path)
        if self._tail == path:
            self._tail = None


def _bytes(paths: Iterable[Path]) -> int:
    found = 0
    for path in paths:
        with suppress(FileNotFoundError):
            found += path.stat().st_size
    return found


def _in_order(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: int(path.stem))


def _is_named_so(path: Path) -> bool:
    return path.suffix in (WAITS, KEPT) and path.stem.isascii() and path.stem.isdigit()


def _is_segment(path: Path) -> bool:
    return _is_named_so(path) and path.is_file() and path.stat().st_size <= LARGEST_BYTES


BESIDE = frozenset({"lock", "database", "database.new", "trouble.json", "trouble.new"})
"""What lies beside the segments: the lock, and notes about the database (``marker.py``, ``runtime/trouble.py``)."""


def strays(directory: Path) -> list[str]:
    """Return the names in a spool's directory that are none of ours."""
    found = (path for path in directory.iterdir() if not _is_segment(path) and path.name not in BESIDE)
    return sorted(path.name for path in found)


def turning_points(results: Sequence[Result]) -> list[Result]:
    """Return the first looks of each row with one reason, so many that they still confirm it, and the newest."""
    kept: list[Result] = []
    before: dict[tuple[str, str], tuple[Reason | None, int]] = {}
    newest = {(result.run.probe, result.run.location): result for result in results}
    for result in results:
        key = (result.run.probe, result.run.location)
        reason, row = before.get(key, (None, 0))
        row = row + 1 if reason is result.reason else 1
        if row <= CONFIRMING_LOOKS or newest[key] is result:
            kept.append(result)
        before[key] = (result.reason, row)
    return kept


def _batches(results: Iterator[Result], size: int) -> Iterator[list[Result]]:
    batch: list[Result] = []
    for result in results:
        batch.append(result)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
