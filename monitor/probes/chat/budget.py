"""What a chat probe may spend, and which rung of the ladder the next look climbs. A pure decision.

edge → list of models → one short answer → one long answer. The first two cost nothing. Until an answer has proved that
the service works, every look asks for one; afterwards each rung has its interval. When less than half of the day's
budget is left the asks are spread over the rest of the day (UTC); when an ask can no longer be afforded, only the edge
is looked at and the look says so. A failure may use the budget down to a tenth at full pace. The
ledger outlives a restart and goes with its probe from worker to worker, so a budget is per probe and location.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from monitor.core.model.message_codes import MessageCode, coded

DAY_S = 86_400.0
SLOW_DOWN_BELOW = 0.5
SLOW_DOWN_BELOW_WHEN_FAILING = 0.1
PROMPT_TOKENS = 40
"""More than any question in words needs, with the chat template around it."""
FORM_TOKENS = 700
"""More than one with a tool or a schema needs: vendors put pages of their own before them (Anthropic about 500)."""

VECTOR_TOKENS = 100
"""More than the sentences to embed have; an embedding has no tokens of its own."""


class Rung(StrEnum):
    """How far one look goes."""

    EDGE = "edge"
    MODELS = "models"
    SHORT = "short"
    LONG = "long"

    @property
    def asks(self) -> bool:
        """True when it costs tokens."""
        return self in (Rung.SHORT, Rung.LONG)


@dataclass(frozen=True, slots=True)
class Plan:
    """The budget and the intervals, from the options. ``None`` means without limit, or never."""

    tokens_day: int | None
    usd_day: float | None
    usd_per_input_token: float
    usd_per_output_token: float
    models_every_s: float | None
    short_every_s: float
    long_every_s: float | None
    short_tokens: int
    long_tokens: int
    asks: bool
    prompt_tokens: int = PROMPT_TOKENS

    @property
    def has_prices(self) -> bool:
        """True when the cost of an ask is known."""
        return self.usd_per_input_token > 0 or self.usd_per_output_token > 0

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return the price of one ask in US dollars."""
        return input_tokens * self.usd_per_input_token + output_tokens * self.usd_per_output_token

    def worst(self, rung: Rung) -> tuple[int, float]:
        """Return the most tokens and dollars that a rung can cost."""
        output = {Rung.SHORT: self.short_tokens, Rung.LONG: self.long_tokens}.get(rung)
        return (0, 0.0) if output is None else (self.prompt_tokens + output, self.cost(self.prompt_tokens, output))

    def questions_a_day(self, interval_s: float) -> tuple[float, float]:
        """Return how many short questions a day a grid of ``interval_s`` plans, and how many the budget allows.

        A long question counts as as many short ones as it costs.
        """
        (tokens, usd), (long_tokens, long_usd) = self.worst(Rung.SHORT), self.worst(Rung.LONG)
        planned = DAY_S / max(interval_s, self.short_every_s)
        if self.long_every_s is not None:
            weight = max(long_tokens / tokens, long_usd / usd if usd else 0.0)
            planned += (
                DAY_S / max(interval_s, self.long_every_s) * max(0.0, weight - (self.short_every_s <= interval_s))
            )
        allowed = [self.tokens_day / tokens] if self.tokens_day is not None else []
        allowed += [self.usd_day / usd] if self.usd_day is not None and usd else []
        return planned, min(allowed, default=math.inf)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent today and when each rung was last climbed (Unix seconds)."""

    day: str = ""
    tokens: int = 0
    usd: float = 0.0
    asks: int = 0
    proven: bool = False
    """The last ask was answered well, so that a cheaper rung may speak for the service in between."""
    last: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, stored: Any, now: datetime) -> Ledger:
        """Return the stored ledger, its sums zeroed when a new UTC day has begun."""
        ledger = _known(stored) or cls(last={Rung.MODELS: now.timestamp(), Rung.LONG: now.timestamp()})
        day = now.astimezone(UTC).date().isoformat()
        return ledger if ledger.day == day else replace(ledger, day=day, tokens=0, usd=0.0, asks=0)

    def climbed(self, rung: Rung, now: datetime, *, tokens: int = 0, usd: float = 0.0) -> Ledger:
        """Return the ledger after a look."""
        return replace(
            self,
            tokens=self.tokens + tokens,
            usd=self.usd + usd,
            asks=self.asks + rung.asks,
            last={**self.last, rung: now.timestamp()},
        )

    def stored(self) -> dict[str, Any]:
        """Return what :meth:`read` takes."""
        return asdict(self)


def joined(newer: Any, older: Any, now: datetime) -> dict[str, Any]:
    """Return the newer of two stored ledgers of one budget, with whichever sums are higher."""
    one, other = Ledger.read(newer, now), Ledger.read(older, now)
    return replace(
        one, tokens=max(one.tokens, other.tokens), usd=max(one.usd, other.usd), asks=max(one.asks, other.asks)
    ).stored()


def cut_off(plan: Plan, ledger: Ledger, now: datetime) -> Ledger:
    """Return the ledger with the question that its keeper may have been asking when it died, at the highest price."""
    rung = choose(plan, ledger, now).rung
    tokens, usd = plan.worst(rung)
    return replace(ledger, tokens=ledger.tokens + tokens, usd=ledger.usd + usd, asks=ledger.asks + rung.asks)


def _known(stored: Any) -> Ledger | None:
    """Return a stored ledger; ``None`` for what an older version, or somebody else, wrote."""
    try:
        ledger = Ledger(**stored)
        sound = ledger.tokens >= 0 and ledger.usd >= 0 and all(at >= 0 for at in ledger.last.values())
    except (TypeError, AttributeError):
        return None
    return ledger if sound and isinstance(ledger.day, str) else None


class Choice(NamedTuple):
    """The rung to climb; ``spent`` says why it is not a higher one."""

    rung: Rung
    spent: str = ""


def choose(plan: Plan, ledger: Ledger, now: datetime, *, early: bool = False) -> Choice:
    """Choose the rung for the look at *now*; an ``early`` one climbs as high as the look before it.

    So a failed question is repeated as one, since the edge cannot tell what it was about, and a free look that failed
    by chance costs nothing.
    """
    if not plan.asks:
        return Choice(Rung.EDGE)
    rung = _again(ledger) if early else _due(plan, ledger, now)
    if rung is Rung.LONG and not _affordable(plan, ledger, rung):
        rung = Rung.SHORT
    if not rung.asks:
        return Choice(rung)
    if not _affordable(plan, ledger, rung):
        return Choice(Rung.EDGE, coded(MessageCode.BUDGET_SPENT, spent=spent(plan, ledger)))
    wait_s = _pause(plan, ledger, rung, now)
    if wait_s <= 0:
        return Choice(rung)
    slowed = coded(MessageCode.BUDGET_SLOWED, spent=spent(plan, ledger), minutes=round(wait_s / 60))
    return Choice(Rung.EDGE, "" if ledger.proven else slowed)


def _again(ledger: Ledger) -> Rung:
    """Return the rung of the look before, a short question for a long one, and if nothing is proven any more."""
    climbed = [(ledger.last[rung], rung.asks, rung) for rung in Rung if rung in ledger.last]
    newest = max(climbed)[-1] if climbed else Rung.SHORT
    return Rung.SHORT if newest.asks or not ledger.proven else newest


def _due(plan: Plan, ledger: Ledger, now: datetime) -> Rung:
    if not ledger.proven:
        return Rung.SHORT
    if _is_due(plan.long_every_s, ledger, Rung.LONG, now):
        return Rung.LONG
    if _is_due(plan.models_every_s, ledger, Rung.MODELS, now):
        return Rung.MODELS
    return Rung.SHORT if _is_due(plan.short_every_s, ledger, Rung.SHORT, now) else Rung.EDGE


def _is_due(every_s: float | None, ledger: Ledger, rung: Rung, now: datetime) -> bool:
    since_s = now.timestamp() - ledger.last.get(rung, 0.0)
    # Half a second of tolerance: a probe on a grid of the same interval must not skip every other tick.
    return every_s is not None and not 0 <= since_s < every_s - 0.5


def left(plan: Plan, ledger: Ledger) -> float:
    """Return which share of the day's budget is left, 0 to 1: the scarcer of tokens and money."""
    shares = [1 - ledger.tokens / plan.tokens_day] if plan.tokens_day else []
    shares += [1 - ledger.usd / plan.usd_day] if plan.usd_day else []
    return max(0.0, min(shares, default=1.0))


