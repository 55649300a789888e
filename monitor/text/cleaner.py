"""Foreign text and foreign JSON made harmless: bounded, printable, and absent where the type is wrong.

Everything here is linear in its input, because the input is a stranger's: the standard library's HTML parser is
quadratic on crafted pages (CVE-2025-6069), so markup is read by a scanner that never looks at a character twice.
"""

from __future__ import annotations

import html
import math
import re
import reprlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

SKEW = timedelta(minutes=10)
"""A stamp this far in the future is a wrong clock and means now; beyond it the stamp is no stamp."""
_OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
_PAGE_CHARS = 512 * 1024

# Controls, soft hyphen, zero-width and bidirectional marks, separators, surrogates, byte-order mark, tags, private use.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_SPACE = re.compile("[\t\n\v\f\r \x85\xa0\u2028\u2029]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def plain(text: object, limit: int = 300) -> str:
    """Return what comes from outside as one harmless line of at most ``limit`` characters, to be shown to people.

    What cannot be seen is left out: direction and zero-width marks, private and unassigned characters. Space of any
    kind and controls become one space.
    """
    line = " ".join(_CONTROL.sub(" ", str(text)[: limit * 4 + 64]).split())
    line = _UNSAFE.sub("", line)
    if not line.isprintable():
        line = "".join(filter(str.isprintable, line))
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clean(value: object, limit: int) -> str:
    """Return :func:`plain` text; anything but text or a number is ``""``."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        return plain(value, limit)
    except ValueError:  # an integer of more digits than Python prints
        return ""


_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxother = 3, 200, 60


def brief(value: object, limit: int) -> str:
    """Return the beginning of a stranger's value for people, without writing out all of a large or deep one first."""
    return (value if isinstance(value, str) else _BRIEF.repr(value))[:limit]


def said(value: object) -> str:
    """Return a stranger's text as it is, ``""`` for anything else."""
    return value if isinstance(value, str) else ""


def printable(text: str) -> str:
    """Return a text of several lines without what a reader cannot see, so that nothing hides between its letters."""
    return _UNSAFE.sub(lambda found: "\n" if found[0] == "\n" else " " * (found[0] in "\t\r"), text)


def as_map(value: object) -> dict[str, Any]:
    """Return a JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_rows(value: object, limit: int) -> list[dict[str, Any]]:
    """Return the objects among the first ``limit`` members of a JSON array."""
    return [row for row in value[:limit] if isinstance(row, dict)] if isinstance(value, list) else []


def as_url(value: object) -> str:
    """Return an http(s) address of at most 300 characters without user or password, or ``""``."""
    text = clean(value, 301)
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    fine = parts.scheme in ("http", "https") and parts.netloc and "@" not in parts.netloc
    return text if fine and len(text) <= 300 and " " not in text else ""


def as_time(value: object, now: datetime) -> datetime | None:
    """Read ISO 8601, RFC 2822 or epoch seconds as aware UTC; no zone means UTC, nonsense means ``None``."""
    at = _parsed(value)
    if at is None or at < _OLDEST or at > now + SKEW:
        return None
    return min(at, now)


def _parsed(value: object) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC) if math.isfinite(value) else None
        if not isinstance(value, str) or not 8 <= len(value) <= 64:
            return None
        text = value.strip()
        at = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


class Tag(NamedTuple):
    """One start or end tag; ``attributes`` is the raw text after the name."""

    name: str
    attributes: str
    closing: bool


_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9-]*)")
_SKIPPED = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "textarea", "title", "select"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_INLINE = frozenset({"a", "abbr", "b", "bdi", "code", "em", "font", "i", "mark", "s", "small", "span", "strong", "u"})
_QUOTED = re.compile(r"""=\s{0,3}(?:"[^"]*"|'[^']*')""")
_HIDDEN_WORD = re.compile(r"(?<![\w-])hidden(?![\w-])")
_HIDDEN_VALUE = re.compile(r"""aria-hidden\s{0,3}=\s{0,3}["']?true|display\s{0,3}:\s{0,3}none""")


def scan(page: str) -> Iterator[Tag | str]:
    """Yield the tags of a page and the text between them, without comments, scripts and other unseen elements."""
    page, at = page[:_PAGE_CHARS], 0
    lowered = page.lower()
    while at < len(page):
        start = page.find("<", at)
        if start != at:
            yield html.unescape(page[at : start if start >= 0 else len(page)])
        if start < 0:
            return
        if page.startswith("<!--", start):
            end = page.find("-->", start + 4)
            at = end + 3 if end >= 0 else len(page)
            continue
        end = page.find(">", start)
        if end < 0:
            return
        at = end + 1
        if (name := _NAME.match(page, start + 1, end)) is None:
            continue
        tag = Tag(name[1].lower(), page[name.end() : min(end, name.end() + 2000)], page[start + 1] == "/")
        yield tag
        if tag.name in _SKIPPED and not tag.closing and not tag.attributes.endswith("/"):
            close = lowered.find(f"</{tag.name}", at)
            at = close if close >= 0 else len(page)


def visible_text(page: str) -> str:
    """Return what a reader of the page would see, a line per block; elements marked hidden are left out."""
    parts: list[str] = []
    hidden: list[str] = []
    for item in scan(page):
        if isinstance(item, str):
            if not hidden:
                parts.append(item)
            continue
        if item.name not in _INLINE:
            parts.append("\n")
        if hidden:
            _nest(hidden, item)
        elif not item.closing and item.name not in _VOID and _is_hidden(item.attributes.lower()):
            hidden.append(item.name)
    lines = ("".join(parts)).split("\n")
    return "\n".join(line for line in (_SPACE.sub(" ", line).strip() for line in lines) if line)


def _is_hidden(attributes: str) -> bool:
    return bool(_HIDDEN_VALUE.search(attributes) or _HIDDEN_WORD.search(_QUOTED.sub("=", attributes)))


def _nest(hidden: list[str], tag: Tag) -> None:
    """Follow only tags of the hidden element's own name, so that sloppy markup inside it does no harm."""
    if tag.name == hidden[0]:
        if tag.closing:
            hidden.pop()
        elif not tag.attributes.endswith("/"):
            hidden.append(tag.name)


_ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,40})\s{0,3}=\s{0,3}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


def attributes(tag: Tag) -> dict[str, str]:
    """Return the attributes of a tag, names in lower case."""
    found = _ATTRIBUTE.finditer(tag.attributes)
    return {m[1].lower(): html.unescape(m[2] or m[3] or m[4] or "") for m in found}
