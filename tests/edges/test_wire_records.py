"""DNS answers against rules as people write them: what ``dig`` prints, and every other spelling of the same record."""

from __future__ import annotations

import pytest
from dns.rdata import from_text
from dns.rdataclass import IN
from pydantic import ValidationError

from monitor.probes.dns import Options
from monitor.wire.dns.records import forms, normal

LONG = "k=rsa; p=" + "A" * 300

ROWS: list[tuple[str, str, str, bool]] = [
    ("TXT", '"v=spf1 -all"', "v=spf1 -all", True),
    ("TXT", '"v=spf1 -all"', '"v=spf1 -all"', True),
    ("TXT", '"v=spf1 " "-all"', "v=spf1 -all", True),
    ("TXT", '"v=spf1 " "-all"', '"v=spf1 " "-all"', True),
    ("TXT", '"v=spf1 " "-all"', '"v=sp" "f1 -all"', True),
    ("TXT", '"v=spf1 " "-all"', 'v=spf1 " "-all', True),
    ("TXT", f'"{LONG[:255]}" "{LONG[255:]}"', LONG, True),
    ("TXT", '"say \\"hi\\""', 'say "hi"', True),
    ("TXT", '"say \\"hi\\""', '"say \\"hi\\""', True),
    ("TXT", '"say \\"hi\\""', 'say \\"hi\\"', True),
    ("TXT", '"say hi"', 'say "hi"', False),
    ("TXT", '"\\"quoted\\""', '"quoted"', True),
    ("TXT", '"quoted"', '"quoted"', True),
    ("TXT", '"a\\\\b"', "a\\b", True),
    ("TXT", '"caf\\195\\169"', "café", True),
    ("TXT", '"caf\\195\\169"', '"caf\\195\\169"', True),
    ("TXT", '"a;b"', "a;b", True),
    ("TXT", '"ends with a dot."', "ends with a dot.", True),
    ("TXT", '"ends with a dot."', "ends with a dot", False),
    ("TXT", '"Case"', "case", False),
    ("TXT", '" a "', "a", False),
    ("TXT", '""', '""', True),
    ("TXT", '""', "", True),
    ("A", "192.0.2.1", "192.0.2.1", True),
    ("AAAA", "2001:db8::1", "2001:0DB8:0:0:0:0:0:1", True),
    ("AAAA", "2001:db8::1", "2001:db8:0::0:1", True),
    ("AAAA", "::ffff:192.0.2.1", "::FFFF:C000:201", True),
    ("AAAA", "2001:db8::1", "2001:db8::2", False),
    ("CNAME", "edge.Example.NET.", "edge.example.net", True),
    ("CNAME", "edge.example.net.", "EDGE.example.net.", True),
    ("CNAME", "xn--mnchen-3ya.example.", "münchen.example", True),
    ("CNAME", "edge.example.net.", "edge.example", False),
    ("NS", "ns1.example.net.", "NS1.EXAMPLE.NET.", True),
    ("MX", "10 Mail.Example.COM.", "10 mail.example.com", True),
    ("MX", "10 mail.example.com.", "010   mail.example.com.", True),
    ("MX", "10 mail.example.com.", "20 mail.example.com", False),
    ("MX", "0 .", "0 .", True),
    ("SRV", "10 60 5060 Sip.example.net.", "10 60 5060 sip.example.net", True),
    ("SRV", "10 60 5060 sip.example.net.", "10 60 5061 sip.example.net", False),
    ("CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"', True),
    ("CAA", '0 issue "letsencrypt.org"', "0 issue letsencrypt.org", True),
    ("CAA", '0 issue "letsencrypt.org"', '0 ISSUE "letsencrypt.org"', True),
    ("CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org', True),
    ("CAA", '0 issue "letsencrypt.org"', '128 issue "letsencrypt.org"', False),
    ("CAA", '0 issue ";"', '0 issue ";"', True),
    ("CAA", '0 issue "LetsEncrypt.org;a=B"', '0 issue "letsencrypt.org; a=B"', True),
    ("CAA", '0 issue "letsencrypt.org; a=B"', '0 issue "letsencrypt.org; a=b"', False),
    ("HTTPS", '1 . alpn="h2,h3" ipv4hint=192.0.2.1', '1 . alpn="h2,h3" ipv4hint="192.0.2.1"', True),
    ("HTTPS", '1 . alpn="h2,h3" ipv4hint=192.0.2.1', "1 . ipv4hint=192.0.2.1 alpn=h2,h3", True),
    ("HTTPS", "1 Edge.Example. port=8443", "1 edge.example port=8443", True),
    ("HTTPS", "0 edge.example.", "0 EDGE.example.", True),
    ("HTTPS", '1 . alpn="h2,h3"', '1 . alpn="h3,h2"', False),
]


@pytest.mark.parametrize(("record", "answer", "rule", "same"), ROWS)
def test_a_rule_means_the_record_however_it_is_spelled(
    record: str, answer: str, rule: str, same: bool
) -> None:  # a row of a table
    assert (normal(record, from_text(IN, record, answer)) in forms(record, rule)) is same


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        ("A", "2001:db8::1"), ("A", "192.0.2"), ("A", "192.0.2.1/32"), ("A", "chat.example"), ("AAAA", "192.0.2.1"),
        ("MX", "mail.example.com"), ("MX", "ten mail.example.com"), ("CAA", "letsencrypt.org"), ("SRV", "sip.example"),
        ("HTTPS", "h3"), ("CNAME", "a..b"), ("NS", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["contains", "absent", "only"])
def test_what_no_such_record_could_be_is_refused_before_anybody_is_asked(key: str, record: str, rule: str) -> None:
    with pytest.raises(ValidationError, match="as dig prints it"):
        Options(name="chat.example", record=record, **{key: (rule,)})
