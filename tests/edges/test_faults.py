"""The fault catalogue: every row has somebody who plays it, and its table is that of the run."""

from __future__ import annotations

import ast
import re

import pytest

from tests.bench import plugs
from tests.doors.running import ROOT
from tests.faults import proofs
from tests.faults.catalogue import ROWS
from tests.faults.rows import Proof, Told

PROOFS = [player for row in ROWS for player in row.players if isinstance(player, Proof)]


def test_every_row_of_the_catalogue_has_a_player() -> None:
    assert [row.number for row in ROWS] == list(range(1, 73))
    assert [row.number for row in ROWS if not row.players] == []
    assert len({row.fault for row in ROWS}) == len(ROWS)


def test_every_test_that_plays_a_row_is_there() -> None:
    named = sorted({test for proof in PROOFS for test in proof.tests})
    files = {test.partition("::")[0] for test in named}
    trees = {file: ast.parse((ROOT / "tests" / file).read_text()) for file in files}
    there = {
        file: {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        | {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
        for file, tree in trees.items()
    }
    gone = [test for test in named for file, _, name in [test.partition("::")] if name and name not in there[file]]
    assert gone == []


def test_a_line_of_tests_holds_only_if_all_of_them_passed() -> None:
    proof = Proof("a fault", "at once", "nothing", "by itself", ("edges/test_a.py::test_b", "edges/test_c.py"))
    good = dict.fromkeys(proof.tests, proofs.PASSED)
    assert proofs.told(proof, good) == Told("a fault", None, "nothing", "by itself", "at once")
    bad = proofs.told(proof, good | {"edges/test_c.py": "failure: no"})
    assert (bad.kept, bad.recovered) == (False, "edges/test_c.py: failure: no")
    partly = proofs.told(proof, good | {"edges/test_c.py": proofs.LEFT_OUT})
    assert (partly.lost, partly.recovered) == ("", proofs.LEFT_OUT), "what was not played claims nothing"


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("edges/test_a.py::test_b", proofs.PASSED),
        ("edges/test_a.py::test_c", "failure: wrong"),
        ("edges/test_a.py", "failure: wrong"),
        ("edges/test_a.py::TestD", proofs.PASSED),
        ("edges/test_e.py::test_b", "skipped: no server"),
        ("edges/test_a.py::test_gone", "not found"),
    ],
)
def test_what_became_of_a_test_is_read_from_the_report(test: str, expected: str) -> None:
    cases = {
        ("tests.edges.test_a", "test_b"): [proofs.PASSED, proofs.PASSED],
        ("tests.edges.test_a", "test_c"): [proofs.PASSED, "failure: wrong"],
        ("tests.edges.test_a.TestD", "runTest"): [proofs.PASSED],
        ("tests.edges.test_e", "test_b"): ["skipped: no server"],
    }
    assert proofs.outcome(test, cases) == expected
    assert proofs.outcome(test, {}, proofs.LEFT_OUT) == proofs.LEFT_OUT


def test_a_row_that_is_not_in_the_catalogue_is_refused() -> None:
    assert [row.number for row in plugs.chosen(["7", "71"])] == [7, 71]
    assert plugs.chosen([]) == ROWS
    with pytest.raises(SystemExit, match="no such row: 73"):
        plugs.chosen(["73"])


@pytest.mark.slow
def test_two_rows_play_on_a_running_worker(capsys: pytest.CaptureFixture[str]) -> None:
    plugs.main(quick=True, only=["7", "71"])
    told = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if re.match(r"\| \d", line)]
    assert [line[1] for line in told] == ["3 bytes of a promised 100", "3 environments"]
    assert "as service.protocol" in told[0][2]
    assert told[0][3].startswith("nothing")


def test_the_document_names_every_row() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    found = [int(number) for number in re.findall(r"^\| (\d+) ", text, re.MULTILINE)]
    assert sorted(set(found)) == list(range(1, 73))
