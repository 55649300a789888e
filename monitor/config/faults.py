"""Faults of a configuration: collected, never raised one by one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.config.yamltree import Tree


class Code(StrEnum):
    """Stable ids; a number is never given to another fault."""

    UNREADABLE = "P001"
    NOT_UTF8 = "P002"
    SYNTAX = "P003"
    BOMB = "P004"
    TAG = "P005"
    DUPLICATE_KEY = "P006"
    UNKNOWN_KEY = "P010"
    MISSING_KEY = "P011"
    WRONG_TYPE = "P012"
    DURATION = "P013"
    VALUE = "P014"
    UNKNOWN_PRESET = "P020"
    UNKNOWN_KIND = "P021"
    UNKNOWN_CHANNEL_KIND = "P022"
    UNKNOWN_NAME = "P023"
    UNKNOWN_LOCATION = "P024"
    DUPLICATE_ID = "P030"
    BAD_ID = "P031"
    INTERVAL = "P032"
    TOO_MANY = "P033"
    NOTHING_TO_WATCH = "P034"
    POLICY = "P035"
    MAINTENANCE = "P036"
    PLAIN_SECRET = "P040"  # noqa: S105  # an id
    MISPLACED_SECRET = "P041"  # noqa: S105  # an id
    BAD_REFERENCE = "P042"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault: where, which, what is wrong and what to do about it."""

    file: str
    line: int
    id: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.id} {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(Exception):
    """The configuration cannot be used; ``faults`` holds all that is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(map(str, self.faults)))


_ENDLESS = re.compile(r"(\S{100})\S{100,}")
"""A word that is no word: of what a file repeats without measure the beginning is told."""


@dataclass(slots=True)
class Faults:
    """Collects faults while the rest of the file is still being read."""

    found: list[Fault] = field(default_factory=list)

    def add(self, code: Code, tree: Tree, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        """Note a fault at a path of a document; the line is that of the nearest part that exists."""
        told = _ENDLESS.sub(lambda word: f"{word[1]}…", message)
        self.found.append(Fault(*tree.place(path), code.value, told, hint))


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a hint with the nearest of ``words``, or with all of them when none is near."""
    known = sorted(words)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known: {', '.join(known)}" if known else "there are none"
