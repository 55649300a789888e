"""Our secrets taken out of what strangers sent back, in every spelling in which they may come back.

A server that echoes a request rarely echoes it byte by byte: it escapes for JSON, HTML or a URL, often several times
over, shows the ``Authorization`` header as base64, or cuts after so many characters. One that means harm puts letters
that nobody sees between the others. So a text is read with its escapes undone and the original is cut there.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import unescape
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

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
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSEEN = frozenset({"Cf", "Co", "Cn"})
_ADDRESS = re.compile(r"(?i:https?)://\S+$")
_PARTS = re.compile(r"[\s;,]+|(?<=\w)=(?=\w)")


_ESCAPE = re.compile(
    r"\\+u([0-9a-fA-F]{4})|\\+x([0-9a-fA-F]{2})|\\+|%(?:25)*([0-9a-fA-F]{2})|\+|\ufffd"
    r"|&(?:amp;)*(#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z]{2,8};)"
)


class Forms(NamedTuple):
    """The spellings of some secrets with their escapes undone, the longest first, and how each begins."""

    whole: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    firm: frozenset[str] = frozenset()
    """Those that count only in full, since they begin with what everybody may read."""


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace the secrets (also encoded, or cut off) and anything shaped like a key."""
    return redacted(text, forms_of(tuple(secrets)))


def redacted(text: str, forms: Forms) -> str:
    """Replace every spelling, whole or torn, and anything shaped like a key."""
    if len(text) < _SHORTEST_SECRET:
        return text
    if forms.heads:
        plain = _lower(_ESCAPE.sub(_undone, text))
        if any(head in plain for head in forms.heads):
            text = _cut_out(text, forms)
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
    torn: set[str] = set()
    firm: set[str] = set()
    for secret in secrets:
        for part in _parts(secret.strip()):
            if _ADDRESS.match(part):
                hidden, named = _of_address(part)
                torn.update(form for item in hidden for form in _spellings(item))
                firm.update(form for item in named for form in _spellings(item))
            else:
                torn.update(_spellings(part))
    bare, in_full = ({_lower(_ESCAPE.sub(_undone, form)) for form in forms} for forms in (torn, firm))
    whole = tuple(sorted((form for form in bare | in_full if len(form) >= _SHORTEST_SECRET), key=len, reverse=True))
    return Forms(whole, tuple({form[:_TORN] for form in whole}), frozenset(in_full - bare))


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret, and what is secret by itself in it: a token after its scheme, a cookie's value, a line."""
    yield secret
    if _ADDRESS.match(secret):
        return
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


def _of_address(address: str) -> tuple[list[str], list[str]]:
    """Return what is secret in an address, and what is only in full: its scheme and host are nobody's secret.

    Were they part of one, its first letters would take every other address on that host out of what we say.
    """
    place = address.partition("://")[2]
    host_end = min((at for mark in "/?#" if (at := place.find(mark)) >= 0), default=len(place))
    account, _, host = place[:host_end].rpartition("@")
    tail = place[host_end:]
    values = [value for _, value in parse_qsl(tail.partition("?")[2]) if len(value) >= _SHORTEST_PART]
    hidden = [*values, *([account, account.partition(":")[2]] if account else [])]
    if len(tail) >= _SHORTEST_PART:
        return [*hidden, tail], []
    return hidden, [host + tail] if tail.strip("/?#") else []  # too short to be told from other words by itself


def _spellings(part: str) -> Iterator[str]:
    data = part.encode("utf-8", "replace")
    yield from (part, quote(part, safe=""), data.hex())
    if len(data) < _SHORTEST_PART:
        yield base64.b64encode(data).decode()
        return
    for before in range(3):
        # What a secret looks like in base64 depends on how many bytes stand before it, as in "user:password".
        packed = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        inner = packed[(0, 2, 3)[before] : len(packed) - bool((before + len(data)) % 3)]
        yield from (inner, inner.replace("+", "-").replace("/", "_"))


_SMALL = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}


def _lower(text: str) -> str:
    """Return the text in small letters, as long as before: the host of an address loses its capitals, for one."""
    return text.lower() if text.isascii() else text.translate(_SMALL)


def _undone(escape: re.Match[str]) -> str:
    """Return what an escape stands for; a backslash or a mark alone stands for nothing, and a plus may be a space."""
    in_json, in_code, in_address, in_html = escape.groups()
    if in_html:
        letter = unescape(f"&{in_html}")
    elif code := in_json or in_code or in_address:
        letter = chr(int(code, 16))
    else:
        letter = " " if escape[0] == "+" else ""
    return letter if letter.isascii() or unicodedata.category(letter[0]) not in _UNSEEN else ""


def _cut_out(text: str, forms: Forms) -> str:
    """Replace the parts of ``text`` that read like a secret once their escapes are undone."""
    letters, spans, at = [], [], 0
    for escape in _ESCAPE.finditer(text):
        spans += [(place, place + 1) for place in range(at, escape.start())]
        undone = _undone(escape)
        spans += [escape.span()] * len(undone)
        letters += [text[at : escape.start()], undone]
        at = escape.end()
    spans += [(place, place + 1) for place in range(at, len(text))]
    plain = _lower("".join([*letters, text[at:]]))
    parts, done = [], 0
    for start, end in _merged(found for form in forms.whole for found in _found(plain, form, form in forms.firm)):
        parts += [text[done : spans[start][0]], REDACTED]
        done = spans[end - 1][1]
    return "".join([*parts, text[done:]])


def _found(plain: str, form: str, in_full: bool) -> Iterator[tuple[int, int]]:
    """Yield where a secret stands, or begins and ends too early: somebody kept its first so many letters."""
    head = form[: min(len(form), _TORN)]
    at = plain.find(head)
    while at >= 0:
        end = at + len(head)
        while end < len(plain) and end - at < len(form) and plain[end] == form[end - at]:
            end += 1
        if end - at == len(form) or (not in_full and (end - at >= _TORN_INSIDE or end == len(plain))):
            yield at, end
        at = plain.find(head, at + 1)


def _merged(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
