"""Judges that ask all outputs after every event whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.channels.base import Notice as Delivery
from monitor.channels.words import title
from monitor.core.catalogue import Catalogue
from monitor.core.commands import Command, CommandResult
from monitor.core.memory_store import MemoryStore
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.replay import Judge
from monitor.core.state_store import Notice
from monitor.store.reads.views import Snapshot
from monitor.text.lexicon import Language
from tests.agreement.outputs import TROUBLE, Outputs, said, still
from tests.agreement.snapshots import Reader

SWEPT_WITHIN = timedelta(seconds=5)
"""A recorder judges this often what follows from time alone (monitor/recorder/process.py)."""


class Pages:
    """Asks every door, whenever anything that is shown has changed, whether it says what the others say."""

    def __init__(self) -> None:
        self.found: list[str] = []
        """Every disagreement, with its moment."""
        self.asked = 0
        self._shown: Snapshot | None = None

    def show(self, snapshot: Snapshot, catalogue: Catalogue) -> None:
        """Ask as of this snapshot."""
        shown = still(snapshot)
        if shown != self._shown:
            self._shown, self.asked = shown, self.asked + 1
            found = Outputs(snapshot, catalogue).disagreements()
            self.found += [f"{snapshot.taken_at:%H:%M:%S} {text}" for text in found]


class Asker(Pages):
    """Asks the doors about a store in memory, and its notices as well."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self.store = store
        self._reader = Reader(store)
        self._notices: list[Notice] = []

    def ask(self, now: datetime) -> None:
        """Ask as of this moment."""
        if any(timedelta() <= now - window.ends_at < SWEPT_WITHIN for window in self.store.windows(now)):
            return  # planned work has just ended by itself; the next look or sweep of that service tells what is left
        snapshot = self._reader.snapshot(now)
        self.show(snapshot, self.store.index.catalogue)
        known = {id(notice) for notice in self._notices}
        self._notices = list(self.store.notices)
        for notice in self._notices:
            if id(notice) not in known and notice.alert.key not in self.store.muted:  # a person's word stands
                self.found += [f"{now:%H:%M:%S} {text}" for text in notice_disagrees(notice, snapshot)]


@dataclass
class Watching(Judge):
    """A judge in memory that asks after every event."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asker = Asker(self.store)

    def record(self, results: Sequence[Result], late_at: datetime | None = None) -> None:
        """Judge looks, and ask."""
        for result in results:
            super().record([result], late_at)
            self.asker.ask(result.ended_at if late_at is None else late_at)

    def sweep(self, now: datetime) -> None:
        """Judge what follows from time, and ask."""
        super().sweep(now)
        self.asker.ask(now)

    def command(self, order: Command, who: str, now: datetime, why: str = "") -> CommandResult:
        """Carry out a command, and ask."""
        done = super().command(order, who, now, why)
        self.asker.ask(now)
        return done


def notice_disagrees(notice: Notice, snapshot: Snapshot) -> list[str]:
    """Return how a notice about a component differs from what the page shows when it is written."""
    alert = notice.alert
    parts = {part.id: part for service in snapshot.services for part in service.components}
    part = parts.get(alert.component)
    if alert.rule is not Rule.COMPONENT_DOWN or part is None or part.maintenance:
        return []
    if part.reason is Reason.OK and part.health.severity:
        return []  # who may sign up is another alert's business
    found, over = [], alert.state is AlertState.RESOLVED
    for language in Language:
        text = title(Delivery("k", alert, notice.why, snapshot.taken_at, language=language))
        states = said(text, language)
        if over and str(part.health) in TROUBLE[:2]:
            found.append(f"{text!r} while the page shows {part.health}")
        if not over and part.health.severity and str(part.health) not in states:
            found.append(f"{text!r} while the page shows {part.health}")
    return found
