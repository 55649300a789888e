"""Changes of a YAML text that leave every other byte as it is: comments, order, quotes, indentation and line ends.

PyYAML says where each part of the text begins and ends; what changes is cut in there. A library that writes the whole
document again (ruamel.yaml) keeps comments as well, but lays out indentation and long lines anew, so that the
difference would show lines nobody changed. Whoever calls this reads the result again and compares what it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

Path_ = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_COMMENT = re.compile("( +)#")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%-]*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
STEP = 2
"""Columns by which a new level is indented."""


class NoPlaceError(Exception):
    """The text has no place where the change could be cut in."""


class Splices:
    """A text, and the changes to be cut into it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root = yaml.compose(text, Loader=_Loader)
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        self._ends = [*(found.start() for found in _BREAK.finditer(text)), len(text)]
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._cuts: list[tuple[int, int, int, str]] = []

    def node(self, path: Path_) -> yaml.Node | None:
        """Return a part of the document."""
        found = self._root
        for step in path:
            if isinstance(found, yaml.SequenceNode) and isinstance(step, int):
                found = found.value[step] if step < len(found.value) else None
            elif isinstance(found, yaml.MappingNode):
                found = next((value for key, value in found.value if key.value == step), None)
            else:
                return None
        return found

    def set(self, path: Path_, key: str, value: Any) -> None:
        """Give a key of a mapping a value: a scalar, or a mapping for a key that is new or empty."""
        holder, old = self.node(path), self.node((*path, key))
        if isinstance(old, yaml.ScalarNode) and not isinstance(value, Mapping):
            self._replace(old, scalar(value))
        elif isinstance(old, yaml.MappingNode) and not old.value and isinstance(value, Mapping):
            self._cut(self._at(old.start_mark), self._at(old.end_mark), _inline(value))
        elif old is None and isinstance(holder, yaml.MappingNode) and holder.value:
            self._add(holder, key, value)
        else:
            raise NoPlaceError(".".join(map(str, (*path, key))))

    def result(self) -> str:
        """Return the text with every change in it."""
        text = self.text
        for start, end, _, new in sorted(self._cuts, key=lambda cut: (-cut[0], -cut[2])):
            text = text[:start] + new + text[end:]
        return text

    def _cut(self, start: int, end: int, new: str) -> None:
        self._cuts.append((start, end, len(self._cuts), new))

    def _at(self, mark: yaml.Mark) -> int:
        start: int = self._starts[min(mark.line, len(self._starts) - 1)] + mark.column
        return start

    def _replace(self, old: yaml.ScalarNode, new: str) -> None:
        """Put a scalar in the place of another; a comment beside it stays in its column where there is room."""
        start, end = self._at(old.start_mark), self._at(old.end_mark)
        beside = _COMMENT.match(self.text, end)
        if beside is not None:
            room = len(beside[1])
            gap = max(min(room, 2), room + end - start - len(new))
            end, new = end + room, new + " " * gap
        self._cut(start, end, new)

    def _add(self, holder: yaml.MappingNode, key: str, value: Any) -> None:
        """Write a new key into a mapping that has some."""
        if holder.flow_style:
            end = self._at(holder.value[-1][1].end_mark)
            self._cut(end, end, f", {_flow(key, value)}")
            return
        column = holder.value[0][0].start_mark.column
        after = self._line_before_new(holder, nested=isinstance(value, Mapping))
        if after is None:
            start = self._at(holder.value[0][0].start_mark)
            lines = self._block(key, value, column)
            self._cut(start, start, self._newline.join([*lines, ""]).lstrip(" ") + " " * column)
        else:
            end = self._ends[after]
            self._cut(end, end, self._newline + self._newline.join(self._block(key, value, column)))

    def _block(self, key: str, value: Any, column: int) -> list[str]:
        if not isinstance(value, Mapping):
            return [f"{' ' * column}{key}: {scalar(value)}"]
        inner = " " * (column + STEP)
        return [
            f"{' ' * column}{key}:",
            *(
                f"{inner}{name}: {{{_pairs(item)}}}" if isinstance(item, Mapping) else f"{inner}{name}: {scalar(item)}"
                for name, item in value.items()
            ),
        ]

    def _line_before_new(self, holder: yaml.MappingNode, *, nested: bool) -> int | None:
        """Return the line after which a new key stands best: a level after all, a value after the first values.

        None where only the very beginning will do.
        """
        if nested:
            return _last_line(holder)
        line = None
        for _, value in holder.value:
            if not isinstance(value, yaml.ScalarNode) or value.style in ("|", ">"):
                break
            line = value.end_mark.line
        return line


def _last_line(node: yaml.Node) -> int | None:
    """Return the line on which a part ends, comments after it apart; None if that cannot be told."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(node, yaml.MappingNode) else last)
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return None
    return int(node.end_mark.line)


def _flow(key: str, value: Any) -> str:
    return f"{key}: {_inline(value)}"


def _inline(value: Any) -> str:
    return f"{{{_pairs(value)}}}" if isinstance(value, Mapping) else scalar(value)


def _pairs(value: Mapping[str, Any]) -> str:
    return ", ".join(_flow(name, item) for name, item in value.items())


def scalar(value: Any) -> str:
    """Return a scalar as it is written: plain where that is safe, else quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:.12g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)
