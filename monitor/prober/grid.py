"""A probe's grid: when it looks, and which ticks nobody came to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from monitor.core.catalogue import Probe
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.schedule import count_between, next_tick, slot, ticks_between

MOST_MISSED = 200
"""Missed ticks written out after one gap of one probe."""


class Grid(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """APScheduler's view of a probe's grid. Ticks older than one interval are skipped here and recorded elsewhere."""

    def __init__(self, probe: Probe) -> None:
        self._interval_s = probe.interval_s
        self._slot_s = slot(probe.id, probe.interval_s)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the next tick after the previous one, but none from a long sleep."""
        now = now.astimezone(UTC)  # sums and comparisons within one local zone overlook summer time
        oldest = now - timedelta(seconds=self._interval_s)
        after = now if previous_fire_time is None else max(previous_fire_time.astimezone(UTC), oldest)
        return next_tick(self._interval_s, self._slot_s, after)

    def move(self, by_s: float) -> None:
        """Move the grid a little, so that ticks of a time that is lived twice differ."""
        self._slot_s += by_s

    def latest(self, now: datetime) -> datetime:
        """Return the newest tick at or before ``now``."""
        return next_tick(self._interval_s, self._slot_s, now - timedelta(seconds=self._interval_s))

    def between(self, after: datetime, before: datetime) -> list[datetime]:
        """Return the newest ticks strictly between two ticks, at most :data:`MOST_MISSED`."""
        until = before - timedelta(microseconds=1)
        extra = count_between(self._interval_s, self._slot_s, after, until) - MOST_MISSED
        start = after + timedelta(seconds=max(0, extra) * self._interval_s)
        return list(ticks_between(self._interval_s, self._slot_s, start, until))


def missed(run: RunId, reason: Reason, detail: str = "") -> Result:
    """Return the record of a look that was not made."""
    return Result(run, run.tick, 0.0, Observation(reason, detail))
