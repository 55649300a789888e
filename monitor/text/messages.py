"""Messages about ourselves put into words: what :mod:`monitor.core.model.message_codes` stores without a language."""

from __future__ import annotations

import re
from urllib.parse import unquote

from monitor.core.model.message_codes import MessageCode
from monitor.text.cleaner import plain
from monitor.text.lexicon import Lexicon

_MESSAGE = re.compile(r"\{([a-z_]{3,40})((?: [a-z_]{1,20}=[^\s{}]{0,2000}){0,8})\}")
_KNOWN = frozenset(code.value for code in MessageCode)
_DEEPEST = 3
"""Messages within messages; what lies deeper keeps its code."""
COUNT, DAY = "n", "day"
"""The fact that chooses between singular and plural, and the one that is a day of the week (0 is Monday)."""


def worded(text: str, words: Lexicon, depth: int = _DEEPEST) -> str:
    """Return a stored text with every message in it in words; everything else, and an unknown message, as it is."""
    if "{" not in text or depth == 0:
        return text
    return _MESSAGE.sub(lambda found: _filled(found, words, depth), text)


def told(text: str, words: Lexicon, limit: int = 300) -> str:
    """Return a stored text as one harmless line for people, its messages in words."""
    return plain(worded(text, words), limit)


def _filled(found: re.Match[str], words: Lexicon, depth: int) -> str:
    code, facts = found[1], dict(pair.split("=", 1) for pair in found[2].split())
    if code not in _KNOWN:
        return found[0]
    values = {name: worded(unquote(value), words, depth - 1) for name, value in facts.items()}
    try:
        if DAY in values:
            values[DAY] = words.section("weekday", values[DAY])
        count = int(values.pop(COUNT)) if COUNT in values else None
        return words.fill("message", code, count, **values)
    except (KeyError, ValueError, IndexError):  # facts of another version, or foreign text that looks like a message
        return found[0]
