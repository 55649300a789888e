"""Ask, of each look that failed or was refused, what else was seen: at its location, of its service, at its vendor."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.alerts.conditions import Condition, about_us
from monitor.core.catalogue import Index
from monitor.core.components.health import is_fresh
from monitor.core.doubt.keys import PAGE_AGE, Key, confirm_auth, has_another_key, is_refused, key_of
from monitor.core.doubt.network import Targets, make_targets, question, shared
from monitor.core.doubt.sight import found_ours, seen
from monitor.core.model.alert_rules import Rule
from monitor.core.model.depth import DOUBTED
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.state_store import Series, StateStore

DOUBTED_FOR = timedelta(minutes=5)
"""Trouble that nothing speaks for or against is unknown; for longer than this somebody is told, for it may be real."""


class Doubts:
    """Reads the states that a store holds; changes nothing."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        self._targets: tuple[Index, Targets] | None = None

    def own_side(self, series: Series, result: Result, at: datetime) -> tuple[Result, str]:
        """Turn a failure into UNKNOWN while the whole location fails alike, for it is our own side's; say why."""
        if result.reason not in DOUBTED:
            return result, ""
        mine = seen(series.sight, result)
        ask = question(mine, series.probe.target) if mine is not None else None
        if mine is None or ask is None:
            return result, ""
        others = (other for other in self.store.at_location(series.location) if other is not series)
        sights = {other.probe.id: sight for other in others if (sight := other.sight) is not None}
        why = shared(ask, sights | {series.probe.id: mine}, self.targets, at)
        if not why:
            return result, ""
        return found_ours(result, why), why.why

    def for_long(self, series: Series, at: datetime) -> list[Condition]:
        """Return the page for trouble that has been doubted for long: whoever cannot tell says so.

        Where a worker of the location is blind a page says so already. Each doubted look keeps this one open, which
        ends like that, when the location has seen for some minutes.
        """
        since, place = series.state.since, series.location
        if since is None or at - since < DOUBTED_FOR or not series.state.is_doubtful:
            return []
        if any(row.report.blind for row in self.store.workers() if row.report.location == place):
            return []
        condition = about_us(Rule.BLIND, place, coded(MessageCode.NOT_CONFIRMED), since)
        return [replace(condition, summary={**condition.summary, "location": place})]

    @property
    def targets(self) -> Targets:
        """Who is independent of whom, by the catalogue in force."""
        if self._targets is None or self._targets[0] is not self.store.index:
            self._targets = self.store.index, make_targets(self.store.index.catalogue)
        return self._targets[1]

    def refused_key(self, series: Series, result: Result) -> Result:
        """Tell a vendor that refuses good keys from a key of ours that is bad."""
        if result.reason is not Reason.AUTH:
            return result
        service, mine = self.store.index.service_of(series.probe), self.targets.group.get(series.probe.id)
        same = (other for other in self.store.peers(service))
        elsewhere = (
            other
            for other in self.store.at_location(series.location)
            if self.store.index.service_of(other.probe) != service and self.targets.group.get(other.probe.id) == mine
        )
        peers = [other.state for other in (*same, *elsewhere) if has_another_key(series.probe, other.probe)]
        admits = any(
            reading.indicator.severity or any(not item.resolved_at for item in reading.incidents)
            for reading in self.store.upstream_readings(service, result.started_at - PAGE_AGE)
        )
        return confirm_auth(result, series.state, peers, vendor_admits=admits)

    def key(self, series: Series, result: Result) -> Key:
        """Say what is known of the key that a look found refused."""
        if result.reason is not Reason.AUTH:
            return Key.NEW
        mine, since = series.probe, series.state.key_refused_at
        at = result.started_at + timedelta(seconds=result.duration_s)
        beside = [
            other
            for other in self.store.peers(self.store.index.service_of(mine))
            if other.probe.component == mine.component
            and other.probe.id != mine.id
            and not (other.probe.witness or other.probe.control or other.probe.disabled)
        ]
        alike = [other for other in beside if not has_another_key(mine, other.probe)]
        depth = max(probe.proves.depth for probe in (mine, *(other.probe for other in alike)))  # what the key can see
        otherwise = any(
            other.probe.proves.depth >= depth
            and is_fresh(other.probe, other.state, at)
            and (other not in alike or _is_after(other.state.evidence_at, since))
            for other in beside
        )
        told = any(is_refused(other.state, at) and _is_after(since, other.state.key_refused_at) for other in alike)
        return key_of(series.state, at, seen_otherwise=otherwise, told=told)


def _is_after(at: datetime | None, other: datetime | None) -> bool:
    return at is not None and other is not None and at > other
