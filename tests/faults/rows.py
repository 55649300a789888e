"""What a row of the fault catalogue is, who plays it, and what is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Told:
    """What came of one fault: a line of the table.

    ``noticed_s`` is measured in seconds from the fault to the first look, state or line that names it; None where the
    rule is counted in looks or steps by a test, and ``noticed`` says which.
    """

    fault: str
    noticed_s: float | None
    lost: str
    recovered: str
    noticed: str = ""
    kept: bool = True
    """False when the promise of the row did not hold; then ``recovered`` says what happened instead."""

    @property
    def noticed_text(self) -> str:
        """When it was noticed, as the table says it."""
        measured = "" if self.noticed_s is None else f"{self.noticed_s:.1f} s"
        return ", ".join(part for part in (measured, self.noticed) if part)


@dataclass(frozen=True)
class Proof:
    """A fault that tests play and measure by counting; its line holds if all of them pass."""

    fault: str
    noticed: str
    lost: str
    recovered: str
    tests: tuple[str, ...]
    """``file::test`` under tests/."""


@dataclass(frozen=True)
class Live:
    """A fault that is played on a running worker; yields a line per variant, the first only where ``quick``."""

    play: Callable[[Path, bool], AsyncIterator[Told]]


@dataclass(frozen=True)
class Row:
    """One number of the catalogue."""

    number: int
    fault: str
    players: tuple[Proof | Live, ...]


NOTHING = "nothing"
