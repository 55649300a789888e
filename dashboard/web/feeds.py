"""The snapshot for feed readers, calendars and README badges."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape

from dashboard import sentences, timeline, titles
from dashboard.palette import BADGE, DARK, colour
from dashboard.scene import slug
from dashboard.words import speak, web_address
from monitor.core.model.states import Health
from monitor.store.reads.views import Snapshot
from monitor.text.cleaner import plain
from monitor.text.lexicon import Language

DARK_INK = {"degraded_performance", "unknown", "partial_outage", "operational"}


def shapes() -> dict[str, str]:
    """Return the marks by state; on a browser's bar, light or dark, the darkest red would drown."""
    good, slow, part = (colour(name) for name in ("operational", "degraded_performance", "partial_outage"))
    ring = '<circle cx="8" cy="8" r="6" fill="none" stroke-width="2"'
    return {
        "operational": f'<circle cx="8" cy="8" r="7" fill="{good}"/>',
        "degraded_performance": f'{ring} stroke="{slow}"/><path d="M8 2a6 6 0 0 0 0 12z" fill="{slow}"/>',
        "partial_outage": f'<path d="M8 1 16 15H0z" fill="{part}"/>',
        "major_outage": f'<rect x="1" y="1" width="14" height="14" rx="2" fill="{colour("major_outage", DARK)}"/>',
        "maintenance": f'<path d="M8 0l8 8-8 8-8-8z" fill="{colour("maintenance")}"/>',
        "unknown": f'{ring} stroke="{colour("hatch")}" stroke-dasharray="2 2"/>',
    }


def documents(snapshot: Snapshot, url: str) -> dict[str, tuple[str, bytes]]:
    """Return path → (content type, bytes)."""
    found = {
        "/feed.atom": ("application/atom+xml; charset=utf-8", atom(snapshot, url)),
        "/feed.rss": ("application/rss+xml; charset=utf-8", rss(snapshot, url)),
        "/calendar.ics": ("text/calendar; charset=utf-8", calendar(snapshot, url)),
        "/favicon.svg": ("image/svg+xml", icon(sentences.page_state(snapshot))),
        "/robots.txt": ("text/plain; charset=utf-8", b"User-agent: *\nAllow: /\n"),
    }
    for service in snapshot.services:
        state = sentences.service_state(service)
        path = f"/badge/{slug(service.id)}.svg"
        word = sentences.state_word(state, speak(Language.EN)).lower()
        found[path] = ("image/svg+xml", badge(plain(service.name, 40), word, state))
    return found


def text(value: object) -> str:
    """Return text that XML allows, escaped."""
    return escape(plain(value, 4000))


def stories(snapshot: Snapshot, url: str) -> list[tuple[str, str, str, datetime, datetime]]:
    """Return (address, title, body, started, updated) of each incident, newest first."""
    words = speak(Language.EN)
    names = sentences.names_of(snapshot, words)
    told = []
    for incident in (*snapshot.open_incidents, *snapshot.past_incidents)[:50]:
        body = "\n".join(
            f"{words.moment(entry.at)} UTC: {timeline.text_of(entry, words)} "
            f"{words('quote', text=entry.quote) if entry.quote else ''}"
            for entry in timeline.entries(incident, words, names)
        )
        title = f"{titles.incident_title(incident, words, names)} ({words.of(incident.status).lower()})"
        address = f"{url}/incidents/{slug(incident.id)}"
        told.append((address, title, body, incident.started_at, incident.updated_at))
    return told


def atom(snapshot: Snapshot, url: str) -> bytes:
    """Return an Atom feed of incidents (RFC 4287)."""
    newest = max((story[4] for story in stories(snapshot, url)), default=datetime(2025, 1, 1, tzinfo=UTC))
    rows = [
        f"<entry><id>{text(address)}</id><title>{text(title)}</title><link href={attribute(address)}/>"
        f"<published>{start.isoformat()}</published><updated>{updated.isoformat()}</updated>"
        f'<content type="text">{escape(body)}</content></entry>'
        for address, title, body, start, updated in stories(snapshot, url)
    ]
    head = (
        '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
        f"<id>{text(url)}/feed.atom</id><title>Chatwatch</title><updated>{newest.isoformat()}</updated>"
        f'<link rel="self" href={attribute(url + "/feed.atom")}/><link href={attribute(url + "/")}/>'
        "<author><name>Chatwatch</name></author>"
    )
    return f"{head}{''.join(rows)}</feed>".encode()


def rss(snapshot: Snapshot, url: str) -> bytes:
    """Return an RSS 2.0 feed of incidents."""
    rows = [
        f"<item><title>{text(title)}</title><link>{text(address)}</link>"
        f'<guid isPermaLink="false">{text(address)}#{updated.timestamp():.0f}</guid>'
        f"<pubDate>{format_datetime(updated.astimezone(UTC), usegmt=True)}</pubDate>"
        f"<description>{escape(escape(body))}</description></item>"
        for address, title, body, _, updated in stories(snapshot, url)
    ]
    head = (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Chatwatch</title>'
        f"<link>{text(url)}/</link><description>Incidents of AI chat services, measured from outside</description>"
    )
    return f"{head}{''.join(rows)}</channel></rss>".encode()


def attribute(value: str) -> str:
    """Return a quoted attribute; an address that is not plain http(s) becomes empty."""
    return f'"{escape(web_address(value))}"'


def calendar(snapshot: Snapshot, url: str) -> bytes:
    """Return planned maintenance as iCalendar (RFC 5545), lines folded at 75 octets."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Chatwatch//Chatwatch//EN", "X-WR-CALNAME:Chatwatch"]
    for item in snapshot.maintenances:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{slug(item.id)}@chatwatch",
            f"DTSTAMP:{snapshot.taken_at:%Y%m%dT%H%M%SZ}",
            f"DTSTART:{item.starts_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            f"DTEND:{item.ends_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            f"SUMMARY:{calendar_text(item.title)}",
            f"DESCRIPTION:{calendar_text(item.text)}",
            f"URL:{url}/",
            "END:VEVENT",
        ]
    return "".join(fold(line) for line in [*lines, "END:VCALENDAR"]).encode()


def calendar_text(value: str) -> str:
    """Return text with iCalendar's own escapes."""
    return plain(value, 500).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def fold(line: str) -> str:
    """Return a content line folded so that no piece exceeds 75 octets and no character is cut."""
    pieces, current = [], ""
    for character in line:
        if len((current + character).encode()) > 73:
            pieces.append(current)
            current = ""
        current += character
    return "\r\n ".join([*pieces, current]) + "\r\n"


def icon(state: str) -> bytes:
    """Return the favicon: the page's state as its shape."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{shapes()[state]}</svg>'.encode()


def badge(name: str, word: str, state: str) -> bytes:
    """Return a two-field badge; widths are estimated, CJK counts double."""
    left, right = (16 + sum(11 if ord(character) > 0x2E80 else 6.6 for character in part) for part in (name, word))
    ink = colour("ink") if state in DARK_INK else colour("paper")
    assert state in {*map(str, Health), "maintenance"}
    said, width, inner = escape(f"{name}: {word}"), f"{left + right:.0f}", f"{right - 3:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<rect width="{width}" height="20" rx="3" fill="{BADGE}"/>'
        f'<path d="M{left:.0f} 0h{inner}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{inner}z" fill="{colour(state)}"/>'
        '<g font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:.0f}" y="14" fill="{colour("paper")}">{escape(name)}</text>'
        f'<text x="{left + right / 2:.0f}" y="14" fill="{ink}">{escape(word)}</text></g></svg>'
    ).encode()
