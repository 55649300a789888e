"""Telephone country codes: found in text, checked against the numbering plan, shown with names.

Codes come from ``phonenumbers`` (ITU-T E.164 as libphonenumber keeps it), names from the CLDR through Babel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from monitor.text.cleaner import plain
from monitor.text.lexicon import Language, Lexicon

LONGEST_CODE = 3
"""Digits (ITU-T E.164)."""
MOST_COUNTRIES = 6
"""Countries that a list names."""

_PLUS = re.compile(r"(?:\+|＋|\b00)\s?\(?(\d{1,3})(?!\d)")
_WORLD = "001"
_SPOKEN = {
    "mainland china": "86",
    "mainland chinese": "86",
    "chinese mainland": "86",
    "chinese": "86",
    "中国大陆": "86",
    "中国内地": "86",
    "大陆": "86",
    "内地": "86",
    "国内": "86",
    "香港": "852",
    "hong kong": "852",
    "澳门": "853",
    "macau": "853",
    "macao": "853",
    "台湾": "886",
    "taiwan": "886",
    "indian": "91",
    "uk": "44",
    "u.s.": "1",
    "usa": "1",
}
_AMBIGUOUS = frozenset({"Georgia", "Jersey", "Chad", "Mali", "Guinea", "Niue", "Oman"})


@cache
def _plan() -> Mapping[int, tuple[str, ...]]:
    """Return code → regions, the main one first. Imported late: most probes never meet a telephone number."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return COUNTRY_CODE_TO_REGION_CODE


@cache
def _territories(language: str) -> Mapping[str, str]:
    from babel import Locale

    return Locale.parse(language).territories


def is_country_code(code: str) -> bool:
    """Tell whether ``code`` (digits, no plus sign) is in the numbering plan."""
    return code.isascii() and code.isdigit() and int(code) in _plan()


def country_codes(text: str, start: int = 0) -> tuple[str, ...]:
    """Return the codes that a text names from *start* on: as ``+86``, ``0086`` or by country in each language."""
    return tuple(dict.fromkeys(code for place, code in _placed(text) if place >= start))


@lru_cache(maxsize=16)
def _placed(text: str) -> tuple[tuple[int, str], ...]:
    """Return codes with their places. Remembered, because every clause of a sentence asks about the rest of it."""
    found = [(match.start(), match[1]) for match in _PLUS.finditer(text) if is_country_code(match[1])]
    found += [(match.start(), _names()[match[0].casefold()]) for match in _name_pattern().finditer(text)]
    return tuple(sorted(found))


def country(code: str, words: Lexicon) -> str:
    """Return a code for people: "China (+86)", "United States and others (+1)"; one that nobody has as "+999"."""
    name = _name(code, words)
    return words("country", name=name, code=code) if name else words("country_unknown", code=plain(code, 8))


def countries(codes: Sequence[str], words: Lexicon) -> str:
    """Return several of them as a list in prose; past six only their number is told."""
    names = [country(code, words) for code in codes[:MOST_COUNTRIES]]
    if (left := len(codes) - len(names)) > 0:
        return words("and_more", names=words("list_comma").join(names), n=left)
    return words.join(names)


def _name(code: str, words: Lexicon) -> str:
    regions = _plan().get(int(code), ()) if code.isascii() and code.isdigit() and len(code) <= LONGEST_CODE else ()
    if not regions:
        return ""
    if regions[0] == _WORLD:
        return words("country_world")
    name = str(_territories(words.language.locale).get(regions[0], ""))
    return words("country_others", name=name) if name and len(regions) > 1 else name


@cache
def _names() -> dict[str, str]:
    names = dict(_SPOKEN)
    for language in Language:
        territories = _territories(language.locale.partition("_")[0])
        for code, regions in _plan().items():
            for region in regions:
                name = str(territories.get(region, ""))
                if region != _WORLD and name and name not in _AMBIGUOUS:
                    names.setdefault(name.casefold(), str(code))
    return names


@cache
def _name_pattern() -> re.Pattern[str]:
    ordered = sorted(_names(), key=len, reverse=True)
    latin = "|".join(re.escape(name) for name in ordered if name[0].isascii())
    other = "|".join(re.escape(name) for name in ordered if not name[0].isascii())
    return re.compile(rf"\b(?:{latin})(?!\w)|(?:{other})", re.IGNORECASE)
