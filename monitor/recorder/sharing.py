"""The worker's part in sharing its location's probes with other workers; the rows are in ``store.leases``."""

from __future__ import annotations

import hashlib
import math
import platform
import secrets
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from monitor import clock
from monitor.logs import Event, Room
from monitor.runtime import messages
from monitor.runtime.messages import JobReport, Remembered
from monitor.store.connection.engine import AWAY
from monitor.store.leases import Claim, database_time, release, take_leases
from monitor.store.probe_memory import (
    StoredMemory,
    StoredReport,
    load_memories,
    load_reports,
    save_memories,
    save_reports,
)

log = Room("recorder")

SHARE_EVERY_S = 1.0
"""How often a worker renews and asks for its share: what was given back is looked at again after about so long."""
LEASE_S = 6.0
"""A worker that does not renew for so long loses its probes to the others of its location.

A takeover too early is safe, since the late worker is fenced off, but costs the looks it makes meanwhile. So five
renewals in a row must fail first, and a pair that was killed has the time to come back (about three seconds) to what
it held. Probes of a dead worker are looked at again at most ``LEASE_S + SHARE_EVERY_S`` after its last renewal; a tick
that fell into that time is still looked at where ``LATE_LOOK_S`` and half the interval allow it.
"""
LATE_LOOK_S = LEASE_S + 2 * SHARE_EVERY_S
"""How late a tick may still be looked at by the next owner of its probe."""
TRUST_S = 15.0
"""So long a worker that was blind must see before it takes probes again."""

MOST_REPORTS = 1_000
"""Reports of jobs that wait for the database; of more the newest."""
NOTHING = StoredMemory(datetime.fromtimestamp(0, UTC), "")
"""What nobody remembers."""


def worker_id(location: str, salt: str = "") -> str:
    """Return a name that tells workers apart without telling anybody the machine's name."""
    return f"{location}-{hashlib.sha256((platform.node() + salt).encode()).hexdigest()[:6]}"


def own_name(directory: Path) -> str:
    """Return a name that stays with a worker's directory, made at the first call; its holder is alone in there."""
    path = directory / "name"
    if path.exists() and (name := path.read_text("ascii").strip()):
        return name
    name = secrets.token_hex(3)
    path.write_text(name, "ascii")
    return name


class Sharing:
    """What this worker holds, and what it is about to give up because others should hold it."""

    def __init__(self, engine: Engine, owner: str, location: str) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self.claim = Claim(owner, location, {})
        self._cut: frozenset[str] = frozenset()
        self._giving: frozenset[str] = frozenset()
        self._retiring = False
        self._renewed_s: float | None = None
        self._seize_from_s = -math.inf
        self._trust_from_s = -math.inf

    @property
    def own(self) -> frozenset[str]:
        """Probes to look at: what is held without what is about to be given up."""
        return frozenset(self.claim.epochs) - self._giving

    def renew(self, probes: Iterable[str], *, blind: bool = False) -> None:
        """Renew, take over and share out; raises what ``AWAY`` lists.

        Who could not renew in time itself seizes nothing for the length of a lease: the others may have been cut off
        from the database as well, and come back with results that they kept.
        """
        wanted = sorted(set(probes))
        with self._lock:
            claim, started_s = self.claim, clock.monotonic()
            if blind:
                self._trust_from_s = started_s + TRUST_S
            late = self._renewed_s is not None and started_s - self._renewed_s > LEASE_S / 2
            if late or self._seize_from_s == math.inf:
                self._seize_from_s = started_s + LEASE_S
            try:
                held = take_leases(
                    self._engine,
                    claim.owner,
                    claim.location,
                    wanted,
                    database_time(self._engine, clock.now()),
                    timedelta(seconds=LEASE_S),
                    most=0 if self._retiring else None,
                    seize=started_s >= self._seize_from_s,
                    gives=self._retiring or started_s < self._trust_from_s,
                )
            except AWAY:
                if self._renewed_s is None:
                    self._seize_from_s = math.inf
                raise
            self._renewed_s = started_s
            gained = held.epochs.keys() - claim.epochs.keys()
            lost = claim.epochs.keys() - held.epochs.keys()
            self._cut = (self._cut | (gained - held.handed)) & held.epochs.keys()
            self.claim = Claim(claim.owner, claim.location, held.epochs)
            self._giving = frozenset(sorted(held.epochs)[held.most :])
        place, worker = claim.location, claim.owner
        if count := len(gained):
            text = "Took over %d of %d probes"
            log.info(Event.PROBES_TAKEN_OVER, text, count, len(wanted), count=count, location=place, worker=worker)
        if count := len(lost):
            text = "Lost %d probes to another worker"
            log.warning(Event.PROBES_LOST, text, count, count=count, location=place, worker=worker)

    def cut_off(self, gained: Collection[str]) -> frozenset[str]:
        """Return, once, those whose last look nobody handed in: their owner died, or we did and came back."""
        with self._lock:
            found = self._cut & set(gained)
            self._cut -= found
        return found

    def retire(self) -> None:
        """Take nothing more and give up everything as its last looks come in: the worker is about to end."""
        self._retiring = True

    def give_back(self, left: Collection[str]) -> None:
        """Let others have those of ``left`` that are to be given up: their last look is stored."""
        with self._lock:
            claim = self.claim
            done = (claim.epochs.keys() if self._retiring else self._giving) & set(left)
            if not done:
                return
            release(self._engine, claim.owner, claim.location, done, gives=self._retiring)
            epochs = {name: epoch for name, epoch in claim.epochs.items() if name not in done}
            self.claim, self._giving = Claim(claim.owner, claim.location, epochs), self._giving - done
        text = "Gave back %d probes"
        log.info(Event.PROBES_GIVEN_BACK, text, len(done), count=len(done), location=claim.location, worker=claim.owner)

    def end(self) -> None:
        """Give everything back, as far as the database is there."""
        try:
            with self._lock:
                release(self._engine, self.claim.owner, self.claim.location)
        except AWAY:
            text = "Leases not returned; they expire in %.0f s"
            log.warning(Event.LEASES_NOT_RETURNED, text, LEASE_S, location=self.claim.location)


