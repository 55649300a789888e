"""A secret never comes back through what a server says, however it is spelled, cut or hidden."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.observations import Evidence, Observation
from monitor.core.model.reasons import Reason
from monitor.probes.base import tidy
from monitor.text.redaction import REDACTED, redact

ODD = "Zq7/\"hunter\\2'&<x>%+ ~canary=="
PLAIN = "hunter2-canary-0123456789"
LONG = 500_000
"""A search whose cost grows with the square of this length would take hours; texts of answers have 8 KB."""


def basic(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode()


def nested(text: str, times: int) -> str:
    return nested(json.dumps(text), times - 1) if times else text


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "json": lambda text: json.dumps(text)[1:-1],
    "json in json": lambda text: json.dumps(json.dumps({"k": text})),
    "json of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "json five times": lambda text: nested(text, 5),
    "json in an address": lambda text: quote(json.dumps(text)),
    "json letter by letter": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "html letter by letter": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "html in html": lambda text: html.escape(html.escape(text)),
    "no width in json": lambda text: json.dumps("\u200b".join(text)),
    "repr": repr,
    "html": html.escape,
    "html without quotes": lambda text: html.escape(text, quote=False),
    "url": lambda text: quote(text, safe=""),
    "url in lower case": lambda text: quote_plus(text).replace("%2F", "%2f").replace("%5C", "%5c"),
    "path": quote,
    "form": quote_plus,
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "basic one": lambda text: basic("a", text),
    "basic two": lambda text: basic("al", text),
    "basic three": lambda text: basic("ali", text) + "more",
    "capitals": str.upper,
    "capitals in Turkish": lambda text: "İ" + text.upper(),
    "hex in capitals": lambda text: text.encode().hex().upper(),
    "hex": lambda text: text.encode().hex(),
    "no width": "\u200b".join,
    "soft hyphens": "\xad".join,
    "private use": "\ue000".join,
    "two bytes a letter": "\x00".join,
    "controls": "\x01\x7f".join,
    "turned round": lambda text: "\u202e" + text[:5] + "\u2066" + text[5:] + "\u2069",
}


def unhidden(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii())


@pytest.mark.parametrize("secret", [ODD, PLAIN])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_secret_is_taken_out(spelling: str, secret: str) -> None:
    said = f'you sent <{SPELLINGS[spelling](secret)}> and "more"'
    seen = tidy(Observation(Reason.STATUS, detail=said, evidence=Evidence(excerpt=said)), [secret])
    assert seen.evidence is not None
    for text in (seen.detail, seen.evidence.excerpt):
        assert REDACTED in text, text
        assert secret[4:12].lower() not in unhidden(text).lower()
        assert text.startswith("you sent <")


def test_the_token_inside_a_header_is_a_secret_by_itself() -> None:
    assert redact(f"no such token: {PLAIN}", [f"Token {PLAIN}"]) == "no such token: [redacted]"
    assert redact(f"no such session: {PLAIN}", [f"session={PLAIN}; theme=dark"]) == "no such session: [redacted]"
    assert redact(f"wrong password {PLAIN}!", [f"Basic {basic('alice', PLAIN)}"]) == "wrong password [redacted]!"


HOOK = "https://alice:hunter2-0@hooks.example/services/T01/canary-0123456789?key=k-0123456789"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (HOOK, "https://[redacted]@hooks.example[redacted]"),
        ("Status page started at https://hooks.example/", "Status page started at https://hooks.example/"),
        ("https://hooks.example is unreachable", "https://hooks.example is unreachable"),
        ("https://hooks.example:8500/incidents", "https://hooks.example:8500/incidents"),
        ("no hook /services/T01/canary-0123", "no hook [redacted]"),
        ("https:\\/\\/hooks.example\\/services\\/T01\\/canary", "https:\\/\\/hooks.example\\[redacted]"),
        (quote(HOOK, safe=""), "https%3A%2F%2F[redacted]%40hooks.example[redacted]"),
        ("the key k-0123456789 is wrong", "the key [redacted] is wrong"),
        ("the password hunter2-0 is wrong", "the password [redacted] is wrong"),
    ],
)
def test_of_an_address_account_path_and_query_are_secret_and_the_host_is_none(said: str, left: str) -> None:
    assert redact(said, [HOOK]) == left


def test_a_short_path_is_secret_only_behind_its_host() -> None:
    secret = ["https://ntfy.example/ab12"]
    assert redact("https://ntfy.example/ab12 and https://ntfy.example/", secret) == (
        "https://[redacted] and https://ntfy.example/"
    )
    assert redact("/ab12 is a page, ntfy.example/a", secret) == "/ab12 is a page, ntfy.example/a"
    assert (
        redact("https://ntfy.example/x", ["https://ntfy.example/", "http://ntfy.example"]) == "https://ntfy.example/x"
    )


@given(cut=st.integers(12, len(PLAIN)))
def test_a_secret_that_was_cut_is_taken_out_wherever_it_stands(cut: int) -> None:
    text = redact(f'invalid key "{PLAIN[:cut]}…" given, {PLAIN[:cut]}** known', [PLAIN])
    assert PLAIN[:8] not in text
    assert text.startswith('invalid key "[redacted]')


def test_text_without_a_secret_keeps_every_letter() -> None:
    said = "The API is overloaded – 服务器繁忙，请稍后再试。 50 % <of> all"
    assert redact(said, [ODD, PLAIN, "ab"]) == said
    said = 'C:\\dir &amp; "\\u4e2d" 100% %41+b '
    assert redact(f"{said}{PLAIN} {said}", [PLAIN]) == f"{said}[redacted] {said}"


@pytest.mark.timeout(60)
def test_a_text_made_to_be_slow_to_search_is_not() -> None:
    for piece in (PLAIN[:11], "\\", "&amp;", "%25", "&", "%", "\\u00", PLAIN[:6]):
        redact((piece * LONG)[:LONG], [PLAIN, f"Bearer {PLAIN}"])


def test_escape_sequences_and_odd_line_ends_are_marked() -> None:
    seen = tidy(Observation(Reason.STATUS, "a\x1b[31mb\x9b31mc\u2028d"), [])
    mark = "\N{REPLACEMENT CHARACTER}"
    assert seen.detail == f"a{mark}[31mb{mark}31mc{mark}d"
