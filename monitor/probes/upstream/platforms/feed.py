"""RSS 2.0 and Atom, through ``feedparser``, as Statuspage, xAI, Better Stack and AWS write their entries.

An entry whose title begins with a name in brackets is about that surface (``[Grok (iOS)]``) or region of one
(``[US (us.api.x.ai)]``) and no other; several entries with one id are one incident on several of them. RSS has one
stamp only, so when an incident ended stands in its text.
"""

from __future__ import annotations

import calendar
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import (
    ID_CHARS,
    NAME_CHARS,
    OVER,
    Look,
    UnreadableError,
    impact_of,
    worst,
)
from monitor.probes.upstream.platform import Endpoints, Platform
from monitor.probes.upstream.story import WORDS, Told, status_of, told_in
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
_PREFIX = re.compile(r"^\s*\[([^\]]{1,80})\]\s*")
_SURFACES = 10
_PLANNED = re.compile(
    r"(?i)\bthis is a scheduled event\b|\b(?:scheduled|planned)\b.{0,20}\bmaintenance\b|\[scheduled\]"
)
_EVERYTHING = frozenset({"all", "all systems", "all services", "all products", "all surfaces", "everything", "global"})
_HOST = re.compile(r"\(?\b((?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,20})\b\)?", re.IGNORECASE)
_REGION = re.compile(
    r"(?:[a-z]{2}\d{0,2}|(?:us|eu|ap|sa|ca|me|af|cn)(?:n|s|e|w|c|ne|nw|se|sw)\d{0,2}|apac|emea|latam|amer|europe|asia"
    r"|(?:us|eu|ap|sa|ca|me|af|cn|asia|europe|america)-[a-z0-9-]{1,20})$"
)


@dataclass(slots=True)
class _Entry:
    """What one entry says of one surface (or of no surface in particular, under the empty name)."""

    status: IncidentStatus | None
    health: Health
    told: Told
    at: datetime


@dataclass(slots=True)
class _Incident:
    """All entries of a feed that share an id."""

    title: str
    link: object
    at: datetime | None = None
    updated: datetime | None = None
    ended_at: datetime | None = None
    """When an entry of its own told the end."""
    surfaces: dict[str, _Entry] = field(default_factory=dict)
    words: str = ""
    """Of titles and categories, for feeds whose entries name no surface."""

    @property
    def status(self) -> IncidentStatus | None:
        """Return the status; it is open as long as one of its surfaces is."""
        going_on = [one.status for one in self.surfaces.values() if one.status not in OVER]
        return going_on[0] if going_on else next(iter(self.surfaces.values())).status

    @property
    def health(self) -> Health:
        """Return the worst of its surfaces, of those that are still affected as long as there are any."""
        going_on = [one.health for one in self.surfaces.values() if one.status not in OVER]
        return worst(going_on or [one.health for one in self.surfaces.values()])


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
    told: dict[str, _Incident] = {}
    for entry in parsed.get("entries", [])[:_ENTRIES]:
        _tell(entry, told, look)
    _join(told)
    if not told:
        look.warn(WarningCode.UPSTREAM_EMPTY_FEED)
    quiet = Health.OPERATIONAL if told else Health.UNKNOWN
    surfaces = {name: quiet for one in told.values() for name in one.surfaces if name}
    for one in told.values():
        for name, said in one.surfaces.items():
            if name and said.status not in OVER:
                surfaces[name] = worst((surfaces[name], said.health))
    components = [(name, name, health) for name, health in surfaces.items() if name not in look.watched]
    components += [(word, word, _state(word, surfaces, told, look, quiet)) for word in look.watched]
    incidents = [_incident(key, one, look) for key, one in told.items()]
    trouble = [one.health for one in told.values() if one.status not in OVER]
    return look.reading(
        worst(trouble) if trouble else quiet, components, incidents, _stamp(parsed.get("feed", {}), look)
    )


def _join(told: dict[str, _Incident]) -> None:
    """Join entries that AWS writes for each word on one incident: the end of it bears the title of its beginning."""
    ended = {_bare(one.title): one for one in told.values() if one.status in OVER}
    for key, one in list(told.items()):
        end = ended.get(_bare(one.title))
        if one.status is None and end and one.at and end.at and one.at <= end.at:
            end.ended_at, end.at = end.updated, one.at
            del told[key]


def _bare(title: str) -> str:
    return _PREFIX.sub("", title).casefold()


def _bare_name(title: str) -> str:
    rest = title
    while prefix := _PREFIX.match(rest):
        rest = rest[prefix.end() :]
    return rest or title


def _state(word: str, surfaces: dict[str, Health], told: dict[str, _Incident], look: Look, quiet: Health) -> Health:
    """Return how something watched is: what its surfaces say, and entries that name no surface but the word.

    Trouble in one region is not trouble everywhere: it counts as degraded as long as another region is well.
    """
    whole = [health for name, health in surfaces.items() if _is_named(word, name)]
    regions = [health for name, health in surfaces.items() if _region_of(name, look.watched) == word]
    if regions:
        everywhere = len(regions) > 1 and all(health.severity for health in regions)
        state = worst(regions)
        is_partial = state.severity > Health.DEGRADED.severity and not everywhere
        whole.append(Health.DEGRADED if is_partial else state)
    for one in told.values():
        bare = one.surfaces.get("")
        if bare is not None and bare.status not in OVER and _is_mentioned(word, one):
            whole.append(bare.health)
    return worst(whole) if whole else quiet


