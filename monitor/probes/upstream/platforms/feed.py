"""RSS 2.0 and Atom, through ``feedparser``, as Statuspage, xAI and AWS write their entries."""

from __future__ import annotations

import calendar
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import (
    BODY_CHARS,
    ID_CHARS,
    NAME_CHARS,
    OVER,
    Look,
    UnreadableError,
    impact_of,
    worst,
)
from monitor.probes.upstream.platform import Endpoints, Platform
from monitor.text.cleaner import clean, visible_text

_ENTRIES = 50
_FEED_BYTES = 256 * 1024
_TAGS = 20_000
"""More than a feed of that length has. The parser needs 10 µs for each and cannot be stopped in its thread."""
FORGOTTEN_AFTER = timedelta(days=1)
"""A feed's entry that names no status is held to be going on only this long."""

_ENTRY_END = re.compile(rb"</(?:item|entry)\s*>", re.IGNORECASE)
_ENTRY_BEGIN = re.compile(rb"<(?:item|entry)[\s>]", re.IGNORECASE)
_ENCODING = re.compile(rb"""\s*<\?[^>]{0,200}?encoding\s{0,3}=\s{0,3}["']([^"']{0,200})""")
_ENCODINGS = frozenset(
    b"utf-8 utf8 us-ascii iso-8859-1 iso-8859-15 windows-1252 gbk gb2312 gb18030 big5 shift_jis euc-jp euc-kr".split()
)
"""The parser believes a feed's own word, and some of Python's decoders are slow, or raise what it does not catch."""
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_LONG_TAG = re.compile(rb"<[^<>]{4096}")
_STATUS_LINE = re.compile(
    r"(?im)(?:\bstatus:\s*|^\W*|<strong>)(resolved|completed|postmortem|monitoring|identified|investigating)\b"
)
_PREFIX = re.compile(r"^\s*\[([^\]]{1,80})\]\s*")


@dataclass(slots=True)
class _Told:
    """All entries of a feed that share an id."""

    title: str
    text: str
    status: IncidentStatus | None
    health: Health
    at: datetime | None
    updated: datetime | None
    link: object
    parts: dict[str, None] = field(default_factory=dict)
    words: str = ""


def read(body: bytes, look: Look) -> UpstreamReading:
    """Read a feed of incidents. What is watched are words (components, products) in titles and categories.

    A feed has no current state of its own: without an open entry it says that nothing is announced.
    """
    if not _BEGIN.match(body):
        raise UnreadableError("no RSS or Atom feed at this address", WarningCode.UPSTREAM_MOVED)
    if ((named := _ENCODING.match(body)) and named[1].lower() not in _ENCODINGS) or b"\0" in body:
        raise UnreadableError("a feed in an encoding that no feed is written in", WarningCode.UPSTREAM_SHAPE_CHANGED)
    if b"<!ENTITY" in body:
        raise UnreadableError("a feed that defines entities of its own", WarningCode.UPSTREAM_SHAPE_CHANGED)
    import feedparser  # late: a reader of its own size, for feeds only

    newest = _newest_entries(body)
    if newest.count(b"<") > _TAGS:
        raise UnreadableError(f"a feed with more than {_TAGS} tags", WarningCode.UPSTREAM_SHAPE_CHANGED)
    parsed = feedparser.parse(
        io.BytesIO(newest),  # never bytes or text, which feedparser would open as a file's name
        sanitize_html=False,
        resolve_relative_uris=False,
    )
    if not parsed.get("version"):
        raise UnreadableError("no RSS or Atom feed at this address", WarningCode.UPSTREAM_MOVED)
    told: dict[str, _Told] = {}
    for entry in parsed.get("entries", [])[:_ENTRIES]:
        _tell(entry, told, look)
    if not told:
        look.warn(WarningCode.UPSTREAM_EMPTY_FEED)
    open_now = {key: one for key, one in told.items() if one.status not in OVER}
    quiet = Health.OPERATIONAL if told else Health.UNKNOWN
    components = [
        (name, name, worst([one.health for one in open_now.values() if name.casefold() in one.words] or [quiet]))
        for name in look.watched
    ]
    incidents = [_incident(key, one, look) for key, one in told.items()]
    trouble = worst(one.health for one in open_now.values())
    return look.reading(trouble if open_now else quiet, components, incidents, _stamp(parsed.get("feed", {}), look))


