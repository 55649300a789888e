"""What can happen to either judge: the primitive steps that stories are made of, in plain values.

A failing case prints them, so that it can be pinned as an example. Ids of alerts, incidents, silences and planned work
are only known once they exist, so a command names them by number (:class:`Order`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.core.catalogue import Catalogue
from monitor.core.commands import Command
from monitor.core.entities import Alert
from monitor.core.model.alerting import Sending
from monitor.core.model.observations import Result

Key = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Publish:
    """A catalogue comes into force."""

    catalogue: Catalogue = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks arrive together at ``at``, none of which ended later; ``late`` ones are backfilled."""

    results: tuple[Result, ...]
    at: datetime
    late: bool = False
    apart: bool = False
    """They came after looks that ended later: never judged in one batch with those."""


@dataclass(frozen=True, slots=True)
class Sweep:
    at: datetime


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A worker gives a sign of life."""

    worker: str
    location: str
    at: datetime
    blind: str = ""
    spooled: int = 0
    loop_lag_s: float = 0.0
    started_at: datetime | None = None
    held: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A person's command; ``make`` gets the ids that exist, each list with one that does not at its end."""

    make: Callable[[Ids], Command]
    who: str
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids that commands may be about, oldest first."""

    alerts: Sequence[str]
    incidents: Sequence[str]
    silences: Sequence[str]
    planned: Sequence[str]


@dataclass(frozen=True, slots=True)
class Deliver:
    """A sender leases so many notices and is done with each."""

    limit: int
    outcome: Sending
    at: datetime


@dataclass(frozen=True, slots=True)
class Foreign:
    """A message of an Alertmanager arrives."""

    document: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class RollUp:
    """Looks are rolled up; latencies and error budgets are judged when it is time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Inherit:
    """An alert stands open that another version fired."""

    alert: Alert
    at: datetime


Step = Publish | Looks | Sweep | CheckIn | Order | Deliver | Foreign | RollUp | Inherit


def order(result: Result) -> Key:
    """Return the order in which looks that arrive together are judged."""
    return result.ended_at, result.run.attempt


def joined(steps: Sequence[Step]) -> list[Step]:
    """Join looks that arrive one after the other: the order of judgement is that of the whole arrival.

    Where a recorder cuts such an arrival into batches makes no difference; where looks came out of order before, it
    does, since what was judged stays judged.
    """
    found: list[Step] = []
    for step in steps:
        last = found[-1] if found else None
        if isinstance(step, Looks):
            if not step.results:
                continue
            if isinstance(last, Looks) and not (step.apart or step.late or last.late):
                found[-1] = Looks(_sorted((*last.results, *step.results)), step.at)
                continue
            found.append(Looks(_sorted(step.results), step.at, step.late, step.apart))
        else:
            found.append(step)
    return found


def _sorted(results: Sequence[Result]) -> tuple[Result, ...]:
    return tuple(sorted(results, key=order))
