"""How Chatwatch speaks: words, numbers, dates and moments per language.

The words of the closed sets are :mod:`monitor.text`'s; those of the doors alone live in ``language/*.toml``, one file a
language; whole sentences are built in :mod:`dashboard.sentences`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.lists import format_list
from babel.numbers import format_decimal

from monitor.text.lexicon import Language, Lexicon

FOLDER = Path(__file__).with_name("language")


def web_address(text: object) -> str:
    """Return ``text`` if it is a plain http(s) address, else the empty string."""
    address = str(text)
    harmless = (
        address.isascii() and address.isprintable() and len(address) <= 500 and not set(address) & set("\"'<>` \\")
    )
    return address if harmless and address.startswith(("https://", "http://")) else ""


class Words(Lexicon):
    """One language: the words of the closed sets, and those of the three doors."""

    def __init__(self, language: Language, zone: str = "UTC") -> None:
        super().__init__(language)
        self.zone_name = zone
        self.zone: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)  # a minimal machine may have no time zone database
        self.locale = Locale.parse(language.locale)
        own: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
        self.table = self.table | {name: self.table.get(name, {}) | entries for name, entries in own.items()}

    @property
    def zone_label(self) -> str:
        """The zone's name as people read it: "America/New York"."""
        return self.zone_name.replace("_", " ")

    def is_one(self, n: int) -> bool:
        """Say whether a count takes the singular."""
        return bool(self.locale.plural_form(n) == "one")

    def join(self, items: Iterable[str]) -> str:
        """Return a list in prose: "a, b and c"."""
        return str(format_list(list(items), style="standard", locale=self.locale))

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with the language's separators and exactly ``digits`` decimals."""
        decimals = "." + "0" * digits if digits else ""
        return str(format_decimal(value, format=f"#,##0{decimals}", locale=self.locale))

    def percent(self, ratio: float | None) -> str:
        """Return two decimals, more only where two would read 100 % untruly."""
        if ratio is None:
            return self("uptime_none")
        for digits in (2, 3, 4, 5):
            if ratio >= 1 or round(100 * ratio, digits) < 100:
                return f"{self.number(100 * ratio, digits)} %"
        return "99.99999 %"

    def latency(self, seconds: float | None) -> str:
        """Return two significant digits: "1.4 s", "420 ms", "41 s"."""
        if seconds is None:
            return "–"
        if seconds < 0.995:
            value = seconds * 1000
            digits = 1 if value < 9.95 else 0
            rounded = round(value, -1) if value >= 99.5 else value
            return self.unit("ms", self.number(rounded, digits))
        rounded = seconds if seconds < 99.5 else round(seconds, -1)
        return self.unit("s", self.number(rounded, 1 if seconds < 9.95 else 0))

    def day(self, day: date) -> str:
        """Return a day without its year: "27 Jan"."""
        return str(format_date(day, self.section("date", "day"), locale=self.locale))

    def month(self, day: date) -> str:
        """Return a month with its year."""
        return str(format_date(day, self.section("date", "month"), locale=self.locale))

    def moment(self, when: datetime, style: str = "long") -> str:
        """Return a moment here: ``clock`` 15:31:02, ``short`` 15:31, ``long`` 27 Jan, 15:31, ``exact``, ``full``."""
        form = self.section("date", style)
        return str(format_datetime(when.astimezone(self.zone), form, locale=self.locale, tzinfo=self.zone))

    def place_in_week(self, hour: datetime) -> str:
        """Return an hour of the week: "Monday 14:00 UTC"."""
        return str(format_datetime(hour, "EEEE HH:mm", tzinfo=None, locale=self.locale)) + " UTC"


@lru_cache(maxsize=64)
def speak(language: Language, zone: str = "UTC") -> Words:
    """Return the words of ``language`` with times in ``zone``, read once; an unknown zone is UTC."""
    try:
        return Words(language, zone)
    except (KeyError, ValueError, OSError):  # a browser may send any text as its zone
        return Words(language)


def spoken(tag: str) -> Language | None:
    """Return our language for a browser's tag, as ``zh-CN``; None where we do not speak it."""
    code = tag.replace("_", "-").partition("-")[0].lower()
    return Language(code) if code in list(Language) else None


def words_for(asked: str, browser: str, zone: str) -> Words:
    """Return the words of the language asked for, else the browser's, else English; an unknown zone is UTC."""
    if asked in list(Language):
        return speak(Language(asked), zone)
    return speak(spoken(browser) or Language.EN, zone)


def others(language: Language) -> list[tuple[Language, str]]:
    """Return every other language with its own name for itself."""
    return [(other, speak(other)("language")) for other in Language if other is not language]


def capital(sentence: str) -> str:
    """Return the sentence with its first letter in upper case."""
    return sentence[:1].upper() + sentence[1:]
