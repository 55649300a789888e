"""The text of a feed's entry, read for what happened when: "Resolved: Thu, 03 Sep 2026 17:09:14 GMT" and its like.

Statuspage, xAI and others write a list of updates into one text, each with its time and a word for its status. Pure,
and linear in the length of the text, which is a stranger's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from monitor.core.model.states import IncidentStatus
from monitor.core.model.upstream import UpstreamUpdate
from monitor.probes.upstream.parts import BODY_CHARS, OVER, Look
from monitor.text.cleaner import clean

UPDATES = 30
WORDS = frozenset(
    {
        "resolved",
        "completed",
        "postmortem",
        "monitoring",
        "identified",
        "investigating",
        "scheduled",
        "update",
        "in progress",
    }
)
"""Words for a status that stand in brackets where others name what is concerned."""
_STATUS_LINE = re.compile(
    r"(?im)(?:\b(?:status|state):\s{0,5}|^\W{0,10}|<strong>)"
    r"(resolved|completed|post-?mortem|monitoring|identified|investigating)\b"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONES: dict[str, float] = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "PST": -8,
    "PDT": -7,
    "MST": -7,
    "MDT": -6,
    "CST": -6,
    "CDT": -5,
    "EST": -5,
}
_ZONES |= {
    "EDT": -4,
    "BST": 1,
    "CET": 1,
    "CEST": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "SGT": 8,
    "HKT": 8,
    "JST": 9,
    "KST": 9,
}
_ZONES |= {"AEST": 10, "AEDT": 11, "IST": 5.5}
_CHINA = 8
"""``CST`` is China's as well as that of the middle of America."""
_ZONE = r"(?P<zone>(?:GMT|UTC) ?[+-]\d{1,2}(?::?\d\d)?|Z|[A-Z]{3,4}|[+-]\d\d:?\d\d)"
_CLOCK = r"(?P<time>\d{1,2}:\d\d(?::\d\d)?(?: ?[AaPp][Mm])?)"
_STAMPS = (
    re.compile(r"(?P<day>\d{1,2}) (?P<month>[A-Z][a-z]{2})[a-z]{0,6},? (?P<year>20\d\d),? " + _CLOCK + " " + _ZONE),
    re.compile(
        r"(?P<year>20\d\d)-(?P<month>\d\d)-(?P<day>\d\d)[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:\.\d{1,9})? ?" + _ZONE
    ),
    re.compile(
        r"(?P<month>[A-Z][a-z]{2})[a-z]{0,6} (?P<day>\d{1,2}),? (?:(?P<year>20\d\d),? )?"
        r"(?:- |at )?" + _CLOCK + " " + _ZONE
    ),
)
_RESOLVED_LABEL = re.compile(r"(?i)\b(?:resolved|ended|closed|completed)(?: at| on)?\s{0,3}:\s{0,3}(?:[a-z]{3,9},? )?$")


@dataclass(frozen=True, slots=True)
class Told:
    """What an entry's text tells. ``end`` is when it was over; None where the text does not say."""

    text: str
    updates: tuple[UpstreamUpdate, ...] = ()
    end: datetime | None = None


def told_in(text: str, latest: datetime, look: Look) -> Told:
    """Read the updates in a text, a line per block; ``latest`` is the entry's own stamp, which tells a missing year."""
    labels, updates = [], []
    stamps = _stamps(text, latest, look)
    for number, (begin, end, at) in enumerate(stamps):
        if _RESOLVED_LABEL.search(text[max(0, begin - 40) : begin]):
            labels.append(at)
            continue
        rest = text[end : stamps[number + 1][0] if number + 1 < len(stamps) else len(text)]
        found = _STATUS_LINE.match(rest.lstrip(" -\u2013\u2014:.\n")) or _STATUS_LINE.search(rest[:200])
        status = _status(found[1]) if found else None
        if found is None and not rest.strip():
            continue
        updates.append(UpstreamUpdate(at, status, clean(_body(rest, found), BODY_CHARS)))
    updates.sort(key=lambda update: update.at, reverse=True)
    return Told(clean(text, BODY_CHARS), tuple(updates), max(labels, default=None) or _end(updates))


def _body(rest: str, found: re.Match[str] | None) -> str:
    body = rest.lstrip(" -\u2013\u2014:.\n")
    if found and body.lower().startswith(found[1].lower()):
        body = body[len(found[1]) :].lstrip(" -\u2013\u2014:.\n")
    return re.sub(r"\n(?:[A-Z][a-z]{2,8},)\s*$", "", body.rstrip() + "\n").strip() if body else ""


