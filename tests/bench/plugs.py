"""Every row of the fault catalogue, alone and at random over a month: ``python -m tests.bench plugs``.

Prints a line per fault: when it was noticed, what was lost, how it was recovered. Some faults are played on a running
worker here, others by the tests that play them anyway; ``--only ROW`` picks rows, ``--only month`` the month.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults import month, proofs
from tests.faults.catalogue import CHAPTERS, ROWS
from tests.faults.rows import Live, Proof, Row, Told
from tests.faults.stage import BrokenError

HEAD = "| row | fault | noticed after | lost | recovered how |\n|---|---|---|---|---|"


def chosen(only: Iterable[str]) -> tuple[Row, ...]:
    """Return the rows of these numbers, or all; raises ``SystemExit`` for one that is not in the catalogue."""
    wanted = set(only)
    if unknown := wanted - {str(row.number) for row in ROWS} - {"month"}:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; there are 1 to {len(ROWS)}, and month")
    return tuple(row for row in ROWS if not wanted or str(row.number) in wanted)


async def lines(row: Row, outcomes: dict[str, str], quick: bool) -> AsyncIterator[Told]:
    """Play a row and yield its lines."""
    for player in row.players:
        match player:
            case Proof():
                yield proofs.told(player, outcomes)
            case Live(play):
                with tempfile.TemporaryDirectory() as home:
                    try:
                        async for told in play(Path(home), quick):
                            yield told
                    except (BrokenError, AssertionError) as error:
                        yield Told(row.fault, None, "", str(error).partition("\n")[0], kept=False)
                    except pytest.skip.Exception as error:
                        yield Told(row.fault, None, "", f"not played: {error}", kept=False)


async def play(rows: Collection[Row], quick: bool, as_json: bool) -> bool:
    """Play rows in order and print each line when it is known; returns whether all held."""
    held = True
    for chapter, inside in CHAPTERS.items():
        mine = [row for row in inside if row in rows]
        if mine and not as_json:
            print(f"\n## {chapter}\n\n{HEAD}", flush=True)
        proven = [player for row in mine for player in row.players if isinstance(player, Proof)]
        wanted = [test for proof in proven for test in proof.tests]
        outcomes = await proofs.run(wanted, quick) if wanted else {}
        for row in mine:
            async for told in lines(row, outcomes, quick):
                held = held and told.kept
                show(row, chapter, told, as_json)
    return held


def show(row: Row, chapter: str, told: Told, as_json: bool) -> None:
    """Print one line of the table."""
    if as_json:
        named = {"row": row.number, "chapter": chapter, "catalogue": row.fault}
        print(json.dumps(named | asdict(told)), flush=True)
        return
    recovered = told.recovered if told.kept else f"**DOES NOT HOLD**: {told.recovered}"
    print(f"| {row.number} {row.fault} | {told.fault} | {told.noticed_text} | {told.lost} | {recovered} |", flush=True)


def main(quick: bool, as_json: bool = False, only: Collection[str] = ()) -> None:
    """Print the tables; ends with 1 if a promise did not hold."""
    logging.getLogger("chatwatch").setLevel(logging.CRITICAL)
    rows = chosen(only)
    held = not rows or asyncio.run(play(rows, quick, as_json))
    if not only or "month" in only:
        held = month.main(quick, as_json) and held
    if not held:
        sys.exit(1)
