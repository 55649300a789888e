"""Looks that could not be judged, on disk until they can: one file a service, appended, checksummed, bounded, in order.

A file is a row of records (``records.py``). Each batch begins with a head, ``{"held":{"at":…,"error":…,"version":…}}``,
and its results follow, one record each. A service that has a file is *held*: whatever else comes of it is appended, so
nothing after the first batch was judged, and judging the file from its beginning goes on from before that batch.
A file is removed after everything in it was judged; what is judged twice because we were killed in between is a
repetition to the flow. ``chatwatch quarantine`` leaves its requests as files named ``SERVICE.ask``.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote

from monitor import __version__
from monitor.core.checks.plausible import MOST_ATTEMPTS
from monitor.core.codec import CodecError, dumps_result, loads_result, to_json
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.schedule import micros
from monitor.plain_files import private_folder
from monitor.recorder.durability.records import append, record, records, rewrite, sync_directory
from monitor.recorder.durability.spool import turning_points

MOST_BYTES = 64 * 2**20
RESULTS_AT_ONCE = 500
THINNED_AT_ONCE = 5_000
ERROR_CHARS = 300
LOOKS, ASKS = ".held", ".ask"
_HEAD = b'{"held":'


class BusyError(Exception):
    """Another process works in the folder: leave it a request."""


class Request(StrEnum):
    """What a person asks the running recorder to do with a held service."""

    RETRY = "retry"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a held service without judging anything."""

    service: str
    since: datetime
    """When its first batch could not be judged."""
    entries: int = 0
    """Batches."""
    looks: int = 0
    size_bytes: int = 0
    error: str = ""
    """Why the newest try failed, without secrets."""
    version: str = ""
    """Of the program that failed."""
    damaged: int = 0
    """Stretches of the file that cannot be read: a torn end, a bad sector."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some results of a file in their order, and the position behind them."""

    results: tuple[Result, ...]
    end: int


@dataclass(slots=True)
class _Runs:
    """The ticks that are held of a probe at a location."""

    oldest: datetime
    newest: datetime
    numbers: set[int] = field(default_factory=set)


def _number(run: RunId) -> int:
    """Return a tick and attempt as one number: small, as there may be some 200,000."""
    return micros(run.tick) * (MOST_ATTEMPTS + 1) + run.attempt


