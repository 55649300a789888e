"""The worker's part in sharing its location's probes with other workers; the rows are in ``store.leases``."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Collection, Iterable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from monitor import clock
from monitor.store.engine import AWAY
from monitor.store.leases import Claim, database_time, fair_share, release, take_leases

log = logging.getLogger("chatwatch.recorder")

LEASE_S = 15.0
"""A worker that does not renew for so long loses its probes to the others of its location."""
SHARE_EVERY_S = 3.0


def own_name(directory: Path) -> str:
    """Return a name that stays with a worker's directory, made at the first call; its holder is alone in there."""
    path = directory / "name"
    if path.exists() and (name := path.read_text("ascii").strip()):
        return name
    name = secrets.token_hex(3)
    path.write_text(name, "ascii")
    return name


class Sharing:
    """What this worker holds, and what it is about to give up because others have less."""

    def __init__(self, engine: Engine, owner: str, location: str) -> None:
        self._engine = engine
        self.claim = Claim(owner, location, {})
        self._giving: frozenset[str] = frozenset()
        self._seize_from_s = -math.inf

    @property
    def own(self) -> frozenset[str]:
        """Probes to look at: what is held without what is about to be given up."""
        return frozenset(self.claim.epochs) - self._giving

    def renew(self, probes: Iterable[str]) -> None:
        """Renew, take over and share out; raises what ``AWAY`` lists.

        After an outage of the database nothing is seized for the length of a lease: nobody could renew meanwhile, and
        the others come back with results that they kept.
        """
        wanted, claim = sorted(set(probes)), self.claim
        seize = clock.monotonic() >= self._seize_from_s
        try:
            now = database_time(self._engine, clock.now())
            most = fair_share(self._engine, claim.owner, claim.location, len(wanted), now)
            length = timedelta(seconds=LEASE_S)
            held = take_leases(self._engine, claim.owner, claim.location, wanted, now, length, most=most, seize=seize)
        except AWAY:
            self._seize_from_s = math.inf
            raise
        if self._seize_from_s == math.inf:
            self._seize_from_s = clock.monotonic() + LEASE_S
        self.claim = Claim(claim.owner, claim.location, {lease.probe: lease.epoch for lease in held})
        self._giving = frozenset(sorted(self.claim.epochs)[most:])

    def give_back(self, left: Collection[str]) -> None:
        """Let others have those of ``left`` that are to be given up: their last look is stored."""
        done = self._giving & set(left)
        if not done:
            return
        release(self._engine, self.claim.owner, self.claim.location, done)
        epochs = {name: epoch for name, epoch in self.claim.epochs.items() if name not in done}
        self.claim, self._giving = Claim(self.claim.owner, self.claim.location, epochs), self._giving - done

    def end(self) -> None:
        """Give everything back, as far as the database is there."""
        try:
            release(self._engine, self.claim.owner, self.claim.location)
        except AWAY:
            log.warning("the leases could not be given back; they run out in %.0f s", LEASE_S)
