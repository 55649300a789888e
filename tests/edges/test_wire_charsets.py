"""Which text a page is: BOM, header, the page's own word, and what is left; labels as browsers take them."""

from __future__ import annotations

import codecs

import pytest

from monitor.core.model.reasons import Reason
from monitor.wire.charsets import CODECS, HEAD_BYTES, codec_of, decode, prescan, text_of
from tests.edges.probing import look_at, replays

CHINESE = "服务维护中".encode("gbk")

ROWS = {
    "a BOM goes before the header": ("text/html; charset=gbk", codecs.BOM_UTF8 + "é".encode(), "é"),
    "a BOM of UTF-16, big end first": ("text/html", codecs.BOM_UTF16_BE + "Hé".encode("utf-16-be"), "Hé"),
    "a BOM of UTF-16 in JSON": ("application/json", codecs.BOM_UTF16_LE + "{}".encode("utf-16-le"), "{}"),
    "the header goes before the page": ("text/html; charset=GBK", b"<meta charset=koi8-r>" + CHINESE, "服务维护中"),
    "a header in quotes": ('text/html; charset="gbk"', CHINESE, "服务维护中"),
    "a header in single quotes": ("text/html; charset='gbk'", CHINESE, "服务维护中"),
    "a header with spaces and more behind": ("text/html ; CharSet = gbk ; x=y", CHINESE, "服务维护中"),
    "another parameter that ends so": ("text/html; xcharset=gbk", b"ok", "ok"),
    "an unknown label in the header leaves it to the page": (
        "text/html; charset=x-no", b"<meta charset=gbk>" + CHINESE, "服务维护中",
    ),
    "gb2312 means all of GBK": ("text/html; charset=gb2312", b"\xd6\xec\xe9F\xbb\xf9", "朱镕基"),
    "GBK's lone euro sign": ("text/html; charset=gbk", b"5 \x80", "5 €"),
    "latin-1 means windows-1252": ("text/html; charset=ISO-8859-1", b"5 \x80 \x93ok\x94 \x81", "5 € “ok” \x81"),
    "ASCII does, too": ("text/plain; charset=us-ascii", b"\x80", "€"),
    "iso-8859-9 means windows-1254": ("text/html; charset=latin5", b"\xf0\x80", "ğ€"),
    "tis-620 means windows-874": ("text/html; charset=tis-620", b"\xca\x80", "ส€"),
    "shift_jis means Microsoft's": ("text/html; charset=Shift_JIS", "①～".encode("cp932"), "①～"),
    "euc-jp with NEC's row, as Microsoft has it": ("text/html; charset=euc-jp", b"\xad\xa1\xa1\xc1", "①～"),
    "euc-kr means Microsoft's": ("text/html; charset=euc-kr", "똠".encode("cp949"), "똠"),
    "big5 with Hong Kong's": ("text/html; charset=big5", "嘅".encode("big5hkscs"), "嘅"),
    "utf-16 has its little end first": ("text/html; charset=utf-16", "Hé".encode("utf-16-le"), "Hé"),
    "visual Hebrew": ("text/html; charset=iso-8859-8-i", b"\xf9", "ש"),
    "koi8-ru": ("text/html; charset=koi8-ru", "Добро".encode("koi8-r"), "Добро"),
    "what hides attacks is one mark": ("text/html; charset=iso-2022-kr", b"abc", "\ufffd"),
    "x-user-defined": ("text/plain; charset=x-user-defined", b"a\x80", "a\uf780"),
    "a meta of an older page": (
        "text/html",
        b'<META CONTENT="text/html; charset=windows-1251" HTTP-EQUIV=Content-Type>' + "Добро".encode("cp1251"),
        "Добро",
    ),
    "a meta behind a comment that holds another": (
        "text/html", b"<!-- <meta charset=koi8-r> --><meta charset='gbk'/>" + CHINESE, "服务维护中",
    ),
    "a meta behind a script that writes another": (
        "text/html", b"<script>'<meta charset=koi8-r>'</script><meta charset=gbk>" + CHINESE, "服务维护中",
    ),
    "a meta without a known label is passed over": (
        "text/html", b"<meta charset=x-no><meta charset=gbk>" + CHINESE, "服务维护中",
    ),
    "who reads utf-16 in a meta reads UTF-8": ("text/html", b"<meta charset=utf-16>" + "é".encode(), "é"),
    "a meta late in a long head": (
        "text/html", b"<head><style>" + b"a" * 4000 + b"</style><meta charset=gbk>" + CHINESE, "服务维护中",
    ),
    "a meta late in the body counts no more": (
        "text/html", b"<body>" + b"<p>a" * 400 + b"<meta charset=koi8-r>" + "é".encode(), "é",
    ),
    "no type, and it looks like a page": ("", b"\n<html><meta charset=gbk>" + CHINESE, "服务维护中"),
    "plain text has no meta": ("text/plain", "<meta charset=koi8-r>é".encode(), "é"),
    "XML says it in its first line": (
        "application/xml", b"<?xml version='1.0' encoding='windows-1251'?>" + "Да".encode("cp1251"), "Да",
    ),
    "nobody says anything and it is UTF-8": ("text/html", "é".encode(), "é"),
    "nobody says anything and not a letter is UTF-8": ("text/html", b"caf\xe9", "café"),
    "UTF-8 with a broken letter stays UTF-8": ("text/html", "é".encode() + b"\xe9", "é\ufffd"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_page_is_read_as_a_browser_reads_it(name: str) -> None:
    kind, body, text = ROWS[name]
    assert text_of(kind, body).endswith(text)


def test_every_label_has_a_codec_that_takes_any_bytes() -> None:
    assert len(CODECS) > 220
    assert all(isinstance(decode(codec, bytes(range(256)) * 2), str) for codec in set(CODECS.values()))
    assert [codec_of(label) for label in (" UTF8\n", "punycode", "rot13", "utf-7", "hex", "")] == ["utf-8"] + [""] * 5


@pytest.mark.parametrize(
    "head",
    [
        b"<" * HEAD_BYTES,
        b"<meta " * 3000,
        b'<a b="' * 3000,
        b"<!--" * 4000,
        b"<meta " + b"a " * 8000,
        b"<meta charset",
        b"<script>",
        b"<?xml" + b" " * 9000,
    ],
)
def test_what_never_ends_declares_nothing(head: bytes) -> None:
    assert prescan(head[:HEAD_BYTES]) == ""


def test_a_page_in_its_own_charset_is_judged_by_its_words() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><head><meta charset=gbk></head>" + CHINESE
    assert look_at("http", replays(page), contains="服务").reason is Reason.OK
    assert look_at("http", replays(page), absent="维护").reason is Reason.CONTENT
