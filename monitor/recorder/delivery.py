"""The dispatcher of the outbox: leases what is due, sends it, and writes down how that went.

Nothing is marked before it was sent, so a crash repeats a notice under the same key and never loses one.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from sqlalchemy import Engine

from monitor import clock
from monitor.channels import KINDS
from monitor.channels.base import Notice, Options, Undeliverable
from monitor.config.settled import Settled
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import Sending
from monitor.core.model.message_codes import MessageCode, coded
from monitor.flow.notices import LeasedNotice, lease_notices, settle_notice, take_back_notices
from monitor.logs import Event, Fields, Room
from monitor.text.lexicon import Language, lexicon
from monitor.text.messages import worded
from monitor.wire import Wire, from_environment

log = Room("delivery")

T = TypeVar("T")

LEASE_EVERY_S = 1.0
AT_ONCE = 40
"""Deliveries under way at the same time; each channel's slowness is its own."""
DEADLINE_S = 30.0
"""Below the lease, so that nobody else sends while we still try."""
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 600.0
GIVE_UP = timedelta(hours=24)
PERMANENT_PAUSE_S = 30.0
"""A refusal that looks permanent is tried once more: receivers are also misconfigured for a moment."""


class Database(Protocol):
    """Runs a verb in the database's thread."""

    def __call__(self, work: Callable[..., T], *arguments: object, **named: object) -> Awaitable[T]:
        """Return what the verb returns."""


class Dispatcher:
    """Sends what the outbox holds; ``count(channel, ended)`` is called after each try.

    ``owner`` is ``worker/process``: what an earlier process of the worker held when it died is sent again at once.
    """

    def __init__(
        self, engine: Engine, database: Database, owner: str, config: Settled, count: Callable[[str, str], None]
    ) -> None:
        self._engine = engine
        self._database = database
        self._owner = owner
        self._count = count
        self._rng = random.SystemRandom()
        self._sending: set[asyncio.Task[None]] = set()
        self._first = True
        self._wire = Wire()
        self.apply(config)

    def apply(self, config: Settled) -> None:
        """Take a configuration."""
        self._config = config
        settings, proxies = config.settings, from_environment(os.environ)
        self._wire = Wire(allow_networks=settings.allow_networks, ca_file=settings.ca_file, proxies=proxies)
        self._services = {service.id: service.name for service in config.catalogue.services}
        self._components = {component.id: component for component in config.catalogue.components}

    async def step(self) -> None:
        """Lease what is due and begin to send it."""
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            return
        if self._first:
            worker = self._owner.rpartition("/")[0]
            await self._database(take_back_notices, self._engine, worker, clock.now())
            self._first = False
        for leased in await self._database(lease_notices, self._engine, self._owner, clock.now(), room):
            task = asyncio.create_task(self._deliver(leased))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def tell_directly(self, notice: LeasedNotice) -> bool:
        """Try once to send what is not in the outbox, because the database takes nothing; say whether it was taken."""
        outcome, error, _ = await self._try(notice)
        self._count(notice.channel, str(outcome))
        _tell(notice, outcome, error)
        return outcome is Sending.SENT

    async def close(self) -> None:
        """Let what is under way end, at most a few seconds; the rest is sent again by whoever comes next."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=3.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._wire.aclose()

    async def _deliver(self, leased: LeasedNotice) -> None:
        outcome, error, retry_at = await self._try(leased)
        self._count(leased.channel, str(outcome))
        try:
            settled = await self._database(
                settle_notice,
                self._engine,
                leased.id,
                outcome,
                clock.now(),
                owner=self._owner,
                error=error,
                retry_at=retry_at,
            )
        except Exception as failure:
            # The lease runs out and the notice is sent again under the same key.
            text, why = "Delivery by %s went out, but its outcome was not stored: %s", type(failure).__name__
            log.warning(Event.DELIVERY_UNSETTLED, text, leased.channel, why, channel=leased.channel, error=why)
        else:
            if settled:
                _tell(leased, outcome, error)

    async def _try(self, leased: LeasedNotice) -> tuple[Sending, str, datetime | None]:
        channel = self._config.channels.get(leased.channel)
        if channel is None or channel.options is None:
            why = _switched_off(channel.disabled) if channel else coded(MessageCode.CHANNEL_GONE)
            return Sending.DEAD, why, None
        try:
            async with asyncio.timeout(DEADLINE_S):
                notice = self._notice(leased, channel.options)
                await KINDS[channel.kind].send(channel.options, notice, self._wire)
        except Undeliverable as error:
            return self._again(leased, str(error), permanent=error.permanent, after_s=error.retry_after_s)
        except TimeoutError:
            return self._again(leased, coded(MessageCode.NO_ANSWER_WITHIN, seconds=DEADLINE_S))
        except Exception as error:
            # Its text may hold an address with a token.
            return self._again(leased, coded(MessageCode.OWN_FAULT, error=type(error).__name__))
        return Sending.SENT, "", None

    def _notice(self, leased: LeasedNotice, options: object) -> Notice:
        alert, component = leased.alert, self._components.get(leased.alert.component)
        language = options.language if isinstance(options, Options) else Language.EN
        return Notice(
            key=leased.key,
            alert=alert,
            why=leased.why,
            at=leased.created_at,
            service_name=self._services.get(alert.service, ""),
            component_name=component.name_in(language) if component else "",
            tries=leased.tries,
            last_error=leased.error,
            test=alert.rule is Rule.TEST,
            language=language,
        )

    def _again(
        self, leased: LeasedNotice, error: str, *, permanent: bool = False, after_s: float | None = None
    ) -> tuple[Sending, str, datetime | None]:
        now = clock.now()
        if now - leased.created_at > GIVE_UP or (permanent and leased.tries > 0):
            return Sending.DEAD, error, None
        pause_s = PERMANENT_PAUSE_S if permanent else pause(leased.tries, self._rng.random())
        return Sending.RETRYING, error, now + timedelta(seconds=max(pause_s, after_s or 0.0))


def _switched_off(why: str) -> str:
    return coded(MessageCode.CHANNEL_OFF, why=why)


def _tell(leased: LeasedNotice, outcome: Sending, error: str) -> None:
    """Log how a try went, once that is stored."""
    alert, error = leased.alert, worded(error, lexicon())
    fields: Fields = {
        "channel": leased.channel,
        "route": leased.route,
        "alert": alert.id,
        "incident": alert.incident,
        "service": alert.service,
        "component": alert.component,
        "tries": leased.tries + 1,
        "error": error,
    }
    text, word = "Delivery by %s %s (%s)", lexicon().of(leased.why)
    if outcome is Sending.SENT:
        log.info(Event.DELIVERY_SENT, text, leased.channel, "sent", word, **fields)
    elif outcome is Sending.RETRYING:
        log.warning(Event.DELIVERY_RETRIED, f"{text}: %s", leased.channel, "failed, retrying", word, error, **fields)
    else:
        log.error(Event.DELIVERY_GIVEN_UP, f"{text}: %s", leased.channel, "given up", word, error, **fields)


def pause(tries: int, chance: float) -> float:
    """Return seconds until the next try: full jitter over a doubling span (2 s … 10 min), never under half a second."""
    span_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries, 20))
    return max(0.5, span_s * chance)