def _end(newest_first: list[UpstreamUpdate]) -> datetime | None:
    end = None
    for update in newest_first:
        if update.status is not None and update.status not in OVER:
            break
        end = update.at if update.status is not None else end
    return end


def _stamps(text: str, latest: datetime, look: Look) -> list[tuple[int, int, datetime]]:
    found: dict[int, tuple[int, int, datetime]] = {}
    central = _central(text, latest)
    for pattern in _STAMPS:
        for number, match in enumerate(pattern.finditer(text)):
            if number >= UPDATES:
                break
            at = _time(match, latest, central)
            if at is not None and at <= look.now + timedelta(minutes=10):
                inside = any(begin <= match.start() < end for begin, end, _at in found.values())
                found |= {} if inside else {match.start(): (match.start(), match.end(), min(at, look.now))}
    return [found[begin] for begin in sorted(found)]


def _central(text: str, latest: datetime) -> float:
    """Return what ``CST`` means in a text: by which of both a stamp comes nearest to the entry's own."""
    if "CST" not in text:
        return _ZONES["CST"]
    matches = [match for pattern in _STAMPS for _n, match in zip(range(UPDATES), pattern.finditer(text), strict=False)]

    def distance(hours: float) -> timedelta:
        times = [at for match in matches if match["zone"] == "CST" and (at := _time(match, latest, hours))]
        return min((abs(at - latest) for at in times), default=timedelta.max)

    return min((_ZONES["CST"], _CHINA), key=distance)


def _time(match: re.Match[str], latest: datetime, central: float) -> datetime | None:
    parts = match.groupdict()
    month = int(parts["month"]) if parts["month"].isdigit() else _month(parts["month"])
    zone = timezone(timedelta(hours=central)) if parts["zone"] == "CST" else _zone(parts["zone"])
    if zone is None:
        return None
    clock, half = parts["time"].rstrip(" AaPpMm"), parts["time"][-2:].lower()
    hour, minute, second = (*(int(piece) for piece in clock.split(":")), 0)[:3]
    if half in ("am", "pm"):
        hour = (hour % 12 if 1 <= hour <= 12 else 24) + (12 if half == "pm" else 0)
    year = int(parts["year"]) if parts.get("year") else latest.astimezone(zone).year
    try:
        at = datetime(year, month, int(parts["day"]), hour, minute, second, tzinfo=zone)
        if not parts.get("year") and at > latest + timedelta(days=2):
            at = at.replace(year=year - 1)
    except ValueError:
        return None
    return at.astimezone(UTC)


def _month(word: str) -> int:
    return _MONTHS.index(word.lower()) + 1 if word.lower() in _MONTHS else 0


def _zone(word: str) -> timezone | None:
    if word in _ZONES:
        return timezone(timedelta(hours=_ZONES[word]))
    offset = word.removeprefix("GMT").removeprefix("UTC").strip()
    if offset[0] not in "+-":
        return None
    digits = offset[1:].replace(":", "")
    hours, minutes = (
        int(digits[:-2] or 0) if len(digits) > 2 else int(digits),
        int(digits[-2:]) if len(digits) > 2 else 0,
    )
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes)) if hours < 24 and minutes < 60 else None


def _status(word: str) -> IncidentStatus:
    plain = word.lower().replace("-", "")
    return IncidentStatus("resolved" if plain == "completed" else plain)


def status_of(title: str, tags: str, text: str, told: Told) -> IncidentStatus | None:
    """Return an entry's status: by its title or categories, else by the newest word in its text."""
    if re.search(
        r"(?i)[\[(](?:resolved|completed)[\])]|^resolved\b|[-:] ?resolved$|^service is operating normally", title
    ):
        return IncidentStatus.RESOLVED
    if re.search(r"(?i)\b(?:resolved|completed)\b", tags):
        return IncidentStatus.RESOLVED
    head = _STATUS_LINE.search(text.partition("\n")[0])
    if head:
        return _status(head[1])
    newest = next((update.status for update in told.updates if update.status), None)
    if newest:
        return newest
    found = _STATUS_LINE.search(text)
    if found is None:
        return IncidentStatus.RESOLVED if "operating normally" in text.casefold() else None
    return _status(found[1])
