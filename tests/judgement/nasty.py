"""Looks with what no look should hold, as far as the codec lets them in, and the judges that must bear them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Catalogue
from monitor.core.checks.plausible import EARLIEST, plausible
from monitor.core.codec import CodecError, loads_result
from monitor.core.evaluation import Evaluation
from monitor.core.memory_store import MemoryStore
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.warning_codes import WarningCode
from tests.judgement.stories.stage import START
from tests.judgement.worlds import world

LENGTHS = (0.0, 0.3, 0.3, 1e-300, -1.0, -1e9, 1e9, 1e300, 86_400.0, 86_401.0, 2**70, float("nan"), float("inf"))
COUNTS = (0, 1, 200, 404, 503, -1, 2**31, 2**63, 2**70, -(2**70), 10**30)
TEXTS = (
    "",
    "a",
    "\u670d\u52a1\u5668 \U0001f680",
    "\x00",
    "half \ud800 a pair",
    "\udfff\ud800",
    "\u202e\u2066\u200b\ufeff",
    "'; DROP TABLE series; --",
    '%s {} \\ " \n \r \x1b[31m',
    "e\u0301" * 50,
)
TIMES = (
    "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59.999999+00:00",
    "1970-01-01T00:00:00+00:00",
    "1969-12-31T23:59:59.999999+00:00",
    "8999-12-31T00:00:00+00:00",
    "2026-01-05T08:00:00+14:00",
    "0001-01-01T00:00:00+14:00",
    "2038-01-19T03:14:08+00:00",
)
YEARS = timedelta(days=366)


class Nasty:
    """Draws looks of one catalogue; its clock mostly goes on, and now and then jumps by years."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.now = rng, START
        self.catalogue: Catalogue = world(rng, START)
        self.ahead: datetime | None = None
        """Where the clock was before it was set back."""
        self.mood = [Reason.OK]
        """What most looks find for a while, so that there are incidents with a beginning and an end."""
        self.refused = 0
        """Lines that the codec did not take for a result."""

    def looks(self, count: int) -> Iterator[Result]:
        """Yield so many looks that the codec lets in."""
        while count:
            # As another process might write it: with what is no JSON, and with raw text or escapes.
            line = json.dumps(self.line(), ensure_ascii=self.rng.random() < 0.5).encode("utf-8", "surrogatepass")
            try:
                yield loads_result(line)
            except CodecError:
                self.refused += 1
            else:
                count -= 1

    def passes(self) -> datetime:
        """Let time pass; returns what the clock says."""
        rng = self.rng
        self.now += timedelta(seconds=rng.choice((0, 0, 0.000001, 1, 1, 10, 30, 300)))
        if self.ahead is not None:
            if rng.random() < 0.03:  # what lies ahead was judged: nothing counts until then
                self.now, self.ahead = self.ahead, None
        elif rng.random() < 0.0005:
            self.now += rng.choice((1, 5)) * YEARS
        elif rng.random() < 0.0005:
            self.ahead, self.now = self.now, max(EARLIEST, self.now - rng.choice((1, 90)) * YEARS)
        return self.now

    def text(self) -> str:
        rng = self.rng
        return rng.choice(TEXTS) * (rng.choice((1, 1, 1, 400, 4000)) if rng.random() < 0.02 else 1)

    def time(self) -> str:
        return self.rng.choice(TIMES) if self.rng.random() < 0.3 else self.now.isoformat()

    def maybe(self, ratio: float, name: str, make: Callable[[], Any]) -> dict[str, Any]:
        return {name: make()} if self.rng.random() < ratio else {}

    def number(self) -> float:
        return self.rng.choice(LENGTHS)

    def count(self) -> int:
        return self.rng.choice(COUNTS)

    def line(self) -> dict[str, Any]:
        """Return a look as JSON."""
        rng, now = self.rng, self.passes()
        probe = rng.choice(self.catalogue.probes)
        place = rng.choice(probe.locations)
        run: dict[str, Any] = {"probe": probe.id, "location": place, "tick": now.isoformat()}
        run |= self.maybe(0.02, "probe", self.text)
        run |= self.maybe(0.02, "location", self.text)
        run |= self.maybe(0.01, "tick", self.time)
        run |= self.maybe(0.2, "attempt", lambda: rng.choice((1, 2, 3, 3, 9, self.count())))
        duration = rng.choice(LENGTHS) if rng.random() < 0.1 else 0.3
        started = self.time() if rng.random() < 0.02 else now.isoformat()
        return {"run": run, "started_at": started, "duration_s": duration, "observation": self.observation()}

    def observation(self) -> dict[str, Any]:
        rng = self.rng
        if rng.random() < 0.01:
            self.mood = rng.choice(([Reason.OK], [Reason.SERVER_ERROR], [Reason.CONNECT], [Reason.OK, Reason.STATUS]))
        reason = rng.choice(self.mood if rng.random() < 0.9 else list(Reason))
        seen: dict[str, Any] = {"reason": reason.value}
        seen |= self.maybe(0.3, "detail", self.text)
        seen |= self.maybe(0.1, "http_status", self.count)
        seen |= self.maybe(0.05, "bytes_received", self.count)
        seen |= self.maybe(0.05, "address", self.text)
        seen |= self.maybe(0.05, "http_version", self.text)
        seen |= self.maybe(0.05, "retry_after_s", self.number)
        seen |= self.maybe(0.1, "phases", lambda: {"wait_s": self.number(), "loop_lag_s": self.number()})
        seen |= self.maybe(0.05, "chat", self.chat)
        seen |= self.maybe(0.02, "warnings", self.warnings)
        seen |= self.maybe(0.02, "evidence", lambda: {"url": self.text(), "headers": {self.text(): self.text()}})
        seen |= self.maybe(0.03, "certificate", self.certificate)
        seen |= self.maybe(0.05, "registration", lambda: [self.reading() for _ in range(rng.choice((1, 2, 30)))])
        seen |= self.maybe(0.05, "upstream", self.page)
        return seen

    def chat(self) -> dict[str, Any]:
        rng = self.rng
        counts = {name: rng.choice(COUNTS) for name in ("output_tokens", "keepalives", "chunks")}
        lengths = {name: rng.choice(LENGTHS) for name in ("ttft_s", "tokens_per_s", "cost_usd")}
        return counts | lengths | {"model": self.text(), "finish_reason": self.text()}

    def warnings(self) -> list[str]:
        rng = self.rng
        many = [rng.choice(list(WarningCode)).value for _ in range(rng.choice((1, 3)))]
        return [*many, *[self.text()] * rng.choice((1, 3, 3000)), f"{many[0]}: {self.text()}"]

    def certificate(self) -> dict[str, Any]:
        words = {"subject": self.text(), "issuer": self.text(), "fingerprint_sha256": self.text(), "trusted": True}
        return words | {"not_after": self.time(), "chain_not_after": self.time()}

    def reading(self) -> dict[str, Any]:
        rng = self.rng
        found: dict[str, Any] = {
            "method": rng.choice(list(Method)).value,
            "state": rng.choice(list(Registration)).value,
            "source": rng.choice(list(Source)).value,
        }
        found |= self.maybe(0.3, "country_codes", lambda: [self.text()])
        return found | {"excerpt": self.text(), "url": self.text()}

    def page(self) -> dict[str, Any]:
        rng = self.rng
        update = {"at": self.time(), "status": rng.choice((None, *[item.value for item in IncidentStatus]))}
        incident = {
            "id": self.text(),
            "name": self.text(),
            "status": None,
            "impact": rng.choice(list(Impact)).value,
            "started_at": self.time(),
            "resolved_at": rng.choice((None, self.time())),
            "updates": [update | {"body": self.text()}] * rng.choice((0, 1, 2)),
        }
        page = {"provider": self.text(), "page_url": self.text(), "indicator": rng.choice(list(Health)).value}
        return page | {"incidents": [incident], "components": {self.text(): "operational"}}


def judge_in_memory(rng: Random, count: int) -> MemoryStore:
    """Judge so many looks in memory, with time passing between."""
    nasty, store = Nasty(rng), MemoryStore()
    store.publish(nasty.catalogue, START)
    evaluation = Evaluation(store)
    for result in nasty.looks(count):
        takeable = plausible(result)
        if takeable is not None:
            evaluation.on_look(takeable, nasty.now if rng.random() < 0.05 else None)
        if rng.random() < 0.03:
            evaluation.on_time(nasty.passes())
    return store


def record(engine: Engine, rng: Random, count: int, batch: int = 250) -> flow.Recorded:
    """Record so many looks, with time passing between; returns what came of them."""
    nasty, done = Nasty(rng), flow.Recorded()
    flow.publish_catalogue(engine, nasty.catalogue, START)
    while count:
        size = min(count, rng.randint(1, batch))
        results = list(nasty.looks(size))
        count -= size
        done.add(flow.record(engine, results, nasty.passes(), backfill=rng.random() < 0.1))
        if rng.random() < 0.5:
            done.add(flow.sweep(engine, nasty.passes()))
    return done
