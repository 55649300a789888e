"""Bytes → text as browsers read it.

In the order of WHATWG HTML, 13.2.3.2: a BOM, then the header, then the page's own word; with the labels of the WHATWG
Encoding standard.

Python's codecs of the same names differ: ``gb2312`` there lacks half of what such pages use, ``iso-8859-1`` has no
euro. Each encoding is mapped to the codec that is nearest, and what is still missing is mended byte by byte.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import cache, lru_cache

PRESCAN_BYTES = 1024
"""Of a page, whatever they hold (the standard); of its head a browser reads on, and so do we, so far:"""
HEAD_BYTES = 16 * 1024
UTF_8, WINDOWS_1252, REPLACEMENT, USER_DEFINED = "utf-8", "cp1252", "replacement", "x-user-defined"

_LABELS = {
    UTF_8: "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "cp866": "ibm866 866 cp866 csibm866",
    "iso8859-2": "latin2 l2 csisolatin2 iso-ir-101 iso_8859-2:1987",
    "iso8859-3": "latin3 l3 csisolatin3 iso-ir-109 iso_8859-3:1988",
    "iso8859-4": "latin4 l4 csisolatin4 iso-ir-110 iso_8859-4:1988",
    "iso8859-5": "cyrillic csisolatincyrillic iso-ir-144 iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i "
    "iso-ir-127 iso_8859-6:1987",
    "iso8859-7": "greek greek8 csisolatingreek ecma-118 elot_928 iso-ir-126 iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "hebrew visual logical csiso88598e csiso88598i csisolatinhebrew iso-8859-8-e iso-8859-8-i iso-ir-138"
    " iso_8859-8:1988",
    "iso8859-10": "latin6 l6 csisolatin6 iso-ir-157",
    "iso8859-13": "",
    "iso8859-14": "",
    "iso8859-15": "l9 csisolatin9",
    "iso8859-16": "",
    "koi8-r": "koi8-r koi8_r koi8 koi cskoi8r",
    "koi8-u": "koi8-u koi8-ru",
    "mac-roman": "macintosh mac csmacintosh x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "windows-874 dos-874 tis-620 iso-8859-11 iso8859-11 iso885911",
    "cp1250": "windows-1250 cp1250 x-cp1250",
    "cp1251": "windows-1251 cp1251 x-cp1251",
    WINDOWS_1252: "windows-1252 cp1252 x-cp1252 ascii us-ascii ansi_x3.4-1968 latin1 l1 cp819 ibm819 csisolatin1"
    " iso-8859-1 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 iso-ir-100",
    "cp1253": "windows-1253 cp1253 x-cp1253",
    "cp1254": "windows-1254 cp1254 x-cp1254 latin5 l5 csisolatin5 iso-8859-9 iso8859-9 iso88599 iso_8859-9"
    " iso_8859-9:1989 iso-ir-148",
    "cp1255": "windows-1255 cp1255 x-cp1255",
    "cp1256": "windows-1256 cp1256 x-cp1256",
    "cp1257": "windows-1257 cp1257 x-cp1257",
    "cp1258": "windows-1258 cp1258 x-cp1258",
    "gb18030": "gb18030 gbk x-gbk gb2312 gb_2312 gb_2312-80 chinese csgb2312 csiso58gb231280 iso-ir-58",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jis_2004": "euc-jp x-euc-jp cseucpkdfmtjapanese",
    "iso2022_jp_ext": "iso-2022-jp csiso2022jp",
    "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji ms932 csshiftjis",
    "cp949": "euc-kr korean windows-949 cseuckr csksc56011987 iso-ir-149 ks_c_5601-1987 ks_c_5601-1989 ksc5601"
    " ksc_5601",
    "utf-16-le": "utf-16 utf-16le csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff",
    "utf-16-be": "utf-16be unicodefffe",
    REPLACEMENT: "replacement csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr",
    USER_DEFINED: "x-user-defined",
}
"""Python's codec → labels. Codecs are named here only: decoding punycode, which Python knows, takes minutes."""


def _labels() -> Iterator[tuple[str, str]]:
    for codec, labels in _LABELS.items():
        yield from ((label, codec) for label in labels.split())
        if number := codec.partition("iso8859-")[2]:
            spellings = (f"iso-8859-{number}", f"iso8859-{number}", f"iso8859{number}", f"iso_8859-{number}")
            # The newer parts never had the form with an underscore, but for the one that everybody used.
            yield from ((one, codec) for one in spellings if "_" not in one or int(number) < 10 or number == "15")


CODECS = dict(_labels())
"""Label → codec."""
_BOMS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SINGLE = re.compile(r"cp(?!9[34])\d+|iso8859-.*|koi8-.|mac-.*")
_LETTER = re.compile("[^\x00-\x7f\ufffd]")
_JAPANESE = tuple(zip("\u301c\u2016\u2212\u00a2\u00a3\u00ac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2", strict=True))
"""JIS as Unicode's own tables have it → as browsers (and Microsoft) have it."""
_CHARSET = re.compile(r"""(?:^|[\s;,])charset\s*=\s*(?:"([^"]*)"?|'([^']*)'?|([^\s;,"']*))""", re.IGNORECASE)


def _euro(error: UnicodeError) -> tuple[str, int]:
    """Take a lone 0x80 in Chinese text for the euro sign."""
    assert isinstance(error, UnicodeDecodeError)
    return ("\u20ac" if error.object[error.start] == 0x80 else "\ufffd"), error.start + 1


