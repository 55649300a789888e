"""From conditions to alerts, decisions and due deliveries, over a :class:`monitor.core.state_store.StateStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.alerts.conditions import Condition, alert_key
from monitor.core.alerts.grouping import DIGEST, NOTHING, WINDOW, Held, Lately, digests, lately, stands_for
from monitor.core.alerts.routing import SENDS, Surroundings, after, decide_routes, just_back, parents, reconcile
from monitor.core.catalogue import Catalogue
from monitor.core.entities import Alert, Decision
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Why
from monitor.core.model.states import Health
from monitor.core.state_store import Notice, StateStore

WORKER_LIMIT = timedelta(seconds=90)
"""A worker that was silent for longer counts as gone."""


class Pipeline:
    """Opens, updates and resolves alerts by conditions, and decides who is notified."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        self.touched: set[str] = set()
        """Ids of all alerts that changed."""
        self._changed: dict[str, Alert] = {}
        self._concerned: frozenset[str] | None = None
        self._recent: dict[str, Alert] | None = None
        self._parents: tuple[Catalogue, Mapping[str, tuple[str, ...]]] | None = None

    @property
    def is_quiet(self) -> bool:
        """Say whether nothing is open or muted, so that a condition that does not hold can change nothing."""
        return not self.store.open_alerts and not self.store.muted

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is open, muted or waiting to be decided."""
        return self.is_quiet and not self._changed

    def concerns(self, component: str) -> bool:
        """Say whether a look at a component could change an alert, open or muted."""
        if self._concerned is None:
            self._concerned = frozenset(alert.component for alert in self.store.open_alerts.values())
        return bool(self.store.muted) or component in self._concerned

    @property
    def may_end_warnings(self) -> bool:
        """Say whether a look without a warning could end an alert about one."""
        return bool(self.store.muted) or any(alert.rule is Rule.WARNING for alert in self.store.open_alerts.values())

    def meet(self, conditions: Iterable[Condition], at: datetime) -> None:
        """Open, follow and end alerts by these conditions, as of event time ``at``."""
        store = self.store
        known = store.open_alerts
        news = [item for item in conditions if self._is_news(item) and not self._is_muted(item)]
        standing = [known[item.key] for item in news if item.key in known]
        for found in reconcile(standing, news, at):
            before = store.open_alerts.get(found.key)
            alert = self._named(found) if before is None else found
            if before is None or before.state is not alert.state or before.severity is not alert.severity:
                kind = "fired" if before is None else "resolved" if alert.resolved_at else "changed"
                store.log_alert(alert.id, at, kind, "", {"severity": alert.severity.value})
            self.put(alert)

    def _named(self, alert: Alert) -> Alert:
        """Give a new alert an id that no other has: one that ended at this very moment had the same key and time."""
        name, number = alert.id, 2
        while self.store.has_alert(name):
            name, number = f"{alert.id}-{number}", number + 1
        return replace(alert, id=name)

    def _is_news(self, condition: Condition) -> bool:
        """Say whether a condition can change anything; most do not hold and never fired."""
        return condition.holds or condition.key in self.store.open_alerts or condition.key in self.store.muted

    def _is_muted(self, condition: Condition) -> bool:
        """Say whether a person resolved this alert while its condition lasts; once that is over, it may fire again."""
        if condition.key not in self.store.muted:
            return False
        if not condition.holds:
            self.store.unmute(condition.key)
        return True

    def admitted(self, conditions: Iterable[Condition], most: int) -> list[Condition]:
        """Leave out the conditions from outside that would open more alerts than ``most`` at once."""
        known = {key for key, alert in self.store.open_alerts.items() if not isinstance(alert.rule, Rule)}
        kept = []
        for condition in conditions:
            if condition.holds and condition.key not in known and len(known) >= most:
                continue
            if condition.holds:
                known.add(condition.key)
            kept.append(condition)
        return kept

    def end(self, alert: Alert, at: datetime, by: str = "", **facts: Any) -> Alert:
        """Resolve an alert for another reason than that its condition is over."""
        ended = replace(alert, state=AlertState.RESOLVED, resolved_at=at, summary={**alert.summary, **facts})
        self.store.log_alert(alert.id, at, "resolved", by, facts)
        self.put(ended)
        return ended

    def put(self, alert: Alert) -> None:
        """Keep a new version of an alert; :meth:`settle` decides who is notified."""
        self._changed[alert.id] = alert
        self._concerned = None
        self.touched.add(alert.id)
        self.store.put_alert(alert)

    def behind(self, alert: Alert) -> list[Alert]:
        """Return the open alerts that a digest stands for; none for any other alert."""
        return stands_for([alert], self._held())

    # Routes

    def settle(self, at: datetime, *, late: bool = False, everything: bool = False) -> None:
        """Decide for every changed alert, or for every open one, who is told.

        ``late`` is for the past: nobody is told. A digest is opened with the first alert that goes into it and
        follows the others as time passes, so that a storm costs each of its alerts the same.
        """
        todo = {alert.id: alert for alert in self.store.open_alerts.values()} if everything else {}
        todo.update(self._changed)
        self._changed = {}
        grouped = False
        for alert in _oldest_first(todo.values()):
            if alert.rule != DIGEST:
                grouped |= self._decide(alert, at, late)
        if not everything and not grouped:
            todo = {name: alert for name, alert in todo.items() if alert.rule == DIGEST}
            if not todo:
                return
        self.meet(digests(self._held(), self.store.open_alerts.values()), at)
        todo.update(self._changed)
        self._changed = {}
        if everything:
            todo.update((alert.id, alert) for alert in self.store.open_alerts.values())
        for alert in _oldest_first(todo.values()):
            if alert.rule == DIGEST:
                self._decide(self.store.open_alerts.get(alert.key, alert), at, late)

    def _held(self) -> list[Held]:
        return [(alert, self.store.told(alert.id)) for alert in self.store.open_alerts.values()]

    def _decide(self, alert: Alert, at: datetime, late: bool) -> bool:
        """Decide who is told of an alert; says whether it goes into a digest that is not open yet."""
        routes, told = self.store.index.catalogue.routes, self.store.told(alert.id)
        decisions = decide_routes(alert, routes, told, self._around(alert, at, late))
        for decision in decisions:
            told[decision.route] = after(told.get(decision.route, NOTHING), decision, alert)
            self._keep(decision, alert)
        if decisions:
            self.store.put_alert(alert)
            if any(decision.send for decision in decisions):
                self._lately_told(at)[alert.id] = alert
        opens = (f"{item.route}/{item.severity}" for item in decisions if item.why is Why.GROUPED)
        return any(alert_key("", "", DIGEST, scope) not in self.store.open_alerts for scope in opens)

    def _keep(self, decision: Decision, alert: Alert) -> None:
        """Keep a decision. A trigger that was never sent is replaced by its update or its resolution: one message."""
        assert decision.send == (decision.why in SENDS)
        route = next((item for item in self.store.index.catalogue.routes if item.id == decision.route), None)
        channels = list(dict.fromkeys(route.channels)) if decision.send and route is not None else []
        if decision.why in (Why.RESOLVED, Why.WORSE, Why.REPEAT):
            replaced = {
                channel
                for channel in channels
                if self.store.replace_waiting(Notice(alert, decision.route, channel, decision.why))
            }
            channels = [channel for channel in channels if channel not in replaced]
        self.store.decided(decision, alert, channels)

    def _around(self, alert: Alert, at: datetime, late: bool) -> Surroundings:
        """Return what holds back notices about this alert now."""
        store, own = self.store, alert.component
        depends_on = self._depends_on()
        down: set[str] = set()
        up: set[str] = set()
        back_at: list[datetime] = []
        for name in (own, *depends_on.get(own, ())):
            row = store.component(name) if name else None
            if row is None:
                continue
            if row.is_down:
                down.add(name)
            elif row.since is not None and row.health is not Health.UNKNOWN:
                up.add(name)
                back_at.append(row.since)
                held = store.open_alerts.get(alert_key(row.component.service, name, Rule.COMPONENT_DOWN))
                if held is not None:
                    down |= just_back([held], {name: row.since}, at, store.index.policy)
        return Surroundings(
            now=at,
            policy=store.index.policy(alert.service),
            silences=tuple(store.silences()),
            maintenance=tuple(store.windows(at)),
            blind=self._blind(at),
            down=frozenset(down),
            up=frozenset(up),
            returning=frozenset({own} if self._returns(own, max(back_at, default=at), at) else ()),
            depends_on=depends_on,
            late=late,
            lately=self._lately(at),
        )

    def _returns(self, name: str, back_at: datetime, at: datetime) -> bool:
        """Say whether a component that is down works again, not proven yet, or was not looked at since ``back_at``."""
        row = self.store.component(name) if name else None
        if row is None or not row.is_down:
            return False
        seen = row.seen(at)
        return seen.good_since is not None or (seen.observed_at is not None and seen.observed_at < back_at < at)

    def _depends_on(self) -> Mapping[str, tuple[str, ...]]:
        catalogue = self.store.index.catalogue
        if self._parents is None or self._parents[0] is not catalogue:
            self._parents = catalogue, parents(catalogue)
        return self._parents[1]

    def _blind(self, at: datetime) -> str:
        """Return why everybody is blind; empty while one living worker sees."""
        living = [row for row in self.store.workers() if row.seen_at >= at - WORKER_LIMIT]
        return living[0].report.blind if living and all(row.report.blind for row in living) else ""

    def _lately(self, at: datetime) -> Lately:
        """Count what each route was told singly in the newest minutes, of alerts that are over already, too."""
        recent, since = self._lately_told(at), at - WINDOW
        held: list[Held] = []
        for name, alert in list(recent.items()):
            told = self.store.told(name)
            now_open = self.store.open_alerts.get(alert.key)
            is_open = now_open is not None and now_open.id == name
            if is_open or alert.fired_at > since:
                held.append((now_open if is_open and now_open is not None else alert, told))
            elif alert.fired_at <= since - WINDOW:
                del recent[name]
        return lately(held, at)

    def _lately_told(self, at: datetime) -> dict[str, Alert]:
        """Return the alerts that somebody may have been told of lately, by id."""
        if self._recent is None:
            found = [*self.store.fired_since(at - 4 * WINDOW), *self.store.open_alerts.values()]
            self._recent = {
                alert.id: alert
                for alert in found
                if any(heard.triggered_at is not None for heard in self.store.told(alert.id).values())
            }
        return self._recent


def _oldest_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Order alerts the same way wherever they come from: a database returns them in any order."""
    return sorted(alerts, key=lambda alert: (alert.fired_at, alert.id))
