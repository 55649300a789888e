"""Can we see at all? Asked at the first failure that trouble on our own side would also produce."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from monitor.core.catalogue import Catalogue, Probe
from monitor.core.doubt.clock import WRONG
from monitor.core.doubt.lookout import Lookout
from monitor.core.doubt.network import Targets, answered_for, make_targets, question, shared
from monitor.core.doubt.sight import SEES, Blindness, found_ours
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Result
from monitor.core.model.reasons import OF_A_CLOCK, Outcome, Reason
from monitor.logs import Event, Room
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

log = Room("sight")

Ask = Callable[[Probe], Awaitable[Result]]


class SelfCheck:
    """Keeps what every probe saw last and judges whether the worker is blind.

    A failure is held back until the control targets were asked as well, unless something spoke for our own side since
    it began: otherwise the first service to be looked at after our own cable was pulled would be called down.
    """

    def __init__(
        self, ask: Ask, now: Callable[[], datetime], clock_ahead: Callable[[], timedelta | None] = lambda: None
    ) -> None:
        self._ask = ask
        self._now = now
        self._targets: Targets = make_targets(Catalogue())
        self._lookout = Lookout()
        self._clock_ahead = clock_ahead
        self._expired = False
        """Certificates looked expired and our clock was wrong, so until it is right again."""
        self._asking: asyncio.Task[None] | None = None
        self.since: datetime | None = None

    @property
    def reason(self) -> str:
        """Why we are blind; empty while we see."""
        return self._lookout.blindness.why

    def watch(self, catalogue: Catalogue) -> None:
        """Take what is looked at from here."""
        self._targets = make_targets(catalogue)
        sights = self._lookout.sights
        for gone in sights.keys() - self._targets.probes.keys():
            del sights[gone]

    async def judge(self, result: Result) -> Result:
        """Return the result as it may be recorded: UNKNOWN when it is our own side that failed."""
        wrong = self._wrong_clock() if self._expired or result.reason in OF_A_CLOCK else SEES
        self._expired = bool(wrong)
        self._settle(result, wrong)
        if wrong and result.reason in OF_A_CLOCK:
            return self._ours(result, wrong)
        if result.reason is Reason.CHANGED and self.reason:
            # Whoever answers for everybody shows a page of his own: nobody has to look after the marks of each.
            return self._ours(result, self._lookout.blindness)
        sight, probe = self._lookout.sights.get(result.run.probe), self._targets.probes.get(result.run.probe)
        if sight is None or probe is None or result.outcome is not Outcome.FAILED:
            return result
        ask = question(sight, probe.target)
        if ask is None:
            return result
        now, sights = self._now(), self._lookout.sights
        here = [(name, sights.get(name)) for name in self._targets.probes]
        if not self.reason and answered_for(ask, result.run.probe, here, self._targets, now) in (None, ask.since):
            await self._ask_controls()
            self._settle(result, wrong)
        why = shared(ask, sights, self._targets, self._now())
        return self._ours(result, why) if why else result

    def _ours(self, result: Result, why: Blindness) -> Result:
        """Return a look as our own side's failure, and remember that its target was hit."""
        self._lookout.found_ours(result)
        return found_ours(result, why)

    def _settle(self, result: Result, wrong: Blindness) -> None:
        """Judge by what was seen last, and by our clock if it was found to be ``wrong``."""
        before = bool(self.reason)
        self._lookout.look(result, self._targets, self._now())
        if wrong:
            self._lookout.blindness = wrong
        if bool(self.reason) == before:
            return
        self.since = self._now() if self.reason else None
        place = result.run.location
        if self.reason:
            why = worded(self.reason, lexicon())
            text = "Own network of %s down, judging nothing: %s"
            log.warning(Event.BLINDNESS_BEGAN, text, place, why, error=why, location=place)
        else:
            log.info(Event.BLINDNESS_ENDED, "Own network of %s back", place, location=place)

    def _wrong_clock(self) -> Blindness:
        """Say that our clock is wrong, if servers that we believed before say so."""
        ahead, now = self._clock_ahead(), self._now()
        if ahead is None or abs(ahead) <= WRONG:
            return SEES
        ours, theirs = (f"{at:%Y-%m-%d %H:%M}" for at in (now, now - ahead))
        return Blindness(coded(MessageCode.CLOCK_WRONG, ours=ours, theirs=theirs), Reason.CLOCK)

    async def _ask_controls(self) -> None:
        """Look at every control target now; looks asked for at the same time share one round."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._round())
        await asyncio.shield(self._asking)

    async def _round(self) -> None:
        controls = [probe for probe in self._targets.probes.values() if probe.control]
        for result in await asyncio.gather(*(self._ask(probe) for probe in controls)):
            self._lookout.note(result)
