"""The floors and habits of the house, run as tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("monitor/**/*.py"), *ROOT.glob("dashboard/**/*.py")])
CLOCK = re.compile(
    r"datetime\.(now|utcnow|today)\(|date\.today\(|\btime\.(time|time_ns|sleep|monotonic|monotonic_ns|perf_counter)\("
)
OTHER_CLOCKS = {
    "monitor/clock.py",  # the reader of time itself
}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_import_goes_down_the_floors() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_clock_reads_the_time(path: Path) -> None:
    if str(path.relative_to(ROOT)) in OTHER_CLOCKS:
        return
    found = [line for line in path.read_text(encoding="utf-8").splitlines() if CLOCK.search(line)]
    assert not found


def test_no_room_and_no_function_grows_without_a_limit() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in SOURCES
        if "migrations" not in path.parts and (lines := path.read_text(encoding="utf-8").count("\n")) > 500
    ]
    long += [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in SOURCES
        if "migrations" not in path.parts
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > 60
    ]
    assert not long


def test_no_test_replaces_a_real_part() -> None:
    words = ("unittest" + ".mock", "Magic" + "Mock", "monkeypatch" + ".setattr", "mock" + ".patch")
    found = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/**/*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    ]
    assert not found