codecs.register_error("chatwatch.euro", _euro)
MOST_EUROS = 1000
"""Each is a call in Python, on our loop."""


@cache
def _table(codec: str) -> str:
    """Return the character of each byte; where Python's table has none, a control character is itself."""
    if codec == USER_DEFINED:
        return "".join(chr(byte if byte < 0x80 else 0xF700 + byte) for byte in range(256))
    table = bytes(range(256)).decode(codec, "replace")
    return "".join(chr(at) if mark == "\ufffd" and 0x80 <= at <= 0x9F else mark for at, mark in enumerate(table))


def codec_of(label: str) -> str:
    """Return the codec of a label, ``""`` for none."""
    return CODECS.get(label.strip(" \t\n\r\f").lower(), "")


@lru_cache(maxsize=512)
def declared(content_type: str) -> tuple[str, str]:
    """Return label and codec that a ``Content-Type`` declares; ``""`` for what it does not, or what nobody knows."""
    label = next((one[1] or one[2] or one[3] or "" for one in _CHARSET.finditer(content_type)), "")
    return label, codec_of(label)


def text_of(content_type: str, body: bytes) -> str:
    """Return a body as text. Bytes that are none in its charset become U+FFFD; nothing raises."""
    for bom, codec in _BOMS:
        if body.startswith(bom):
            return decode(codec, body[len(bom) :])
    if codec := declared(content_type)[1]:
        return decode(codec, body)
    if _declares(content_type, body) and (codec := prescan(body[:HEAD_BYTES])):
        return decode(codec, body)
    return _undeclared(body)


def _declares(content_type: str, body: bytes) -> bool:
    """Say whether a body is one that may name its charset itself: HTML or XML, or what looks so and has no type."""
    kind = content_type.partition(";")[0].lower()
    return "html" in kind or "xml" in kind or (not kind.strip() and body[:512].lstrip()[:1] == b"<")


def decode(codec: str, body: bytes) -> str:
    """Decode with one of the codecs above."""
    if codec == REPLACEMENT:  # encodings in which attacks hide; browsers show one mark for all of it
        return "\ufffd" if body else ""
    if codec == USER_DEFINED or _SINGLE.fullmatch(codec):
        return codecs.charmap_decode(body, "replace", _table(codec))[0]
    has_euro = codec == "gb18030" and 0 < body.count(b"\x80") < MOST_EUROS
    text = body.decode(codec, "chatwatch.euro" if has_euro else "replace")
    if codec in ("euc_jis_2004", "iso2022_jp_ext"):
        for ours, theirs in _JAPANESE:  # str.translate takes twenty times as long
            text = text.replace(ours, theirs)
    return text


def _undeclared(body: bytes) -> str:
    """UTF-8, as nearly all of the web; windows-1252, the standard's default, where not one letter of it is UTF-8."""
    text = body.decode("utf-8", "replace")
    if "\ufffd" in text and not _LETTER.search(text):
        return decode(WINDOWS_1252, body)
    return text


_XML = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([^"'>]{1,40})["']""", re.IGNORECASE)
_TAG = re.compile(rb"<(?:(!--)|(/?[a-zA-Z][^\s/>]*)|([!?/]))")
_ATTRIBUTE = re.compile(rb"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_RAW = frozenset({b"script", b"style", b"title"})
_HEAD = frozenset({b"html", b"head", b"meta", b"base", b"link", b"object", b"noscript", *_RAW})


def prescan(head: bytes) -> str:
    """Return the codec that the beginning of a page declares in a ``meta`` or an XML declaration, ``""`` for none."""
    at = 0
    while (tag := _TAG.search(head, at)) is not None:
        if tag[1]:
            at = head.find(b"-->", tag.start() + 2)
        elif tag[3]:
            at = head.find(b">", tag.end())
        else:
            name = tag[2].lower()
            if name == b"meta" and (codec := _meta(head, tag.end())):
                return codec
            at = head.find(b">", _past_attributes(head, tag.end()))
            if name in _RAW and at >= 0:
                at = head.lower().find(b"</" + name, at)
            if tag.start() > PRESCAN_BYTES and name.removeprefix(b"/") not in _HEAD:
                break
        if at < 0:
            break
    found = _XML.match(head)
    return _own_word(found[1]) if found else ""


def _past_attributes(head: bytes, at: int) -> int:
    while (found := _ATTRIBUTE.match(head, at)) is not None and found.end() > at:
        at = found.end()
    return at


def _meta(head: bytes, at: int) -> str:
    given: dict[bytes, bytes] = {}
    while (found := _ATTRIBUTE.match(head, at)) is not None:
        given.setdefault(found[1].lower(), found[2] or found[3] or found[4] or b"")
        at = found.end()
    if b"charset" in given:
        return _own_word(given[b"charset"])
    if given.get(b"http-equiv", b"").strip().lower() == b"content-type":
        return _own_word(declared(given.get(b"content", b"")[:200].decode("latin-1"))[0].encode("latin-1"))
    return ""


def _own_word(label: bytes) -> str:
    """Return the codec of a label in the page itself: who could read it there did not write UTF-16."""
    codec = codec_of(label[:40].decode("latin-1"))
    return {"utf-16-le": UTF_8, "utf-16-be": UTF_8, USER_DEFINED: WINDOWS_1252}.get(codec, codec)
