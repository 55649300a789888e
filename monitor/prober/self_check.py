"""Can we see at all? Asked at the first failure that a broken network of ours would also produce."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.catalogue import Probe
from monitor.core.checks.network_doubt import is_blind, no_names
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.logs import Event, Room
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

log = Room("sight")
FRESH = timedelta(seconds=1)

Ask = Callable[[Probe], Awaitable[Result]]


class SelfCheck:
    """Keeps the newest look of every probe and judges whether the worker is blind.

    A network-class failure is held back until the control targets were asked as well: otherwise the first service
    to be looked at after our own cable was pulled would be called down.
    """

    def __init__(self, ask: Ask, now: Callable[[], datetime]) -> None:
        self._ask = ask
        self._now = now
        self._probes: Mapping[str, Probe] = {}
        self._newest: dict[str, Result] = {}
        self._answered: set[str] = set()
        self._asking: asyncio.Task[None] | None = None
        self.reason = ""
        """Why we are blind; empty while we see."""
        self.since: datetime | None = None

    def watch(self, probes: Mapping[str, Probe]) -> None:
        """Take a new catalogue."""
        self._probes = probes
        self._newest = {name: result for name, result in self._newest.items() if name in probes}
        self._answered &= probes.keys()

    async def judge(self, result: Result) -> Result:
        """Return the result as it may be recorded: UNKNOWN when it is our own network that failed."""
        self._note(result)
        if not result.reason.is_network_class:
            if self.reason and result.outcome is not Outcome.MISSED:
                self._settle(self._now() - FRESH)
            return result
        if not self.reason:
            await self._ask_controls()
            self._settle(result.started_at - FRESH)
        return self._unknown(result) if self.reason else result

    def _note(self, result: Result) -> None:
        if result.outcome is Outcome.MISSED:
            return
        self._newest[result.run.probe] = result
        if not result.reason.is_network_class:
            self._answered.add(result.run.probe)

    def _settle(self, since: datetime) -> None:
        """Judge by what was seen since the suspicion arose; without controls by all that is not too old."""
        controls = [probe.id for probe in self._controls()]
        seen = [result for result in self._newest.values() if not controls or result.started_at >= since]
        now = self._now()
        reason = is_blind(seen, self._trusted(controls), now) or no_names(self._newest.values(), self._probes, now)
        if bool(reason) != bool(self.reason):
            self.since = now if reason else None
            place = next((result.run.location for result in self._newest.values()), "")
            if reason:
                why = worded(reason, lexicon())
                text = "Own network of %s down, judging nothing: %s"
                log.warning(Event.BLINDNESS_BEGAN, text, place, why, error=why, location=place)
            else:
                log.info(Event.BLINDNESS_ENDED, "Own network of %s back", place, location=place)
        self.reason = reason

    def _controls(self) -> list[Probe]:
        return [probe for probe in self._probes.values() if probe.control and not probe.disabled]

    def _trusted(self, controls: list[str]) -> Mapping[str, Probe]:
        """Leave out control targets that never answered although others did: a firewall, not an outage."""
        if not self._answered:
            return self._probes
        drop = {name for name in controls if name not in self._answered}
        return {name: probe for name, probe in self._probes.items() if name not in drop}

    async def _ask_controls(self) -> None:
        """Look at every control target now; looks asked for at the same time share one round."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._round())
        await asyncio.shield(self._asking)

    async def _round(self) -> None:
        for result in await asyncio.gather(*(self._ask(probe) for probe in self._controls())):
            self._note(result)

    def _unknown(self, result: Result) -> Result:
        seen = f"{result.reason}: {result.observation.detail}" if result.observation.detail else str(result.reason)
        observation = replace(result.observation, reason=Reason.NETWORK, detail=f"{self.reason}; {seen}"[:300])
        return replace(result, observation=observation)
