"""A mail handed to its server over a guarded link: SMTP (RFC 5321), STARTTLS (3207), AUTH (4954), SMTPUTF8 (6531).

Not the standard library's client: that resolves and connects by itself, so no guard sees the address, and its time
limit starts anew with every byte. Nothing that a server says is repeated in an error: a refusal may quote the password.
"""

from __future__ import annotations

import base64
import hmac
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from ipaddress import ip_address
from typing import Literal, NamedTuple

from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.wire.connection import Link
from monitor.wire.deadline import Step
from monitor.wire.dial import Stream
from monitor.wire.dns.resolve import literal
from monitor.wire.model import MailError, WireError
from monitor.wire.tls import TlsStream

LINE_BYTES = 8192
"""RFC 5321, 4.5.3.1.5 says 512; log-in challenges may be longer."""
MOST_LINES = 100
GOODBYE_S = 2.0
"""The mail is handed over by then; whether the server says goodbye changes nothing."""
READY, LOGGED_IN, FINE, FORWARDED, GO_ON, BEGIN, LOGGED_IN_ALREADY = 220, 235, 250, 251, 334, 354, 503


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. ``security``: TLS from the first byte, after STARTTLS, or none."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str = ""
    password: str = field(default="", repr=False)


class Reply(NamedTuple):
    """One answer: its code and the text of its lines."""

    code: int
    lines: tuple[bytes, ...]

    def wanted(self, *codes: int) -> Reply:
        """Return this answer if its code is among *codes*; raises ``MailError`` otherwise."""
        if self.code not in codes:
            raise MailError(coded(MessageCode.MAIL_ANSWERED, status=self.code), permanent=500 <= self.code < 600)
        return self


class Talk:
    """Commands and answers over one stream."""

    def __init__(self, stream: Stream | TlsStream) -> None:
        self.stream = stream
        self._left = b""

    @property
    def has_more(self) -> bool:
        """True when the server has said more than was asked for."""
        return bool(self._left)

    async def ask(self, line: bytes) -> Reply:
        """Send a command and return its answer."""
        await self.stream.write(line + b"\r\n")
        return await self.reply()

    async def reply(self) -> Reply:
        """Return the next answer; raises ``WireError(PROTOCOL)`` for what is none."""
        lines: list[bytes] = []
        while len(lines) < MOST_LINES:
            line = await self._line()
            if not re.fullmatch(rb"[2-5][0-9]{2}([ -].*)?", line, re.DOTALL):
                raise WireError(Reason.PROTOCOL, "the server does not speak SMTP")
            lines.append(line[4:])
            if line[3:4] != b"-":
                return Reply(int(line[:3]), tuple(lines))
        raise WireError(Reason.TOO_LARGE, f"an SMTP answer of more than {MOST_LINES} lines")

    async def _line(self) -> bytes:
        while b"\n" not in self._left:
            if len(self._left) > LINE_BYTES:
                raise WireError(Reason.TOO_LARGE, f"an SMTP line of more than {LINE_BYTES} bytes")
            piece = await self.stream.read()
            if piece is None:
                raise WireError(Reason.PROTOCOL, "connection closed in the middle of SMTP")
            self._left += piece.data
        line, _, self._left = self._left.partition(b"\n")
        return line.rstrip(b"\r")


async def hand_over(
    link: Link, server: MailServer, mail: EmailMessage, sender: str, recipients: Sequence[str]
) -> Mapping[str, int]:
    """Hand *mail* in for those recipients whom the server takes; returns once it is the server's to deliver.

    Returns those whom it refused, with the code. Raises ``MailError`` for the server's refusal of all, ``WireError`` or
    ``OSError`` for what happened on the way.
    """
    talk = Talk(await link.connect(server.host, server.port, literal(server.host)))
    if server.security == "tls":
        await _secure(link, talk, server)
    link.deadline.enter(Step.MAIL)
    (await talk.reply()).wanted(READY)
    offers = await _hello(talk)
    if server.security == "starttls":
        offers = await _start_tls(link, talk, server, offers)
    if server.username:
        await _log_in(talk, server, offers)
    refused = await _send(talk, offers, mail, sender, recipients)
    link.deadline.enter(Step.MAIL, GOODBYE_S)
    with suppress(WireError, OSError):
        await talk.ask(b"QUIT")
    return refused


async def _hello(talk: Talk) -> Mapping[str, str]:
    """Introduce ourselves; return what the server offers: keyword → the rest of its line, both in capitals."""
    name = _our_name(talk.stream).encode()
    reply = await talk.ask(b"EHLO " + name)
    if 500 <= reply.code < 600:  # a server from before 1995
        (await talk.ask(b"HELO " + name)).wanted(FINE)
        return {}
    offers: dict[str, str] = {}
    for line in reply.wanted(FINE).lines[1:]:
        keyword, _, rest = line.decode("latin-1").upper().replace("AUTH=", "AUTH ", 1).partition(" ")
        offers[keyword] = f"{offers.get(keyword, '')} {rest}".strip()
    return offers


