"""The quick way through calm time: what nothing can follow from is not worked out.

It decides nothing that the long way would decide otherwise (a property of tests/judgement), and only knows when that
has nothing to do: a plain look at what works, with no incident and no alert that it could end, and a sweep over a
service of which all evidence is good and fresh.
"""

from __future__ import annotations

from datetime import datetime

from monitor.core.checks.calm import Calm, is_calm
from monitor.core.checks.probe_state import ProbeState
from monitor.core.components.health import stale_after
from monitor.core.incidents.witness import is_quoted
from monitor.core.judging.pipeline import Pipeline
from monitor.core.model.incident_events import Cause
from monitor.core.model.states import Health
from monitor.core.schedule import MICROSECOND, from_micros, micros
from monitor.core.state_store import ComponentRow, Series, StateStore


class CalmTime:
    """See the module; one for each evaluation that takes the quick way."""

    def __init__(self, store: StateStore, pipeline: Pipeline) -> None:
        self._store = store
        self._pipeline = pipeline
        self._until: dict[str, datetime] = {}
        """Service → until when time alone changes nothing."""
        self.taken = 0
        """Looks that went the quick way."""

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
            self._until.pop(self._store.index.service_of(series.probe), None)
        if plain and not series.probe.witness and is_calm(before, state):
            assert state.tick is not None
            assert state.evidence_at is not None
            series.calm = Calm(micros(state.tick), micros(state.evidence_at), stale_after(series.probe) // MICROSECOND)

    def is_calm(self, service: str, now: datetime) -> bool:
        """Say whether time alone changes nothing about a service up to now."""
        until = self._until.get(service)
        if until is None or now <= until:
            return until is not None
        self.swept(service, now)  # nothing but good looks came since
        return service in self._until and now <= self._until[service]

    def swept(self, service: str, now: datetime) -> None:
        """See after a sweep in full until when the next ones have nothing to do."""
        until = self._calm_until(service, now)
        if until is None:
            self._until.pop(service, None)
        else:
            self._until[service] = until

    def forget(self) -> None:
        """Sweep in full again: something else than a look has changed what is known."""
        self._until = {}

    def _calm_until(self, service: str, now: datetime) -> datetime | None:
        store = self._store
        if store.has_open(service) or any(alert.service == service for alert in store.open_alerts.values()):
            return None
        if any(is_quoted(store.latest(service, cause), now) for cause in Cause):
            return None
        until: datetime | None = None
        for row in store.of_service(service):
            speaking = [s for s in row.series if not (s.probe.disabled or s.probe.witness or s.probe.control)]
            if not speaking and row.registration is None and not row.unusual:
                continue
            if not self._is_calm_row(row):
                return None
            for series in speaking:
                end = _good_until(series)
                if end is None:
                    return None
                until = end if until is None else min(until, end)
        return until


def _good_until(series: Series) -> datetime | None:
    """Return until when the evidence of a series is good and fresh; ``None`` while it is not good."""
    calm = series.calm
    if calm is not None:
        return from_micros(calm.at_us + calm.limit_us)
    state = series.state
    if state.evidence_at is None or state.health is not Health.OPERATIONAL:
        return None
    return state.evidence_at + stale_after(series.probe)
