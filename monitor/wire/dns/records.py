"""Records in one form each, so that answers and rules compare as records and not as text.

What ``dig`` prints may be written: quotes and escapes of a TXT record are presentation only (RFC 1035, 5.1) and its
strings are one text (RFC 7208, 3.3); names compare without case (RFC 4343) and with or without their final dot; an
address has many spellings (RFC 4291, 2.2); the tags of CAA have no case (RFC 8659, 4.1).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dns.name import Name

_EXAMPLES = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "MX": "10 mail.example.com",
    "CAA": '0 issue "letsencrypt.org"',
    "SRV": "10 60 5060 sip.example.net",
    "HTTPS": '1 . alpn="h2,h3"',
}


def normal(record: str, data: Any) -> str:
    """Return the one form of a record's data, as dnspython has it."""
    if record in ("A", "AAAA"):
        return str(ip_address(data.address))
    if record == "TXT":
        return b"".join(data.strings).decode("utf-8", "backslashreplace")
    if record in ("CNAME", "NS"):
        return _name(data.target)
    if record == "MX":
        return f"{data.preference} {_name(data.exchange)}"
    if record == "SRV":
        return f"{data.priority} {data.weight} {data.port} {_name(data.target)}"
    if record == "CAA":
        tag, value = data.tag.decode("latin-1").lower(), data.value.decode("utf-8", "backslashreplace")
        if tag in ("issue", "issuewild"):  # a name and parameters (RFC 8659, 4.2)
            issuer, *parameters = (part.strip() for part in value.split(";"))
            value = "; ".join((issuer.lower().removesuffix("."), *parameters)).strip() or ";"
        return f'{data.flags} {tag} "{value}"'
    parameters = data.to_text().split(" ", 2)[2:]
    return " ".join([str(data.priority), _name(data.target), *parameters])


def _name(name: Name) -> str:
    text: str = name.canonicalize().to_text(omit_final_dot=True)
    return text


def forms(record: str, text: str) -> frozenset[str]:
    """Return the forms that a rule's text may mean; raises ``ValueError`` for what no such record could be."""
    from dns.exception import DNSException  # late: only the dns kind needs dnspython
    from dns.name import root
    from dns.rdata import from_text
    from dns.rdataclass import IN

    found: set[str] = {text} if record == "TXT" else set()
    for spelling in _spellings(record, text):
        try:
            found.add(normal(record, from_text(IN, record, spelling, origin=root, relativize=False)))
        except (DNSException, ValueError, UnicodeError, OverflowError):
            continue
    if not found:
        example = _EXAMPLES.get(record, "ns1.example.net")
        raise ValueError(f'"{text[:60]}" is no {record} record; write it as dig prints it, as in {example}')
    return frozenset(found)


def _spellings(record: str, text: str) -> tuple[str, ...]:
    """Return what a text may be in a zone file, first as it stands, then as earlier versions showed it."""
    if record in ("CAA", "HTTPS"):
        return text, f'{text}"'
    if record != "TXT":
        return (text,)
    quoted = (text,) if text.strip().startswith('"') else ()
    return (*quoted, f'"{text}"') if "\\" in text or '" "' in text else quoted
