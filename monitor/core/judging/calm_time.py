"""The quick way through calm time: what nothing can follow from is not worked out.

It decides nothing that the long way would decide otherwise (a property of tests/judgement), and only knows when that
has nothing to do: a plain look at what works, with no incident and no alert that it could end, and a sweep over a
service of which all evidence is good and fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from monitor.core.checks.calm import Calm, is_calm
from monitor.core.checks.probe_state import ProbeState
from monitor.core.components.health import stale_after
from monitor.core.incidents.witness import is_quoted
from monitor.core.judging.pipeline import Pipeline
from monitor.core.model.incident_events import Cause
from monitor.core.model.states import Health
from monitor.core.schedule import EPOCH, MICROSECOND, from_micros, micros
from monitor.core.state_store import ComponentRow, Series, StateStore

CAUSES = tuple(Cause)


class Lane(Protocol):
    """Takes plain looks of one series whose component was found calm."""

    def take(self, tick_us: int, at_us: int) -> bool:
        """Take one; False if it has to be judged."""
        ...


class CalmTime:
    """See the module; one for each evaluation that takes the quick way."""

    def __init__(self, store: StateStore, pipeline: Pipeline) -> None:
        self._store = store
        self._pipeline = pipeline
        self._until: dict[str, int] = {}
        """Service → until when, in microseconds, time alone changes nothing."""
        self._all_until = EPOCH
        """Until when time alone changes nothing about any service."""
        self.taken = 0
        """Looks that went the quick way."""
        self.lanes: dict[tuple[str, str], Lane] = {}
        """(Probe, location) → a caller's way for its next plain looks, open until something else happens."""

    def take(self, series: Series, tick_us: int, at_us: int) -> bool:
        """Take a plain look, if nothing but the times of its series can follow from it."""
        calm = series.calm
        if calm is None:
            return False
        component = series.probe.component
        row = self._store.rows.get(component)
        if row is not None and not self._is_calm_row(row):
            return False
        if not self._pipeline.is_quiet and self._pipeline.concerns(component):
            return False
        if not calm.take(tick_us, at_us):
            return False
        self.taken += 1
        return True

    def close_lanes(self, service: str) -> None:
        """Ask again before a look at a service is taken: something happened there. It opens alerts nowhere else."""
        for row in self._store.of_service(service) if self.lanes else ():
            for series in row.series:
                self.lanes.pop((series.probe.id, series.location), None)

    def _is_calm_row(self, row: ComponentRow) -> bool:
        return (
            row.health is Health.OPERATIONAL
            and row.registration is None
            and not row.unusual
            and not self._store.has_open(row.component.service)
        )

    def looked(self, series: Series, before: ProbeState, *, plain: bool) -> None:
        """See after a look that was judged in full whether calm begins, and begin to watch its service again."""
        state = series.state
        if not (plain and before.health is state.health is Health.OPERATIONAL):
            self._watch(self._store.index.service_of(series.probe))
        if plain and not series.probe.witness and is_calm(before, state):
            assert state.tick is not None
            assert state.evidence_at is not None
            series.calm = Calm(micros(state.tick), micros(state.evidence_at), stale_after(series.probe) // MICROSECOND)

    def restless(self, now: datetime) -> Sequence[str]:
        """Return the services about which time alone may change something up to now."""
        if now <= self._all_until:
            return ()
        now_us, until, found = micros(now), self._until, []
        for service in self._store.index.services:
            if until.get(service, now_us) < now_us:
                self.swept(service, now)  # nothing but good looks came since
            if until.get(service, 0) < now_us:
                found.append(service)
        if until and not found:
            self._all_until = from_micros(min(until.values()))
        return found

    def swept(self, service: str, now: datetime) -> None:
        """See after a sweep in full until when the next ones have nothing to do."""
        until = self._calm_until(service, now)
        if until is None:
            self._watch(service)
        else:
            self._until[service] = until

    def forget(self) -> None:
        """Sweep in full again: something else than a look has changed what is known."""
        self._until, self._all_until = {}, EPOCH
        self.lanes.clear()

    def _watch(self, service: str) -> None:
        self._until.pop(service, None)
        self._all_until = EPOCH

    def _calm_until(self, service: str, now: datetime) -> int | None:
        store = self._store
        if store.has_open(service) or any(alert.service == service for alert in store.open_alerts.values()):
            return None
        if any(is_quoted(store.latest(service, cause), now) for cause in CAUSES):
            return None
        ends: list[int] = []
        for row in store.of_service(service):
            calm_row = self._is_calm_row(row)
            speaks = False
            for series in row.series:
                probe = series.probe
                if probe.disabled or probe.witness or probe.control:
                    continue
                speaks = True
                calm = series.calm
                end = calm.at_us + calm.limit_us if calm is not None else _good_until(series)
                if end is None or not calm_row:
                    return None
                ends.append(end)
            if not (speaks or calm_row) and (row.registration is not None or row.unusual):
                return None
        return min(ends, default=None)


def _good_until(series: Series) -> int | None:
    """Return until when the evidence of a series is good and fresh; ``None`` while it is not good."""
    state = series.state
    if state.evidence_at is None or state.health is not Health.OPERATIONAL:
        return None
    return micros(state.evidence_at + stale_after(series.probe))