class ProbeMemorySync:
    """What goes with a probe: it waits here while the database is away, and comes from there."""

    def __init__(self, engine: Engine, sharing: Sharing) -> None:
        self._engine = engine
        self._sharing = sharing
        self._memories: dict[str, StoredMemory] = {}
        self._reports: deque[tuple[str, StoredReport]] = deque(maxlen=MOST_REPORTS)
        self._told: dict[str, StoredReport] = {}

    @property
    def waits(self) -> bool:
        """True while a memory was not stored."""
        return bool(self._memories)

    def take(self, news: Mapping[str, Remembered]) -> None:
        """Take what probes remember now."""
        self._memories |= {probe: StoredMemory(memory.at, memory.body) for probe, memory in news.items()}

    def store(self) -> None:
        """Store what was taken; raises what ``AWAY`` lists, and keeps it then."""
        if self._memories:
            save_memories(self._engine, self._sharing.claim, self._memories)
            self._memories.clear()

    def give(self, gained: Collection[str]) -> list[messages.MemoryHandover]:
        """Return what the prober is told of probes that are new to it."""
        location = self._sharing.claim.location
        found = load_memories(self._engine, location, gained)
        cut = self._sharing.cut_off(gained)
        carried = {name: found.get(name, NOTHING) for name in sorted(found.keys() | cut)}
        return [
            messages.MemoryHandover(name, Remembered(memory.at, memory.body), name in cut)
            for name, memory in carried.items()
        ]

    def report(self, report: JobReport) -> None:
        """Take the report of a job."""
        self._reports.append((report.probe, StoredReport(report.at, report.failed, report.text)))

    def exchange(self, jobs: Sequence[str]) -> list[JobReport]:
        """Store the reports that came to us and return those that came to others, for the prober."""
        waiting = [self._reports.popleft() for _ in range(len(self._reports))]
        try:
            if waiting:
                save_reports(self._engine, dict(sorted(waiting, key=lambda item: item[1].at)), clock.now())
            known = load_reports(self._engine, jobs) if jobs else {}
        except BaseException:
            self._reports.extendleft(reversed(waiting))
            raise
        new = {probe: report for probe, report in known.items() if self._told.get(probe) != report}
        self._told |= new
        return [JobReport(probe, report.at, report.failed, report.words) for probe, report in new.items()]
