"""Kinds declare themselves: each file of a folder of kinds does, and nothing outside a kind lists kinds."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from monitor import channels, probes
from monitor.kinds import Kinds
from monitor.probes.registration import detectors
from monitor.probes.upstream import platforms
from tests.test_architecture import ROOT, SOURCES

FAMILIES: dict[str, tuple[Mapping[str, Any], set[str]]] = {
    "probes": (probes.KINDS, {"answers", "base", "login_form", "marks", "memory", "page"}),
    "probes/registration/detectors": (detectors.DETECTORS, set()),
    "probes/upstream/platforms": (platforms.PLATFORMS, set()),
    "channels": (channels.KINDS, {"base", "words"}),
}
"""Folder → its kinds, and the files that kinds share."""
OTHER_WORDS = {
    "monitor/flow/record.py",  # columns
    "monitor/probes/login.py",  # products, some of which tell of sign-up as well
}
"""Where words that are also names of kinds mean something else."""


@pytest.mark.parametrize("folder", FAMILIES)
def test_every_file_of_a_folder_of_kinds_declares_one_but_for_what_they_share(folder: str) -> None:
    kinds, shared = FAMILIES[folder]
    files = {path.stem for path in (ROOT / "monitor" / folder).iterdir() if not path.name.startswith("__")}
    assert set(kinds) == files - shared
    assert list(kinds) == sorted(kinds)
    assert len(kinds) == len(set(kinds))


def collections(tree: ast.AST) -> Iterator[tuple[int, set[str]]]:
    """Yield the words that stand together: in a list, a tuple, a set, as keys of a mapping or as cases of a match."""
    for node in ast.walk(tree):
        parts: list[Any] = []
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            parts = node.elts
        elif isinstance(node, ast.Dict):
            parts = node.keys
        elif isinstance(node, ast.Match):
            parts = [case.pattern.value for case in node.cases if isinstance(case.pattern, ast.MatchValue)]
        words = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
        if words:
            yield getattr(node, "lineno", 0), words


@pytest.mark.parametrize("folder", FAMILIES)
def test_nothing_outside_a_kind_lists_kinds(folder: str) -> None:
    kinds = set(FAMILIES[folder][0])
    found = [
        f"{path.relative_to(ROOT)}:{line}: {', '.join(sorted(words & kinds))}"
        for path in SOURCES
        if str(path.relative_to(ROOT)) not in OTHER_WORDS
        for line, words in collections(ast.parse(path.read_text(encoding="utf-8")))
        if len(words & kinds) > 1
    ]
    assert not found


def test_a_kind_is_imported_when_it_is_asked_for_and_no_other_with_it() -> None:
    code = (
        "import sys; from monitor.channels import KINDS; KINDS['slack']; 'pigeon' in KINDS;"
        "print(*sorted(name for name in sys.modules if name.startswith('monitor.channels.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"monitor.channels.{name}" for name in ("base", "slack", "words")]


def family(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> Kinds[probes.base.Kind]:
    package = folder.name
    (folder / "__init__.py").touch()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    return Kinds(package, [str(folder)], probes.base.Kind)


def test_a_file_that_declares_something_else_is_told_and_one_without_a_kind_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke = "from monitor.probes.base import Kind, Options\nKIND = Kind('smoke', Options, print)\n"
    folder = tmp_path / "eyes_of_a_test"
    folder.mkdir()
    kinds = family(folder, monkeypatch, smoke=smoke, fire=smoke, rain="KIND = 'rain'\n", shared="A = 1\n")
    assert kinds["smoke"].name == "smoke"
    assert "shared" not in kinds
    with pytest.raises(KeyError):
        kinds["wind"]
    with pytest.raises(AssertionError, match="another name"):
        kinds["fire"]
    with pytest.raises(AssertionError, match="declares no Kind"):
        kinds["rain"]


def test_what_a_platform_needs_is_imported_before_the_first_look_and_nowhere_else() -> None:
    page = "https://status.example.org/"
    for kind, word, name in (("upstream", "provider", "feed"), ("registration", "detector", "upstream_text")):
        options = probes.KINDS[kind].options
        given = {word: name, "provider": "feed", "url": page}
        assert "feedparser" in probes.KINDS[kind].wanted(options.model_validate(given))
        assert "feedparser" not in probes.KINDS[kind].wanted(options.model_validate(given | {"provider": "statuspage"}))
