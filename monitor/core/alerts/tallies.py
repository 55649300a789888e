"""Looks counted as they come, for a store that keeps no roll-ups, and the components whose budget may burn at all."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile

from monitor.core.alerts.budgets import FINE_S, HOUR_US, LONGEST_S, MINUTE_US, SECOND_US, Bucket, Span, Tally
from monitor.core.components.slo import MIN_FAILURES, RULES
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome
from monitor.core.schedule import micros

KEPT_US = LONGEST_S * SECOND_US + HOUR_US
LONGEST_SHORT_US = max(rule.short_s for rule in RULES) * SECOND_US + HOUR_US


class Counted:
    """The minutes and hours of one component, oldest first: (start, looks, failed)."""

    __slots__ = ("failures", "hours", "minutes")

    def __init__(self) -> None:
        self.minutes: deque[list[int]] = deque(maxlen=(FINE_S * SECOND_US + HOUR_US) // MINUTE_US + 2)
        self.hours: deque[list[int]] = deque(maxlen=KEPT_US // HOUR_US + 2)
        self.failures: list[int] = []
        """Ticks of failed looks."""

    def add(self, tick_us: int, failed: bool) -> None:
        """Count a look by its tick."""
        for buckets, size_us in ((self.minutes, MINUTE_US), (self.hours, HOUR_US)):
            start = tick_us - tick_us % size_us
            place = next((item for item in reversed(buckets) if item[0] <= start), None)
            if place is None or place[0] != start:
                place = [start, 0, 0]
                buckets.append(place)
            place[1] += 1
            place[2] += failed
        if failed:
            self.failures.append(tick_us)
            if self.failures[0] < tick_us - 2 * KEPT_US:
                del self.failures[: bisect_left(self.failures, tick_us - KEPT_US)]

    def add_good(self, tick_us: int) -> None:
        """Count a good look, mostly the newest one."""
        minutes, hours = self.minutes, self.hours
        if not minutes or tick_us < minutes[-1][0] or tick_us - hours[-1][0] >= HOUR_US:
            self.add(tick_us, False)
            return
        if tick_us - minutes[-1][0] < MINUTE_US:
            minutes[-1][1] += 1
        else:
            minutes.append([tick_us - tick_us % MINUTE_US, 1, 0])
        hours[-1][1] += 1

    def may_burn(self, now_us: int, target: float, spans: Sequence[Span]) -> bool:
        """Say whether any rule may hold: failures are counted in whole hours, never too few, looks never too many."""
        newest_us = self.failures[-MIN_FAILURES]
        return any(
            newest_us >= now_us - rule.short_s * SECOND_US - HOUR_US
            and self._may_exceed(rule.short_s, rule.burn * (1 - target), now_us, spans)
            and self._may_exceed(rule.long_s, rule.burn * (1 - target), now_us, spans)
            for rule in RULES
        )

    def _may_exceed(self, length_s: int, threshold: float, now_us: int, spans: Sequence[Span]) -> bool:
        since = now_us - length_s * SECOND_US
        first = bisect_left(self.failures, since - HOUR_US)
        failed = len(self.failures) - first
        if spans:
            failed = sum(not any(low <= at <= high for low, high in spans) for at in self.failures[first:])
            if failed < MIN_FAILURES:
                return False
        looks = 0
        for start, told, _ in reversed(self.hours):
            if start < since:
                break
            end = start + HOUR_US
            if end <= now_us and not any(low < end and start <= high for low, high in spans):
                looks += told
        return failed > threshold * looks

    def tally(self, now_us: int) -> Tally:
        """Return what was counted, as of now."""
        closed = now_us - now_us % HOUR_US
        hours = [_bucket(item) for item in self.hours if now_us - LONGEST_S * SECOND_US <= item[0] < closed]
        return Tally([*reversed(list(self._newest(now_us - FINE_S * SECOND_US)))], hours)

    def _newest(self, since_us: int) -> Iterator[Bucket]:
        return map(_bucket, takewhile(lambda item: item[0] >= since_us, reversed(self.minutes)))


class Tallies:
    """See the module. Looks of one component come nearly in order."""

    def __init__(self) -> None:
        self._counted: dict[str, Counted] = {}

    def take(self, component: str, result: Result) -> None:
        """Count one look of the grid; early ones come in clusters about a failure, and would weigh its time double."""
        if result.outcome.is_evidence and result.run.attempt == 1:
            self.counted(component).add(micros(result.run.tick), result.outcome is Outcome.FAILED)

    def counted(self, component: str) -> Counted:
        """Return where the looks of a component are counted."""
        found = self._counted.get(component)
        if found is None:
            found = self._counted[component] = Counted()
        return found

    def may_burn(
        self,
        now: datetime,
        held_to: Mapping[str, float | None],
        told: Callable[[], Mapping[str, Sequence[Span]]],
    ) -> set[str]:
        """Return the components of which enough looks failed for any rule; the budgets of the others surely last.

        ``held_to`` says what components are held to, ``told`` of which outages somebody was told: their looks are left
        out (:mod:`monitor.core.alerts.budgets`).
        """
        now_us = micros(now)
        since = now_us - LONGEST_SHORT_US
        failing = {
            name: found
            for name, found in self._counted.items()
            if len(found.failures) >= MIN_FAILURES and found.failures[-MIN_FAILURES] >= since
        }
        spans = told() if failing else {}
        return {
            name
            for name, found in failing.items()
            if (target := held_to.get(name)) is not None and found.may_burn(now_us, target, spans.get(name, ()))
        }

    def tallies(self, now: datetime, only: Collection[str] | None = None) -> dict[str, Tally]:
        """Return what was counted, as of now, of some components or of all."""
        now_us = micros(now)
        return {name: found.tally(now_us) for name, found in self._counted.items() if only is None or name in only}


def _bucket(item: list[int]) -> Bucket:
    return item[0], item[1], item[2]
