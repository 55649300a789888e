"""The month of faults at random: what came of it."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monitor import clock
from monitor.core.model.reasons import Outcome
from monitor.store.reads.views import IncidentView
from tests.faults.fate import EVERY, T0, Month, Struck, run
from tests.faults.stage import Tally, tally

DAYS, QUICK_DAYS = 31, 2
MISSED = Outcome.MISSED


def conclude(month: Month, incidents: list[IncidentView]) -> list[dict[str, Any]]:
    """Return the lines of the table: each kind of fault with what came of it."""
    rows = []
    for one in month.struck:
        one.noticed = min((max(view.detected_at, one.start) for view in incidents if _tells(view, one)), default=None)
    for fault in dict.fromkeys(one.fault for one in [*month.struck, *month.ours]):
        mine = [one for one in [*month.struck, *month.ours] if one.fault == fault]
        after = [(one.noticed - one.start).total_seconds() / 60 for one in mine if one.noticed]
        rows.append(
            {
                "fault": fault,
                "played": len(mine),
                "noticed": len(after),
                "median": f"{statistics.median(after):.0f} min" if after else "",
                "worst": f"{max(after):.0f} min" if after else "",
            }
        )
    return rows


@dataclass(frozen=True)
class Outcomes:
    """What the whole month came to."""

    days: int
    looks: int
    acknowledged: int
    lost: int
    """Acknowledged looks that the database lacks in the end, or holds as missed."""
    given_up: int
    """Of such looks, those between a backup that was put back and the damage: not counted as lost."""
    ticks: Tally
    outages: int
    incidents: int
    unnoticed: int
    """Faults of a vendor without an incident, but for those while we could not look, or given up."""
    unfounded: int
    """Incidents without a fault."""
    seconds: int

    @property
    def held(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.ticks.without or self.unnoticed or self.unfounded)

    def __str__(self) -> str:
        return (
            f"{self.days} days in {self.seconds} s: {self.acknowledged:,} looks acknowledged, {self.lost} lost, "
            f"{self.given_up} given up, as they came after the backup that was put back; "
            f"{self.ticks.ticks:,} ticks, {self.ticks.without} without a record, {self.ticks.missed} recorded as "
            f"missed; {self.outages} outages, {self.unnoticed} unnoticed; {self.incidents} incidents, "
            f"{self.unfounded} unfounded"
        )


def main(quick: bool, as_json: bool) -> bool:
    """Play the month and print what came of it; returns whether every promise held."""
    began_s, days = clock.monotonic(), QUICK_DAYS if quick else DAYS
    with tempfile.TemporaryDirectory() as home:
        month, results, incidents = asyncio.run(run(Path(home), days))
    stored = {result.run: result.outcome for result in results}
    rows = conclude(month, incidents)
    gone = [run for run, was in month.sent.items() if was is not MISSED and stored.get(run, MISSED) is MISSED]
    given_up = sum(any(start - EVERY <= run.tick <= end for start, end in month.given_up) for run in gone)
    told = Outcomes(
        days=days,
        looks=len(results),
        acknowledged=len(month.sent),
        lost=len(gone) - given_up,
        given_up=given_up,
        ticks=tally(results, month.config, T0 + EVERY, max(result.run.tick for result in results) - EVERY),
        outages=len(month.struck),
        incidents=len(incidents),
        unnoticed=sum(one.noticed is None and not _in_the_dark(month, one) for one in month.struck),
        unfounded=sum(not any(_tells(view, one) for one in month.struck) for view in incidents),
        seconds=round(clock.monotonic() - began_s),
    )
    if as_json:
        strokes = [asdict(one) for one in [*month.struck, *month.ours]]
        seen = [(view.service, view.started_at, view.resolved_at) for view in incidents]
        told_all = {"month": asdict(told), "rows": rows, "strokes": strokes, "incidents": seen}
        print(json.dumps(told_all, default=str))
    else:
        print(f"\n## At random over {days} days\n\n{told}\n")
        print("| fault | played | noticed | median | worst |\n|---|---|---|---|---|")
        for row in rows:
            print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return told.held


def _tells(view: IncidentView, one: Struck) -> bool:
    """Say whether an incident is about a fault: it began or went on while the fault lasted."""
    begun = view.service == one.service and view.started_at <= one.end + EVERY
    return begun and (view.resolved_at is None or view.resolved_at >= one.start)


def _in_the_dark(month: Month, one: Struck) -> bool:
    """Say whether we could not see for some of the time, or gave up what we saw: then a fault need not be told."""
    blind = [ours for ours in month.ours if ours.fault in ("own network lost", "worker away", "machine asleep")]
    given_up = any(start - EVERY <= one.start and one.end <= end + EVERY for start, end in month.given_up)
    return given_up or any(ours.start < one.end and one.start < ours.end + EVERY for ours in blind)
