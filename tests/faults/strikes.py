"""Rows 1 to 20 as far as the simulated vendor can do them: one fault at a time under a running worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from monitor import clock
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from tests.faults.rows import Live, Told
from tests.faults.stage import BrokenError, Stage, stage, tally

GOOD = (Outcome.OK, Outcome.SLOW)


@dataclass(frozen=True)
class Strike:
    """A fault of the vendor, and the reasons one of which the first look that meets it must have."""

    fault: str
    reasons: tuple[Reason, ...]
    probe: str = "page"
    """``page`` or ``chat``."""
    trouble: tuple[tuple[str, Any], ...] = ()
    """Words of the vendor's state; empty takes the vendor's port away."""
    warns: str = ""
    """A warning that the look bears instead of failing."""


def strike(fault: str, words: str, *reasons: Reason, probe: str = "page", warns: str = "", **more: Any) -> Strike:
    """Return a strike by the word of the simulated vendor's fault."""
    return Strike(fault, reasons, probe, (("fault", words), *more.items()), warns)


async def played(on: Stage, one: Strike) -> Told:
    """Let a fault happen and end; the first look that begins in it must name it, and nobody else notices."""
    endpoint, name = ("web", "sim-page") if one.probe == "page" else ("chat", "sim-chat")
    await on.settled()
    since = clock.now()
    if one.trouble:
        on.vendor.set("", **{endpoint: dict(one.trouble)})
    else:
        await on.vendor.refuse()
    met = await on.look(name, since)
    noticed_s = (met.started_at - since).total_seconds() + met.duration_s
    calm = clock.now()
    if one.trouble:
        on.vendor.set("", **{endpoint: {"fault": "none"}})
    else:
        await on.vendor.listen()
    back = await on.look(name, calm, lambda result: result.outcome in GOOD)
    recovered_s = (back.started_at - calm).total_seconds() + back.duration_s
    stored = on.results(since - timedelta(seconds=10))
    lost = tally(stored, on.config, since, calm)
    _as_it_should_be(one, met, [r for r in stored if r.run.probe == "other-page" and since <= r.started_at <= calm])
    told = one.warns or met.reason
    return Told(
        one.fault, noticed_s, str(lost), f"by itself, good again {recovered_s:.1f} s after its end", f"as {told}"
    )


def _as_it_should_be(one: Strike, met: Result, others: Sequence[Result]) -> None:
    if one.warns:
        if one.warns not in met.observation.warnings:
            raise BrokenError(f"told as {met.reason} {list(met.observation.warnings)}")
    elif met.reason not in one.reasons:
        raise BrokenError(f"told as {met.reason} instead of {' or '.join(one.reasons)}")
    if {result.outcome for result in others} - {*GOOD, Outcome.MISSED}:
        raise BrokenError("the other vendor was struck as well")


def striking(*strikes: Strike) -> Live:
    """Return the player of a row: every strike on one worker, one after the other; the first alone if ``quick``."""

    async def play(home: Path, quick: bool) -> AsyncIterator[Told]:
        async with stage(home) as on:
            for one in strikes[:1] if quick else strikes:
                try:
                    yield await played(on, one)
                except BrokenError as error:
                    yield Told(one.fault, None, "", str(error), kept=False)
                    on.vendor.set(web={"fault": "none"}, chat={"fault": "none"})

    return Live(play)
