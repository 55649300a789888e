"""Mail over the wire: what is said to a mail server, what is believed of its answers, and where the guard stands."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Sequence
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.wire import Limits, MailError, Resolver, Wire, WireError
from monitor.wire import mail as smtp
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, serve
from tests.edges.hostile_tls import Authority
from tests.edges.mailing import MailServer, serving

LIMITS = Limits(deadline_s=60)
PASSWORD = "pass wörd"
Found = Sequence[tuple[int, str]]


def letter(text: str = "Down.\n") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = "Page"
    mail.set_content(text)
    return mail


def at(host: str, port: int, **more: Any) -> smtp.MailServer:
    return replace(smtp.MailServer(host, port, "none"), **more)


def send(
    server: MailServer,
    *,
    mail: EmailMessage | None = None,
    to: Sequence[str] = ("on@example.com",),
    sender: str = "w@example.com",
    ca_file: Path | None = None,
    tls_by: Authority | None = None,
    **place: Any,
) -> None:
    """Hand a mail to *server*; *tls_by* encrypts from the first byte."""

    async def main() -> None:
        with serving(server, tls_by.server() if tls_by else None) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(ca_file) if ca_file else None)
            await wire.mail(at("127.0.0.1", port, **place), mail or letter(), sender, to, limits=LIMITS)

    asyncio.run(main())


def test_a_mail_is_handed_over_whole_whatever_its_lines_begin_with() -> None:
    text = "Down.\n.hidden\n..\n.\nafter the dot 登录\n"
    server = MailServer()
    send(server, mail=letter(text), to=("a@example.com", "b@example.com"))
    sent = message_from_bytes(server.mails[0].removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n."), policy=default)
    assert isinstance(sent, EmailMessage)
    assert sent.get_content().replace("\r\n", "\n") == text
    assert server.mails[0].isascii()
    assert [line.partition(" ")[0] for line in server.heard] == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
    assert server.heard[1:4] == ["MAIL FROM:<w@example.com>", "RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>"]


def test_plain_lines_that_begin_with_a_dot_do_not_end_the_mail() -> None:
    server = MailServer()
    send(server, mail=letter("one\n.\nRSET\n"))
    assert b"\r\n..\r\nRSET\r\n.\r\n" in server.mails[0]
    assert "RSET" not in server.heard


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_nothing_but_greetings_is_said_before_encryption(tmp_path: Path, security: str) -> None:
    authority = Authority(tmp_path)
    server = MailServer({"EHLO": b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN"}, authority.server())
    tls_by = authority if security == "tls" else None
    send(server, ca_file=authority.ca_file, tls_by=tls_by, security=security, username="bot", password=PASSWORD)
    verbs = [line.partition(" ")[0] for line in server.heard]
    if security == "starttls":
        assert verbs[: server.encrypted_from] == ["EHLO", "STARTTLS"]
        verbs = verbs[2:]
    assert verbs == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        ({"self_signed": True}, Reason.CERTIFICATE_UNTRUSTED),
        ({"names": ("other.example",)}, Reason.CERTIFICATE_NAME),
    ],
)
def test_a_server_without_a_good_certificate_gets_neither_password_nor_mail(
    tmp_path: Path, security: str, leaf: dict[str, Any], reason: Reason
) -> None:
    authority = Authority(tmp_path)
    context = authority.server(**leaf)
    server = MailServer({"EHLO": b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN"}, context)

    async def main() -> WireError:
        with serving(server, context if security == "tls" else None) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            place = at("127.0.0.1", port, security=security, username="bot", password=PASSWORD)
            with pytest.raises(WireError) as caught:
                await wire.mail(place, letter(), "w@example.com", ["on@example.com"], limits=LIMITS)
            return caught.value

    assert asyncio.run(main()).reason is reason
    assert {line.partition(" ")[0] for line in server.heard} <= {"EHLO", "STARTTLS"}
    assert server.connections <= 1, "no second look: the port may speak clear text"


def test_the_handshake_asks_for_the_servers_name_and_offers_no_http() -> None:
    hello = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.extend(await reader.read(4096))

    def named(host: str, port: int) -> Found:
        return [(socket.AF_INET, "127.0.0.1")]

    async def main() -> None:
        async with serve(listen) as port:
            wire = Wire(allow_networks=LOOPBACK, resolver=Resolver(named))
            with pytest.raises(WireError):
                await wire.mail(at("mail.example", port, security="tls"), letter(), "a@b.c", ["d@e.f"], limits=LIMITS)

    driven.run(main())
    assert b"mail.example" in hello
    assert b"http/1.1" not in hello


def test_words_slipped_in_before_the_handshake_are_not_believed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    slipped = {"EHLO": b"250-mail\r\n250 STARTTLS", "STARTTLS": b"220 go\r\n250-mail\r\n250 AUTH PLAIN"}
    server = MailServer(slipped, authority.server())
    with pytest.raises(WireError) as caught:
        send(server, ca_file=authority.ca_file, security="starttls", username="bot", password=PASSWORD)
    assert caught.value.reason is Reason.PROTOCOL
    assert server.heard[-1] == "STARTTLS"


def test_without_the_encryption_that_was_asked_for_nothing_is_sent() -> None:
    server = MailServer()
    with pytest.raises(MailError, match="mail_unencrypted") as caught:
        send(server, security="starttls", username="bot", password=PASSWORD)
    assert caught.value.permanent
    assert len(server.heard) == 1


def decoded(line: str) -> str:
    return base64.b64decode(line.rpartition(" ")[2]).decode()


def test_each_way_of_logging_in_shows_the_server_what_it_asks_for() -> None:
    plain = MailServer({"EHLO": b"250-mail\r\n250 AUTH GSSAPI PLAIN"})
    send(plain, username="bot", password=PASSWORD)
    assert decoded(plain.heard[1]) == f"\0bot\0{PASSWORD}"

    words = {base64.b64encode(text).decode().upper(): said for text, said in (
        (b"bot", b"334 UGFzc3dvcmQ6"), (PASSWORD.encode(), b"235 in"),
    )}  # fmt: skip
    login = MailServer({"EHLO": b"250-mail\r\n250 AUTH=LOGIN", "AUTH": b"334 VXNlcm5hbWU6", **words})
    send(login, username="bot", password=PASSWORD)
    assert [decoded(line) for line in login.heard[2:4]] == ["bot", PASSWORD]
    assert len(login.mails) == 1


def test_a_password_is_not_shown_where_a_digest_will_do() -> None:
    challenge = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>")  # the example of RFC 2195
    server = MailServer({"EHLO": b"250-mail\r\n250 AUTH PLAIN CRAM-MD5", "AUTH": b"334 " + challenge})
    answer = base64.b64encode(b"tim b913a602c7eda7a495b4e6e7334d3890").decode()
    server.answers = {**server.answers, answer.upper(): b"235 in"}
    send(server, username="tim", password="tanstaaftanstaaf")
    assert server.heard[2] == answer
    assert len(server.mails) == 1


def test_a_way_that_fails_is_followed_by_the_next() -> None:
    ehlo = b"250-mail\r\n250 AUTH CRAM-MD5 PLAIN LOGIN"
    server = MailServer({"EHLO": ehlo, "AUTH": [b"334 no-base64!", b"235 in"], "*": b"501 called off"})
    send(server, username="bot", password=PASSWORD)
    assert server.heard[1:3] == ["AUTH CRAM-MD5", "*"]
    assert len(server.mails) == 1


def test_a_refused_log_in_is_told_by_its_number_alone() -> None:
    server = MailServer({"AUTH": b"535 5.7.8 AUTH PLAIN " + base64.b64encode(PASSWORD.encode())})
    with pytest.raises(MailError) as caught:
        send(server, username="bot", password=PASSWORD)
    assert str(caught.value) == coded(MessageCode.MAIL_ANSWERED, status=535)
    assert caught.value.permanent
    assert server.mails == []


def test_a_server_without_a_log_in_that_we_know_is_told_so() -> None:
    with pytest.raises(MailError, match="mail_no_login"):
        send(MailServer({"EHLO": b"250-mail\r\n250 AUTH GSSAPI"}), username="bot", password=PASSWORD)


@pytest.mark.parametrize(
    ("answers", "words", "permanent"),
    [
        ({"": b"554 no"}, "mail_answered status=554", True),
        ({"": b"421 busy"}, "mail_answered status=421", False),
        ({"MAIL": b"450 later"}, "mail_answered status=450", False),
        ({"MAIL": b"550 no"}, "mail_answered status=550", True),
        ({"RCPT": b"550 unknown"}, "mail_refused_all", True),
        ({"RCPT": [b"550 unknown", b"451 later"]}, "mail_refused_all", False),
        ({"DATA": b"451 later"}, "mail_answered status=451", False),
        ({"END": b"554 spam"}, "mail_answered status=554", True),
    ],
)
def test_refusals_for_now_and_for_good_are_told_apart(answers: dict[str, Any], words: str, permanent: bool) -> None:
    with pytest.raises(MailError, match=words) as caught:
        send(MailServer(answers), to=("a@example.com", "b@example.com"))
    assert caught.value.permanent is permanent


def test_a_refused_recipient_does_not_keep_the_mail_from_the_others() -> None:
    server = MailServer({"RCPT": [b"550 unknown", b"251 forwarded"]})
    send(server, to=("gone@example.com", "on@example.com"))
    assert len(server.mails) == 1


@pytest.mark.parametrize("bye", [b"500 what?", b"", b"no smtp at all"])
def test_what_is_said_after_the_mail_was_taken_does_not_send_it_again(bye: bytes) -> None:
    server = MailServer({"QUIT": bye})
    send(server)
    assert len(server.mails) == 1


def test_a_server_that_knows_no_extensions_is_greeted_the_old_way() -> None:
    server = MailServer({"EHLO": b"502 what?"})
    send(server)
    assert [line.partition(" ")[0] for line in server.heard[:2]] == ["EHLO", "HELO"]
    assert len(server.mails) == 1


def test_addresses_beyond_ascii_want_a_server_that_takes_them() -> None:
    to = ("дежурный@пример.example",)
    with pytest.raises(MailError, match="mail_ascii_only"):
        send(MailServer(), to=to)
    server = MailServer({"EHLO": b"250-mail\r\n250 SMTPUTF8"})
    send(server, to=to)
    assert server.heard[1:3] == ["MAIL FROM:<w@example.com> SMTPUTF8", f"RCPT TO:<{to[0]}>"]


# --- strangers --------------------------------------------------------------------------------------------------------


def met(behave: Any, *, deadline_s: float = 5.0) -> WireError:
    async def main() -> WireError:
        async with serve(behave) as port:
            wire = Wire(allow_networks=LOOPBACK)
            place = at("127.0.0.1", port, username="bot", password=PASSWORD)
            with pytest.raises(WireError) as caught:
                await wire.mail(place, letter(), "a@b.c", ["d@e.f"], limits=Limits(deadline_s=deadline_s))
            return caught.value

    return driven.run(main())


def test_the_port_of_another_service_is_told_nothing() -> None:
    heard = bytearray()

    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        heard.extend(await reader.read())

    error = met(web)
    assert (error.reason, error.detail) == (Reason.PROTOCOL, "the server does not speak SMTP")
    assert heard == b""


def test_a_server_that_drips_or_says_nothing_ends_with_the_deadline() -> None:
    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"220-" + b"x" * 4000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    for behave in (drips, silent):
        error = met(behave, deadline_s=0.3)
        assert (error.reason, error.detail) == (
            Reason.TIMEOUT_TOTAL,
            "deadline reached while the mail was being handed over",
        )


@pytest.mark.parametrize("flood", [b"x" * 70_000, b"220-on and on\r\n" * 2000, b"220-" + b"x" * 70_000])
def test_an_answer_without_an_end_is_not_read_on(flood: bytes) -> None:
    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(500):
            writer.write(flood)
            await writer.drain()

    assert met(floods).reason in (Reason.PROTOCOL, Reason.TOO_LARGE)


def test_a_server_that_hangs_up_is_a_failure_to_try_again() -> None:
    async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await reader.readline()

    assert met(leaves).reason is Reason.PROTOCOL


# --- the guard --------------------------------------------------------------------------------------------------------


def tried(host: str, *, allow: Sequence[str] = (), lookup: Any = None) -> tuple[Exception | None, MailServer]:
    server = MailServer()

    async def main() -> Exception | None:
        with serving(server) as port:
            wire = Wire(allow_networks=allow, resolver=Resolver(lookup) if lookup else None)
            try:
                await wire.mail(at(host, port), letter(), "a@b.c", ["d@e.f"], limits=LIMITS)
            except WireError as error:
                return error
            return None

    return asyncio.run(main()), server


def refused(host: str, **more: Any) -> None:
    error, server = tried(host, **more)
    assert isinstance(error, WireError)
    assert error.reason is Reason.ADDRESS
    assert server.connections == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "127.1", "2130706433", "0", "::"]
)
def test_no_spelling_of_loopback_reaches_a_mail_server(host: str) -> None:
    refused(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.25", "169.254.10.10"])
def test_a_name_that_leads_into_a_private_network_is_refused(address: str) -> None:
    def private(host: str, port: int) -> Found:
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, address)]

    refused("mail.example", lookup=private)


def test_no_allow_list_makes_a_metadata_service_a_mail_server() -> None:
    for host in ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"):
        refused(host, allow=["0.0.0.0/0", "::/0"])


def test_of_a_mixed_answer_only_the_checked_address_gets_the_mail() -> None:
    def mixed(host: str, port: int) -> Found:
        return [(socket.AF_INET, "169.254.169.254"), (socket.AF_INET, "127.0.0.1")]

    error, server = tried("mail.example", allow=LOOPBACK, lookup=mixed)
    assert error is None
    assert len(server.mails) == 1


def test_an_answer_that_changes_after_the_check_sends_no_mail_elsewhere() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Found:
        asked.append(host)
        return [(socket.AF_INET, "10.0.0.25" if len(asked) == 1 else "127.0.0.1")]

    refused("mail.example", lookup=rebinding)
    assert len(asked) == 1, "what was checked is what is connected to"


def test_a_mail_server_in_a_network_allowed_by_name_gets_its_mail() -> None:
    error, server = tried("127.0.0.1", allow=["127.0.0.1/32"])
    assert error is None
    assert len(server.mails) == 1
