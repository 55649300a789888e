"""Results on disk while the database is away: appended, checksummed, bounded, replayed once and in order.

A spool is a directory of segments of records (``records.py``), one result each. Every append is flushed to the disk
before it returns. A segment is deleted after everything in it was taken; what is taken twice because we were killed in
between is a repetition to the flow.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from monitor.core.codec import CodecError, dumps_result, loads_result
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.recorder.records import append, record, records, rewrite, sync_directory

CONFIRMING_LOOKS = 10
"""Looks of one row that survive a thinning; a policy that wants more failures may miss an outage then."""


class SpoolError(Exception):
    """The spool cannot be used; the text says what to do."""


class Spool:
    """See the module. One process holds it at a time. Every method may raise ``OSError`` when the disk fails."""

    def __init__(self, directory: Path, *, max_bytes: int = 256 * 2**20, segment_bytes: int = 4 * 2**20) -> None:
        self.directory, self.max_bytes, self.segment_bytes = directory, max_bytes, segment_bytes
        self.dropped = 0
        """Results given up since the start because the spool was full."""
        self.torn = 0
        """Records skipped since the start because they were cut short or damaged."""
        directory.mkdir(parents=True, exist_ok=True)
        self._damage_counted = False
        self._lock = (directory / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise SpoolError(
                f"{directory} is in use by another worker: end it, or start this one with another --location "
                "(or with another database: results wait beside it)"
            ) from None
        for left in directory.glob("*.new"):
            left.unlink()  # a thinning that was cut off: the segment it was made from is still there
        self._counts = {path: sum(1 for _ in self._read(path)) for path in self._segments()}
        self._damage_counted = True
        self._tail: Path | None = None
        self._thin: set[Path] = set()
        self._number = max((int(path.stem) for path in self._counts), default=0)

    def __len__(self) -> int:
        """Return how many results wait."""
        return sum(self._counts.values())

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self._counts)

    def append(self, results: Sequence[Result]) -> None:
        """Keep results; they are on the disk when this returns. Makes room by dropping the oldest routine ones."""
        if not results:
            return
        data = b"".join(record(dumps_result(result)) for result in results)
        self._make_room(len(data))
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
        for path in self._segments():
            self._tail = None if path == self._tail else self._tail
            taken = 0
            for results in _batches(self._read(path), batch):
                take(results)
                taken += len(results)
            self.torn += max(0, self._counts.get(path, 0) - taken)
            self._remove(path)
            done += taken
        return done

    def close(self) -> None:
        """Let go of the directory; what waits stays."""
        self._lock.close()

    def _segments(self) -> list[Path]:
        return sorted(self.directory.glob("*.spool"), key=lambda path: int(path.stem))

    def _open_segment(self, coming: int) -> Path:
        """Return the segment to append to: never one that an earlier process left, its end may be torn."""
        if self._tail is None or self._tail.stat().st_size + coming > self.segment_bytes:
            self._number += 1
            self._tail = self.directory / f"{self._number:012d}.spool"
            self._tail.touch()
            sync_directory(self.directory)
        return self._tail

    def _read(self, path: Path) -> Iterator[Result]:
        """Yield the sound records of a segment; what lies between them is damaged, at its end it is torn."""
        for body, _ in records(path.read_bytes()):
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
        while len(self._counts) and self.size_bytes + coming > self.max_bytes:
            segments = self._segments()
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
        path.unlink()
        sync_directory(self.directory)
        self._counts.pop(path, None)
        self._thin.discard(path)
        if self._tail == path:
            self._tail = None


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
