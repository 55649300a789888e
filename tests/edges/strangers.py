"""Every kind that reads from a stranger, and whole bodies of two megabytes made to be slow or large once read."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

from monitor.probes.registration.detectors import DETECTORS
from monitor.probes.upstream.platforms import PLATFORMS
from tests.edges.hostile import gzip_bomb
from tests.edges.probing import KEY

KINDS: dict[str, dict[str, Any]] = {
    "http": {"json_path": {"a.b": 1}, "contains": "x", "header_regex": {"a": "b"}},
    "http following": {"regex": "x+", "redirects": 3},
    "login": {},
    "login account": {"product": "open_webui", "email": "alice@example.org", "password": "pw-123456789"},
    "login form": {"product": "form", "email": "alice@example.org", "password": "pw-123456789"},
    "registration json": {"detector": "json", "path": "data.signup", "mapping": {"true": "open"}},
    "registration notice": {"detector": "upstream_text", "provider": "statuspage"},
    "chat": {"base_url": "", "model": "m", "key": KEY},
    "chat whole": {"base_url": "", "model": "m", "key": KEY, "dialect": "anthropic", "stream": False},
    "chat edge": {"base_url": "", "model": "m"},
}
"""Name, whose first word is the kind → options without the address."""
KINDS |= {f"registration {name}": {"detector": name} for name, one in DETECTORS.items() if not one.needs}
KINDS |= {f"upstream {name}": {"provider": name, "components": {"a": "x/y"}} for name in PLATFORMS}

READERS: dict[str, dict[str, Any]] = KINDS | {
    "http json": {"json_path": {"a.b": 1}},
    "http regex": {"regex": ["(x+x+)+y", "(a|a)*b", "registration.*closed"]},
    "chat balance": {"base_url": "", "balance_url": "", "model": "m", "key": KEY, "stream": False},
    "chat listed": {"base_url": "", "model": "m", "key": KEY, "budget_tokens_day": 150, "short_every_s": "1d"},
}
READ_AS_PAGES = ("registration page_text", "http regex", "login form", "upstream flashduty")
ROOM = 2 * 2**20 - 4096
FEED_ROOM = 250_000
UNFOLDING = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}".encode()
"""Eighteen letters once it is folded."""


def much(unit: bytes | str, room: int = ROOM) -> bytes:
    """Return *unit* so many times that it fills *room*."""
    data = unit.encode() if isinstance(unit, str) else unit
    return data * (room // len(data))


def rows(unit: bytes, number: int) -> bytes:
    """Return an array of *number* objects, each with a number of its own."""
    return b"[" + b",".join(unit % {b"n": count} for count in range(number)) + b"]"


@cache
def floats() -> bytes:
    return b"[" + much(b"0.12345678901234567,", ROOM - 200) + b"0]"


@cache
def json_bodies() -> dict[str, bytes]:
    """Return what everybody who reads JSON is tried on."""
    components = rows(b'{"id":"c%(n)d","name":"n%(n)d","status":"operational"}', 33_000)
    return {
        "arrays without end": much(b"["),
        "objects without end": much(b'{"a":'),
        "names without end": b"{" + b",".join(b'"k%d":1' % number for number in range(ROOM // 12)) + b"}",
        "numbers of 4,299 digits": b"[" + much(b"9" * 4299 + b",") + b"0]",
        "an array at every place": b'{"a":{"b":%b},"token":[],"detail":1}' % floats(),
        "33,000 components": b'{"page":{},"status":{"indicator":"none"},"incidents":[],"components":%b}' % components,
    }


def shaped_bodies(name: str) -> dict[str, bytes]:
    """Return what one kind alone is tried on: its own shape, many times over."""
    answer = b'{"choices":[{"message":%b,"finish_reason":"stop"}]}'
    match name:
        case "upstream incident_io":
            affected = rows(b'{"component_id":"c%(n)d","status":"full_outage"}', 20_000)
            parts = rows(b'{"id":"c%(n)d","name":"n"}', 22_000), affected
            whole = b'{"summary":{"components":%b,"affected_components":%b,"ongoing_incidents":[]}}'
            return {"components": whole % parts}
        case "upstream google_cloud":
            return {"incidents": rows(b'{"id":"%(n)d","begin":"2026-11-01","updates":[]}', 40_000)}
        case "registration deepseek_banner":
            banner = b'"%b",' % much("registration limited to +86 phone numbers, ", 4000)
            whole = b'{"code":0,"data":{"biz_code":0,"biz_data":{"settings":{"a":[%b"x"]}}}}'
            return {"banners": whole % much(banner, ROOM - 200)}
        case "registration matrix":
            return {"flows": b'{"flows":[%b{}]}' % much(b'{"stages":[%b"m"]},' % much(b'"m.login.x",', 40_000))}
        case "chat":
            return {
                "an answer that unfolds": answer % (b'{"content":"%b"}' % much(UNFOLDING, ROOM - 200)),
                "an array for an answer": answer % (b'{"refusal":%b}' % floats()),
                "an array for an error": b'{"detail":%b}' % floats(),
            }
        case "chat whole":
            return {"an array for an answer": b'{"content":[{"text":%b}],"stop_reason":"end_turn"}' % floats()}
        case "chat listed":
            return {"models": b'{"object":"list","data":%b}' % rows(b'{"id":"m%(n)d"}', 60_000)}
    return {}


@cache
def pages() -> dict[str, bytes]:
    """Return web pages."""
    return {
        "tags": much(b"<a>"),
        "tags that never end": much(b"<a "),
        "comments that never end": much(b"<!--"),
        "scripts": much(b"<script>"),
        "references": much(b"&#38;"),
        "fields": much(b'<input type=email placeholder="phone" name=x>'),
        "sentences": much("registration, 注册，仅支持+86手机号，only sign up with "),
        "gb18030": much(b"\x81\x30\x81\x30"),
        "a stream of pieces": much(b'self.__next_f.push([1,"{\\"page\\":{"])'),
    }


@cache
def feeds() -> dict[str, bytes]:
    """Return feeds."""
    head, entry = b'<?xml version="1.0"?>', b'<rss version="2.0"><channel><item>%b</item></channel></rss>'
    attributes = b"<b %b/>" % b" ".join(b'a%d="b"' % number for number in range(380))
    laughs = b"".join(b'<!ENTITY l%d "%b">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10))
    own = b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><content type="xhtml">'
    return {
        "a billion laughs": head + b'<!DOCTYPE x [<!ENTITY l0 "l">%b]>' % laughs + entry % b"<title>&l9;</title>",
        "a long entity": head
        + b'<!DOCTYPE x [<!ENTITY a "%b">]>' % (b"x" * 50_000)
        + entry % (b"<title>%b</title>" % much(b"&a;", 180_000)),
        "depth": head + b'<rss version="2.0"><channel>' + much(b"<a>", FEED_ROOM),
        "attributes": head + entry % much(attributes, FEED_ROOM),
        "entries": head + entry % much(b"</item><item><title>x</title>"),
        "escaped markup": head + entry % (b"<description>%b</description>" % much(b"&lt;b&gt;", FEED_ROOM)),
        "markup of its own": own + much(b"<b>", FEED_ROOM),
        "letters of two bytes": '\ufeff<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>'.encode("utf-16-le"),
    }


@cache
def event_streams() -> dict[str, bytes]:
    """Return streams of events."""
    unfolding = b'data: {"choices":[{"delta":{"content":"%b"},"finish_reason":"stop"}]}\n\n'
    return {
        "words": much(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'),
        "names of fields": much(b"a\n"),
        "long numbers": b"data: [%b0]\n\n" % much(b"9" * 4299 + b",", 10**6),
        "an answer that unfolds": unfolding % much(UNFOLDING, 10**6),
    }


@cache
def packed() -> dict[str, bytes]:
    """Return gzip that becomes a hundred megabytes, or nothing, over and over."""
    return {
        "zeros": gzip_bomb(100),
        "arrays": zlib.compress(b"[" * 30 * 2**20, 1, 31),
        "nothing": much(zlib.compress(b"", 9, 31)),
    }


def answers_for(name: str) -> dict[str, bytes]:
    """Return the answers that a reader of this name is tried on, all of them with status 200."""
    if name in READ_AS_PAGES:
        bodies = {f"page, {what}": (f"text/html; charset={what}", body) for what, body in pages().items()}
    elif name == "upstream feed":
        bodies = {f"feed, {what}": ("application/rss+xml", body) for what, body in feeds().items()}
    else:
        json = json_bodies() | shaped_bodies(name)
        bodies = {f"json, {what}": ("application/json", body) for what, body in json.items()}
    if name == "chat":
        bodies |= {f"events, {what}": ("text/event-stream", body) for what, body in event_streams().items()}
    answers = {what: _answer(kind, body) for what, (kind, body) in bodies.items()}
    return answers | {f"gzip, {what}": _answer("text/xml", body, "gzip") for what, body in packed().items()}


def _answer(kind: str, body: bytes, coding: str = "identity") -> bytes:
    lines = ("HTTP/1.1 200 OK", f"content-type: {kind}", f"content-encoding: {coding}", f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\nconnection: close\r\n\r\n" + body