def spent(plan: Plan, ledger: Ledger) -> str:
    """Say what was spent of what, for people."""
    parts = [f"{ledger.tokens} / {plan.tokens_day} tokens"] if plan.tokens_day else []
    parts += [f"${ledger.usd:.4f} / ${plan.usd_day:.2f}"] if plan.usd_day else []
    return ", ".join(parts)


def _affordable(plan: Plan, ledger: Ledger, rung: Rung) -> bool:
    tokens, usd = plan.worst(rung)
    fits_tokens = plan.tokens_day is None or ledger.tokens + tokens <= plan.tokens_day
    return fits_tokens and (plan.usd_day is None or ledger.usd + usd <= plan.usd_day)


def _pause(plan: Plan, ledger: Ledger, rung: Rung, now: datetime) -> float:
    """Return how long to wait before the next ask so that the rest of the budget lasts until midnight UTC."""
    share = left(plan, ledger)
    if share >= (SLOW_DOWN_BELOW if ledger.proven else SLOW_DOWN_BELOW_WHEN_FAILING):
        return 0.0
    tokens, usd = plan.worst(rung)
    mean_tokens = ledger.tokens / ledger.asks if ledger.asks else tokens
    mean_usd = ledger.usd / ledger.asks if ledger.asks else usd
    asks = [(plan.tokens_day - ledger.tokens) / mean_tokens] if plan.tokens_day and mean_tokens else []
    asks += [(plan.usd_day - ledger.usd) / mean_usd] if plan.usd_day and mean_usd else []
    gap_s = _rest_of_day_s(now) / max(min(asks, default=1.0), 1.0)
    last = max(ledger.last.get(Rung.SHORT, 0.0), ledger.last.get(Rung.LONG, 0.0) if ledger.asks else 0.0)
    return last + gap_s - now.timestamp()


def _rest_of_day_s(now: datetime) -> float:
    utc = now.astimezone(UTC)
    midnight = utc.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - utc).total_seconds()
