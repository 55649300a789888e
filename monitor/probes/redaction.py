"""Our secrets taken out of what strangers sent back, in every spelling in which they may come back.

A server that echoes a request rarely echoes it byte by byte: it escapes for JSON or HTML, quotes for a URL, shows the
``Authorization`` header as base64, or cuts after so many characters. One that means harm puts characters that nobody
sees between the letters.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import escape
from typing import NamedTuple
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
_SHORTEST_SECRET = 4
_SHORTEST_PART = 8
"""A word inside a secret is one itself from this length on: ``Bearer`` is not."""
_TORN = 6
_TORN_INSIDE = 12
"""So many first letters of a secret are a torn secret anywhere; at the end of a text half as many are."""

_KEY_SHAPE = re.compile(
    r"(?i:\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{8,})"
    r"|\b(?:sk|pk|rk|xai|gsk|AIza)[-_][A-Za-z0-9_*-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSEEN = frozenset({"Cf", "Co", "Cn"})
_PARTS = re.compile(r"[\s;,]+|(?<=\w)=(?=\w)")


class Forms(NamedTuple):
    """The spellings of some secrets, the longest first, and how each begins."""

    whole: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace the secrets (also encoded, or cut off) and anything shaped like a key."""
    return redacted(text, forms_of(tuple(secrets)))


def redacted(text: str, forms: Forms) -> str:
    """Replace every spelling, whole or torn, and anything shaped like a key."""
    if len(text) < _SHORTEST_SECRET:
        return text
    if any(head in text for head in forms.heads):
        for form in forms.whole:
            text = _without_torn_end(_without_runs(text.replace(form, REDACTED), form), form)
    return _KEY_SHAPE.sub(REDACTED, text)


def as_seen(text: str) -> str:
    """Return a text as its reader will see it: controls marked, and what has no shape left out.

    It comes before redaction, because whoever leaves such characters out later would put a secret together again.
    """
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    if text.isascii():
        return text
    return "".join(letter for letter in text if letter < "\x7f" or unicodedata.category(letter) not in _UNSEEN)


@lru_cache(maxsize=4096)
def forms_of(secrets: tuple[str, ...]) -> Forms:
    """Return every spelling in which a secret may come back."""
    found: set[str] = set()
    for secret in secrets:
        for part in _parts(secret.strip()):
            found.update(_spellings(part))
    whole = tuple(sorted((form for form in found if len(form) >= _SHORTEST_SECRET), key=len, reverse=True))
    return Forms(whole, tuple({form[:_TORN] for form in whole}))


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret, and what is secret by itself in it: a token after its scheme, a cookie's value, a line."""
    yield secret
    for part in _PARTS.split(secret):
        if len(part) >= _SHORTEST_PART:
            yield part
    scheme, _, rest = secret.partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield pair
        yield pair.partition(":")[2]


def _spellings(part: str) -> Iterator[str]:
    in_json = json.dumps(part)[1:-1]
    yield from (part, in_json, json.dumps(part, ensure_ascii=False)[1:-1], json.dumps(in_json)[1:-1], repr(part)[1:-1])
    yield from (part.replace("/", "\\/"), in_json.replace("/", "\\/"))
    yield from (escape(part, quote=False), escape(part), escape(part).replace("&#x27;", "&#39;"))
    for quoted in (quote(part, safe=""), quote(part), quote_plus(part), quote(quote(part, safe=""), safe="")):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    data = part.encode("utf-8", "replace")
    yield from (data.hex(), data.hex().upper())
    if len(data) < _SHORTEST_PART:
        yield base64.b64encode(data).decode()
        return
    for before in range(3):
        # What a secret looks like in base64 depends on how many bytes stand before it, as in "user:password".
        packed = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        inner = packed[(0, 2, 3)[before] : len(packed) - bool((before + len(data)) % 3)]
        yield from (inner, inner.replace("+", "-").replace("/", "_"))


def _without_runs(text: str, form: str) -> str:
    """Cut out what begins like a secret and ends too early: somebody kept its first so many letters."""
    if len(form) <= _TORN_INSIDE:
        return text
    at = text.find(form[:_TORN_INSIDE])
    while at >= 0:
        end = at + _TORN_INSIDE
        while end < len(text) and end - at < len(form) and text[end] == form[end - at]:
            end += 1
        text = text[:at] + REDACTED + text[end:]
        at = text.find(form[:_TORN_INSIDE], at + len(REDACTED))
    return text


def _without_torn_end(text: str, secret: str) -> str:
    """Cut the first part of a secret off the end of an excerpt that ends in its middle."""
    at = text.rfind(secret[:_TORN], max(0, len(text) - len(secret)))
    return text[:at] + REDACTED if at >= 0 and secret.startswith(text[at:]) else text
