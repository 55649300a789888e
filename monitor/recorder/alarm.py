"""Tells the operator that the database must not be used: past the outbox, which lies in that database.

One alert, told once to every channel that a page about ourselves goes to, and its end to whoever heard of it. What was
told stands on disk (``runtime/trouble.py``), so a worker that is started again neither repeats it nor forgets the end;
killed between sending and writing it sends once more under the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor import clock
from monitor.config.settled import Settled
from monitor.core.alerts.conditions import alert_key
from monitor.core.alerts.routing import concerns
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule, row
from monitor.core.model.alerting import AlertState, Why
from monitor.flow.notices import LeasedNotice
from monitor.recorder.delivery import GIVE_UP, Dispatcher, pause
from monitor.recorder.metrics import Counters, Seen
from monitor.runtime.trouble import Trouble, TroubleFile


@dataclass(slots=True)
class _Tries:
    count: int = 0
    due_s: float = 0.0


class StoreAlarm:
    """See the module. ``well`` says whether the database was opened and takes results."""

    def __init__(
        self, file: TroubleFile, seen: Seen, counters: Counters, dispatcher: Dispatcher, well: Callable[[], bool]
    ) -> None:
        self._file, self._seen, self._counters = file, seen, counters
        self._dispatcher, self._well = dispatcher, well
        self._tries: dict[str, _Tries] = {}
        self._rng = random.SystemRandom()

    async def step(self, config: Settled) -> None:
        """Take note of what is wrong, or of its end, and tell whoever is still to be told."""
        now, trouble, fault = clock.now(), self._file.kept, self._seen.store_fault
        if fault is not None and (trouble is None or trouble.ended is not None):
            self._begin(Trouble(_id(config.settings.location, now), fault, self._seen.store_todo, now))
        elif fault is not None and trouble is not None and trouble.fault != fault:
            self._keep(replace(trouble, fault=fault, todo=self._seen.store_todo))
        elif fault is None and trouble is not None and trouble.ended is None and self._well():
            self._begin(replace(trouble, ended=now))
        await asyncio.gather(*(self._tell(channel, route, config) for channel, route in self._due(config, now).items()))
        trouble = self._file.kept
        if trouble is not None and trouble.ended is not None and (not trouble.told or now - trouble.ended > GIVE_UP):
            self._keep(None)

    def _begin(self, trouble: Trouble) -> None:
        self._tries.clear()
        self._keep(trouble)

    def _keep(self, trouble: Trouble | None) -> None:
        try:
            self._file.keep(trouble)
        except OSError:  # told all the same; only a worker started again would not know of it
            self._counters.failures.labels("alarm").inc()

    def _due(self, config: Settled, now: datetime) -> dict[str, str]:
        """Return the channels to be tried now, each with a route that names it."""
        trouble = self._file.kept
        if trouble is None or (trouble.ended is None and self._seen.store_fault is None):
            return {}  # nothing is wrong, or a worker that was started again has not looked yet
        if trouble.ended is not None:
            found = dict.fromkeys(trouble.told, "")
        else:
            alert = alert_of(trouble, config.settings.location)
            routes = [route for route in config.catalogue.routes if concerns(route, alert)]
            ripe = [route for route in routes if now - trouble.since >= timedelta(seconds=route.escalate_after_s)]
            found = {channel: route.id for route in reversed(ripe) for channel in route.channels}
            found = {channel: route for channel, route in found.items() if channel not in trouble.told}
            if now - trouble.since > GIVE_UP:
                return {}
        now_s = clock.monotonic()
        return {name: route for name, route in found.items() if self._tries.setdefault(name, _Tries()).due_s <= now_s}

    async def _tell(self, channel: str, route: str, config: Settled) -> None:
        trouble, tries = self._file.kept, self._tries[channel]
        assert trouble is not None
        alert = alert_of(trouble, config.settings.location)
        at, why = (trouble.since, Why.FIRST) if trouble.ended is None else (trouble.ended, Why.RESOLVED)
        key = hashlib.sha256(f"{trouble.id}|{channel}|{why}".encode()).hexdigest()[:32]
        if await self._dispatcher.tell_directly(LeasedNotice(0, key, channel, route, why, alert, at, tries.count)):
            told = set(self._file.kept.told if self._file.kept else ())
            told = told | {channel} if why is Why.FIRST else told - {channel}
            if self._file.kept is not None and self._file.kept.id == trouble.id:
                self._keep(replace(self._file.kept, told=tuple(sorted(told))))
        else:
            tries.due_s = clock.monotonic() + pause(tries.count, self._rng.random())
            tries.count += 1


def _id(location: str, now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}-{hashlib.sha256(f'store|{location}|{now.isoformat()}'.encode()).hexdigest()[:10]}"


def alert_of(trouble: Trouble, location: str) -> Alert:
    """Return a trouble as the alert that it is told as."""
    facts = {"why": trouble.what, "todo": trouble.todo, "location": location}
    return Alert(
        id=trouble.id,
        key=alert_key("", "", Rule.STORE, location),
        rule=Rule.STORE,
        severity=row(Rule.STORE).severity,
        state=AlertState.FIRING if trouble.ended is None else AlertState.RESOLVED,
        service="",
        component="",
        started_at=trouble.since,
        fired_at=trouble.since,
        resolved_at=trouble.ended,
        summary=facts,
    )
