"""One language's words: sections of strings by the stored value of a member, and texts with places to fill."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from enum import Enum, StrEnum
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SECTION = {
    "AlertState": "alert",
    "Cause": "cause",
    "EventKind": "event",
    "Health": "health",
    "Impact": "impact",
    "IncidentStatus": "status",
    "MessageCode": "message",
    "Method": "method",
    "Outcome": "outcome",
    "Reason": "reason",
    "Registration": "registration",
    "Rule": "rule_name",
    "Sending": "sending",
    "Severity": "severity",
    "Source": "source",
    "Verdict": "verdict",
    "WarningCode": "warning",
    "Why": "why",
}
"""Closed set → the section that holds a word for each of its members, and nothing else."""
_HOUR_S = 3600
_UNITS = (("d", 86_400), ("h", _HOUR_S), ("min", 60), ("s", 1))
_MOST_UNITS = 2


class Language(StrEnum):
    """The languages that Chatwatch speaks."""

    EN = "en"
    ZH = "zh"

    @property
    def tag(self) -> str:
        """The tag for ``<html lang>``."""
        return _TAGS.get(self.value, self.value)

    @property
    def locale(self) -> str:
        """The locale whose numbers, dates and plurals are used, as Babel names it."""
        return _LOCALES.get(self.value, self.value)

    @property
    def prefix(self) -> str:
        """What stands before every path of this language."""
        return "" if self is Language.EN else f"/{self.value}"

    @property
    def home(self) -> str:
        """The front page in this language whatever the browser prefers: ``/`` alone follows the browser."""
        return f"/{self.value}/"


_TAGS = {"zh": "zh-Hans"}
_LOCALES = {"en": "en_GB", "zh": "zh_Hans_CN"}


class Lexicon:
    """One language: words, counts and time spans, without dates."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.table: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))

    def __call__(self, key: str, n: int | None = None, **values: object) -> str:
        """Return the text ``key`` with its places filled; ``n`` chooses singular or plural and is a value too."""
        return self.fill("text", key, n, **values)

    def fill(self, section: str, key: Enum | str, n: int | None = None, /, **values: object) -> str:
        """Return a text of another section with its places filled."""
        entry = self.table[section][str(getattr(key, "value", key))]
        if isinstance(entry, list):
            entry = entry[0 if self.is_one(n or 0) else 1]
        if n is not None:
            values["n"] = self.number(n)
        return str(entry).format(**values)

    def is_one(self, n: int) -> bool:
        """Say whether a count takes the singular."""
        return n == 1

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with exactly ``digits`` decimals."""
        return f"{value:.{digits}f}"

    def unit(self, name: str, value: str) -> str:
        """Return a number with its unit, as ``12 min``."""
        return self.fill("unit", name, None, n=value)

    @property
    def unit_gap(self) -> str:
        """What stands between two units."""
        return self.section("unit", "gap")

    def duration(self, seconds: float) -> str:
        """Return a time span in at most two units: "2 h 10 min", "45 s", "3 d 4 h"; one below zero is none."""
        left = max(0, round(seconds))
        if left >= _HOUR_S:
            left = round(left / 60) * 60
        parts: list[str] = []
        for name, size in _UNITS:
            count, left = divmod(left, size)
            if count or (name == "s" and not parts):
                parts.append(self.unit(name, self.number(count)))
            elif parts:
                break
            if len(parts) == _MOST_UNITS or (parts and name == "min"):
                break
        return self.unit_gap.join(parts)

    def of(self, member: Enum) -> str:
        """Return the word for a member of a closed set."""
        return self.section(SECTION[type(member).__name__], member)

    def section(self, name: str, member: Enum | str) -> str:
        """Return the word for ``member`` in another section, as ``health_clause``."""
        return str(self.table[name][str(getattr(member, "value", member))])

    def join(self, items: Iterable[str]) -> str:
        """Return a list in prose: "a, b and c"."""
        held = list(items)
        if len(held) < 2:
            return "".join(held)
        return self("list", first=self("list_comma").join(held[:-1]), last=held[-1])


@cache
def lexicon(language: Language = Language.EN) -> Lexicon:
    """Return a language's words, read once."""
    return Lexicon(language)
