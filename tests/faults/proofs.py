"""Rows that tests play: the tests are run as they are, and a line holds if all of its tests passed."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from xml.etree import ElementTree

from tests.doors.running import ROOT
from tests.faults.rows import Proof, Told

LIMIT_S = 1800.0
PASSED = ""
LEFT_OUT = "left out of a quick run"


def place(test: str) -> tuple[str, str]:
    """Return the module and the test that a name stands for; no test stands for all of the file."""
    file, _, name = test.partition("::")
    return "tests." + file.removesuffix(".py").replace("/", "."), name


async def run(tests: Collection[str], quick: bool) -> dict[str, str]:
    """Run tests in one process and return what became of each: :data:`PASSED`, or why not.

    A quick run leaves out those that take more than a second.
    """
    with tempfile.TemporaryDirectory() as home:
        report = Path(home) / "report.xml"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"),
            *(("-m", "not slow") if quick else ()),
            *(f"tests/{test}" for test in sorted(set(tests))),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await asyncio.wait_for(process.wait(), LIMIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        if not report.exists():
            return dict.fromkeys(tests, "the tests could not be run")
        cases = read(ElementTree.parse(report).getroot())
    return {test: outcome(test, cases, LEFT_OUT if quick else "not found") for test in tests}


def read(report: ElementTree.Element) -> dict[tuple[str, str], list[str]]:
    """Return what a report says: (module or class, test without its parameters) → outcomes."""
    found: dict[tuple[str, str], list[str]] = {}
    for case in report.iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        told = PASSED
        if bad:
            told = f"{bad[0].tag}: {(bad[0].get('message') or '').splitlines()[0][:120]}"
        name = case.get("name", "").partition("[")[0]
        found.setdefault((case.get("classname", ""), name), []).append(told)
    return found


def outcome(test: str, cases: Mapping[tuple[str, str], Collection[str]], otherwise: str = "not found") -> str:
    """Return what became of one test, or of all tests of a file or class."""
    module, name = place(test)
    mine = [
        told
        for (where, which), outcomes in cases.items()
        for told in outcomes
        if (where, which) == (module, name) or (where == f"{module}.{name}") or (not name and where == module)
    ]
    if not mine:
        return otherwise
    return next((told for told in mine if told), PASSED)


def told(proof: Proof, outcomes: Mapping[str, str]) -> Told:
    """Return the line of a proof."""
    became = {test: outcomes[test] for test in proof.tests}
    if bad := [f"{test}: {why}" for test, why in became.items() if why not in (PASSED, LEFT_OUT)]:
        return Told(proof.fault, None, "", "; ".join(bad), kept=False)
    if LEFT_OUT in became.values():
        return Told(proof.fault, None, "", LEFT_OUT)
    return Told(proof.fault, None, proof.lost, proof.recovered, proof.noticed)
