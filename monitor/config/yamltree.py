"""YAML text → plain values that know their lines.

Scalars follow YAML 1.2: ``no`` and ``on`` are words and ``12:30`` is text. Tags and merge keys are refused, aliases
are allowed within limits that a bomb exceeds before anything is expanded.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from monitor.plain_files import opened

LONGEST_BYTES = 4 * 2**20
DEEPEST = 24
MOST_ALIASES = 1000
MOST_NODES = 500_000

Path_ = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,4000}")  # Python reads and writes 4300 digits at most
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with the text itself; ``kind`` is unreadable, utf8, syntax, bomb, tag or duplicate."""

    kind: str
    line: int
    message: str
    hint: str = ""


@dataclass(slots=True)
class Tree:
    """A document: its value, the line of every part, and the flaws of its text."""

    file: str
    value: Any = None
    lines: dict[Path_, int] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    origins: dict[Path_, tuple[str, int]] = field(default_factory=dict)
    """Parts that were written in another file."""
    written: dict[Path_, str] = field(default_factory=dict)
    """Numbers and words for true, false and nothing, as they were written: ``+86``, ``007``, ``True``."""

    def as_written(self, value: Any, path: Path_) -> Any:
        """Return a value with every number, true and false in it as text, as it was written in the file."""
        if isinstance(value, list):
            return [self.as_written(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, int | float):
            return value
        text = self.written.get(path, "")
        # A preset's value may have been replaced by a row's: then the text is of the former.
        return text if text and _plain(text) == value else json.dumps(value)

    def place(self, path: Path_) -> tuple[str, int]:
        """Return file and 1-based line of a part, or of the nearest part around it."""
        while path and path not in self.origins and path not in self.lines:
            path = path[:-1]
        return self.origins.get(path) or (self.file, self.lines.get(path, 1))


def read(path: Path, shown: str = "") -> Tree:
    """Read a file. Never raises: flaws stand in ``flaws``; ``value`` is None when there is nothing to use."""
    tree = Tree(shown or str(path))
    try:
        with opened(path) as file:
            data = file.read(LONGEST_BYTES + 1)
    except OSError as error:
        hint = "name another file with CHATWATCH_CONFIG" if isinstance(error, FileNotFoundError) else ""
        tree.flaws.append(Flaw("unreadable", 1, f"cannot be read: {error.strerror or error}", hint))
        return tree
    return parse(data, tree)


def parse(data: bytes, tree: Tree) -> Tree:
    """Fill ``tree`` from bytes."""
    if len(data) > LONGEST_BYTES:
        tree.flaws.append(Flaw("bomb", 1, f"is longer than {LONGEST_BYTES // 2**20} MB", "split it or use presets"))
        return tree
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        tree.flaws.append(Flaw("utf8", line, "is not UTF-8", "save the file with the encoding UTF-8"))
        return tree
    try:
        tree.flaws += _scan(text)
        if not any(flaw.kind == "bomb" for flaw in tree.flaws):
            _build(yaml.compose(text, Loader=_Loader), tree)
    except yaml.YAMLError as error:
        tree.flaws.append(_syntax(error, text))
    return tree


def _scan(text: str) -> list[Flaw]:
    """Walk the events, which nest no Python calls and expand no alias, and look for bombs and tags."""
    flaws: list[Flaw] = []
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > DEEPEST or aliases > MOST_ALIASES or count > MOST_NODES:
            return [*flaws, Flaw("bomb", line, "is nested too deeply or holds too many parts or aliases")]
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            flaws.append(
                Flaw("tag", line, "a tag is not allowed here", "remove the word that begins with !, or quote it")
            )
    return flaws


def _syntax(error: yaml.YAMLError, text: str) -> Flaw:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read as YAML"
    lines = text.splitlines()
    indent = re.match(r"[ \t]*", lines[line - 1])[0] if 0 < line <= len(lines) else ""  # type: ignore[index]  # always matches
    hint = "indent with spaces, not with tabs" if "\t" in indent or "'\\t'" in problem else ""
    return Flaw("syntax", line, " ".join(str(problem).split()), hint)


@dataclass(slots=True)
class _Builder:
    tree: Tree
    nodes: int = 0

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES or len(path) > DEEPEST:
            raise _TooMuch(node.start_mark.line + 1)
        self.tree.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        value = _scalar(node)
        if not isinstance(value, str):
            self.tree.written[path] = node.value
        if isinstance(value, float) and not math.isfinite(value):
            self.flaw("syntax", node.start_mark.line + 1, "the number is too large")
            return 0.0
        return value

    def mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self.flaw("syntax", line, "a key must be a word")
            elif key == "<<":
                self.flaw("syntax", line, "merge keys are not supported", "use a policy, or repeat the lines")
            elif key in found:
                first = self.tree.lines[(*path, key)]
                self.flaw("duplicate", line, f'"{key}" stands here twice', f"the first is on line {first}")
            else:
                self.tree.lines[(*path, key)] = line
                found[key] = self.value(value_node, (*path, key))
        return found

    def flaw(self, kind: str, line: int, message: str, hint: str = "") -> None:
        self.tree.flaws.append(Flaw(kind, line, message, hint))


class _TooMuch(yaml.YAMLError):
    def __init__(self, line: int) -> None:
        self.line = line


def _build(root: yaml.Node | None, tree: Tree) -> None:
    if root is None:
        return
    try:
        tree.value = _Builder(tree).value(root, ())
    except _TooMuch as error:
        tree.flaws.append(Flaw("bomb", error.line, "grows too large when its aliases are expanded"))


def _scalar(node: Any) -> Any:
    return node.value if node.style in ("'", '"', "|", ">") else _plain(node.value)


def _plain(text: str) -> Any:
    """Return what a word without quotes means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