def _is_mentioned(word: str, one: _Incident) -> bool:
    """Tell whether a word stands in titles or categories as a whole word; ``api`` is none in ``capital``."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(word.casefold())}(?![\w-]|\.\w)", one.words))


def _touched(one: _Incident, watched: tuple[str, ...]) -> Iterator[str]:
    """Yield the surfaces that an incident names, and what of the watched they are or are a region of."""
    yield from filter(None, one.surfaces)
    for word in watched:
        if any(
            _is_named(word, name) or _region_of(name, watched) == word if name else _is_mentioned(word, one)
            for name in one.surfaces
        ):
            yield word


def _is_named(word: str, surface: str) -> bool:
    """Tell whether a surface goes by a word: its whole name, or the host in it."""
    host = _HOST.search(surface)
    if surface.casefold() in _EVERYTHING:
        return True
    return word.casefold() in (surface.casefold(), host[1].casefold() if host else "")


def _region_of(surface: str, watched: tuple[str, ...]) -> str | None:
    """Return the watched host whose region a surface is, as ``us.api.x.ai`` is one of ``api.x.ai``."""
    host = _HOST.search(surface)
    first, _, rest = host[1].casefold().partition(".") if host else ("", "", "")
    return next((word for word in watched if word.casefold() == rest), None) if _REGION.match(first) else None


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


def _tell(entry: Any, told: dict[str, _Incident], look: Look) -> None:
    title = clean(entry.get("title"), NAME_CHARS)
    contents = entry.get("content") or [{}]
    raw = str(contents[0].get("value") or entry.get("summary") or "")[:20_000]
    tags = " ".join(clean(tag.get("term"), 60) for tag in (entry.get("tags") or [])[:10])
    text = visible_text(raw)
    at, updated = _stamp(entry, look, "published_parsed"), _stamp(entry, look)
    if at is None and updated is None:
        look.warn(WarningCode.UPSTREAM_INCIDENT_DROPPED)
        return
    story = told_in(text, updated or at or look.now, look)
    status = status_of(title, tags, text, story)
    if status is None and (at or updated or look.now) < look.now - FORGOTTEN_AFTER:
        return
    key = clean(entry.get("id") or entry.get("link") or f"{at or updated:%Y%m%dT%H%M} {title}", ID_CHARS)
    one = told.setdefault(key, _Incident(title, entry.get("link")))
    one.at = min(filter(None, (one.at, at or updated)), default=None)
    one.updated = max(filter(None, (one.updated, updated or at)), default=None)
    health = _work(title, text, look) if status is None else None
    story = story if health is None else Told(story.text)  # its times lie ahead
    said = _Entry(status, health or _severity(tags, text), story, updated or at or look.now)
    for surface in _surfaces(title) or [""]:
        before = one.surfaces.setdefault(surface, said)
        if said.at > before.at:  # a feed may give each word an entry of its own, the oldest first
            one.surfaces[surface] = said
    one.words = f"{one.words} {title} {tags}".casefold()[:4000]


def _surfaces(title: str) -> list[str]:
    """Return what the brackets before a title name: one surface each, or several with commas between."""
    found, rest = list[str](), title
    while (prefix := _PREFIX.match(rest)) and len(found) < _SURFACES:
        rest = rest[prefix.end() :]
        parts = [prefix[1]] if "(" in prefix[1] else re.split(r"\s*[,;、]\s*", prefix[1])
        found += [name for part in parts if (name := clean(part, ID_CHARS)) and name.casefold() not in WORDS]
    return list(dict.fromkeys(found))[:_SURFACES]


def _work(title: str, text: str, look: Look) -> Health | None:
    """Return what planned work, which has no status of an incident, makes of its surface; ``None`` if it is none."""
    if not _PLANNED.search(title) and not _PLANNED.search(text[:200]):
        return None
    look.warn(WarningCode.UPSTREAM_MAINTENANCE)
    return Health.UNKNOWN if re.search(r"(?i)\bin progress\b", text[:2000]) else Health.OPERATIONAL


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


def _incident(key: str, one: _Incident, look: Look) -> UpstreamIncident | None:
    status = one.status
    updates = [update for said in one.surfaces.values() for update in said.told.updates]
    ends = [said.told.end for said in one.surfaces.values() if said.told.end] or (
        [one.ended_at] if one.ended_at else []
    )
    starts = [update.at for update in updates] + ([one.at] if one.at else [])
    moment = max(filter(None, (one.updated, *(update.at for update in updates))), default=None)
    over = status in OVER
    last = [look.update(_seconds(moment), status.value if status else None, _words(one))] if not updates else []
    return look.incident(
        id=key,
        name=_bare_name(one.title),
        status=status,
        impact=Impact.NONE if over else impact_of(one.health),
        started=(_seconds(min(starts, default=None)),),
        updated=_seconds(moment),
        resolved=_seconds(max(ends, default=None)) if over and ends else None,
        url=one.link,
        updates=[*updates, *last],
        components=_touched(one, look.watched),
    )


def _words(one: _Incident) -> str:
    return next((said.told.text for said in one.surfaces.values() if said.told.text), "")


def _seconds(at: datetime | None) -> float | None:
    return at.astimezone(UTC).timestamp() if at else None


KIND = Platform("feed", Endpoints, read, is_markup=True, lists_components=False, imports=("feedparser",))