def _newest_entries(body: bytes) -> bytes:
    """Cut a long feed after its first entries: newest come first, and parsing time grows with the rest.

    The parser is quadratic in the attributes of a tag and slow with entries that never end; neither gets that far.
    """
    if _LONG_TAG.search(body):
        raise UnreadableError("a feed with a tag longer than 4 KB", WarningCode.UPSTREAM_SHAPE_CHANGED)
    ends = [
        match.end() for _number, match in zip(range(_ENTRIES), _ENTRY_END.finditer(body[:_FEED_BYTES]), strict=False)
    ]
    begins = sum(1 for _number, _match in zip(range(_ENTRIES + 1), _ENTRY_BEGIN.finditer(body), strict=False))
    if len(body) <= _FEED_BYTES and begins <= _ENTRIES:
        return body
    if not ends:
        raise UnreadableError("a feed without an end", WarningCode.UPSTREAM_SHAPE_CHANGED)
    head = body[: ends[-1]]
    return head + (b"</feed>" if b"<feed" in head[:2000] else b"</channel></rss>")


def _tell(entry: Any, told: dict[str, _Told], look: Look) -> None:
    title = clean(entry.get("title"), NAME_CHARS)
    prefix = _PREFIX.match(title)
    contents = entry.get("content") or [{}]
    raw = str(contents[0].get("value") or entry.get("summary") or "")[:20_000]
    tags = " ".join(clean(tag.get("term"), 60) for tag in (entry.get("tags") or [])[:10])
    text = visible_text(raw)
    at, updated = _stamp(entry, look, "published_parsed"), _stamp(entry, look)
    if at is None and updated is None:
        look.warn(WarningCode.UPSTREAM_INCIDENT_DROPPED)
        return
    status = _status_of(title, tags, text)
    if status is None and (at or updated or look.now) < look.now - FORGOTTEN_AFTER:
        return
    key = clean(entry.get("id") or entry.get("link") or title, ID_CHARS)
    one = told.setdefault(
        key, _Told(title, clean(text, BODY_CHARS), status, _severity(tags, text), at, updated, entry.get("link"))
    )
    if prefix and prefix[1].casefold() != "resolved":
        one.parts[prefix[1]] = None
    one.words = f"{one.words} {title} {tags}".casefold()[:4000]


def _status_of(title: str, tags: str, text: str) -> IncidentStatus | None:
    words = re.search(r"(?i)\bresolved\b|operating normally", f"{title} {tags}")
    if words:
        return IncidentStatus.RESOLVED
    found = _STATUS_LINE.search(text)
    if found is None:
        return IncidentStatus.RESOLVED if "operating normally" in text.casefold() else None
    word = found[1].lower()
    return IncidentStatus("resolved" if word == "completed" else word)


def _severity(tags: str, text: str) -> Health:
    words = f"{tags} {text[:200]}".casefold()
    if "major outage" in words or "full outage" in words:
        return Health.MAJOR
    return Health.PARTIAL if "outage" in words else Health.DEGRADED


def _stamp(entry: Any, look: Look, *names: str) -> datetime | None:
    for name in (*names, "updated_parsed", "published_parsed"):
        parts = dict.get(entry, name)  # its own get() would take one date for another
        try:
            if parts and (at := look.time(calendar.timegm(parts))):
                return at
        except (ValueError, OverflowError, TypeError):
            look.warn(WarningCode.UPSTREAM_BAD_TIME)
    return None


def _incident(key: str, one: _Told, look: Look) -> UpstreamIncident | None:
    moment = one.updated or one.at
    over = one.status in OVER
    return look.incident(
        id=key,
        name=_PREFIX.sub("", one.title) or one.title,
        status=one.status,
        impact=Impact.NONE if over else impact_of(one.health),
        started=(_seconds(one.at or one.updated),),
        updated=_seconds(moment),
        resolved=_seconds(moment) if over else None,
        url=one.link,
        updates=[look.update(_seconds(moment), one.status.value if one.status else None, one.text)],
        components=one.parts,
    )


def _seconds(at: datetime | None) -> float | None:
    return at.astimezone(UTC).timestamp() if at else None


KIND = Platform("feed", Endpoints, read, is_markup=True, imports=("feedparser",))