class Quarantine:
    """See the module. One process has a folder at a time. Every method may raise ``OSError`` when the disk fails."""

    def __init__(self, directory: Path, *, max_bytes: int = MOST_BYTES) -> None:
        self.directory, self.max_bytes = directory, max_bytes
        self.dropped = 0
        """Looks given up since the start because the folder was full."""
        private_folder(directory)
        self._lock = (directory / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise BusyError(f"{directory} is in use by a worker") from None
        for left in directory.glob("*.new"):
            left.unlink()  # a thinning that was cut off: the file it was made from is still there
        self._held = {item.service: item for item in listed(directory)}
        self._runs: dict[str, dict[tuple[str, str], _Runs]] = {}
        for service in self._held:
            for part in self.read(service):
                self._note(service, part.results)

    @property
    def held(self) -> Mapping[str, Held]:
        """Service → what is held of it."""
        return self._held

    @property
    def looks(self) -> int:
        """How many looks wait."""
        return sum(item.looks for item in self._held.values())

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(item.size_bytes for item in self._held.values())

    def knows(self, run: RunId) -> bool:
        """Say whether a tick is held, or a later one of its probe: it was looked at, though no database says so."""
        return any(run.tick <= runs.newest for runs in self._of(run))

    def has(self, run: RunId) -> bool:
        """Say whether this very look is held, or was given up: whoever brings it again brings nothing new."""
        return any(_number(run) in runs.numbers for runs in self._of(run))

    def precedes(self, run: RunId) -> bool:
        """Say whether a look is older than all that is held of its probe, so that it is not to wait behind that."""
        return any(run.tick < runs.oldest for runs in self._of(run))

    def _of(self, run: RunId) -> Iterator[_Runs]:
        found = (runs.get((run.probe, run.location)) for runs in self._runs.values())
        return (runs for runs in found if runs is not None)

    def hold(self, service: str, results: Sequence[Result], error: str, now: datetime) -> None:
        """Keep results behind everything that is held of a service; they are on the disk when this returns.

        ``error`` says why they could not be judged and holds no secret; empty for what only waits behind others.
        Without results it tells that another try failed.
        """
        error = error[:ERROR_CHARS]
        head = {"held": {"at": now.astimezone(UTC).isoformat(), "error": error, "version": __version__}}
        data = b"".join([record(to_json(head).encode("ascii")), *(record(dumps_result(one)) for one in results)])
        self._make_room(len(data))
        path, known = self._path(service), self._held.get(service)
        append(path, data)
        if known is None:
            sync_directory(self.directory)
            known = Held(service, now)
        self._held[service] = replace(
            known,
            entries=known.entries + bool(results),
            looks=known.looks + len(results),
            size_bytes=path.stat().st_size,
            error=error or known.error,
            version=__version__ if error else known.version,
        )
        self._note(service, results)

    def read(self, service: str, start: int = 0) -> Iterator[Part]:
        """Yield what is held of a service from a position on; the last part ends where the file ended at the call."""
        path = self._path(service)
        data = b""
        with suppress(FileNotFoundError), path.open("rb") as file:  # an operator may have removed it
            file.seek(start)
            data = file.read()
        results: list[Result] = []
        for body, end in records(data):
            if body is not None and not body.startswith(_HEAD):
                with suppress(CodecError):
                    results.append(loads_result(body))
            if len(results) >= RESULTS_AT_ONCE or (end == len(data) and data):
                yield Part(tuple(results), start + end)
                results = []

    def release(self, service: str) -> None:
        """Let a service go: everything that was held of it is judged, or recorded as dropped."""
        self._path(service).unlink(missing_ok=True)
        sync_directory(self.directory)
        self._held.pop(service, None)
        self._runs.pop(service, None)

    def requests(self) -> dict[str, Request]:
        """Return what people ask for, by service; what makes no sense is removed."""
        found: dict[str, Request] = {}
        for path in sorted(self.directory.glob(f"*{ASKS}")):
            if not path.is_file():
                continue  # a stray, which is told at the start
            service, word = unquote(path.stem), path.read_text("ascii", "replace").strip()
            if service in self._held and word in set(Request):
                found[service] = Request(word)
            else:
                path.unlink(missing_ok=True)
        return found

    def answer(self, service: str) -> None:
        """Take a request away: it was done, or tried in vain."""
        _ask_path(self.directory, service).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the folder; what is held stays."""
        self._lock.close()

    def _path(self, service: str) -> Path:
        return self.directory / (quote(service, safe="") + LOOKS)

    def _note(self, service: str, results: Iterable[Result]) -> None:
        known = self._runs.setdefault(service, {})
        for result in results:
            run = result.run
            runs = known.setdefault((run.probe, run.location), _Runs(run.tick, run.tick))
            runs.oldest, runs.newest = min(runs.oldest, run.tick), max(runs.newest, run.tick)
            runs.numbers.add(_number(run))

    def _make_room(self, coming: int) -> None:
        """Thin out the largest file down to its turning points; if that saves little, its older half is given up."""
        while self._held and self.size_bytes + coming > self.max_bytes:
            known = max(self._held.values(), key=lambda item: item.size_bytes)
            self._shrink(known, turning_points)
            after = self._held.get(known.service)
            if after is not None and after.size_bytes > 0.9 * known.size_bytes:
                over = after.looks // 2 + 1
                self._shrink(after, _without_first(over))

    def _shrink(self, known: Held, keep: Callable[[Sequence[Result]], Sequence[Result]]) -> None:
        head = {"held": {"at": known.since.astimezone(UTC).isoformat(), "error": known.error, "version": known.version}}

        def pieces() -> Iterator[bytes]:
            yield record(to_json(head).encode("ascii"))
            results = (result for part in self.read(known.service) for result in part.results)
            while some := list(islice(results, THINNED_AT_ONCE)):
                yield from (record(dumps_result(result)) for result in keep(some))

        path = self._path(known.service)
        rewrite(path, pieces())
        found = examined(path)
        assert found is not None
        self.dropped += known.looks - found.looks
        if found.looks:
            self._held[known.service] = found
        else:
            self.release(known.service)


def retry(
    quarantine: Quarantine,
    service: str,
    judge: Callable[[Sequence[Result]], str],
    now: Callable[[], datetime],
    *,
    drop: bool = False,
) -> Iterator[None]:
    """Judge what is held of a service in its order, one batch a step, and let the service go at the end.

    ``judge`` returns why it could not, empty when it could: then the service stays held. With ``drop`` the looks are
    recorded as not made, so that their time is unknown. What comes in between two steps is judged as well.
    """
    at, before = 0, -1
    while service in quarantine.held and before < at < quarantine.held[service].size_bytes:
        before = at
        for part in quarantine.read(service, at):
            results = as_dropped(part.results) if drop else part.results
            error = judge(results) if results else ""
            if error:
                quarantine.hold(service, (), error, now())
                return
            at = part.end
            yield
    quarantine.release(service)


def as_dropped(results: Iterable[Result]) -> list[Result]:
    """Return one MISSED result a tick, numbered like its last look so that no second look of it counts afterwards."""
    last: dict[tuple[str, str, datetime], RunId] = {}
    for result in results:
        run = result.run
        known = last.get((run.probe, run.location, run.tick), run)
        last[run.probe, run.location, run.tick] = max(run, known, key=lambda one: one.attempt)
    seen = Observation(Reason.DROPPED, coded(MessageCode.GIVEN_UP_FROM_QUARANTINE))
    return [Result(run, run.tick, 0.0, seen) for run in last.values()]


def listed(directory: Path) -> list[Held]:
    """Return what a folder holds, oldest first, without taking it over; what is no file of ours is left alone."""
    found = (examined(path) for path in directory.glob(f"*{LOOKS}"))
    return sorted((item for item in found if item is not None), key=lambda item: (item.since, item.service))


def strays(directory: Path) -> list[str]:
    """Return the names in a folder that are none of ours."""
    ours = (LOOKS, ASKS, ".new")
    return sorted(path.name for path in directory.iterdir() if path.suffix not in ours and path.name != "lock")


def examined(path: Path) -> Held | None:
    """Return what a file holds; None when it is gone or nothing in it can be read."""
    with suppress(OSError):
        data = path.read_bytes()
        known: Held | None = None
        looks = entries = damaged = 0
        error = version = ""
        fresh = False
        for body, _ in records(data):
            if body is None:
                damaged += 1
            elif body.startswith(_HEAD):
                at, why, by = _head(body)
                known = known or Held(unquote(path.stem), at)
                error, version = (why, by) if why else (error, version)
                fresh = True
            else:
                looks, entries, fresh = looks + 1, entries + fresh, False
        if known is None and looks:
            known = Held(unquote(path.stem), datetime.fromtimestamp(path.stat().st_mtime, UTC))
        if known is not None:
            return replace(
                known,
                entries=entries,
                looks=looks,
                size_bytes=len(data),
                error=error,
                version=version,
                damaged=damaged,
            )
    return None


def ask(directory: Path, service: str, request: Request) -> Path:
    """Leave a request for the worker that has the folder; returns the file that is gone once it was answered."""
    path = _ask_path(directory, service)
    new = path.with_suffix(f"{ASKS}.new")
    new.write_text(request, "ascii")
    new.replace(path)
    return path


def _ask_path(directory: Path, service: str) -> Path:
    return directory / (quote(service, safe="") + ASKS)


def _without_first(count: int) -> Callable[[Sequence[Result]], Sequence[Result]]:
    left = count

    def keep(some: Sequence[Result]) -> Sequence[Result]:
        nonlocal left
        gone = min(left, len(some))
        left -= gone
        return some[gone:]

    return keep


def _head(body: bytes) -> tuple[datetime, str, str]:
    """Return when, why and by which version; a head of another version takes defaults."""
    fields = json.loads(body)["held"]
    try:
        at = datetime.fromisoformat(str(fields.get("at")))
    except ValueError:
        at = datetime.fromtimestamp(0, UTC)
    return at, str(fields.get("error", "")), str(fields.get("version", ""))
