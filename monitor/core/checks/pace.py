"""When a probe looks again: on its next tick, or sooner because something is not settled yet.

Prober, scenarios and benchmarks ask :func:`after` at the end of every look and keep the :class:`Pace` it gives back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.core.catalogue import Probe
from monitor.core.checks.steps import count_failed_in_a_row, needs_second_look
from monitor.core.model.observations import Result


@dataclass(frozen=True, slots=True)
class Pace:
    """What is kept of a probe at one location between looks to choose the moment of the next."""

    failed_in_a_row: int = 0
    """A failure that is confirmed needs no further look."""


START = Pace()


def after(pace: Pace, probe: Probe, result: Result, elapsed_s: float) -> tuple[Pace, float | None]:
    """Return the pace after a look, and the seconds from its end until the next; ``None``: on the next tick.

    ``elapsed_s`` is the time from the look's tick to its end. A look that might not be over in time for the next
    tick is left to that tick.
    """
    before = pace.failed_in_a_row
    known = replace(pace, failed_in_a_row=count_failed_in_a_row(before, result))
    again = needs_second_look(probe, result, before, elapsed_s)
    return known, probe.policy.second_look_after_s if again else None