def _our_name(stream: Stream | TlsStream) -> str:
    """Return this machine's full name if it knows one, else our end of the connection; asks no name server."""
    name = socket.gethostname()
    if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name):
        return name
    while isinstance(stream, TlsStream):
        stream = stream.stream
    address = ip_address(str(stream.sock.getsockname()[0]).partition("%")[0])
    return f"[{'IPv6:' * (address.version == 6)}{address}]"


async def _start_tls(link: Link, talk: Talk, server: MailServer, offers: Mapping[str, str]) -> Mapping[str, str]:
    if "STARTTLS" not in offers:
        raise MailError(coded(MessageCode.MAIL_UNENCRYPTED), permanent=True)
    (await talk.ask(b"STARTTLS")).wanted(READY)
    if talk.has_more:  # injected in clear text before TLS by a man in the middle (CVE-2011-0411)
        raise WireError(Reason.PROTOCOL, "more than an answer before the TLS handshake")
    await _secure(link, talk, server)
    link.deadline.enter(Step.MAIL)
    return await _hello(talk)


async def _secure(link: Link, talk: Talk, server: MailServer) -> None:
    assert isinstance(talk.stream, Stream)
    talk.stream = await link.secure(talk.stream, link.ground.trust.mail, server.host, look_again=False)


async def _log_in(talk: Talk, server: MailServer, offers: Mapping[str, str]) -> None:
    """Try the ways that both know, the one first that does not show the password."""
    offered = offers.get("AUTH", "").split()
    ways = [way for name, way in WAYS.items() if name in offered]
    if not ways:
        raise MailError(coded(MessageCode.MAIL_NO_LOGIN), permanent=True)
    reply = await ways[0](talk, server)
    for way in ways[1:]:
        if reply.code in (LOGGED_IN, LOGGED_IN_ALREADY, 421):
            break
        reply = await way(talk, server)
    reply.wanted(LOGGED_IN, LOGGED_IN_ALREADY)


def _encoded(text: str) -> bytes:
    return base64.b64encode(text.encode())


async def _cram_md5(talk: Talk, server: MailServer) -> Reply:
    reply = await talk.ask(b"AUTH CRAM-MD5")
    if reply.code != GO_ON:
        return reply
    try:
        challenge = base64.b64decode(reply.lines[0], validate=True)
        digest = hmac.new(server.password.encode(), challenge, "md5").hexdigest()  # RFC 2195 knows no other
    except ValueError:  # no base64, or a machine without MD5 (FIPS): called off, so that another way may follow
        return await talk.ask(b"*")
    return await talk.ask(_encoded(f"{server.username} {digest}"))


async def _plain(talk: Talk, server: MailServer) -> Reply:
    return await talk.ask(b"AUTH PLAIN " + _encoded(f"\0{server.username}\0{server.password}"))


async def _login(talk: Talk, server: MailServer) -> Reply:
    reply = await talk.ask(b"AUTH LOGIN")
    for text in (server.username, server.password):
        if reply.code == GO_ON:
            reply = await talk.ask(_encoded(text))
    return reply


WAYS: dict[str, Callable[[Talk, MailServer], Awaitable[Reply]]] = {
    "CRAM-MD5": _cram_md5,
    "PLAIN": _plain,
    "LOGIN": _login,
}


async def _send(
    talk: Talk, offers: Mapping[str, str], mail: EmailMessage, sender: str, recipients: Sequence[str]
) -> Mapping[str, int]:
    is_ascii = "".join([sender, *recipients]).isascii()
    if not is_ascii and "SMTPUTF8" not in offers:
        raise MailError(coded(MessageCode.MAIL_ASCII_ONLY), permanent=True)
    more = "" if is_ascii else " SMTPUTF8"
    (await talk.ask(f"MAIL FROM:<{sender}>{more}".encode())).wanted(FINE)
    codes = {one: (await talk.ask(f"RCPT TO:<{one}>".encode())).code for one in recipients}
    refused = {one: code for one, code in codes.items() if code not in (FINE, FORWARDED)}
    if len(refused) == len(codes):
        permanent = all(500 <= code < 600 for code in codes.values())
        raise MailError(coded(MessageCode.MAIL_REFUSED_ALL), permanent=permanent)
    (await talk.ask(b"DATA")).wanted(BEGIN)
    # Seven bits, because not every server takes eight.
    data = mail.as_bytes(policy=SMTP.clone(cte_type="7bit", utf8=not is_ascii))
    data = re.sub(rb"^\.", b"..", data, flags=re.MULTILINE)
    (await talk.ask(data.removesuffix(b"\r\n") + b"\r\n.")).wanted(FINE)
    return refused
