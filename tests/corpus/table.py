"""Asks everybody and writes ``docs/corpus.md``: each difference between Chatwatch and the others, explained."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome
from monitor.wire import Wire
from tests.corpus.explaining import explanation
from tests.corpus.keeping import Kept, kept
from tests.corpus.oracles import ORACLES, Said, versions
from tests.corpus.replaying import look_at, staged, told
from tests.edges.hostile import LOOPBACK

PAGE = Path(__file__).parent.parent.parent / "docs" / "corpus.md"


def verdict(seen: Observation) -> str:
    """Return what Chatwatch makes of an answer: up, down or unknown."""
    outcomes = {Outcome.OK: "up", Outcome.SLOW: "up", Outcome.FAILED: "down"}
    return outcomes.get(seen.outcome, "unknown")


async def ask_all(answers: list[Kept]) -> tuple[list[Observation], dict[str, dict[str, Said]]]:
    """Look at every answer and let the others look at it."""
    async with staged(answers) as stage:
        wire = Wire(allow_networks=LOOPBACK, ca_file=str(stage.ca_file))
        seen = [await look_at(one, stage, wire) for one in answers]
        return seen, {name: await ask(answers, stage) for name, ask in ORACLES.items()}


Differences = dict[str, tuple[str, str, list[str]]]
"""Answer and explanation → what Chatwatch said, the explanation, what others said."""


def make(*, write: bool) -> int:
    """Make the table; returns 1 if a difference is unexplained or a look not as expected."""
    answers = kept()
    seen, others = asyncio.run(ask_all(answers))
    wrong = [one.name for one, look in zip(answers, seen, strict=True) if told(look) != one.expected]
    found: Differences = {}
    unexplained, agreed, asked = [], Counter[str](), Counter[str]()
    for one, look in zip(answers, seen, strict=True):
        for tool, said in ((tool, said[one.name]) for tool, said in others.items() if one.name in said):
            name = one.kind.replace("chat", "openai") if tool == "library" else tool
            asked[name] += 1
            ours = verdict(look)
            if ours != "unknown" and (ours == "up") == said.served:
                agreed[name] += 1
            elif why := explanation(one, look, name, said):
                _, _, told_by = found.setdefault(f"{one.name} {why}", (told(look), why, []))
                told_by.append(f"{name}: {said.words}")
            else:
                unexplained.append(f"{one.name}: {told(look)}, {name} {said}; {look.detail}")
    print("\n".join((*wrong, *unexplained)))
    print(f"{len(wrong)} not as expected, {len(unexplained)} differences without an explanation")
    if write:
        PAGE.write_text(page(answers, found, agreed, asked, asyncio.run(versions())), encoding="utf-8")
    return int(bool(wrong or unexplained))


HEAD = """# The corpus: what others make of the same bytes

Made by `python -m tests.corpus table`, at each release; do not edit. Every answer under `tests/corpus/answers` is
replayed, byte for byte, to Chatwatch and to whoever else reads such answers. The suite replays all of them through
Chatwatch at every commit; the others are asked at a release only, after `make corpus`. `python -m tests.corpus capture`
starts the servers that are installed and captures their answers anew.
"""


def page(
    answers: list[Kept], found: Differences, agreed: Counter[str], asked: Counter[str], tools: dict[str, str]
) -> str:
    """Return the page."""
    captured, kinds = sum(one.is_captured for one in answers), Counter(one.kind for one in answers)
    lines = [
        HEAD,
        f"{len(answers)} answers, {captured} of them captured from servers that ran here, the others written",
    ]
    lines += [
        "after public records: " + ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) + ".",
        "",
    ]
    lines += ["| asked | version | answers | as Chatwatch | otherwise |", "|---|---|---|---|---|"]
    for name in sorted(asked):
        other = asked[name] - agreed[name]
        lines.append(f"| {name} | {tools.get(name, '')} | {asked[name]} | {agreed[name]} | {other} |")
    lines += ["", "*As Chatwatch*: up (OK or SLOW) and served, or down (FAILED) and not. What is ours is unknown", ""]
    lines[-2] += " with us and has no counterpart elsewhere."
    reasons = [why for why, _ in Counter(why for _, why, _ in found.values()).most_common()]
    lines += ["## Why", "", *(f"{number}. {why}." for number, why in enumerate(reasons, 1)), ""]
    lines += [
        "## Differences",
        "",
        "No unexplained ones: the command fails at one. The last column is the number above.",
        "",
    ]
    lines += ["| answer | Chatwatch | others | why |", "|---|---|---|---|"]
    for key, (ours, why, told_by) in found.items():
        lines.append(f"| {key.split(' ')[0]} | {ours} | {', '.join(told_by)} | {reasons.index(why) + 1} |")
    lines += ["", "## Servers", "", "| server | version | answers |", "|---|---|---|"]
    servers, counted = {one.server: one.version for one in answers}, Counter(one.server for one in answers)
    lines += [f"| {server} | {version} | {counted[server]} |" for server, version in sorted(servers.items())]
    return "\n".join(lines) + "\n"
